"""Rates and integrals over one time step."""

from __future__ import annotations

from typing import Generic, TypeVar

from neml2.fields import Input, Output
from neml2.model import Model, for_types
from neml2.types import MRP, R2, SR2, WR2, Scalar, TensorWrapper, Vec, compose, exp_map

T = TypeVar("T", bound=TensorWrapper)


class BackwardEulerTimeIntegration(Model, Generic[T]):
    r"""Residual of an implicit (backward Euler) time step.

    .. math:: r = s - s_n - (t - t_n)\, \dot s
    """

    s: T = Input("The variable to integrate", option="variable")
    s_n: T = Input("Its value before the step", of="s", suffix="~1")
    t: Scalar = Input("Time at the end of the step", option="time", default="t", unit="time")
    t_n: Scalar = Input("Time before the step", of="t", suffix="~1", unit="time")
    s_dot: T = Input("Rate of the variable", option="rate", of="s", suffix="_rate")
    r: T = Output("Residual of the step", of="s", suffix="_residual")

    def forward(self, s, s_n, t, t_n, s_dot):
        return s - s_n - (t - t_n) * s_dot


class ForwardEulerTimeIntegration(Model, Generic[T]):
    r"""Value after an explicit (forward Euler) time step.

    .. math:: s = s_n + (t - t_n)\, \dot s
    """

    s: T = Output("The variable to integrate", option="variable")
    s_n: T = Input("Its value before the step", option="old_variable", of="s", suffix="~1")
    t: Scalar = Input("Time at the end of the step", option="time", default="t", unit="time")
    t_n: Scalar = Input("Time before the step", of="t", suffix="~1", unit="time")
    s_dot: T = Input("Rate of the variable", option="rate", of="s", suffix="_rate")

    def forward(self, s_n, t, t_n, s_dot):
        return s_n + (t - t_n) * s_dot


class VariableRate(Model, Generic[T]):
    r"""Mean rate of a variable over the time step.

    .. math:: \dot s = \frac{s - s_n}{t - t_n}
    """

    s: T = Input("The variable", option="variable")
    s_n: T = Input("Its value before the step", of="s", suffix="~1")
    t: Scalar = Input("Time at the end of the step", option="time", default="t", unit="time")
    t_n: Scalar = Input("Time before the step", of="t", suffix="~1", unit="time")
    s_dot: T = Output("Rate of the variable", of="s", suffix="_rate")

    def forward(self, s, s_n, t, t_n):
        return (s - s_n) / (t - t_n)


class WR2ExplicitExponentialTimeIntegration(Model):
    r"""Orientation after an explicit time step along the exponential map of a spin.

    .. math:: q = \exp\left((t - t_n)\,\omega\right) \circ q_n

    Simo and Vu-Quoc (1986), Comput. Methods Appl. Mech. Eng. 58, 79-116.
    """

    q: MRP = Output("The orientation to integrate", option="variable")
    q_n: MRP = Input("The orientation before the step", of="q", suffix="~1")
    t: Scalar = Input("Time at the end of the step", option="time", default="t", unit="time")
    t_n: Scalar = Input("Time before the step", of="t", suffix="~1", unit="time")
    omega: WR2 = Input("Spin", option="rate", of="q", suffix="_rate", unit="1/time")

    def forward(self, q_n, t, t_n, omega):
        return compose(exp_map((t - t_n) * omega), q_n)


class WR2ImplicitExponentialTimeIntegration(Model):
    r"""Residual of an implicit time step of an orientation along the exponential map of a spin.

    The difference is taken component by component: both orientations belong to the same set of parameters.

    .. math:: r = q - \exp\left((t - t_n)\,\omega\right) \circ q_n

    Simo and Vu-Quoc (1986), Comput. Methods Appl. Mech. Eng. 58, 79-116.
    """

    q: MRP = Input("The orientation to integrate", option="variable")
    q_n: MRP = Input("The orientation before the step", of="q", suffix="~1")
    t: Scalar = Input("Time at the end of the step", option="time", default="t", unit="time")
    t_n: Scalar = Input("Time before the step", of="t", suffix="~1", unit="time")
    omega: WR2 = Input("Spin", option="rate", of="q", suffix="_rate", unit="1/time")
    r: MRP = Output("Residual of the step", of="q", suffix="_residual")

    def forward(self, q, q_n, t, t_n, omega):
        return q - compose(exp_map((t - t_n) * omega), q_n)


for_types(BackwardEulerTimeIntegration, Scalar, SR2, R2, Vec)
for_types(ForwardEulerTimeIntegration, Scalar, SR2, R2)
for_types(VariableRate, Scalar, Vec, SR2, R2)
