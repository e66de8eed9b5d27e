import pytest
import torch

from neml2.solvers.lu import lu
from tests.solvers.problems import matrices, vectors


@pytest.mark.parametrize("n", [1, 2, 3, 7, 19, 43])
def test_solves_and_solves_transposed(n):
    a, b = matrices(n, (2, 3)), vectors(2, 3, n)
    factors = lu(a)
    assert not factors.singular.any()
    torch.testing.assert_close(factors.solve(b), torch.linalg.solve(a, b), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(
        factors.solve_transposed(b), torch.linalg.solve(a.mT, b), rtol=1e-9, atol=1e-10
    )


def test_many_right_hand_sides():
    a, b = matrices(5, (4,)), vectors(4, 5, 3)
    x = lu(a).solve(b)
    assert x.shape == (4, 5, 3)
    torch.testing.assert_close(x, torch.linalg.solve(a, b))
    torch.testing.assert_close(lu(a).solve_transposed(b), torch.linalg.solve(a.mT, b))


def test_zero_on_the_diagonal_is_no_obstacle():
    a = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 4.0], [8.0, 0.0, 0.0]], dtype=torch.float64)
    x = lu(a).solve(torch.tensor([2.0, 4.0, 8.0], dtype=torch.float64))
    assert x.tolist() == [1.0, 1.0, 1.0]
    y = lu(a).solve_transposed(torch.tensor([8.0, 2.0, 4.0], dtype=torch.float64))
    assert y.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("n", range(1, 44))
def test_a_point_is_bit_identical_alone_and_in_any_batch(n):
    a, b = matrices(n, (5,)), vectors(5, n)
    batched, transposed = lu(a).solve(b), lu(a).solve_transposed(b)
    for i in range(5):
        assert torch.equal(lu(a[i]).solve(b[i]), batched[i])
        assert torch.equal(lu(a[i]).solve_transposed(b[i]), transposed[i])
    reversed_ = lu(a.flip(0)).solve(b.flip(0)).flip(0)
    assert torch.equal(reversed_, batched)


def test_singular_and_nan_matrices_are_marked_and_spoil_nothing():
    a = matrices(4, (5,))
    healthy = lu(a).solve(vectors(5, 4))
    a[1, 2] = a[1, 3]
    a[1, 2] = 0.0
    a[3] = torch.nan
    factors = lu(a)
    assert factors.singular.tolist() == [False, True, False, True, False]
    x = factors.solve(vectors(5, 4))
    for i in (0, 2, 4):
        assert torch.equal(x[i], healthy[i])


def test_no_points_at_all():
    assert lu(torch.zeros(0, 3, 3)).solve(torch.zeros(0, 3)).shape == (0, 3)


def test_single_precision():
    a, b = matrices(6, (3,)).float(), vectors(3, 6).float()
    x = lu(a).solve(b)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x, torch.linalg.solve(a, b), rtol=1e-3, atol=1e-4)
