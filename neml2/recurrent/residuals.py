"""The residual of a system and its two Jacobian blocks at many times: in a kernel, or eagerly."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import torch

from neml2 import log
from neml2.compiler.build import NoCompiler
from neml2.compiler.kernel import _changed, _numbers
from neml2.compiler.lower import Unsupported
from neml2.compiler.residual import ResidualKernel
from neml2.context import Context
from neml2.derivatives import jacobian_rows
from neml2.lags import lagged, split
from neml2.recurrent.assembly import Assembly
from neml2.registry import did_you_mean, listing
from neml2.solvers.blocks import joined, parted
from neml2.system import Layout, NonlinearSystem, ResidualProblem
from neml2.types import TensorWrapper

ENGINES = ("auto", "native", "eager")
Found = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Times:
    """States ``(m, batch, n)`` and forces ``(m, batch, nf)`` at ``m`` times, and those of the time before
    each.
    """

    new: torch.Tensor
    old: torch.Tensor
    forces: torch.Tensor
    old_forces: torch.Tensor

    @staticmethod
    def of(x: torch.Tensor, forces: torch.Tensor) -> Times:
        """From consecutive times, ``(m + 1, batch, n)`` and ``(m + 1, batch, nf)``."""
        return Times(x[1:], x[:-1], forces[1:], forces[:-1])

    def finite(self) -> torch.Tensor:
        """Which times and specimens have finite numbers only, boolean ``(m, batch)``."""
        parts = (self.new, self.old, self.forces, self.old_forces)
        return torch.stack([p.isfinite().all(-1) for p in parts]).all(0)

    def mended(self, good: torch.Tensor) -> Times:
        """The same with all that is not ``good`` replaced by one that is, or by zero if none is."""
        place = good.nonzero()
        k, b = place[0].tolist() if len(place) else (0, 0)
        keep = good.unsqueeze(-1)

        def mend(x: torch.Tensor) -> torch.Tensor:
            return torch.where(keep, x, x[k, b] if len(place) else torch.zeros_like(x))

        return Times(mend(self.new), mend(self.old), mend(self.forces), mend(self.old_forces))


class _Kernel(ResidualKernel):
    """A residual kernel that reads other tensors in place of some of the model's parameters."""

    def __init__(self, system: NonlinearSystem, sites: Mapping[str, Any]) -> None:
        super().__init__(system, sites=sites)
        self.substitutes: Mapping[str, torch.Tensor] = {}
        self.holders = {
            n: self.owner._owner(n) for n in self.lowered.parameters
        }  # found once: names are slow
        self.numbers = _numbers(system.model)

    def _parameter(self, name: str) -> tuple[torch.Tensor, int]:
        holder, attr = self.holders[name]
        p = self.substitutes.get(name, holder._parameters[attr])
        assert p is not None
        return p, len(holder._kinds[attr].batch_shape(p.shape))

    def is_stale(self) -> bool:
        """Whether a plain attribute of a model, or the size of a table, has changed since."""
        if any(_changed(held.get(n), was) for held, n, was in self.numbers):
            return True
        for name, made in self.lowered.parameters.items():
            p, rank = self._parameter(name)
            if tuple(p.shape[rank:]) != tuple(made.shape):
                return True
        return False


class Residuals:
    """``residuals(times, parameters) -> r, dr/dx, dr/dx_old``.

    ``engine`` is ``"native"``, ``"eager"``, or ``"auto"``: native where the compiler takes the system, else
    eager, and the reason is told once on the channel ``driver``.
    """

    def __init__(self, system: NonlinearSystem, state: Assembly, forces: Assembly, engine: str) -> None:
        if engine not in ENGINES:
            raise ValueError(
                f"engine is '{engine}'{did_you_mean(engine, ENGINES)}; give one of {listing(ENGINES)}"
            )
        self.system, self.state, self.forces, self.engine = system, state, forces, engine
        self.refused = ""  # why there is no kernel
        self._made: tuple[Any, _Kernel] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_made": None}  # a loaded library cannot be copied; the cache has it

    def __call__(
        self, at: Times, parameters: Mapping[str, torch.Tensor], graph_of_blocks: bool = True
    ) -> Found:
        """``parameters`` stand in for those of the model with these qualified names.

        Without ``graph_of_blocks`` only the residual need be part of a graph, which saves the eager engine
        half of its work.

        Returns ``(m, batch, n)`` and twice ``(m, batch, n, n)``, part of the autograd graph of all arguments.
        """
        if self.engine != "eager" and at.new.dtype in (torch.float64, torch.float32):
            kernel = self._kernel(at.new)
            if kernel is not None:
                return self._native(kernel, at, parameters)
        return self._eager(at, parameters, graph_of_blocks)

    @property
    def native(self) -> bool:
        """Whether the last evaluation was that of a kernel."""
        return self._made is not None

    def values(self, at: Times) -> dict[str, TensorWrapper]:
        """Everything that the residual model reads, by name."""
        found = self.state.unpack(at.new)
        found |= {lagged(n, 1): v for n, v in self.state.unpack(at.old).items()}
        if self.forces.names:
            found |= self.forces.unpack(at.forces)
            found |= {lagged(n, 1): v for n, v in self.forces.unpack(at.old_forces).items()}
        known = self.system.model.input_spec
        return {n: v for n, v in found.items() if n in known}

    # ------------------------------------------------------------------ native

    def _native(self, kernel: _Kernel, at: Times, parameters: Mapping[str, torch.Tensor]) -> Found:
        call = copy(kernel)  # launchers are shared, parameters are those of this call
        call.substitutes = parameters
        r, diagonal, below = call(self.values(at))
        assert diagonal is not None and below is not None
        rows, columns = self._order(self._residual_layout()), self._order(self.state.layout)
        if rows is not None:
            r, diagonal, below = r[..., rows], diagonal[..., rows, :], below[..., rows, :]
        if columns is not None:
            diagonal, below = diagonal[..., columns], below[..., columns]
        return r, diagonal, below

    def _kernel(self, like: torch.Tensor) -> _Kernel | None:
        """The kernel for the sub-batches of now; ``None`` where there is none, in the engine ``auto``.

        Raises :class:`~neml2.compiler.lower.Unsupported` or :class:`~neml2.compiler.build.NoCompiler` in the
        engine ``native``.
        """
        key = tuple(self.state.layout.sub_batch.items()), tuple(self.forces.layout.sub_batch.items())
        if self._made is not None and self._made[0] == key and not self._made[1].is_stale():
            kernel = self._made[1]
        else:
            if self.refused:
                return None
            try:
                kernel = _Kernel(self.system, dict((*key[0], *key[1])))
            except Unsupported as error:
                self._refuse(error)
                return None
            self._made = key, kernel
        wanted = ("residual", "jacobian", "old_jacobian")
        try:
            kernel.launcher("value", wanted, like).build()
        except NoCompiler as error:
            self._made = None
            self._refuse(error)
            return None
        return kernel

    def _refuse(self, error: Exception) -> None:
        if self.engine == "native":
            raise error
        self.refused = str(error)
        log.emit(
            "driver", log.WARNING, f"{self.system.model} is evaluated by the eager engine: {self.refused}"
        )

    @staticmethod
    def _order(layout: Layout) -> torch.Tensor | None:
        """Where the entries of packed vectors are in those of a kernel, variable after variable."""
        if "block" not in layout.structures:
            return None
        start, marks = 0, {}
        for n in (n for group in layout.names for n in group):
            shape = (*layout.sub_batch[n], *layout.kinds[n].BASE_SHAPE)
            size = torch.Size(shape).numel()
            numbers = torch.arange(start, start + size).reshape(shape)
            marks[n] = layout.kinds[n]._new(numbers, len(layout.sub_batch[n]))
            start += size
        return joined(layout.flatten(marks, torch.Size()), layout.groups, torch.Size())

    def _residual_layout(self) -> Layout:
        return ResidualProblem(self.system, {}, self.state.layout, torch.Size()).residual_layout

    # ------------------------------------------------------------------ eager

    def _eager(self, at: Times, parameters: Mapping[str, torch.Tensor], graph_of_blocks: bool) -> Found:
        graph = torch.is_grad_enabled()
        batch = at.new.shape[:-1]
        with torch.enable_grad():
            u, v = (
                x if graph and x.requires_grad else x.detach().requires_grad_(True) for x in (at.new, at.old)
            )
            values = self.values(replace(at, new=u, old=v))
            layout = self.state.layout
            problem = ResidualProblem(self.system, values, layout, batch, self._context(parameters))
            r = joined(problem.evaluate(parted(u, layout.groups, batch)), layout.groups, batch)
            rows = jacobian_rows(r, [u, v], create_graph=graph and graph_of_blocks)
        n = at.new.shape[-1]
        blocks = [
            r.new_zeros(*batch, n, n) if row is None else row.movedim(0, -2)  # (*batch, n, n)
            for row in rows
        ]
        if not graph:
            r, blocks = r.detach(), [b.detach() for b in blocks]
        return r, blocks[0], blocks[1]

    def _context(self, parameters: Mapping[str, torch.Tensor]) -> Context:
        model = self.system.model
        return Context({model.get_parameter(n): t for n, t in parameters.items()}, solves=[])

    def check_names(self) -> None:
        """Refuse old values of what is neither state nor force, and lags above one.

        Raises :class:`ValueError`.
        """
        known = (*self.state.names, *self.forces.names)
        optional = self.system.model.optional_inputs
        for name in self.system.model.input_spec:
            base, lag = split(name)
            if lag == 0 or (name in optional and base not in known):
                continue
            if lag > 1:
                raise ValueError(
                    f"{self.system.model} reads '{name}'; pyzag solves with one old value, so use a method of"
                    f" one step, or a TransientDriver"
                )
            if base not in known:
                raise ValueError(
                    f"{self.system.model} reads '{name}', but '{base}' is neither an unknown"
                    f" ({listing(self.state.names)}) nor a force ({listing(self.forces.names)})"
                    f"{did_you_mean(base, known)}; compute it from old values of these, by a model whose"
                    f" names end in '~1'"
                )


def force_names(system: NonlinearSystem) -> list[str]:
    """Inputs that are neither unknown nor old nor optional, in the order in which they are first read."""
    optional = system.model.optional_inputs
    return [n for n in system.given_names if not split(n)[1] and n not in optional]
