r"""From a strain-driven model a model whose strain is unknown, for tests that prescribe stresses as well.

A test prescribes one number per component: a strain, a stress, or a sum of both. A material computes the
stress from the strain, by implicit updates of its own. One could solve for the strain around those, by a
Newton's method whose every residual is a solved update. :func:`controlled` opens the updates instead: the
equations of the material and the conditions become one system, the material's unknowns and the strain are its
unknowns, and one Newton's method solves for all. Nothing is solved to the end for a strain that is not yet
right, and the result is an ordinary model: its steps, kernels, gradients and tangents are those of any other.

Models that do not depend on the strain stay in front of the system; those that the stress does not need come
after it, implicit updates among them. The leaf models, and so the parameters, are the original's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from neml2.composed import ComposedModel, add_children
from neml2.drivers.control.conjugates import chosen_strain, chosen_stress
from neml2.fields import ParameterField
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.models.common.control import ComponentControl, ControlPredictor
from neml2.models.common.tensors import SR2ToR2
from neml2.models.solid_mechanics.elastic_constants import CONSTANTS, WithElasticConstants
from neml2.solvers.direct import DenseLU
from neml2.solvers.newton import Newton
from neml2.solvers.schur import SchurComplement
from neml2.system import NonlinearSystem
from neml2.types import R2, SR2, TensorWrapper

STRESS_WEIGHT, STRAIN_WEIGHT, TARGET = "control_stress_weight", "control_strain_weight", "control_target"
CONTROLS = (STRESS_WEIGHT, STRAIN_WEIGHT, TARGET)
_RESIDUAL, _FULL_STRESS = "control_residual", "control_stress"

Swap = Callable[[ImplicitUpdate], Model | None]


def controlled(model: Model, strain: str | None = None, stress: str | None = None) -> Model:
    """``model`` with its strain unknown, and instead six (nine) conditions on stress and strain prescribed.

    strain
        The force that is solved for: an ``SR2``, or a deformation gradient (``R2``). Left out, it is the one
        called ``strain`` or ``E`` (``deformation_gradient``, ``F``), or the only symmetric force.
    stress
        The output that is conjugate to it. Left out, it is the one called ``stress``, ``S`` or
        ``cauchy_stress``, or the only symmetric output whose declared unit is that of a stress.

    The result reads ``control_stress_weight``, ``control_strain_weight`` and ``control_target``, tensors of
    the type of the strain, instead of the strain; the condition is that of
    :class:`~neml2.models.common.control.ComponentControl`, in physical components (``SR2.from_physical``).
    Its outputs are those of ``model`` and the strain. A deformation gradient starts from the identity only if
    the history says so; symmetric Cauchy stresses can give six of the nine conditions.

    Parameters are shared with ``model``, under the same names. Solver, linear solver and substeps are those
    of the first implicit update that is opened, a plain Newton where there is none.

    Raises :class:`ValueError` when strain or stress cannot be told, or when the stress does not depend on the
    strain, and :class:`TypeError` for types that cannot be controlled.
    """
    strain = chosen_strain(model, strain)
    stress = chosen_stress(model, stress)
    taken = [n for n in CONTROLS if n in {**model.input_spec, **model.output_spec}]
    if taken:
        raise ValueError(f"{model} has a variable '{taken[0]}', a name that the control needs; rename it")
    children = model.models_in_order if isinstance(model, ComposedModel) else (model,)
    dependent = _dependent(children, strain)
    opened = _needed(dependent, stress, children)
    if not opened:
        raise ValueError(
            f"{model}: '{stress}' does not depend on '{strain}';"
            f" name the two with controlled(model, strain=..., stress=...)"
        )
    update = _merged(model, opened, strain, stress, model.input_spec[strain])
    parts = [c if c not in opened else _swapped(c, lambda _: None, set(c.output_spec)) for c in dependent]
    parts = [*(c for c in children if c not in dependent), update, *parts]
    outputs = {**model.output_spec, strain: model.input_spec[strain]}
    result = _joined(parts, outputs, model.name)
    assert result is not None  # it has the update
    _share_parameters(model, result)
    _check_inputs(model, result, strain)
    return result


def strain_at_rest(model: Model, strain: str, stress: str) -> ImplicitUpdate | None:
    """The update that solves for the strain alone, of a ``model`` that :func:`controlled` has made.

    Its explicit models are kept; what implicit ones give is prescribed. ``None`` where the stress does not
    follow from the strain by explicit models.
    """
    assert isinstance(model, ComposedModel)
    explicit = [m for m in model.models_in_order if not _updates(m)]
    if not _needed(_dependent(explicit, strain), stress, explicit):
        return None
    return _merged(model, explicit, strain, stress, model.output_spec[strain])


# ---------------------------------------------------------------- taking apart


def _dependent(children: Sequence[Model], strain: str) -> list[Model]:
    """The models that depend on the strain, in order."""
    names = {strain}
    found: list[Model] = []
    for child in children:
        if names & set(child.input_spec):
            names |= set(child.output_spec)
            found.append(child)
    return found


def _needed(models: Sequence[Model], stress: str, children: Sequence[Model]) -> list[Model]:
    """Those of ``models`` that the stress needs, in order."""
    names = {stress}
    found: list[Model] = []
    for child in reversed(children):
        if names & set(child.output_spec):
            names |= set(child.input_spec)
            if child in models:
                found.insert(0, child)
    return found


def _updates(model: Model) -> list[ImplicitUpdate]:
    if isinstance(model, ImplicitUpdate):
        return [model]
    if isinstance(model, ComposedModel):
        return [u for child in model.models_in_order for u in _updates(child)]
    return []


def _swapped(model: Model, swap: Swap, wanted: set[str], made: Iterable[str] = ()) -> Model | None:
    """``model`` with other models, or none, in place of its implicit updates, for its ``wanted`` outputs.

    ``made`` are the names that the other models compute: they come out of a composition like its outputs.
    """
    if isinstance(model, ImplicitUpdate):
        return swap(model)
    if not _updates(model):
        return model
    assert isinstance(model, ComposedModel)
    parts = [_swapped(c, swap, set(c.output_spec), made) for c in model.models_in_order]
    visible = wanted & {*model.output_spec, *made}
    return _joined(parts, visible, model.name)


def _joined(models: Sequence[Model | None], outputs: Iterable[str], name: str) -> ComposedModel | None:
    """A composition that computes those of ``outputs`` that it can, and has no others."""
    wanted, kept = set(outputs), list[Model]()
    for model in reversed(models):
        if model is not None and wanted & set(model.output_spec):
            wanted |= set(model.input_spec)
            kept.insert(0, model)
    if not kept:
        return None
    computed = {n for m in kept for n in m.output_spec}
    found = [n for n in outputs if n in computed]
    joined = ComposedModel(kept, additional_outputs=found, name=name)
    joined.output_spec = {n: joined.output_spec[n] for n in found}
    return joined


# ---------------------------------------------------------------- putting together


def _merged(
    model: Model, opened: Sequence[Model], strain: str, stress: str, kind: type[TensorWrapper]
) -> ImplicitUpdate:
    """The implicit update of the models ``opened`` and of the control; ``kind`` is that of the strain."""
    updates = [u for child in opened for u in _updates(child)]
    unknowns = [n for u in updates for n in u.equation_system.unknown_names]
    residuals = [n for u in updates for n in u.equation_system.residual_names]
    for names, what in ((unknowns, "unknown"), (residuals, "residual")):
        twice = [n for n in names if names.count(n) > 1]
        if twice:
            raise ValueError(
                f"{model}: two implicit updates have the {what} '{twice[0]}'; rename one of the two"
            )

    def residual_of(u: ImplicitUpdate) -> Model | None:
        system = u.equation_system
        return _joined([system.model], system.residual_names, system.model.name)

    conditions: list[Model] = []
    if kind is R2 and model.output_spec[stress] is SR2:
        conditions.append(SR2ToR2(input=stress, output=_FULL_STRESS, name="control_stress"))
    conditions.append(
        ComponentControl[kind](  # type: ignore[valid-type]
            stress=_FULL_STRESS if conditions else stress,
            strain=strain,
            stiffness=_typical_stiffness(model),
            name="control",
        )
    )
    equations = [_swapped(c, residual_of, {*c.output_spec, *residuals}, residuals) for c in opened]
    residual = _joined([*equations, *conditions], [*residuals, _RESIDUAL], "residual")
    assert residual is not None

    def guess_of(u: ImplicitUpdate) -> Model | None:
        return u._modules.get("predictor")  # type: ignore[return-value]

    start = ControlPredictor[kind](strain=strain, name="guess_strain")  # type: ignore[valid-type]
    guesses = [_swapped(c, guess_of, {*c.output_spec, *unknowns}, unknowns) for c in opened]
    predictor = _joined([start, *guesses], [strain, *unknowns], "guesses")
    solver = updates[0].solver if updates else Newton()
    system, fitting = _system(residual, updates, strain, solver)
    given: dict[str, Any] = {}
    for option in ("input_sensitivity_solver", "param_sensitivity_solver"):
        if updates and fitting is solver:
            given[option] = getattr(updates[0], option)
    levels = max((u.max_substepping_level for u in updates), default=0)
    if levels:
        kept = {n for u in updates for n in u.incremental_variables if n in system.given_names}
        given |= {"max_substepping_level": levels, "incremental_variables": [*sorted(kept), *CONTROLS]}
    return ImplicitUpdate(system, solver=fitting, predictor=predictor, name="controlled", **given)


def _system(
    residual: Model, updates: Sequence[ImplicitUpdate], strain: str, solver: Any
) -> tuple[NonlinearSystem, Any]:
    """The merged system, and the nonlinear solver with a linear solver that fits its groups.

    The strain joins a dense group. A single block group becomes the first group of a Schur complement, whose
    second is the strain. All else is one dense group.
    """
    systems = [u.equation_system for u in updates]
    settings = systems[0].settings if systems else None
    unknowns = [list(g) for s in systems for g in s.unknown_groups]
    residuals = [list(g) for s in systems for g in s.residual_groups]
    structure = [word for s in systems for word in s.structures]
    place = _place(structure, solver) if len(systems) == 1 else None
    if place is not None:
        unknowns[place].append(strain)
        residuals[place].append(_RESIDUAL)
    elif structure == ["block"]:
        unknowns.append([strain])
        residuals.append([_RESIDUAL])
        structure.append("dense")
        solver = replace(solver, linear_solver=SchurComplement(primary_solver=solver.linear_solver))
    else:
        if len(structure) > 1 and structure != ["dense"] * len(systems):
            solver = replace(solver, linear_solver=DenseLU())
        unknowns = [[*(n for g in unknowns for n in g), strain]]
        residuals = [[*(n for g in residuals for n in g), _RESIDUAL]]
        structure = ["dense"]
    system = NonlinearSystem(
        residual, _groups(unknowns), _groups(residuals), structure=structure, settings=settings
    )
    return system, solver


def _place(structure: Sequence[str], solver: Any) -> int | None:
    """The group that the strain can join.

    What a Schur complement eliminates first must be regular at a given strain: the strain goes to the other.
    """
    linear = solver.linear_solver
    places = [i for i, word in enumerate(structure) if word == "dense"]
    if isinstance(linear, SchurComplement):
        first = (linear.unknown_primary_group, linear.residual_primary_group)
        places = [i for i in places if i not in first]
    return places[-1] if places else None


def _groups(names: Sequence[Sequence[str]]) -> str:
    return " ; ".join(" ".join(group) for group in names)


def _typical_stiffness(model: Model) -> float:
    """The largest parameter that is declared a stress, to a power of two; it only scales residuals."""
    largest = 0.0
    for module in model.modules():
        if isinstance(module, Model):
            more = CONSTANTS if isinstance(module, WithElasticConstants) else {}
            for attr, field in {**module.FIELDS, **more}.items():
                value = module._parameters.get(attr)
                if isinstance(field, ParameterField) and field.unit == "stress" and value is not None:
                    largest = max(largest, float(value.detach().abs().max()) if value.numel() else 0.0)
    return 2.0 ** round(math.log2(largest)) if 0 < largest < math.inf else 1.0


def _share_parameters(model: Model, result: ComposedModel) -> None:
    """Let the parameters of ``result`` go by the names that they have in ``model``."""
    own = list(result.models_in_order)
    result._modules.clear()
    result._modules.update(model._modules)
    add_children(result, [m for m in own if not any(m is c for c in model._modules.values())])
    result._parameters, result._kinds = model._parameters, model._kinds  # of a leaf, which has some itself
    result._buffers = model._buffers


def _check_inputs(model: Model, result: Model, strain: str) -> None:
    known = {*model.input_spec, f"{strain}~1", *CONTROLS, *(f"{n}~1" for n in CONTROLS)}
    more = [n for n in result.input_spec if n not in known]
    if more:
        raise ValueError(
            f"{model} hides '{more[0]}' in one of its compositions, so that its implicit updates cannot be"
            f" opened; give it among their additional_outputs"
        )
