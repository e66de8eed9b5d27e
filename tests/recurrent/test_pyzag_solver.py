"""Our solver and adjoint: exact gradients of everything, and what users see when something is wrong."""

import warnings

import pytest
import torch

pytest.importorskip("pyzag")

from pyzag import chunktime, nonlinear

from neml2.errors import ConvergenceError
from neml2.pyzag import HistorySolver, solve, solve_adjoint
from neml2.recurrent import GradientError
from neml2.recurrent.residuals import Residuals
from tests.recurrent.problems import PROBLEMS, WAYS, build, expect_gradients, loss_of

VOCE, MIXED = "voce_viscoplastic", "mixed_control_kinematic"
FACTORIZATIONS = {
    "thomas": chunktime.BidiagonalThomasFactorization,
    "pcr": chunktime.BidiagonalPCRFactorization,
    "hybrid": chunktime.BidiagonalHybridFactorization(2),
}


def tight(model, block_size=5, method="thomas", **options):
    options.setdefault("nonlinear_solver", chunktime.ChunkNewtonRaphsonLineSearch(rtol=1e-14, atol=1e-11))
    options.setdefault("step_generator", nonlinear.StepGenerator(block_size))
    return HistorySolver(model, direct_solve_operator=FACTORIZATIONS[method], **options)


def central(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


@pytest.fixture(params=["eager", "native"])
def engine(request):
    return request.param


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize(("engine", "block_size", "method"), WAYS)
def test_losses_and_gradients_are_those_of_the_reference(name, engine, block_size, method):
    model, forces, initial = build(name, engine=engine)
    initial.requires_grad_(True)
    found = solve_adjoint(tight(model, block_size, method), initial, len(forces), forces)
    loss = loss_of(name, found)
    assert loss.item() == pytest.approx(PROBLEMS[name]["loss"]["value"], rel=1e-8)
    loss.backward()
    expect_gradients(name, model, initial)


@pytest.mark.parametrize("name", PROBLEMS)
def test_gradients_are_central_differences(name):
    model, forces, initial = build(name)
    n, solver = len(forces), tight(model, 20)
    torch.manual_seed(0)
    weights = torch.randn(n, *initial.shape, dtype=initial.dtype)
    size = solve(solver, initial, n, forces).detach().abs().amax((0, 1)) + 1e-3
    towards = {"initial": 1e-2 * size * torch.randn_like(initial), "forces": 1e-3 * forces.abs()}
    towards["forces"] = towards["forces"] * torch.rand_like(forces)
    given = {"initial": initial, "forces": forces}

    def loss(**changed):
        now = {**given, **changed}
        y = solve_adjoint(solver, now["initial"], n, now["forces"])
        return (y / size * weights).sum()

    for key, direction in towards.items():
        leaf = given[key].clone().requires_grad_(True)
        (exact,) = torch.autograd.grad(loss(**{key: leaf}), leaf)
        with torch.no_grad():
            slope = central(lambda s, k=key, d=direction: loss(**{k: given[k] + s * d}), 0.0, 1e-4).item()
        assert (exact * direction).sum().item() == pytest.approx(slope, rel=2e-6, abs=1e-8), key
    loss().backward()
    for parameter, p in model.named_parameters():
        exact, value = p.grad.item(), p.item()

        def at(v, p=p):
            with torch.no_grad():
                p.fill_(v)
                return loss().item()

        assert exact == pytest.approx(central(at, value, 1e-5 * value), rel=1e-6, abs=1e-9), parameter
        at(value)


def test_every_parameter_has_its_gradient_whatever_the_blocks():
    model, forces, initial = build(MIXED, include_parameters=None)

    def loss(block_size=20):
        y = solve_adjoint(tight(model, block_size), initial, len(forces), forces)
        return (y[..., 0] ** 2).mean()

    every = list(model.parameters())
    expected, *others = (torch.stack(torch.autograd.grad(loss(b), every)) for b in (20, 1, 2, 4))
    for found in others:
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    for (name, p), exact in zip(model.named_parameters(), expected.tolist(), strict=True):
        value = p.item()

        def at(v, p=p):
            with torch.no_grad():
                p.fill_(v)
                return loss().item()

        h, noise = (1e-5 * abs(value), 0.0) if value else (1e-7, 1e-5)  # offsets are zero
        assert exact == pytest.approx(central(at, value, h), rel=1e-5, abs=noise), name
        at(value)


def test_gradients_equal_those_through_the_iterations(engine):
    name = MIXED if engine == "eager" else "arrhenius_conversion"  # whose kernel is small
    model, forces, initial = build(name, engine=engine)
    initial.requires_grad_(True)
    forces.requires_grad_(True)
    every = [*model.parameters(), initial, forces]
    found = []
    for way in (solve, solve_adjoint):
        y = way(tight(model, 4), initial, len(forces), forces)
        found.append(torch.autograd.grad((y**2).mean(), every))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-7 * float(b.abs().max()))


def test_a_history_of_two_times_has_a_gradient():
    model, forces, initial = build(MIXED, engine="eager")
    initial.requires_grad_(True)
    y = solve_adjoint(tight(model), initial, 2, forces[:2])
    assert y.shape == (2, *initial.shape)
    exact = torch.autograd.grad((y[1] ** 2).sum(), [*model.parameters(), initial])
    unrolled = solve(tight(model), initial, 2, forces[:2])
    same = torch.autograd.grad((unrolled[1] ** 2).sum(), [*model.parameters(), initial], allow_unused=True)
    for a, b in zip(exact, same, strict=True):
        torch.testing.assert_close(a, torch.zeros_like(a) if b is None else b, rtol=1e-7, atol=1e-9)


def test_two_histories_may_be_solved_before_one_backward():
    model, forces, initial = build(VOCE)
    n, solver = len(forces), tight(model)

    def gradients(solvers):
        one = solve_adjoint(solvers[0], initial, n, forces)
        two = solve_adjoint(solvers[1], initial, n, 0.5 * forces)
        return torch.autograd.grad(one[-1, :, 0].sum() + two[-1, :, 0].sum(), list(model.parameters()))

    for a, b in zip(gradients([solver, solver]), gradients([tight(model), tight(model)]), strict=True):
        assert torch.equal(a, b)


def test_through_pyzags_function_they_are_refused():
    model, forces, initial = build(VOCE)
    solver = tight(model)
    one = nonlinear.solve_adjoint(solver, initial, len(forces), forces)
    two = nonlinear.solve_adjoint(solver, initial, len(forces), 0.5 * forces)
    with pytest.raises(RuntimeError, match=r"^2 histories were solved .*; use neml2.pyzag.solve_adjoint"):
        (one[-1].sum() + two[-1].sum()).backward()


@pytest.mark.parametrize("name", PROBLEMS)
def test_pyzags_function_takes_our_solver(name):
    model, forces, initial = build(name)
    initial.requires_grad_(True)
    solver = tight(model)
    for _ in range(2):  # one solver, one backward pass after each solve
        model.zero_grad()
        initial.grad = None
        loss_of(name, nonlinear.solve_adjoint(solver, initial, len(forces), forces)).backward()
        expect_gradients(name, model, initial)


def test_our_functions_take_pyzags_solver():
    model, forces, initial = build(MIXED)
    initial.requires_grad_(True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyzag tells that it changes a setting of torch
        solver = nonlinear.RecursiveNonlinearEquationSolver(
            model,
            nonlinear.StepGenerator(6),
            nonlinear.PreviousStepsPredictor(),
            nonlinear_solver=chunktime.ChunkNewtonRaphson(rtol=1e-14, atol=1e-11),
        )
    loss_of(MIXED, solve_adjoint(solver, initial, len(forces), forces)).backward()
    expect_gradients(MIXED, model, initial)


def test_a_parameter_that_was_stepped_before_the_backward_pass_is_refused():
    model, forces, initial = build(VOCE)
    y = solve_adjoint(tight(model), initial, len(forces), forces)
    with torch.no_grad():
        model.iso_R.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_gradient_of_a_gradient_is_refused():
    model, forces, initial = build(VOCE)
    y = solve_adjoint(tight(model), initial, len(forces), forces)
    (g,) = torch.autograd.grad((y**2).mean(), [model.iso_R], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.backward()


# ---------------------------------------------------------------------- what users see


@pytest.fixture(params=["ours", "pyzag"])
def run(request):
    """Solve by our solver or, unchanged, by pyzag's."""

    def solved(model, initial, forces, **options):
        if request.param == "ours":
            return solve_adjoint(tight(model, **options), initial, len(forces), forces)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solver = nonlinear.RecursiveNonlinearEquationSolver(
                model, nonlinear.StepGenerator(5), nonlinear.PreviousStepsPredictor()
            )
            return nonlinear.solve_adjoint(solver, initial, len(forces), forces)

    return solved


def test_a_nan_in_a_force_names_time_specimen_and_variable(run):
    model, forces, initial = build(VOCE)
    forces[7, 1, 2] = torch.nan
    with pytest.raises(
        ValueError, match=r"^the force 'strain' is not finite at .*t = .*, specimen 1; remove"
    ):
        run(model, initial, forces)


def test_our_solver_counts_steps():
    model, forces, initial = build(VOCE)
    forces[7, 1, 2] = torch.nan
    with pytest.raises(ValueError, match=r"'strain' is not finite at step 7 \(t = .*\), specimen 1;"):
        solve(tight(model), initial, len(forces), forces)


def test_a_nan_in_the_initial_state(run):
    model, forces, initial = build(VOCE)
    initial[2, 6] = torch.inf
    message = r"^the initial value of 'equivalent_plastic_strain' is not finite at .*, specimen 2;"
    with pytest.raises(ValueError, match=message):
        run(model, initial, forces)


def test_a_residual_that_is_not_finite_is_no_solution(run):
    model, forces, initial = build(VOCE)
    with torch.no_grad():
        model.visc_eta.data = torch.tensor([130.0, 0.0, 130.0])  # a division by zero, where it yields
    with pytest.raises(
        ConvergenceError,
        match=r"^the history did not converge for 1 of 3 .*specimen 1 \(the residual is not finite, in",
    ):
        run(model, initial, forces)


def test_a_diverging_specimen_is_named():
    model, forces, initial = build(VOCE)
    few = chunktime.ChunkNewtonRaphson(miter=2)
    forces[:, :2] = forces[:1, :2]  # nothing happens to these two
    forces[:, :, 6] = torch.arange(len(forces))[:, None]
    with (
        pytest.warns(UserWarning, match="Implicit solve did not succeed"),
        pytest.raises(ConvergenceError, match=r"for 1 of 3 specimens, at step \d+ \(t = .*\), specimen 2 "),
    ):
        solve(tight(model, nonlinear_solver=few), initial, len(forces), forces)


def test_round_off_is_no_failure():
    model, forces, initial = build(VOCE)
    strict = chunktime.ChunkNewtonRaphson(rtol=1e-30, atol=1e-30, miter=30)
    with pytest.warns(UserWarning, match="Implicit solve did not succeed"):
        y = solve(tight(model, nonlinear_solver=strict), initial, len(forces), forces)
    assert loss_of(VOCE, y).item() == pytest.approx(PROBLEMS[VOCE]["loss"]["value"], rel=1e-12)


def test_a_loss_that_is_not_finite_names_step_and_variable(run):
    model, forces, initial = build(VOCE)
    y = run(model, initial, forces)
    factor = torch.ones_like(y)
    factor[3, 1, 0] = torch.nan
    with pytest.raises(GradientError, match=r"'stress' is not finite at .*t = .*, specimen 1"):
        (factor * y).sum().backward()


def test_a_gradient_that_is_not_finite_names_the_parameter(run, monkeypatch):
    model, forces, initial = build("arrhenius_conversion", engine="eager")
    y = run(model, initial, forces)
    p = model.kT_p0

    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * torch.nan

    plain = Residuals.__call__

    def broken(self, at, given, *more):
        return plain(self, at, {**given, "kT.p0": Broken.apply(given["kT.p0"])}, *more)

    monkeypatch.setattr(Residuals, "__call__", broken)
    with pytest.raises(GradientError, match=r"^the gradient of 'kT_p0' is not finite.*; .* exclude it"):
        y.sum().backward()
    assert p.grad is None


def test_gradients_that_are_all_zero_are_refused():
    model, forces, initial = build(VOCE, include_parameters=["iso_R", "iso_d"])
    y = solve_adjoint(tight(model), initial, len(forces), 1e-6 * forces)  # elastic
    with pytest.raises(GradientError, match=r"^all gradients are zero: .* iso_R, iso_d; load"):
        (y[..., :6] ** 2).sum().backward()


def test_a_perfect_fit_has_gradients_of_zero():
    model, forces, initial = build(VOCE)
    y = solve_adjoint(tight(model), initial, len(forces), forces)
    ((y - y.detach()) ** 2).sum().backward()
    assert all(p.grad.item() == 0.0 for p in model.parameters())


def test_callbacks_that_change_the_solution_have_no_gradient():
    model, forces, initial = build(VOCE)
    seen = []
    looks = tight(model, callbacks=[lambda chunk: seen.append(len(chunk)) or chunk])
    solve_adjoint(looks, initial, len(forces), forces)
    assert seen == [5, 5, 5]
    with pytest.raises(ValueError, match="a callback has changed the solution"):
        solve_adjoint(tight(model, callbacks=[lambda x: 2 * x]), initial, len(forces), forces)


def test_shapes_and_kinds_are_checked():
    model, forces, initial = build(VOCE)
    with pytest.raises(ValueError, match=r"^a force has the shape \(16, 3, 7\), but 9 times"):
        solve(tight(model), initial, 9, forces)
    with pytest.raises(ValueError, match="nothing to solve"):
        solve(tight(model), initial, 1, forces[:1])
    with pytest.raises(TypeError, match=r"^HistorySolver solves a PyzagModel, not a Linear"):
        HistorySolver(torch.nn.Linear(1, 1))


# ---------------------------------------------------------------------- specimens that may fail


def test_failing_specimens_are_nan_and_have_no_part_in_gradients(run, engine, capfd):
    model, forces, initial = build(VOCE, engine=engine, on_failure="nan")
    good = [0, 2]
    whole = run(model, initial[good], forces[:, good])
    torch.nan_to_num(whole).pow(2).sum().backward()
    expected = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    forces[9, 1, 2] = torch.nan
    y = run(model, initial, forces)
    assert torch.equal(y[:, good].isfinite().all(-1), torch.ones(16, 2, dtype=torch.bool))
    torch.testing.assert_close(y[:, good], whole, rtol=1e-9, atol=1e-9)
    assert not bool(y[9:, 1].isfinite().any())
    assert "1 of 3 specimens" in capfd.readouterr().err
    weight = torch.ones(3, dtype=y.dtype)
    weight[1] = 0.0
    (torch.nan_to_num(y) * weight[:, None]).pow(2).sum().backward()
    for n, p in model.named_parameters():
        torch.testing.assert_close(p.grad, expected[n], rtol=1e-6, atol=1e-9)
