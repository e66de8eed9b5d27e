"""HTML for notebooks: escaped elements, tables, collapsible parts and small line drawings.

Everything that is not :class:`Markup` is escaped. Nothing is loaded from elsewhere, and colours follow those
of the page, light or dark.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

# Only what the surrounding page decides is inherited: text in its colour, lines as a share of it.
_STYLE = """\
.neml2{font-size:13px;line-height:1.45}
.neml2 table{border-collapse:collapse;margin:.3em 0;border:0;color:inherit;font:inherit}
.neml2 th,.neml2 td{padding:1px 10px 1px 0;text-align:left;vertical-align:top;border:0;background:none}
.neml2 th{font-weight:600;border-bottom:1px solid color-mix(in srgb,currentColor 30%,transparent)}
.neml2 td.number,.neml2 th.number{text-align:right;font-variant-numeric:tabular-nums}
.neml2 code{background:none;color:inherit;padding:0}
.neml2 .quiet{opacity:.65}
.neml2 details{margin-left:1em}
.neml2 summary{margin-left:-1em;cursor:pointer}
.neml2 svg{display:block;margin:.4em 0;overflow:visible}"""

_MOST_CORNERS = 800  # of a line that is some 200 pixels wide


class Markup(str):
    """Text that is HTML already; every other text is escaped when it becomes part of an element."""


def element(tag: str, *content: Any, **attributes: Any) -> Markup:
    """``<tag name="...">content</tag>``; ``class_`` is ``class``, and ``stroke_width`` ``stroke-width``.

    ``None`` among the content or the attributes is left out.
    """
    words = [
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    ]
    return Markup(f"<{tag}{''.join(words)}>{joined(content)}</{tag}>")


def joined(parts: Iterable[Any], between: str = "") -> Markup:
    """Parts one after the other, escaped where they are not :class:`Markup`."""
    return Markup(between.join(escaped(p) for p in parts if p is not None))


def escaped(part: Any) -> Markup:
    """A part as HTML: itself if it is :class:`Markup`, else its text with ``< > &`` and quotes escaped."""
    return part if isinstance(part, Markup) else Markup(html.escape(str(part)))


def table(rows: Sequence[Sequence[Any]], head: Sequence[Any] = (), numbers: Iterable[int] = ()) -> Markup:
    """A table with the columns ``numbers`` aligned right; columns without any text are left out."""
    right = set(numbers)
    width = max((len(row) for row in rows), default=0)
    kept = [i for i in range(width) if any(i < len(row) and str(row[i]) for row in rows)]

    def line(cells: Sequence[Any], tag: str) -> Markup:
        return element(
            "tr",
            *[
                element(tag, cells[i], class_="number" if i in right else None)
                for i in kept
                if i < len(cells)
            ],
        )

    heading = element("thead", line(head, "th")) if head else None
    return element("table", heading, element("tbody", *[line(row, "td") for row in rows]))


def details(summary: Any, *content: Any, opened: bool = False) -> Markup:
    """A part that opens with a click on its summary."""
    return element("details", element("summary", summary), *content, open="open" if opened else None)


def card(*content: Any) -> Markup:
    """The outermost element of what a ``_repr_html_`` returns."""
    return element("div", element("style", Markup(_STYLE)), *content, class_="neml2")


def sparkline(
    curves: Sequence[tuple[Any, Any]], title: str = "", width: int = 180, height: int = 48
) -> Markup:
    """Curves ``(x, y)``, each two sequences of numbers of one length, as a drawing without axes.

    They share one scale. A gap is left where a number is not finite. Of several curves the later ones are
    drawn fainter.
    """
    pairs = [(np.asarray(x, float).ravel(), np.asarray(y, float).ravel()) for x, y in curves]
    finite = [np.isfinite(x) & np.isfinite(y) for x, y in pairs]
    if not any(f.any() for f in finite):
        return Markup("")
    left, right = _limits([x[f] for (x, _), f in zip(pairs, finite)])
    low, high = _limits([y[f] for (_, y), f in zip(pairs, finite)])
    lines = []
    for k, ((x, y), drawn) in enumerate(zip(pairs, finite)):
        across = 2 + (x - left) / (right - left) * (width - 4)
        down = height - 2 - (y - low) / (high - low) * (height - 4)
        shade = round(1 - 0.6 * k / max(len(pairs) - 1, 1), 2)
        lines += [
            element("polyline", points=" ".join(f"{a:.1f},{b:.1f}" for a, b in corners), stroke_opacity=shade)
            for corners in _pieces(across, down, drawn)
        ]
    return element(
        "svg",
        element("title", title) if title else None,
        *lines,
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {width} {height}",
        fill="none",
        stroke="currentColor",
        stroke_width=1.3,
        stroke_linejoin="round",
        role="img",
    )


def _limits(values: Sequence[np.ndarray]) -> tuple[float, float]:
    """The range of all values; one that is empty is widened, so that a constant lies in the middle."""
    everything = np.concatenate(values)
    low, high = float(everything.min()), float(everything.max())
    if high - low <= 1e-12 * max(abs(low), abs(high)):  # round-off of a constant is no shape
        middle, room = (low + high) / 2, max(abs(low), abs(high)) or 1.0
        return middle - room, middle + room
    return low, high


def _pieces(x: np.ndarray, y: np.ndarray, drawn: np.ndarray) -> list[list[tuple[float, float]]]:
    """The corners of each stretch without a gap.

    Of a stretch with many rows that goes from left to right, first, lowest, highest and last of every few; of
    one that turns, such as loops, its beginning and its end.
    """
    ends = np.flatnonzero(np.diff(np.concatenate([[False], drawn, [False]]).astype(int)))
    found: list[np.ndarray] = []
    for first, last in zip(ends[::2], ends[1::2]):
        rows = np.arange(first, last)
        if len(rows) <= _MOST_CORNERS:
            found.append(rows)
        elif (np.diff(x[rows]) >= 0).all():
            parts = np.array_split(rows, _MOST_CORNERS // 4)
            telling = [[p[0], p[np.argmin(y[p])], p[np.argmax(y[p])], p[-1]] for p in parts]
            found.append(np.unique(telling))
        else:
            found += [rows[: _MOST_CORNERS // 2], rows[-_MOST_CORNERS // 2 :]]
    return [[(float(x[i]), float(y[i])) for i in rows] for rows in found]
