"""What models become when they are traced at one point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import neml2.models  # noqa: F401  (the catalogue)
from neml2.compiler.differentiate import jacobian
from neml2.compiler.graph import Graph, Node, ancestors, evaluate
from neml2.compiler.lower import Unsupported, _Lowering, lower, lower_residual
from neml2.compiler.names import Names
from neml2.compiler.regions import Step
from neml2.compiler.sample import values_at
from neml2.compiler.symbolic import SymbolicTensor, inputs
from neml2.composed import ComposedModel
from neml2.context import Context
from neml2.fields import Input, Output, Parameter
from neml2.gradient import Normality
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.models.common.time_integration import ForwardEulerTimeIntegration
from neml2.predictors import LinearExtrapolationPredictor
from neml2.step import StateUpdate
from neml2.system import NonlinearSystem, ResidualProblem, unknown_layout
from neml2.types import SR2, Scalar, mean, norm, r2_from_sr2
from tests.compiler.scenarios import LARGE, SOLVED, at_step, dense, put, scenario
from tests.models.cases import Case, all_cases
from tests.models.probe import Probe
from tests.small_models import F64, Sites, Spring, decay, spring

STRUCTURAL = {"RateCondensation", "CoordinateDescentPredictor"}  # they differentiate or iterate by themselves
DETACHED = {"CrystalPlasticityStrainPredictor", "CrystalPlasticityDeformationGradientPredictor"}  # guesses
UNKNOWNS = {
    "adr_stretched": 16,
    "brittle_at2": 1,
    "cp_coupled_cubic_stiffness": 10,
    "cp_coupled_fcc": 10,
    "cp_decoupled": (7, 3),
    "cp_deformation_gradient": 10,
    "cp_taylor_uniaxial": 52,
    "gtn_minmap": 9,
    "kocks_mecking_full": 8,
    "kwn_two_component": 14,
    "mixed_control_chaboche": 19,
    "pyrolysis_volume": 1,
    "radial_return_ri": 1,
    "ri_fb_isokin": 14,
    "ri_minmap_perfect": 7,
    "stress_control": 7,
    "thermal_annealing": 13,
    "ve_generalized_maxwell": 18,
    "ve_zener": 6,
    "vp_chaboche_cyclic": 19,
    "vp_j2_direction": 7,
    "vp_linear_kinematic": 12,
    "vp_voce_rateform": 7,
}


@dataclass
class Traced:
    inputs: dict[str, SymbolicTensor]
    outputs: dict[str, Any]
    numbers: dict[str, float]


def trace(probe: Probe) -> Traced:
    """The model of a case at symbols, and the numbers of its point."""
    graph, numbers = Graph(), {}
    given = {n: inputs(n, tuple(v.data.shape), graph) for n, v in probe.point.items()}
    held = {p: inputs(f"param:{n}", tuple(p.shape), graph) for n, p in probe.parameters.items()}
    pairs = [(s, probe.point[n].data) for n, s in given.items()] + [(s, p) for p, s in held.items()]
    for symbol, data in pairs:
        values = data.detach().reshape(-1).tolist()
        numbers |= {n.value: x for n, x in zip(symbol.nodes.flat, values, strict=True)}
    values = {
        n: type(v)._new(given[n], v.sub_batch_ndim)  # type: ignore[arg-type]
        for n, v in probe.point.items()
    }
    lowering = _Lowering(Step(graph, {}), Context(parameters=held))
    return Traced(given, lowering.run(probe.model, values), numbers)


def one_point(case: Case) -> bool:
    point = case.point(case.build())
    return not any(v.dynamic_batch_shape for v in point.values())


CASES = [c for c in all_cases() if one_point(c)]


def test_most_cases_can_be_traced() -> None:
    refused = []
    for case in CASES:
        try:
            trace(Probe(case))
        except Unsupported:
            refused.append(case.type)
    assert set(refused) == STRUCTURAL


@pytest.mark.parametrize("case", [c for c in CASES if c.type not in STRUCTURAL], ids=str)
def test_traced_is_eager(case: Case) -> None:
    """Values and Jacobian of the graph, at the numbers of the case."""
    probe = Probe(case)
    traced = trace(probe)
    value = values_at([traced.numbers])
    eager, slopes = probe.model.jacobian(probe.point)
    assert list(traced.outputs) == list(eager)
    for name, out in traced.outputs.items():
        expected = eager[name].data.detach().numpy()
        assert out.data.shape == expected.shape and out.sub_batch_ndim == eager[name].sub_batch_ndim
        nodes = list(out.data.nodes.flat)
        found = np.array([value(n)[0] for n in nodes]).reshape(expected.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max(initial=0))
        for variable, symbol in traced.inputs.items() if case.type not in DETACHED else ():
            rows = jacobian(nodes, list(symbol.nodes.flat))
            matrix = np.array(
                [[value(r[k])[0] if k in r else 0.0 for k in range(symbol.nodes.size)] for r in rows]
            )
            block = slopes[name][variable].data.detach().numpy()  # (*out_sub, *in_sub, *out_base, *in_base)
            sites, ranks = eager[name].sub_batch_ndim, probe.point[variable].sub_batch_ndim
            block = np.moveaxis(
                block, range(sites, sites + ranks), range(out.data.ndim, out.data.ndim + ranks)
            ).reshape(matrix.shape)
            np.testing.assert_allclose(matrix, block, rtol=1e-9, atol=1e-9 * np.abs(block).max(initial=0))


def test_every_scenario_is_known() -> None:
    assert set(SOLVED) == set(UNKNOWNS) - LARGE


@pytest.mark.parametrize("name", SOLVED)
def test_regions_of_scenarios(name: str) -> None:
    step = scenario(name).step
    sizes = tuple(len(region.unknowns) for region in step.regions)
    assert sizes == UNKNOWNS[name] or sizes == (UNKNOWNS[name],)
    for region in step.regions:
        assert len(region.residual) == len(region.guess) == len(region.variables) == len(region.unknowns)
        assert {u.op for u in region.unknowns} == {"input"}
        assert len({u.index for u in region.unknowns}) == len(region.unknowns)
    assert set(step.inputs) == set(step.forces) | set(step.states)
    assert not set(step.forces) & set(step.states)


@pytest.mark.parametrize("name", SOLVED)
def test_a_lowered_step_solved_by_newton_is_the_eager_one(name: str) -> None:
    s = scenario(name)
    for k in (2, 18):
        point = at_step(s, k)
        for region in s.step.regions:
            guess = values_at([point])
            x = np.array([guess(g)[0] for g in region.guess])
            for _ in range(40):
                (matrix,), (residual,) = dense(region, [point | put(region.unknowns, x)])
                x = x - np.linalg.solve(matrix, residual)
            point |= put(region.unknowns, x)
        value = values_at([point])
        for output, symbol in s.step.outputs.items():
            found = np.array([value(n)[0] for n in symbol.nodes.flat])
            data = s.trajectory[output].data[k].reshape(-1, symbol.nodes.size)[0].numpy()
            size = s.trajectory[output].data[1:].abs().max().item()
            np.testing.assert_allclose(found, data, rtol=1e-6, atol=1e-6 * size, err_msg=output)


# ---------------------------------------------------------------------- sites, and several solves


class Shares(Model):
    """What of a load each site takes."""

    load: Scalar = Input("Load of the point")
    share: Scalar = Output("Load of a site")
    w: Scalar = Parameter("w", "Weight of a site")

    def forward(self, load, w):
        return load * w


class Creep(Model):
    """A backward Euler step of sites that are pulled towards their mean."""

    x: SR2 = Input("State of a site")
    x_n: SR2 = Input("Old state", of="x", suffix="~1")
    t: Scalar = Input("Time", option="time", default="t")
    t_n: Scalar = Input("Old time", of="t", suffix="~1")
    share: Scalar = Input("Load of a site")
    r: SR2 = Output("Residual", of="x", suffix="_residual")
    k: Scalar = Parameter("k", "Stiffness of a site")
    c: Scalar = Parameter("c", "Coupling", default=0.3)

    def forward(self, x, x_n, t, t_n, share, k, c):
        pull = mean(x.sub_batch, 0) - x
        return x - x_n - (t - t_n) * (share * SR2.identity() + c * pull - k * norm(x) * x)


class Size(Model):
    """The norm of the mean over sites."""

    x: SR2 = Input("State of a site")
    f: Scalar = Output("Size of the mean")

    def forward(self, x):
        return norm(mean(x.sub_batch, 0))


class Twice(Model):
    """The double of what the second solve finds."""

    y: Scalar = Input("Solution")
    z: Scalar = Output("Its double")

    def forward(self, y):
        return 2.0 * y


def sites(*values: float) -> Scalar:
    return Scalar(torch.tensor(values, dtype=torch.float64), 1)


def creep(predictor: Model | None = None) -> ImplicitUpdate:
    system = NonlinearSystem(Creep(k=sites(1.0, 2.0, 5.0), name="creep"), "x")
    return ImplicitUpdate(system, predictor=predictor, name="solve")


def two_solves(predictor: Model | None = None) -> ComposedModel:
    """Explicit, implicit at three sites, explicit, implicit with what came out, explicit."""
    models = [
        Shares(w=sites(0.2, 0.3, 0.5), name="shares"),
        creep(predictor),
        Size(name="size"),
        ImplicitUpdate(
            NonlinearSystem(Spring(x="y", f="f", k=2.0, name="spring"), "y", "x_residual"), name="second"
        ),
        Twice(name="twice"),
    ]
    return ComposedModel(models=models, additional_outputs=["x", "share", "f", "y"], name="all")


THREE = {"x": (3,)}  # sites
MODELS: dict[str, tuple[Callable[[], Model], dict[str, tuple[int, ...]]]] = {
    "sites": (lambda: ComposedModel(models=[Shares(w=sites(0.2, 0.3, 0.5)), creep()]), THREE),
    "two solves": (two_solves, THREE),
    "two solves, extrapolated": (
        lambda: two_solves(LinearExtrapolationPredictor(unknowns_SR2=["x"], name="guess")),
        THREE,
    ),
    "sites coupled to a point": (
        lambda: ImplicitUpdate(NonlinearSystem(Sites(), "x v ; y", structure="block dense")),
        {"x": (3,), "v": (3,), "f": (3,)},
    ),
    "sites given by the load alone": (
        lambda: ImplicitUpdate(NonlinearSystem(Sites(), "x v y")),
        {"x": (2, 2), "v": (2, 2), "f": (2,)},
    ),
    "one solve with substeps": (lambda: decay(max_substepping_level=3), {}),
}


@dataclass
class Solve:
    """What the eager engine says of one implicit update, variable by variable."""

    guess: torch.Tensor
    unknowns: torch.Tensor
    residual: torch.Tensor


def walk(model: Model, values: dict[str, Any], found: list[Solve], noise: torch.Generator) -> dict[str, Any]:
    """Outputs of the eager model, with random numbers for what is solved for."""
    if isinstance(model, ComposedModel):
        pool = dict(values)
        for child in model.models_in_order:
            pool |= walk(child, pool, found, noise)
        return {n: pool[n] for n in model.output_spec}
    mine = {n: values[n] for n in model.input_spec if n in values}
    if not isinstance(model, ImplicitUpdate):
        return model.evaluate(mine)
    system, point = model.equation_system, torch.Size()
    guess = model._guess(mine, Context())
    layout = unknown_layout(system, mine, guess)
    made = {
        n: k._new(
            torch.randn((*layout.sub_batch[n], *k.BASE_SHAPE), generator=noise, dtype=F64),
            len(layout.sub_batch[n]),
        )
        for n, k in model.output_spec.items()
    }
    problem = ResidualProblem(system, {n: mine[n] for n in system.given_names}, layout, point)
    r = problem.residual_layout.unflatten(problem.evaluate(layout.flatten(made, point)), point)
    g = layout.unflatten(layout.flatten(guess, point), point)

    def flat(values: dict[str, Any], names: tuple[str, ...]) -> torch.Tensor:
        return torch.cat([values[n].data.reshape(-1) for n in names])

    names = system.unknown_names
    found.append(Solve(flat(g, names), flat(made, names), flat(r, system.residual_names)))
    return made


def numbers(symbols: dict[str, SymbolicTensor], values: dict[str, torch.Tensor]) -> dict[str, float]:
    """``values`` row-major, by the names of the inputs of a graph."""
    point: dict[str, float] = {}
    for n, symbol in symbols.items():
        point |= put(list(symbol.nodes.flat), values[n].detach().reshape(-1).numpy())
    return point


def random_inputs(model: Model, symbols: dict[str, SymbolicTensor], noise: torch.Generator) -> dict[str, Any]:
    return {
        n: model.input_spec[n]._new(
            torch.randn(s.shape, generator=noise, dtype=F64), s.ndim - len(model.input_spec[n].BASE_SHAPE)
        )
        for n, s in symbols.items()
    }


@pytest.mark.parametrize("name", MODELS)
def test_residuals_guesses_and_outputs_are_those_of_the_eager_engine(name: str) -> None:
    made, shapes = MODELS[name]
    model = made()
    step = lower(StateUpdate(model), shapes)
    for seed in range(3):
        noise = torch.Generator().manual_seed(seed)
        given = random_inputs(model, step.inputs, noise)
        for n in model.input_spec.keys() & {f"{g}~1" for g in given}:
            given.setdefault(n, given[n[:-2]])  # a guess is the old value
        solves: list[Solve] = []
        outputs = walk(model, given, solves, noise)
        point = numbers(step.inputs, {n: v.data for n, v in given.items()})
        point |= numbers(step.parameters, dict(model.named_parameters()))
        assert len(step.regions) == len(solves)
        for region, solve in zip(step.regions, solves, strict=True):
            assert [n.op for n in region.unknowns] == ["input"] * len(solve.unknowns)
            point |= put(region.unknowns, solve.unknowns.numpy())
            close(region.guess, solve.guess, point)
            close(region.residual, solve.residual, point)
        assert list(step.outputs) == list(outputs)
        for n, symbol in step.outputs.items():
            assert symbol.shape == outputs[n].data.shape
            close(list(symbol.nodes.flat), outputs[n].data, point)


def close(nodes: list[Node], expected: torch.Tensor, point: dict[str, float]) -> None:
    found = evaluate(nodes, point)
    np.testing.assert_allclose(found, expected.detach().reshape(-1).numpy(), rtol=1e-12, atol=1e-13)


def test_names_of_unknowns_of_two_solves_differ() -> None:
    first = ImplicitUpdate(NonlinearSystem(Spring(k=1.0), "x"))
    second = ImplicitUpdate(NonlinearSystem(Spring(x="y", f="x", k=2.0), "y", "x_residual"))
    step = lower(StateUpdate(ComposedModel(models=[first, second], additional_outputs=["x"])))
    assert [r.name for r in step.regions] == ["solve", "solve_"]
    assert step.regions[0].unknowns[0] in ancestors(step.regions[1].residual)


def test_a_step_says_what_its_nodes_are() -> None:
    step = lower(StateUpdate(two_solves()), THREE)
    region = step.regions[0]
    assert [step.names[u.index] for u in region.unknowns] == [f"x_{k}" for k in range(18)]
    assert {step.origin[u.index] for u in region.unknowns} == {"ImplicitUpdate 'solve'"}
    assert [step.names[r.index] for r in region.residual] == [f"x_residual_{k}" for k in range(18)]
    assert {step.origin[r.index] for r in region.residual} == {"Creep 'creep'"}
    assert step.names[step.outputs["z"].nodes.item().index] == "z"
    assert len(set(step.names.values())) == len(step.names) and set(step.names) == set(step.origin)
    assert all(w.isidentifier() for w in step.names.values())
    given = [n for t in step.inputs.values() for n in t.nodes.flat]
    assert not set(step.names) & {n.index for n in given}


def test_names_are_identifiers_unlike_each_other() -> None:
    graph = Graph()
    x, y = graph.input("x"), graph.input("y")
    array = np.empty(2, dtype=object)
    array[:] = [x + y, x * y]
    names, model = Names(), Twice()
    names.give("b/a-1", array, model)
    names.give("again", array, model)  # has a name already
    names.give("b_a_1_1", np.asarray(x - y, dtype=object), model)
    names.give("0d", np.asarray(x + 1, dtype=object), model)
    names.give("given", np.asarray(x, dtype=object), model)
    assert list(names.names.values()) == ["b_a_1_0", "b_a_1_1", "b_a_1_1_2", "_0d"]
    assert set(names.origin.values()) == {"Twice"}


def test_a_predictor_has_names_of_its_own() -> None:
    predictor = LinearExtrapolationPredictor(unknowns_SR2=["x"], name="guess")
    step = lower(StateUpdate(two_solves(predictor)), THREE)
    assert [step.names[g.index] for g in step.regions[0].guess] == [f"guess_x_{k}" for k in range(18)]
    assert {step.origin[g.index] for g in step.regions[0].guess} == {"LinearExtrapolationPredictor 'guess'"}


@pytest.mark.parametrize("name", MODELS)
def test_a_residual_alone(name: str) -> None:
    made, shapes = MODELS[name]
    (update, *_) = [m for m in made().modules() if isinstance(m, ImplicitUpdate)]
    system = update.equation_system
    shapes = {**shapes, "share": (3,)} if "sites" in name or "two" in name else shapes
    r = lower_residual(system, update, shapes)
    assert list(r.inputs) == list(system.model.input_spec)
    assert set(r.parameters) == set(dict(update.named_parameters()))
    assert r.unknowns == [n for u in system.unknown_names for n in r.inputs[u].nodes.flat]
    noise = torch.Generator().manual_seed(0)
    given = random_inputs(system.model, r.inputs, noise)
    point = numbers(r.inputs, {n: v.data for n, v in given.items()})
    point |= numbers(r.parameters, dict(update.named_parameters()))
    eager = system.model.evaluate(given)
    parts = [
        eager[n].data.expand(r.inputs[u].shape).reshape(-1)
        for n, u in zip(system.residual_names, system.unknown_names, strict=True)
    ]
    close(r.residual, torch.cat(parts), point)
    assert {r.names[u.index].split("_")[0] for u in r.unknowns} <= set(system.unknown_names)


def test_parameters_of_a_residual_have_the_names_of_their_owner() -> None:
    system = creep().equation_system
    assert set(lower_residual(system, shapes=THREE).parameters) == {"k", "c"}
    assert set(lower_residual(system, creep_owner(system), THREE).parameters) == {
        "solve.creep.k",
        "solve.creep.c",
    }


def creep_owner(system: NonlinearSystem) -> Model:
    return ComposedModel(models=[Shares(w=1.0, name="shares"), ImplicitUpdate(system, name="solve")])


def test_the_derivative_at_each_site_of_one_value() -> None:
    """Every site of the function has a slope of its own, as in the eager engine."""
    function = Shares(w=sites(0.2, 0.3, 0.5), name="shares")
    model = Normality(model=function, function="share", **{"from": ["load"], "to": ["slope"]})
    step = lower(StateUpdate(model))
    point = numbers(step.inputs, {"load": torch.tensor(2.0)})
    point |= numbers(step.parameters, dict(model.named_parameters()))
    eager = model.evaluate({"load": Scalar(torch.tensor(2.0, dtype=F64))})["slope"].data
    assert eager.shape == step.outputs["slope"].shape == (3,)
    close(list(step.outputs["slope"].nodes.flat), eager, point)


# ---------------------------------------------------------------------- what is refused


class Custom(Model, abstract=True):
    """A formula of a user."""

    x: SR2 = Input("Input")
    y: SR2 = Output("Output")
    p: Scalar = Parameter("p", "Parameter", default=1.0)


class Branches(Custom):
    """Asks whether a value is positive."""

    def forward(self, x, p):
        return x if (x.data[..., 0] > 0).all() else x * p


class Numbers(Custom):
    """Takes a value as a number of Python."""

    def forward(self, x, p):
        return x * p.data.item()


class UsesNumPy(Custom):
    """Computes with NumPy."""

    def forward(self, x, p):
        return SR2(torch.as_tensor(np.exp(x.data)))


class Picks(Custom):
    """Indexes by a condition."""

    def forward(self, x, p):
        return x * x.data[x.data > 0].sum()


class Writes(Custom):
    """Writes into a tensor."""

    def forward(self, x, p):
        y = x.data.clone()
        y[..., 0] = 0.0
        return SR2(y)


class WritesIntoZeros(Custom):
    """Writes into a tensor of numbers."""

    def forward(self, x, p):
        y = torch.zeros(6, dtype=torch.float64)
        y[0] = x.data[..., 0]
        return SR2(y)


class Collects(Custom):
    """Makes a tensor of values."""

    def forward(self, x, p):
        return SR2(torch.tensor([x.data[..., i] for i in range(6)]))


class Eigenvalues(Custom):
    """Uses a function that has no scalar form."""

    def forward(self, x, p):
        return x * Scalar(torch.linalg.eigvalsh(r2_from_sr2(x).data).sum(-1))


class ReadsItself(Custom):
    """Takes a parameter past its argument."""

    def forward(self, x, p):
        return x * self.p


class Loops(Custom):
    """Repeats until a value is small."""

    def forward(self, x, p):
        while norm(x).data > 1.0:
            x = x / 2.0
        return x


class Forgets(Custom):
    """Has a mistake of its own."""

    def forward(self, x, p):
        return x * {}["missing"]


class Wrong(Custom):
    """Returns something else."""

    def forward(self, x, p):
        return p


class Batched(Custom):
    """Makes a batch."""

    def forward(self, x, p):
        return x * Scalar(torch.ones(4, dtype=torch.float64))


class Undeclared(Custom):
    """Holds a parameter that is not declared."""

    def setup(self) -> None:
        self.weights = torch.nn.Linear(1, 1)

    def forward(self, x, p):
        return x


REFUSED = {
    Branches: "Branches 'mine' uses a Python branch on a value; use where",
    Numbers: "Numbers 'mine' uses a value as a Python number, as by .item",
    UsesNumPy: r"UsesNumPy 'mine' uses numpy\.exp; use the functions of neml2 or torch",
    Picks: "Picks 'mine' uses an index that depends on values; use where",
    Writes: "Writes 'mine' uses a write into a tensor; make a new one",
    WritesIntoZeros: "WritesIntoZeros 'mine' uses a write into a tensor",
    Collects: "Collects 'mine' uses a value as a Python number",
    Eigenvalues: r"Eigenvalues 'mine' uses torch\.linalg_eigvalsh, which has no scalar form here",
    ReadsItself: "ReadsItself 'mine' uses a parameter of its own; take it as an argument of forward",
    Loops: "Loops 'mine' uses a Python branch on a value; use where",
    Forgets: "Forgets 'mine' cannot be traced at one point: it has no value for 'missing'",
    Wrong: "Wrong 'mine' cannot be traced at one point: Wrong 'mine'.forward returned a Scalar for 'y'",
    Batched: r"Batched 'mine' gives 'y' the batch \(4,\) at one point",
    Undeclared: "Undeclared 'mine' has 'weights.weight', which is not declared",
}


@pytest.mark.parametrize("kind", REFUSED, ids=lambda k: k.__name__)
def test_models_that_cannot_be_traced(kind: type[Model]) -> None:
    with pytest.raises(Unsupported, match=REFUSED[kind]) as refused:
        lower(StateUpdate(kind(name="mine")))
    assert "\n" not in str(refused.value)


def test_one_implicit_update_inside_another() -> None:
    inner = spring()
    outer = ComposedModel(models=[inner, Spring(x="y", f="x", r="y_residual", k=1.0)], name="outer")
    update = ImplicitUpdate(NonlinearSystem(outer, "y"), name="around")
    with pytest.raises(
        Unsupported, match="ImplicitUpdate 'update' is inside the residual of ImplicitUpdate 'around'"
    ):
        lower(StateUpdate(update))
    with pytest.raises(Unsupported, match="is inside the residual ComposedModel 'outer'"):
        lower_residual(update.equation_system)


def test_a_derivative_of_an_implicit_update() -> None:
    model = Normality(model=spring(), function="x", **{"from": ["f"], "to": ["slope"]}, name="slope")
    with pytest.raises(Unsupported, match="is inside Normality 'slope'"):
        lower(StateUpdate(model))


def test_sites_that_do_not_fit() -> None:
    model = ComposedModel(models=[Shares(w=sites(0.2, 0.3, 0.5)), creep()], name="all")
    with pytest.raises(
        Unsupported, match="Creep 'creep' cannot be traced at one point: Axis 0 is out of range"
    ):
        lower(StateUpdate(model))
    with pytest.raises(
        Unsupported, match=r"Creep 'creep' uses torch\.add with arguments .* shapes \(3,6\) \(2,6\)"
    ):
        lower(StateUpdate(model), {"x": (2,)})
    wide = ImplicitUpdate(NonlinearSystem(Spring(k=sites(1.0, 2.0), name="spring"), "x"), name="wide")
    with pytest.raises(
        Unsupported, match=r"'x_residual' with sub-batch \(2,\), but its unknown 'x' has \(\)"
    ):
        lower(StateUpdate(wide))
    rate = ForwardEulerTimeIntegration[Scalar](variable="s", rate="rate", name="go")
    with pytest.raises(Unsupported, match=r"'s' of shape \(3,\) from an old one of shape \(\)"):
        lower(StateUpdate(rate), {"rate": (3,)})
    assert lower(StateUpdate(rate), {"rate": (3,), "s": (3,)}).outputs["s"].shape == (3,)


def test_what_is_too_large_to_unroll() -> None:
    model = ComposedModel(models=[Shares(w=0.3, name="shares"), creep_of(67)], name="all")
    with pytest.raises(Unsupported, match="'solve' has 402 unknowns at each point, more than 400, as sub-b"):
        lower(StateUpdate(model), {"x": (67,)})
    with pytest.raises(Unsupported, match="'size' brings the step to .* scalar operations, more than 10000,"):
        lower(StateUpdate(Size(name="size")), {"x": (1001,)})
    with pytest.raises(Unsupported, match=r"'x' has the sub-batch \(1000, 1000\), too many sites to unroll"):
        lower(StateUpdate(Size(name="size")), {"x": (1000, 1000)})


def creep_of(n: int) -> ImplicitUpdate:
    return ImplicitUpdate(NonlinearSystem(Creep(k=sites(*[1.0] * n), name="creep"), "x"), name="solve")
