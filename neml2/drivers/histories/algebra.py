"""Histories made of one history: scaled, and refined; and what several histories have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch

from neml2.drivers.control.control import Control
from neml2.drivers.histories.compose import aligned, lead
from neml2.drivers.histories.given import as_data
from neml2.drivers.histories.history import History
from neml2.drivers.histories.segments import Stretch, check_component, number
from neml2.registry import did_you_mean, listing
from neml2.types import TensorWrapper


def scale(history: History, factor: Any, names: str | Sequence[str]) -> History:
    """See :meth:`History.scale`."""
    by = number(factor, "the factor")
    control, prescribed, time = history.control, dict(history.prescribed), history.given_time
    chosen = [names] if isinstance(names, str) else list(names)
    kinds = [] if control is None else [control.strain_name, "stress"]
    for name in chosen:
        kind, _, component = name.partition(".")
        if kind in kinds and control is not None:
            if component:
                check_component(component, kind, control.labels)
            control = _scaled(control, by, kind == "stress", component)
        elif name in prescribed:
            prescribed[name] = _times(name, prescribed[name], by)
        elif name == "time":
            time = aligned(history.time, 1 + max(by.ndim, history.time.ndim - 1)) * by
        else:
            known = [*kinds, *prescribed, "time"]
            raise ValueError(
                f"the history has no '{name}' to scale{did_you_mean(name, known)}; it has {listing(known)}"
            )
    return history.replace(time=time, prescribed=prescribed, control=control)


def refine(history: History, k: int) -> History:
    """See :meth:`History.refine`."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"rows are refined by {k!r}; give a whole number from 1 on")

    def finer(rows: torch.Tensor, before: torch.Tensor | None = None) -> torch.Tensor:
        before = rows[:-1] if before is None else before
        parts = lead(torch.arange(1, k + 1, dtype=torch.float64) / k, rows.ndim - 1).to(rows)
        between = torch.lerp(before[:, None], rows[1:, None], parts)  # exact at the rows that were there
        return torch.cat([rows[:1], between.flatten(0, 1)])

    def held(rows: torch.Tensor) -> torch.Tensor:
        return torch.cat([rows[:1], rows[1:].repeat_interleave(k, dim=0)])

    floating = {n: data_of(v, n) for n, v in history.prescribed.items()}
    floating = {n: v if v.is_floating_point() else v.to(torch.float64) for n, v in floating.items()}
    control = history.control
    if control is not None:
        shape = (len(control), *control.batch, control.components)
        whole = control.map(lambda x: x.expand(shape))
        target, carry = _before(whole, history.segments)
        control = Control(
            held(control.stress_weight),
            held(control.strain_weight),
            finer(whole.target, target),
            finer(whole.carry, carry),
            held(control.anchor) * k,
        )
    return history.replace(
        time=finer(history.time.to(torch.float64) if not history.time.is_floating_point() else history.time),
        prescribed={n: like(history.prescribed[n], finer(v)) for n, v in floating.items()},
        control=control,
        lengths=None if history.lengths is None else (history.lengths - 1) * k + 1,
        cycle=None if history.cycle is None else held(history.cycle),
        segments=[replace(s, first=(s.first - 1) * k + 1, last=s.last * k) for s in history.segments],
    )


# -------------------------------------------------------------------- values of several histories


def several(histories: Iterable[History]) -> list[History]:
    """A list of at least one history; :class:`TypeError` for anything else."""
    parts = list(histories)
    wrong = next((p for p in parts if not isinstance(p, History)), None)
    if wrong is not None or not parts:
        what = "no histories" if wrong is None else f"a {type(wrong).__name__}"
        raise TypeError(f"{what} cannot be put together; give History objects")
    return parts


def shared(parts: Sequence[History]) -> tuple[list[str], dict[str, Any]]:
    """Names that vary, and values that are the same constant in all; :class:`ValueError` if names lack."""
    names = [list(dict.fromkeys([*p.prescribed, *p.constant])) for p in parts]
    for i, own in enumerate(names):
        missing = [n for n in names[0] if n not in own] or [n for n in own if n not in names[0]]
        if missing:
            where = f"history {i if missing[0] not in own else 0}"
            raise ValueError(
                f"{where} does not prescribe '{missing[0]}', but another one does; give it in all of them"
            )
    constant = {
        n: v
        for n, v in parts[0].constant.items()
        if all(n in p.constant and same(p.constant[n], v) for p in parts)
    }
    return [n for n in names[0] if n not in constant], constant


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, type and shape included."""
    if a is b:
        return True
    typed = [v for v in (a, b) if isinstance(v, TensorWrapper)]
    if len({(type(v), v.sub_batch_ndim) for v in typed}) > 1 or len(typed) == 1:
        return False
    x, y = data_of(a, ""), data_of(b, "")
    return x.shape == y.shape and bool((x == y).all())


def rows_of(history: History, name: str) -> Any:
    """A prescribed value of all rows; what is constant is repeated."""
    if name in history.prescribed:
        return history.prescribed[name]
    value = history.constant[name]
    data = data_of(value, name)
    return like(value, data.expand(len(history), *data.shape))


def data_of(value: Any, name: str) -> torch.Tensor:
    """The numbers of a typed or plain value."""
    return value.data if isinstance(value, TensorWrapper) else as_data(value, f"'{name}'")


def like(value: Any, data: torch.Tensor) -> Any:
    """``data`` with the type of ``value``."""
    return type(value)._new(data, value.sub_batch_ndim) if isinstance(value, TensorWrapper) else data


def _times(name: str, value: Any, factor: torch.Tensor) -> Any:
    """Rows of a variable times a factor ``(*batch)``."""
    data = data_of(value, name)
    if not factor.ndim:
        return like(value, data * factor)
    if not isinstance(value, TensorWrapper):
        raise ValueError(
            f"'{name}' is a plain array, of which the batch axes are not known; give a typed tensor"
        )
    tail = value.sub_batch_ndim + value.BASE_NDIM
    rank = max(factor.ndim, data.ndim - 1 - tail)
    factor = factor.reshape(*factor.shape, *(1,) * tail)
    data = data.reshape(len(data), *(1,) * (1 + rank + tail - data.ndim), *data.shape[1:])
    return like(value, data * factor)


# -------------------------------------------------------------------- controls


def lost(control: Control, stretch: Stretch) -> torch.Tensor:
    """Components whose value after a stretch is not known, because it may end early and they move in it."""
    if stretch.until is None:
        return torch.zeros(control.components, dtype=torch.bool)
    moves = torch.zeros((), dtype=torch.bool)
    for x in control.arrays().values():
        rows = x[stretch.first - 1 : stretch.last + 1]
        moves = moves | (rows != rows[:1]).any(0)
    return moves


def _scaled(control: Control, by: torch.Tensor, stress: bool, component: str) -> Control:
    """Targets of strains (or stresses) times ``by``; of a deformation gradient, what differs from one."""
    rank = 2 + max(by.ndim, len(control.batch))
    x = {n: aligned(v, rank) for n, v in control.arrays().items()}
    chosen = (x["strain_weight"] == 0) if stress else (x["strain_weight"] != 0)
    if component:
        chosen = chosen & (torch.arange(control.components) == control.labels.index(component))
    by = by.unsqueeze(-1)
    one = torch.tensor([float(control.components == 9 and c[0] == c[1]) for c in control.labels])
    rest = 0.0 if stress else one.to(by) * (1 - by) * (1 - x["carry"])  # what is carried has its own
    x["target"] = torch.where(chosen, by * x["target"] + rest, x["target"])
    return Control(**x, anchor=control.anchor)


def _before(control: Control, segments: Sequence[Stretch]) -> tuple[torch.Tensor, torch.Tensor]:
    """Target and carry that every row but the first begins from, in its own terms, ``(n - 1, *batch, m)``."""
    rows = torch.arange(1, len(control)).reshape(-1, *(1,) * (control.target.ndim - 1))
    fresh = control.anchor[1:].reshape(rows.shape) == rows - 1  # control begins anew with this row
    known = (control.carry[:-1] == 0) & (control.carry[1:] == 0)
    for w in (control.stress_weight, control.strain_weight):
        known = known & (w[:-1] == w[1:])
    for s in segments:
        known = known & ~(lost(control, s) & (rows == s.last + 1))
    known = known | ~fresh
    zero, one = control.target.new_zeros(()), control.carry.new_ones(())
    return torch.where(known, control.target[:-1], zero), torch.where(known, control.carry[:-1], one)
