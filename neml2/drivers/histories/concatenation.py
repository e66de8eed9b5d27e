"""Histories one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch

from neml2.drivers.control.control import Control
from neml2.drivers.histories.algebra import data_of, like, lost, rows_of, several, shared
from neml2.drivers.histories.compose import aligned, join
from neml2.drivers.histories.history import History
from neml2.drivers.histories.segments import Stretch
from neml2.registry import listing
from neml2.types import TensorWrapper
from neml2.types.shapes import broadcast_shapes

# How far from a straight line a course may be and still be one: decimal numbers from a file are.
_STRAIGHT = 1e-9


def concatenate(histories: Iterable[History]) -> History:
    """See :meth:`History.concatenate`."""
    parts = several(histories)
    for later in parts[1:]:
        if any(v is not parts[0].initial.get(n) for n, v in later.initial.items()):
            raise ValueError(
                "a history that goes on from another one has initial values of its own; leave them out with"
                " history.replace(initial=None)"
            )
    if any(p.lengths is not None for p in parts[:-1]):
        raise ValueError(
            "a padded batch cannot be gone on from, since its points end at different rows; concatenate the"
            " histories first and batch them then"
        )
    offsets = [0]
    for part in parts[:-1]:
        offsets.append(offsets[-1] + len(part) - 1)
    varying, constant = shared(parts)
    cycles = [p.cycle if p.cycle is not None else torch.zeros(len(p), dtype=torch.int64) for p in parts]
    return History(
        _clock(parts),
        {n: _chained(n, [rows_of(p, n) for p in parts]) for n in varying},
        initial=parts[0].initial,
        constant=constant,
        control=_controls(parts, offsets),
        lengths=None if parts[-1].lengths is None else parts[-1].lengths + offsets[-1],
        cycle=join([cycles[0], *(c[1:] for c in cycles[1:])])
        if any(p.cycle is not None for p in parts)
        else None,
        segments=_stretches(parts, offsets),
    )


def repeat(history: History, times: int) -> History:
    """See :meth:`History.repeat`."""
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise ValueError(f"a history is repeated {times!r} times; give a whole number from 1 on")
    cycle = history.cycle if history.cycle is not None else torch.ones(len(history), dtype=torch.int64)
    count = int(cycle.max())
    return concatenate([history.replace(cycle=cycle + count * i) for i in range(times)])


def _clock(parts: Sequence[History]) -> torch.Tensor:
    times = [parts[0].time]
    for later in parts[1:]:
        last, clock = times[-1][-1], (later.time - later.time[0])[1:]
        times.append(last + aligned(clock, 1 + max(last.ndim, clock.ndim - 1)))
    return join(times)


def _chained(name: str, values: Sequence[Any]) -> Any:
    """Rows of one variable, without the first of every later history: there the material goes on."""
    first = values[0]
    if len({type(v) for v in values if isinstance(v, TensorWrapper)}) > 1:
        kinds = listing(dict.fromkeys(type(v).__name__ for v in values))
        raise TypeError(f"'{name}' is of several types in the histories ({kinds}); give one type")
    typed = next((v for v in values if isinstance(v, TensorWrapper)), first)
    rows = [data_of(v, name) for v in values]
    if not isinstance(typed, TensorWrapper) and len({r.ndim for r in rows}) > 1:
        shapes = listing(str(tuple(r.shape)) for r in rows)
        raise ValueError(
            f"'{name}' has the shapes {shapes} in the histories; give typed tensors, or equal ranks"
        )
    return like(typed, join([rows[0], *(r[1:] for r in rows[1:])]))


def _stretches(parts: Sequence[History], offsets: Sequence[int]) -> list[Stretch]:
    if not any(p.segments for p in parts):
        return []
    found = []
    for part, offset in zip(parts, offsets, strict=True):
        own = part.segments or (Stretch(1, len(part) - 1),)
        found += [replace(s, first=s.first + offset, last=s.last + offset) for s in own if s.last >= s.first]
    return found


def _controls(parts: Sequence[History], offsets: Sequence[int]) -> Control | None:
    controls = [p.control for p in parts if p.control is not None]
    if not controls:
        return None
    if len(controls) < len(parts) or len({c.components for c in controls}) > 1:
        raise ValueError(
            "histories with control of strain and stress, of the deformation gradient, and without any cannot"
            " be put together; make them of the same kind"
        )
    done = [controls[0]]
    for i in range(1, len(parts)):
        done.append(_going_on(done[-1], parts[i - 1].segments, parts[i], controls[i]))
    tails = [
        done[0],
        *(Control(**{n: x[1:] for n, x in c.arrays().items()}, anchor=c.anchor[1:]) for c in done[1:]),
    ]
    arrays = {n: join([c.arrays()[n] for c in tails]) for n in done[0].arrays()}
    return Control(**arrays, anchor=torch.cat([c.anchor + o for c, o in zip(tails, offsets, strict=True)]))


def _going_on(last: Control, segments: Sequence[Stretch], later: History, control: Control) -> Control:
    """``control`` with straight lines that begin where ``last``, with its ``segments``, has ended.

    Only what goes straight from the beginning of ``later`` changes, and what is held there; a course that was
    given row by row is absolute. Where the kind of control changes, or the end of ``last`` is known only in
    the run, a line starts from what is reached.
    """
    rank = max(len(control.batch), len(last.batch), later.time.ndim - 1)
    whole = (
        len(control),
        *broadcast_shapes(control.batch, last.batch, later.time.shape[1:]),
        control.components,
    )
    x = {n: aligned(v, rank + 2).expand(whole).clone() for n, v in control.arrays().items()}
    own, end = x["target"].clone(), {n: v[-1] for n, v in last.arrays().items()}
    known = (end["carry"] == 0) & ~(lost(last, segments[-1]) if segments else torch.tensor(False))
    time = aligned(later.time, rank + 1).unsqueeze(-1)  # (n, *batch, 1)
    pending = torch.ones(whole[1:], dtype=torch.bool)  # components that have not moved yet
    for s in later.segments:
        rows = slice(s.first, s.last + 1)
        f = (time[rows] - time[s.first - 1]) / (time[s.last] - time[s.first - 1])
        begin, goal = own[s.first - 1], own[s.last]
        error = (own[rows] - _line(begin, goal, f)).abs()
        straight = (error <= _STRAIGHT * torch.maximum(begin.abs(), goal.abs())).all(0)
        straight = straight & (x["carry"][rows] == 0).all(0) & pending
        held = straight & torch.tensor([c in s.held for c in control.labels])
        for w in ("stress_weight", "strain_weight"):
            known = known & (end[w] == x[w][s.first])
        line = torch.where(known, _line(end["target"], goal, f), f * goal)
        stay = torch.where(known, end["target"], 0.0)
        x["target"][rows] = torch.where(held, stay, torch.where(straight, line, own[rows]))
        unknown = torch.where(held, 1.0, 1 - f)
        x["carry"][rows] = torch.where(straight & ~known, unknown, x["carry"][rows])
        pending = held
        if not bool(pending.any()):
            break
        end = {n: v[s.last] for n, v in x.items()}
        known = (end["carry"] == 0) & ~lost(Control(**x, anchor=control.anchor), s)
    return Control(**x, anchor=control.anchor)


def _line(begin: torch.Tensor, end: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    begin, end = torch.broadcast_tensors(begin, end)
    return torch.lerp(begin, end, f)
