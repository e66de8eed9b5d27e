"""What every function of points keeps: bits, derivatives, dtype, sub-batch axes, traceability."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.fx.experimental.proxy_tensor import make_fx

import neml2.types as types
import neml2.types.functions as F
from tests.types.point_functions import CASES, Case

each_case = pytest.mark.parametrize("case", CASES, ids=str)
N = 1001  # odd, and more than any vector register or unrolled loop takes at once


def wrapped(case: Case, data, n=0):
    return case.fn(*(a.cls(d, n) for a, d in zip(case.args, data, strict=True)))


def value_and_gradients(case: Case, data, weights):
    data = [d.detach().requires_grad_() for d in data]
    out = wrapped(case, data).data
    gradients = torch.autograd.grad(out, data, weights.expand(out.shape), allow_unused=True)
    return [out.detach(), *(g for g in gradients if g is not None)]


def samples(case: Case, *batch, dtype=torch.float64):
    return [a.sample(*batch, seed=i, dtype=dtype) for i, a in enumerate(case.args)]


@each_case
def test_a_point_has_the_same_bits_alone_and_in_any_batch(case):
    data = samples(case, N)
    out = wrapped(case, data).data
    weights = torch.rand(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    whole = value_and_gradients(case, data, weights)
    slices = [slice(n * 3, n * 4) for n in range(1, 41)] + [slice(N - n, N) for n in (1, 2, 3, 5)]
    for piece in slices:
        part = value_and_gradients(case, [d[piece] for d in data], weights[piece])
        for a, b in zip(whole, part, strict=True):
            assert torch.equal(a[piece], b), piece
    for i in (0, 1, 7, 500, N - 1):  # unbatched, in memory of its own
        point = value_and_gradients(case, [d[i].clone() for d in data], weights[i].clone())
        for a, b in zip(whole, point, strict=True):
            assert torch.equal(a[i], b), i


@each_case
def test_memory_layout_does_not_change_the_bits(case):
    data = samples(case, 37)
    strided = [torch.empty_strided(d.shape, reversed_strides(d.shape), dtype=d.dtype).copy_(d) for d in data]
    assert torch.equal(wrapped(case, strided).data, wrapped(case, data).data)


def reversed_strides(shape):
    strides, step = [], 1
    for n in shape:
        strides.append(step)
        step *= n
    return strides


@each_case
def test_first_and_second_derivatives(case):
    data = [d.requires_grad_() for d in samples(case, 2)]

    def f(*x):
        return wrapped(case, x).data

    assert gradcheck(f, data)
    assert gradgradcheck(f, data)


@each_case
def test_float32_stays_float32(case):
    if "interpolation" in case.name:
        pytest.skip("the tables of these cases are float64")
    out = wrapped(case, samples(case, 3, dtype=torch.float32))
    assert out.dtype == torch.float32
    reference = wrapped(case, samples(case, 3))
    torch.testing.assert_close(out.data.double(), reference.data, rtol=2e-3, atol=2e-4)


@each_case
def test_sub_batch_axes_broadcast(case):
    """Argument i has its own dynamic or sub-batch axis; the result is that of the expanded arguments."""
    shapes = [((5,), (3,)), ((5,), ()), ((), (3,)), ((), (1,))]
    data, typed = [], []
    for i, a in enumerate(case.args):
        dynamic, sub = shapes[i % 4]
        x = a.sample(*dynamic, *sub, seed=i)
        typed.append(a.cls(x, len(sub)))
        inner = x.reshape(*(dynamic or (1,)), *(sub or (1,)), *a.cls.BASE_SHAPE)
        data.append(inner.expand(5, 3, *a.cls.BASE_SHAPE))
    out = case.fn(*typed)
    assert out.sub_batch_ndim == 1
    assert out.batch_shape == (5, 3)
    full = wrapped(case, data)
    assert torch.equal(out.data, full.data)


@each_case
def test_can_be_traced_at_a_point(case):
    data = samples(case)
    graph = make_fx(lambda *x: wrapped(case, x).data)(*data)
    assert torch.equal(graph(*data), wrapped(case, data).data)


def test_every_public_function_is_in_the_table():
    covered = {c.name.split("(")[0].split(",")[0] for c in CASES} | {"gt", "lt", "where"}
    elsewhere = {"cat", "diff", "linspace", "logspace", "mean", "stack", "sum", "sum_sub_batch"}
    elsewhere |= {"equal", "allclose", "fullify"}
    assert set(F.__all__) - covered - elsewhere == set()
    assert set(F.__all__) >= {n for n in types.__all__ if n[0].islower() and n != "align_sub_batch"}
