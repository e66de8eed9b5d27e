import pytest
import torch

from neml2 import log
from neml2.solvers import GMRES, DenseLU, Newton, NewtonWithLineSearch, SchurComplement, Status
from tests.solvers.problems import stub, vectors

F64 = torch.float64


def cubic(f):
    return lambda u: u * u * u + u - f


def test_known_solution_and_what_is_reported():
    f = torch.tensor([[2.0], [10.0], [-30.0]], dtype=F64)
    problem, guess = stub(cubic(f), torch.zeros_like(f))
    solution = Newton().solve(problem, guess)
    torch.testing.assert_close(solution.value[0], torch.tensor([[1.0], [2.0], [-3.0]], dtype=F64))
    assert solution.succeeded and solution.status.dtype == torch.int8
    assert bool((solution.residual < 1e-10).all())
    assert solution.initial_residual.tolist() == [2.0, 10.0, 30.0]
    assert len(set(solution.iterations.tolist())) > 1  # every point counts for itself
    assert solution.describe() == "Newton converged for all 3 points"


def test_linear_problems_take_one_step():
    f = vectors(4, 2)
    problem, guess = stub(lambda u: 3 * u - f, torch.zeros_like(f))
    assert Newton().solve(problem, guess).iterations.tolist() == [1, 1, 1, 1]


def test_converged_at_the_guess_costs_one_residual():
    f = torch.tensor([[2.0]], dtype=F64)
    problem, guess = stub(cubic(f), torch.ones_like(f))
    solution = Newton().solve(problem, guess)
    assert solution.iterations.tolist() == [0] and solution.succeeded
    assert torch.equal(solution.value[0], guess[0])
    assert problem.calls == ["linearise"]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_max_its_is_the_number_of_steps(limit):
    problem, guess = stub(cubic(torch.tensor([[1000.0]], dtype=F64)), torch.zeros(1, 1, dtype=F64))
    solution = Newton(max_its=limit).solve(problem, guess)
    assert solution.status.tolist() == [Status.MAX_ITERATIONS]
    assert solution.iterations.tolist() == [limit]
    assert "in r, after" in solution.describe() and "too large" in solution.describe()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_residual_that_is_not_finite(bad):
    f = torch.tensor([[2.0], [bad], [10.0]], dtype=F64)
    problem, guess = stub(cubic(f), torch.zeros_like(f))
    solution = Newton().solve(problem, guess)
    assert solution.status.tolist() == [Status.CONVERGED, Status.NOT_FINITE, Status.CONVERGED]
    assert solution.iterations[1] == 0
    assert solution.describe().startswith("Newton did not converge for 1 of 3 points")


def test_becoming_nan_on_the_way():
    problem, guess = stub(lambda u: u.sqrt() - 1e-3, torch.full((1, 1), 1.0, dtype=F64))
    assert Newton().solve(problem, guess).status.tolist() == [Status.NOT_FINITE]


def test_a_singular_jacobian_is_a_status():
    f = torch.tensor([[4.0], [4.0]], dtype=F64)
    problem, guess = stub(lambda u: u * u - f, torch.tensor([[0.0], [1.0]], dtype=F64))
    solution = Newton().solve(problem, guess)
    assert solution.status.tolist() == [Status.SINGULAR, Status.CONVERGED]
    assert "singular" in solution.describe()


def test_no_solution():
    problem, guess = stub(lambda u: u * u + 1.0, torch.full((1, 1), 0.7, dtype=F64))
    solution = Newton().solve(problem, guess)
    assert solution.status.tolist() == [Status.MAX_ITERATIONS]


@pytest.mark.parametrize("solver", [Newton(), NewtonWithLineSearch()])
def test_a_point_is_bit_identical_alone_and_among_failures(solver):
    f = torch.cat([vectors(9, 4) * 10.0 ** torch.arange(-4, 5)[:, None], torch.full((3, 4), torch.nan)])
    f[3] = 1e300  # does not converge in time

    def solve(which):
        target = f[which]
        problem, guess = stub(
            lambda u: u + u * u * u + 0.3 * u.roll(1, -1).sin() - target, torch.zeros_like(target)
        )
        return solver.solve(problem, guess)

    together = solve(slice(None))
    assert 0 < int((~together.converged).sum()) < 12
    for i in range(12):
        alone = solve(i)
        assert alone.status == together.status[i] and alone.iterations == together.iterations[i]
        if alone.succeeded:
            assert torch.equal(alone.value[0], together.value[0][i])
            assert torch.equal(alone.residual, together.residual[i])


def test_converged_points_are_frozen():
    """The first point is at its solution to within the tolerance and must not move by a bit."""
    f = torch.tensor([[2.0 + 1e-11], [1000.0]], dtype=F64)
    problem, guess = stub(cubic(f), torch.ones_like(f))
    solution = Newton().solve(problem, guess)
    assert solution.value[0][0] == 1.0
    assert solution.iterations.tolist()[0] == 0 < solution.iterations.tolist()[1]


@pytest.mark.parametrize("power", [0, 2, 4, 6])
def test_the_answer_does_not_depend_on_the_guess(power):
    """The relative test is easy to pass from afar, and impossible to pass from nearby."""
    f = torch.tensor([[10.0]], dtype=F64)
    for rel_tol in (1e-3, 1e-8):
        problem, guess = stub(cubic(f), torch.full_like(f, 10.0**power))
        solution = Newton(abs_tol=0.0, rel_tol=rel_tol, max_its=100).solve(problem, guess)
        assert solution.succeeded
        assert abs(float(solution.value[0]) - 2.0) < 1e-14


@pytest.mark.parametrize("scale", [1e9, 1e-3])
def test_a_perfect_guess_in_large_units(scale):
    """Its residual is round-off and above abs_tol; no step can reduce it by rel_tol."""
    f = torch.linspace(1.0, 9.0, 50, dtype=F64)[:, None] * scale
    problem, guess = stub(lambda u: 3 * u - f, (f / 3) * (1 + 3e-16))
    solution = Newton().solve(problem, guess)
    assert solution.succeeded and int(solution.iterations.max()) <= 3


def test_equations_in_very_different_units():
    """The first equation is in Pa and linear, the second a strain: solving the first alone is not enough."""

    def function(u):
        stress, strain = u.unbind(-1)
        return torch.stack([stress - 2e11 * (1e-2 - strain), strain - 1e-12 * stress.abs().pow(1.1)], -1)

    problem, guess = stub(function, torch.tensor([[1.0, 0.0], [1e9, 5e-3]], dtype=F64))
    solution = Newton().solve(problem, guess)
    assert solution.succeeded
    exact, start = stub(lambda u: function(u) * torch.tensor([1e-11, 1.0], dtype=F64), solution.value[0])
    correction = Newton(max_its=2).solve(exact, start).value[0] - solution.value[0]
    assert float((correction / solution.value[0]).abs().max()) < 1e-12


def test_single_precision_converges_with_the_default_tolerances():
    f = torch.linspace(0.1, 900.0, 50)[:, None]
    problem, guess = stub(cubic(f), torch.ones_like(f))
    solution = Newton().solve(problem, guess)
    assert solution.succeeded, solution.describe()
    exact, start = stub(cubic(f.double()), torch.ones_like(f).double())
    torch.testing.assert_close(
        solution.value[0].double(), Newton().solve(exact, start).value[0], rtol=1e-6, atol=0
    )


def test_a_stalled_iteration_has_not_converged():
    """Newton's steps jump back and forth between 0 and 1; the residual is large and not reduced."""
    problem, guess = stub(lambda u: u**3 - 2 * u + 2, torch.zeros(1, 1, dtype=F64))
    assert Newton().solve(problem, guess).status.tolist() == [Status.MAX_ITERATIONS]


def test_points_that_run_out_of_steps_while_converging_fast_count():
    f = torch.tensor([[1e6]], dtype=F64)
    problem, guess = stub(lambda u: u * u - f, torch.full((1, 1), 1e6, dtype=F64))
    steps = int(Newton(abs_tol=0.0, rel_tol=1e-9).solve(problem, guess).iterations)
    for limit in range(1, steps):
        solution = Newton(abs_tol=0.0, rel_tol=1e-9, max_its=limit).solve(problem, guess)
        if solution.succeeded:
            torch.testing.assert_close(
                solution.value[0], torch.full((1, 1), 1e3, dtype=F64), rtol=1e-6, atol=0
            )


def test_no_points():
    problem, guess = stub(lambda u: u, torch.zeros(0, 2, dtype=F64))
    solution = Newton().solve(problem, guess)
    assert solution.succeeded and solution.value[0].shape == (0, 2)


def test_single_precision_keeps_its_type():
    problem, guess = stub(cubic(torch.tensor([[2.0]])), torch.zeros(1, 1))
    solution = Newton(abs_tol=1e-5).solve(problem, guess)
    assert solution.succeeded and solution.value[0].dtype == torch.float32


# -------------------------------------------------------------------------------- line search


def steep(u):
    """``atan u``: full Newton steps diverge from |u| > 1.39."""
    return u.atan()


def test_line_search_where_full_steps_diverge():
    problem, guess = stub(steep, torch.full((1, 1), 3.0, dtype=F64))
    assert not Newton().solve(problem, guess).succeeded
    for kind in ("BACKTRACKING", "STRONG_WOLFE"):
        problem, guess = stub(steep, torch.full((1, 1), 3.0, dtype=F64))
        solution = NewtonWithLineSearch(linesearch_type=kind).solve(problem, guess)
        assert solution.succeeded and abs(float(solution.value[0])) < 1e-9


def test_line_search_where_full_steps_become_nan():
    problem, guess = stub(lambda u: u.sqrt() - 1e-3, torch.full((1, 1), 1.0, dtype=F64))
    solution = NewtonWithLineSearch(max_linesearch_iterations=20).solve(problem, guess)
    torch.testing.assert_close(solution.value[0], torch.full((1, 1), 1e-6, dtype=F64))


def test_points_that_accept_the_full_step_take_it():
    f = torch.tensor([[0.5], [3.0]], dtype=F64)
    alone, guess = stub(steep, f[:1])
    expected = Newton(max_its=1).solve(alone, guess).value[0][0]
    problem, guess = stub(steep, f)
    assert torch.equal(NewtonWithLineSearch(max_its=1).solve(problem, guess).value[0][0], expected)


def test_one_trial_means_full_steps():
    problem, guess = stub(steep, torch.full((1, 1), 1.2, dtype=F64))
    full = Newton().solve(problem, guess)
    same = NewtonWithLineSearch(max_linesearch_iterations=1).solve(problem, guess)
    assert torch.equal(full.value[0], same.value[0])


# -------------------------------------------------------------------------------- options and messages


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"abs_tol": 1e10}, r"Newton: abs_tol is 1e\+10, outside its range"),
        ({"abs_tol": -1.0}, "abs_tol is -1"),
        ({"rel_tol": float("nan")}, "rel_tol is nan, which is not a finite number"),
        ({"max_its": 0}, "max_its is 0, outside its range"),
    ],
)
def test_options_have_ranges(options, message):
    with pytest.raises(ValueError, match=message):
        Newton(**options)


def test_options_have_kinds():
    with pytest.raises(TypeError, match="max_its is 2.5, but an int is expected"):
        Newton(max_its=2.5)
    with pytest.raises(TypeError, match="abs_tol is 'small', but a float is expected"):
        Newton(abs_tol="small")
    with pytest.raises(TypeError, match="linear_solver is 'lu'; it takes BiCGStab, DenseLU, GMRES, Schur"):
        Newton(linear_solver="lu")
    with pytest.raises(TypeError, match="primary_solver is of type Newton; it takes BiCGStab"):
        SchurComplement(primary_solver=Newton())
    with pytest.raises(TypeError, match="preconditioner is of type DenseLU; it takes BlockJacobi"):
        GMRES(preconditioner=DenseLU())


def test_tolerances_may_be_in_pascal():
    assert Newton(abs_tol=100.0).abs_tol == 100.0


def test_line_search_options_have_ranges():
    with pytest.raises(ValueError, match="linesearch_type is 'WOLFE', not one of BACKTRACKING, STRONG_WOLFE"):
        NewtonWithLineSearch(linesearch_type="WOLFE")
    with pytest.raises(ValueError, match="linesearch_cutback is 1, outside"):
        NewtonWithLineSearch(linesearch_cutback=1.0)
    assert NewtonWithLineSearch(check_negative_criterion=True).linear_solver == DenseLU()


def lines_of(solver, function, guess, level):
    heard = []
    log.set_sink(lambda _, line: heard.append(line.split("] ", 1)[1]))
    log.set_default_level("newton", level)
    try:
        problem, start = stub(function, guess)
        solver.solve(problem, start)
    finally:
        log.reset_sink()
        log.reset_defaults()
    return heard


@pytest.mark.parametrize(
    ("function", "guess", "said"),
    [
        (lambda u: u, 0.0, "converged at predictor (iters=0, reason=abs_tol)"),
        (lambda u: 2 * u - 1, 5.0, "converged (iters=1, reason=both)"),
        (lambda u: u * u + 1, 0.7, "NOT converged (max_iters=25, |R|="),
        (lambda u: u.sqrt() - 1e-3, 1.0, "diverged at iter 1 (non-finite residual)"),
    ],
)
def test_messages(function, guess, said):
    begin, *_, verdict, end = lines_of(Newton(), function, torch.full((1, 1), guess, dtype=F64), "info")
    assert (begin, end) == ("---- begin newton solve ----", "---- end newton solve ----")
    assert verdict.startswith(said)


def test_details():
    heard = lines_of(NewtonWithLineSearch(), steep, torch.full((1, 1), 3.0, dtype=F64), "debug")
    assert heard[1] == "ITERATION   0, |R| = 1.249046e+00, |R0| = 1.249046e+00"
    assert heard[2].startswith("  LS ITERATION   1, min(alpha) = 1.000000e+00, max(||R||) = ")


def test_nothing_is_said_by_default():
    heard = []
    log.set_sink(lambda _, line: heard.append(line))
    problem, guess = stub(lambda u: u * u + 1, torch.full((1, 1), 0.7, dtype=F64))
    Newton().solve(problem, guess)
    log.reset_sink()
    assert heard == []
