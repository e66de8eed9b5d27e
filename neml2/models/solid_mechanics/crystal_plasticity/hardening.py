"""Strength of slip systems, and how it grows with slip."""

from __future__ import annotations

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.models.solid_mechanics.crystal_plasticity.slip import OnSlipSystems
from neml2.types import Scalar, abs, sqrt


class SingleSlipStrengthMap(OnSlipSystems):
    r"""The same strength for all slip systems.

    .. math:: \bar\tau_s = \tau_0 + h
    """

    slip_hardening: Scalar = Input("Hardening that all slip systems share", unit="stress")
    slip_strengths: Scalar = Output("Strength of every slip system", unit="stress")
    constant_strength: Scalar = Parameter("constant_strength", "Strength without hardening", unit="stress")

    def forward(self, h, tau0):
        return (tau0 + h).sub_batch.expand_at(self.crystal_geometry.nslip, -1)


class DislocationObstacleStrengthMap(Model):
    r"""Strength of slip systems with dislocations as obstacles (Taylor, 1934).

    At zero density the derivative is infinite, and 0 is returned: start from a positive density.

    .. math:: \bar\tau_s = \tau_0 + \alpha \mu b \sqrt{\rho_s}
    """

    dislocation_density: Scalar = Input("Dislocation density of every slip system", unit="1/length^2")
    slip_strengths: Scalar = Output("Strength of every slip system", unit="stress")
    constant_strength: Scalar = Parameter("constant_strength", "Strength without dislocations", unit="stress")
    alpha: Scalar = Parameter("alpha", "Interaction coefficient", within="[0, inf)")
    mu: Scalar = Parameter("mu", "Shear modulus", within="(0, inf)", unit="stress")
    b: Scalar = Parameter("b", "Length of the Burgers vector", within="(0, inf)", unit="length")

    def forward(self, rho, tau0, alpha, mu, b):
        return tau0 + alpha * mu * b * sqrt(rho)


class VoceSingleSlipHardeningRule(Model):
    r"""Hardening that saturates, shared by all slip systems (Voce, 1948).

    .. math:: \dot h = \theta_0 \left(1 - \frac{h}{\tau_f}\right) \sum_s |\dot\gamma_s|
    """

    slip_hardening: Scalar = Input("Hardening that all slip systems share", unit="stress")
    sum_slip_rates: Scalar = Input("Sum of the absolute slip rates", unit="1/time")
    slip_hardening_rate: Scalar = Output("Rate of the hardening", unit="stress/time")
    initial_slope: Scalar = Parameter("initial_slope", "Slope at zero hardening", unit="stress")
    saturated_hardening: Scalar = Parameter(
        "saturated_hardening", "Hardening at saturation, without the initial strength", unit="stress"
    )

    def forward(self, h, rates, theta0, tau_f):
        return theta0 * (1 - h / tau_f) * rates


class LinearSingleSlipHardeningRule(Model):
    r"""Hardening in proportion to slip, shared by all slip systems.

    .. math:: \dot h = \theta \sum_s |\dot\gamma_s|
    """

    slip_hardening: Scalar = Input("Hardening that all slip systems share; without influence", unit="stress")
    sum_slip_rates: Scalar = Input("Sum of the absolute slip rates", unit="1/time")
    slip_hardening_rate: Scalar = Output("Rate of the hardening", unit="stress/time")
    hardening_slope: Scalar = Parameter("hardening_slope", "Slope of the hardening", unit="stress")

    def forward(self, h, rates, theta):
        del h
        return theta * rates


class PerSlipForestDislocationEvolution(Model):
    r"""Storage and recovery of dislocations on every slip system (Kocks and Mecking, 2003).

    .. math:: \dot\rho_s = (k_1 \sqrt{\rho_s} - k_2 \rho_s)\,|\dot\gamma_s|
    """

    rho: Scalar = Input(
        "Dislocation density of every slip system", option="dislocation_density", unit="1/length^2"
    )
    slip_rates: Scalar = Input("Slip rate of every slip system", unit="1/time")
    rho_dot: Scalar = Output(
        "Rate of the dislocation density", of="rho", suffix="_rate", unit="1/length^2/time"
    )
    k1: Scalar = Parameter("k1", "Storage coefficient", within="[0, inf)", unit="1/length")
    k2: Scalar = Parameter("k2", "Recovery coefficient", within="[0, inf)")

    def forward(self, rho, rates, k1, k2):
        return (k1 * sqrt(rho) - k2 * rho) * abs(rates)
