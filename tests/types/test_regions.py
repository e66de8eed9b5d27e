"""Region views and the functions along their axes; interpolation tables."""

from __future__ import annotations

import pytest
import torch

import neml2.types.functions as F
from neml2.types import R2, SR2, SSR4, AxisKind, Scalar, Vec

x = SR2(torch.rand(4, 5, 3, 2, 6, dtype=torch.float64), 2)  # dynamic (4, 5), sub-batch (3, 2)


def shapes(w):
    return tuple(w.dynamic_batch_shape), tuple(w.sub_batch_shape)


def test_views_know_their_region():
    assert (x.dynamic_batch.shape, x.sub_batch.shape) == ((4, 5), (3, 2))
    assert (x.batch.shape, x.base.shape) == ((4, 5, 3, 2), (6,))
    assert (x.batch.ndim, x.base.ndim) == (4, 1)
    assert x.sub_batch.kind is AxisKind.SUB_BATCH


def test_unsqueeze_squeeze_expand():
    assert shapes(x.dynamic_batch.unsqueeze()) == ((4, 5, 1), (3, 2))
    assert shapes(x.dynamic_batch.unsqueeze(0, 2)) == ((1, 1, 4, 5), (3, 2))
    assert shapes(x.sub_batch.unsqueeze(1)) == ((4, 5), (3, 1, 2))
    assert shapes(x.sub_batch.unsqueeze(1).sub_batch.squeeze(1)) == ((4, 5), (3, 2))
    assert shapes(x.dynamic_batch.expand(7, 4, 5)) == ((7, 4, 5), (3, 2))
    assert shapes(x.dynamic_batch.expand((7, -1, 5))) == ((7, 4, 5), (3, 2))
    assert shapes(Scalar(1.0).sub_batch.expand(3, 2)) == ((), (3, 2))
    assert shapes(x.sub_batch.expand_at(7, 1)) == ((4, 5), (3, 7, 2))
    assert shapes(x.sub_batch.retag(1)) == ((4, 5, 3), (2,))
    assert shapes(x.sub_batch.flatten()) == ((4, 5, 3, 2), ())


def test_diagonalize():
    d = Scalar(torch.tensor([[1.0, 2.0]]), 1).sub_batch.diagonalize()
    assert d.data.tolist() == [[[1, 0], [0, 2]]]
    assert shapes(d) == ((1,), (2, 2))


def test_transpose():
    m = R2.fill(*range(9))
    assert torch.equal(m.base.transpose().data, m.data.T)
    assert torch.equal(SSR4(torch.eye(6)).base.transpose(0, 1).data, torch.eye(6))


def test_indexing():
    assert shapes(x.dynamic_batch[1]) == ((5,), (3, 2))
    assert torch.equal(x.dynamic_batch[1].data, x.data[1])
    assert shapes(x.dynamic_batch[..., 1]) == ((4,), (3, 2))
    assert shapes(x.dynamic_batch[1:3, None]) == ((2, 1, 5), (3, 2))
    assert shapes(x.sub_batch[..., 0]) == ((4, 5), (3,))
    assert torch.equal(x.sub_batch[:, 0].data, x.data[:, :, :, 0])
    assert shapes(x.sub_batch[0, 1]) == ((4, 5), ())
    assert shapes(x.batch[0]) == ((5,), (3, 2))
    assert shapes(x.batch[0, :2]) == ((2,), (3, 2))
    mask = torch.tensor([True, False, True, False])
    assert shapes(x.dynamic_batch[mask]) == ((2, 5), (3, 2))
    assert shapes(x.dynamic_batch[:, torch.tensor([0, 0, 1])]) == ((4, 3), (3, 2))


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda: x.dynamic_batch.squeeze(0), ValueError),
        (lambda: x.dynamic_batch.squeeze(2), IndexError),
        (lambda: x.dynamic_batch.unsqueeze(3), IndexError),
        (lambda: x.dynamic_batch.expand(5), ValueError),
        (lambda: x.dynamic_batch.expand(3, 5), ValueError),
        (lambda: x.batch.unsqueeze(), TypeError),
        (lambda: x.batch.squeeze(), TypeError),
        (lambda: x.batch.expand(2), TypeError),
        (lambda: x.batch[0, 0, 0, 0], IndexError),
        (lambda: x.dynamic_batch[4], IndexError),
        (lambda: x.dynamic_batch[0, 0, 0], IndexError),
        (lambda: x.dynamic_batch["a"], TypeError),
        (lambda: x.dynamic_batch[..., ...], IndexError),
        (lambda: x.base[0], TypeError),
        (lambda: x.base.transpose(), TypeError),
        (lambda: x.sub_batch.diagonalize(), TypeError),
        (lambda: x.sub_batch.retag(7), ValueError),
        (lambda: list(x.dynamic_batch), TypeError),
        (lambda: F.sum(x.batch), TypeError),
        (lambda: F.sum(x), TypeError),
        (lambda: F.sum(x.sub_batch, 2), IndexError),
        (lambda: F.diff(x.sub_batch, -1), ValueError),
        (lambda: F.stack([]), ValueError),
        (lambda: F.cat([]), ValueError),
        (lambda: F.stack(x.batch), TypeError),
        (lambda: F.stack([x.batch, x.sub_batch]), TypeError),
        (lambda: F.stack([x.batch, Scalar(1.0).batch]), TypeError),
        (lambda: F.cat([Scalar([1.0]).dynamic_batch, Scalar([[1.0]], 1).dynamic_batch]), ValueError),
        (lambda: F.stack([Scalar([1.0]).dynamic_batch, Scalar([1.0, 2.0]).dynamic_batch]), ValueError),
        (lambda: F.cat([Scalar([1.0]).dynamic_batch, Scalar([[1.0]]).dynamic_batch]), ValueError),
        (lambda: F.linspace(Scalar(0.0).dynamic_batch, Scalar(1.0).dynamic_batch, 0), ValueError),
        (lambda: F.linspace(Scalar(0.0).dynamic_batch, Scalar(1.0).dynamic_batch, 2.0), TypeError),
        (lambda: F.linspace(Scalar(0.0), Scalar(1.0), 2), TypeError),
        (lambda: F.logspace(Scalar(0.0).dynamic_batch, Scalar(1.0).dynamic_batch, 2, base=-1.0), ValueError),
    ],
)
def test_errors(act, error):
    with pytest.raises(error) as caught:
        act()
    assert len(str(caught.value)) > 20


def test_reductions():
    assert shapes(F.sum(x.sub_batch)) == ((4, 5), (2,))
    torch.testing.assert_close(F.sum(x.sub_batch, (0, 1)).data, x.data.sum((2, 3)))
    assert shapes(F.sum(x.dynamic_batch, -1, keepdim=True)) == ((4, 1), (3, 2))
    assert shapes(F.sum(x.sub_batch, None)) == ((4, 5), ())
    torch.testing.assert_close(F.mean(x.dynamic_batch, 1).data, x.data.mean(1))
    assert torch.equal(F.diff(x.dynamic_batch, dim=1).data, x.data.diff(dim=1))
    assert shapes(F.sum_sub_batch(x)) == ((4, 5), ())


def test_joining():
    assert shapes(F.stack([x.dynamic_batch] * 3)) == ((3, 4, 5), (3, 2))
    assert shapes(F.stack([x.sub_batch] * 3, -1)) == ((4, 5), (3, 2, 3))
    assert shapes(F.stack([x.batch] * 2)) == ((2, 4, 5), (3, 2))
    assert shapes(F.cat([x.dynamic_batch] * 3)) == ((4, 15), (3, 2))
    assert shapes(F.cat([x.sub_batch, x.sub_batch[:1].sub_batch], 0)) == ((4, 5), (4, 2))
    assert shapes(F.cat([x.batch, x.batch], 0)) == ((8, 5), (3, 2))


def test_spacing():
    a, b = Scalar(torch.zeros(3, dtype=torch.float64)), Scalar(2.0)
    line = F.linspace(a.dynamic_batch, b.dynamic_batch, 5)
    assert shapes(line) == ((5, 3), ())
    assert line.data[:, 1].tolist() == [0, 0.5, 1, 1.5, 2]
    assert F.linspace(a.dynamic_batch, b.dynamic_batch, 1).data.tolist() == [[0, 0, 0]]
    assert shapes(F.linspace(a.dynamic_batch, b.dynamic_batch, 4, dim=-1)) == ((3, 4), ())
    assert shapes(F.linspace(a.sub_batch, b.sub_batch, 4)) == ((3,), (4,))
    mixed = F.linspace(Scalar([0.0, 1.0], 1).dynamic_batch, Scalar([3.0, 4.0, 5.0]).dynamic_batch, 6)
    assert shapes(mixed) == ((6, 3), (2,))
    power = F.logspace(Scalar(-1.0).dynamic_batch, Scalar(1.0).dynamic_batch, 3)
    torch.testing.assert_close(power.data, torch.tensor([0.1, 1, 10], dtype=torch.float64))
    assert F.linspace(SR2.fill(0.0).dynamic_batch, SR2.fill(0.01).dynamic_batch, 20).batch_shape == (20,)


def test_comparisons_of_whole_values():
    assert F.equal(x, x.clone())
    assert not F.equal(x, x.sub_batch.flatten())
    assert F.allclose(x, x + SR2.full(fill_value=1e-12))
    assert not F.allclose(x, x * 1.1)
    with pytest.raises(TypeError):
        F.allclose(x, Vec.zeros())
    assert F.fullify(x) is x


# --- interpolation ------------------------------------------------------------------------------------------


def test_linear_interpolation_cells():
    X, Y = Scalar([0.0, 1.0, 3.0]), Scalar([0.0, 2.0, 0.0])
    at = Scalar([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0])
    assert F.linear_interpolation(at, X, Y).data.tolist() == [-2, 0, 1, 2, 1, 0, -1]
    slopes = F.jvp_linear_interpolation(at, X, Y, Scalar(1.0)).data
    assert slopes.tolist() == [2, 2, 2, -1, -1, -1, -1]  # at a node: the segment on its right
    assert F.linear_interpolation(at, Scalar([0.0, 1.0]), Scalar([0.0, 5.0])).data[-1] == 20
    assert torch.isnan(F.linear_interpolation(Scalar(torch.nan), X, Y).data)


def test_tables_broadcast():
    X = Scalar([0.0, 1.0])
    Y = Scalar([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    assert F.linear_interpolation(Scalar(0.5), X, Y).data.tolist() == [0.5, 1, 1.5]
    sub = F.linear_interpolation(Scalar([0.5, 1.0, 2.0, 3.0]), X, Y.sub_batch.retag(2))
    assert shapes(sub) == ((4,), (3,))
    assert sub.data[1].tolist() == [1, 2, 3]
    table = Vec(torch.arange(18, dtype=torch.float64).reshape(2, 3, 3), 2)
    at = F.bilinear_interpolation(Scalar([0.5, 1.0]), Scalar(1.0), X, Scalar([0.0, 1.0, 2.0], 1), table)
    assert at.data.tolist() == [[7.5, 8.5, 9.5], [12, 13, 14]]
    d1, d2 = F.bilinear_interpolation_slopes(Scalar(0.5), Scalar(1.0), X, Scalar([0.0, 1.0, 2.0], 1), table)
    assert d1.data.tolist() == [9, 9, 9]
    assert d2.data.tolist() == [3, 3, 3]


def test_table_errors():
    X = Scalar([0.0, 1.0])
    for wrong in (
        lambda: F.linear_interpolation(Scalar(0.0), X, Scalar([0.0, 1.0, 2.0])),
        lambda: F.linear_interpolation(Scalar(0.0), Scalar([0.0]), Scalar([0.0])),
        lambda: F.linear_interpolation(Scalar(0.0), Scalar(0.0), X),
        lambda: F.bilinear_interpolation(Scalar(0.0), Scalar(0.0), X, X, Scalar([0.0, 1.0])),
    ):
        with pytest.raises(ValueError, match="table|abscissae"):
            wrong()
    with pytest.raises(TypeError):
        F.linear_interpolation(0.0, X, X)
