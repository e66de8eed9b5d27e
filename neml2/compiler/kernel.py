"""A compiled state update: how it is made, and its kernels."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from math import nan
from typing import Any

import torch

from neml2.compiler.adjoint import march_adjoint
from neml2.compiler.condense import condense, operations
from neml2.compiler.eliminate import uncondensed
from neml2.compiler.emit import forces, march, recorded, states
from neml2.compiler.launch import Launcher, flat
from neml2.compiler.lower import Unsupported, lower
from neml2.compiler.program import Program
from neml2.compiler.regions import Region, Step
from neml2.compiler.sample import sample_points
from neml2.compiler.sensitivity import sensitivity
from neml2.compiler.tangent import tangent
from neml2.composed import ComposedModel
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.solvers.direct import DenseLU
from neml2.solvers.newton import Newton, NewtonWithLineSearch
from neml2.step import StateUpdate
from neml2.types import TensorWrapper

Values = Mapping[str, TensorWrapper]
Tensors = dict[str, torch.Tensor]
_MAKERS = {"march": march, "adjoint": march_adjoint}
_MAKERS_BY = {"tangent": tangent, "sensitivity": sensitivity}


class Kernel:
    """The compiled update of a model.

    ``step`` and ``eliminations`` show how it is made, ``launcher`` gives the C++. Parameters and
    prescribed values are arguments: changing one does not compile again.
    """

    differentiable = True
    sites = 1  # of a point, where the kernel loops over them

    def __init__(
        self,
        update: StateUpdate,
        samples: Values,
        shapes: Mapping[str, torch.Size],
        tried: torch.Tensor | None = None,
    ) -> None:
        """Compile for histories like ``samples``, prescribed values ``(steps, ...)`` at which pivots are
        tried.

        ``shapes`` are the sub-batch shapes of prescribed values and states. With ``tried``, that of another
        kernel of the same model, both have the same pivots and give the same bits.
        """
        self.update, self.shapes = update, dict(shapes)
        self._lower(samples, tried)
        self.states = states(self.step)
        self._programs: dict[tuple[Any, ...], Program] = {}
        self._launchers: dict[tuple[Any, ...], Launcher] = {}
        self._holders = {n: update.model._owner(n) for n in self.step.parameters}
        self._held_at_first = self._held()
        self._buffers = {n: b.clone() for n, b in update.model.named_buffers()}
        self._numbers, self._shared = _numbers(update.model), _shared(update.model)

    def _lower(self, samples: Values, tried: torch.Tensor | None) -> None:
        self.step: Step = lower(self.update, self.shapes)
        for region in self.step.regions:
            check_newton(region)
            if type(region.solver.linear_solver) is not DenseLU:
                raise Unsupported(f"the linear solver of '{region.name}' is not DenseLU")
        points = self._try(sample_points(self.update.model, self.step, samples), tried)
        self.eliminations = [condense(region, points) for region in self.step.regions]
        self.forces = forces(self.step)
        self.sizes = {n: len(nodes) for n, nodes in recorded(self.step).items()}
        self.output_shapes = {n: t.shape for n, t in self.step.outputs.items()}

    def _try(self, points: list[dict[str, float]], tried: torch.Tensor | None) -> list[dict[str, float]]:
        """The points at which pivots are tried, which are remembered: those of before, or new ones."""
        names = sorted({n for p in points for n in p})
        if tried is not None:
            points = [dict(zip(names, row, strict=True)) for row in tried.tolist()]
        self.tried = torch.tensor([[p.get(n, nan) for n in names] for p in points], dtype=torch.float64)
        return points

    def is_stale(self, shapes: Mapping[str, torch.Size]) -> bool:
        """Whether a part of the kernel has changed.

        It may be a solver, a buffer or a plain attribute of a model, the size of a table, a sub-batch, or two
        parameters that were one.
        """
        model = self.update.model
        if shapes != self.shapes or self._held() != self._held_at_first:
            return True
        if any(_changed(values.get(name), was) for values, name, was in self._numbers):
            return True
        if any(a[n] is not b[m] for a, n, b, m in self._shared):
            return True
        held = self._buffers  # on the device, and with the dtype, of the first run
        return any(not torch.equal(b.to(held[n]), held[n]) for n, b in model.named_buffers())

    def _held(self) -> tuple[Any, ...]:
        """The solvers and the sizes of parameters."""
        sizes = [p.shape[rank:] for p, rank in map(self._parameter, self._holders)]
        return tuple(r.update.solver for r in self.step.regions), tuple(sizes)

    def _parameter(self, name: str) -> tuple[torch.Tensor, int]:
        """A parameter and the rank of its batch."""
        owner, attr = self._holders[name]
        p = owner._parameters[attr]
        assert p is not None
        return p, len(owner._kinds[attr].batch_shape(p.shape))

    @property
    def regions(self) -> list[Region]:
        """What the ``eliminations`` are of."""
        return self.step.regions

    def operations(self) -> int:
        """Scalar operations of one Newton iteration, all regions together."""
        return sum(operations(e, r) for e, r in zip(self.eliminations, self.regions, strict=True))

    def launcher(
        self, kind: str, like: torch.Tensor, by: tuple[str, ...] = (), strict: bool = False
    ) -> Launcher:
        """The kernel ``kind`` for the dtype and device of ``like``, compiled when it is first called.

        It is ``"march"``, ``"adjoint"``, or ``"tangent"`` or ``"sensitivity"`` by the prescribed variables
        ``by``. With ``strict`` linear systems are not condensed but solved with row pivoting.
        """
        key = kind, by, strict
        if key not in self._programs:
            chosen = (
                [uncondensed(r.unknowns, r.residual) for r in self.step.regions]
                if strict
                else self.eliminations
            )
            self._programs[key] = (
                _MAKERS_BY[kind](self.step, chosen, by)
                if kind in _MAKERS_BY
                else _MAKERS[kind](self.step, chosen)
            )
        where = *key, like.dtype, str(like.device)
        if where not in self._launchers:
            self._launchers[where] = Launcher(self._programs[key], like.dtype, str(like.device))
        return self._launchers[where]

    # ------------------------------------------------------------------ tensors in the order of the kernels

    def arguments(
        self,
        forces: Values,
        state: Values,
        batch: torch.Size,
        like: torch.Tensor,
        chosen: tuple[torch.Size, torch.Tensor] | None = None,
    ) -> Tensors:
        """What the kernels read, flattened to ``([steps,] points or 1, size)``, still in the autograd graph.

        ``forces`` are whole histories ``(steps, ...)``, ``state`` the one before the first step, ``like`` has
        the dtype and device of the run. Where the values are those of some points, ``chosen`` has the batch
        of the parameters and the indices of the points in it.
        """
        found: Tensors = {}
        everyone, points = (batch, None) if chosen is None else chosen
        for name, t in self.step.parameters.items():
            p, rank = self._parameter(name)
            data = flat(p, 0, rank, everyone, t.nodes.size)
            found[f"par_{name}"] = data if points is None or len(data) == 1 else data[points]
        for name, size in self.forces.items():
            v = forces[name]
            found[f"force_{name}"] = flat(v.data, 1, len(v.dynamic_batch_shape) - 1, batch, size)
        for name, depth in self.states:
            for lag in range(1, depth + 1):
                older = [f"{name}~{j}" if j else name for j in range(lag - 1, -1, -1)]
                start = next((state[n] for n in older if n in state), None)
                size = self.sizes[name]
                data = like.new_zeros(1, size)
                if start is not None:
                    data = flat(start.data, 0, len(start.dynamic_batch_shape), batch, size)
                found[f"init{lag}_{name}"] = data
        return {
            n: t.to(like) if n[:4] != "init" else t.to(like.device, torch.float64) for n, t in found.items()
        }

    @staticmethod
    def like(given: Tensors) -> torch.Tensor:
        """One of the arguments that has the dtype of the run."""
        return next(t for n, t in given.items() if n[:4] != "init")


def check_newton(region: Region) -> None:
    """Raise :class:`Unsupported` for solvers that kernels do not have."""
    if type(region.solver) not in (Newton, NewtonWithLineSearch):
        raise Unsupported(f"the solver of '{region.name}' is {type(region.solver).__name__}, not Newton")


_PLAIN = (bool, int, float, complex, str)
_DECLARED = {"name", "training", "providers", "variables", "input_spec", "output_spec", "priorities"}


def _numbers(model: Model) -> list[tuple[dict[str, Any], str, Any]]:
    """Attributes of models that are plain numbers, words, lists of them or tensors: where, and a copy."""
    found: list[tuple[dict[str, Any], str, Any]] = []
    for m in model.modules():
        if isinstance(m, ComposedModel | ImplicitUpdate):
            continue
        for name, value in vars(m).items():
            if name.startswith("_") or name in _DECLARED:
                continue
            if isinstance(value, torch.Tensor | TensorWrapper):
                found.append((vars(m), name, value.data.detach().clone()))
            elif isinstance(value, _PLAIN):
                found.append((vars(m), name, value))
            elif isinstance(value, list | tuple) and all(isinstance(v, _PLAIN) for v in value):
                found.append((vars(m), name, copy(value)))
    return found


def _changed(now: Any, was: Any) -> bool:
    if isinstance(was, torch.Tensor):
        return not hasattr(now, "data") or not torch.equal(now.data.to(was), was)
    return type(now) is not type(was) or now != was


def _shared(model: Model) -> list[tuple[dict[str, Any], str, dict[str, Any], str]]:
    """Places that hold the same parameter, in pairs."""
    first: dict[int, tuple[dict[str, Any], str]] = {}
    found = []
    for m in model.modules():
        for name, p in m._parameters.items():
            if p is not None and id(p) in first:
                found.append((m._parameters, name, *first[id(p)]))
            first.setdefault(id(p), (m._parameters, name))
    return found
