"""Operators: what combines with what, and how batch axes broadcast."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neml2.types import MRP, R2, SR2, SSR4, Scalar, Vec

s, a, m, C = Scalar(2.0), SR2.fill(1, 2, 3, 4, 5, 6), R2.fill(*range(9)), SSR4.identity_dev()


def test_results():
    for result, expected in (
        (a + a, 2 * a.data),
        (a * a, a.data**2),
        (a - s, a.data - 2),
        (a / s, a.data / 2),
        (s + a, a.data + 2),
        (s * a, a.data * 2),
        (3 * a, a.data * 3),
        (a / 4, a.data / 4),
        (+a, a.data),
        (-a, -a.data),
        (np.float64(3.0) * a, a.data * 3),
    ):
        assert type(result) is SR2
        assert torch.equal(result.data, expected)
    for result, expected in (
        (s + 1, 3.0),
        (1 + s, 3.0),
        (1 - s, -1.0),
        (s - 1, 1.0),
        (5 / s, 2.5),
        (s / 5, 0.4),
        (s**3, 8.0),
        (s**s, 4.0),
        (abs(-s), 2.0),
        (np.float32(1.0) + s, 3.0),
        (np.int64(1) - s, -1.0),
    ):
        assert type(result) is Scalar
        assert result.data.item() == expected
    assert torch.equal((m @ m).data, m.data @ m.data)
    assert torch.allclose((C @ a).data, C.data @ a.data)
    assert torch.allclose((C @ C).data, C.data @ C.data)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: s - a,
        lambda: s / a,
        lambda: 1 / a,
        lambda: a + 1,
        lambda: 1 + a,
        lambda: 1 - a,
        lambda: a - 1.0,
        lambda: a + m,
        lambda: a * Vec.zeros(),
        lambda: Vec.zeros() + MRP.zeros(),
        lambda: m @ a,
        lambda: m @ Vec.zeros(),
        lambda: C @ m,
        lambda: s + "1",
        lambda: s * torch.ones(2),
        lambda: torch.ones(2) * s,
        lambda: np.ones(2) * s,
        lambda: a + None,
        lambda: s**a,
        lambda: a > s,
    ],
)
def test_refused(wrong):
    with pytest.raises(TypeError):
        wrong()


def test_the_message_says_what_to_do():
    with pytest.raises(
        TypeError, match=r"SR2 \+ int is not defined; a number can only scale a SR2; use SR2.full"
    ):
        a + 1
    with pytest.raises(TypeError, match=r"wrap the torch.Tensor"):
        a * torch.ones(6)
    with pytest.raises(TypeError, match=r"R2 @ SR2 is not defined; .*r2_from_sr2"):
        m @ a


def test_sub_batch_axes_stay_left_of_the_base():
    x = SR2(torch.rand(5, 6))  # batch (5,)
    y = Scalar(torch.rand(3), 1)  # sub-batch (3,)
    z = x * y
    assert (z.dynamic_batch_shape, z.sub_batch_shape) == ((5,), (3,))
    assert torch.equal(z.data, x.data[:, None, :] * y.data[None, :, None])
    assert torch.equal((y * x).data, z.data)
    two = Scalar(torch.rand(5, 2, 3), 2) + Scalar(torch.rand(5, 3), 1)
    assert (two.dynamic_batch_shape, two.sub_batch_shape) == ((5,), (2, 3))
    product = SSR4(torch.rand(4, 6, 6), 1) @ SR2(torch.rand(7, 6))
    assert (product.dynamic_batch_shape, product.sub_batch_shape) == ((7,), (4,))


def test_scalar_applies_to_every_component_of_every_type():
    f = Scalar(torch.tensor([1.0, 2.0]))
    for x in (R2.ones(2), SSR4.ones(2), Vec.ones(2)):
        assert torch.equal((x * f).data[1], 2 * x.data[1])
        assert torch.equal((x * f).data[0], x.data[0])
