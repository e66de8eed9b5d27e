"""How a history looks: as a table, as a figure, and with sparklines in a notebook."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neml2.drivers.control.control import Control
from neml2.drivers.histories.given import as_data
from neml2.drivers.histories.history import History
from neml2.drivers.histories.segments import Stretch
from neml2.drivers.results.layout import to_disk
from neml2.html import Markup, card, details, element, sparkline
from neml2.html import table as html_table
from neml2.registry import listing
from neml2.types import TensorWrapper
from neml2.types.shapes import broadcast_shapes

_MOST_SEGMENTS = 12  # in a table; the first and the last of more
_MOST_LINES = 20  # of a batch in a picture; more cannot be told apart


@dataclass(frozen=True)
class Series:
    """A prescribed number over the rows, ``(n, points)``; NaN where it is known only in the run."""

    name: str
    values: np.ndarray


def series(history: History) -> list[Series]:
    """Everything that a history prescribes, but for stresses that are zero throughout."""
    found = []
    if history.control is not None:
        found += list(_controlled(history.control))
    for name, value in history.prescribed.items():
        if isinstance(value, TensorWrapper):
            data = to_disk(value)
            labels = [f"{name}.{c}" for c in value.COMPONENTS] if value.BASE_NDIM else [name]
            data = data if value.BASE_NDIM else data.unsqueeze(-1)
        else:
            data, labels = as_data(value, name).detach().unsqueeze(-1), [name]
        for i, label in enumerate(labels):
            found.append(Series(label, _points(data[..., i])))
    return found


def table(history: History) -> str:
    """What ``print(history)`` shows."""
    lines = [f"History: {_extent(history)}"]
    cells = [("rows", "duration", "name", "control"), *_rows(history)]
    if len(cells) > 1:
        widths = [max(len(c[i]) for c in cells) for i in range(3)]
        for row in cells:
            lines.append(
                "  " + "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[3]]).rstrip()
            )
    lines += [f"  {s.name}: {_range(s.values)}" for s in series(history.replace(control=None))]
    lines += [f"  {n}: {_constant(v)} (constant)" for n, v in history.constant.items()]
    if history.initial:
        lines.append(f"  initial values of {listing(history.initial)}")
    return "\n".join(lines)


def html(history: History) -> Markup:
    """The table for a notebook, with a sparkline of everything that is prescribed."""
    time = _points(history.time)
    rows = []
    for one in series(history):
        lines = range(min(one.values.shape[1], _MOST_LINES))
        curves = [(time[:, i % time.shape[1]], one.values[:, i]) for i in lines]
        rows.append((element("code", one.name), _range(one.values), sparkline(curves, one.name)))
    return card(
        details(f"History: {_extent(history)}", element("pre", table(history))), html_table(rows, numbers=[1])
    )


def plot(history: History, path: str | os.PathLike[str] | None = None) -> Any:
    """See :meth:`History.plot`."""
    if path is None:
        import matplotlib.pyplot as plt

        new: Any = plt.figure
    else:
        from matplotlib.figure import Figure  # without pyplot: no display is needed and nothing is left open

        new = Figure
    shown = series(history)
    if not shown:
        raise ValueError("the history prescribes nothing that varies, so there is nothing to draw")
    figure = new(figsize=(5.0, 0.6 + 1.3 * len(shown)), dpi=150, layout="constrained")
    time = _points(history.time)
    for axes, one in zip(
        figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0], shown, strict=True
    ):
        for i in range(min(one.values.shape[1], _MOST_LINES)):
            lone = np.isfinite(one.values[:, i]).sum() < 2  # a line of one point would not be seen
            axes.plot(time[:, i % time.shape[1]], one.values[:, i], lw=1.1, marker="." if lone else "")
        axes.set_ylabel(one.name)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("time")
    if path is not None:
        figure.savefig(path)
    return figure


def _controlled(control: Control) -> Iterator[Series]:
    whole = (len(control), *control.batch, control.components)
    x = {n: v.detach().expand(whole) for n, v in control.arrays().items()}
    known = x["target"].masked_fill(x["carry"] != 0, math.nan)
    kinds = {
        control.strain_name: x["stress_weight"] == 0,
        "stress": x["strain_weight"] == 0,
        "follow_up": (x["stress_weight"] != 0) & (x["strain_weight"] != 0),
    }
    for kind, chosen in kinds.items():
        for i, label in enumerate(control.labels):
            here = chosen[..., i]
            values = known[..., i].masked_fill(~here, math.nan)
            if bool(here.any()) and not (kind == "stress" and bool((values[here] == 0).all())):
                yield Series(f"{kind}.{label}", _points(values))


def _extent(history: History) -> str:
    time = history.time.detach()
    batch = history.time.shape[1:] if history.control is None else history.control.batch
    batch = broadcast_shapes(batch, history.time.shape[1:])
    of = f", batch {tuple(batch)}" if batch else ""
    return f"{len(history)} rows, time {_range(_points(time))}{of}"


def _rows(history: History) -> Iterator[tuple[str, str, str, str]]:
    if history.control is None:
        return
    stretches = history.segments or (Stretch(1, len(history) - 1),)
    left_out = range(_MOST_SEGMENTS - 2, len(stretches) - 2) if len(stretches) > _MOST_SEGMENTS else range(0)
    for i, s in enumerate(stretches):
        if i in left_out:
            if i == left_out.start:
                yield "...", "", "", f"{len(left_out)} more segments"
            continue
        time = history.time.detach()
        duration = _points((time[s.last] - time[s.first - 1])[None])
        until = "" if s.until is None else f", until {s.until}"
        yield f"{s.first}-{s.last}", _range(duration), s.name, _goes(history.control, s) + until


def _goes(control: Control, s: Stretch) -> str:
    """Where the components go in a segment."""
    whole = (len(control), *control.batch, control.components)
    x = {n: v.detach().expand(whole) for n, v in control.arrays().items()}
    said = []
    for i, label in enumerate(control.labels):
        rows = slice(s.first, s.last + 1)
        target, carry = x["target"][rows, ..., i], x["carry"][rows, ..., i]
        spring = bool(x["stress_weight"][s.last, ..., i].any())
        strain = bool(x["strain_weight"][s.last, ..., i].any())
        kind = "follow_up" if spring and strain else control.strain_name if strain else "stress"
        if kind == "stress" and not carry.any() and not target.any():
            continue  # free of stress
        if bool((carry == 1).all()) and not target.any():
            said.append(f"{kind}.{label} held")
        elif bool((target == target[-1]).all()) and not carry.any():
            said.append(f"{kind}.{label} at {_range(_points(target[-1:]))}")
        elif not carry.any() and not _one_way(target):
            said.append(f"{kind}.{label} within {_range(_points(target))}")
        else:
            said.append(f"{kind}.{label} to {_range(_points(target[-1:]))}")
    return ", ".join(said) or "free of stress"


def _one_way(values: torch.Tensor) -> bool:
    """Whether values ``(n, *batch)`` do not turn back."""
    steps = values.diff(dim=0)
    return bool(((steps >= 0).all(0) | (steps <= 0).all(0)).all())


def _points(values: torch.Tensor) -> np.ndarray:
    return values.detach().to(torch.float64).cpu().numpy().reshape(len(values), -1)


def _range(values: np.ndarray) -> str:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return "known in the run"
    low, high = float(finite.min()), float(finite.max())
    return f"{low:g}" if low == high else f"{low:g}..{high:g}"


def _constant(value: Any) -> str:
    return _range(_points(as_data(value, "")[None]))
