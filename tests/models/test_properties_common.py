"""Properties of common models at random points."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neml2 import Scalar, models
from neml2.types import MRP, R2, SR2, WR2, compose, det, rotate

number = st.floats(-2.0, 2.0, allow_subnormal=False)
positive = st.floats(0.01, 2.0)


def components(n: int):
    return st.lists(number, min_size=n, max_size=n).map(lambda x: torch.tensor(x, dtype=torch.float64))


rotation = components(3).map(lambda r: MRP(r / 4))
quick = settings(max_examples=30, deadline=None)
to_matrix = models.RotationMatrix(**{"from": "r", "to": "R"})


def close(a: torch.Tensor, b: torch.Tensor, scale: float = 1.0) -> bool:
    return torch.allclose(a, b, rtol=0, atol=1e-12 * scale)


@quick
@given(components(6), rotation)
def test_invariants_do_not_depend_on_the_frame(a, r):
    A, R = SR2(a), to_matrix(r)
    for model in (
        models.SR2Invariant(invariant_type="I1"),
        models.SR2Invariant(invariant_type="VONMISES"),
        models.SR2Invariant(invariant_type="EFFECTIVE_STRAIN"),
        models.SR2Determinant(),
    ):
        # the von Mises norm of a spherical tensor is of the size of the square root of the round-off
        assert torch.allclose(model(rotate(A, R)).data, model(A).data, rtol=1e-10, atol=1e-6)


@quick
@given(rotation, rotation)
def test_rotation_matrices_are_orthogonal_and_compose(q, p):
    Q, P = to_matrix(q), to_matrix(p)
    identity = torch.eye(3, dtype=torch.float64)
    assert close(Q.data @ Q.data.T, identity)
    assert math.isclose(float(det(Q).data), 1.0, abs_tol=1e-12)
    product = models.R2Multiplication()(Q, P)
    assert close(to_matrix(compose(q, p)).data, product.data, 10)


@quick
@given(components(9), components(9))
def test_the_determinant_of_a_product(a, b):
    A, B = R2(a.reshape(3, 3)), R2(b.reshape(3, 3))
    J = models.R2Determinant()
    assert close(J(models.R2Multiplication()(A, B)).data, J(A).data * J(B).data, 1e4)


@quick
@given(components(9))
def test_a_tensor_is_its_symmetric_and_its_skew_part(a):
    A = R2(a.reshape(3, 3))
    S = models.SR2ToR2()(models.R2ToSR2()(A)).data
    w = models.R2ToWR2()(A).data
    W = torch.stack([torch.linalg.cross(w, e) for e in torch.eye(3, dtype=torch.float64)], 1)
    assert close(S + W, A.data)


@quick
@given(rotation, components(3), positive)
def test_two_half_steps_of_a_constant_spin_are_one_step(q, w, dt):
    model = models.WR2ExplicitExponentialTimeIntegration(variable="q")
    spin = WR2(w)

    def step(q, t, t_n):
        return model(q, Scalar(t), Scalar(t_n), spin)

    once, twice = step(q, dt, 0.0), step(step(q, dt / 2, 0.0), dt, dt / 2)
    assert close(to_matrix(once).data, to_matrix(twice).data, 1e3)


@quick
@given(number, number)
def test_complementary_conditions_are_the_roots(a, b):
    minimum, smooth = models.MinMapComplementarity(), models.FBComplementarity()
    f, g = Scalar(-abs(a)), Scalar(abs(b))  # -f >= 0, g >= 0
    assert float(minimum(f, g).data) == min(abs(a), abs(b))
    residual = abs(a) + abs(b) - math.sqrt(a * a + b * b + 2.220446049250313e-16)
    assert math.isclose(float(smooth(f, g).data), residual, abs_tol=1e-15)
    assert abs(float(smooth(f, Scalar(0.0)).data)) <= 1.5e-8


@quick
@given(number)
def test_a_scalar_is_the_sum_of_its_parts(x):
    plus, minus = models.MacaulaySplit()(Scalar(x))
    assert float((plus + minus).data) == x
    assert float(plus.data) == max(x, 0.0)


@quick
@given(st.floats(-10.0, 10.0), number, number)
def test_a_table_of_a_line_is_that_line(x, slope, start):
    X = [-3.0, -1.0, 0.5, 0.75, 4.0]
    model = models.ScalarLinearInterpolation(abscissa=X, ordinate=[start + slope * v for v in X])
    assert math.isclose(model(Scalar(x)).data.item(), start + slope * x, abs_tol=1e-12)


@quick
@given(components(6), components(6), positive)
def test_backward_and_forward_euler_agree_on_a_constant_rate(s_n, rate, dt):
    times = {"t": dt, "t~1": 0.0}
    forward = models.SR2ForwardEulerTimeIntegration(variable="s")
    s = forward.call_by_name({"s~1": s_n, "s_rate": rate, **times})["s"]
    backward = models.SR2BackwardEulerTimeIntegration(variable="s")
    r = backward.call_by_name({"s": s, "s~1": s_n, "s_rate": rate, **times})["s_residual"]
    assert close(r.data, torch.zeros(6, dtype=torch.float64))
    found = models.SR2VariableRate(variable="s").call_by_name({"s": s, "s~1": s_n, **times})["s_rate"]
    assert close(found.data, rate, 1 / dt)
