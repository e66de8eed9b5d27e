"""`Stepping`: a march in which every point chooses its increments between two rows, and stops at events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from neml2.derivatives import expand_batch
from neml2.drivers.aim import TARGET, Aim
from neml2.drivers.binding import Loading
from neml2.drivers.conditions import View
from neml2.drivers.events import Event, Found, Watch, locate
from neml2.drivers.increments import Gauge, Increments
from neml2.drivers.segments import Stretch
from neml2.lags import lagged
from neml2.points import put
from neml2.solvers.status import Status
from neml2.step import StateUpdate, StepResult
from neml2.types import Scalar, TensorWrapper

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
    found
        The events that have happened in these rows.
    """

    time: torch.Tensor
    outputs: Values
    forces: Values
    status: torch.Tensor
    iterations: torch.Tensor
    pieces: torch.Tensor
    rejected: torch.Tensor
    error: torch.Tensor
    found: tuple[Found, ...] = ()


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
    values: torch.Tensor  # of the events, (events, points)

    def time(self, index: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        """The time of points at ``s`` of their way; at 1 that of the row, to the bit."""
        t0, t1 = self.t0[index], self.t1[index]
        return torch.where(s == 1, t1, (t0 + (t1 - t0) * s).to(t1.dtype))


@dataclass(frozen=True)
class _Points:
    """Some points at the start of an increment: what it starts from, and the ends of the row interval."""

    index: torch.Tensor
    a: torch.Tensor
    state: Values
    old: Values
    start: Values
    end: Values

    def some(self, which: torch.Tensor) -> _Points:
        """Some of them."""
        parts = (_chosen(v, which) for v in (self.state, self.old, self.start, self.end))
        return _Points(self.index[which], self.a[which], *parts)


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
    events, stretches
        What to look for, and the segments of the history, of which some may end early: the rows that are left
        of such a segment have the status ``ENDED`` at that point and repeat the last values, the next one
        starts from there, and the clock of the point is late from then on.
    aim
        The control of the history; rows that start from what was reached have their targets from it.
    cycle
        The number of the cycle of every row, ``(n,)``.
    time
        The name of the variable that receives the time.
    state, outputs
        The initial state and its outputs; by default those of the loading.

    A point's results do not depend on its neighbours. Results are part of the autograd graph where gradients
    are switched on; the choice of the increments is not differentiated.

    ``row`` is the last row that is done, -1 before the initial one. ``failures`` lists the points that
    failed, with the row and the reason: they keep what they had at the row before, with the status
    ``FROZEN`` from then on. ``finished`` says that all points have stopped before the last row.
    """

    def __init__(
        self,
        update: StateUpdate,
        loading: Loading,
        advance: Advance | None = None,
        increments: Increments | None = None,
        events: Sequence[Event] = (),
        *,
        stretches: Sequence[Stretch] = (),
        aim: Aim | None = None,
        cycle: torch.Tensor | None = None,
        time: str = "t",
        state: Values | None = None,
        outputs: Values | None = None,
    ) -> None:
        self.update, self.loading, self.time_name = update, loading, time
        self._advance: Any = advance or update
        self.increments = increments or Increments(smallest=1.0)
        self.gauge = Gauge(self.increments, update)
        self.aim, self.cycle = aim, cycle
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
        self.late = like.new_zeros(self.points)  # how far the clock of a point is behind
        self.time = self._clock(0)
        self.size = torch.full_like(zero, torch.inf)  # of the next increment, in time
        self.wary = zero.bool()  # whose last increment was rejected
        self.failed = zero.to(torch.int8)
        self.scales = {n: zero.to(like.dtype) for n in self.gauge.partners}
        self.scales = self.gauge.scales({**forces, **self.outputs}, self.scales)
        self.idle = torch.zeros_like(self.failed, dtype=torch.int64)  # the row with which a point goes on
        self.stopped = zero.bool()
        lengths = loading.lengths
        self._lengths = None if lengths is None else lengths.to(like.device).expand(self.batch).flatten()
        self._bends = bool(events) or any(s.until is not None for s in stretches)
        self.anchored: Values = {}
        self.watch = Watch(events, stretches, self.points, like.device)
        self.found: list[Found] = []
        with torch.no_grad():
            view = self._view(0, {**forces, **self.outputs}, self.time, torch.arange(self.points))
            self.watch.values(view)  # names are checked before the first step
            self.watch.extremes.take(view)

    # ------------------------------------------------------------------ rows

    def advance(self, last: int) -> Block:
        """The rows after ``row`` up to ``last - 1``."""
        model, loading = self.update.model, self.loading
        given = [v.data for v in (*loading.forces.values(), *loading.initial.values())]
        given += [*model.parameters(), *(v.data for v in self.state.values())]
        self._tracked = torch.is_grad_enabled() and any(t.requires_grad for t in given)
        first, rows, self.found = self.row + 1, _Rows(), []
        while self.row + 1 < last and not self.finished:
            if self.row < 0:
                self._begin(rows)
            else:
                self._step(self.row + 1, rows)
            self.row += 1
            if self.aim is not None and self.row in self.aim.anchors:
                self.anchored = {n: _copy(self.outputs[n]) for n in (self.aim.strain, self.aim.stress)}
        return self._block(first, rows)

    @property
    def finished(self) -> bool:
        """Whether no point goes on, and an event has stopped one at least."""
        out = (self.failed != 0) | (self.idle >= len(self.loading))
        return bool(self.stopped.any()) and bool(out.all())

    def _begin(self, rows: _Rows) -> None:
        """The initial row."""
        none = torch.zeros_like(self.failed, dtype=torch.int32)
        status = torch.full_like(self.failed, int(Status.NOT_SOLVED))
        rows.marks.append((status, none, none, none, self.size.new_zeros(self.points)))
        rows.outputs.append(self.outputs)
        if self._bends or self.aim is not None:
            rows.time.append(self.time)
            rows.forces.append({n: self.old[n] for n in self.loading.forces})

    def _step(self, k: int, rows: _Rows) -> None:
        """Row ``k``: increments until every point is there."""
        was = self.failed.clone()
        way = self._interval(k)
        ended = ~way.live & (was == 0)
        while bool(way.live.any()):
            self._pass(k, way)
        lost = self.failed != 0
        self.time = torch.where(lost, way.t1, self.time)
        status = torch.where(ended, int(Status.ENDED), self.failed)
        status = torch.where(was != 0, int(Status.FROZEN), status).to(torch.int8)
        rows.marks.append((status, way.iterations, way.pieces, way.rejected, way.error))
        rows.outputs.append(self.outputs)
        if self._bends or self.aim is not None:
            rows.time.append(self.time)
            index = lost.nonzero().squeeze(-1)
            reached = {n: self.old[n] for n in self.loading.forces}
            rows.forces.append(_replaced(reached, index, way.end, index) if len(index) else reached)

    def _interval(self, k: int) -> _Interval:
        t0, t1 = self.time, self._clock(k)
        start = {n: self.old[n] for n in self.loading.forces}
        end = {n: self._flat(v) for n, v in self.loading.at(k).items()}
        if self._bends and self.time_name in end:
            end[self.time_name] = Scalar(t1)
        if self.aim is not None:
            shaped = {n: self._shaped(self.outputs[n]) for n in (self.aim.strain, self.aim.stress)}
            start |= {n: self._flat(v) for n, v in self.aim.before(k, shaped).items()}
            if self.aim.moving[k]:
                anchored = {n: self._shaped(v) for n, v in self.anchored.items()}
                end[TARGET] = self._flat(self.aim.target(k, anchored))
        begun = self.outputs
        if not self._tracked:  # rows are kept; what is written to in place from here on are copies
            self.outputs, self.state, self.old = (
                {n: _copy(v) for n, v in values.items()} for values in (self.outputs, self.state, self.old)
            )
        self.time = self.time.clone()
        if k == 1 and self.increments.first is not None:
            self.size = self.increments.first * (t1 - t0).double()
        none = torch.zeros_like(self.failed, dtype=torch.int32)
        zero = torch.zeros_like(self.size)
        everyone = torch.arange(self.points, device=zero.device)
        with torch.no_grad():
            view = self._view(k - 1, {**start, **begun}, t0, everyone)
            values = self.watch.values(view, k)
        for i in self.watch.begun(k):  # a condition that holds already ends its segment at once
            met = self.watch.events[i].holds(values[i]) & (self.failed == 0) & (self.idle <= k)
            index = met.nonzero().squeeze(-1)
            if len(index):
                self._record(k, torch.full_like(index, i), index, begun, index, t0[index])
                self._end(torch.full_like(index, i), index)
        live = (self.failed == 0) & (self.idle <= k)
        if self._lengths is not None:
            live &= self._lengths > k
        return _Interval(
            *(start, end, begun, t0, t1, zero, live),
            *(none, none.clone(), none.clone(), zero.clone(), values),
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
        endless = ~failed & ~(taken & (b == 1)) & (way.pieces + way.rejected >= rules.most)[index]
        taken = taken & ~endless
        if bool(failed.any()):
            self._give_up(k, way, index[failed], trial.status[failed], self._why(at, b, failed, way))
        if bool(endless.any()):
            why = f"{int(endless.sum())} points needed more than {rules.most} increments"
            code = torch.full_like(trial.status[endless], int(Status.MAX_ITERATIONS))
            self._give_up(k, way, index[endless], code, why)
        if bool(taken.any()):
            acting = None
            if self.watch.events:
                b, trial, acting = self._watched(k, way, at, b, trial, taken)
            self._accept(k, way, at, b, trial, taken)
            if acting is not None:
                self._end(*acting)
                way.live[acting[1]] = False

    def _resize(
        self, index: torch.Tensor, used: torch.Tensor, factor: torch.Tensor, taken: torch.Tensor
    ) -> None:
        """The next size of points that have just tried an increment of the size ``used``."""
        now, new = self.size[index], used * factor
        # an increment that ended at a row says nothing against the larger one that was planned
        new = torch.where(taken & (factor >= 1) & (now > used), torch.maximum(now, new), new)
        self.size[index], self.wary[index] = new, ~taken

    def _accept(
        self, k: int, way: _Interval, at: _Points, b: torch.Tensor, trial: _Trial, taken: torch.Tensor
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
            if self.watch.events:
                view = self._view(k, found, way.time(index, b), index)
                way.values[:, index] = self.watch.values(view, k)
                self.watch.extremes.take(view)
        for n, x in scales.items():
            self.scales[n][index] = x
        way.error[index] += error
        self.time[index] = way.time(index, b)
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

    # ------------------------------------------------------------------ events

    def _view(self, k: int, values: Values, time: torch.Tensor, index: torch.Tensor) -> View:
        cycle = None if self.cycle is None else self.cycle[k].to(time).expand(index.shape)
        return View(values, time, cycle, index, self.watch.extremes)

    def _watched(
        self, k: int, way: _Interval, at: _Points, b: torch.Tensor, trial: _Trial, taken: torch.Tensor
    ) -> tuple[torch.Tensor, _Trial, tuple[torch.Tensor, torch.Tensor] | None]:
        """The increments about to be taken, shortened where an event acts; these events and their points."""
        watch, index = self.watch, at.index
        with torch.no_grad():
            view = self._view(k, {**trial.forces, **trial.outputs}, way.time(index, b), index)
            before, after = way.values[:, index], watch.values(view, k)
            sign = watch.crossed(before, after, index) * taken
            event, place = sign.nonzero(as_tuple=True)  # pairs of an event and a point of this pass
            if not len(event):
                return b, trial, None
            sign = sign[event, place]
            length = (b - at.a)[place]
            rest = at.some(place)

            def end(part: torch.Tensor) -> torch.Tensor:
                return torch.where(part == 1, b[place], rest.a + part * length)

            def value(which: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
                whole = length.new_ones(len(event))
                whole[which] = part
                few, s = rest.some(which), end(whole)[which]
                tried = self._attempt(few, s, estimate=False)
                seen = self._view(k, {**tried.forces, **tried.outputs}, way.time(few.index, s), few.index)
                found = watch.values(seen, k)[event[which], torch.arange(len(which))] * sign[which]
                return torch.where(tried.status == Status.CONVERGED, found, torch.nan)

            part = locate(
                value,
                before[event, place] * sign,
                after[event, place] * sign,
                watch.strict(event, sign),
                (watch.tolerance[event] / length).clamp(max=0.5),
            )
            s = end(part)
            here = self._attempt(rest, s, estimate=False)
        acts = watch.acts(event, rest.index)
        first = torch.full_like(b, 2.0).scatter_reduce(0, place[acts], part[acts], "amin")
        seen = part <= first[place]
        pairs = seen.nonzero().squeeze(-1)
        self._record(k, event[pairs], rest.index[pairs], here.outputs, pairs, way.time(rest.index, s)[pairs])
        acting = (acts & seen).nonzero().squeeze(-1)
        if not len(acting):
            return b, trial, None
        # of two events at the same place the one that was given first acts
        order = {int(place[i]): int(i) for i in reversed(acting.tolist())}
        chosen = torch.tensor(sorted(order.values()), device=b.device)
        to = place[chosen]
        b = b.index_put((to,), s[chosen])
        trial = replace(
            trial,
            outputs=_replaced(trial.outputs, to, here.outputs, chosen),
            state=_replaced(trial.state, to, here.state, chosen),
            old=_replaced(trial.old, to, here.old, chosen),
            forces=_replaced(trial.forces, to, here.forces, chosen),
        )
        return b, trial, (event[chosen], rest.index[chosen])

    def _record(
        self,
        k: int,
        event: torch.Tensor,
        index: torch.Tensor,
        outputs: Values,
        rows: torch.Tensor,
        time: torch.Tensor,
    ) -> None:
        """Events at the points ``index``, with the ``rows`` of ``outputs``."""
        self.watch.counts[event, index] += 1
        state = {n: v.detach() for n, v in outputs.items()}
        for e, p, i, t in zip(event.tolist(), index.tolist(), rows.tolist(), time.tolist(), strict=True):
            one = {n: type(v)._new(v.data[i].clone(), v.sub_batch_ndim) for n, v in state.items()}
            kind = self.watch.events[e]
            action = kind.action if self.watch.stretches[e] is None else "until"
            self.found.append(Found(kind.name, _unravelled(p, self.batch), k, t, action, one))

    def _end(self, event: torch.Tensor, index: torch.Tensor) -> None:
        """Events act: their points rest until the next segment, or for good."""
        for e in event.unique().tolist():
            points, stretch = index[event == e], self.watch.stretches[e]
            if stretch is None:
                self.idle[points] = len(self.loading)
                self.stopped[points] |= self.watch.events[e].action == "stop"
            else:
                self.idle[points] = stretch.last + 1
                planned = self.loading.time[stretch.last].detach().expand(self.batch).flatten()
                self.late[points] = planned[points] - self.time[points]

    # ------------------------------------------------------------------ solves

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
        return self.loading.time[k].detach().expand(self.batch).reshape(self.points) - self.late

    def _shaped(self, value: TensorWrapper) -> TensorWrapper:
        """A value ``(points, ...)`` as ``(*batch, ...)``."""
        return type(value)._new(value.data.reshape(*self.batch, *value.data.shape[1:]), value.sub_batch_ndim)

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
        outputs = {n: self._stacked([r[n] for r in rows.outputs], v) for n, v in self.outputs.items()}
        time = self.loading.time[first:last]
        if self._bends or self.aim is not None:
            time = torch.stack([*rows.time, self.time])[:-1].reshape(shape)
            forces = {n: self._stacked([r[n] for r in rows.forces], self.old[n]) for n in forces}
        found = tuple(self.found)
        return Block(time, outputs, forces, status, iterations, pieces, rejected, error, found)

    def _stacked(self, parts: list[TensorWrapper], like: TensorWrapper) -> TensorWrapper:
        """Rows ``(points, ...)`` like ``like`` as ``(rows, *batch, ...)``."""
        data = [(v if v.sub_batch_shape == like.sub_batch_shape else _widened(v, like)).data for v in parts]
        shape = (len(parts), *self.batch, *like.data.shape[1:])
        whole = torch.stack(data).reshape(shape) if data else like.data.new_zeros(shape)
        return type(like)._new(whole, like.sub_batch_ndim)

    # ------------------------------------------------------------------ checkpoint

    def checkpoint(self) -> dict[str, torch.Tensor]:
        """Everything that the next row depends on, by name."""
        found = {f"{part}/{n}": v.data for part in _TYPED for n, v in getattr(self, part).items()}
        found |= {part: getattr(self, part) for part in _PLAIN}
        found |= {f"scales/{n}": x for n, x in self.scales.items()}
        found |= {f"extremes/{n}": x for n, x in self.watch.extremes.found.items()}
        found["counts"] = self.watch.counts
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
        extremes = self.watch.extremes.found
        extremes |= {n: found[f"extremes/{n}"].clone() for n in extremes}
        self.watch.counts = found["counts"].clone()


_TYPED = ("state", "old", "outputs", "anchored")
_PLAIN = ("time", "late", "size", "wary", "failed", "idle", "stopped")


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


def _replaced(values: Values, to: torch.Tensor, new: Values, rows: torch.Tensor) -> Values:
    """``values`` with the points ``to`` replaced by ``rows`` of ``new``."""
    return {
        n: type(v)._new(v.data.index_put((to,), new[n].data[rows]), v.sub_batch_ndim)
        for n, v in values.items()
    }


def _unravelled(point: int, batch: torch.Size) -> tuple[int, ...]:
    """The index in the batch of a point that is counted in the flattened one."""
    found: list[int] = []
    for size in reversed(batch):
        point, i = divmod(point, size)
        found.append(i)
    return tuple(reversed(found))


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
