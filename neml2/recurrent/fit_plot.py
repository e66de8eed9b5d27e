"""Pictures of a fit: measured points and the model's lines, a panel for every test and response."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from neml2.drivers.control.conjugates import chosen_strain
from neml2.drivers.pictures.curves import curves
from neml2.drivers.pictures.drawing import PALETTE, dress, legend, shades
from neml2.drivers.trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neml2.recurrent.experiment import Experiment
    from neml2.recurrent.fit_result import FitResult

_FEW = 6  # tests that have a panel each; more are drawn over one another
_MANY = 150  # points, from which on they are drawn small


def plot(result: FitResult, path: str | os.PathLike[str] | None, x: str | None) -> Figure:
    """See :meth:`FitResult.plot`."""
    from matplotlib.figure import Figure  # without pyplot: no display is needed and nothing is left open

    misfit = result.misfit
    names = list(dict.fromkeys(c.quantity.text for g in misfit.groups for c in g.compared))
    tests = list(result.predictions)
    alone = len(tests) <= _FEW
    columns = len(tests) if alone else 1
    size = (max(4.2, 2.9 * columns) if alone else 6.2, (2.8 if alone else 3.6) * len(names) + 0.2)
    tints = shades(range(len(tests)))
    figure = Figure(figsize=size, dpi=200, layout="constrained")
    panels = figure.subplots(len(names), columns, squeeze=False, sharey="row")
    points = misfit.compared_points(result.u)
    for axes in panels.flat:
        dress(axes, small=alone and columns > 1)
    for k, (test, trajectory) in enumerate(result.predictions.items()):
        over = x or _across(result, misfit.experiments[k])
        for row, name in enumerate(names):
            axes = panels[row, k if alone else 0]
            own = (points["response"] == name) & (points["test"] == test)
            if not own.any():
                axes.set_axis_off()
                continue
            color = PALETTE[0] if alone else tints.to_rgba(k)
            _draw(axes, trajectory, over, name, "" if alone else test, color, points, own)
            axes.set_xlabel(curves(trajectory, over).label, fontsize=9)
            if k == 0:
                axes.set_ylabel(curves(trajectory, name).label, fontsize=9)
            if alone and row == 0:
                axes.set_title(test if len(tests) > 1 else "", fontsize=9)
    if alone:
        legend(panels[0, -1])
    else:
        panels[0, 0].legend(fontsize=7.5, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    if path is not None:
        figure.savefig(path)
    return figure


def _draw(
    axes: Axes,
    trajectory: Trajectory,
    over: str,
    name: str,
    label: str,
    color: Any,
    points: dict[str, np.ndarray],
    own: np.ndarray,
) -> None:
    """The model as a line, and the measurements as circles where they were made."""
    time, across, up = (curves(trajectory, n).values[:, 0, 0] for n in ("time", over, name))
    at = points["time"][own]
    places = at if over == "time" else np.interp(at, time, across)
    size = 2.0 if own.sum() > _MANY else 3.0
    style: dict[str, Any] = {"ms": size, "mew": 0.6, "mfc": "none", "zorder": 2.5}
    alone = not label
    axes.plot(
        places,
        points["measured"][own],
        "o",
        mec="0.35" if alone else color,
        label="measured" * alone,
        **style,
    )
    axes.plot(across, up, color=color, lw=1.1, label=label or "fitted")


def _across(result: FitResult, experiment: Experiment) -> str:
    """The one component of strain that the test moves, under the model's own name, or the time."""
    driver, control = result.misfit.driver, experiment.history.control
    if control is None:
        return "time"
    strained = (control.strain_weight != 0).flatten(0, -2).any(0)
    moves = ((control.target != 0) | (control.carry != 0)).flatten(0, -2).any(0)
    found = [n for n, both in zip(control.labels, (strained & moves).tolist()) if both]
    return f"{chosen_strain(driver.model, driver.strain)}.{found[0]}" if len(found) == 1 else "time"
