"""The compiled engine of an update: its kernel, and what it does not take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from neml2 import log
from neml2.drivers.control.samples import with_every_control
from neml2.drivers.engines.native_march import NativeMarch
from neml2.drivers.engines.run import NotNative, Run
from neml2.implicit import ImplicitUpdate
from neml2.types import TensorWrapper

if TYPE_CHECKING:
    from neml2.compiler.kernel import Kernel
    from neml2.compiler.update import NativeUpdate
    from neml2.step import StateUpdate

__all__ = ["NativeEngine", "NativeMarch", "NotNative"]

Values = dict[str, TensorWrapper]


class NativeEngine:
    """The compiled kernel of an update: built for the first history, used for all."""

    def __init__(self, update: StateUpdate) -> None:
        self.update = update
        self.kernel: Kernel | None = None
        self._single: NativeUpdate | None = None
        self.tried: torch.Tensor | None = None  # where the kernel to be built is to try its pivots
        self.refused: tuple[Any, str] | None = None  # what could not be compiled, and why
        self.told: set[str] = set()

    @property
    def pivots(self) -> torch.Tensor | None:
        """The numbers at which the pivots of the kernel were tried: they decide its last bits."""
        return None if self.kernel is None else self.kernel.tried

    def __getstate__(self) -> dict[str, object]:
        return {
            **vars(self),
            "kernel": None,
            "_single": None,
        }  # a loaded library cannot be copied; the cache has it

    def march(self, run: Run) -> NativeMarch:
        """The run as calls of a kernel, which is built if it has to be.

        Raises :class:`NotNative` for models, solvers and machines that the compiler does not take.
        """
        state, start = run.initial()
        self._check(run)
        return NativeMarch(run, self._compiled(run, state), state, start, self.say_once)

    def stepper(self, run: Run) -> NativeUpdate:
        """The update as a kernel for single steps, for runs that choose their increments.

        Raises :class:`NotNative` as :meth:`march` does.
        """
        from neml2.compiler.update import NativeUpdate

        state, _ = run.initial()
        self._check(run)
        if self._single is None:
            self._single = NativeUpdate(self.update)
        self._single.kernel = self._compiled(run, state)
        return self._single

    def _compiled(self, run: Run, state: Values) -> Kernel:
        from neml2.compiler.build import NoCompiler, compiler
        from neml2.compiler.lower import Unsupported
        from neml2.compiler.site_kernel import compiled

        shapes = {n: v.sub_batch_shape for n, v in {**run.loading.forces, **state}.items()}
        if self.kernel is not None and not self.kernel.is_stale(shapes):
            return self.kernel
        solvers = [m.solver for m in self.update.model.modules() if isinstance(m, ImplicitUpdate)]
        key = (shapes, solvers, run.loading.time.device)  # another solver or device may be taken
        if self.refused is not None and self.refused[0] == key:
            raise NotNative(self.refused[1])
        try:
            if run.loading.time.device.type == "cpu":
                compiler()  # before the work of a kernel that nobody could build
            forces = run.loading.forces
            if run.aim is not None:  # one kernel is good for every control
                forces = with_every_control(self.update.model, forces)
            kernel = compiled(self.update, forces, shapes, self.tried)
            kernel.launcher("march", run.loading.time).build()
        except Unsupported as error:
            self.refused = key, str(error)
            raise NotNative(str(error)) from None
        except NoCompiler as error:  # may be put right before the next run
            raise NotNative(str(error)) from None
        self.kernel = kernel
        return kernel

    def _check(self, run: Run) -> None:
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
