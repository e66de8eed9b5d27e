"""From a model to one time step of scalar arithmetic: straight-line parts, and regions that are solved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch

from neml2.compiler.differentiate import gradient
from neml2.compiler.graph import Graph, Node, substitute
from neml2.compiler.regions import Reduction, Region, Residual, Step
from neml2.compiler.simplify import simplified
from neml2.compiler.symbolic import SymbolicTensor, Untraceable, constant, inputs
from neml2.composed import ComposedModel
from neml2.context import Context
from neml2.gradient import Normality
from neml2.implicit import ImplicitUpdate
from neml2.lags import lagged, split
from neml2.model import Model
from neml2.parameters import HoldsParameters
from neml2.step import StateUpdate
from neml2.system import NonlinearSystem, unknown_layout
from neml2.types import TensorWrapper

Values = dict[str, TensorWrapper]
Shapes = Mapping[str, Sequence[int]]

# 4200 nodes with 288 unknowns take 13 s to pivot and 76 s in the C++ compiler; most materials have 500
NODES = 10_000  # of a graph
UNKNOWNS = 400  # of a region
_REMEDY = "use fewer sites, or engine='eager'"


class Unsupported(TypeError):
    """A model that the compiler does not take; the message says which and why."""


def lower(
    update: StateUpdate,
    shapes: Shapes | None = None,
    declared: bool = True,
    reductions: list[Reduction] | None = None,
) -> Step:
    """Trace the model of ``update`` at one point. Raises :class:`Unsupported`.

    ``shapes`` are the sub-batch shapes of forces and states by name, ``()`` where nothing is said. Substeps
    of an implicit update are not part of the graph: it tries the whole increment. What the settings of a
    system say of sub-batches counts only if ``declared``. With ``reductions``, means and sums over an axis of
    the sub-batch are symbols, and are noted there.
    """
    model, graph, shapes = update.model, Graph(), shapes or {}
    step = Step(graph, {})
    values: Values = {}
    for n, kind in model.input_spec.items():
        base, lag = split(n)
        if base in update.forces:
            step.forces[n] = (base, lag)
        elif base in update.outputs and (lag or base in update.guesses):
            same = {key: name for name, key in step.states.items()}.get((base, max(lag, 1)))
            if same is not None:  # a guess without a predictor is the old value
                values[n] = values[same]
                continue
            step.states[n] = (base, max(lag, 1))
        else:
            continue  # nothing computes it: only a guess starts from it
        values[n] = _symbols(n, kind, shapes.get(base, ()), graph)
        step.inputs[n] = _tensor(values[n])
    step.parameters, context = _parameters(model, model, graph)
    with torch.enable_grad():  # so that a tensor tells that it was made from a parameter
        outputs = _Lowering(step, context, declared=declared, reductions=reductions).run(model, values)
    step.outputs = {n: _tensor(outputs[n]) for n in model.output_spec}
    for n, (base, _) in step.states.items():
        old, new = tuple(step.inputs[n].shape), tuple(step.outputs[base].shape)
        if old != new:
            raise Unsupported(
                f"{model} computes '{base}' of shape {new} from an old one of shape {old}; give it an initial"
                f" value that has all sub-batch axes"
            )
    return step


def lower_residual(
    system: NonlinearSystem, owner: Model | None = None, shapes: Shapes | None = None
) -> Residual:
    """Trace the residual of ``system`` at one point, with everything that it reads as symbols.

    Parameters have the names that ``owner`` (the model of the residual, if left out) has for them.
    ``shapes`` are sub-batch shapes by the name of an input or, for all its lags, by that without lag; an
    unknown has that of its old value, or what the system's settings declare. Raises :class:`Unsupported`.
    """
    model, graph, shapes = system.model, Graph(), shapes or {}
    step = Step(graph, {})
    step.parameters, context = _parameters(owner or model, model, graph)
    values = {
        n: _symbols(n, k, shapes.get(n, shapes.get(split(n)[0], ())), graph)
        for n, k in model.input_spec.items()
    }
    known = {n: v for n, v in values.items() if n not in system.unknown_names}
    sites = {n: values[n] for n in system.unknown_names if n in shapes}
    lowering = _Lowering(step, context, cuts=[], within=f"the residual {model}")
    with torch.enable_grad():
        unknowns, residual = lowering.residual(system, known, sites, model, "")
    step.inputs = {n: _tensor(v) for n, v in ({**values, **unknowns}).items()}
    return Residual(
        graph,
        step.inputs,
        step.parameters,
        _flat(unknowns[n] for n in system.unknown_names),
        _flat(residual.values()),
        step.names,
    )


def _symbols(name: str, kind: type[TensorWrapper], sites: Sequence[int], graph: Graph) -> TensorWrapper:
    if math.prod(sites) > NODES:
        raise Unsupported(f"'{name}' has the sub-batch {tuple(sites)}, too many sites to unroll; {_REMEDY}")
    return _typed(kind, inputs(name, (*sites, *kind.BASE_SHAPE), graph), len(sites))


def _parameters(owner: Model, model: Model, graph: Graph) -> tuple[dict[str, SymbolicTensor], Context]:
    """Symbols for the parameters of ``model`` by their names in ``owner``, without the batch of points."""
    found: dict[str, SymbolicTensor] = {}
    substitutes: dict[Any, Any] = {}
    used = {id(p) for p in model.parameters()}
    for name, p in owner.named_parameters():
        if id(p) not in used:
            continue
        holder, attr = owner._owner(name)
        if not isinstance(holder, HoldsParameters) or attr not in holder._kinds:
            raise Unsupported(f"{owner} has '{name}', which is not declared; use Parameter(...)")
        inner = p.shape[len(holder._kinds[attr].batch_shape(p.shape)) :]
        substitutes[p] = found[name] = inputs(f"param:{name}", inner, graph)
    return found, Context(parameters=substitutes)


@dataclass
class _Lowering:
    """``within`` says why no implicit update may be there, ``prefix`` begins names (``None``: no names)."""

    step: Step
    context: Context
    cuts: list[Node] | None = None
    within: str = ""
    prefix: str | None = ""
    declared: bool = True
    reductions: list[Reduction] | None = None

    def run(self, model: Model, values: Mapping[str, TensorWrapper]) -> Values:
        if isinstance(model, ComposedModel):
            pool = dict(values)
            for child in model.models_in_order:
                pool.update(self.run(child, pool))
            return {n: pool[n] for n in model.output_spec}
        if isinstance(model, ImplicitUpdate):
            return self._implicit(model, values)
        made = self._made(model, values)
        for n, v in made.items():
            if self.prefix is not None:
                self.step.named.give(self.prefix + n, _nodes(v), model)
            if self.cuts is not None:
                self.cuts += list(_nodes(v).flat)
        self._check_size(model)
        return made

    def _made(self, model: Model, values: Mapping[str, TensorWrapper]) -> Values:
        if isinstance(model, Normality):
            return self._normality(model, values)
        made = self._leaf(model, values)
        kind = getattr(model, "reduction", None)
        if kind is None or self.reductions is None:
            return made
        (x,), (n,) = model.input_spec, model.output_spec
        if values[x].sub_batch_ndim != 1:
            return made
        symbols = inputs(f"{kind} {len(self.reductions)} {n}", tuple(made[n].shape), self.step.graph)
        terms = list(_nodes(values[x])[0].flat)
        self.reductions.append(Reduction(list(symbols.nodes.flat), terms, kind == "mean"))
        return {n: _typed(type(made[n]), symbols)}

    def _leaf(self, model: Model, values: Mapping[str, TensorWrapper]) -> Values:
        try:
            made = model.evaluate(values, self.context)
        except Untraceable as error:
            raise Unsupported(f"{model} uses {error}") from error
        except Exception as error:
            raise Unsupported(f"{model} cannot be traced at one point: {_reason(error)}") from error
        for n, v in made.items():
            if v.dynamic_batch_shape:
                raise Unsupported(
                    f"{model} gives '{n}' the batch {tuple(v.dynamic_batch_shape)} at one point; the compiler"
                    f" takes models without a batch of their own"
                )
        return {n: _typed(type(v), self._symbolic(v.data), v.sub_batch_ndim) for n, v in made.items()}

    def _symbolic(self, data: Any) -> SymbolicTensor:
        return data if isinstance(data, SymbolicTensor) else constant(data, self.step.graph)

    def _check_size(self, model: Model) -> None:
        found = len(self.step.graph.nodes)
        if found > NODES:
            raise Unsupported(
                f"{model} brings the step to {found} scalar operations, more than {NODES}, as sub-batches are"
                f" unrolled; {_REMEDY}"
            )

    def _normality(self, model: Normality, values: Mapping[str, TensorWrapper]) -> Values:
        inner, graph = model.differentiated, self.step.graph
        lowering = replace(self, cuts=None, within=f"{model}", prefix=None)
        given = {n: values[n] for n in inner.input_spec if n in values}
        fresh, back = self._aliases(given)
        f = lowering.run(inner, fresh)[model.function]
        if f.sub_batch_ndim and any(fresh[x].sub_batch_shape != f.sub_batch_shape for x in model.from_):
            for x in model.from_:  # one value of x stood for all sites of f: each gets its own
                given[x] = given[x].sub_batch.expand(*f.sub_batch_shape)  # type: ignore[attr-defined]
            fresh, back = self._aliases(given)
            f = lowering.run(inner, fresh)[model.function]
        made: Values = {}
        for x, y in zip(model.from_, model.to_, strict=True):
            slopes = gradient(_flat([f]), [graph.const(1)] * _nodes(f).size, _flat([fresh[x]]))
            array = np.empty(_nodes(fresh[x]).shape, dtype=object)
            array.reshape(-1)[:] = substitute(slopes, back)
            made[y] = _typed(model.output_spec[y], SymbolicTensor(array, graph), fresh[x].sub_batch_ndim)
        return made

    def _aliases(self, values: Values) -> tuple[Values, dict[int, Node]]:
        """Symbols in place of values, as two of these may be the same node; and the nodes they stand for."""
        fresh: Values = {}
        back: dict[int, Node] = {}
        mark = len(self.step.graph.nodes)
        for n, v in values.items():
            symbol = inputs(f"alias {mark}:{n}", tuple(v.shape), self.step.graph)
            fresh[n] = _typed(type(v), symbol, v.sub_batch_ndim)
            back |= {a.index: b for a, b in zip(symbol.nodes.flat, _nodes(v).flat, strict=True)}
        return fresh, back

    def _implicit(self, model: ImplicitUpdate, values: Mapping[str, TensorWrapper]) -> Values:
        if self.within:
            raise Unsupported(
                f"{model} is inside {self.within}; the compiler takes implicit updates one after the other,"
                f" not one inside the other"
            )
        system = model.equation_system
        mine = {n: values[n] for n in model.input_spec if n in values}
        guess = self._guess(model, mine)
        known = {n: mine[n] for n in system.given_names if n in mine}
        name, taken = model.name or "solve", {r.name for r in self.step.regions}
        while name in taken:
            name += "_"
        cuts: list[Node] = []
        lowering = replace(self, cuts=cuts, within=f"the residual of {model}")
        unknowns, residual = lowering.residual(system, known, guess, model, f"{name}:", mine)
        flat_guess: list[Node] = []
        for u in system.unknown_names:
            flat_guess += np.broadcast_to(_nodes(guess[u]), unknowns[u].shape).flat
        variables = [r for r, v in residual.items() for _ in range(_nodes(v).size)]
        flat_u = _flat(unknowns[u] for u in system.unknown_names)
        flat_r = _flat(residual.values())
        simple = simplified(flat_r, flat_u, cuts)
        self.step.named.follow(simple)
        flat_r, cuts = [simple[r.index] for r in flat_r], [simple[c.index] for c in cuts if c.index in simple]
        self.step.regions.append(
            Region(name, flat_u, flat_guess, flat_r, cuts, model.solver, model, variables)
        )
        return {n: unknowns[n] for n in model.output_spec}

    def residual(
        self,
        system: NonlinearSystem,
        known: Values,
        guess: Mapping[str, TensorWrapper],
        model: Model,
        mark: str,
        values: Values | None = None,
    ) -> tuple[Values, Values]:
        """Unknowns, called ``mark`` and their name, and as many residuals, in the order of the system."""
        if not self.declared:
            system = replace(system, settings=None)
        try:
            layout = unknown_layout(system, values or known, guess)
            layout.groups  # noqa: B018 - raises for block groups of unequal sites
        except ValueError as error:
            raise Unsupported(f"{model} cannot be laid out: {error}") from error
        sites, graph = layout.sub_batch, self.step.graph
        unknowns = {u: _symbols(f"{mark}{u}", layout.kinds[u], sites[u], graph) for u in system.unknown_names}
        count = len(_flat(unknowns.values()))
        if count > UNKNOWNS:
            raise Unsupported(
                f"{model} has {count} unknowns at each point, more than {UNKNOWNS}, as sub-batches are"
                f" unrolled; {_REMEDY}"
            )
        for u, v in unknowns.items():
            self.step.named.give(u, _nodes(v), model, skip=())
        outputs = self.run(system.model, {**known, **unknowns})
        residual: Values = {}
        for r, u in zip(system.residual_names, system.unknown_names, strict=True):
            try:
                nodes = np.broadcast_to(_nodes(outputs[r]), (*sites[u], *outputs[r].BASE_SHAPE))
            except ValueError:
                raise Unsupported(
                    f"{model} has the residual '{r}' with sub-batch {tuple(outputs[r].sub_batch_shape)}, but"
                    f" its unknown '{u}' has {tuple(sites[u])}; give '{u}' an initial value that has one"
                ) from None
            residual[r] = _typed(type(outputs[r]), SymbolicTensor(nodes, graph), len(sites[u]))
        return unknowns, residual

    def _guess(self, model: ImplicitUpdate, values: Values) -> Values:
        guess: Values = {}
        predictor = model._modules.get("predictor")
        if isinstance(predictor, Model):
            given = dict(values)
            for n, kind in predictor.input_spec.items():
                if n not in given:
                    base, lag = split(n)
                    newer = [lagged(base, k) for k in range(lag - 1, -1, -1) if lagged(base, k) in given]
                    given[n] = given[newer[0]] if newer else self._zero(kind)
            prefix = None if self.prefix is None else f"{self.prefix}guess_"
            guess = replace(self, within=f"the predictor of {model}", prefix=prefix).run(predictor, given)
        for u, kind in model.output_spec.items():
            if u not in guess:
                guess[u] = values.get(u, values.get(f"{u}~1", self._zero(kind)))
        return guess

    def _zero(self, kind: type[TensorWrapper]) -> TensorWrapper:
        return _typed(kind, constant(np.zeros(kind.BASE_SHAPE), self.step.graph))


def _typed(kind: type[TensorWrapper], tensor: SymbolicTensor, sub_batch_ndim: int = 0) -> TensorWrapper:
    """A typed value whose data is symbolic."""
    return kind._new(cast(torch.Tensor, tensor), sub_batch_ndim)


def _tensor(value: TensorWrapper) -> SymbolicTensor:
    return cast(SymbolicTensor, value.data)


def _nodes(value: TensorWrapper) -> np.ndarray:
    return _tensor(value).nodes


def _flat(values: Iterable[TensorWrapper]) -> list[Node]:
    return [n for v in values for n in _nodes(v).flat]


def _reason(error: Exception) -> str:
    """What went wrong inside a model, in one line."""
    said = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    first = said.strip().split("\n")[0] or type(error).__name__
    return f"it has no value for '{first}'" if isinstance(error, KeyError) else first
