"""Pictures of a fit: measured points and the model's lines, a panel for every response."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from neml2.drivers.control import Control
from neml2.drivers.curves import curves
from neml2.drivers.drawing import PALETTE, legend, new_axes
from neml2.drivers.trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neml2.recurrent.experiment import Experiment
    from neml2.recurrent.fit_result import FitResult

_MANY = 250  # points, from which on they are drawn small


def plot(result: FitResult, path: str | os.PathLike[str] | None, x: str | None) -> Figure:
    """See :meth:`FitResult.plot`."""
    misfit = result.misfit
    names = list(dict.fromkeys(c.quantity.text for g in misfit.groups for c in g.compared))
    figure, panels = new_axes(shown=False, size=(4.6, 3.2 * len(names)), panels=len(names))
    predictions, points = result.predictions, misfit.compared_points(result.u)
    for axes, name in zip(panels, names):
        over = x or _across(result)
        for k, (test, trajectory) in enumerate(predictions.items()):
            own = (points["response"] == name) & (points["test"] == test)
            if own.any():
                _draw(axes, trajectory, over, name, test, PALETTE[k % len(PALETTE)], points, own)
        first = next(iter(predictions.values()))
        axes.set_xlabel(curves(first, over).label, fontsize=9)
        axes.set_ylabel(curves(first, name).label, fontsize=9)
        legend(axes)
    if path is not None:
        figure.savefig(path)
    return figure


def _draw(
    axes: Axes,
    trajectory: Trajectory,
    over: str,
    name: str,
    test: str,
    color: str,
    points: dict[str, np.ndarray],
    own: np.ndarray,
) -> None:
    time = curves(trajectory, "time").values[:, 0, 0]
    across, up = (curves(trajectory, n).values[:, 0, 0] for n in (over, name))
    axes.plot(across, up, color=color, lw=1.0, label=test)
    at = points["time"][own]
    places = at if over == "time" else np.interp(at, time, across)
    size = 1.4 if own.sum() > _MANY else 2.2
    axes.plot(places, points["measured"][own], "o", color=color, ms=size, mew=0, alpha=0.55)


def _across(result: FitResult) -> str:
    """The one component of strain that all tests move, under the model's own name, or the time."""
    misfit = result.misfit
    moved = {_moved(e) for e in misfit.experiments}
    if len(moved) != 1 or (component := moved.pop()) is None:
        return "time"
    from neml2.drivers.conjugates import chosen_strain

    return f"{chosen_strain(misfit.driver.model, misfit.driver.strain)}.{component}"


def _moved(experiment: Experiment) -> str | None:
    control: Control | None = experiment.history.control
    if control is None:
        return None
    weighs = (control.strain_weight != 0).flatten(0, -2).any(0)
    moves = ((control.target != 0) | (control.carry != 0)).flatten(0, -2).any(0)
    found = [label for label, w, m in zip(control.labels, weighs.tolist(), moves.tolist()) if w and m]
    return found[0] if len(found) == 1 else None
