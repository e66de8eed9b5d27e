import pytest
import torch

from neml2 import log
from neml2.solvers import (
    GMRES,
    BiCGStab,
    BlockJacobiPreconditioner,
    DenseLU,
    FullPreconditioner,
    JacobiPreconditioner,
    Newton,
    NoPreconditioner,
)
from tests.solvers.problems import matrices, one_group, stub, vectors
from tests.solvers.test_blocks import two_groups

F64 = torch.float64
METHODS = [GMRES, BiCGStab]
PRECONDITIONERS = [
    NoPreconditioner(),
    JacobiPreconditioner(),
    BlockJacobiPreconditioner(),
    FullPreconditioner(),
]
SIZES = (6, 1, 5)


def system(batch=(7,)):
    a = matrices(12, batch) + 3 * torch.eye(12, dtype=torch.float64)
    return one_group(a, SIZES), [vectors(*batch, 12)]


@pytest.fixture
def lines():
    heard = []
    log.set_sink(lambda level, line: heard.append(line))
    yield heard
    log.reset_sink()
    log.reset_defaults()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preconditioner", PRECONDITIONERS, ids=lambda p: type(p).__name__)
def test_equals_lu(method, preconditioner):
    matrix, b = system()
    factor = method(preconditioner=preconditioner, rel_tol=1e-11).factor(matrix)
    exact = DenseLU().factor(matrix)
    torch.testing.assert_close(factor.solve(b)[0], exact.solve(b)[0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        factor.solve_transposed(b)[0], exact.solve_transposed(b)[0], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preconditioner", PRECONDITIONERS, ids=lambda p: type(p).__name__)
def test_a_point_is_bit_identical_alone(method, preconditioner):
    matrix, b = system()
    b[0][3] *= 1e-9
    settings = method(preconditioner=preconditioner, rel_tol=1e-6)
    factor = settings.factor(matrix)
    together = factor.solve(b)[0]
    for i in range(7):
        alone = settings.factor(one_group(matrix.blocks[0][0][i], SIZES))
        assert torch.equal(alone.solve([b[0][i]])[0], together[i])
        assert alone.iterations.item() == factor.iterations[i]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-20, 1e-9, 1e9])
def test_the_size_of_the_right_hand_side_does_not_matter(method, scale):
    """Guards against breakdown are relative: tiny right-hand sides converge like any other."""
    matrix, b = system()
    x = method(rel_tol=1e-11).factor(matrix).solve([scale * b[0]])[0]
    exact = DenseLU().factor(matrix).solve(b)[0]
    torch.testing.assert_close(x / scale, exact, rtol=1e-8, atol=1e-8)


def test_restarts():
    matrix, b = system()
    short = GMRES(restart=5, rel_tol=1e-11).factor(matrix)
    torch.testing.assert_close(short.solve(b)[0], DenseLU().factor(matrix).solve(b)[0], rtol=1e-8, atol=1e-8)
    assert int(short.iterations.min()) > 12
    whole = GMRES(rel_tol=1e-11).factor(matrix)
    whole.solve(b)
    assert int(whole.iterations.max()) <= 12


@pytest.mark.parametrize("method", METHODS)
def test_zero_right_hand_side_needs_no_iteration(method):
    matrix, b = system()
    b[0][2] = 0.0
    factor = method().factor(matrix)
    assert factor.solve(b)[0][2].abs().max() == 0
    assert factor.iterations[2] == 0 and factor.iterations[1] > 0


@pytest.mark.parametrize("method", METHODS)
def test_too_few_iterations_are_a_warning_and_the_iterate_is_used(method, lines):
    matrix, b = system()
    x = method(max_its=3, rel_tol=1e-12).factor(matrix).solve(b)[0]
    assert lines == ["[neml2:linear ][warn] linear solve NOT converged (iters=3, 7 element(s) at max_its)"]
    start = b[0].norm(dim=-1)
    left = ((matrix.blocks[0][0] @ x[..., None]).squeeze(-1) - b[0]).norm(dim=-1)
    assert bool((left < start).all())


@pytest.mark.parametrize("method", METHODS)
def test_singular_and_nan_points_end_and_spoil_nothing(method, lines):
    matrix, b = system()
    settings = method(rel_tol=1e-10)
    healthy = settings.factor(matrix).solve(b)[0]
    matrix.blocks[0][0][1] = 0.0
    matrix.blocks[0][0][4] = torch.nan
    b[0][5] = torch.nan
    factor = settings.factor(matrix)
    x = factor.solve(b)[0]
    for i in (0, 2, 3, 6):
        assert torch.equal(x[i], healthy[i])
    assert len(lines) == 1 and "3 element(s)" in lines[0]
    assert int(factor.iterations.max()) < 100


def test_bicgstab_where_the_residual_is_orthogonal_to_its_image():
    a = torch.tensor([[1.0, 0.0, -0.1], [0.0, 1.0, 0.3], [700.0, -900.0, 0.0]], dtype=F64)
    b = torch.tensor([0.0, 0.0, 1.0], dtype=F64)
    x = BiCGStab(rel_tol=1e-12).factor(one_group(a)).solve([b])[0]
    torch.testing.assert_close(x, torch.linalg.solve(a, b))


def test_a_breakdown_of_bicgstab_ends_with_a_warning(lines):
    a = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)  # turns every residual by a right angle
    factor = BiCGStab().factor(one_group(a))
    x = factor.solve([torch.tensor([1.0, 0.0], dtype=torch.float64)])[0]
    assert x.isfinite().all() and factor.iterations < 200 and len(lines) == 1


@pytest.mark.parametrize("method", METHODS)
def test_several_groups_are_flattened(method):
    matrix = two_groups(((4,), ()))
    b = [vectors(2, 4, 3), vectors(2, 2)]
    x = method(rel_tol=1e-12).factor(matrix).solve(b)
    flat = torch.linalg.solve(matrix.dense(), torch.cat([v.reshape(2, -1) for v in b], -1))
    torch.testing.assert_close(torch.cat([v.reshape(2, -1) for v in x], -1), flat)


@pytest.mark.parametrize("preconditioner", PRECONDITIONERS[1:], ids=lambda p: type(p).__name__)
def test_preconditioners_take_one_group(preconditioner):
    with pytest.raises(ValueError, match=f"{type(preconditioner).__name__} takes one dense group"):
        GMRES(preconditioner=preconditioner).factor(two_groups(((), ())))


def test_jacobi_keeps_away_from_zero():
    a = matrices(4)
    a.fill_diagonal_(0.0)
    x = (
        GMRES(preconditioner=JacobiPreconditioner(), rel_tol=1e-10)
        .factor(one_group(a))
        .solve([vectors(4)])[0]
    )
    torch.testing.assert_close(x, torch.linalg.solve(a, vectors(4)), rtol=1e-7, atol=1e-7)


class Counting(FullPreconditioner):
    """Notes which points it is made from which matrix for."""

    made: list = []

    def prepare(self, matrix, columns):
        self.made.append(matrix.clone())
        return super().prepare(matrix, columns)


@pytest.mark.parametrize(("strategy", "made"), [("none", 4), ("chord", 1)])
def test_how_often_the_preconditioner_is_made(strategy, made):
    solver = GMRES(preconditioner=Counting(), cache_strategy=strategy, rel_tol=1e-12)
    Counting.made.clear()
    a, factor = matrices(5, (3,)) + 2 * torch.eye(5), None
    for k in range(4):
        factor = solver.factor(one_group(a + 0.1 * k * matrices(5, (3,), seed=9)), factor)
        factor.solve([vectors(3, 5)])
    assert len(Counting.made) == made


def test_each_point_decides_for_itself_when_its_preconditioner_is_out_of_date():
    solver = GMRES(preconditioner=Counting(), cache_strategy="max_its", cache_max_its=2, rel_tol=1e-12)
    Counting.made.clear()
    a, change = matrices(5, (2,)) + 2 * torch.eye(5), matrices(5, (2,), seed=9)
    change[0] = 0.0  # the first point's matrix stays what it is
    factor = None
    for k in range(3):
        factor = solver.factor(one_group(a + k * change), factor)
        factor.solve([vectors(2, 5)])
    first, last = Counting.made[0], Counting.made[-1]
    assert len(Counting.made) == 2
    assert torch.equal(first[..., 0], last[..., 0])
    torch.testing.assert_close(last[..., 1], (a + 2 * change)[1])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("strategy", ["none", "chord", "max_its"])
def test_newton_with_krylov_is_bit_identical_alone(method, strategy):
    linear = method(preconditioner=FullPreconditioner(), cache_strategy=strategy, cache_max_its=2)
    newton = Newton(linear_solver=linear)
    f = vectors(6, 3) * torch.tensor([[0.01], [1.0], [3.0], [30.0], [0.1], [1e4]])

    def solve(which):
        problem, guess = stub(
            lambda u: u + u * u * u + 0.3 * u.roll(1, -1) - f[which], torch.zeros_like(f[which])
        )
        return newton.solve(problem, guess)

    together = solve(slice(None))
    assert together.succeeded
    for i in range(6):
        assert torch.equal(solve(i).value[0], together.value[0][i])


@pytest.mark.parametrize("method", METHODS)
def test_refusals(method):
    with pytest.raises(
        ValueError, match=f"{method.__name__}: cache_strategy is 'always', not one of none, chord"
    ):
        method(cache_strategy="always")
    with pytest.raises(ValueError, match="max_its is 0, outside its range"):
        method(max_its=0)
