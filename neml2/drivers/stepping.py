"""`Stepping`: a march in which every point chooses its increments between two rows, and stops at events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from neml2.derivatives import expand_batch
from neml2.drivers.binding import Loading
from neml2.drivers.increments import Gauge, Increments
from neml2.lags import lagged
from neml2.points import put
from neml2.solvers.status import Status
from neml2.step import StateUpdate, StepResult
from neml2.types import TensorWrapper

Values = dict[str, TensorWrapper]


class Advance(Protocol):
    """One step of some points of a batch: :class:`~neml2.StateUpdate`, or its native counterpart."""

    def __call__(
        self, state: Values, forces: Values, old_forces: Values, *, points: torch.Tensor, batch: torch.Size
    ) -> StepResult:
        """All values have the batch ``(points,)``; ``points`` are their indices in ``batch``."""


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of a march.

    time, outputs, forces
        As in a :class:`~neml2.drivers.Trajectory`: ``(rows, *batch, ...)``, or without the batch where the
        history has none.
    status, iterations
        ``(rows, *batch)``; the iterations of all increments, rejected ones included.
    pieces, rejected
        How many increments were taken and rejected, ``(rows, *batch)``.
    error
        The sum of the estimated local errors of a row interval, ``(rows, *batch)``; see
        :class:`~neml2.drivers.increments.Increments`.
    """

    time: torch.Tensor
    outputs: Values
    forces: Values
    status: torch.Tensor
    iterations: torch.Tensor
    pieces: torch.Tensor
    rejected: torch.Tensor
    error: torch.Tensor


@dataclass(frozen=True)
class Failure:
    """Points that failed between two rows: the later row, indices in the flattened batch, and why."""

    row: int
    points: torch.Tensor
    why: str


@dataclass
class _Interval:
    """The way from one row to the next: where each point is on it, ``s`` in [0, 1], and what it took."""

    start: Values
    end: Values
    begun: Values
    t0: torch.Tensor
    t1: torch.Tensor
    s: torch.Tensor
    live: torch.Tensor
    pieces: torch.Tensor
    rejected: torch.Tensor
    iterations: torch.Tensor
    error: torch.Tensor


@dataclass(frozen=True)
class _Points:
    """Some points at the start of an increment: what it starts from, and the ends of the row interval."""

    index: torch.Tensor
    a: torch.Tensor
    state: Values
    old: Values
    start: Values
    end: Values


@dataclass(frozen=True)
class _Trial:
    """An increment of some points, ``(points,)``, not accepted yet."""

    outputs: Values
    state: Values
    old: Values
    forces: Values
    status: torch.Tensor
    iterations: torch.Tensor
    over: torch.Tensor
    error: torch.Tensor


@dataclass
class _Rows:
    time: list[torch.Tensor] = field(default_factory=list)
    outputs: list[Values] = field(default_factory=list)
    forces: list[Values] = field(default_factory=list)
    marks: list[tuple[torch.Tensor, ...]] = field(default_factory=list)


class Stepping:
    """Marches all points of a loading from row to row, each with increments of its own.

    advance
        What makes an increment: by default the update itself; a :class:`~neml2.compiler.update.NativeUpdate`
        does the same in a kernel.
    increments
        How increments are chosen; ``None`` takes a row interval at once and does not cut.
    time
        The name of the variable that receives the time.
    state, outputs
        The initial state and its outputs; by default those of the loading.

    A point's results do not depend on its neighbours. Results are part of the autograd graph where gradients
    are switched on; the choice of the increments is not differentiated.

    ``row`` is the last row that is done, -1 before the initial one. ``failures`` lists the points that
    failed, with the row and the reason: they keep what they had at the row before, with the status
    ``FROZEN`` from then on.
    """

    def __init__(
        self,
        update: StateUpdate,
        loading: Loading,
        advance: Advance | None = None,
        increments: Increments | None = None,
        *,
        time: str = "t",
        state: Values | None = None,
        outputs: Values | None = None,
    ) -> None:
        self.update, self.loading, self.time_name = update, loading, time
        self._advance: Any = advance or update
        self.increments = increments or Increments(smallest=1.0)
        self.gauge = Gauge(self.increments, update)
        self.batch, self.points = loading.batch, loading.batch.numel()
        if state is None:
            state = update.initial_state({**loading.zeros, **loading.initial}, loading.time)
        if outputs is None:
            outputs = update.initial_outputs(state, loading.at(0))
            outputs |= {n: v for n, v in loading.initial.items() if n in outputs}
        self.row = -1
        self.failures: list[Failure] = []
        self.state = {n: self._flat(v) for n, v in state.items()}
        self.outputs = {n: self._flat(v) for n, v in outputs.items()}
        self.old: Values = {}
        forces = {n: self._flat(v) for n, v in loading.at(0).items()}
        for n in update.states:  # equal old values say that there is no history before them
            for lag in range(1, update.depth[n]):
                self.state.setdefault(lagged(n, lag), _copy(self.state[n]))
        for n, v in forces.items():
            for lag in range(max(update.depth.get(n, 1), 1)):
                self.old[lagged(n, lag)] = _copy(v)
        like = loading.time.detach()
        zero = torch.zeros(self.points, dtype=torch.float64, device=like.device)
        self.time = self._clock(0)
        self.size = torch.full_like(zero, torch.inf)  # of the next increment, in time
        self.wary = zero.bool()  # whose last increment was rejected
        self.failed = zero.to(torch.int8)
        self.scales = {n: zero.to(like.dtype) for n in self.gauge.partners}
        self.scales = self.gauge.scales({**forces, **self.outputs}, self.scales)

    # ------------------------------------------------------------------ rows

    def advance(self, last: int) -> Block:
        """The rows after ``row`` up to ``last - 1``."""
        model, loading = self.update.model, self.loading
        given = [v.data for v in (*loading.forces.values(), *loading.initial.values())]
        given += [*model.parameters(), *(v.data for v in self.state.values())]
        self._tracked = torch.is_grad_enabled() and any(t.requires_grad for t in given)
        first, rows = self.row + 1, _Rows()
        while self.row + 1 < last:
            if self.row < 0:
                self._begin(rows)
            else:
                self._step(self.row + 1, rows)
            self.row += 1
        return self._block(first, rows)

    def _begin(self, rows: _Rows) -> None:
        """The initial row."""
        none = torch.zeros_like(self.failed, dtype=torch.int32)
        status = torch.full_like(self.failed, int(Status.NOT_SOLVED))
        rows.marks.append((status, none, none, none, self.size.new_zeros(self.points)))
        rows.outputs.append(self.outputs)

    def _step(self, k: int, rows: _Rows) -> None:
        """Row ``k``: increments until every point is there."""
        way = self._interval(k)
        was = self.failed.clone()
        while bool(way.live.any()):
            self._pass(k, way)
        self.time = way.t1
        status = torch.where(was != 0, int(Status.FROZEN), self.failed).to(torch.int8)
        rows.marks.append((status, way.iterations, way.pieces, way.rejected, way.error))
        rows.outputs.append(self.outputs)

    def _interval(self, k: int) -> _Interval:
        t0, t1 = self.time, self._clock(k)
        start = {n: self.old[n] for n in self.loading.forces}
        end = {n: self._flat(v) for n, v in self.loading.at(k).items()}
        begun = self.outputs
        if not self._tracked:  # rows are kept; what is written to in place from here on are copies
            self.outputs, self.state, self.old = (
                {n: _copy(v) for n, v in values.items()} for values in (self.outputs, self.state, self.old)
            )
        if k == 1 and self.increments.first is not None:
            self.size = self.increments.first * (t1 - t0).double()
        none = torch.zeros_like(self.failed, dtype=torch.int32)
        zero = torch.zeros_like(self.size)
        return _Interval(
            *(start, end, begun, t0, t1, zero, self.failed == 0),
            *(none, none.clone(), none.clone(), zero.clone()),
        )

    # ------------------------------------------------------------------ increments

    def _pass(self, k: int, way: _Interval) -> None:
        """One increment of every point that is on its way."""
        rules, index = self.increments, way.live.nonzero().squeeze(-1)
        span = (way.t1 - way.t0)[index].double()
        at = self._gather(index, way)
        b = rules.end(at.a, self.size[index] / span)
        with torch.no_grad():
            trial = self._attempt(at, b, estimate=True)
            before = {**at.old, **self._part(self.outputs, index)}
            moved = self.gauge.moved(before, {**trial.forces, **trial.outputs}, at.a)
        solved = trial.status == Status.CONVERGED
        used = b - at.a
        least = used <= rules.smallest * (1 + 1e-9)
        taken = solved & (least | (torch.maximum(moved, trial.over) <= 1))
        self._resize(index, used * span, rules.factor(solved, moved, trial.over, self.wary[index]), taken)
        way.iterations[index] += trial.iterations
        way.pieces[index] += taken
        way.rejected[index] += ~taken
        failed = least & ~solved
        endless = ~taken & ~failed & (way.pieces + way.rejected >= rules.most)[index]
        if bool(failed.any()):
            self._give_up(k, way, index[failed], trial.status[failed], self._why(at, b, failed, way))
        if bool(endless.any()):
            why = f"{int(endless.sum())} points needed more than {rules.most} increments"
            code = torch.full_like(trial.status[endless], int(Status.MAX_ITERATIONS))
            self._give_up(k, way, index[endless], code, why)
        if bool(taken.any()):
            self._accept(way, at, b, trial, taken)

    def _resize(
        self, index: torch.Tensor, used: torch.Tensor, factor: torch.Tensor, taken: torch.Tensor
    ) -> None:
        """The next size of points that have just tried an increment of the size ``used``."""
        now, new = self.size[index], used * factor
        # an increment that ended at a row says nothing against the larger one that was planned
        new = torch.where(taken & (factor >= 1) & (now > used), torch.maximum(now, new), new)
        self.size[index], self.wary[index] = new, ~taken

    def _accept(
        self, way: _Interval, at: _Points, b: torch.Tensor, trial: _Trial, taken: torch.Tensor
    ) -> None:
        error = trial.error[taken]
        index, b = at.index[taken], b[taken]
        if self._tracked:  # once more, to the same bits, in a graph that rejected increments have no part in
            trial = self._attempt(self._gather(index, way), b, estimate=False)
        elif len(index) < len(at.index):
            trial = replace(
                trial,
                outputs=_chosen(trial.outputs, taken),
                state=_chosen(trial.state, taken),
                old=_chosen(trial.old, taken),
                forces=_chosen(trial.forces, taken),
            )
        self.outputs = self._put(self.outputs, index, trial.outputs)
        self.state = self._put(self.state, index, trial.state)
        self.old = self._put(self.old, index, trial.old)
        with torch.no_grad():
            found = {**trial.forces, **trial.outputs}
            scales = self.gauge.scales(found, {n: x[index] for n, x in self.scales.items()})
        for n, x in scales.items():
            self.scales[n][index] = x
        way.error[index] += error
        way.s[index] = b
        way.live[index] = b < 1

    def _give_up(self, k: int, way: _Interval, index: torch.Tensor, code: torch.Tensor, why: str) -> None:
        """Points that failed go back to the row before and stay there."""
        self.failed[index] = code.to(torch.int8)
        way.live[index] = False
        self.outputs = self._put(self.outputs, index, self._part(way.begun, index))
        self.failures.append(Failure(k, index, why))

    def _why(self, at: _Points, b: torch.Tensor, failed: torch.Tensor, way: _Interval) -> str:
        """One line about the points that failed, from their increments made once more by themselves."""
        with torch.no_grad():
            again = self._gather(at.index[failed], way)
            forces = _between(again.start, again.end, b[failed])
            return self._solve(again.state, forces, again.old, again.index).describe_failure()

    def _attempt(self, at: _Points, b: torch.Tensor, estimate: bool) -> _Trial:
        """Increments from where the points are to ``b``; in two halves where the error counts."""
        update, rules = self.update, self.increments
        forces = _between(at.start, at.end, b)
        zero = torch.zeros_like(b)
        if not rules.doubles:
            last = self._solve(at.state, forces, at.old, at.index)
            state, old = update.next_state(at.state, last.outputs), update.next_old_forces(forces, at.old)
            return _Trial(last.outputs, state, old, forces, last.status, last.iterations, zero, zero)
        middle = _between(at.start, at.end, at.a + 0.5 * (b - at.a))
        whole: StepResult | None = None
        if estimate:  # the whole increment and its first half in one call
            twice = [_joined(v, v) for v in (at.state, at.old)]
            both = self._solve(twice[0], _joined(forces, middle), twice[1], at.index.repeat(2))
            whole, first = _halves(both, len(b))
        else:
            first = self._solve(at.state, middle, at.old, at.index)
        state, old = update.next_state(at.state, first.outputs), update.next_old_forces(middle, at.old)
        last = self._solve(state, forces, old, at.index)
        status = torch.where(first.status == Status.CONVERGED, last.status, first.status)
        iterations = first.iterations + last.iterations
        over = error = zero
        if whole is not None:
            status = torch.where(whole.status == Status.CONVERGED, status, whole.status)
            iterations = iterations + whole.iterations
            scales = {n: x[at.index] for n, x in self.scales.items()}
            scales = self.gauge.scales({**forces, **last.outputs}, scales)
            over, error = self.gauge.error(whole.outputs, last.outputs, scales, zero)
        state, old = update.next_state(state, last.outputs), update.next_old_forces(forces, old)
        return _Trial(last.outputs, state, old, forces, status, iterations, over, error)

    def _solve(self, state: Values, forces: Values, old: Values, index: torch.Tensor) -> StepResult:
        found = self._advance(state, forces, old, points=index, batch=self.batch)
        batch = index.shape
        outputs = {
            n: type(v)._new(expand_batch(v, batch).contiguous(), v.sub_batch_ndim)
            for n, v in found.outputs.items()
        }
        status, iterations = found.status.expand(batch), found.iterations.expand(batch)
        return StepResult(found.state, outputs, status, iterations, found.solutions)

    # ------------------------------------------------------------------ points

    def _gather(self, index: torch.Tensor, way: _Interval) -> _Points:
        parts = [self._part(v, index) for v in (self.state, self.old, way.start, way.end)]
        return _Points(index, way.s[index], *parts)

    def _part(self, values: Mapping[str, TensorWrapper], index: torch.Tensor) -> Values:
        return dict(values) if len(index) == self.points else _chosen(values, index)

    def _put(self, values: Values, index: torch.Tensor, new: Values) -> Values:
        """``values`` with the points ``index`` replaced; in place where nothing is differentiated."""
        if len(index) == self.points:
            return {**values, **new}
        found = dict(values)
        for n, v in new.items():
            inner = v.data.shape[1:]
            if n not in found:  # a guess, which is zero until there is a value
                found[n] = type(v)._new(v.data.new_zeros(self.points, *inner), v.sub_batch_ndim)
            full = found[n]
            if full.sub_batch_shape != v.sub_batch_shape:
                full = _widened(full, v)
            if self._tracked:
                found[n] = put(full, torch.Size((self.points,)), index, v)
            else:
                full.data[index] = v.data
                found[n] = full
        return found

    def _flat(self, value: TensorWrapper) -> TensorWrapper:
        """A value of some of the batch as ``(points, ...)``."""
        inner = value.data.shape[len(value.dynamic_batch_shape) :]
        data = expand_batch(value, self.batch).reshape(self.points, *inner)
        return type(value)._new(data, value.sub_batch_ndim)

    def _clock(self, k: int) -> torch.Tensor:
        """The time of a row, ``(points,)``."""
        return self.loading.time[k].detach().expand(self.batch).reshape(self.points).clone()

    # ------------------------------------------------------------------ what came out

    def _block(self, first: int, rows: _Rows) -> Block:
        last = first + len(rows.marks)
        shape = (last - first, *self.batch)
        marks = [torch.stack(m).reshape(shape) for m in zip(*rows.marks, strict=True)]
        if not marks:
            int8, int32, real = torch.int8, torch.int32, torch.float64
            marks = [
                torch.zeros(shape, dtype=d, device=self.time.device)
                for d in (int8, int32, int32, int32, real)
            ]
        status, iterations, pieces, rejected, error = marks
        forces = {
            n: type(v)._new(v.data[first:last], v.sub_batch_ndim) for n, v in self.loading.forces.items()
        }
        outputs = {n: self._stacked([r[n] for r in rows.outputs]) for n in self.outputs if rows.outputs}
        time = self.loading.time[first:last]
        return Block(time, outputs, forces, status, iterations, pieces, rejected, error)

    def _stacked(self, parts: list[TensorWrapper]) -> TensorWrapper:
        """Rows ``(points, ...)`` as ``(rows, *batch, ...)``."""
        widest = max(parts, key=lambda v: v.sub_batch_ndim)
        whole = [v if v.sub_batch_shape == widest.sub_batch_shape else _widened(v, widest) for v in parts]
        data = torch.stack([v.data for v in whole])
        return type(widest)._new(
            data.reshape(len(parts), *self.batch, *data.shape[2:]), widest.sub_batch_ndim
        )

    # ------------------------------------------------------------------ checkpoint

    def checkpoint(self) -> dict[str, torch.Tensor]:
        """Everything that the next row depends on, by name."""
        found = {f"{part}/{n}": v.data for part in _TYPED for n, v in getattr(self, part).items()}
        found |= {part: getattr(self, part) for part in _PLAIN}
        found |= {f"scales/{n}": x for n, x in self.scales.items()}
        return {n: t.detach().clone() for n, t in found.items()}

    def restore(self, row: int, found: Mapping[str, torch.Tensor]) -> None:
        """Go on after ``row``, from a checkpoint taken there; to the same bits."""
        kinds = {**self.update.forces, **self.update.outputs, **self.update.states}
        self.row = row
        for part in _TYPED:
            values: Values = {}
            for key, data in found.items():
                name = key.removeprefix(f"{part}/")
                if name != key:
                    kind = kinds[name.partition("~")[0]]
                    values[name] = kind._new(data.clone(), data.ndim - 1 - kind.BASE_NDIM)
            setattr(self, part, values)
        for part in _PLAIN:
            setattr(self, part, found[part].clone())
        self.scales = {n: found[f"scales/{n}"].clone() for n in self.scales}


_TYPED = ("state", "old", "outputs")
_PLAIN = ("time", "size", "wary", "failed")


def _between(start: Values, end: Values, s: torch.Tensor) -> Values:
    """Prescribed values at ``s`` ``(points,)`` of the way; at 1 those of the row, to the bit."""
    found: Values = {}
    for n, new in end.items():
        x, y = start[n].data, new.data
        w = s.to(y.dtype).reshape(-1, *(1,) * (y.ndim - 1))
        found[n] = type(new)._new(torch.where(w == 1, y, x + (y - x) * w), new.sub_batch_ndim)
    return found


def _chosen(values: Mapping[str, TensorWrapper], index: torch.Tensor) -> Values:
    return {n: type(v)._new(v.data[index], v.sub_batch_ndim) for n, v in values.items()}


def _joined(a: Values, b: Values) -> Values:
    return {n: type(v)._new(torch.cat([v.data, b[n].data]), v.sub_batch_ndim) for n, v in a.items()}


def _halves(both: StepResult, count: int) -> tuple[StepResult, StepResult]:
    """The first and the last ``count`` points."""
    parts = []
    for part in (slice(None, count), slice(count, None)):
        outputs = {n: type(v)._new(v.data[part], v.sub_batch_ndim) for n, v in both.outputs.items()}
        parts.append(StepResult({}, outputs, both.status[part], both.iterations[part], both.solutions))
    return parts[0], parts[1]


def _copy(value: TensorWrapper) -> TensorWrapper:
    return type(value)._new(value.data.clone(), value.sub_batch_ndim)


def _widened(value: TensorWrapper, like: TensorWrapper) -> TensorWrapper:
    """``value`` ``(points, ...)`` with the sub-batch axes of ``like``."""
    missing = (1,) * (like.sub_batch_ndim - value.sub_batch_ndim)
    data = value.data.reshape(value.data.shape[0], *missing, *value.data.shape[1:])
    shape = (value.data.shape[0], *like.sub_batch_shape, *like.BASE_SHAPE)
    return type(value)._new(data.expand(shape).clone(), like.sub_batch_ndim)
