"""Increments of some points of a batch, made and measured, before anybody accepts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from neml2.derivatives import expand_batch
from neml2.drivers.increments.conditions import norm
from neml2.drivers.increments.flat import between, chosen, joined, replaced
from neml2.drivers.increments.increments import Gauge
from neml2.solvers.status import Status
from neml2.step import StateUpdate, StepResult
from neml2.types import TensorWrapper

Values = dict[str, TensorWrapper]
_SEEN = 1 / 3  # rates jump where the loading turns: to be seen, and to lead only where nothing else is
_ENDS = ("outputs", "state", "old", "forces", "rates")  # of an increment


class Advance(Protocol):
    """One step of some points of a batch: :class:`~neml2.StateUpdate`, or its native counterpart."""

    def __call__(
        self, state: Values, forces: Values, old_forces: Values, *, points: torch.Tensor, batch: torch.Size
    ) -> StepResult:
        """All values have the batch ``(points,)``; ``points`` are their indices in ``batch``."""


@dataclass(frozen=True)
class Places:
    """Some points on their way between two rows: what an increment starts from, and where the way goes.

    ``index`` ``(points,)`` counts the points in the flattened batch, ``a`` is the part of the way that they
    have gone; ``start`` and ``end`` are the prescribed values at the two rows, ``span`` is the time between
    them. ``outputs`` and ``rates`` are those of the variables whose error counts.
    """

    index: torch.Tensor
    a: torch.Tensor
    state: Values
    old: Values
    start: Values
    end: Values
    span: torch.Tensor
    outputs: Values
    rates: Values

    def some(self, rows: torch.Tensor) -> Places:
        """Some of them."""
        return Places(
            self.index[rows],
            self.a[rows],
            chosen(self.state, rows),
            chosen(self.old, rows),
            chosen(self.start, rows),
            chosen(self.end, rows),
            self.span[rows],
            chosen(self.outputs, rows),
            chosen(self.rates, rows),
        )


@dataclass(frozen=True)
class Attempt:
    """Increments that have been tried, ``(points,)``.

    ``over`` is the estimated error over what is allowed, ``error`` as it is reported; see
    :meth:`~neml2.drivers.increments.increments.Gauge.error`. ``rates`` are those of the last half.
    """

    outputs: Values
    state: Values
    old: Values
    forces: Values
    status: torch.Tensor
    iterations: torch.Tensor
    over: torch.Tensor
    error: torch.Tensor
    rates: Values

    @property
    def values(self) -> Values:
        """Prescribed values and outputs at the end."""
        return {**self.forces, **self.outputs}

    def some(self, rows: torch.Tensor) -> Attempt:
        """What the increments of some of the points have come to."""
        new: dict[str, Any] = {part: chosen(getattr(self, part), rows) for part in _ENDS}
        return replace(self, **new)

    def with_others(self, to: torch.Tensor, others: Attempt, rows: torch.Tensor) -> Attempt:
        """With the points ``to`` where ``rows`` of ``others`` have come to."""
        new: dict[str, Any] = {
            part: replaced(getattr(self, part), to, getattr(others, part), rows) for part in _ENDS
        }
        return replace(self, **new)


class Attempts:
    """Makes increments: with ``halves`` in two halves, of which the error is estimated where asked."""

    def __init__(
        self, update: StateUpdate, advance: Advance | None, gauge: Gauge, halves: bool, batch: torch.Size
    ) -> None:
        self.update, self.gauge, self.halves, self.batch = update, gauge, halves, batch
        self._advance: Any = advance or update

    def make(self, at: Places, b: torch.Tensor, scales: Mapping[str, torch.Tensor] | None = None) -> Attempt:
        """Increments from where the points are to ``b``; with ``scales`` the error is estimated."""
        update = self.update
        forces, zero = between(at.start, at.end, b), torch.zeros_like(b)
        if not self.halves:
            last = self.solve(at.state, forces, at.old, at.index)
            state, old = update.next_state(at.state, last.outputs), update.next_old_forces(forces, at.old)
            return Attempt(last.outputs, state, old, forces, last.status, last.iterations, zero, zero, {})
        middle = between(at.start, at.end, at.a + 0.5 * (b - at.a))
        whole: StepResult | None = None
        if scales is not None:  # the whole increment and its first half in one call
            state, old = (joined(v, v) for v in (at.state, at.old))
            both = self.solve(state, joined(forces, middle), old, at.index.repeat(2))
            whole, first = _split(both, len(b))
        else:
            first = self.solve(at.state, middle, at.old, at.index)
        state, old = update.next_state(at.state, first.outputs), update.next_old_forces(middle, at.old)
        last = self.solve(state, forces, old, at.index)
        status = torch.where(first.status == Status.CONVERGED, last.status, first.status)
        iterations = first.iterations + last.iterations
        over = error = zero
        half = 0.5 * (b - at.a) * at.span
        if whole is not None and scales is not None:
            status = torch.where(whole.status == Status.CONVERGED, status, whole.status)
            iterations = iterations + whole.iterations
            scales = self.gauge.scales({**forces, **last.outputs}, scales)
            rates = _rates(at.outputs, first.outputs, half)
            over, error = self.gauge.error(
                whole.outputs, last.outputs, scales, zero, _jumps(at.rates, rates, half)
            )
        state, old = update.next_state(state, last.outputs), update.next_old_forces(forces, old)
        ended = _rates({n: first.outputs[n] for n in at.outputs}, last.outputs, half)
        return Attempt(last.outputs, state, old, forces, status, iterations, over, error, ended)

    def solve(self, state: Values, forces: Values, old: Values, index: torch.Tensor) -> StepResult:
        """One step of the points ``index``, whose values these are."""
        found = self._advance(state, forces, old, points=index, batch=self.batch)
        batch = index.shape
        outputs = {
            n: type(v)._new(expand_batch(v, batch).contiguous(), v.sub_batch_ndim)
            for n, v in found.outputs.items()
        }
        status, iterations = found.status.expand(batch), found.iterations.expand(batch)
        return StepResult(found.state, outputs, status, iterations, found.solutions)


def _split(both: StepResult, count: int) -> tuple[StepResult, StepResult]:
    """The first and the last ``count`` points."""
    first, last = (
        StepResult({}, chosen(both.outputs, rows), both.status[rows], both.iterations[rows], both.solutions)
        for rows in (slice(None, count), slice(count, None))
    )
    return first, last


def _rates(before: Values, after: Values, duration: torch.Tensor) -> Values:
    found: Values = {}
    for n, v in before.items():
        t = duration.reshape(-1, *(1,) * (after[n].data.ndim - 1))
        found[n] = type(v)._new((after[n].data - v.data).detach() / t, after[n].sub_batch_ndim)
    return found


def _jumps(before: Values, after: Values, duration: torch.Tensor) -> dict[str, torch.Tensor]:
    """A part of the error of backward Euler by the change of the rate, half of it times the increment."""
    return {n: _SEEN * 0.5 * duration * norm(v, before[n]) for n, v in after.items()}
