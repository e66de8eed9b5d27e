"""Closed forms of integration in time, interpolation and other common models."""

from __future__ import annotations

import math

import torch

from neml2 import models
from neml2.composed import ComposedModel
from neml2.types import MRP, R2, SR2, WR2, Scalar, Vec, euler_rodrigues, exp_map
from tests.models.closed_forms.form import (
    EXACT,
    F64,
    ClosedForm,
    last,
    ode,
    relative,
    run,
    sum_of,
    update,
)

L = torch.tensor([[0.1, 0.4, -0.2], [0.3, -0.2, 0.1], [-0.1, 0.2, 0.3]], dtype=F64)
AXIS = torch.tensor([0.6, 0.0, 0.8], dtype=F64)
TURN = models.WR2ExplicitExponentialTimeIntegration(variable="q")


def backward_euler(n):
    found = run(ode(Scalar, sum_of("y_rate", y=-1.3)), 1.0, n, {"y": 2.0})
    return relative(last(found, "y"), 2 * math.exp(-1.3))


def forward_euler(n):
    step = models.ScalarForwardEulerTimeIntegration(variable="y")
    rate = models.ScalarLinearCombination(**{"from": "y~1", "to": "y_rate", "weights": -1.3}, name="rate")
    found = run(ComposedModel([rate, step]), 1.0, n, {"y": 2.0})
    return relative(last(found, "y"), 2 * math.exp(-1.3))


def relaxing_tensor(n):
    """Y' = A - y / tau, for all components."""
    target = torch.tensor([0.8, -0.3, 0.5, 0.2, -0.7, 0.4], dtype=F64)
    rate = models.SR2LinearCombination(**{"from": "A y", "to": "y_rate", "weights": [1.0, -2.0]}, name="rate")
    found = run(ode(SR2, rate), 0.8, n, {"y": SR2(0 * target)}, A=target)
    return relative(last(found, "y"), target / 2 * (1 - math.exp(-1.6)))


def flow_of_a_velocity_gradient(n):
    rate = models.R2Multiplication(A="L", B="y", to="y_rate")
    model = ode(R2, rate)
    found = run(model, 1.0, n, {"y": R2(torch.eye(3, dtype=F64))}, L=lambda t: R2(L.expand(*t.shape, 3, 3)))
    return relative(last(found, "y"), torch.linalg.matrix_exp(L))


def nilpotent_velocity_gradient(n):
    """Simple shear: the steps of backward Euler are those of the exponential."""
    slide = torch.tensor([[0.0, 0.7, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=F64)
    model = ode(R2, models.R2Multiplication(A="L", B="y", to="y_rate"))
    one = torch.eye(3, dtype=F64)
    found = run(model, 2.0, n, {"y": R2(one)}, L=lambda t: R2(slide.expand(*t.shape, 3, 3)))
    return relative(last(found, "y"), one + 2 * slide)


def constant_spin(n):
    found = run(
        TURN,
        2.0,
        n,
        {"q": MRP(torch.zeros(3, dtype=F64))},
        q_rate=lambda t: WR2((0.7 * AXIS).expand(*t.shape, 3)),
    )
    return relative(last(found, "q"), math.tan(1.4 / 4) * AXIS)


def growing_spin(n):
    """The spin at the end of each step stands for the whole of it."""
    found = run(
        TURN, 1.0, n, {"q": MRP(torch.zeros(3, dtype=F64))}, q_rate=lambda t: WR2(2 * t[:, None] * AXIS)
    )
    return relative(last(found, "q"), math.tan(1.0 / 4) * AXIS)


def precessing_spin(n):
    """A spin that itself turns about z: seen from its frame the body turns about a fixed axis."""
    about, spin = torch.tensor([0.0, 0.0, 0.9], dtype=F64), torch.tensor([0.7, 0.0, 0.4], dtype=F64)

    def precession(t):
        c, s = torch.cos(0.9 * t), torch.sin(0.9 * t)
        return WR2(torch.stack([0.7 * c, 0.7 * s, 0.4 + 0 * t], -1))

    found = run(TURN, 1.0, n, {"q": MRP(torch.zeros(3, dtype=F64))}, q_rate=precession)
    exact = euler_rodrigues(exp_map(WR2(about))).data @ euler_rodrigues(exp_map(WR2(spin - about))).data
    return relative(euler_rodrigues(MRP(last(found, "q"))).data, exact)


def rate_of_a_path(n):
    model = models.VecVariableRate(variable="x")
    found = run(model, 1.0, n, x=lambda t: Vec(torch.stack([torch.sin(2 * t), torch.cos(2 * t), t * t], -1)))
    return relative(last(found, "x_rate"), [2 * math.cos(2), -2 * math.sin(2), 2.0])


def table_of_a_sine(n):
    nodes = torch.linspace(0, 2, n + 1, dtype=F64)
    model = models.ScalarLinearInterpolation(
        argument="x", abscissa=Scalar(nodes), ordinate=Scalar(torch.sin(nodes))
    )
    middles = (nodes[1:] + nodes[:-1]) / 2
    return relative(model(Scalar(middles)), torch.sin(middles))


def table_of_two_arguments(n):
    nodes = torch.linspace(0, 2, n + 1, dtype=F64)
    function = lambda x, y: torch.exp(-x) * torch.sin(2 * y)  # noqa: E731
    model = models.ScalarBilinearInterpolation(
        argument1="x",
        argument2="y",
        abscissa1=Scalar(nodes),
        abscissa2=Scalar(nodes),
        ordinate=Scalar(function(nodes[:, None], nodes)),
    )
    middles = (nodes[1:] + nodes[:-1]) / 2
    x, y = torch.meshgrid(middles, middles, indexing="ij")
    return relative(model(Scalar(x), Scalar(y)), function(x, y))


def smooth_step_as_a_rate(n):
    """The step is point-symmetric: its integral is that of a jump in the middle."""
    step = models.HermiteSmoothStep(argument="x", value="y_rate", lower_bound=0.2, upper_bound=0.8)
    found = run(ode(Scalar, step), 1.1, n, {"y": 0.0}, x=lambda t: t)
    return relative(last(found, "y"), 0.6)


def reaction_of_arrhenius(n):
    """With 1 / T falling linearly in time the rate is an exponential of time."""
    law = models.ArrheniusParameter(
        reference_value=200.0, activation_energy=5000.0, ideal_gas_constant=8.314, temperature="T", name="k"
    )
    rate = models.ScalarMultiplication(**{"from": "k y", "to": "y_rate", "scaling": -1.0}, name="rate")
    found = run(ode(Scalar, law, rate), 1.0, n, {"y": 1.0}, T=lambda t: 5000 / 8.314 / (9.0 - 2.0 * t))
    return relative(last(found, "y"), math.exp(-100.0 * (math.exp(-7.0) - math.exp(-9.0))))


def contact(n):
    """A point that falls at the rate 1 from the height 0.6 and stays on the ground."""
    height = sum_of("h", fallen=-1.0, reaction=1.0)
    free = models.MinMapComplementarity(
        a="h", b="reaction", a_inequality="GE", b_inequality="GE", complementarity="c"
    )
    model = update({}, height, free, also={"reaction": "c"})
    found = run(model, 1.0, n, {"reaction": 0.0}, fallen=lambda t: t - 0.6)
    return relative(found["reaction"].data[1:], (found.time[1:] - 0.6).clamp(min=0))


FORMS = [
    ClosedForm("decay by backward Euler", "y = y_0 e^{-kt}", 1, backward_euler),
    ClosedForm("decay by forward Euler", "y = y_0 e^{-kt}", 1, forward_euler),
    ClosedForm("a tensor that relaxes", r"y = \tau A (1 - e^{-t/\tau})", 1, relaxing_tensor),
    ClosedForm("a constant velocity gradient", "F = e^{Lt}", 1, flow_of_a_velocity_gradient),
    ClosedForm("simple shear", r"F = I + \dot\gamma t\, d \otimes n", EXACT, nilpotent_velocity_gradient),
    ClosedForm("rotation at a constant spin", r"r = a \tan(\omega t/4)", EXACT, constant_spin),
    ClosedForm("rotation at a growing spin", r"r = a \tan(\omega' t^2/8)", 1, growing_spin),
    ClosedForm(
        "rotation at a spin that precesses", r"Q = e^{\Omega t} e^{(\omega_0 - \Omega) t}", 1, precessing_spin
    ),
    ClosedForm("rate of a path", r"\dot x(t)", 1, rate_of_a_path),
    ClosedForm("table of a sine", r"\sin x", 2, table_of_a_sine),
    ClosedForm("table of two arguments", r"e^{-x} \sin 2y", 2, table_of_two_arguments),
    ClosedForm("a reaction that is heated", r"y = e^{-\int k\, dt}", 1, reaction_of_arrhenius),
    ClosedForm("contact", r"r = \max(-h, 0)", EXACT, contact),
]
