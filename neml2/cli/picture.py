"""The picture of `neml2-run --plot`: loops of stress and strain if there are any, else results over time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neml2.drivers.hdf5 import replacing
from neml2.drivers.plot import series
from neml2.types import SR2, Scalar

if TYPE_CHECKING:
    from neml2.drivers import Trajectory

MOST = 9  # panels, and lines in a panel: what one page can show and an eye can follow

# how well a name suits an axis, best first
_STRESS = ("stress", "cauchy_stress", "S")
_STRAIN = ("strain", "total_strain", "E", "mechanical_strain")


def draw(trajectory: Trajectory, path: str | os.PathLike[str]) -> str:
    """Draw ``trajectory`` into the file ``path``; returns what is to be seen, in words."""
    pair = loop(trajectory)
    figure, what = _loops(trajectory, *pair) if pair else _courses(trajectory)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix.lstrip(".").lower())
    return what


def loop(trajectory: Trajectory) -> tuple[str, str] | None:
    """The components of strain and stress that do the most work, ``("strain_xx", "stress_xx")``, if any."""
    strain, stress = _find(trajectory, _STRAIN, "strain"), _find(trajectory, _STRESS, "stress")
    if strain is None or stress is None:
        return None
    work = {
        c: _range(series(trajectory, f"{strain}_{c}")) * _range(series(trajectory, f"{stress}_{c}"))
        for c in SR2.COMPONENTS
    }
    best = max(work, key=lambda c: work[c])
    return (f"{strain}_{best}", f"{stress}_{best}") if work[best] > 0 else None


def _find(trajectory: Trajectory, names: tuple[str, ...], unit: str) -> str | None:
    tensors = [n for n in trajectory.names if isinstance(trajectory[n], SR2)]
    named = [n for n in names if n in tensors]
    of_unit = [
        n for n in tensors if _unit(trajectory, n) == unit and "plastic" not in n and "elastic" not in n
    ]
    return next(iter([*named, *of_unit]), None)


def _range(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.ptp(finite)) if finite.size else 0.0


def _loops(trajectory: Trajectory, x: str, y: str) -> tuple[Any, str]:
    """A panel for every point, the line darkening with time."""
    from matplotlib.collections import LineCollection

    horizontal, vertical = (_wide(series(trajectory, n), trajectory) for n in (x, y))
    points = _chosen(horizontal.shape[1])
    figure, panels = _grid(len(points))
    shade = np.linspace(0, 1, max(len(horizontal) - 1, 1))
    for axes, i in zip(panels, points):
        corners = np.stack([horizontal[:, i], vertical[:, i]], axis=-1)  # (step, 2)
        pieces = np.stack([corners[:-1], corners[1:]], axis=1)
        axes.add_collection(LineCollection(list(pieces), array=shade, cmap=_ink(), linewidth=1.3))
        axes.plot(*corners[-1], "o", ms=3, color=_INK[-1])
        axes.autoscale_view()
        if len(points) > 1:
            axes.set_title(_point(trajectory, i), fontsize=8, color="0.35")
    _name_axes(figure, _label(trajectory, x), _label(trajectory, y))
    shown = "" if len(points) == horizontal.shape[1] else f", {len(points)} of {horizontal.shape[1]} points"
    return figure, f"{y} over {x}{shown}, darker with time"


def _courses(trajectory: Trajectory) -> tuple[Any, str]:
    """A panel for every result, over time; of a tensor the component that changes most."""
    curves = [_liveliest(trajectory, n) for n in trajectory.outputs] or [
        _liveliest(trajectory, n) for n in trajectory.forces
    ]
    curves = sorted(curves, key=lambda c: _range(series(trajectory, c)) == 0)[:MOST]
    figure, panels = _grid(len(curves), share=False)
    time = trajectory.time.detach().cpu().numpy().reshape(len(trajectory), -1)
    what = f"{trajectory.time_name} [time]"
    if np.ptp(time, axis=0).max() > 10 * np.ptp(time, axis=0).min():  # clocks that one axis cannot show
        time, what = (
            (time - time[0]) / np.ptp(time, axis=0),
            f"{trajectory.time_name}, from its start to its end",
        )
    thinned = []
    for axes, name in zip(panels, curves):
        values = series(trajectory, name)
        points = _chosen(values.shape[1])
        if len(points) < values.shape[1]:
            thinned.append(f", {len(points)} of {values.shape[1]} points")
        for k, i in enumerate(points):
            shade = _ink()((k + 1) / len(points))
            axes.plot(time[:, i % time.shape[1]], values[:, i], lw=1.2, color=shade)
        axes.set_title(_label(trajectory, name), fontsize=9)
    _name_axes(figure, what, "")
    return figure, f"{', '.join(curves)} over time{max(thinned, key=len, default='')}"


def _liveliest(trajectory: Trajectory, name: str) -> str:
    value = trajectory[name]
    if isinstance(value, Scalar):
        return name
    return max((f"{name}_{c}" for c in value.COMPONENTS), key=lambda c: _range(series(trajectory, c)))


# -------------------------------------------------------------------- layout

_INK = ("#9ecae1", "#3182bd", "#08306b")


def _ink() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("ink", _INK)


def _grid(count: int, share: bool = True) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure  # without pyplot: no display is needed

    width = count if count <= 3 else int(np.ceil(np.sqrt(count)))
    height = int(np.ceil(count / width))
    size = (5.5, 4.2) if count == 1 else (2.9 * width + 0.6, 2.3 * height + 0.5)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    panels = figure.subplots(height, width, squeeze=False, sharex=share, sharey=share).flatten()
    for axes in panels:
        axes.grid(color="0.92", lw=0.6)
        axes.axhline(0, color="0.8", lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.ticklabel_format(style="sci", scilimits=(-3, 5))
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, list(panels[:count])


def _name_axes(figure: Any, x: str, y: str) -> None:
    figure.supxlabel(x, fontsize=10)
    if y:
        figure.supylabel(y, fontsize=10)


def _chosen(count: int) -> list[int]:
    """All of ``count`` points, or nine of them at equal distances."""
    return list(dict.fromkeys(np.linspace(0, count - 1, min(count, MOST)).round().astype(int).tolist()))


def _wide(values: np.ndarray, trajectory: Trajectory) -> np.ndarray:
    return np.broadcast_to(values, (len(values), max(values.shape[1], trajectory.batch.numel())))


def _point(trajectory: Trajectory, i: int) -> str:
    batch = tuple(trajectory.batch)
    sites = max(1, int(np.prod(batch)))
    if i >= sites or not batch:
        return f"{i}"
    index = np.unravel_index(i, batch)
    return f"point {', '.join(str(int(k)) for k in index)}"


def _unit(trajectory: Trajectory, name: str) -> str:
    declared = trajectory.origin.declared.get(name)
    return declared.unit if declared else ""


def _label(trajectory: Trajectory, name: str) -> str:
    base, _, component = name.rpartition("_")
    if name in trajectory:
        base, component = name, ""
    unit = _unit(trajectory, base)
    words = f"{base.replace('_', ' ')} {component}".strip()
    return f"{words} [{unit}]" if unit and unit not in words.split() else words
