"""Kinematic hardening: the back stress and its recovery."""

from __future__ import annotations

import torch

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import SR2, Scalar, norm, pow


class LinearKinematicHardening(Model):
    r"""Back stress in proportion to the kinematic plastic strain (Prager, 1956).

    .. math:: X = H K^p
    """

    kinematic_plastic_strain: SR2 = Input("Kinematic plastic strain", unit="strain")
    back_stress: SR2 = Output("Back stress", unit="stress")
    H: Scalar = Parameter("hardening_modulus", "Slope of hardening", unit="stress")

    def forward(self, Kp, H):
        return H * Kp


class FredrickArmstrongPlasticHardening(Model):
    r"""Back stress that saturates with plastic flow (Armstrong and Frederick, 1966).

    .. math:: \dot X = \left(\tfrac23 C N - g X\right) \dot\gamma
    """

    flow_rate: Scalar = Input("Rate of the plastic multiplier", unit="1/time")
    flow_direction: SR2 = Input("Direction of plastic flow")
    back_stress: SR2 = Input("Back stress", unit="stress")
    back_stress_rate: SR2 = Output(
        "Rate of the back stress", of="back_stress", suffix="_rate", unit="stress/time"
    )
    C: Scalar = Parameter("C", "Hardening modulus", unit="stress")
    g: Scalar = Parameter("g", "Dynamic recovery per unit strain")

    def forward(self, gamma, N, X, C, g):
        return (2 / 3 * C * N - g * X) * gamma


class ChabochePlasticHardening(Model):
    r"""Back stress with dynamic and static recovery (Chaboche, 1989).

    .. math:: \dot X = \left(\tfrac23 C N - g X\right) \dot\gamma - A\, s^{a-1} X, \qquad
              s = \sqrt{X : X + \epsilon}
    """

    flow_rate: Scalar = Input("Rate of the plastic multiplier", unit="1/time")
    flow_direction: SR2 = Input("Direction of plastic flow")
    back_stress: SR2 = Input("Back stress", unit="stress")
    back_stress_rate: SR2 = Output(
        "Rate of the back stress", of="back_stress", suffix="_rate", unit="stress/time"
    )
    C: Scalar = Parameter("C", "Hardening modulus", unit="stress")
    g: Scalar = Parameter("g", "Dynamic recovery per unit strain")
    A: Scalar = Parameter(
        "A", "Rate of static recovery at unit back stress", within="[0, inf)", unit="stress^(1-a)/time"
    )
    a: Scalar = Parameter("a", "Exponent of static recovery", within="(0, inf)")

    def forward(self, gamma, N, X, C, g, A, a):
        s = norm(X, eps=torch.finfo(X.dtype).eps)
        return (2 / 3 * C * N - g * X) * gamma - A * pow(s, a - 1) * X


class PowerLawKinematicHardeningStaticRecovery(Model):
    r"""Recovery of a back stress with time.

    .. math:: \dot X = -\left(\frac{s}{\tau}\right)^{n-1} \frac{X}{\tau}, \qquad s = \sqrt{X : X + \epsilon}
    """

    back_stress: SR2 = Input("Back stress", unit="stress")
    back_stress_rate: SR2 = Output(
        "Rate of the back stress", of="back_stress", suffix="_rate", unit="stress/time"
    )
    tau: Scalar = Parameter("tau", "Back stress that recovers at unit rate", within="(0, inf)", unit="stress")
    n: Scalar = Parameter("n", "Exponent of recovery", within="(0, inf)")

    def forward(self, X, tau, n):
        s = norm(X, eps=torch.finfo(X.dtype).eps)
        return -pow(s / tau, n - 1) * X / tau
