"""Forward substitution, in a kernel and in torch, against pyzag's own and against dense systems."""

import pytest
import torch

pytest.importorskip("pyzag")

from pyzag.chunktime import BidiagonalPCRFactorization, BidiagonalThomasFactorization
from pyzag.operators.dense import DenseBlockOperator, DenseBlockVector

from neml2.recurrent import pyzag_substitution
from neml2.recurrent.pyzag_substitution import NativeSubstitution, Substitution, substitution


def blocks(m, batch, n, dtype=torch.float64):
    generator = torch.Generator().manual_seed(m + n)

    def rand(*shape):
        return torch.rand(*shape, dtype=dtype, generator=generator) - 0.5

    a = rand(m, batch, n, n) + 2.0 * torch.eye(n, dtype=dtype).roll(1, 0)  # pivots are off the diagonal
    return a, rand(m - 1, batch, n, n), rand(m, batch, n)


def solved(method, a, b, v):
    return method(DenseBlockOperator(a), DenseBlockOperator(b)).matvec(DenseBlockVector(v)).data


@pytest.mark.parametrize("method", [Substitution, NativeSubstitution])
@pytest.mark.parametrize(("m", "batch", "n"), [(1, 3, 2), (2, 1, 7), (5, 9, 1), (13, 6, 7), (3, 2, 40)])
def test_the_solution_is_that_of_the_dense_system(method, m, batch, n):
    a, b, v = blocks(m, batch, n)
    dense = torch.zeros(batch, m * n, m * n, dtype=a.dtype)
    for k in range(m):
        dense[:, k * n : (k + 1) * n, k * n : (k + 1) * n] = a[k]
        if k:
            dense[:, k * n : (k + 1) * n, (k - 1) * n : k * n] = b[k - 1]
    exact = torch.linalg.solve(dense, v.transpose(0, 1).reshape(batch, m * n))
    found = solved(method, a, b, v).transpose(0, 1).reshape(batch, m * n)
    torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("method", [Substitution, NativeSubstitution])
def test_blocks_may_be_views(method):
    a, b, v = blocks(8, 5, 3)
    expected = solved(BidiagonalThomasFactorization, a, b, v)
    wide = torch.zeros(8, 5, 4, 5, dtype=a.dtype)
    wide[..., :3, :3] = a.transpose(-1, -2)
    spread = torch.zeros(8, 10, 3, dtype=a.dtype)
    spread[:, ::2] = v
    found = solved(method, wide[..., :3, :3].transpose(-1, -2), b, spread[:, ::2])
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


def test_a_specimen_has_the_same_bits_alone():
    a, b, v = blocks(6, 11, 4)
    together = solved(NativeSubstitution, a, b, v)
    for i in (0, 7, 10):
        alone = solved(NativeSubstitution, a[:, i : i + 1], b[:, i : i + 1], v[:, i : i + 1])
        assert torch.equal(together[:, i : i + 1], alone)


def test_a_singular_block_spoils_its_specimen_only():
    a, b, v = blocks(4, 3, 2)
    a[2, 1] = 0.0
    x = solved(NativeSubstitution, a, b, v)
    assert x.isfinite().all(-1).T.tolist() == [[True] * 4, [True, True, False, False], [True] * 4]


def test_single_precision():
    a, b, v = blocks(5, 4, 3, torch.float32)
    expected = solved(BidiagonalThomasFactorization, *(t.double() for t in (a, b, v)))
    found = solved(NativeSubstitution, a, b, v)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_under_autograd_it_is_pyzags():
    a, b, v = (t.requires_grad_(True) for t in blocks(4, 2, 3))
    assert torch.autograd.gradcheck(lambda *t: solved(NativeSubstitution, *t), (a, b, v))


def test_without_a_compiler_it_is_torch(monkeypatch):
    def none(*_):
        raise pyzag_substitution.NoCompiler("none")

    monkeypatch.setattr(pyzag_substitution, "_launcher", none)
    a, b, v = blocks(4, 2, 3)
    assert torch.equal(solved(NativeSubstitution, a, b, v), solved(Substitution, a, b, v))


def test_other_factorizations_are_left_alone():
    assert substitution(BidiagonalPCRFactorization, native=True) is BidiagonalPCRFactorization
    assert substitution(BidiagonalThomasFactorization, native=True) is NativeSubstitution
    assert substitution(BidiagonalThomasFactorization, native=False) is Substitution
