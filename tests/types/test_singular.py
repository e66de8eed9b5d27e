"""Values and derivatives where formulas break down: zero, coincident rotations, half turns."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import neml2.types.functions as F
from neml2.types import MRP, R2, SR2, Quaternion, Scalar, Vec

D = torch.float64


def derivative(fn, x, order=1):
    x = torch.as_tensor(x, dtype=D).requires_grad_()
    y = fn(x)
    for _ in range(order):
        if not y.requires_grad:
            return torch.zeros_like(x)  # y is linear in x
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    return y.detach()


def test_norm_and_unit_at_zero():
    for eps in (0.0, 1e-12):
        assert F.norm(SR2.zeros(2), eps).data.tolist() == [math.sqrt(eps)] * 2
        assert derivative(lambda x, e=eps: F.norm(SR2(x), e).data, torch.zeros(2, 6)).abs().max() == 0
        slope = derivative(lambda x, e=eps: F.unit(Vec(x), e).data, torch.zeros(3))
        assert torch.isfinite(slope).all()
    assert F.unit(Vec.zeros()).data.tolist() == [0, 0, 0]
    assert torch.isfinite(derivative(lambda x: F.norm(Vec(x)).data, torch.zeros(3), 2)).all()


def test_unselected_branches_leave_no_nan():
    x = torch.tensor([-1.0, 0.0, 4.0], dtype=D, requires_grad=True)
    s = Scalar(x)
    for power in (F.sqrt, lambda s: F.pow(s, 0.5), lambda s: F.pow(s, 0.7), lambda s: F.pow(s, Scalar(0.7))):
        positive = F.where(F.gt(s, 0.0), s, s * 0.0)
        (g,) = torch.autograd.grad(F.where(F.gt(s, 0.0), power(positive), s * 0.0).data.sum(), x)
        assert torch.isfinite(g).all()
    for n in (0.7, Scalar(0.7)):
        (g,) = torch.autograd.grad(F.where(F.gt(s, 0.0), F.pow(s, n), s).data.sum(), x)
        assert torch.isfinite(g).all()


EXPONENTS = (-2.5, -2.0, -1.0, 0.0, 0.5, 0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 7.0, 17.0, 18.0, 33.5)


@pytest.mark.parametrize("n", EXPONENTS)
@pytest.mark.parametrize("kind", [float, Scalar])
def test_pow_agrees_with_the_exact_power(n, kind):
    a = torch.tensor([-3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0, math.inf, math.nan], dtype=D)
    if n == 0:
        assert torch.isnan(F.pow(Scalar(a[-1:]), kind(n)).data).all()  # a NaN stays visible
        a = a[:-2]
    result = F.pow(Scalar(a), kind(n)).data
    torch.testing.assert_close(result, torch.pow(a, n), rtol=1e-14, atol=0, equal_nan=True)


@pytest.mark.parametrize("n", EXPONENTS)
@pytest.mark.parametrize("kind", [float, Scalar])
def test_derivatives_of_pow_at_zero(n, kind):
    def slope(order):
        return derivative(lambda x: F.pow(Scalar(x), kind(n)).data, 0.0, order).item()

    if n >= 1:
        assert slope(1) == (1.0 if n == 1 else 0.0)
    if n >= 2 or n == 1:
        assert slope(2) == (2.0 if n == 2 else 0.0)
    if 0 < n < 1:
        assert slope(1) == 0.0


@pytest.mark.parametrize("n", [-1.5, 0.0, 0.5, 1.0, 2.0, 3.7])
def test_derivative_of_pow_in_the_exponent_at_zero(n):
    assert derivative(lambda n: F.pow(Scalar(0.0), Scalar(n)).data, n) == 0.0


@pytest.mark.parametrize("n", [1.0, 2.0, 3.0, 4.0])
def test_pow_checks_at_integral_exponents(n):
    a = torch.tensor([-1.3, -0.2, 0.4, 2.0], dtype=D, requires_grad=True)
    for kind in (float, Scalar):
        assert gradcheck(lambda a, k=kind: F.pow(Scalar(a), k(n)).data, (a,))
        assert gradgradcheck(lambda a, k=kind: F.pow(Scalar(a), k(n)).data, (a,))


def test_switches():
    x = Scalar([-2.0, 0.0, 3.0])
    assert F.sign(x).data.tolist() == [-1, 0, 1]
    assert F.heaviside(x).data.tolist() == [0, 0.5, 1]
    assert F.macaulay(x).data.tolist() == [0, 0, 3]
    assert derivative(lambda x: F.macaulay(Scalar(x)).data, [-2.0, 3.0]).tolist() == [0, 1]
    assert derivative(lambda x: F.abs(Scalar(x)).data, [-2.0, 0.0, 3.0]).tolist() == [-1, 0, 1]
    assert F.clamp(x, hi=1.0).data.tolist() == [-2, 0, 1]
    assert F.clamp(x, lo=-1.0).data.tolist() == [-1, 0, 3]
    assert F.clamp(x) is x


def test_hyperbolic_functions_keep_their_digits():
    x = torch.tensor([0.0, 1e-300, -1e-9, 0.1, -3.0, 700.0, -720.0], dtype=D)
    torch.testing.assert_close(F.sinh(Scalar(x)).data, torch.sinh(x), rtol=1e-15, atol=0)
    torch.testing.assert_close(F.cosh(Scalar(x)).data, torch.cosh(x), rtol=1e-15, atol=0)


# --- rotations ----------------------------------------------------------------------------------------------


def test_distance_of_equal_rotations():
    r = torch.tensor([0.1, -0.2, 0.3], dtype=D)
    for f in (F.gdist, F.dist):
        assert f(MRP(r), MRP(r)).data == 0
        assert derivative(lambda x, f=f: f(MRP(x), MRP(r)).data, r.clone()).tolist() == [0, 0, 0]
    q = F.to_quaternion(MRP(r)).data
    for same in (q, -q):
        assert F.quaternion_dist(Quaternion(same), Quaternion(q)).data == 0
        assert torch.isfinite(
            derivative(lambda x: F.quaternion_dist(Quaternion(x), Quaternion(q)).data, same)
        ).all()


def test_distance_is_the_angle_for_all_shadow_pairings():
    a, b = MRP.rand(200), MRP.rand(200)
    R = F.euler_rodrigues(a).data @ F.euler_rodrigues(b).data.mT
    angle = torch.acos(((R.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1))
    for x in (a, F.shadow(a)):
        for y in (b, F.shadow(b)):
            torch.testing.assert_close(F.dist(x, y).data, angle, rtol=1e-6, atol=1e-6)
    near = F.gdist(a, b).data
    far = F.gdist(F.shadow(a), b).data
    torch.testing.assert_close(near + far, torch.full_like(near, 2 * math.pi))
    torch.testing.assert_close(torch.minimum(near, far), F.dist(a, b).data)
    formula = (
        F.norm(Vec(a.data - b.data)).data
        / ((1 + a.data.square().sum(-1)) * (1 + b.data.square().sum(-1))).sqrt()
    )
    torch.testing.assert_close(near, 4 * torch.asin(formula.clamp(max=1.0)), rtol=1e-6, atol=1e-6)


def test_from_matrix_inverts_at_every_angle():
    axes = F.unit(Vec(torch.randn(20, 1, 3, dtype=D)))
    angles = Scalar(
        torch.cat([torch.linspace(0, math.pi, 40, dtype=D), math.pi - torch.logspace(-16, -3, 10, dtype=D)])
    )
    r = MRP.from_axis_angle(axes, angles)
    back = MRP.from_matrix(F.euler_rodrigues(r))
    assert F.norm(Vec(back.data)).data.max() <= 1 + 1e-14
    assert F.dist(back, r).data.max() < 1e-14 * 10
    half_turn = R2.fill(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    assert MRP.from_matrix(half_turn).data.tolist() == [0, 0, 1]
    assert MRP.from_matrix(R2.identity()).data.tolist() == [0, 0, 0]


def test_rotation_from_to():
    a, b = F.unit(Vec(torch.randn(50, 3, dtype=D))), F.unit(Vec(torch.randn(50, 3, dtype=D)))
    for x, y in ((a, b), (a, a), (a, -a), (Vec.fill(0, 0, -1), Vec.fill(0, 0, 1))):
        r = MRP.rotation_from_to(x, y)
        torch.testing.assert_close(
            F.rotate(x, F.euler_rodrigues(r)).data, y.data.expand_as(r.data), rtol=0, atol=1e-12
        )
        assert (F.vdot(Vec(r.data), x).data.abs() < 1e-14).all()


def test_random_rotations_are_uniform():
    g = torch.Generator().manual_seed(0)
    r = MRP.rand(20000, generator=g)
    assert r.data.square().sum(-1).max() <= 1
    mean = F.euler_rodrigues(r).data.mean(0)
    assert mean.abs().max() < 0.02  # 3 standard deviations of 0.577/sqrt(20000)
    angle = 4 * torch.atan(F.norm(Vec(r.data)).data)
    assert angle.mean().item() == pytest.approx(math.pi / 2 + 2 / math.pi, abs=0.02)
    assert MRP.rand(2, 3).batch_shape == (2, 3)
    assert MRP.rand().batch_shape == ()


def test_compositions():
    a, b = MRP.rand(30), MRP.rand(30)
    R = F.euler_rodrigues(F.compose(a, b)).data
    torch.testing.assert_close(R, (F.euler_rodrigues(a) @ F.euler_rodrigues(b)).data, rtol=0, atol=1e-9)
    assert torch.equal(F.inverse(a).data, -a.data)
    torch.testing.assert_close(
        F.quaternion_rotation_matrix(F.to_quaternion(a)).data, F.euler_rodrigues(a).data, rtol=0, atol=1e-14
    )
    assert torch.isnan(F.shadow(MRP.zeros()).data).all()


def test_hand_written_derivatives_agree_with_automatic_ones():
    from torch.func import jacrev, vmap

    a, b = torch.rand(5, 3, dtype=D) / 2, torch.rand(5, 3, dtype=D) / 2
    slope = vmap(jacrev(lambda a, b: F.compose(MRP(b), MRP(a)).data, argnums=(0, 1)))(a, b)
    torch.testing.assert_close(F.drotate_self(MRP(a), MRP(b)).data, slope[0])
    torch.testing.assert_close(F.drotate(MRP(a), MRP(b)).data, slope[1])
    only = F.jvp_compose(MRP(b), MRP(a), dr2=MRP(a)).data
    torch.testing.assert_close(only, (slope[0] @ a[..., None])[..., 0])
    assert F.jvp_compose(MRP(b), MRP(a)).data.abs().max() == 0


def test_rotate_fourth_order():
    C = torch.rand(6, 6, dtype=D)
    from neml2.types import SSR4

    R = F.euler_rodrigues(MRP.fill(0.1, 0.2, -0.3))
    a = SR2(torch.rand(6, dtype=D))
    direct = F.rotate(SSR4(C) @ a, R)
    rotated = F.rotate(SSR4(C), R) @ F.rotate(a, R)
    torch.testing.assert_close(rotated.data, direct.data)
