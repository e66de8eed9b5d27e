"""Isotropic hardening: growth of the yield stress, and its static recovery."""

from __future__ import annotations

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import Scalar, abs, exp, pow, sign


class LinearIsotropicHardening(Model):
    r"""Isotropic hardening in proportion to the plastic strain.

    .. math:: k = K \bar\varepsilon^p
    """

    equivalent_plastic_strain: Scalar = Input("Accumulated plastic strain", unit="strain")
    isotropic_hardening: Scalar = Output("Isotropic hardening", unit="stress")
    K: Scalar = Parameter("hardening_modulus", "Slope of hardening", unit="stress")

    def forward(self, ep, K):
        return K * ep


class VoceIsotropicHardening(Model):
    r"""Isotropic hardening that saturates exponentially (Voce, 1948).

    .. math:: k = R \left(1 - e^{-d\,\bar\varepsilon^p}\right)
    """

    equivalent_plastic_strain: Scalar = Input("Accumulated plastic strain", unit="strain")
    isotropic_hardening: Scalar = Output("Isotropic hardening", unit="stress")
    R: Scalar = Parameter("saturated_hardening", "Hardening at saturation", unit="stress")
    d: Scalar = Parameter("saturation_rate", "Rate of saturation per unit strain", within="[0, inf)")

    def forward(self, ep, R, d):
        return R * (1 - exp(-d * ep))


class SlopeSaturationVoceIsotropicHardening(Model):
    r"""Voce hardening as a rate, given by its initial slope; a negative saturation value softens.

    .. math:: \dot k = \mathrm{sign}(R)\,\theta_0 \left(1 - \frac{k}{R}\right) \dot\gamma
    """

    flow_rate: Scalar = Input("Rate of the plastic multiplier", unit="1/time")
    isotropic_hardening: Scalar = Input("Isotropic hardening", unit="stress")
    isotropic_hardening_rate: Scalar = Output(
        "Rate of isotropic hardening", of="isotropic_hardening", suffix="_rate", unit="stress/time"
    )
    R: Scalar = Parameter("saturated_hardening", "Hardening at saturation", unit="stress")
    theta0: Scalar = Parameter("initial_hardening_rate", "Initial slope of hardening", unit="stress")

    def forward(self, gamma, k, R, theta0):
        return sign(R) * theta0 * (1 - k / R) * gamma


class PowerLawIsotropicHardeningStaticRecovery(Model):
    r"""Recovery of isotropic hardening with time.

    .. math:: \dot k = -\left(\frac{|k|}{\tau}\right)^{n-1} \frac{k}{\tau}
    """

    isotropic_hardening: Scalar = Input("Isotropic hardening", unit="stress")
    isotropic_hardening_rate: Scalar = Output(
        "Rate of isotropic hardening", of="isotropic_hardening", suffix="_rate", unit="stress/time"
    )
    tau: Scalar = Parameter("tau", "Hardening that recovers at unit rate", within="(0, inf)", unit="stress")
    n: Scalar = Parameter("n", "Exponent of recovery", within="(0, inf)")

    def forward(self, k, tau, n):
        return -pow(abs(k) / tau, n - 1) * k / tau
