"""A whole history in one call of a compiled kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from neml2 import log
from neml2.drivers.trajectory import Origin, Trajectory
from neml2.solvers.status import Status
from neml2.types import TensorWrapper

if TYPE_CHECKING:
    from neml2.compiler.kernel import Kernel
    from neml2.drivers.binding import Loading
    from neml2.step import StateUpdate

Values = dict[str, TensorWrapper]


class NotNative(RuntimeError):
    """A run that the compiled engine cannot make; the message says why."""


class NativeEngine:
    """The compiled kernel of an update: built for the first history, used for all."""

    def __init__(self, update: StateUpdate) -> None:
        self.update = update
        self.kernel: Kernel | None = None
        self.refused = ""  # why this model cannot be compiled; the answer does not change
        self.told: set[str] = set()

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "kernel": None}  # a loaded library cannot be copied; the cache has it

    def run(
        self, loading: Loading, start: Values, state: Values, origin: Origin, name: str
    ) -> Trajectory | None:
        """The trajectory, or ``None`` when some point did not converge and has to be looked at step by step.

        Raises :class:`NotNative` when gradients are wanted, for single precision, and for models, solvers or
        machines that the compiler does not take.
        """
        from neml2.compiler.build import NoCompiler
        from neml2.compiler.lower import Unsupported

        self._check(loading, state)
        missing = [n for n in self.update.forces if n not in loading.forces]
        if missing:
            raise NotNative(f"'{missing[0]}' is left out of the history")
        if self.refused:
            raise NotNative(self.refused)
        try:
            if self.kernel is None or self.kernel.is_stale():
                from neml2.compiler.kernel import Kernel

                self.kernel = Kernel(self.update, loading.forces)
        except (Unsupported, NoCompiler) as error:
            self.refused = str(error)
            raise NotNative(self.refused) from None
        at_start = {n: type(v)._new(v.data[0], v.sub_batch_ndim) for n, v in loading.forces.items()}
        batch = torch.broadcast_shapes(
            self.update.model.batch_shape(at_start),
            loading.time.shape[1:],
            *[v.dynamic_batch_shape for v in state.values()],
        )
        done = self.kernel.march(loading.forces, state, len(loading), batch)
        if done.failures:
            return None
        done.status[0] = int(Status.NOT_SOLVED)
        outputs: Values = {}
        for n, data in done.outputs.items():
            data[0] = start[n].data
            outputs[n] = self.update.outputs[n]._new(data, 0)
        return Trajectory(
            time=loading.time,
            status=done.status,
            iterations=done.iterations,
            outputs=outputs,
            forces=loading.forces,
            time_name=name,
            origin=origin,
        )

    def _check(self, loading: Loading, state: Values) -> None:
        tensors = [*self.update.model.parameters(), loading.time]
        tensors += [v.data for v in (*loading.forces.values(), *state.values())]
        if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
            raise NotNative("it gives no gradients yet; run under torch.no_grad(), or with engine='eager'")
        if any(t.dtype != torch.float64 or t.is_cuda for t in tensors):
            raise NotNative("it runs in float64 on the CPU; use engine='eager' for other dtypes and devices")
        if log.enabled("newton", log.INFO):
            raise NotNative("it has no messages of Newton's method; switch them off, or use engine='eager'")
        if any(v.sub_batch_ndim for v in (*loading.forces.values(), *state.values())):
            raise NotNative("it takes no sub-batch axes yet; use engine='eager'")

    def say_once(self, reason: str) -> None:
        """Tell on channel ``driver``, once, why the eager engine is used."""
        if reason not in self.told:
            self.told.add(reason)
            log.emit("driver", log.INFO, f"{self.update.model} runs in the eager engine: {reason}")
