"""`Stepping`: a march in which every point chooses its increments between two rows, and stops at events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from neml2.drivers.control.aim import TARGET, Aim
from neml2.drivers.histories.binding import Loading, Start
from neml2.drivers.histories.segments import Stretch
from neml2.drivers.increments.attempts import Advance, Attempt, Attempts, Places
from neml2.drivers.increments.blocks import Block, Rows
from neml2.drivers.increments.conditions import View
from neml2.drivers.increments.events import Event, Found
from neml2.drivers.increments.flat import between, chosen, copied, flattened, replaced, shaped
from neml2.drivers.increments.increments import Gauge, Increments
from neml2.drivers.increments.standing import Standing
from neml2.drivers.increments.watching import Watch
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
    start
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
        start: Start | None = None,
    ) -> None:
        self.update, self.loading, self.time_name = update, loading, time
        self.increments = increments or Increments(smallest=1.0)
        self.gauge = Gauge(self.increments, update)
        self.aim = aim
        self.batch, self.points = loading.batch, loading.batch.numel()
        self.attempts = Attempts(update, advance, self.gauge, self.increments.doubles, self.batch)
        self.now = Standing.initial(update, loading, self.gauge, start)
        self.row = -1
        self.failures: list[Failure] = []
        device, lengths = loading.time.device, loading.lengths
        self._lengths = None if lengths is None else lengths.to(device).expand(self.batch).flatten()
        self._own = bool(events) or aim is not None or any(s.until is not None for s in stretches)
        self.watch = Watch(events, stretches, self.batch, device, cycle)
        self.found: list[Found] = []
        with torch.no_grad():
            now, everyone = self.now, torch.arange(self.points, device=device)
            view = self.watch.view(0, {**now.old, **now.outputs}, now.time, everyone)
            self.watch.values(view)  # names are checked before the first step
            self.watch.extremes.take(view)

    # ------------------------------------------------------------------ rows

    def advance(self, last: int) -> Block:
        """The rows after ``row`` up to ``last - 1``."""
        model, loading = self.update.model, self.loading
        given = [v.data for v in (*loading.forces.values(), *loading.initial.values())]
        given += [*model.parameters(), *(v.data for v in self.now.state.values())]
        self.now.tracked = torch.is_grad_enabled() and any(t.requires_grad for t in given)
        rows, self.found = Rows(self.row + 1, self._own), []
        while self.row + 1 < last and not self.finished:
            if self.row < 0:
                self._begin(rows)
            else:
                self._step(self.row + 1, rows)
            self.row += 1
            if self.aim is not None and self.row in self.aim.anchors:
                self.now.anchored = copied(self._controlled())
        return rows.block(loading, self.now.outputs, self.now.old, tuple(self.found))

    @property
    def finished(self) -> bool:
        """Whether no point goes on, and an event has stopped one at least."""
        now = self.now
        out = (now.failed != 0) | (now.idle >= len(self.loading))
        if self._lengths is not None:
            out |= self._lengths <= self.row + 1
        return bool(now.stopped.any()) and bool(out.all())

    def _begin(self, rows: Rows) -> None:
        """The initial row."""
        now = self.now
        none = torch.zeros_like(now.failed, dtype=torch.int32)
        status = torch.full_like(now.failed, int(Status.NOT_SOLVED))
        forces = {n: now.old[n] for n in self.loading.forces}
        rows.add(now.outputs, now.time, forces, (status, none, none, none, now.size.new_zeros(self.points)))

    def _step(self, k: int, rows: Rows) -> None:
        """Row ``k``: increments until every point is there."""
        now, was = self.now, self.now.failed.clone()
        way = self._interval(k)
        ended = ~way.live & (was == 0)
        while bool(way.live.any()):
            self._pass(k, way)
        lost = now.failed != 0
        now.time = torch.where(lost, way.t1, now.time)
        status = torch.where(ended, int(Status.ENDED), now.failed)
        status = torch.where(was != 0, int(Status.FROZEN), status).to(torch.int8)
        forces = {n: now.old[n] for n in self.loading.forces}
        if bool(lost.any()):
            index = lost.nonzero().squeeze(-1)
            forces = replaced(forces, index, way.end, index)
        marks = (status, way.iterations, way.pieces, way.rejected, way.error)
        rows.add(now.outputs, now.time, forces, marks)

    def _interval(self, k: int) -> _Interval:
        now, t0, t1 = self.now, self.now.time, self._clock(k)
        start = {n: now.old[n] for n in self.loading.forces}
        end = {n: flattened(v, self.batch) for n, v in self.loading.at(k).items()}
        if self._own and self.time_name in end:
            end[self.time_name] = Scalar(t1)
        if self.aim is not None:
            reached = {n: shaped(v, self.batch) for n, v in self._controlled().items()}
            start |= {n: flattened(v, self.batch) for n, v in self.aim.before(k, reached).items()}
            if self.aim.moving[k]:
                anchored = {n: shaped(v, self.batch) for n, v in now.anchored.items()}
                end[TARGET] = flattened(self.aim.target(k, anchored), self.batch)
        begun = now.outputs
        now.leave()
        if k == 1 and self.increments.first is not None:
            now.size = self.increments.first * (t1 - t0).double()
        none = torch.zeros_like(now.failed, dtype=torch.int32)
        zero = torch.zeros_like(now.size)
        everyone = torch.arange(self.points, device=zero.device)
        with torch.no_grad():
            view = self.watch.view(k - 1, {**start, **begun}, t0, everyone)
            values = self.watch.values(view, k)
        for i in self.watch.begun(k):  # a condition that holds already ends its segment at once
            met = self.watch.events[i].holds(values[i]) & (now.failed == 0) & (now.idle <= k)
            index = met.nonzero().squeeze(-1)
            if len(index):
                event = torch.full_like(index, i)
                self.found += self.watch.record(k, event, index, chosen(begun, index), t0[index])
                self._end(event, index)
        live = (now.failed == 0) & (now.idle <= k)
        if self._lengths is not None:
            live &= self._lengths > k
        return _Interval(
            *(start, end, begun, t0, t1, zero, live),
            *(none, none.clone(), none.clone(), zero.clone(), values),
        )

    def _controlled(self) -> Values:
        """The strain and the stress of the control, as they are."""
        assert self.aim is not None
        return {n: self.now.outputs[n] for n in (self.aim.strain, self.aim.stress)}

    def _clock(self, k: int) -> torch.Tensor:
        """The time of a row, ``(points,)``."""
        return self.loading.time[k].detach().expand(self.batch).reshape(self.points) - self.now.late

    # ------------------------------------------------------------------ increments

    def _pass(self, k: int, way: _Interval) -> None:
        """One increment of every point that is on its way."""
        now, rules, index = self.now, self.increments, way.live.nonzero().squeeze(-1)
        at = self._places(index, way)
        b = rules.end(at.a, now.size[index] / at.span)
        with torch.no_grad():
            scales = {n: x[index] for n, x in now.scales.items()}
            trial = self.attempts.make(at, b, scales)
            before = {**at.old, **now.part(now.outputs, index)}
            moved = self.gauge.moved(before, trial.values, at.a)
        solved = trial.status == Status.CONVERGED
        used = b - at.a
        least = used <= rules.smallest * (1 + 1e-9)
        taken = solved & (least | (torch.maximum(moved, trial.over) <= 1))
        self._resize(index, used * at.span, rules.factor(solved, moved, trial.over, now.wary[index]), taken)
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
        planned, new = self.now.size[index], used * factor
        # an increment that ended at a row says nothing against the larger one that was planned
        new = torch.where(taken & (factor >= 1) & (planned > used), torch.maximum(planned, new), new)
        self.now.size[index], self.now.wary[index] = new, ~taken

    def _accept(
        self, k: int, way: _Interval, at: Places, b: torch.Tensor, trial: Attempt, taken: torch.Tensor
    ) -> None:
        now, error = self.now, trial.error[taken]
        index, b = at.index[taken], b[taken]
        if now.tracked:  # once more, to the same bits, in a graph that rejected increments have no part in
            trial = self.attempts.make(self._places(index, way), b)
        elif len(index) < len(at.index):
            trial = trial.some(taken)
        now.take(index, trial)
        with torch.no_grad():
            scales = self.gauge.scales(trial.values, {n: x[index] for n, x in now.scales.items()})
            if self.watch.events:
                view, way.values[:, index] = self._seen(k, way, trial, index, b)
                self.watch.extremes.take(view)
        for n, x in scales.items():
            now.scales[n][index] = x
        way.error[index] += error
        now.time[index] = way.time(index, b)
        way.s[index] = b
        way.live[index] = b < 1

    def _give_up(self, k: int, way: _Interval, at: Places, b: torch.Tensor, status: torch.Tensor) -> None:
        """Points that failed go back to the row before and stay there."""
        now = self.now
        now.failed[at.index] = status.to(torch.int8)
        way.live[at.index] = False
        now.outputs = now.put(now.outputs, at.index, now.part(way.begun, at.index))
        with torch.no_grad():  # once more by themselves, for the message
            result = self.attempts.solve(at.state, between(at.start, at.end, b), at.old, at.index)
        if bool((result.status == Status.CONVERGED).all()):
            why = f"{len(at.index)} points needed more than {self.increments.most} increments"
        else:
            why = result.describe_failure()
        self.failures.append(Failure(k, at.index, status, why, result))

    def _places(self, index: torch.Tensor, way: _Interval) -> Places:
        """Where these points are on their way."""
        now = self.now
        return Places(
            index,
            way.s[index],
            now.part(now.state, index),
            now.part(now.old, index),
            now.part(way.start, index),
            now.part(way.end, index),
            (way.t1 - way.t0)[index].double(),
            now.part({n: now.outputs[n] for n in now.rates}, index),
            now.part(now.rates, index),
        )

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
        of, to = seen.acting, seen.row[seen.acting]
        trial = trial.with_others(to, seen.here, of)
        return b.index_put((to,), seen.s[of]), trial, (seen.event[of], seen.index[of])

    def _seen(
        self, k: int, way: _Interval, trial: Attempt, index: torch.Tensor, s: torch.Tensor
    ) -> tuple[View, torch.Tensor]:
        """What the conditions see at the end of an increment, and their values."""
        view = self.watch.view(k, trial.values, way.time(index, s), index)
        return view, self.watch.values(view, k)

    def _end(self, event: torch.Tensor, index: torch.Tensor) -> None:
        """Events act: their points rest until the next segment, or for good."""
        now = self.now
        for e in event.unique().tolist():
            points, stretch = index[event == e], self.watch.stretches[e]
            if stretch is None:
                now.idle[points] = len(self.loading)
                now.stopped[points] |= self.watch.events[e].action == "stop"
            else:
                now.idle[points] = stretch.last + 1
                planned = self.loading.time[stretch.last].detach().expand(self.batch).flatten()
                now.late[points] = planned[points] - now.time[points]

    # ------------------------------------------------------------------ checkpoint

    def checkpoint(self) -> dict[str, torch.Tensor]:
        """Everything that the next row depends on, by name."""
        found = {f"extremes/{n}": x for n, x in self.watch.extremes.found.items()}
        found["counts"] = self.watch.counts
        return self.now.checkpoint() | {n: t.clone() for n, t in found.items()}

    def restore(self, row: int, found: Mapping[str, torch.Tensor]) -> None:
        """Go on after ``row``, from a checkpoint taken there; to the same bits."""
        self.row = row
        self.now.restore(found, {**self.update.forces, **self.update.outputs, **self.update.states})
        extremes = self.watch.extremes.found
        extremes |= {n: found[f"extremes/{n}"].clone() for n in extremes}
        self.watch.counts = found["counts"].clone()
