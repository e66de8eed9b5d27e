"""`Tensor`, whose base has any rank."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.autograd import gradcheck

import neml2.types.functions as F
from neml2.types import R2, SR2, Scalar, Tensor

D = torch.float64


def rand(*shape, seed=0):
    return torch.rand(*shape, dtype=D, generator=torch.Generator().manual_seed(seed))


def test_regions():
    t = Tensor(rand(4, 3, 2, 5), 1, 1)
    assert (t.batch_shape, t.sub_batch_shape, t.base_shape) == ((4,), (3,), (2, 5))
    assert (t.base_ndim, t.ndim, t.shape) == (2, 4, (4, 3, 2, 5))
    assert repr(Tensor(torch.zeros(2, 3), 1)) == (
        "Tensor(batch_shape=(2,), sub_batch_shape=(), base_shape=(3,), dtype=torch.float32, device=cpu)"
    )
    assert repr(copy.deepcopy(t)) == repr(t) == repr(t.clone())
    for ranks in ((-1, 0), (0, -1), (3, 2)):
        with pytest.raises(ValueError, match="ranks"):
            Tensor(t.data, *ranks)
    with pytest.raises(AttributeError):
        t.data = t.data
    with pytest.raises(TypeError):
        Tensor(Scalar(1.0))


def test_factories_and_conversion():
    t = Tensor.zeros(batch_shape=(4,), sub_batch_shape=(3,), base_shape=(6,))
    assert t.dtype == D and t.as_typed(SR2).sub_batch_shape == (3,)
    assert Tensor.zeros_like(t).shape == t.shape
    assert t.new_zeros(base_shape=(2,)).shape == (4, 3, 2)
    assert t.to(torch.float32).dtype == torch.float32 and t.to(D) is t
    w = SR2(rand(4, 3, 6), 1)
    assert Tensor.from_typed(w).batch_shape == (4,)
    assert Tensor.from_typed(SR2(rand(4, 3, 6)), 1).base_shape == (3, 6)
    with pytest.raises(ValueError, match="base shape"):
        t.as_typed(R2)


def test_arithmetic_equalises_ranks():
    a, b = Tensor(rand(4, 2), 1), Tensor(rand(3, 2), 0, 1)
    for op in ("__add__", "__sub__", "__mul__", "__truediv__"):
        out = getattr(a, op)(b)
        assert (out.batch_shape, out.sub_batch_shape, out.base_shape) == ((4,), (3,), (2,))
        assert torch.equal(out.data, getattr(a.data[:, None], op)(b.data))
    assert torch.equal((2 - a * 3 / 2 + 1).data, 2 - a.data * 3 / 2 + 1)
    assert torch.equal((1 / -a).data, 1 / -a.data)
    with pytest.raises(TypeError):
        a + Scalar(1.0)


def test_products_and_solutions():
    A, B, v = Tensor(rand(4, 3, 3), 1), Tensor(rand(4, 3, 2), 1), Tensor(rand(3))
    torch.testing.assert_close((A @ B).data, A.data @ B.data)
    torch.testing.assert_close((A @ v).data, A.data @ v.data)
    torch.testing.assert_close(A.solve(B).data, torch.linalg.solve(A.data, B.data))
    torch.testing.assert_close(A.solve(v).data, torch.linalg.solve(A.data, v.data.expand(4, 3)))
    folded = A @ Tensor(rand(4, 3, 1, 2), 1, 1)
    assert folded.shape == (4, 3, 2)
    assert gradcheck(
        lambda a, b: Tensor(a).solve(Tensor(b)).data,
        (rand(4, 4).requires_grad_(), rand(4, 2).requires_grad_()),
    )
    for wrong in (lambda: A @ Tensor(rand(2)), lambda: v @ A, lambda: B.solve(v)):
        with pytest.raises(ValueError):
            wrong()


def test_solve_pivots_and_keeps_points_apart():
    swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=D)
    assert Tensor(swap).solve(Tensor(torch.tensor([2.0, 3.0], dtype=D))).data.tolist() == [3, 2]
    A, b = rand(41, 7, 7), rand(41, 7, seed=1)
    A[5] = 0
    x = Tensor(A, 1).solve(Tensor(b, 1)).data
    y = (Tensor(A, 1) @ Tensor(b, 1)).data
    assert not torch.isfinite(x[5]).any()
    for i in (0, 4, 6, 40):
        assert torch.equal(Tensor(A[i].clone()).solve(Tensor(b[i].clone())).data, x[i])
        assert torch.equal((Tensor(A[i].clone()) @ Tensor(b[i].clone())).data, y[i])


def test_reshaping():
    t = Tensor(rand(4, 3, 2, 5), 1, 1)
    assert t.flatten_base().shape == (4, 3, 10)
    assert t.flatten_base().unflatten_base(5, 2).base_shape == (5, 2)
    assert t.flatten_sub_batch().base_shape == (3, 2, 5)
    folded = t.flatten_sub_batch_into_first_base_axis()
    assert (folded.base_shape, folded.sub_batch_ndim) == ((6, 5), 0)
    with pytest.raises(ValueError):
        t.unflatten_base(3)


def test_views():
    t = Tensor(rand(4, 3, 2, 5), 1, 1)
    assert t.batch.unsqueeze(0).batch_shape == (1, 4)
    assert t.sub_batch.unsqueeze().sub_batch_shape == (3, 1)
    assert t.base.unsqueeze().base_shape == (2, 5, 1)
    assert t.base.unsqueeze().base.squeeze().base_shape == (2, 5)
    assert t.batch.expand(7, 4).batch_shape == t.batch.broadcast_to(7, 4).batch_shape == (7, 4)
    assert torch.equal(t.base.flip(1).data, t.data.flip(3))
    assert t.base.pad(0, before=1, after=2).base_shape == (5, 5)
    assert torch.equal(t.base.transpose().data, t.data.mT)
    assert torch.equal(t.base[0].data, t.data[:, :, 0])
    assert t.batch[0].batch_shape == ()
    changed = t.base.set((slice(None), 0), 0.0)
    assert changed.data[..., 0].abs().max() == 0 and t.data[..., 0].abs().max() > 0


def test_functions_on_views():
    t = Tensor(rand(4, 3, 2, 5), 1, 1)
    torch.testing.assert_close(F.sum(t.base, dims=None).data, t.data.sum((2, 3)))
    torch.testing.assert_close(F.norm(t.base).data, t.data.square().sum((2, 3)).sqrt())
    assert F.norm(t.base, 1.0).base_ndim == 0
    assert F.cat([t.base, t.base]).base_shape == (2, 10)
    assert F.stack([t.sub_batch, t.sub_batch]).sub_batch_shape == (2, 3)
    assert F.linspace(t.batch, t.batch, 6).batch_shape == (6, 4)
