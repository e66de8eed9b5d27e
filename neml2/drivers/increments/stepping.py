"""`Stepping`: a march in which every point chooses its increments between two rows, and stops at events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from neml2.derivatives import expand_batch
from neml2.drivers.control.aim import TARGET, Aim
from neml2.drivers.histories.binding import Loading
from neml2.drivers.histories.segments import Stretch
from neml2.drivers.increments.attempts import Advance, Attempt, Attempts, Places
from neml2.drivers.increments.blocks import Block, Rows
from neml2.drivers.increments.conditions import View
from neml2.drivers.increments.events import Event, Found
from neml2.drivers.increments.flat import between, chosen, copied, replaced, widened
from neml2.drivers.increments.increments import Gauge, Increments
from neml2.drivers.increments.watching import Watch
from neml2.lags import lagged
from neml2.points import put
from neml2.solvers.status import Status
from neml2.step import StateUpdate, StepResult
from neml2.types import Scalar, TensorWrapper

__all__ = ["Block", "Failure", "Stepping"]
Values = dict[str, TensorWrapper]


@dataclass(frozen=True, eq=False)
class Failure:
    """Points that failed between two rows: the later row, their indices in the flattened batch, and why.

    ``status`` ``(points,)`` is how they ended; ``result`` is their last increment, made by themselves.
    """

    row: int
    points: torch.Tensor
    status: torch.Tensor
    why: str
    result: StepResult


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
        self.increments = increments or Increments(smallest=1.0)
        self.gauge = Gauge(self.increments, update)
        self.aim = aim
        self.batch, self.points = loading.batch, loading.batch.numel()
        self.attempts = Attempts(update, advance, self.gauge, self.increments.doubles, self.batch)
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
                self.state.setdefault(lagged(n, lag), self.state[n])
        for n, v in forces.items():
            for lag in range(max(update.depth.get(n, 1), 1)):
                self.old[lagged(n, lag)] = v
        like = loading.time.detach()
        zero = torch.zeros(self.points, dtype=torch.float64, device=like.device)
        self.late = like.new_zeros(self.points)  # how far the clock of a point is behind
        self.time = self._clock(0)
        self.size = torch.full_like(zero, torch.inf)  # of the next increment, in time
        self.wary = zero.bool()  # whose last increment was rejected
        self.failed = zero.to(torch.int8)
        self.scales = {n: zero.to(like.dtype) for n in self.gauge.partners}
        self.scales = self.gauge.scales({**forces, **self.outputs}, self.scales)
        self.rates = {  # of the variables whose error counts, in the last increment; there is none yet
            n: type(v)._new(torch.full_like(v.data.detach(), torch.nan), v.sub_batch_ndim)
            for n, v in self.outputs.items()
            if n in self.gauge.bounds
        }
        self.idle = torch.zeros_like(self.failed, dtype=torch.int64)  # the row with which a point goes on
        self.stopped = zero.bool()
        lengths = loading.lengths
        self._lengths = None if lengths is None else lengths.to(like.device).expand(self.batch).flatten()
        self._own = bool(events) or aim is not None or any(s.until is not None for s in stretches)
        self.anchored: Values = {}
        self.watch = Watch(events, stretches, self.batch, like.device, cycle)
        self.found: list[Found] = []
        with torch.no_grad():
            everyone = torch.arange(self.points, device=like.device)
            view = self.watch.view(0, {**forces, **self.outputs}, self.time, everyone)
            self.watch.values(view)  # names are checked before the first step
            self.watch.extremes.take(view)

    # ------------------------------------------------------------------ rows

    def advance(self, last: int) -> Block:
        """The rows after ``row`` up to ``last - 1``."""
        model, loading = self.update.model, self.loading
        given = [v.data for v in (*loading.forces.values(), *loading.initial.values())]
        given += [*model.parameters(), *(v.data for v in self.state.values())]
        self._tracked = torch.is_grad_enabled() and any(t.requires_grad for t in given)
        rows, self.found = Rows(self.row + 1, self._own), []
        while self.row + 1 < last and not self.finished:
            if self.row < 0:
                self._begin(rows)
            else:
                self._step(self.row + 1, rows)
            self.row += 1
            if self.aim is not None and self.row in self.aim.anchors:
                self.anchored = copied({n: self.outputs[n] for n in (self.aim.strain, self.aim.stress)})
        return rows.block(loading, self.outputs, self.old, tuple(self.found))

    @property
    def finished(self) -> bool:
        """Whether no point goes on, and an event has stopped one at least."""
        out = (self.failed != 0) | (self.idle >= len(self.loading))
        if self._lengths is not None:
            out |= self._lengths <= self.row + 1
        return bool(self.stopped.any()) and bool(out.all())

    def _begin(self, rows: Rows) -> None:
        """The initial row."""
        none = torch.zeros_like(self.failed, dtype=torch.int32)
        status = torch.full_like(self.failed, int(Status.NOT_SOLVED))
        error = self.size.new_zeros(self.points)
        forces = {n: self.old[n] for n in self.loading.forces}
        rows.add(self.outputs, self.time, forces, (status, none, none, none, error))

    def _step(self, k: int, rows: Rows) -> None:
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
        forces = {n: self.old[n] for n in self.loading.forces}
        if bool(lost.any()):
            index = lost.nonzero().squeeze(-1)
            forces = replaced(forces, index, way.end, index)
        marks = (status, way.iterations, way.pieces, way.rejected, way.error)
        rows.add(self.outputs, self.time, forces, marks)

    def _interval(self, k: int) -> _Interval:
        t0, t1 = self.time, self._clock(k)
        start = {n: self.old[n] for n in self.loading.forces}
        end = {n: self._flat(v) for n, v in self.loading.at(k).items()}
        if self._own and self.time_name in end:
            end[self.time_name] = Scalar(t1)
        if self.aim is not None:
            shaped = {n: self._shaped(self.outputs[n]) for n in (self.aim.strain, self.aim.stress)}
            start |= {n: self._flat(v) for n, v in self.aim.before(k, shaped).items()}
            if self.aim.moving[k]:
                anchored = {n: self._shaped(v) for n, v in self.anchored.items()}
                end[TARGET] = self._flat(self.aim.target(k, anchored))
        begun = self.outputs
        if not self._tracked:  # rows are kept; what is written to in place from here on are copies
            self.outputs, self.state, self.old = map(copied, (self.outputs, self.state, self.old))
        self.time = self.time.clone()
        if k == 1 and self.increments.first is not None:
            self.size = self.increments.first * (t1 - t0).double()
        none = torch.zeros_like(self.failed, dtype=torch.int32)
        zero = torch.zeros_like(self.size)
        everyone = torch.arange(self.points, device=zero.device)
        with torch.no_grad():
            view = self.watch.view(k - 1, {**start, **begun}, t0, everyone)
            values = self.watch.values(view, k)
        for i in self.watch.begun(k):  # a condition that holds already ends its segment at once
            met = self.watch.events[i].holds(values[i]) & (self.failed == 0) & (self.idle <= k)
            index = met.nonzero().squeeze(-1)
            if len(index):
                event = torch.full_like(index, i)
                self.found += self.watch.record(k, event, index, chosen(begun, index), t0[index])
                self._end(event, index)
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
        at = self._gather(index, way)
        b = rules.end(at.a, self.size[index] / at.span)
        with torch.no_grad():
            scales = {n: x[index] for n, x in self.scales.items()}
            trial = self.attempts.make(at, b, scales)
            before = {**at.old, **self._part(self.outputs, index)}
            moved = self.gauge.moved(before, trial.values, at.a)
        solved = trial.status == Status.CONVERGED
        used = b - at.a
        least = used <= rules.smallest * (1 + 1e-9)
        taken = solved & (least | (torch.maximum(moved, trial.over) <= 1))
        self._resize(index, used * at.span, rules.factor(solved, moved, trial.over, self.wary[index]), taken)
        way.iterations[index] += trial.iterations
        way.pieces[index] += taken
        way.rejected[index] += ~taken
        failed = least & ~solved
        endless = ~failed & ~(taken & (b == 1)) & (way.pieces + way.rejected >= rules.most)[index]
        taken = taken & ~endless
        if bool(failed.any()):
            self._give_up(k, way, at.some(failed), b[failed], trial.status[failed])
        if bool(endless.any()):
            code = torch.full_like(trial.status[endless], int(Status.MAX_ITERATIONS))
            self._give_up(k, way, at.some(endless), b[endless], code)
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
        self, k: int, way: _Interval, at: Places, b: torch.Tensor, trial: Attempt, taken: torch.Tensor
    ) -> None:
        error = trial.error[taken]
        index, b = at.index[taken], b[taken]
        if self._tracked:  # once more, to the same bits, in a graph that rejected increments have no part in
            trial = self.attempts.make(self._gather(index, way), b)
        elif len(index) < len(at.index):
            trial = replace(
                trial,
                outputs=chosen(trial.outputs, taken),
                state=chosen(trial.state, taken),
                old=chosen(trial.old, taken),
                forces=chosen(trial.forces, taken),
                rates=chosen(trial.rates, taken),
            )
        self.outputs = self._put(self.outputs, index, trial.outputs)
        self.state = self._put(self.state, index, trial.state)
        self.old = self._put(self.old, index, trial.old)
        self.rates = self._put(self.rates, index, trial.rates)
        with torch.no_grad():
            scales = self.gauge.scales(trial.values, {n: x[index] for n, x in self.scales.items()})
            if self.watch.events:
                view, way.values[:, index] = self._seen(k, way, trial, index, b)
                self.watch.extremes.take(view)
        for n, x in scales.items():
            self.scales[n][index] = x
        way.error[index] += error
        self.time[index] = way.time(index, b)
        way.s[index] = b
        way.live[index] = b < 1

    def _give_up(self, k: int, way: _Interval, at: Places, b: torch.Tensor, status: torch.Tensor) -> None:
        """Points that failed go back to the row before and stay there."""
        self.failed[at.index] = status.to(torch.int8)
        way.live[at.index] = False
        self.outputs = self._put(self.outputs, at.index, self._part(way.begun, at.index))
        with torch.no_grad():  # once more by themselves, for the message
            result = self.attempts.solve(at.state, between(at.start, at.end, b), at.old, at.index)
        if bool((result.status == Status.CONVERGED).all()):
            why = f"{len(at.index)} points needed more than {self.increments.most} increments"
        else:
            why = result.describe_failure()
        self.failures.append(Failure(k, at.index, status, why, result))

    # ------------------------------------------------------------------ events

    def _watched(
        self, k: int, way: _Interval, at: Places, b: torch.Tensor, trial: Attempt, taken: torch.Tensor
    ) -> tuple[torch.Tensor, Attempt, tuple[torch.Tensor, torch.Tensor] | None]:
        """The increments about to be taken, shortened where an event acts; these events and their points."""

        def attempt(places: Places, s: torch.Tensor) -> tuple[Attempt, torch.Tensor]:
            tried = self.attempts.make(places, s)
            return tried, self._seen(k, way, tried, places.index, s)[1]

        with torch.no_grad():
            before = way.values[:, at.index]
            after = self._seen(k, way, trial, at.index, b)[1]
            seen = self.watch.look(at, b, before, after, taken, attempt)
        if seen is None:
            return b, trial, None
        time = way.time(seen.index, seen.s)
        self.found += self.watch.record(k, seen.event, seen.index, seen.here.outputs, time)
        if not len(seen.acting):
            return b, trial, None
        of, to, here = seen.acting, seen.row[seen.acting], seen.here
        trial = replace(
            trial,
            outputs=replaced(trial.outputs, to, here.outputs, of),
            state=replaced(trial.state, to, here.state, of),
            old=replaced(trial.old, to, here.old, of),
            forces=replaced(trial.forces, to, here.forces, of),
            rates=replaced(trial.rates, to, here.rates, of),
        )
        return b.index_put((to,), seen.s[of]), trial, (seen.event[of], seen.index[of])

    def _seen(
        self, k: int, way: _Interval, trial: Attempt, index: torch.Tensor, s: torch.Tensor
    ) -> tuple[View, torch.Tensor]:
        """What the conditions see at the end of an increment, and their values."""
        view = self.watch.view(k, trial.values, way.time(index, s), index)
        return view, self.watch.values(view, k)

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

    # ------------------------------------------------------------------ points

    def _gather(self, index: torch.Tensor, way: _Interval) -> Places:
        return Places(
            index,
            way.s[index],
            self._part(self.state, index),
            self._part(self.old, index),
            self._part(way.start, index),
            self._part(way.end, index),
            (way.t1 - way.t0)[index].double(),
            self._part({n: self.outputs[n] for n in self.rates}, index),
            self._part(self.rates, index),
        )

    def _part(self, values: Mapping[str, TensorWrapper], index: torch.Tensor) -> Values:
        return dict(values) if len(index) == self.points else chosen(values, index)

    def _put(self, values: Values, index: torch.Tensor, new: Values) -> Values:
        """``values`` with the points ``index`` replaced; in place where nothing is differentiated."""
        if len(index) == self.points:
            return {**values, **new}
        found = dict(values)
        for n, v in new.items():
            inner = v.data.shape[1:]
            if n not in found:  # a guess, which is zero until there is a value
                found[n] = type(v)._new(v.data.new_zeros(self.points, *inner), v.sub_batch_ndim)
            full = widened(found[n], v)
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


_TYPED = ("state", "old", "outputs", "rates", "anchored")
_PLAIN = ("time", "late", "size", "wary", "failed", "idle", "stopped")
