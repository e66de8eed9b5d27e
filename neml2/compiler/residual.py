"""The residual of a nonlinear system and its Jacobian blocks, for many points and times in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from neml2.compiler.differentiate import gradient, jacobian
from neml2.compiler.emit import load_parameters
from neml2.compiler.graph import Node
from neml2.compiler.launch import Launcher, flat, view
from neml2.compiler.lower import lower_residual
from neml2.compiler.program import Program
from neml2.compiler.regions import Residual
from neml2.compiler.scope import Scope, word
from neml2.lags import lagged
from neml2.model import Model
from neml2.parameters import HoldsParameters
from neml2.system import NonlinearSystem
from neml2.types import TensorWrapper
from neml2.types.shapes import broadcast_shapes

Tensors = dict[str, torch.Tensor]
Entries = list[tuple[int, Node]]  # place in a row-major array, value; the others are zero


class ResidualKernel:
    r"""Residual ``r(u, g)`` of a system with :math:`\partial r/\partial u` and its block of the old unknowns.

    Unknowns that have no old value among the givens have zero columns in that block. Results are part of the
    autograd graph of all values and of the parameters; their derivatives are kernels as well, once.
    """

    def __init__(
        self, system: NonlinearSystem, owner: Model | None = None, sites: Mapping[str, Any] | None = None
    ):
        """``owner`` is the model whose parameters count, ``sites`` are sub-batch shapes by variable.

        Raises :class:`~neml2.compiler.lower.Unsupported`.
        """
        self.system, self.owner = system, owner or system.model
        self.lowered: Residual = lower_residual(system, self.owner, sites)
        low = self.lowered
        n = len(low.unknowns)
        old: list[Node] = []
        for u in system.unknown_names:
            symbol = low.inputs.get(lagged(u, 1))
            size = low.inputs[u].nodes.size
            old += (
                list(symbol.nodes.flat)
                if symbol is not None
                else [low.graph.input(f"none:{u}[{c}]") for c in range(size)]
            )
        self.size = n
        self.entries: dict[str, Entries] = {
            "residual": list(enumerate(low.residual)),
            "jacobian": _block(low.residual, low.unknowns),
            "old_jacobian": _block(low.residual, old),
        }
        self._launchers: dict[tuple[Any, ...], Launcher] = {}

    def __call__(
        self, values: Mapping[str, TensorWrapper], jacobians: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Residual ``(*batch, n)`` and the two blocks ``(*batch, n, n)``; ``values`` are unknowns and
        givens by name.

        Unknowns and residuals are in the order of the system.
        """
        low = self.lowered
        parameters = {name: self._parameter(name) for name in low.parameters}
        shapes = [v.dynamic_batch_shape for v in values.values()]
        shapes += [p.shape[:rank] for p, rank in parameters.values()]
        batch = broadcast_shapes(*shapes)
        given: Tensors = {}
        for name, t in low.inputs.items():
            v = values[name]
            given[f"in_{name}"] = flat(v.data, 0, len(v.dynamic_batch_shape), batch, t.nodes.size)
        for name, (p, rank) in parameters.items():
            given[f"par_{name}"] = flat(p, 0, rank, batch, low.parameters[name].nodes.size)
        like = next(iter(given.values()))
        given = {n: t.to(like) for n, t in given.items()}
        wanted = ("residual", "jacobian", "old_jacobian") if jacobians else ("residual",)
        found = _Evaluated.apply(self, batch.numel(), tuple(given), wanted, *given.values())
        n = self.size
        shaped = [found[0].reshape(*batch, n), *(f.reshape(*batch, n, n) for f in found[1:])]
        return (shaped[0], shaped[1], shaped[2]) if jacobians else (shaped[0], None, None)

    def _parameter(self, name: str) -> tuple[torch.Tensor, int]:
        holder, attr = self.owner._owner(name)
        assert isinstance(holder, HoldsParameters)
        p = holder._parameters[attr]
        assert p is not None
        return p, len(holder._kinds[attr].batch_shape(p.shape))

    def launcher(self, kind: str, wanted: Sequence[str], like: torch.Tensor) -> Launcher:
        """The kernel that evaluates ``wanted``, or its adjoint."""
        key = kind, tuple(wanted), like.dtype, str(like.device)
        if key not in self._launchers:
            made = {"value": self._value, "adjoint": self._adjoint}[kind](wanted)
            self._launchers[key] = Launcher(made, like.dtype, str(like.device))
        return self._launchers[key]

    def _program(self, name: str) -> tuple[Program, Scope]:
        program = Program(name)
        program.argument("int64_t", "points")
        top = Scope(indent=1, labels=self.lowered.names)
        load_parameters(program, top, self.lowered.parameters)
        for n, t in self.lowered.inputs.items():
            source = program.argument("View", f"in_{n}")
            for c, node in enumerate(t.nodes.flat):
                top.names[node.index] = f"x_{word(n, c)}"
                top.say(f"const V x_{word(n, c)} = load({source}, 0, p0, n, {c});")
        return program, top

    def _value(self, wanted: Sequence[str]) -> Program:
        program, top = self._program("residual and Jacobian blocks, entries that are not zero")
        for kind in wanted:
            out = program.argument("Out", kind)
            entries = self.entries[kind]
            for (c, _), w in zip(entries, top.need(d for _, d in entries), strict=True):
                top.say(f"store({out}, 0, p0, n, {c}, bc({w}));")
        program.text = "\n".join(top.lines)
        return program

    def _adjoint(self, wanted: Sequence[str]) -> Program:
        """Reverse mode through the entries of ``wanted``."""
        program, top = self._program("gradients of residual and Jacobian blocks")
        graph = self.lowered.graph
        roots: list[Node] = []
        weights: list[Node] = []
        for kind in wanted:
            source = program.argument("View", f"bar_{kind}")
            for c, d in self.entries[kind]:
                symbol = graph.input(f"bar:{kind}[{c}]")
                top.names[symbol.index] = f"b_{kind}_{c}"
                top.say(f"const V b_{kind}_{c} = load({source}, 0, p0, n, {c});")
                roots.append(d)
                weights.append(symbol)
        named = {f"in_{n}": t for n, t in self.lowered.inputs.items()}
        named |= {f"par_{n}": t for n, t in self.lowered.parameters.items()}
        variables = [n for t in named.values() for n in t.nodes.flat]
        words = iter(top.need(gradient(roots, weights, variables)))
        for name, t in named.items():
            out = program.argument("Out", f"g{name}")
            for c in range(t.nodes.size):
                top.say(f"store({out}, 0, p0, n, {c}, bc({next(words)}));")
        program.text = "\n".join(top.lines)
        return program


def _block(residual: list[Node], variables: list[Node]) -> Entries:
    n = len(variables)
    rows = jacobian(residual, variables)
    return [(i * n + j, d) for i, row in enumerate(rows) for j, d in row.items()]


class _Evaluated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, kernel: ResidualKernel, points: int, names: tuple, wanted: tuple, *tensors):
        like = tensors[0]
        width = {"residual": kernel.size}
        made = {n: like.new_zeros(points, width.get(n, kernel.size**2)) for n in wanted}
        arguments: dict[str, object] = {n: view(t) for n, t in zip(names, tensors, strict=True)}
        arguments |= {n: view(t) for n, t in made.items()} | {"points": points}
        kernel.launcher("value", wanted, like).run(arguments)
        ctx.kernel, ctx.points, ctx.names, ctx.wanted = kernel, points, names, wanted
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        return tuple(made.values())

    @staticmethod
    def backward(ctx, *bars):
        if torch.is_grad_enabled():
            raise RuntimeError(
                "residual kernels give first derivatives; take second ones of the system itself"
            )
        tensors, points = ctx.saved_tensors, ctx.points
        like = tensors[0]
        given = {n: b for n, b in zip(ctx.wanted, bars, strict=True) if b is not None}
        if not given:
            return (None,) * (4 + len(tensors))
        made = {f"g{n}": like.new_empty(points, t.shape[-1]) for n, t in zip(ctx.names, tensors, strict=True)}
        arguments: dict[str, object] = {n: view(t) for n, t in zip(ctx.names, tensors, strict=True)}
        kept = [b.contiguous() for b in given.values()]  # until the kernel returns
        arguments |= {f"bar_{n}": view(b) for n, b in zip(given, kept, strict=True)}
        arguments |= {n: view(t) for n, t in made.items()} | {"points": points}
        ctx.kernel.launcher("adjoint", tuple(given), like).run(arguments)
        found: Iterable[torch.Tensor] = (
            g.sum(0, keepdim=True) if t.shape[0] == 1 else g
            for g, t in zip(made.values(), tensors, strict=True)
        )
        return (None,) * 4 + tuple(found)
