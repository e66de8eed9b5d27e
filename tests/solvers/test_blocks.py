import pytest
import torch

from neml2.solvers.blocks import Group, Matrix, joined, parted, squared_norm, total
from tests.solvers.problems import vectors


def two_groups(sites: tuple[tuple[int, ...], tuple[int, ...]], batch=(2,)) -> Matrix:
    """A matrix in groups of 3 and 2 unknowns per site."""
    groups = tuple(Group(n, s, (n,)) for n, s in zip((3, 2), sites, strict=True))
    blocks = []
    for i, row in enumerate(groups):
        blocks.append([])
        for j, column in enumerate(groups):
            shape = (*batch, *(row.sites or column.sites), row.size, column.size)
            block = vectors(*shape, seed=10 * i + j)
            blocks[i].append(block + 6 * torch.eye(row.size) if i == j else block)
    return Matrix(blocks, groups, groups, torch.Size(batch))


SITES = [((), ()), ((4,), ()), ((), (4,)), ((4,), (4,)), ((2, 2), ()), ((2, 2), (2, 2))]


@pytest.mark.parametrize("sites", SITES)
def test_dense_is_the_same_linear_map(sites):
    matrix = two_groups(sites)
    x = [vectors(2, *g.sites, g.size, seed=i) for i, g in enumerate(matrix.columns)]
    expected = []
    for i, row in enumerate(matrix.rows):
        r = torch.zeros(2, *row.sites, row.size, dtype=torch.float64)
        for j, column in enumerate(matrix.columns):
            block, v = matrix.blocks[i][j], x[j]
            if row.sites and not column.sites:
                v = v.reshape(2, *(1,) * len(row.sites), -1)
            part = (block * v[..., None, :]).sum(-1)
            if column.sites and not row.sites:
                part = part.reshape(2, -1, row.size).sum(1)
            r = r + part
        expected.append(r)
    flat = (matrix.dense() @ joined(x, matrix.columns, matrix.batch)[..., None]).squeeze(-1)
    for found, wanted in zip(parted(flat, matrix.rows, matrix.batch), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(matrix.transposed().dense(), matrix.dense().mT)
    torch.testing.assert_close(matrix.folded().dense(), matrix.dense())


def test_joined_and_parted_are_inverse():
    groups = (Group(3, (2,)), Group(2))
    x = [vectors(5, 2, 3), vectors(5, 2)]
    flat = joined(x, groups, torch.Size((5,)))
    assert flat.shape == (5, 8)
    for a, b in zip(x, parted(flat, groups, torch.Size((5,))), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("n", range(1, 20))
def test_sums_do_not_depend_on_batch_or_layout(n):
    x = vectors(7, n)
    norm = squared_norm([x], torch.Size((7,)))
    turned = squared_norm([x.mT.contiguous().mT], torch.Size((7,)))
    assert torch.equal(norm, turned)
    for i in range(7):
        assert torch.equal(squared_norm([x[i]], torch.Size(())), norm[i])
        assert torch.equal(total(x[i], 0), total(x, 1)[i])
    torch.testing.assert_close(total(x, 1), x.sum(1))
    assert total(x[:0], 0).tolist() == [0.0] * n
