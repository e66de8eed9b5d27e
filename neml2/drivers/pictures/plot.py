"""Pictures of a trajectory: any quantity over any other, and the pictures that a test is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neml2.drivers.pictures import drawing
from neml2.drivers.pictures.curves import Curves, curves, point_name, rows_that_count
from neml2.drivers.pictures.cycles import cycle_numbers, extremes, loop, rows_of
from neml2.drivers.trajectory import Path, Trajectory
from neml2.registry import listing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LINES = 50  # more than that nobody can tell apart
_FEW_CYCLES = 6  # so many have a line of the legend each


def plot(
    trajectory: Trajectory,
    x: str,
    y: str,
    path: Path | None = None,
    *,
    ax: Axes | None = None,
    points: Sequence[Any] | None = None,
    label: str | Sequence[str] | None = None,
    band: bool | None = None,
    cycles: Any = None,
    logx: bool = False,
    logy: bool = False,
    **style: Any,
) -> Axes:
    """See :meth:`Trajectory.plot`."""
    lines = _lines(trajectory, curves(trajectory, x), curves(trajectory, y), points)
    return _draw(lines, path, ax, label, band, cycles, logx, logy, style)


def hysteresis(
    trajectory: Trajectory,
    strain: str | None = None,
    stress: str | None = None,
    path: Path | None = None,
    **options: Any,
) -> Axes:
    """Stress over strain with every cycle in a colour of its own, pale to dark.

    Without names the components that do the most work. ``options`` are those of :meth:`Trajectory.plot`.

    Raises :class:`ValueError` where there are no such components.
    """
    found = loop(trajectory) if strain is None or stress is None else None
    if found is None and (strain is None or stress is None):
        raise ValueError(f"which are strain and stress? Name both; there are {listing(trajectory.names, 30)}")
    x, y = found or (strain, stress)
    return plot(trajectory, x, y, path, **{"cycles": True, **options})  # type: ignore[arg-type]


def creep_curve(
    trajectory: Trajectory, strain: str, path: Path | None = None, **options: Any
) -> tuple[Axes, Axes]:
    """A strain over time and, below it on logarithmic axes, its rate; returns both axes."""
    figure, (above, below) = drawing.new_axes(path is None, size=(4.2, 5.2), panels=2)
    plot(trajectory, "time", strain, ax=above, **options)
    plot(trajectory, "time", f"rate({strain})", ax=below, **{"logx": True, "logy": True, **options})
    twice = below.get_legend()
    if twice is not None:
        twice.remove()  # the one above says it already
    if path is not None:
        figure.savefig(path)
    return above, below


def relaxation(
    trajectory: Trajectory, stress: str, path: Path | None = None, *, since: int | None = None, **options: Any
) -> Axes:
    """A stress over the logarithm of the time since row ``since``, or since its largest absolute value."""
    clock = curves(trajectory, "time")
    lines = _lines(trajectory, clock, curves(trajectory, stress), options.pop("points", None))
    rows, count = lines.y.shape
    first = np.abs(np.nan_to_num(lines.y)).argmax(axis=0) if since is None else np.full(count, since)
    elapsed = lines.x - np.take_along_axis(lines.x, first[None], axis=0)
    words = "time since the peak" if since is None else "time in the hold"
    lines = replace(
        lines,
        x=np.where(np.arange(rows)[:, None] > first, elapsed, np.nan),
        across=replace(clock, words=words).label,
    )
    return _draw(lines, path, **{"logx": True, **options})


def stress_range_per_cycle(
    trajectory: Trajectory, stress: str, path: Path | None = None, *, cycles: Any = True, **options: Any
) -> Axes:
    """The largest minus the smallest stress of a cycle over the cycle's number, a line for every point."""
    up = curves(trajectory, stress)
    lines = _lines(trajectory, curves(trajectory, "time"), up, options.pop("points", None))
    numbers, high, low = extremes(lines.y, cycle_numbers(trajectory, cycles, lines.y))
    x = np.broadcast_to(numbers[:, None].astype(float), high.shape)
    lines = replace(
        lines, x=x, y=high - low, across="cycle", up=replace(up, words=f"range of {up.words}").label
    )
    return _draw(lines, path, **{"logx": len(numbers) > 50, "marker": "o", "ms": 3, **options})


# ---------------------------------------------------------------------- lines


@dataclass(frozen=True)
class _Lines:
    """What is drawn: ``x`` and ``y``, ``(rows, lines)``, NaN where a point has ended, and the lines' names.

    ``failed`` are the lines of points that failed, ``across`` and ``up`` the words beside the axes.
    """

    trajectory: Trajectory
    x: np.ndarray
    y: np.ndarray
    names: list[str]
    failed: np.ndarray
    across: str
    up: str


def _lines(trajectory: Trajectory, x: Curves, y: Curves, points: Sequence[Any] | None) -> _Lines:
    """Every chosen point, and every site in it, as a line."""
    chosen = _chosen(trajectory, points)
    try:
        sites = np.broadcast_shapes(x.values.shape[2:], y.values.shape[2:])[0]
    except ValueError:
        raise ValueError(
            f"'{x.name}' has {x.values.shape[2]} sites and '{y.name}' {y.values.shape[2]}; draw each over the"
            " time"
        ) from None
    rows = len(trajectory)
    drawn = rows_that_count(trajectory)[:, chosen, None]
    across, up = (
        np.where(drawn, np.broadcast_to(c.values[:, chosen], (rows, len(chosen), sites)), np.nan).reshape(
            rows, -1
        )
        for c in (x, y)
    )
    names = [
        ", ".join([point_name(trajectory, i)] * (trajectory.batch.numel() > 1) + [f"site {s}"] * (sites > 1))
        for i in chosen
        for s in range(sites)
    ]
    bad = np.zeros(trajectory.batch.numel(), dtype=bool)
    for index, _, _ in trajectory.failures:
        bad[np.ravel_multi_index(index, tuple(trajectory.batch)) if index else 0] = True
    return _Lines(trajectory, across, up, names, np.repeat(bad[chosen], sites), x.label, y.label)


def _chosen(trajectory: Trajectory, points: Sequence[Any] | None) -> np.ndarray:
    """Points by flat number or by index in the batch, as flat numbers."""
    batch, count = tuple(trajectory.batch), trajectory.batch.numel()
    if points is None:
        return np.arange(count)
    found = []
    for p in points:
        index = (
            tuple(p)
            if isinstance(p, tuple | list)
            else np.unravel_index(p, batch)
            if p in range(count)
            else None
        )
        if index is None or len(index) != len(batch) or any(not 0 <= i < n for i, n in zip(index, batch)):
            raise ValueError(
                f"there is no point {p}; the batch is {batch}, so give numbers from 0 to {count - 1}"
            )
        found.append(int(np.ravel_multi_index(index, batch)) if batch else 0)
    return np.array(found, dtype=int)


# ---------------------------------------------------------------------- drawing


def _draw(
    lines: _Lines,
    path: Path | None = None,
    ax: Axes | None = None,
    label: str | Sequence[str] | None = None,
    band: bool | None = None,
    cycles: Any = None,
    logx: bool = False,
    logy: bool = False,
    style: dict[str, Any] | None = None,
    **more: Any,
) -> Axes:
    """As bands, by cycle, or line by line; with notes on what is not to be seen as the title."""
    labels = [label] if isinstance(label, str) else list(label or ())
    count = len(lines.names)
    if len(labels) > 1 and len(labels) != count:
        raise ValueError(
            f"there are {len(labels)} labels for {count} lines; give one for each, or one for all"
        )
    for words, log, values in ((lines.across, logx, lines.x), (lines.up, logy, lines.y)):
        if log and not (values > 0).any():
            raise ValueError(f"'{words}' is nowhere positive; draw it on a linear axis")
    numbers = (
        None
        if cycles is None or cycles is False
        else cycle_numbers(lines.trajectory, cycles, lines.x, lines.y)
    )
    as_band = band or (band is None and count > MOST_LINES and numbers is None)
    bands = drawing.quantiles_over(lines.x, lines.y, logx) if as_band else None
    if band and bands is None:
        raise ValueError(
            f"{lines.across} goes up and down and differs from point to point, so there is no band; draw"
            " lines, or over the time"
        )
    if ax is None:
        _, (ax,) = drawing.new_axes(shown=path is None)
    thin = len(lines.x) > 300  # loops upon loops
    style = {"lw": 0.9 if thin else 1.3, **(style or {}), **more}
    drawing.logarithmic(ax, logx, logy)
    if bands is not None:
        color = style.pop("color", None) or drawing.next_color(ax)
        drawing.band(ax, *bands, color=color, label=labels[0] if labels else "", **style)
        notes = [f"{int(lines.failed.sum()):,} of {count:,} points failed"] if lines.failed.any() else []
    else:
        shown = drawing.at_equal_distances(count, MOST_LINES)
        notes = [f"{len(shown)} of {count:,} points"] if len(shown) < count else []
        if numbers is None:
            _draw_lines(ax, lines, shown, labels, style)
        else:
            notes += _draw_cycles(ax, lines, shown, numbers, labels, style)
        _cross_out(ax, lines, shown)
    ax.set_xlabel(lines.across, fontsize=10)
    ax.set_ylabel(lines.up, fontsize=10)
    if notes:
        ax.set_title(", ".join(notes), fontsize=8.5, color="0.35")
    drawing.legend(ax)
    if path is not None:
        ax.figure.savefig(path)  # type: ignore[union-attr]
    return ax


def _draw_lines(
    ax: Axes, lines: _Lines, shown: Sequence[int], labels: list[str], style: dict[str, Any]
) -> None:
    """Few lines in colours with a legend, many from pale to dark with a bar; one label: one colour."""
    count = len(shown)
    one = "color" in style or len(labels) == 1 or count == 1
    single = style.pop("color", None) or drawing.next_color(ax)
    shades = drawing.shades(shown) if not one and count > drawing.FEW else None
    for k, i in enumerate(shown):
        if len(labels) == len(lines.names):
            words = labels[i]
        elif one:
            words = labels[0] if labels and k == 0 else ""
        else:
            words = lines.names[i] if shades is None else ""
        color = shades.to_rgba(i) if shades is not None else single if one else drawing.next_color(ax)
        ax.plot(lines.x[:, i], lines.y[:, i], color=color, label=words or None, **style)
    if shades is not None and not labels:
        drawing.color_bar(ax, shades, "point" if "site" not in lines.names[0] else "line")


def _draw_cycles(
    ax: Axes,
    lines: _Lines,
    shown: Sequence[int],
    numbers: np.ndarray,
    labels: list[str],
    style: dict[str, Any],
) -> list[str]:
    """Every cycle in its colour, pale to dark; of very many the telling ones. Returns what is left out."""
    every = np.unique(numbers)
    telling = _telling(every)
    shades = drawing.shades(telling)
    prefix = f"{labels[0]}, " if len(labels) == 1 else ""
    for number in telling:
        words = f"{prefix}cycle {number}" if len(telling) <= _FEW_CYCLES else None
        for i in shown:
            rows = rows_of(numbers[:, i], number)
            color = style.get("color", shades.to_rgba(number))
            ax.plot(lines.x[rows, i], lines.y[rows, i], **{**style, "color": color}, label=words)
            words = None
    if len(telling) > _FEW_CYCLES:
        drawing.color_bar(ax, shades, "cycle")
    return [f"{len(telling)} of {len(every):,} cycles"] if len(telling) < len(every) else []


def _telling(numbers: np.ndarray) -> np.ndarray:
    """All cycles; of more than can be told apart the first, second, fifth, tenth, ... and the last."""
    if len(numbers) <= MOST_LINES:
        return numbers
    places = [m * 10**e for e in range(9) for m in (1, 2, 5)]
    return numbers[[p - 1 for p in places if p < len(numbers)] + [len(numbers) - 1]]


def _cross_out(ax: Axes, lines: _Lines, shown: Sequence[int]) -> None:
    """A cross where the line of a point that failed ends."""
    ends = []
    for i in shown:
        rows = np.flatnonzero(np.isfinite(lines.x[:, i]) & np.isfinite(lines.y[:, i]))
        if lines.failed[i] and len(rows):
            ends.append((lines.x[rows[-1], i], lines.y[rows[-1], i]))
    if ends:
        ax.plot(*np.transpose(ends), "x", color="0.15", ms=5, mew=1.1, label="failed", zorder=3)
