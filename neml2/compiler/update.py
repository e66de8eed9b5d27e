"""`NativeUpdate`: one step of a model in a kernel, with its consistent tangent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from neml2.compiler.kernel import Kernel, Tensors
from neml2.compiler.launch import flat
from neml2.compiler.march import Marched, run_march, run_tangent
from neml2.compiler.site_kernel import compiled
from neml2.errors import MissingVariable
from neml2.lags import lagged
from neml2.model import Model
from neml2.points import take_all
from neml2.registry import did_you_mean, listing
from neml2.step import StateUpdate, StepResult
from neml2.types import TensorWrapper
from neml2.types.shapes import broadcast_shapes

Values = Mapping[str, TensorWrapper]


class NativeUpdate:
    """A :class:`~neml2.StateUpdate` in a compiled kernel: called in the same way, with the same result.

    Points that do not converge in the kernel are advanced by the eager update. Results are part of the
    autograd graph; :meth:`tangent` gives derivatives by prescribed values as finite-element hosts want
    them. The kernel is built by the first call, for its dtype, device and sub-batches.

    Raises :class:`~neml2.compiler.lower.Unsupported` for what the compiler does not take and
    :class:`~neml2.compiler.build.NoCompiler` where there is no C++ compiler.
    """

    def __init__(self, model: Model | StateUpdate) -> None:
        self.update = model if isinstance(model, StateUpdate) else StateUpdate(model)
        self.kernel: Kernel | None = None
        self.first = max([1, *self.update.depth.values()])  # rows of old values

    def __call__(
        self,
        state: Values,
        forces: Values,
        old_forces: Values,
        points: torch.Tensor | None = None,
        batch: torch.Size | None = None,
    ) -> StepResult:
        """Advance by one step; see :class:`~neml2.StateUpdate`. Failure is a status.

        With ``points`` and ``batch`` the values are those of some points, and ``points`` are their indices in
        the flattened ``batch`` of the model's parameters.
        """
        if (points is None) != (batch is None):
            raise ValueError("NativeUpdate takes points together with the batch that they are counted in")
        chosen = None if points is None or batch is None else (batch, points)
        return self._step(state, forces, old_forces, chosen)

    def _step(
        self,
        state: Values,
        forces: Values,
        old_forces: Values,
        chosen: tuple[torch.Size, torch.Tensor] | None,
    ) -> StepResult:
        history, batch = self._history(state, forces, old_forces, chosen)
        like = self._like(history, state)
        if batch.numel() == 0:
            return self._empty(state, batch, like)
        kernel = self._compiled(history, state)
        given = kernel.arguments(history, state, batch, like, chosen)
        points, rows = batch.numel(), self.first + 1
        tensors = tuple(given.values())
        if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
            if not kernel.differentiable:
                everyone, index = chosen or (None, None)
                return self.update(state, forces, old_forces, points=index, batch=everyone)
            starts = self._rows(kernel, state, batch, like)
            report: list[torch.Tensor] = []
            made = Marched.apply(
                *(kernel, self.first, rows, points, report, tuple(given), tuple(starts)),
                *tensors,
                *starts.values(),
            )
            if bool(report[0].any()):
                everyone, index = chosen or (None, None)
                return self.update(state, forces, old_forces, points=index, batch=everyone)
            outputs = {n: t[-1] for n, t in zip(kernel.sizes, made, strict=True)}
            return self._result(state, outputs, report[1][-1], report[2][-1], batch)
        outputs, status, iterations, stopped = self._advance(kernel, given, points)
        result = self._result(state, outputs, status, iterations, batch)
        if bool(stopped.any()):
            return self._rescued(result, stopped > 0, state, forces, old_forces, chosen)
        return result

    def _advance(
        self, kernel: Kernel, given: Tensors, points: int
    ) -> tuple[Tensors, torch.Tensor, torch.Tensor, torch.Tensor]:
        like = kernel.like(given)
        outputs = {n: like.new_empty(1, points, size) for n, size in kernel.sizes.items()}
        status = torch.empty(1, points, dtype=torch.int8, device=like.device)
        iterations = torch.empty(1, points, dtype=torch.int32, device=like.device)
        row = torch.zeros(1, dtype=torch.int64, device=like.device)
        marks = status, iterations
        done = run_march(kernel, given, self.first, self.first + 1, points, outputs, row, marks)
        return {n: t[0] for n, t in outputs.items()}, status[0], iterations[0], done.stopped

    def tangent(
        self, state: Values, forces: Values, old_forces: Values, result: StepResult, by: str | Sequence[str]
    ) -> dict[tuple[str, str], torch.Tensor]:
        """Derivatives of every output at the end of a step by prescribed values there.

        ``result`` is that of the step. The answer has an entry ``(output, force)`` for every output and
        every name in ``by``, of shape ``(*batch, *output, *force)`` with the base shapes of both; symmetric
        tensors in Mandel notation, so that ``tangent["stress", "strain"]`` ``(*batch, 6, 6)`` is the
        consistent (algorithmic) tangent. Of points that have not converged it means nothing. It is outside
        of the autograd graph.
        """
        names = (by,) if isinstance(by, str) else tuple(by)
        for n in names:
            if n not in self.update.model.input_spec or n not in self.update.forces:
                forces_read = [f for f in self.update.forces if f in self.update.model.input_spec]
                raise ValueError(
                    f"'{n}' is no prescribed value of {self.update.model}{did_you_mean(n, forces_read)};"
                    f" a tangent is by {listing(forces_read)}"
                )
        with torch.no_grad():
            history, batch = self._history(state, forces, old_forces)
            like = self._like(history, state)
            if batch.numel() == 0:
                update = self.update
                return {
                    (o, n): like.new_zeros((*batch, *kind.BASE_SHAPE, *update.forces[n].BASE_SHAPE))
                    for o, kind in update.outputs.items()
                    for n in names
                }
            kernel = self._compiled(history, state)
            given = kernel.arguments(history, state, batch, like)
            points = batch.numel()
            starts = self._rows(kernel, state, batch, like)
            end = {
                n: flat(v.data, 0, len(v.dynamic_batch_shape), batch, kernel.sizes[n])
                for n, v in result.outputs.items()
            }
            if kernel.sizes.keys() - end.keys():  # unknowns that are no outputs
                end = self._advance(kernel, given, points)[0] | end
            tape: Tensors = {}
            for n, size in kernel.sizes.items():
                tape[n] = like.new_zeros(self.first + 1, points, size)
                if n in starts:
                    tape[n][: self.first] = starts[n]
                tape[n][-1] = end[n]
            found = run_tangent(kernel, given, tape, names, self.first, points)
        made: dict[tuple[str, str], torch.Tensor] = {}
        sizes = [kernel.forces[n] for n in names]
        for output, t in kernel.step.outputs.items():
            parts = found[output][-1].split(sizes, dim=-1)
            for n, part in zip(names, parts, strict=True):
                made[output, n] = part.reshape((*batch, *t.shape, *kernel.step.inputs[n].shape))
        return made

    # ------------------------------------------------------------------ values as short histories

    def _history(
        self,
        state: Values,
        forces: Values,
        old: Values,
        chosen: tuple[torch.Size, torch.Tensor] | None = None,
    ) -> tuple[dict[str, TensorWrapper], torch.Size]:
        """Forces with their old values before them, ``(first + 1, ...)``, and the batch of everything."""
        update = self.update
        found: dict[str, TensorWrapper] = {}
        for n, kind in update.forces.items():
            if n not in forces:
                raise MissingVariable(
                    f"{update.model} needs '{n}'{did_you_mean(n, forces)}; got {listing([*forces, *state])}"
                )
            rows = [forces[n]]
            for lag in range(self.first):
                older = old.get(lagged(n, lag)) if update.depth.get(n, 0) > lag else None
                rows.append(rows[-1] if older is None else older)
            sub = max(v.sub_batch_ndim for v in rows)
            data = [v.data for v in reversed(rows)]
            found[n] = kind._new(torch.stack(torch.broadcast_tensors(*data)), sub)
        if chosen is not None:
            return found, torch.Size((len(chosen[1]),))
        at_end = {n: type(v)._new(v.data[-1], v.sub_batch_ndim) for n, v in found.items()}
        shapes = [v.dynamic_batch_shape for v in state.values()]
        return found, broadcast_shapes(update.model.batch_shape(at_end), *shapes)

    def _compiled(self, history: Values, state: Values) -> Kernel:
        shapes = {n: v.sub_batch_shape for n, v in {**history, **state}.items() if "~" not in n}
        if self.kernel is None or self.kernel.is_stale(shapes):
            self.kernel = compiled(self.update, history, shapes)
        return self.kernel

    def _like(self, history: Values, state: Values) -> torch.Tensor:
        for v in (*history.values(), *state.values()):
            return v.data.new_zeros(())
        return torch.zeros((), dtype=torch.float64)

    def _rows(self, kernel: Kernel, state: Values, batch: torch.Size, like: torch.Tensor) -> Tensors:
        """Old states as rows before the step, ``(first, points, size)``."""
        found: Tensors = {}
        for n, _ in kernel.states:
            rows: list[torch.Tensor] = []
            for lag in range(self.first):
                v = state.get(lagged(n, lag) if lag else n)
                if v is not None:
                    data = flat(v.data, 0, len(v.dynamic_batch_shape), batch, kernel.sizes[n]).to(like)
                    rows.append(data.expand(batch.numel(), -1))
                else:
                    rows.append(rows[-1] if rows else like.new_zeros(batch.numel(), kernel.sizes[n]))
            found[n] = torch.stack(rows[::-1])
        return found

    # ------------------------------------------------------------------ results

    def _result(
        self,
        state: Values,
        outputs: Tensors,
        status: torch.Tensor,
        iterations: torch.Tensor,
        batch: torch.Size,
    ) -> StepResult:
        assert self.kernel is not None
        typed = {
            n: kind._new(
                outputs[n].reshape((*batch, *self.kernel.output_shapes[n])),
                len(self.kernel.output_shapes[n]) - kind.BASE_NDIM,
            )
            for n, kind in self.update.outputs.items()
        }
        return StepResult(
            self.update.next_state(state, typed), typed, status.reshape(batch), iterations.reshape(batch)
        )

    def _empty(self, state: Values, batch: torch.Size, like: torch.Tensor) -> StepResult:
        """The step of no points, as a process of a parallel host may have none."""
        outputs = {
            n: kind._new(like.new_zeros((*batch, *kind.BASE_SHAPE)), 0)
            for n, kind in self.update.outputs.items()
        }
        none = torch.zeros(batch, dtype=torch.int32, device=like.device)
        return StepResult(self.update.next_state(state, outputs), outputs, none.to(torch.int8), none)

    def _rescued(
        self,
        result: StepResult,
        failed: torch.Tensor,
        state: Values,
        forces: Values,
        old_forces: Values,
        chosen: tuple[torch.Size, torch.Tensor] | None = None,
    ) -> StepResult:
        """``result`` with the points that failed advanced by the eager update."""
        index = failed.nonzero().squeeze(-1)
        batch = torch.Size(result.status.shape)
        if chosen is None:
            again = self.update(state, forces, old_forces, points=index if batch else None)
        else:
            some = [take_all(values, batch, index) for values in (state, forces, old_forces)]
            again = self.update(some[0], some[1], some[2], points=chosen[1][index], batch=chosen[0])
        status, iterations = result.status.reshape(-1), result.iterations.reshape(-1)
        status[index] = again.status.expand(index.shape).to(status.dtype)
        iterations[index] = again.iterations.expand(index.shape)
        for n, v in result.outputs.items():
            part = again.outputs[n]
            inner = v.data.shape[len(batch) :]
            v.data.reshape(-1, *inner)[index] = part.data.expand(*index.shape, *inner)
        return StepResult(
            self.update.next_state(state, result.outputs),
            result.outputs,
            result.status,
            result.iterations,
            again.solutions,
        )
