"""Sensitivities of a driven history in the kernel: a march, and a sweep over its steps for all parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from neml2.compiler.build import NoCompiler
from neml2.compiler.march import run_march, run_sensitivity
from neml2.derivatives import expand_batch
from neml2.drivers.control.aim import TARGET, Aim
from neml2.drivers.engines.native import NativeEngine, NativeMarch, NotNative
from neml2.drivers.engines.run import Run
from neml2.drivers.histories.history import History
from neml2.drivers.trajectory import Trajectory
from neml2.recurrent.reverse_sensitivities import initial_slopes
from neml2.solvers.status import Status

Tensors = dict[str, torch.Tensor]
Slopes = dict[tuple[str, str], torch.Tensor]


def natively(
    engine: NativeEngine, run: Run, history: History, parameters: Sequence[str], outputs: Sequence[str]
) -> tuple[Trajectory, Slopes] | None:
    """The trajectory and ``{(output, parameter): (n, *batch, *output, *parameter)}``.

    The answer is ``None`` when a point fails. Raises :class:`~neml2.drivers.NotNative` for models,
    histories and machines that the compiler does not take.
    """
    if any(s.until is not None for s in history.segments):
        raise NotNative("it has no sensitivities of histories that go on until something happens")
    march = engine.march(run)
    sweep = _Sweep(march, history, parameters, outputs)
    try:
        march.kernel.launcher("sensitivity", march.like, sweep.by).build()
    except NoCompiler as error:
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
        if self.aim is not None:
            assert history.control is not None
            self.wanted = list(dict.fromkeys([*self.wanted, self.aim.stress, self.aim.strain]))
            target = torch.zeros_like(history.control.target)
            still = replace(history.control, target=target).to(like.dtype)
            self.carried = Aim(still, self.aim.strain, self.aim.stress, self.aim.kind)
            width = self.kernel.forces[TARGET]
            self.along[TARGET] = like.new_zeros(*shape, sum(self.widths), width)
        self.parts = {n: [t.unsqueeze(0)] for n, t in self._initial(run).items()}

    def _initial(self, run: Run) -> Tensors:
        """The derivatives of row 0, ``(points, size, columns)``."""
        slopes = initial_slopes(run, self.parameters, self.wanted)
        found = {}
        for output in self.wanted:
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
        """March over a stretch, then sweep over it; false if a point fails."""
        if self.aim is not None:
            self._take_aim(first, last)
        rows = torch.arange(first, last, device=self.march.like.device)
        marks = self.status, self.iterations
        done = run_march(self.kernel, self.given, first, last, self.points, self.tape, rows, marks)
        stopped = done.stopped > 0
        if self.march.lengths is not None:
            stopped &= done.stopped < self.march.lengths
        if bool(stopped.any()):
            return False
        base = max(first - self.march.overlap, 0)
        given = {n: t[base:last] if n[:6] == "force_" else t for n, t in self.given.items()}
        found, self.begin = run_sensitivity(
            self.kernel,
            given,
            {n: t[base:last] for n, t in self.tape.items()},
            first - base,
            self.points,
            self.parameters,
            self.wanted,
            {n: t[base:last] for n, t in self.along.items()},
            self.begin,
        )
        for n, t in found.items():
            self.parts[n].append(t[first - base :])
        self.given = self.given | done.end
        return True

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
        if march.lengths is not None:
            over = torch.arange(rows, device=status.device).unsqueeze(-1) >= march.lengths
            status = status.masked_fill(over, int(Status.ENDED))
            iterations = iterations.masked_fill(over, 0)
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
        """``(n, points, ...)`` where rows after the end of a point repeat its last one."""
        if self.march.lengths is None:
            return data
        rows = torch.arange(len(data), device=data.device).unsqueeze(-1)
        rows = torch.minimum(rows, self.march.lengths - 1)
        return data[rows, torch.arange(self.points, device=data.device)]
