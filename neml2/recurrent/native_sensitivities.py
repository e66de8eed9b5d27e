"""Sensitivities of a driven history in the kernel: a march, and a sweep over its steps for all parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from neml2.compiler.build import NoCompiler
from neml2.compiler.lower import Unsupported
from neml2.compiler.march import March, chosen, run_march, run_sensitivity
from neml2.derivatives import expand_batch
from neml2.drivers.control.aim import TARGET, Aim
from neml2.drivers.engines.native import NativeEngine, NativeMarch, NotNative
from neml2.drivers.engines.run import Run
from neml2.drivers.histories.history import History
from neml2.drivers.trajectory import Trajectory
from neml2.lags import lagged
from neml2.recurrent.rescued_step import Moving, rescued
from neml2.recurrent.reverse_sensitivities import initial_slopes
from neml2.solvers.status import Status

Tensors = dict[str, torch.Tensor]
Slopes = dict[tuple[str, str], torch.Tensor]


def natively(
    engine: NativeEngine, run: Run, history: History, parameters: Sequence[str], outputs: Sequence[str]
) -> tuple[Trajectory, Slopes] | None:
    """The trajectory and ``{(output, parameter): (n, *batch, *output, *parameter)}``.

    The eager engine takes points through steps in which the kernel fails. The answer is ``None`` where it
    cannot. Raises :class:`~neml2.drivers.NotNative` for models,
    histories and machines that the compiler does not take.
    """
    if any(s.until is not None for s in history.segments):
        raise NotNative("it has no sensitivities of histories that go on until something happens")
    march = engine.march(run)
    sweep = _Sweep(march, history, parameters, outputs)
    try:
        march.kernel.launcher("sensitivity", march.like, sweep.by).build()
    except (NoCompiler, Unsupported) as error:
        raise NotNative(str(error)) from None
    for first, last in sweep.stretches():
        if not sweep.advance(first, last):
            return None
    return sweep.trajectory(), sweep.slopes()


class _Sweep:
    """A history in stretches: the control of each is known when it begins, and with it how it changes."""

    def __init__(
        self, march: NativeMarch, history: History, parameters: Sequence[str], outputs: Sequence[str]
    ) -> None:
        self.march, self.kernel, self.parameters, self.outputs = march, march.kernel, parameters, outputs
        run, like = march.run, march.like
        self.aim = run.aim if run.aim is not None and run.aim.anchors else None
        self.by = () if self.aim is None else (TARGET,)
        self.steps, self.points, self.batch = len(run.loading), march.points, march.batch
        self.given = march.given
        self.tape = {n: like.new_zeros(self.steps, self.points, s) for n, s in self.kernel.sizes.items()}
        for n, data in march.starts.items():
            self.tape[n][0] = data
        shape = (self.steps, self.points)
        self.status = torch.zeros(shape, dtype=torch.int8, device=like.device)
        self.status[0] = int(Status.NOT_SOLVED)
        self.iterations = torch.zeros(shape, dtype=torch.int32, device=like.device)

        self.widths = [self.kernel.step.parameters[n].nodes.size for n in parameters]
        self.wanted = list(dict.fromkeys(outputs))
        self.begin: Tensors = {}
        self.along: Tensors = {}
        self.frozen = torch.zeros(self.points, dtype=torch.bool, device=like.device)
        self.ends = torch.full_like(self.frozen, self.steps, dtype=torch.int64)  # how many rows are its own
        if march.lengths is not None:
            self.ends = march.lengths.clone()
        if run.aim is not None and run.levels:  # where a step that is cut starts from
            self.wanted = list(dict.fromkeys([*self.wanted, run.aim.stress, run.aim.strain]))
        if self.aim is not None:
            assert history.control is not None
            self.wanted = list(dict.fromkeys([*self.wanted, self.aim.stress, self.aim.strain]))
            target = torch.zeros_like(history.control.target)
            still = replace(history.control, target=target).to(like.dtype)
            self.carried = Aim(still, self.aim.strain, self.aim.stress, self.aim.kind)
            width = self.kernel.forces[TARGET]
            self.along[TARGET] = like.new_zeros(*shape, sum(self.widths), width)
        states = [n for n, _ in self.kernel.states]
        first = self._initial(run, list(dict.fromkeys([*self.wanted, *states])))
        self.parts = {n: [first[n].unsqueeze(0)] for n in self.wanted}
        if any(
            bool(first[n].any()) for n in states
        ):  # a strain that meets the control of row 0, for instance
            for n, depth in self.kernel.states:
                start = first[n].transpose(-1, -2).double()
                self.begin |= {f"begin{lag}_{n}": start for lag in range(1, depth + 1)}

    def _initial(self, run: Run, outputs: Sequence[str]) -> Tensors:
        """The derivatives of row 0, ``(points, size, columns)``."""
        slopes = initial_slopes(run, self.parameters, outputs)
        found = {}
        for output in outputs:
            size = self.kernel.sizes[output]
            columns = [slopes[output, n].reshape(self.points, size, -1) for n in self.parameters]
            found[output] = torch.cat([self.march.like.new_zeros(self.points, size, 0), *columns], dim=-1)
        return found

    def stretches(self) -> list[tuple[int, int]]:
        """First and last row (exclusive) of each."""
        cuts = {1, self.steps} | {a + 1 for a in (self.aim.anchors if self.aim else ()) if a < self.steps - 1}
        ends = sorted(cuts)
        return list(zip(ends[:-1], ends[1:], strict=True))

    def advance(self, first: int, last: int) -> bool:
        """March over a stretch, then sweep over it; false if a point fails for which there is no remedy."""
        if self.aim is not None:
            self._take_aim(first, last)
        while first < last:
            done = self._march(first, last)
            stopped = done.stopped
            k = int(stopped[stopped > 0].min()) if bool(stopped.any()) else last
            self._sweep(first, k, ~self.frozen)
            if k == last:
                self.given = self.given | done.end
                break
            if not self._through(k, (stopped == k).nonzero().squeeze(-1)):
                return False
            first = k + 1
        return True

    def _march(self, first: int, last: int) -> March:
        """The rows of all points, as far as they get; those that are frozen or over have not stopped."""
        rows = torch.arange(first, last, device=self.march.like.device)
        marks = self.status, self.iterations
        done = run_march(self.kernel, self.given, first, last, self.points, self.tape, rows, marks)
        done.stopped[self.frozen] = 0
        if self.march.lengths is not None:
            done.stopped[done.stopped >= self.march.lengths] = 0
        return done

    def _sweep(self, first: int, last: int, taking_part: torch.Tensor) -> None:
        """The derivatives of rows that are done, zero at points that take no part."""
        if first == last:
            return
        base = max(first - self.march.overlap, 0)
        given = {n: t[base:last] if n[:6] == "force_" else t for n, t in self.given.items()}
        tape = {n: t[base:last] for n, t in self.tape.items()}
        along, begin = {n: t[base:last] for n, t in self.along.items()}, self.begin
        which = None if bool(taking_part.all()) else taking_part.nonzero().squeeze(-1)
        if which is not None:
            given, tape = chosen(given, which), chosen(tape, which)
            along, begin = ({n: t[..., which, :, :] for n, t in d.items()} for d in (along, begin))
        points = self.points if which is None else len(which)
        kernel, names = self.kernel, self.parameters
        found, end = run_sensitivity(
            kernel, given, tape, first - base, points, names, self.wanted, along, begin
        )
        for n, t in found.items():
            self.parts[n].append(self._everyone(t[first - base :], which, 1))
        self.begin = {n: self._everyone(t, which, 0) for n, t in end.items()}

    def _everyone(self, data: torch.Tensor, which: torch.Tensor | None, axis: int) -> torch.Tensor:
        """Values of all points from those of ``which``."""
        if which is None:
            return data
        shape = [*data.shape]
        shape[axis] = self.points
        return data.new_zeros(shape).index_copy_(axis, which, data)

    def _through(self, k: int, index: torch.Tensor) -> bool:
        """Row ``k``, through which the eager engine takes the points ``index``, given up by the kernel.

        False where the control depends on what was reached, and where failing points are not to be frozen.
        """
        if self.aim is not None:
            return False
        run = self.march.run
        state, last = self._before(k)
        found = rescued(run, k, state, last, index, self.parameters, self.wanted)
        if not bool(found.good.all()) and "freeze" not in run.ways:
            return False
        others = ~self.frozen
        others[index] = False
        begin = self.begin
        self._sweep(k, k + 1, others)
        self.status[k, index], self.iterations[k, index] = found.status, found.iterations
        lost, saved = index[~found.good], index[found.good]
        self.frozen[lost], self.ends[lost] = True, k
        for n, data in found.outputs.items():
            self.tape[n][k, saved] = data.to(self.tape[n])
        for n in self.wanted if len(saved) else ():
            self.parts[n][-1][0, saved] = found.slopes[n].to(self.parts[n][-1])
        for n, depth in self.kernel.states if len(saved) else ():
            self.begin[f"begin1_{n}"][saved] = found.slopes[n].transpose(-1, -2).double()
            for lag in range(2, depth + 1):
                older = begin.get(f"begin{lag - 1}_{n}")
                self.begin[f"begin{lag}_{n}"][saved] = 0.0 if older is None else older[saved]
        for n, depth in self.kernel.states:
            for lag in range(1, depth + 1):
                self.given[f"init{lag}_{n}"] = self.tape[n][max(k + 1 - lag, 0)].double()
        return True

    def _before(self, k: int) -> tuple[Moving, Moving]:
        """State and outputs before row ``k``, with their derivatives."""
        run, march = self.march.run, self.march
        last = {n: march.typed(n, self.tape[n][k - 1]) for n in march.starts}
        shown = () if run.aim is None or not run.levels else (run.aim.stress, run.aim.strain)
        slopes = {n: self._row(n, k - 1) for n in shown}
        update, moving = run.update, {}
        names = update.states if k == 1 else (*update.states, *update.guesses)
        state = {**march.state, **{n: last[n] for n in names}}
        for n in update.states:
            for lag in range(update.depth[n] if k > 1 else 1):
                name, begin = lagged(n, lag), f"begin{lag + 1}_{n}"
                state[name] = march.typed(n, self.tape[n][max(k - 1 - lag, 0)])
                if begin in self.begin:
                    moving[name] = self.begin[begin].transpose(-1, -2)
        return Moving(state, moving), Moving(last, slopes)

    def _take_aim(self, first: int, last: int) -> None:
        """Targets that start from what was reached, and how they change."""
        assert self.aim is not None
        names = (self.aim.stress, self.aim.strain)
        for k in range(first, last):
            if not self.aim.moving[k]:
                continue
            anchor = self.aim.anchor[k]
            reached = {n: self.march.typed(n, self.tape[n][anchor]) for n in names}
            target = expand_batch(self.aim.target(k, reached), self.batch)
            self.given[f"force_{TARGET}"][k] = target.reshape(self.points, -1)
            moved = {n: self._row(n, anchor).movedim(-1, 0) for n in names}  # (columns, points, size)
            typed = {n: self.march.typed(n, t, len(t)) for n, t in moved.items()}
            columns = self.carried.target(k, typed).data.reshape(sum(self.widths), self.points, -1)
            self.along[TARGET][k] = columns.movedim(0, 1)

    def _row(self, output: str, k: int) -> torch.Tensor:
        """The derivatives of a row that is done, ``(points, size, columns)``."""
        for part in self.parts[output]:
            if k < len(part):
                return part[k]
            k -= len(part)
        raise AssertionError(f"row {k} is not done")

    # ------------------------------------------------------------------ what came out

    def trajectory(self) -> Trajectory:
        march, rows = self.march, self.steps
        status, iterations = self.status, self.iterations
        after = torch.arange(rows, device=status.device).unsqueeze(-1)
        for over, mark in (
            (~self.frozen & (after >= self.ends), Status.ENDED),
            (self.frozen & (after > self.ends), Status.FROZEN),
        ):
            status, iterations = status.masked_fill(over, int(mark)), iterations.masked_fill(over, 0)
        outputs = {n: march.typed(n, self._ended(self.tape[n]), rows) for n in march.starts}
        shape = (rows, *self.batch)
        return march.run.block(0, outputs, status.reshape(shape), iterations.reshape(shape))

    def slopes(self) -> Slopes:
        found: Slopes = {}
        shapes = {n: t.shape for n, t in self.kernel.step.outputs.items()}
        for output in self.outputs:
            whole = self._ended(torch.cat(self.parts.pop(output)))  # (n, points, size, columns)
            for name, part in zip(self.parameters, whole.split(self.widths, dim=-1), strict=True):
                own = self.kernel.step.parameters[name].shape
                found[output, name] = part.reshape(self.steps, *self.batch, *shapes[output], *own)
        return found

    def _ended(self, data: torch.Tensor) -> torch.Tensor:
        """``(n, points, ...)`` where rows after the end of a point, or its failure, repeat its last one."""
        if bool((self.ends == self.steps).all()):
            return data
        rows = torch.arange(len(data), device=data.device).unsqueeze(-1)
        rows = torch.minimum(rows, self.ends - 1)
        return data[rows, torch.arange(self.points, device=data.device)]
