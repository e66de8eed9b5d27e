"""From a model to one time step of scalar arithmetic: straight-line parts, and regions that are solved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch

from neml2.compiler.differentiate import gradient
from neml2.compiler.graph import Graph, Node, substitute
from neml2.compiler.symbolic import SymbolicTensor, Untraceable, constant, inputs
from neml2.composed import ComposedModel
from neml2.context import Context
from neml2.gradient import Normality
from neml2.implicit import ImplicitUpdate
from neml2.lags import lagged, split
from neml2.model import Model
from neml2.step import StateUpdate
from neml2.types import TensorWrapper

Values = dict[str, TensorWrapper]


class Unsupported(TypeError):
    """A model that the compiler does not take; the message says which and why."""


@dataclass
class Region:
    """Unknowns that are found by Newton's method.

    ``cuts`` are scalars between the models of the residual: further unknowns of the linear system, each with
    an equation of its own.
    """

    name: str
    unknowns: list[Node]
    guess: list[Node]
    residual: list[Node]
    cuts: list[Node]
    solver: Any
    update: ImplicitUpdate
    variables: list[str]  # of every residual


@dataclass
class Step:
    """One time step. ``inputs`` and ``outputs`` are arrays of nodes by variable name."""

    graph: Graph
    inputs: dict[str, SymbolicTensor]
    outputs: dict[str, SymbolicTensor] = field(default_factory=dict)
    regions: list[Region] = field(default_factory=list)
    parameters: dict[str, SymbolicTensor] = field(default_factory=dict)
    forces: dict[str, tuple[str, int]] = field(default_factory=dict)
    states: dict[str, tuple[str, int]] = field(default_factory=dict)


def lower(update: StateUpdate) -> Step:
    """Trace the model of ``update`` at one point. Raises :class:`Unsupported`."""
    model, graph = update.model, Graph()
    step = Step(graph, {})
    for n, kind in model.input_spec.items():
        base, lag = split(n)
        if base in update.forces:
            step.forces[n] = (base, lag)
        elif base in update.outputs and (lag or base in update.guesses):
            step.states[n] = (base, max(lag, 1))
        else:
            continue  # nothing computes it: only a guess starts from it
        step.inputs[n] = inputs(n, kind.BASE_SHAPE, graph)
    substitutes: dict[Any, Any] = {}
    for name, p in model.named_parameters():
        owner, attr = model._owner(name)
        inner = p.shape[len(owner._kinds[attr].batch_shape(p.shape)) :]
        substitutes[p] = step.parameters[name] = inputs(f"param:{name}", inner, graph)
    lowering = _Lowering(step, Context(parameters=substitutes))
    values: Values = {n: _typed(model.input_spec[n], t) for n, t in step.inputs.items()}
    outputs = lowering.run(model, values)
    step.outputs = {n: _tensor(outputs[n]) for n in model.output_spec}
    return step


@dataclass
class _Lowering:
    step: Step
    context: Context
    cuts: list[Node] | None = None

    def run(self, model: Model, values: Mapping[str, TensorWrapper]) -> Values:
        if isinstance(model, ComposedModel):
            pool = dict(values)
            for child in model.models_in_order:
                pool.update(self.run(child, pool))
            return {n: pool[n] for n in model.output_spec}
        if isinstance(model, ImplicitUpdate):
            return self._implicit(model, values)
        if isinstance(model, Normality):
            return self._normality(model, values)
        try:
            made = model.evaluate(values, self.context)
        except (Untraceable, TypeError, AttributeError, KeyError, ValueError) as error:
            raise Unsupported(f"{model} uses {error}") from error
        if any(v.sub_batch_ndim for v in made.values()):
            raise Unsupported(f"{model} has sub-batch axes")
        made = {n: _typed(type(v), self._symbolic(v.data)) for n, v in made.items()}
        if self.cuts is not None:
            for v in made.values():
                self.cuts += list(_nodes(v).flat)
        return made

    def _symbolic(self, data: Any) -> SymbolicTensor:
        return data if isinstance(data, SymbolicTensor) else constant(data, self.step.graph)

    def _normality(self, model: Normality, values: Mapping[str, TensorWrapper]) -> Values:
        inner, graph = model.differentiated, self.step.graph
        fresh: Values = {}  # symbols of its own: two inputs may be the same node
        back: dict[int, Node] = {}
        for n, kind in inner.input_spec.items():
            symbol = inputs(f"{model.name}:{n}", kind.BASE_SHAPE, graph)
            fresh[n] = _typed(kind, symbol)
            real = np.broadcast_to(_nodes(values[n]), symbol.nodes.shape)
            back |= {a.index: b for a, b in zip(symbol.nodes.flat, real.flat, strict=True)}
        f = _Lowering(self.step, self.context).run(inner, fresh)[model.function]
        made: Values = {}
        for x, y in zip(model.from_, model.to_, strict=True):
            kind = model.output_spec[y]
            slopes = gradient([_nodes(f).item()], [graph.const(1)], list(_nodes(fresh[x]).flat))
            array = np.empty(kind.BASE_SHAPE, dtype=object)
            array.reshape(-1)[:] = substitute(slopes, back)
            made[y] = _typed(kind, SymbolicTensor(array, graph))
        if self.cuts is not None:
            for v in made.values():
                self.cuts += list(_nodes(v).flat)
        return made

    def _implicit(self, model: ImplicitUpdate, values: Mapping[str, TensorWrapper]) -> Values:
        if self.cuts is not None:
            raise Unsupported(f"{model} is inside another implicit update")
        if model.max_substepping_level:
            raise Unsupported(f"{model} has substeps of its own")
        system, graph = model.equation_system, self.step.graph
        guess = self._guess(model, values)
        known = {n: values[n] for n in system.given_names}
        unknowns = {
            n: inputs(f"{model.name or 'solve'}:{n}", kind.BASE_SHAPE, graph)
            for n, kind in model.output_spec.items()
        }
        for n, t in unknowns.items():
            known[n] = _typed(model.output_spec[n], t)
        cuts: list[Node] = []
        residual = _Lowering(self.step, self.context, cuts).run(system.model, known)
        flat_r, flat_u, flat_g, names = [], [], [], []
        for r, u in zip(system.residual_names, system.unknown_names, strict=True):
            flat_r += list(_nodes(residual[r]).flat)
            flat_u += list(unknowns[u].nodes.flat)
            flat_g += list(np.broadcast_to(guess[u].nodes, unknowns[u].nodes.shape).flat)
            names += [r] * _nodes(residual[r]).size
        self.step.regions.append(
            Region(model.name or "solve", flat_u, flat_g, flat_r, cuts, model.solver, model, names)
        )
        return {n: known[n] for n in model.output_spec}

    def _guess(self, model: ImplicitUpdate, values: Mapping[str, TensorWrapper]) -> dict[str, SymbolicTensor]:
        guess: dict[str, SymbolicTensor] = {}
        predictor = model._modules.get("predictor")
        if isinstance(predictor, Model):
            given = dict(values)
            for n, kind in predictor.input_spec.items():
                if n not in given:
                    base, lag = split(n)
                    newer = [lagged(base, k) for k in range(lag - 1, -1, -1) if lagged(base, k) in given]
                    empty = _typed(kind, constant(np.zeros(kind.BASE_SHAPE), self.step.graph))
                    given[n] = given[newer[0]] if newer else empty
            guess = {n: _tensor(v) for n, v in self.run(predictor, given).items()}
        for u, kind in model.output_spec.items():
            if u not in guess:
                found = values.get(u, values.get(f"{u}~1"))
                guess[u] = (
                    constant(np.zeros(kind.BASE_SHAPE), self.step.graph) if found is None else _tensor(found)
                )
        return guess


def _typed(kind: type[TensorWrapper], tensor: SymbolicTensor) -> TensorWrapper:
    """A typed value whose data is symbolic."""
    return kind._new(cast(torch.Tensor, tensor), 0)


def _tensor(value: TensorWrapper) -> SymbolicTensor:
    return cast(SymbolicTensor, value.data)


def _nodes(value: TensorWrapper) -> np.ndarray:
    return _tensor(value).nodes
