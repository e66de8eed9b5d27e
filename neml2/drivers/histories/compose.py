"""Segments as a history: rows, clocks, and for every component what is known of it beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from neml2.drivers.control.control import LABELS, Control
from neml2.drivers.histories.given import as_data
from neml2.drivers.histories.history import History
from neml2.drivers.histories.segments import (
    HOLD,
    Along,
    FollowUp,
    Segment,
    Stretch,
    check_component,
    number,
    positive,
)
from neml2.registry import did_you_mean, listing
from neml2.types import Scalar, TensorWrapper
from neml2.types.shapes import broadcast_shapes

Kind = str | FollowUp  # of control: "stress", "strain", or a spring


def compose(
    segments: Iterable[Segment],
    *,
    start: Mapping[str, Any] | None = None,
    initial: Mapping[str, Any] | None = None,
    constant: Mapping[str, Any] | None = None,
) -> History:
    """The history of a test; see :meth:`History.from_segments`."""
    given = list(segments)
    wrong = next((s for s in given if not isinstance(s, Segment)), None)
    if wrong is not None or not given:
        what = "no segments" if wrong is None else f"a {type(wrong).__name__} among its segments"
        raise TypeError(f"a history has {what}; give a list of Segment")
    composer = _Composer(given, dict(start or {}))
    for segment in given:
        composer.add(segment)
    return composer.history(initial, constant)


class _Composer:
    """Goes through the segments and keeps what is known of every component at the end of the last one."""

    def __init__(self, segments: list[Segment], start: dict[str, Any]) -> None:
        nine = any(s.deformation_gradient for s in segments)
        if nine and any(s.strain for s in segments):
            raise ValueError(
                "some segments prescribe strain and others deformation_gradient; give the one that the model"
                " is driven by in all of them"
            )
        self.labels = LABELS[9 if nine else 6]
        self.strain_name = "deformation_gradient" if nine else "strain"
        self.controlled = nine or any(s.strain or s.stress or s.follow_up for s in segments)
        self.parts = {c: _Component(c, nine) for c in self.labels}
        self.forces: dict[str, _Force] = {}
        self._begin(start)
        wanted = dict.fromkeys(n for s in segments for n in s.forces)
        for name in wanted:
            if name not in self.forces:
                raise ValueError(
                    f"the force '{name}' has no value to start from{did_you_mean(name, self.forces)}; give"
                    f" start={{'{name}': ...}}, or constant={{'{name}': ...}} if it does not change"
                )
        self.row = 0
        self.times = [torch.zeros(1, dtype=torch.float64)]
        self.anchors = [0]
        self.cycles = [segments[0].cycle]
        self.stretches: list[Stretch] = []

    def _begin(self, start: dict[str, Any]) -> None:
        for name, value in start.items():
            kind, dot, component = name.partition(".")
            if dot and kind in ("strain", "stress", "deformation_gradient"):
                if kind not in (self.strain_name, "stress"):
                    raise ValueError(
                        f"start gives '{name}' but the segments prescribe {self.strain_name}; give that"
                    )
                check_component(component, f"the {kind} at the start", self.labels)
                known = self.parts[component].known
                known["stress" if kind == "stress" else "strain"] = number(value, f"start '{name}'")
            elif dot:
                near = did_you_mean(kind, ("strain", "stress", "deformation_gradient"))
                raise ValueError(
                    f"start gives '{name}', which is no component and no force{near}; name components as"
                    " 'strain.xx'"
                )
            else:
                self.forces[name] = _Force(name, value)

    def add(self, segment: Segment) -> None:
        """Append the rows of one segment."""
        said = self._said(segment)
        for name in segment.stress:
            check_component(name, "stress", self.labels)
        fractions = segment.fractions()
        duration = self._duration(segment, said)
        begin, duration = torch.broadcast_tensors(self.times[-1][-1], duration)
        self.times.append(begin + lead(fractions, begin.ndim) * duration)
        for component, part in self.parts.items():
            part.go(said.get(component), fractions, segment.until is not None)
        for name, force in self.forces.items():
            force.go(segment.forces.get(name, HOLD), fractions, segment.until is not None)
        self.anchors += [self.row] * segment.rows
        self.cycles += [segment.cycle] * segment.rows
        held = tuple(c for c, part in self.parts.items() if part.held)
        first, self.row = self.row + 1, self.row + segment.rows
        self.stretches.append(Stretch(first, self.row, segment.name, segment.until, held))

    def _said(self, segment: Segment) -> dict[str, tuple[Kind, Any]]:
        """Kind of control and aim of the components that the segment speaks of, or decides on."""
        said: dict[str, tuple[Kind, Any]] = {c: ("stress", v) for c, v in segment.stress.items()}
        said |= {c: ("strain", v) for c, v in {**segment.strain, **segment.deformation_gradient}.items()}
        for c, v in segment.follow_up.items():
            spring = v if isinstance(v, FollowUp) else FollowUp(v)
            said[c] = (spring, spring.to)
        if len(self.labels) == 9:
            for c in ("xy", "xz", "yz"):
                pair = (c, c[::-1])
                if all(said.get(p, ("",))[0] == "stress" for p in pair):
                    raise ValueError(
                        f"the stresses {c} and {c[::-1]} are one and the same; prescribe one of them, and the"
                        " deformation gradient of the other"
                    )
                for a, b in (pair, pair[::-1]):
                    if a in said and b not in said:
                        said[b] = ("strain", HOLD)
        return said

    def _duration(self, segment: Segment, said: Mapping[str, tuple[Any, Any]]) -> torch.Tensor:
        if segment.duration is not None:
            return number(segment.duration, "the duration of a segment")
        ((name, rate),) = segment.rate.items()
        if name in self.labels:
            kind, end = said.get(name, ("stress", HOLD))
            begin = self.parts[name].value(kind)
        elif name in self.forces:
            begin, end = self.forces[name].value, segment.forces.get(name, HOLD)
        else:
            known = [*self.labels, *self.forces]
            raise ValueError(
                f"a segment has a rate of '{name}'{did_you_mean(name, known)} (there are {listing(known)})"
            )
        if end is HOLD or isinstance(end, Along):
            raise ValueError(
                f"a segment has a rate of '{name}' but says not where it goes; give its final value, or a"
                " duration"
            )
        if begin is None:
            raise ValueError(
                f"a segment has a rate of '{name}', whose value at its beginning is known only in the run;"
                " give a duration instead"
            )
        what = f"the rate of '{name}'"
        duration = (number(end, what) - begin).abs() / positive(number(rate, what).abs(), what)
        if not (duration > 0).all():
            raise ValueError(
                f"a segment has a rate of '{name}', which does not move in it; give a duration instead"
            )
        return duration

    def history(self, initial: Any, constant: Any) -> History:
        """All rows together."""
        columns = [part.columns() for part in self.parts.values()]
        control = None
        if self.controlled:
            rank = max(x.ndim for column in columns for x in column.values())
            arrays = {n: _stack([c[n] for c in columns], rank) for n in columns[0]}
            control = Control(**arrays, anchor=torch.tensor(self.anchors))
        return History(
            join(self.times),
            {n: f.rows() for n, f in self.forces.items()},
            initial=initial,
            constant=constant,
            control=control,
            cycle=torch.tensor(self.cycles) if any(self.cycles) else None,
            segments=self.stretches,
        )


class _Component:
    """One component of stress and strain: what controls it, and which of its values are known."""

    def __init__(self, name: str, nine: bool) -> None:
        self.name = name
        self.kind: Kind = "strain" if nine and name in ("yx", "zx", "zy") else "stress"
        zero = torch.zeros((), dtype=torch.float64)
        self.known: dict[Any, torch.Tensor] = {
            "stress": zero,
            "strain": zero + float(nine and name[0] == name[1]),
        }
        self.held = False  # whether it has been told to stay, and nothing else since
        self.pieces: list[dict[str, torch.Tensor]] = []

    def go(self, said: tuple[Kind, Any] | None, fractions: torch.Tensor, early: bool) -> None:
        """Append the rows of a segment; ``early`` if it may end before its last row."""
        if said:
            self.held = said[1] is HOLD
        self.kind, aim = said or (self.kind, HOLD)
        begin = self.value(self.kind)
        target, carry, end = _course(begin, aim, fractions, f"{_named(self.kind)} {self.name}")
        weights = _weights(self.kind)
        if not self.pieces:  # row 0 is not solved; it reads as where the first segment starts from
            at = torch.zeros_like(target[0]) if begin is None else begin
            self._append(weights, at[None], torch.zeros_like(carry[:1]))
        self._append(weights, target, carry)
        if early and (begin is None or not (target == begin).all()):
            end = None
        self.known = {} if end is None else {_key(self.kind): end}

    def value(self, kind: Kind) -> torch.Tensor | None:
        """The value of what ``kind`` controls, if it is known beforehand."""
        if isinstance(kind, FollowUp) and {"stress", "strain"} <= self.known.keys():
            stress, strain = _weights(kind)
            return stress * self.known["stress"] + strain * self.known["strain"]
        return self.known.get(_key(kind))

    def _append(
        self, weights: tuple[torch.Tensor, torch.Tensor], target: torch.Tensor, carry: torch.Tensor
    ) -> None:
        stress, strain = (w.expand(len(target), *w.shape) for w in weights)
        self.pieces.append(
            {"stress_weight": stress, "strain_weight": strain, "target": target, "carry": carry}
        )

    def columns(self) -> dict[str, torch.Tensor]:
        """The arrays of a :class:`Control` for this component, ``(n, *batch)``."""
        return {n: join([piece[n] for piece in self.pieces]) for n in self.pieces[0]}


class _Force:
    """A prescribed variable, whose value is always known."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.like = value if isinstance(value, TensorWrapper) else None
        self.value: torch.Tensor | None = self._data(value)
        self.pieces = [self._data(value)[None]]

    def _data(self, value: Any) -> torch.Tensor:
        if isinstance(value, TensorWrapper) and type(value) is not type(self.like):
            kind = "plain number" if self.like is None else type(self.like).__name__
            raise TypeError(
                f"the force '{self.name}' starts as a {kind} and goes to a {type(value).__name__}; give one"
                " type"
            )
        return number(value, f"the force '{self.name}'")

    def go(self, aim: Any, fractions: torch.Tensor, early: bool) -> None:
        """Append the rows of a segment; ``early`` if it may end before its last row."""
        if self.value is None and not isinstance(aim, Along):
            raise ValueError(
                f"the force '{self.name}' moves in a segment that may end early, so that where it goes on"
                " from is not known; hold it in segments with until"
            )
        aim = aim if aim is HOLD or isinstance(aim, Along) else self._data(aim)
        values, _, end = _course(self.value, aim, fractions, f"the force '{self.name}'")
        moves = self.value is None or not torch.equal(values, self.value.expand_as(values))
        self.value = None if early and moves else end
        self.pieces.append(values)

    def rows(self) -> TensorWrapper:
        """The values of all rows, ``(n, *batch, *base)``; numbers are Scalars."""
        data = join(self.pieces)
        return Scalar(data) if self.like is None else self.like._new(data, self.like.sub_batch_ndim)


def _course(
    begin: torch.Tensor | None, aim: Any, fractions: torch.Tensor, what: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Target and carry of the rows of a segment, ``(rows, *batch)``, and the value at its end if known."""
    if aim is HOLD:
        carry = torch.full_like(fractions, float(begin is None))
        if begin is None:
            return torch.zeros_like(fractions), carry, None
        return begin.expand(len(fractions), *begin.shape), carry, begin
    if isinstance(aim, Along):
        values = aim.at(fractions, what)
        return values, torch.zeros_like(fractions), values[-1]
    end = number(aim, what)
    if begin is None:
        parts = lead(fractions, end.ndim)
        return parts * end, 1 - fractions, end
    begin, end = torch.broadcast_tensors(begin, end)
    return torch.lerp(begin, end, lead(fractions, end.ndim)), torch.zeros_like(fractions), end  # exact at 1


def _weights(kind: Kind) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights of stress and strain in the condition, ``(*batch)``."""
    one = torch.ones((), dtype=torch.float64)
    if isinstance(kind, FollowUp):
        stiffness = as_data(kind.stiffness, "the stiffness of a follow-up").to(torch.float64)
        if not (stiffness > 0).all():
            raise ValueError(f"a follow-up has the stiffness {float(stiffness.min()):g}; it must be positive")
        return 1 / stiffness, one
    return (one, 0 * one) if kind == "stress" else (0 * one, one)


def _key(kind: Kind) -> Any:
    """What two segments must have in common for a component to be under the same control."""
    if isinstance(kind, FollowUp):
        return kind.stiffness if isinstance(kind.stiffness, int | float) else id(kind.stiffness)
    return kind


def _named(kind: Kind) -> str:
    return kind if isinstance(kind, str) else "follow_up"


def lead(rows: torch.Tensor, rank: int) -> torch.Tensor:
    """``(n,)`` as ``(n, 1, ..., 1)``, with ``rank`` axes after the first."""
    return rows.reshape(-1, *(1,) * rank)


def aligned(values: torch.Tensor, rank: int) -> torch.Tensor:
    """``(n, *batch)`` with axes of size 1 put in after the first, so that there are ``rank`` of them."""
    return values.reshape(len(values), *(1,) * (rank - values.ndim), *values.shape[1:])


def join(pieces: list[torch.Tensor]) -> torch.Tensor:
    """Rows one after the other, ``(n, *batch)``; the batches of the pieces broadcast."""
    rank = max(p.ndim for p in pieces)
    pieces = [aligned(p, rank) for p in pieces]
    batch = broadcast_shapes(*(p.shape[1:] for p in pieces))
    return torch.cat([p.expand(len(p), *batch) for p in pieces])


def _stack(columns: list[torch.Tensor], rank: int) -> torch.Tensor:
    """Components as a last axis, ``(n, *batch, m)``; the batches broadcast."""
    columns = [aligned(c, rank) for c in columns]
    return torch.stack(torch.broadcast_tensors(*columns), dim=-1)
