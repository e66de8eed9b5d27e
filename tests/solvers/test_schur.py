import pytest
import torch

from neml2.solvers import GMRES, DenseLU, SchurComplement
from neml2.solvers.blocks import Group, Matrix
from neml2.solvers.direct import EverythingDense
from tests.solvers.problems import one_group, vectors
from tests.solvers.test_blocks import SITES, two_groups


def right_hand_side(matrix):
    return [vectors(2, *g.sites, g.size, seed=7 + i) for i, g in enumerate(matrix.rows)]


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sites", SITES)
@pytest.mark.parametrize("primary", [0, 1])
def test_equals_one_dense_factorisation(sites, primary):
    matrix = two_groups(sites)
    b = right_hand_side(matrix)
    reference = EverythingDense().factor(matrix)
    schur = SchurComplement(residual_primary_group=primary, unknown_primary_group=primary).factor(matrix)
    assert_same(schur.solve(b), reference.solve(b))
    assert_same(schur.solve_transposed(b), reference.solve_transposed(b))
    assert not schur.singular.any() and schur.singular.shape == (2,)


def test_rows_and_columns_may_have_different_primary_groups():
    matrix = two_groups(((), ()))
    crossed = Matrix(matrix.blocks[::-1], matrix.rows[::-1], matrix.columns, matrix.batch)
    b = right_hand_side(matrix)
    schur = SchurComplement(residual_primary_group=1, unknown_primary_group=0).factor(crossed)
    reference = EverythingDense().factor(crossed)
    assert_same(schur.solve(b[::-1]), reference.solve(b[::-1]))
    assert_same(schur.solve_transposed(b), reference.solve_transposed(b))


@pytest.mark.parametrize("sites", SITES)
def test_a_point_is_bit_identical_alone(sites):
    matrix = two_groups(sites)
    b = right_hand_side(matrix)
    batched = SchurComplement().factor(matrix).solve(b)
    for i in range(2):
        alone = Matrix(
            [[c[i] for c in row] for row in matrix.blocks], matrix.rows, matrix.columns, torch.Size(())
        )
        for x, y in zip(SchurComplement().factor(alone).solve([v[i] for v in b]), batched, strict=True):
            assert torch.equal(x, y[i])


def test_other_solvers_inside():
    matrix = two_groups(((4,), ()))
    b = right_hand_side(matrix)
    mixed = SchurComplement(schur_solver=GMRES(rel_tol=1e-12))
    assert SchurComplement().DIRECT and not mixed.DIRECT
    assert_same(mixed.factor(matrix).solve(b), DirectAnswer(matrix, b))
    krylov = SchurComplement(primary_solver=GMRES(rel_tol=1e-13))
    plain = two_groups(((), ()))
    c = right_hand_side(plain)
    assert_same(krylov.factor(plain).solve(c), DirectAnswer(plain, c))


def DirectAnswer(matrix, b):
    return EverythingDense().factor(matrix).solve(b)


@pytest.mark.parametrize("block", [0, 1])
def test_singular_points_are_marked(block):
    matrix = two_groups(((), ()))
    if block == 0:
        matrix.blocks[0][0][1] = 0.0
    else:  # the second row of blocks repeats rows of the first one
        matrix.blocks[1][0][1] = matrix.blocks[0][0][1, :2]
        matrix.blocks[1][1][1] = matrix.blocks[0][1][1, :2]
    schur = SchurComplement().factor(matrix)
    solution = torch.cat([v.reshape(2, -1) for v in schur.solve(right_hand_side(matrix))], -1)
    marked_or_huge = schur.singular | ~(solution.abs().amax(-1) < 1e10)
    assert marked_or_huge.tolist() == [False, True]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (one_group(torch.eye(2)), "two groups"),
        (
            Matrix(
                [[torch.ones(2, 1), torch.ones(2, 2)], [torch.ones(1, 1), torch.ones(1, 2)]],
                (Group(2), Group(1)),
                (Group(1), Group(2)),
                torch.Size(()),
            ),
            "square primary block",
        ),
    ],
)
def test_refusals(matrix, message):
    with pytest.raises(ValueError, match=message):
        SchurComplement().factor(matrix)


def test_groups_are_zero_or_one():
    with pytest.raises(ValueError, match=r"unknown_primary_group is 2, outside its range \[0, 1\]"):
        SchurComplement(unknown_primary_group=2)
    with pytest.raises(ValueError, match="two groups"):
        SchurComplement(primary_solver=SchurComplement()).factor(two_groups(((), ())))


def test_dense_lu_wants_one_group():
    with pytest.raises(ValueError, match="SchurComplement"):
        DenseLU().factor(two_groups(((), ())))
