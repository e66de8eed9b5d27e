"""Quick pictures of a trajectory."""

from __future__ import annotations

from typing import Any

import numpy as np

from neml2.drivers.layout import to_disk
from neml2.drivers.trajectory import Path, Trajectory
from neml2.errors import MissingVariable
from neml2.registry import did_you_mean, listing
from neml2.types import Scalar, TensorWrapper

_MOST_LINES = 50  # more than that nobody can tell apart


def plot(trajectory: Trajectory, x: str, y: str, path: Path | None = None, **style: Any) -> Any:
    """See :meth:`Trajectory.plot`."""
    horizontal, vertical = series(trajectory, x), series(trajectory, y)  # (step, points)
    lines = max(horizontal.shape[1], vertical.shape[1])
    if path is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(layout="constrained")
    else:
        from matplotlib.figure import Figure  # without pyplot: no display is needed and nothing is left open

        figure = Figure(layout="constrained", dpi=150)
    axes = figure.subplots()
    for i in range(min(lines, _MOST_LINES)):
        axes.plot(
            horizontal[:, i % horizontal.shape[1]], vertical[:, i % vertical.shape[1]], **{"lw": 1.1, **style}
        )
    axes.set_xlabel(_label(trajectory, x))
    axes.set_ylabel(_label(trajectory, y))
    axes.spines[["top", "right"]].set_visible(False)
    if lines > _MOST_LINES:
        axes.set_title(f"the first {_MOST_LINES} of {lines} points", fontsize=9)
    if path is not None:
        figure.savefig(path)
    return axes


def series(trajectory: Trajectory, name: str) -> np.ndarray:
    """A Scalar, or a physical component ``variable_xx`` of a tensor, as numbers ``(step, points)``."""
    value, component = _find(trajectory, name)
    data = to_disk(value)
    if component is not None:
        data = data[..., component]
    return data.cpu().numpy().reshape(len(trajectory), -1)


def component_names(trajectory: Trajectory) -> list[str]:
    """Everything that can be drawn."""
    names = ["time"]
    for n in trajectory.names:
        value = trajectory[n]
        names += [n] if isinstance(value, Scalar) else [f"{n}_{c}" for c in value.COMPONENTS]
    return names


def _find(trajectory: Trajectory, name: str) -> tuple[TensorWrapper, int | None]:
    if name == "time" and name not in trajectory:
        return trajectory[trajectory.time_name], None
    if name in trajectory:
        value = trajectory[name]
        if isinstance(value, Scalar):
            return value, None
        raise ValueError(
            f"'{name}' is a {type(value).__name__}; say which component, such as"
            f" '{name}_{value.COMPONENTS[0]}'"
        )
    base, _, label = name.rpartition("_")
    if base in trajectory and label in trajectory[base].COMPONENTS:
        return trajectory[base], trajectory[base].COMPONENTS.index(label)
    known = component_names(trajectory)
    raise MissingVariable(
        f"there is no '{name}' to draw{did_you_mean(name, known)}; there are {listing(known, 30)}"
    )


def _label(trajectory: Trajectory, name: str) -> str:
    base = name if name in trajectory else name.rpartition("_")[0]
    declared = trajectory.origin.declared.get(base)
    return f"{name} ({declared.unit})" if declared and declared.unit else name
