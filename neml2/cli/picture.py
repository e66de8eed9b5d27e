"""The picture of `neml2-run --plot`: loops of stress and strain if there are any, else results over time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neml2.drivers.files.hdf5 import replacing
from neml2.drivers.pictures import drawing
from neml2.drivers.pictures.curves import curves, point_name, rows_that_count
from neml2.drivers.pictures.cycles import loop, spread
from neml2.types import Scalar

if TYPE_CHECKING:
    from neml2.drivers import Trajectory

MOST = 9  # panels, and lines in a panel: what one page can show and an eye can follow


def draw(trajectory: Trajectory, path: str | os.PathLike[str]) -> str:
    """Draw ``trajectory`` into the file ``path``; returns what is to be seen, in words."""
    pair = loop(trajectory)
    figure, what = _loops(trajectory, *pair) if pair else _courses(trajectory)
    write(figure, path)
    return what


def write(figure: Any, path: str | os.PathLike[str]) -> None:
    """Save a figure in the format of the file's ending; an old file is replaced at the very end."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix.lstrip(".").lower())


def check_kind(path: str | os.PathLike[str]) -> None:
    """:class:`ValueError` unless the ending of ``path`` is that of a format which matplotlib can write."""
    from matplotlib.backend_bases import FigureCanvasBase

    if Path(path).suffix.lstrip(".").lower() not in FigureCanvasBase.get_supported_filetypes():
        raise ValueError(f"cannot draw into '{path}'; end its name in .png, .pdf or .svg")


def _loops(trajectory: Trajectory, x: str, y: str) -> tuple[Any, str]:
    """A panel for every point, the line darkening with time."""
    from matplotlib.collections import LineCollection

    across, up = curves(trajectory, x), curves(trajectory, y)
    sites = max(across.values.shape[2], up.values.shape[2])
    both = np.broadcast_arrays(across.values, up.values)
    horizontal, vertical = (values.reshape(len(trajectory), -1) for values in both)  # (row, line)
    points = _chosen(horizontal.shape[1])
    counts = rows_that_count(trajectory)
    figure, panels = _grid(len(points))
    ink = drawing.shades([0, 1])
    for axes, i in zip(panels, points):
        rows = counts[:, i // sites]
        corners = np.stack([horizontal[rows, i], vertical[rows, i]], axis=-1)  # (row, 2)
        pieces = np.stack([corners[:-1], corners[1:]], axis=1)
        shade = np.linspace(0, 1, len(pieces))
        axes.add_collection(
            LineCollection(list(pieces), array=shade, cmap=ink.cmap, norm=ink.norm, linewidth=1.3)
        )
        axes.plot(*corners[-1], "o", ms=3, color=drawing.INK[-1])
        axes.autoscale_view()
        if len(points) > 1:
            axes.set_title(point_name(trajectory, i // sites), fontsize=8, color="0.35")
    figure.supxlabel(across.label, fontsize=10)
    figure.supylabel(up.label, fontsize=10)
    shown = "" if len(points) == horizontal.shape[1] else f", {len(points)} of {horizontal.shape[1]} points"
    return figure, f"{y} over {x}{shown}, darker with time"


def _courses(trajectory: Trajectory) -> tuple[Any, str]:
    """A panel for every result, over time; of a tensor the component that changes most."""
    names = [_liveliest(trajectory, n) for n in trajectory.outputs] or [
        _liveliest(trajectory, n) for n in trajectory.forces
    ]
    names = sorted(names, key=lambda n: spread(trajectory, n) == 0)[:MOST]
    figure, panels = _grid(len(names), share=False)
    clock = curves(trajectory, "time")
    time, what = clock.values[..., 0], clock.label  # (row, points)
    if np.ptp(time, axis=0).max() > 10 * np.ptp(time, axis=0).min():  # clocks that one axis cannot show
        time, what = (time - time[0]) / np.ptp(time, axis=0), "time, from its start to its end"
    counts = rows_that_count(trajectory)
    thinned = []
    for axes, name in zip(panels, names):
        curve = curves(trajectory, name)
        sites = curve.values.shape[2]
        values = curve.values.reshape(len(trajectory), -1)  # (row, line)
        points = _chosen(values.shape[1])
        if len(points) < values.shape[1]:
            thinned.append(f", {len(points)} of {values.shape[1]} points")
        ink = drawing.shades([-len(points), -1])  # the last is the darkest, and the only one too
        for k, i in enumerate(points):
            rows = counts[:, i // sites]
            axes.plot(time[rows, i // sites], values[rows, i], lw=1.2, color=ink.to_rgba(k - len(points)))
        axes.set_title(curve.label, fontsize=9)
    figure.supxlabel(what, fontsize=10)
    return figure, f"{', '.join(names)} over time{max(thinned, key=len, default='')}"


def _liveliest(trajectory: Trajectory, name: str) -> str:
    value = trajectory[name]
    if isinstance(value, Scalar):
        return name
    return max((f"{name}.{c}" for c in value.COMPONENTS), key=lambda c: spread(trajectory, c))


# -------------------------------------------------------------------- layout


def _grid(count: int, share: bool = True) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure  # without pyplot: no display is needed

    width = count if count <= 3 else int(np.ceil(np.sqrt(count)))
    height = int(np.ceil(count / width))
    size = (4.6, 3.5) if count == 1 else (2.6 * width + 0.6, 2.1 * height + 0.5)
    figure = Figure(figsize=size, dpi=200, layout="constrained")
    panels = figure.subplots(height, width, squeeze=False, sharex=share, sharey=share).flatten()
    for axes in panels:
        drawing.dress(axes, small=count > 1)
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, list(panels[:count])


def _chosen(count: int) -> list[int]:
    """All of ``count`` lines, or nine of them at equal distances."""
    return drawing.at_equal_distances(count, MOST)
