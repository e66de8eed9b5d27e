"""A whole history in a few calls of a compiled kernel; the eager engine helps points that fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from neml2 import log
from neml2.derivatives import expand_batch
from neml2.drivers.trajectory import Trajectory
from neml2.implicit import ImplicitUpdate
from neml2.lags import lagged
from neml2.solvers.status import Status
from neml2.types import TensorWrapper

if TYPE_CHECKING:
    from neml2.compiler.kernel import Kernel, Tensors
    from neml2.compiler.march import March
    from neml2.drivers.transient import Run
    from neml2.step import StateUpdate, StepResult

Values = dict[str, TensorWrapper]
_A_WHILE = 400_000  # points times steps of one call: a fraction of a second, so that Ctrl-C and progress work


class NotNative(RuntimeError):
    """A run that the compiled engine cannot make; the message says why."""


class NativeEngine:
    """The compiled kernel of an update: built for the first history, used for all."""

    def __init__(self, update: StateUpdate) -> None:
        self.update = update
        self.kernel: Kernel | None = None
        self.refused: tuple[Any, str] | None = None  # what could not be compiled, and why
        self.told: set[str] = set()

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "kernel": None}  # a loaded library cannot be copied; the cache has it

    def run(self, run: Run) -> Trajectory | None:
        """The trajectory, or ``None`` when a point of a run with gradients failed: the eager engine has to
        do it.

        Raises :class:`NotNative` for models, solvers and machines that the compiler does not take, and what
        the eager engine raises for points that fail.
        """
        state, start = run.initial()
        self._check(run, state)
        kernel = self._compiled(run, state)
        return Native(run, kernel, run.loading.batch, state, start).result()

    def _compiled(self, run: Run, state: Values) -> Kernel:
        from neml2.compiler.build import NoCompiler, compiler
        from neml2.compiler.kernel import Kernel
        from neml2.compiler.lower import Unsupported

        shapes = {n: v.sub_batch_shape for n, v in {**run.loading.forces, **state}.items()}
        if self.kernel is not None and not self.kernel.is_stale(shapes):
            return self.kernel
        solvers = [m.solver for m in self.update.model.modules() if isinstance(m, ImplicitUpdate)]
        key = (shapes, solvers)  # another solver may be taken
        if self.refused is not None and self.refused[0] == key:
            raise NotNative(self.refused[1])
        try:
            if run.loading.time.device.type == "cpu":
                compiler()  # before the work of a kernel that nobody could build
            kernel = Kernel(self.update, run.loading.forces, shapes)
            kernel.launcher("march", run.loading.time).build()
        except Unsupported as error:
            self.refused = key, str(error)
            raise NotNative(str(error)) from None
        except NoCompiler as error:  # may be put right before the next run
            raise NotNative(str(error)) from None
        self.kernel = kernel
        return kernel

    def _check(self, run: Run, state: Values) -> None:
        loading = run.loading
        missing = [n for n in self.update.forces if n not in loading.forces]
        if missing:
            raise NotNative(f"'{missing[0]}' is left out of the history")
        if loading.time.dtype not in (torch.float64, torch.float32):
            raise NotNative(f"it has no arithmetic for {loading.time.dtype}; use float64 or float32")
        if loading.time.device.type not in ("cpu", "cuda"):
            raise NotNative(f"it has no kernels for {loading.time.device}; use the CPU or CUDA")
        if log.enabled("newton", log.INFO):
            raise NotNative("it has no messages of Newton's method; switch them off, or use engine='eager'")

    def say_once(self, reason: str) -> None:
        """Tell on channel ``driver``, once, why the eager engine is used."""
        if reason not in self.told:
            self.told.add(reason)
            log.emit("driver", log.WARNING, f"{self.update.model} runs in the eager engine: {reason}")


class Native:
    """One run: arrays ``(steps, points, size)`` that the kernel fills."""

    def __init__(self, run: Run, kernel: Kernel, batch: torch.Size, state: Values, start: Values) -> None:
        from neml2.compiler.launch import flat

        self.run, self.kernel, self.batch = run, kernel, batch
        self.points, self.steps = batch.numel(), len(run.loading)
        self.like = run.loading.time.new_zeros(())
        self.given = kernel.arguments(run.loading.forces, state, batch, self.like)
        sizes = kernel.sizes
        self.starts = {
            n: flat(v.data, 0, len(v.dynamic_batch_shape), batch, sizes[n]).to(self.like)
            for n, v in start.items()
        }
        self.sub = {n: v.sub_batch_ndim for n, v in start.items()}
        self.state = state
        self.frozen = torch.zeros(self.points, dtype=torch.bool, device=self.like.device)

    def result(self) -> Trajectory | None:
        tensors = (*self.given.values(), *self.starts.values())
        if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
            return self._with_gradients(tensors)
        kernel, steps, points = self.kernel, self.steps, self.points
        self.outputs: Tensors = {
            n: self.like.new_empty(steps, points, size)
            for n, size in kernel.sizes.items()
            if n in self.starts
        }
        self.status = torch.empty(steps, points, dtype=torch.int8, device=self.like.device)
        self.iterations = torch.empty(steps, points, dtype=torch.int32, device=self.like.device)
        for n, data in self.starts.items():
            self.outputs[n][0] = data
        self.status[0], self.iterations[0] = int(Status.NOT_SOLVED), 0
        done = 1
        try:
            with self.run.bar() or nullcontext() as bar:
                for done in self._march():
                    if bar is not None:
                        bar.update(done - bar.n - 1)
        except KeyboardInterrupt as stop:
            stop.trajectory = self.trajectory(done)  # type: ignore[attr-defined]
            raise
        return self.trajectory(steps)

    # ------------------------------------------------------------------ with gradients

    def _with_gradients(self, tensors: tuple[torch.Tensor, ...]) -> Trajectory | None:
        from neml2.compiler.build import NoCompiler
        from neml2.compiler.march import Marched

        kernel, like = self.kernel, self.like
        try:
            kernel.launcher("adjoint", like).build()
        except NoCompiler as error:
            raise NotNative(str(error)) from None
        report: list[torch.Tensor] = []
        names, starts = tuple(self.given), tuple(self.starts)
        found = Marched.apply(kernel, 1, self.steps, self.points, report, names, starts, *tensors)
        stopped, self.status, self.iterations = report
        if bool(stopped.any()):
            return None
        self.outputs = {n: t for n, t in zip(kernel.sizes, found, strict=True) if n in self.starts}
        self.status[0] = int(Status.NOT_SOLVED)
        return self.trajectory(self.steps)

    # ------------------------------------------------------------------ without: in blocks of steps

    def _march(self) -> Iterator[int]:
        """Fill the arrays block by block; yields the number of steps that are complete."""
        from neml2.compiler.march import run_march

        block = max(16, _A_WHILE // self.points)
        given = dict(self.given)
        for first in range(1, self.steps, block):
            last = min(first + block, self.steps)
            rows = torch.arange(first, last, device=self.like.device)
            done = run_march(
                self.kernel,
                given,
                first,
                last,
                self.points,
                self.outputs,
                rows,
                (self.status, self.iterations),
            )
            done.stopped[self.frozen] = 0
            if bool(done.stopped.any()):
                self._rescue(given, done, last)
            if bool(self.frozen.any()):
                self._keep_frozen(first, last)
            given |= done.end
            yield last

    def _rescue(self, given: Tensors, done: March, last: int) -> None:
        """Take points that stopped through that step with the eager engine, and send them on natively."""
        from neml2.compiler.march import chosen, run_march

        stopped, end = done.stopped, done.end
        while bool((stopped > 0).any()):
            k = int(stopped[stopped > 0].min())
            index = (stopped == k).nonzero().squeeze(-1)
            stopped[index] = 0
            saved = self.run.rescue(k, self, index)
            self.frozen[index[~saved]] = True
            index = index[saved]
            for name, depth in self.kernel.states:
                for lag in range(1, depth + 1):
                    end[f"init{lag}_{name}"][index] = self.outputs[name][max(k + 1 - lag, 0), index].double()
            if k + 1 == last or not len(index):
                continue
            count = last - k - 1
            part_given = chosen({**given, **end}, index)
            part = {n: t.new_empty(count, len(index), t.shape[-1]) for n, t in self.outputs.items()}
            marks = self.status.new_empty(count, len(index)), self.iterations.new_empty(count, len(index))
            rows = torch.arange(count, device=index.device)
            again = run_march(self.kernel, part_given, k + 1, last, len(index), part, rows, marks)
            for n, t in part.items():
                self.outputs[n][k + 1 : last, index] = t
            self.status[k + 1 : last, index], self.iterations[k + 1 : last, index] = marks
            stopped[index] = again.stopped
            for n, t in again.end.items():
                end[n][index] = t

    def _keep_frozen(self, first: int, last: int) -> None:
        """Points that were given up keep what they had before the step that failed."""
        index = self.frozen.nonzero().squeeze(-1)
        for k in range(first, last):
            was = self.status[k - 1, index]
            index_k = index[(was != Status.CONVERGED) & (was != Status.NOT_SOLVED)]
            self.status[k, index_k], self.iterations[k, index_k] = int(Status.FROZEN), 0
            for t in self.outputs.values():
                t[k, index_k] = t[k - 1, index_k]

    def state_before(self, k: int) -> Values:
        """The state from which step ``k`` starts, of all points."""
        if k == 1:
            return self.state
        update = self.run.driver.update
        found = {n: self._typed(n, self.outputs[n][k - 1]) for n in (*update.states, *update.guesses)}
        for n in update.states:
            for lag in range(1, update.depth[n]):
                found[lagged(n, lag)] = self._typed(n, self.outputs[n][max(k - 1 - lag, 0)])
        return found

    def put(self, k: int, index: torch.Tensor, result: StepResult, saved: torch.Tensor) -> None:
        """Store a step of some points; those that are not ``saved`` keep what they had."""
        self.status[k, index] = result.status.expand(index.shape)
        self.iterations[k, index] = result.iterations.expand(index.shape)
        for n, t in self.outputs.items():
            new = expand_batch(result.outputs[n], torch.Size(index.shape)).reshape(len(index), -1)
            t[k, index] = torch.where(saved.unsqueeze(-1), new, t[k - 1, index])

    # ------------------------------------------------------------------ what came out

    def _typed(self, name: str, data: torch.Tensor, *lead: int) -> TensorWrapper:
        kind = self.run.driver.update.outputs[name]
        shape = (*lead, *self.batch, *self.kernel.step.outputs[name].shape)
        return kind._new(data.reshape(shape), self.sub[name])

    def trajectory(self, steps: int) -> Trajectory:
        loading = self.run.loading
        return Trajectory(
            time=loading.time[:steps],
            status=self.status[:steps].reshape(steps, *self.batch),
            iterations=self.iterations[:steps].reshape(steps, *self.batch),
            outputs={n: self._typed(n, t[:steps], steps) for n, t in self.outputs.items()},
            forces={n: type(v)._new(v.data[:steps], v.sub_batch_ndim) for n, v in loading.forces.items()},
            time_name=self.run.driver.time,
            origin=self.run.origin,
        )
