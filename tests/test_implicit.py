import copy
import itertools
import pickle
import threading

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from neml2 import ConvergenceError
from neml2.composed import ComposedModel
from neml2.context import Context
from neml2.es import ModelNonlinearSystem
from neml2.fields import Input, Output, Parameter
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.predictors import ConstantExtrapolationPredictor
from neml2.solvers import (
    GMRES,
    BiCGStab,
    BlockJacobiPreconditioner,
    DenseLU,
    FullPreconditioner,
    JacobiPreconditioner,
    Newton,
    NewtonWithLineSearch,
    NoPreconditioner,
    SchurComplement,
    Status,
    lu,
)
from neml2.system import NonlinearSystem
from neml2.types import Scalar, Vec, atan, exp
from tests.small_models import F64, Coupled, Sites, Spring, decay, scalar, spring


def root(f: float, k: float) -> float:
    """The real root of k x^3 + x = f, by bisection."""
    low, high = -abs(f) - 1, abs(f) + 1
    for _ in range(200):
        x = (low + high) / 2
        low, high = (x, high) if k * x**3 + x < f else (low, x)
    return x


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


class Square(Model):
    """An explicit model behind the update: ``y = scale x^2``."""

    x: Scalar = Input("x")
    y: Scalar = Output("y")
    scale: Scalar = Parameter("scale", "Factor", default=3.0)

    def forward(self, x, scale):
        return scale * x * x


class Double(Model):
    """An explicit model before the update: ``f = 2 load``."""

    load: Scalar = Input("load")
    f: Scalar = Output("f")

    def forward(self, load):
        return load * 2.0


# -------------------------------------------------------------------------------- values


def test_solution_and_interface():
    update = spring()
    assert list(update.input_spec) == ["x", "f"] and list(update.output_spec) == ["x"]
    assert update.optional_inputs == {"x"}
    (x,) = update(scalar(0.0), scalar(-3.0, 0.0, 5.0))
    for found, f in zip(x.data.tolist(), (-3.0, 0.0, 5.0), strict=True):
        assert abs(found - root(f, 2.0)) < 1e-12
    assert update.last_status == Status.CONVERGED and update.last_iterations > 3
    assert [n for n, _ in update.named_parameters()] == ["spring.k"]


def test_without_a_guess_it_starts_from_zero_or_the_old_value():
    (x,) = spring().call_by_name({"f": 3.0}).values()
    assert float(x.data.detach()) == pytest.approx(1.0, abs=1e-12)
    step = decay()
    given = {"x~1": scalar(1.0), "t": scalar(0.0), "t~1": scalar(0.0), "f": scalar(0.0)}
    assert step.call_by_name(given)["x"].data == 1.0 and step.last_iterations == 0


def test_broadcasting_of_inputs_and_parameters():
    k = torch.tensor([[1.0], [2.0]], dtype=F64)
    (x,) = spring(k=k)(scalar(0.0), scalar(1.0, 2.0, 3.0))
    assert x.data.shape == (2, 3)
    assert float(x.data[1, 2].detach()) == pytest.approx(root(3.0, 2.0), abs=1e-12)


@pytest.mark.parametrize("guess", [-1e3, -1.0, 0.5, 1e4])
def test_the_answer_does_not_depend_on_the_guess(guess):
    (x,) = spring(solver=Newton(max_its=60))(scalar(guess), scalar(3.0))
    assert abs(float(x.data.detach()) - 1.0) < 1e-12


@pytest.mark.parametrize("structure", [(), ("dense",), "DENSE"])
def test_a_system_of_two_types(structure):
    system = NonlinearSystem(Coupled(), "v s", structure=structure)
    update = ImplicitUpdate(system)
    g = Vec(random(4, 3))
    out = update.call_by_name({"g": g})
    residual = system.model.call_by_name({**out, "g": g})
    assert all(float(r.data.detach().abs().max()) < 1e-10 for r in residual.values())


# -------------------------------------------------------------------------------- linear solvers and groups

KRYLOV = [
    method(preconditioner=preconditioner, rel_tol=1e-9, cache_strategy=strategy)
    for method, preconditioner, strategy in itertools.product(
        (GMRES, BiCGStab),
        (NoPreconditioner(), JacobiPreconditioner(), BlockJacobiPreconditioner(), FullPreconditioner()),
        ("none", "chord", "max_its"),
    )
]


@pytest.mark.parametrize(
    "linear", KRYLOV, ids=lambda s: f"{type(s).__name__}-{type(s.preconditioner).__name__}-{s.cache_strategy}"
)
def test_krylov_equals_lu(linear):
    g = random(4, 3).requires_grad_()
    answers = []
    for solver in (Newton(), Newton(linear_solver=linear)):
        update = ImplicitUpdate(NonlinearSystem(Coupled(), "v s"), solver=solver)
        out = update.call_by_name({"g": Vec(g)})
        (slope,) = torch.autograd.grad(out["v"].data.sum() + out["s"].data.sum(), g)
        answers.append((out["v"].data, out["s"].data, slope))
    for exact, found in zip(*answers, strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-10)


def sites_update(unknowns, structure, solver):
    return ImplicitUpdate(
        NonlinearSystem(Sites(), unknowns, structure=structure), solver=Newton(linear_solver=solver)
    )


ARRANGEMENTS = [
    ("x v; y", "dense dense", SchurComplement()),
    ("x v; y", "block dense", SchurComplement()),
    ("x v; y", "block dense", SchurComplement(residual_primary_group=1, unknown_primary_group=1)),
    ("y; x v", "dense block", SchurComplement()),
    ("y; x v", "dense block", SchurComplement(residual_primary_group=1, unknown_primary_group=1)),
    ("x v; y", "block dense", GMRES(rel_tol=1e-10)),
]


@pytest.mark.parametrize(("unknowns", "structure", "solver"), ARRANGEMENTS)
@pytest.mark.parametrize("sites", [(4,), (2, 3), (1,)])
def test_groups_and_structures_give_the_same_answer(unknowns, structure, solver, sites):
    def answer(update):
        f = random(3, *sites).requires_grad_()
        guess = {
            "x": Scalar(torch.zeros(sites, dtype=F64), len(sites)),
            "v": Vec(torch.zeros(*sites, 3, dtype=F64), len(sites)),
        }
        out = update.call_by_name({**guess, "f": Scalar(f, len(sites))})
        assert out["x"].sub_batch_shape == sites and out["v"].data.shape == (3, *sites, 3)
        total = (out["x"].data ** 2).sum() + (out["v"].data * random(3)).sum() + out["y"].data.sum()
        slopes = torch.autograd.grad(total, [f, update.equation_system.model.e.data])
        return [*(out[n].data for n in "xvy"), *slopes]

    reference = answer(ImplicitUpdate(NonlinearSystem(Sites(), "x v y")))
    for found, exact in zip(answer(sites_update(unknowns, structure, solver)), reference, strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-9)


def test_sites_that_the_unknown_does_not_have():
    update = ImplicitUpdate(NonlinearSystem(Spring(k=1.0), "x"))
    with pytest.raises(
        ValueError, match=r"'x_residual' has the sub-batch \(4,\), but its unknown 'x' has \(\)"
    ):
        update(Scalar(0.0), Scalar(random(2, 4), 1))


def test_sub_batches_by_second_derivatives():
    update = sites_update("x v; y", "block dense", SchurComplement())
    zero = {"x": Scalar(torch.zeros(2, dtype=F64), 1), "v": Vec(torch.zeros(2, 3, dtype=F64), 1)}

    def function(f):
        out = update.call_by_name({**zero, "f": Scalar(f, 1)})
        return out["x"].data, out["y"].data

    f = random(2, 2).requires_grad_()
    assert gradcheck(function, [f])
    assert gradgradcheck(function, [f])


# -------------------------------------------------------------------------------- batches


class Exponential(Model):
    """Residual that overflows for large loads: ``exp(x) + x = f``."""

    x: Scalar = Input("x")
    f: Scalar = Input("f")
    r: Scalar = Output("r", option="x_residual")

    def forward(self, x, f):
        return exp(x) + x - f


@pytest.mark.parametrize("solver", [Newton(), NewtonWithLineSearch()])
def test_a_point_is_bit_identical_alone_and_among_failures(solver):
    update = ImplicitUpdate(NonlinearSystem(Exponential(), "x"), solver=solver)
    f = torch.cat(
        [torch.linspace(-30, 30, 37, dtype=F64), torch.tensor([1e300, torch.nan, 1e308], dtype=F64)]
    )
    f.requires_grad_()
    solves = []
    out = update.evaluate({"f": Scalar(f)}, Context(solves=solves))["x"].data
    converged = solves[0].converged
    assert 30 < int(converged.sum()) < 40
    (slope,) = torch.autograd.grad(out[converged].sum(), f)
    assert bool(slope.isfinite().all()) and slope[~converged].abs().max() == 0
    for i in converged.nonzero().flatten().tolist():
        g = f[i].detach().requires_grad_()
        (alone,) = update.evaluate({"f": Scalar(g)}, Context(solves=[])).values()
        assert torch.equal(alone.data, out[i])
        assert torch.equal(torch.autograd.grad(alone.data, g)[0], slope[i])


def test_failure_raises_and_says_where():
    update = ImplicitUpdate(NonlinearSystem(Spring(k=1.0), "x"), solver=Newton(max_its=3), name="update")
    with pytest.raises(ConvergenceError) as caught:
        update(scalar(0.0), scalar(1.0, 1e5, 0.0))
    message = str(caught.value)
    assert "ImplicitUpdate 'update': Newton did not converge for 2 of 3 points" in message
    assert "in x_residual" in message and "max_substepping_level" in message
    assert caught.value.solution.converged.tolist() == [False, False, True]
    assert update.last_status == Status.MAX_ITERATIONS


def test_failed_points_keep_their_guess_and_have_no_gradient():
    update = spring(solver=Newton(max_its=9))
    f = scalar(1.0, torch.nan, 1e9, grad=True)
    solves = []
    (x,) = update.evaluate({"x": scalar(0.0, 7.0, 8.0), "f": f}, Context(solves=solves)).values()
    assert solves[0].status.tolist() == [Status.CONVERGED, Status.NOT_FINITE, Status.MAX_ITERATIONS]
    assert x.data.tolist()[1:] == [7.0, 8.0]
    k = update.spring.k.data
    slope, of_k = torch.autograd.grad((x.data * random(3)).sum(), [f.data, k])
    assert bool(slope.isfinite().all()) and bool(of_k.isfinite())
    assert slope.tolist()[1:] == [0.0, 0.0]


def test_no_point_converged():
    update = spring(solver=Newton(max_its=1))
    f = scalar(1e9, 1e8, grad=True)
    (x,) = update.evaluate({"f": f}, Context(solves=[])).values()
    (slope,) = torch.autograd.grad(x.data.sum(), f.data)
    assert slope.tolist() == [0.0, 0.0]
    single = scalar(1e9, grad=True)
    (x,) = update.evaluate({"f": single}, Context(solves=[])).values()
    assert torch.autograd.grad(x.data, single.data)[0] == 0


# -------------------------------------------------------------------------------- gradients


def as_function(update, names):
    """The solution as a function of raw tensors: inputs, and parameters by their qualified names."""

    def function(*tensors):
        given = dict(zip(names, tensors, strict=True))
        parameters = {update.get_parameter(n): t for n, t in given.items() if "." in n}
        values = {n: update.input_spec[n](t) for n, t in given.items() if "." not in n}
        outputs = update.evaluate(values, Context(parameters=parameters))
        return tuple(v.data for v in outputs.values())

    return function


def test_gradients_of_givens_old_state_and_parameters():
    update = decay()
    names = ["x~1", "t", "t~1", "f", "decay.c"]
    point = [
        random(3),
        torch.tensor([1.0, 2.0, 0.5], dtype=F64),
        random(3).abs() * 0.1,
        random(3),
        scalar(1.3).data,
    ]
    point = [p.requires_grad_() for p in point]
    assert gradcheck(as_function(update, names), point)
    assert gradgradcheck(as_function(update, names), point)


def test_gradients_of_batched_parameters_and_broadcast_inputs():
    update = spring(k=torch.ones(2, 1, dtype=F64))
    names = ["f", "spring.k"]
    point = [random(3).requires_grad_(), (random(2, 1).abs() + 0.5).requires_grad_()]
    assert gradcheck(as_function(update, names), point)
    assert gradgradcheck(as_function(update, names), point)
    point = [random(1).requires_grad_(), (random(2, 1).abs() + 0.5).requires_grad_()]
    assert gradcheck(as_function(update, names), point)


def test_gradients_of_several_types():
    update = ImplicitUpdate(NonlinearSystem(Coupled(name="coupled"), "v s"))
    names = ["g", "coupled.a", "coupled.w"]
    point = [random(2, 3), scalar(0.3).data, random(3)]
    point = [p.requires_grad_() for p in point]
    assert gradcheck(as_function(update, names), point)
    assert gradgradcheck(as_function(update, names), point)


def test_gradients_of_a_shared_parameter():
    """One parameter in the residual and in a model that follows."""
    update = spring()
    after = Square(name="after")
    after.scale = update.spring.k.data
    model = ComposedModel([update, after], additional_outputs=["x"], name="all")
    assert [n for n, _ in model.named_parameters()] == ["update.spring.k"]
    k = model.update.spring.k.data
    out = model.call_by_name({"f": 3.0})
    out["y"].data.backward()
    x, slope = 1.0, -1.0 / 7.0  # k x^3 + x = 3 at k = 2: x = 1, dx/dk = -x^3 / (3 k x^2 + 1)
    assert float(k.grad) == pytest.approx(x * x + 2 * 2 * x * slope, rel=1e-12)


def test_higher_derivatives():
    """At x + x^3 = f: x'(0) = 1, x''(0) = 0, x'''(0) = -6."""
    update = spring(k=1.0)
    f = scalar(0.0, grad=True).data
    (x,) = update(scalar(0.1), Scalar(f))
    derivatives = [x.data]
    for _ in range(3):
        derivatives += torch.autograd.grad(derivatives[-1], f, create_graph=True)
    assert [round(float(d.detach()), 10) for d in derivatives] == [0.0, 1.0, 0.0, -6.0]


def test_initial_guesses_have_no_derivative():
    guess, f = scalar(0.5, grad=True), scalar(3.0, grad=True)
    (x,) = spring()(guess, f)
    assert torch.autograd.grad(x.data, guess.data, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(x.data, f.data)[0] == pytest.approx(1 / 7)


@pytest.mark.parametrize("guess", [0.0, 0.999, 50.0])
def test_backward_is_one_factorisation_whatever_the_number_of_iterations(guess, monkeypatch):
    counted = {"factor": 0, "solve": 0}

    def counting(name, function):
        def wrapped(*args):
            counted[name] += 1
            return function(*args)

        return wrapped

    update = spring()
    f = scalar(3.0, 4.0, grad=True)
    (x,) = update(scalar(guess), f)
    iterations = update.last_iterations
    from neml2.solvers import direct

    monkeypatch.setattr(direct, "lu", counting("factor", direct.lu))
    monkeypatch.setattr(lu.LU, "_apply", counting("solve", lu.LU._apply))
    x.data.sum().backward()
    assert counted == {"factor": 1, "solve": 2}  # the second for the digits that the first has lost
    assert iterations > 3 and f.data.grad.isfinite().all()


@pytest.mark.parametrize("option", ["input_sensitivity_solver", "param_sensitivity_solver"])
def test_sensitivity_solvers(option):
    update = ImplicitUpdate(NonlinearSystem(Coupled(), "v s"), **{option: GMRES(rel_tol=1e-12)})
    plain = ImplicitUpdate(NonlinearSystem(Coupled(), "v s"))
    slopes = []
    for model in (update, plain):
        g = random(4, 3).requires_grad_()
        out = model.call_by_name({"g": Vec(g)})
        slopes += torch.autograd.grad(out["v"].data.sum() + out["s"].data.sum(), g)
    torch.testing.assert_close(*slopes)
    _, blocks = update.jacobian({"g": Vec(random(4, 3))})
    _, exact = plain.jacobian({"g": Vec(random(4, 3))})
    torch.testing.assert_close(blocks["v"]["g"].data, exact["v"]["g"].data)


def composition():
    update = spring(k=torch.tensor([2.0, 1.0, 0.5], dtype=F64))
    return ComposedModel([Square(name="square"), update, Double(name="double")], additional_outputs=["x"])


def test_jacobian_inside_a_composition():
    model = composition()
    load = scalar(1.5, -2.0, 4.0)
    outputs, blocks = model.jacobian({"load": load})
    x, k = outputs["x"].data, model.update.spring.k.data.detach()
    slope = 2 / (3 * k * x * x + 1)
    torch.testing.assert_close(blocks["x"]["load"].data, slope)
    torch.testing.assert_close(blocks["y"]["load"].data, 6 * x * slope)
    _, tangents = model.jvp({"load": load}, {"load": torch.tensor([1.0, 0.5, 2.0], dtype=F64)})
    torch.testing.assert_close(tangents["y"].data, 6 * x * slope * torch.tensor([1.0, 0.5, 2.0], dtype=F64))


def test_parameter_derivatives_inside_a_composition():
    model = composition()
    load = scalar(1.5, -2.0, 4.0)
    outputs, blocks = model.param_jacobian({"load": load})
    with torch.no_grad():
        x = model.call_by_name({"load": load})["x"].data
    k = model.update.spring.k.data.detach()
    slope = -(x**3) / (3 * k * x * x + 1)
    torch.testing.assert_close(blocks["x"]["update.spring.k"], slope)
    torch.testing.assert_close(blocks["y"]["update.spring.k"], 6 * x * slope)
    torch.testing.assert_close(blocks["y"]["square.scale"], x * x)
    weight = random(3)
    gradient = model.param_vjp({"load": load}, {"y": weight}, ["update.spring.k"])
    torch.testing.assert_close(gradient["update.spring.k"], weight * 6 * x * slope)
    assert not outputs["x"].requires_grad


def test_a_jacobian_can_be_part_of_a_larger_graph():
    """Derivatives of several types, with vmap going through the solve and its sensitivities."""
    update = ImplicitUpdate(NonlinearSystem(Coupled(), "v s"))
    g = random(5, 3)
    _, blocks = update.jacobian({"g": Vec(g)})
    for i in range(5):
        _, alone = update.jacobian({"g": Vec(g[i])})
        assert torch.equal(alone["v"]["g"].data, blocks["v"]["g"].data[i])
    step = 1e-6
    for j in range(3):
        moved = g.clone()
        moved[:, j] += step
        difference = (
            update.call_by_name({"g": Vec(moved)})["s"].data - update.call_by_name({"g": Vec(g)})["s"].data
        )
        torch.testing.assert_close(
            blocks["s"]["g"].data[..., j], (difference / step).detach(), rtol=1e-4, atol=1e-5
        )


def test_an_update_inside_an_update():
    """The residual of the outer system contains the solution of the inner one."""

    class Split(Model):
        z: Scalar = Input("z")
        f: Scalar = Output("f")

        def forward(self, z):
            return z * 1.0

    class Balance(Model):
        z: Scalar = Input("z")
        x: Scalar = Input("x")
        load: Scalar = Input("load")
        r: Scalar = Output("r", option="z_residual")

        def forward(self, z, x, load):
            return z + x - load

    residual = ComposedModel([Split(), spring(), Balance()], name="residual")
    outer = ImplicitUpdate(NonlinearSystem(residual, "z"), name="outer")
    load = scalar(4.0, 1.0, grad=True)
    (z,) = outer.call_by_name({"load": load}).values()
    assert float(z.data[0].detach()) == pytest.approx(3.0, abs=1e-10)  # x = 1
    slope = torch.autograd.grad(z.data.sum(), load.data, create_graph=True)[0]
    assert slope[0].item() == pytest.approx(1 / (1 + 1 / 7), rel=1e-9)
    assert gradcheck(lambda l: outer.call_by_name({"load": Scalar(l)})["z"].data, [load.data])
    _, blocks = outer.jacobian({"load": load.detach()})
    torch.testing.assert_close(blocks["z"]["load"].data, slope.detach())


def test_without_gradients():
    with torch.no_grad():
        (x,) = spring()(scalar(0.0), scalar(3.0, grad=True))
    assert not x.data.requires_grad
    update = spring().requires_grad_(False)
    (x,) = update(scalar(0.0), scalar(3.0))
    assert not x.data.requires_grad and x.data.item() == pytest.approx(1.0)


# -------------------------------------------------------------------------------- predictors


def test_a_predictor_supplies_the_guess():
    predictor = ConstantExtrapolationPredictor(unknowns_Scalar=["x"], name="predictor")
    update = decay(predictor=predictor)
    assert list(update.input_spec) == ["x~1", "t", "t~1", "f"]
    given = {"x~1": scalar(2.0), "t": scalar(1.0), "t~1": scalar(1.0), "f": scalar(0.0)}
    assert float(update.call_by_name(given)["x"].data.detach()) == 2.0
    assert update.last_iterations == 0


class Guess(Model):
    """A guess that counts how often it is asked."""

    hint: Scalar = Input("hint")
    x: Scalar = Output("x")

    def forward(self, hint):
        return hint * 1.0


def test_inputs_of_the_predictor_come_last():
    update = spring(predictor=Guess(name="guess"))
    assert list(update.input_spec) == ["f", "hint"] and update.optional_inputs == frozenset()
    with pytest.raises(KeyError, match="needs the input 'hint'"):
        update.call_by_name({"f": 3.0})  # it may be misspelt
    assert update.call_by_name({"f": 3.0, "hint": 0.0})["x"].data.detach() == pytest.approx(1.0)
    assert [n for n, _ in update.named_children()] == ["spring", "predictor"]
    x, f = scalar(1.0, grad=True), scalar(3.0, grad=True)
    out = update.call_by_name({"f": f, "hint": x})["x"]
    assert update.last_iterations == 0
    assert torch.autograd.grad(out.data, x.data, allow_unused=True) == (None,)


def test_wrong_predictors():
    class Wrong(Model):
        hint: Scalar = Input("hint")
        xx: Scalar = Output("xx")

        def forward(self, hint):
            return hint

    class Typed(Model):
        hint: Vec = Input("hint")
        x: Vec = Output("x")

        def forward(self, hint):
            return hint

    with pytest.raises(ValueError, match="computes 'xx', which is no unknown"):
        spring(predictor=Wrong())
    with pytest.raises(ValueError, match="computes 'x' as Vec, the unknown is Scalar"):
        spring(predictor=Typed())


# -------------------------------------------------------------------------------- substeps


class Rush(Model):
    """One implicit step of ``x' = f - c x``, with a residual that Newton can only solve for small steps."""

    x: Scalar = Input("State")
    x_n: Scalar = Input("Old state", of="x", suffix="~1")
    t: Scalar = Input("Time", default="t")
    t_n: Scalar = Input("Old time", of="t", suffix="~1")
    f: Scalar = Input("Supply")
    r: Scalar = Output("Residual", of="x", suffix="_residual")
    c: Scalar = Parameter("c", "Coefficient of decay", default=0.0)

    def forward(self, x, x_n, t, t_n, f, c):
        return atan(x - x_n - (t - t_n) * (f - c * x))


def steps(x, dt, f, c, pieces):
    """The same by hand, in equal pieces."""
    for _ in range(pieces):
        x = (x + dt / pieces * f) / (1 + dt / pieces * c)
    return x


def rush(c=0.0, **options):
    return ImplicitUpdate(NonlinearSystem(Rush(c=c, name="rush"), "x"), name="update", **options)


def whole_step(x, t, f, grad=False):
    values = {"x~1": x, "t": t, "t~1": [0.0] * len(t), "f": [f] * len(t)}
    return {n: scalar(*v, grad=grad) for n, v in values.items()}


def test_substeps_converge_where_the_whole_step_fails():
    given = whole_step([0.0, 1.0, 0.0], [0.5, 8.0, 5.0], 1.0, grad=True)
    with pytest.raises(ConvergenceError):
        rush().call_by_name(given)
    update = rush(max_substepping_level=4)
    out = update.call_by_name(given)["x"].data
    torch.testing.assert_close(out, torch.tensor([0.5, 9.0, 5.0], dtype=F64))
    assert update.last_status == Status.CONVERGED
    slopes = torch.autograd.grad(out.sum(), [given["x~1"].data, given["t"].data])
    for slope in slopes:
        torch.testing.assert_close(slope, torch.ones(3, dtype=F64))


def test_substeps_bisect():
    """Newton solves atan from at most 1.39 away: the second point takes two quarters, then a half."""
    given = whole_step([0.0, 0.0], [1.0, 4.0], 1.0)
    out = rush(c=0.5, max_substepping_level=4).call_by_name(given)["x"].data
    assert out[0].item() == pytest.approx(steps(0.0, 1.0, 1.0, 0.5, 1), rel=1e-12)
    assert out[1].item() == pytest.approx(steps(steps(0.0, 2.0, 1.0, 0.5, 2), 2.0, 1.0, 0.5, 1), rel=1e-12)


def test_substeps_are_the_same_alone_and_only_for_the_points_that_fail():
    given = whole_step([0.0, 1.0, 0.0], [0.5, 8.0, 5.0], 1.0)
    together = rush(c=0.1, max_substepping_level=4).call_by_name(given)["x"].data
    for i in range(3):
        alone = {n: Scalar(v.data[i]) for n, v in given.items()}
        assert torch.equal(rush(c=0.1, max_substepping_level=4).call_by_name(alone)["x"].data, together[i])
    plain = {n: Scalar(v.data[:1]) for n, v in given.items()}
    assert torch.equal(rush(c=0.1).call_by_name(plain)["x"].data, together[:1])


def test_not_enough_substeps():
    given = whole_step([0.0], [50.0], 1.0)
    with pytest.raises(ConvergenceError):
        rush(max_substepping_level=2).call_by_name(given)


def test_gradients_through_substeps():
    names = ["x~1", "t", "t~1", "f", "rush.c"]
    point = [v.data for v in whole_step([0.3, 0.1], [0.5, 4.3], 1.0).values()] + [scalar(0.2).data]
    point = [p.requires_grad_() for p in point]
    with pytest.raises(ConvergenceError):
        as_function(rush(), names)(*point)
    update = rush(max_substepping_level=4)
    assert gradcheck(as_function(update, names), point)
    assert gradgradcheck(as_function(update, names), point)


def test_substeps_of_batched_parameters():
    c = torch.tensor([0.1, 0.2], dtype=F64)
    names = ["x~1", "t", "t~1", "f", "rush.c"]
    point = [v.data.requires_grad_() for v in whole_step([0.3, 0.1], [0.5, 4.3], 1.0).values()]
    assert gradcheck(as_function(rush(c=c, max_substepping_level=4), names), [*point, c.requires_grad_()])


def test_incremental_variables():
    update = rush(max_substepping_level=1)
    assert "f~1" not in update.input_spec
    more = spring(incremental_variables=["f"])
    assert list(more.input_spec) == ["x", "f", "f~1"]
    with pytest.raises(ValueError, match="incremental variable 'g' is no given of the system"):
        spring(incremental_variables=["g"])


# -------------------------------------------------------------------------------- objects


def test_copies_and_pickles_are_independent():
    update = spring()
    update(scalar(0.0), scalar(3.0))
    for twin in (copy.deepcopy(update), pickle.loads(pickle.dumps(update))):
        assert [n for n, _ in twin.named_parameters()] == ["spring.k"]
        twin.set_parameter("spring.k", 1.0)
        assert twin.equation_system.model is twin.spring
        assert twin(scalar(0.0), scalar(2.0))[0].data.item() == pytest.approx(1.0)
        assert update(scalar(0.0), scalar(3.0))[0].data.item() == pytest.approx(1.0)


def test_state_dict():
    update, other = spring(), spring(k=5.0)
    other.load_state_dict(update.state_dict())
    assert other(scalar(0.0), scalar(3.0))[0].data.item() == pytest.approx(1.0)


def test_two_threads_share_one_model():
    model = composition()
    loads = [scalar(1.5, -2.0, 4.0), scalar(0.1, 5.0, -3.0)]
    expected = [model.jacobian({"load": load}) for load in loads]
    wrong = []

    def work(i):
        for _ in range(10):
            outputs, blocks = model.jacobian({"load": loads[i]})
            outputs2, grads = model.param_jacobian({"load": loads[i]})
            if not (
                torch.equal(outputs["y"].data, expected[i][0]["y"].data)
                and torch.equal(outputs2["y"].data, expected[i][0]["y"].data)
                and torch.equal(blocks["y"]["load"].data, expected[i][1]["y"]["load"].data)
            ):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_single_precision():
    update = spring().to(torch.float32)
    (x,) = update(Scalar(torch.zeros(50)), Scalar(torch.linspace(-9.0, 900.0, 50)))
    assert x.data.dtype == torch.float32
    (exact,) = spring()(scalar(0.0), Scalar(torch.linspace(-9.0, 900.0, 50).double()))
    torch.testing.assert_close(x.data.double(), exact.data, rtol=1e-6, atol=1e-6)


def test_options_of_the_wrong_kind():
    system = NonlinearSystem(Spring(k=1.0), "x")
    with pytest.raises(TypeError, match="solver is of type DenseLU; it takes Newton, NewtonWithLineSearch"):
        ImplicitUpdate(system, solver=DenseLU())
    with pytest.raises(TypeError, match="input_sensitivity_solver is of type Newton; it takes BiCGStab"):
        ImplicitUpdate(system, input_sensitivity_solver=Newton())
    with pytest.raises(TypeError, match="equation_system is of type Spring; it takes NonlinearSystem"):
        ImplicitUpdate(Spring(k=1.0))
    with pytest.raises(TypeError, match="model is of type Newton; it takes a model"):
        NonlinearSystem(Newton(), "x")
    with pytest.raises(TypeError, match="models is the class Spring; it takes a model"):
        ComposedModel([Spring])


def test_a_system_with_a_state_will_do():
    (x,) = ImplicitUpdate(ModelNonlinearSystem(Spring(k=1.0), "x"))(scalar(0.0), scalar(10.0))
    torch.testing.assert_close(x.data, torch.tensor(2.0, dtype=F64))


def test_looks():
    text = repr(spring())
    assert text.splitlines()[0] == "ImplicitUpdate 'update'"
    assert "inputs:     x (Scalar), f (Scalar)" in text and "parameters: spring.k = 2" in text


def test_unusable_child_names_have_a_fallback():
    system = NonlinearSystem(Spring(k=2.0, name="a b"), "x")
    assert [n for n, _ in ImplicitUpdate(system).named_children()] == ["_residual_model"]
    system = NonlinearSystem(Spring(k=2.0, name="solver"), "x")
    assert [n for n, _ in ImplicitUpdate(system).named_parameters()] == ["_residual_model.k"]
