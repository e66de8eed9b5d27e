"""A run in a compiled kernel, block by block; the eager engine helps points that fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch

from neml2.derivatives import expand_batch
from neml2.drivers.control.aim import TARGET
from neml2.drivers.engines.eager import EagerMarch
from neml2.drivers.engines.pages import empty
from neml2.drivers.engines.run import NotNative, Run
from neml2.drivers.trajectory import Trajectory
from neml2.errors import ConvergenceError
from neml2.lags import lagged
from neml2.solvers.status import Status
from neml2.types import TensorWrapper

if TYPE_CHECKING:
    from neml2.compiler.kernel import Kernel, Tensors
    from neml2.compiler.march import March
    from neml2.step import StepResult

Values = dict[str, TensorWrapper]
_A_WHILE = 400_000  # points times steps of one call: a fraction of a second, so that Ctrl-C and progress work


class NativeMarch:
    """Advances all points in a kernel, which fills arrays ``(rows, points, size)``.

    The arrays of a block begin some rows before it, as many as the model reads old values: row ``k`` of the
    history is their row ``k - base``.
    """

    finished = False  # before the last row
    events = ()

    def __init__(
        self, run: Run, kernel: Kernel, state: Values, start: Values, say_once: Callable[[str], None]
    ) -> None:
        """``say_once`` is told why the eager engine is used."""
        from neml2.compiler.build import NoCompiler
        from neml2.compiler.launch import flat
        from neml2.compiler.lower import Unsupported

        self.run, self.kernel, self.row, self.say_once = run, kernel, -1, say_once
        self.batch = run.loading.batch
        self.points = self.batch.numel()
        self.like = run.loading.time.new_zeros(())
        device = self.like.device
        self.given = kernel.arguments(run.loading.forces, state, self.batch, self.like)
        sizes = kernel.sizes
        self.starts = {
            n: flat(v.data, 0, len(v.dynamic_batch_shape), self.batch, sizes[n]).to(self.like)
            for n, v in start.items()
        }
        self.sub = {n: v.sub_batch_ndim for n, v in start.items()}
        self.state = state
        self.frozen = torch.zeros(self.points, dtype=torch.bool, device=device)
        lengths = run.loading.lengths
        self.lengths = None if lengths is None else lengths.to(device).expand(self.batch).flatten()
        self.overlap = max((depth for _, depth in kernel.states), default=1)
        self.anchored: Tensors = {}
        tensors = (*self.given.values(), *self.starts.values())
        self.differentiated = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
        if self.differentiated:
            try:
                kernel.launcher("adjoint", self.like).build()
            except (NoCompiler, Unsupported) as error:
                raise NotNative(str(error)) from None
        aim = run.aim
        if aim is not None and aim.anchors:
            if self.differentiated and self.lengths is not None:
                raise NotNative(
                    "it has no gradients of control that starts from where the material is for histories of"
                    " several lengths"
                )
            n = f"force_{TARGET}"
            self.given[n] = self.given[n].expand(-1, self.points, -1).clone()  # filled in as the run goes on
        self.base = 0
        self.outputs: Tensors = {}
        self.status = torch.empty(0)
        self.iterations = torch.empty(0)

    def advance(self, last: int) -> Trajectory:
        """See :class:`~neml2.drivers.engines.run.March`."""
        if self.differentiated:
            return self._with_gradients(last)
        first = self.row + 1
        self._make_room(first, last)
        try:
            self._march(max(first, 1), last)
        except (ConvergenceError, KeyboardInterrupt, SystemExit) as stop:
            stop.trajectory = self._block(first)  # type: ignore[union-attr]
            raise
        return self._block(first)

    def _make_room(self, first: int, last: int) -> None:
        """Arrays for the rows ``first`` to ``last - 1``, after those that the model looks back at."""
        base = max(first - self.overlap, 0)
        keep, rows = slice(base - self.base, first - self.base), last - base
        kept = {n: t[keep] for n, t in self.outputs.items()}
        marks = self.status[keep], self.iterations[keep]
        shape, device = (rows, self.points), self.like.device
        self.outputs = empty(
            {n: (*shape, s) for n, s in self.kernel.sizes.items() if n in self.starts}, self.like
        )
        self.status = torch.empty(shape, dtype=torch.int8, device=device)
        self.iterations = torch.empty(shape, dtype=torch.int32, device=device)
        for n, t in kept.items():
            self.outputs[n][: first - base] = t
        if first == 0:
            for n, data in self.starts.items():
                self.outputs[n][0] = data
            self.status[0], self.iterations[0] = int(Status.NOT_SOLVED), 0
            self.row = 0
            self._remember_anchor()
        else:
            self.status[: first - base], self.iterations[: first - base] = marks
        self.base = base

    # ------------------------------------------------------------------ with gradients

    def _with_gradients(self, last: int) -> Trajectory:
        """The whole history at once; in the eager engine when a point fails."""
        from neml2.drivers.engines.native_gradients import differentiated

        steps = len(self.run.loading)
        if self.row >= 0 or last != steps:
            raise RuntimeError("a run with gradients is made in one block")
        found = differentiated(self)
        if found is None:
            self.say_once(
                "points failed in the kernel, and a run with gradients is made in one piece;"
                " use torch.no_grad() where no gradients are wanted"
            )
            self.row = steps - 1
            return EagerMarch(self.run).advance(last)
        self.outputs, self.status, self.iterations = found
        self.row = steps - 1
        return self._block(0)

    # ------------------------------------------------------------------ without: in blocks of steps

    def _march(self, first: int, last: int) -> None:
        from neml2.compiler.march import run_march

        sites = self.kernel.sites
        block = max(16 if sites == 1 else 1, _A_WHILE // (self.points * sites))
        while first < last:
            end = min(first + block, last, *self._next_anchor(first))
            self._take_aim(first, end)
            rows = torch.arange(first - self.base, end - self.base, device=self.like.device)
            marks = self.status, self.iterations
            done = run_march(self.kernel, self.given, first, end, self.points, self.outputs, rows, marks)
            done.stopped[self.frozen] = 0
            if self.lengths is not None:
                done.stopped[done.stopped >= self.lengths] = 0
            if bool(done.stopped.any()):
                self._rescue(done, end)
            self._keep_idle(first, end)
            self.given |= done.end
            self.row = end - 1
            self._remember_anchor()
            self.run.tick(end - first)
            first = end

    def _rescue(self, done: March, last: int) -> None:
        """Take points that stopped through that step with the eager engine, and send them on natively."""
        from neml2.compiler.march import chosen, run_march

        stopped, end, base = done.stopped, done.end, self.base
        while bool((stopped > 0).any()):
            k = int(stopped[stopped > 0].min())
            index = (stopped == k).nonzero().squeeze(-1)
            stopped[index] = 0
            saved = self._by_eager(k, index)
            self.frozen[index[~saved]] = True
            index = index[saved]
            for name, depth in self.kernel.states:
                for lag in range(1, depth + 1):
                    row = max(k + 1 - lag, 0) - base
                    end[f"init{lag}_{name}"][index] = self.outputs[name][row, index].double()
            if k + 1 == last or not len(index):
                continue
            count = last - k - 1
            part_given = chosen({**self.given, **end}, index)
            part = {n: t.new_empty(count, len(index), t.shape[-1]) for n, t in self.outputs.items()}
            marks = self.status.new_empty(count, len(index)), self.iterations.new_empty(count, len(index))
            rows = torch.arange(count, device=index.device)
            again = run_march(self.kernel, part_given, k + 1, last, len(index), part, rows, marks)
            here = slice(k + 1 - base, last - base)
            for n, t in part.items():
                self.outputs[n][here, index] = t
            self.status[here, index], self.iterations[here, index] = marks
            stopped[index] = again.stopped
            if self.lengths is not None:
                stopped[stopped >= self.lengths] = 0
            for n, t in again.end.items():
                end[n][index] = t

    def _by_eager(self, k: int, index: torch.Tensor) -> torch.Tensor:
        """Advance points that the kernel gave up at step ``k``; which of them have converged.

        Raises :class:`~neml2.ConvergenceError` when some have not, unless they are to be frozen.
        """
        run, update = self.run, self.run.update
        state, last = self._state_before(k), self._outputs_of(k - 1)
        anchored = {n: self.typed(n, t) for n, t in self.anchored.items()}
        forces, old = run.forces(k, anchored), run.old_forces(k, last)
        result = update(state, forces, old, run.levels, index)
        saved = (result.status == Status.CONVERGED).expand(index.shape)
        if not bool(saved.all()) and "freeze" not in run.ways:
            self.row = k - 1
            for name, depth in self.kernel.states:
                for lag in range(1, depth + 1):
                    row = max(k - lag, 0) - self.base
                    self.given[f"init{lag}_{name}"] = self.outputs[name][row].double()
            everyone = self._taking_part(k)
            again = update(state, forces, old, run.levels, everyone)
            raise run.error(k, again, everyone, (state, forces, old))
        self._put(k, index, result, saved)
        return saved

    def _taking_part(self, k: int) -> torch.Tensor | None:
        """The points that are neither frozen nor at their end, for the message; ``None``: all."""
        idle = self.frozen if self.lengths is None else self.frozen | (self.lengths <= k)
        return (~idle).nonzero().squeeze(-1) if bool(idle.any()) else None

    def _keep_idle(self, first: int, last: int) -> None:
        """Points that were given up, or whose history has ended, keep what they had."""
        if bool(self.frozen.any()):
            index = self.frozen.nonzero().squeeze(-1)
            for k in range(first - self.base, last - self.base):
                was = self.status[k - 1, index]
                self._repeat(k, index[(was != Status.CONVERGED) & (was != Status.NOT_SOLVED)], Status.FROZEN)
        if self.lengths is not None and bool((self.lengths < last).any()):
            for k in range(first, last):
                over = (self.lengths <= k) & ~self.frozen
                self._repeat(k - self.base, over.nonzero().squeeze(-1), Status.ENDED)

    def _repeat(self, row: int, index: torch.Tensor, status: Status) -> None:
        self.status[row, index], self.iterations[row, index] = int(status), 0
        for t in self.outputs.values():
            t[row, index] = t[row - 1, index]

    def _state_before(self, k: int) -> Values:
        """The state from which step ``k`` starts, of all points."""
        if k == 1:
            return self.state
        update = self.run.update
        found = {
            n: self.typed(n, self.outputs[n][k - 1 - self.base]) for n in (*update.states, *update.guesses)
        }
        for n in update.states:
            for lag in range(1, update.depth[n]):
                row = max(k - 1 - lag, 0) - self.base
                found[lagged(n, lag)] = self.typed(n, self.outputs[n][row])
        return found

    def _outputs_of(self, k: int) -> Values:
        return {n: self.typed(n, t[k - self.base]) for n, t in self.outputs.items()}

    def _put(self, k: int, index: torch.Tensor, result: StepResult, saved: torch.Tensor) -> None:
        """Store a step of some points; those that are not ``saved`` keep what they had."""
        row = k - self.base
        self.status[row, index] = result.status.expand(index.shape)
        self.iterations[row, index] = result.iterations.expand(index.shape)
        for n, t in self.outputs.items():
            new = expand_batch(result.outputs[n], torch.Size(index.shape)).reshape(len(index), -1)
            t[row, index] = torch.where(saved.unsqueeze(-1), new, t[row - 1, index])

    # ------------------------------------------------------------------ control that moves with the material

    def _next_anchor(self, first: int) -> list[int]:
        """The row after the next anchor: control from there on is known only when that row is done."""
        aim = self.run.aim
        return (
            [min(later) + 1] if aim is not None and (later := [a for a in aim.anchors if a >= first]) else []
        )

    def _remember_anchor(self) -> None:
        aim = self.run.aim
        if aim is not None and self.row in aim.anchors:
            at = self.row - self.base
            self.anchored = {n: self.outputs[n][at].clone() for n in (aim.stress, aim.strain)}

    def _take_aim(self, first: int, last: int) -> None:
        aim = self.run.aim
        if aim is None:
            return
        anchored = {n: self.typed(n, t) for n, t in self.anchored.items()}
        for k in range(first, last):
            if aim.moving[k]:
                target = expand_batch(aim.target(k, anchored), self.batch)
                self.given[f"force_{TARGET}"][k] = target.reshape(self.points, -1)

    # ------------------------------------------------------------------ what came out

    def typed(self, name: str, data: torch.Tensor, *lead: int) -> TensorWrapper:
        """Numbers of all points ``(*lead, points, size)`` as values of that output."""
        kind = self.run.update.outputs[name]
        shape = (*lead, *self.batch, *self.kernel.output_shapes[name])
        return kind._new(data.reshape(shape), self.sub[name])

    def _block(self, first: int) -> Trajectory:
        """The rows from ``first`` up to the last one that is done."""
        rows, count = slice(first - self.base, self.row + 1 - self.base), self.row + 1 - first
        outputs = {n: self.typed(n, t[rows], count) for n, t in self.outputs.items()}
        shape = (count, *self.batch)
        return self.run.block(
            first, outputs, self.status[rows].reshape(shape), self.iterations[rows].reshape(shape)
        )

    def checkpoint(self) -> dict[str, torch.Tensor]:
        """See :class:`~neml2.drivers.engines.run.March`."""
        found = {f"state/{n}": t for n, t in self.given.items() if n[:4] == "init"}
        rows = slice(max(self.row + 1 - self.overlap, 0) - self.base, self.row + 1 - self.base)
        found |= {f"rows/{n}": t[rows] for n, t in self.outputs.items()}
        found |= {f"anchored/{n}": t for n, t in self.anchored.items()}
        return {
            **found,
            "status": self.status[rows],
            "iterations": self.iterations[rows],
            "frozen": self.frozen,
        }

    def restore(self, row: int, found: Mapping[str, torch.Tensor]) -> None:
        """See :class:`~neml2.drivers.engines.run.March`."""
        groups: dict[str, Tensors] = {"state": {}, "rows": {}, "anchored": {}}
        for key, data in found.items():
            if "/" in key:
                group, name = key.split("/", 1)
                groups[group][name] = data
        self.given |= groups["state"]
        self.outputs, self.anchored = groups["rows"], groups["anchored"]
        self.status, self.iterations, self.frozen = found["status"], found["iterations"], found["frozen"]
        self.row, self.base = row, row + 1 - len(self.status)
