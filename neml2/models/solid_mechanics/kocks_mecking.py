"""The Kocks-Mecking description of flow: rate and temperature in one normalised activation energy.

See Kocks and Mecking (2003), Progress in Materials Science 48.
"""

from __future__ import annotations

import math

from neml2.fields import BLOCK_NAME, Input, Option, Output, Parameter
from neml2.model import Model
from neml2.types import Scalar, exp, log, tanh

_SHEAR_MODULUS = Parameter("shear_modulus", "Shear modulus", within="(0, inf)", unit="stress")
_BOLTZMANN = Option("Boltzmann constant", within="(0, inf)", unit="energy/temperature")
_BURGERS = Option("Length of the Burgers vector", within="(0, inf)", unit="length")
_REFERENCE_RATE = Option("Reference strain rate", within="(0, inf)", unit="1/time")


class KocksMeckingActivationEnergy(Model):
    r"""Normalised activation energy of flow.

    .. math:: g = \frac{k T}{\mu b^3} \ln\frac{\dot\varepsilon_0}{\dot\varepsilon}
    """

    temperature: Scalar = Input("Temperature", unit="temperature")
    strain_rate: Scalar = Input("Effective strain rate", unit="1/time")
    activation_energy: Scalar = Output("Normalised activation energy")
    mu: Scalar = _SHEAR_MODULUS
    eps0: float = _REFERENCE_RATE
    k: float = _BOLTZMANN
    b: float = _BURGERS

    def forward(self, T, rate, mu):
        return self.k * T / (mu * self.b**3) * log(self.eps0 / rate)


class KocksMeckingRateSensitivity(Model):
    r"""Exponent of the flow rate.

    .. math:: n = -\frac{\mu b^3}{k T A}
    """

    temperature: Scalar = Input("Temperature", unit="temperature")
    rate_sensitivity: Scalar = Output("Exponent of the flow rate")
    A: Scalar = Parameter("A", "Slope of the Kocks-Mecking line", within="(-inf, 0)")
    mu: Scalar = _SHEAR_MODULUS
    k: float = _BOLTZMANN
    b: float = _BURGERS

    def forward(self, T, A, mu):
        return -mu * self.b**3 / (self.k * T * A)


class KocksMeckingFlowViscosity(Model):
    r"""Reference stress of the flow rate.

    .. math:: \eta = \mu\, e^B \dot\varepsilon_0^{\,k T A/(\mu b^3)}
    """

    temperature: Scalar = Input("Temperature", unit="temperature")
    viscosity: Scalar = Output("Reference stress", default=BLOCK_NAME, unit="stress")
    A: Scalar = Parameter("A", "Slope of the Kocks-Mecking line", within="(-inf, 0)")
    B: Scalar = Parameter("B", "Intercept of the Kocks-Mecking line")
    mu: Scalar = _SHEAR_MODULUS
    eps0: float = _REFERENCE_RATE
    k: float = _BOLTZMANN
    b: float = _BURGERS

    def forward(self, T, A, B, mu):
        return mu * exp(B + self.k * T * A / (mu * self.b**3) * math.log(self.eps0))


class KocksMeckingIntercept(Model):
    r"""Activation energy at which the sloped and the level Kocks-Mecking line meet.

    .. math:: g_0 = \frac{C - B}{A}
    """

    intercept: Scalar = Output("Normalised activation energy where the lines meet")
    A: Scalar = Parameter("A", "Slope of the sloped line", within="(-inf, 0)")
    B: Scalar = Parameter("B", "Intercept of the sloped line")
    C: Scalar = Parameter("C", "Height of the level line")

    def forward(self, A, B, C):
        return (C - B) / A


class KocksMeckingYieldStress(Model):
    r"""Yield stress below the threshold of rate dependence.

    .. math:: \sigma_y = \mu\, e^C
    """

    yield_stress: Scalar = Output("Yield stress", unit="stress")
    C: Scalar = Parameter("C", "Height of the level Kocks-Mecking line")
    mu: Scalar = _SHEAR_MODULUS

    def forward(self, C, mu):
        return mu * exp(C)


class KocksMeckingFlowSwitch(Model):
    r"""Smooth transition from rate-independent to rate-dependent flow.

    .. math:: \dot\gamma = w \dot\gamma_{rd} + (1 - w) \dot\gamma_{ri}, \qquad
              w = \tfrac12 \left(1 + \tanh s (g - g_0)\right)
    """

    activation_energy: Scalar = Input("Normalised activation energy")
    rate_independent_flow_rate: Scalar = Input("Flow rate below the threshold", unit="1/time")
    rate_dependent_flow_rate: Scalar = Input("Flow rate above the threshold", unit="1/time")
    flow_rate: Scalar = Output("Rate of the plastic multiplier", unit="1/time")
    g0: Scalar = Parameter("g0", "Threshold of the activation energy")
    sharpness: float = Option("Steepness of the transition", default=1.0, within="(0, inf)")

    def forward(self, g, ri, rd, g0):
        w = 0.5 * (1 + tanh(self.sharpness * (g - g0)))
        return w * rd + (1 - w) * ri
