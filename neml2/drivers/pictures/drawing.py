"""How our pictures look: axes, colours that colour-blind readers can tell apart, bands, colour bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design" (2008), without yellow, which is too pale for a line on white
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# even steps of lightness and no yellow: readable in print, in grey, and to colour-blind eyes
INK = ("#f2b56b", "#d1605e", "#7b3b7a", "#1f1b4d")
FEW = len(PALETTE)  # so many curves have a colour and a line of the legend each
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def new_axes(
    shown: bool, size: tuple[float, float] = (4.2, 3.2), panels: int = 1
) -> tuple[Figure, list[Axes]]:
    """A figure as wide as a column, and its panels, one above the other; ``shown``: by pyplot."""
    if shown:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=size, layout="constrained")
    else:
        from matplotlib.figure import Figure  # without pyplot: no display is needed and nothing is left open

        figure = Figure(figsize=size, dpi=200, layout="constrained")
    found = figure.subplots(panels, 1, squeeze=False).flatten()
    for axes in found:
        dress(axes)
    return figure, list(found)


def dress(axes: Axes, small: bool = False) -> None:
    """Two spines, quiet ticks, and thin lines through zero where zero is in view."""
    from matplotlib.collections import LineCollection
    from matplotlib.ticker import MaxNLocator

    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(0.7)
    axes.tick_params(labelsize=8 if small else 8.5, width=0.7, length=3, which="major")
    axes.tick_params(width=0.5, length=1.8, which="minor")
    for axis, most in ((axes.xaxis, 4 if small else 5), (axes.yaxis, 4 if small else 6)):
        axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    axes.ticklabel_format(style="sci", scilimits=(-3, 4), useMathText=True)
    for text in (axes.xaxis.get_offset_text(), axes.yaxis.get_offset_text()):
        text.set_fontsize(8)
    for corners, transform in (
        ([(0, 0), (1, 0)], axes.get_yaxis_transform()),
        ([(0, 0), (0, 1)], axes.get_xaxis_transform()),
    ):
        line = LineCollection([corners], colors="0.85", linewidths=0.7, zorder=0.5, transform=transform)
        axes.add_collection(line, autolim=False)


def logarithmic(axes: Axes, x: bool, y: bool) -> None:
    """Logarithmic axes; what is not positive is left out."""
    if x:
        axes.set_xscale("log", nonpositive="mask")
    if y:
        axes.set_yscale("log", nonpositive="mask")


def next_color(axes: Axes) -> str:
    """The first colour that no line in ``axes`` has; a dark grey after the last."""
    from matplotlib.colors import to_hex

    used = {to_hex(line.get_color()).upper() for line in axes.lines}
    return next((c for c in PALETTE if c.upper() not in used), "0.3")


def shades(numbers: Sequence[float] | np.ndarray) -> Any:
    """Colours of numbers from pale to dark, as a mappable for a colour bar; by decades if they span many."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize

    low, high = float(np.min(numbers)), float(np.max(numbers))
    norm = (
        LogNorm(low, high) if low > 0 and high / low > 50 else Normalize(low if high > low else low - 1, high)
    )
    return ScalarMappable(norm, LinearSegmentedColormap.from_list("ink", INK))


def color_bar(axes: Axes, colors: Any, words: str) -> None:
    """A narrow bar beside ``axes`` with whole numbers."""
    from matplotlib.ticker import LogFormatter, MaxNLocator

    bar = axes.figure.colorbar(colors, ax=axes, aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, width=0.7, length=3)
    bar.set_label(words, fontsize=9)
    if bar.ax.get_yscale() == "log":
        bar.formatter = LogFormatter(minor_thresholds=(2, 0.5))
    else:
        bar.locator = MaxNLocator(integer=True, nbins=6)
    bar.update_ticks()


def legend(axes: Axes) -> None:
    """A legend without a frame, if anything has a label."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8.5, frameon=False, handlelength=1.6)


def band(axes: Axes, x: np.ndarray, quantiles: np.ndarray, color: str, label: str, **style: Any) -> None:
    """The median as a line, the middle half of the points and nine tenths of them as areas.

    ``quantiles`` are those of :data:`QUANTILES`, ``(5, rows)``, over ``x`` ``(rows,)``.
    """
    prefix = f"{label}: " if label else ""
    for outer, alpha, words in ((0, 0.16, "90 % of the points"), (1, 0.28, "half of the points")):
        axes.fill_between(
            x,
            quantiles[outer],
            quantiles[-1 - outer],
            color=color,
            alpha=alpha,
            lw=0,
            label=None if label else words,
        )
    axes.plot(x, quantiles[2], color=color, label=f"{prefix}median", **style)


def at_equal_distances(count: int, most: int) -> list[int]:
    """All of ``count`` things by number, or ``most`` of them from the first to the last."""
    return list(dict.fromkeys(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))


def quantiles_over(x: np.ndarray, y: np.ndarray, log: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
    """A common ``x`` ``(rows,)`` and quantiles of ``y`` over it ``(5, rows)``; ``None`` where there is none.

    ``x`` and ``y`` are ``(rows, lines)``, NaN where a line has ended. Lines with an ``x`` of their own that
    grows are interpolated.
    """
    known = x[np.isfinite(x)]
    if not known.size:
        return None
    common = np.fmax.reduce(x, axis=1)  # NaN where all have ended
    away = np.fmax.reduce(np.abs(x - common[:, None]), axis=None)
    if away <= 1e-9 * np.ptp(known):
        return common, _quantiles(y)
    lines = [(a[np.isfinite(a)], b[np.isfinite(a)]) for a, b in zip(x.T, y.T)]
    if any((np.diff(a) < 0).any() for a, _ in lines):
        return None
    low, high = min(a[0] for a, _ in lines if len(a)), max(a[-1] for a, _ in lines if len(a))
    positive = x[x > 0]
    grid = np.geomspace(positive.min(), high, 400) if log and positive.size else np.linspace(low, high, 400)
    outside = [np.interp(grid, a, b, left=np.nan, right=np.nan) for a, b in lines if len(a)]
    return grid, _quantiles(np.stack(outside, axis=1))


def _quantiles(y: np.ndarray) -> np.ndarray:
    """Of the lines that have a number in a row; NaN in a row where none has."""
    found = np.full((len(QUANTILES), len(y)), np.nan)
    some = np.isfinite(y).any(axis=1)
    found[:, some] = np.nanquantile(y[some], QUANTILES, axis=1)
    return found
