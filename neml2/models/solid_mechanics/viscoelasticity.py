"""Springs and dashpots of linear viscoelasticity, alone and in the usual arrangements.

A modulus or a viscosity multiplies the whole tensor, its volumetric part included. The rates go to time
integrators; see Findley, Lai and Onaran (1976), Creep and Relaxation of Nonlinear Viscoelastic Materials.
"""

from __future__ import annotations

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import SR2, Scalar

_STRAIN = Input("Strain", unit="strain")
_STRESS = Output("Stress", unit="stress")
_EQUILIBRIUM_MODULUS = Parameter(
    "equilibrium_modulus", "Modulus after infinite time", within="[0, inf)", unit="stress"
)


class LinearDashpot(Model):
    r"""Viscous strain in proportion to the stress and to time (Newton).

    .. math:: \dot\varepsilon^v = \frac{\sigma}{\eta}
    """

    stress: SR2 = Input("Stress across the dashpot", unit="stress")
    viscous_strain_rate: SR2 = Output("Rate of the viscous strain", unit="1/time")
    eta: Scalar = Parameter("viscosity", "Viscosity", within="(0, inf)", unit="stress time")

    def forward(self, sigma, eta):
        return sigma / eta


class KelvinVoigtElement(Model):
    r"""A spring and a dashpot side by side.

    .. math:: \sigma = K \varepsilon + \eta \dot\varepsilon
    """

    strain: SR2 = _STRAIN
    strain_rate: SR2 = Input("Rate of the strain", of="strain", suffix="_rate", unit="1/time")
    stress: SR2 = _STRESS
    K: Scalar = Parameter("modulus", "Modulus of the spring", within="[0, inf)", unit="stress")
    eta: Scalar = Parameter("viscosity", "Viscosity of the dashpot", within="[0, inf)", unit="stress time")

    def forward(self, strain, rate, K, eta):
        return K * strain + eta * rate


class ZenerElement(Model):
    r"""The standard linear solid: a spring beside one Maxwell branch, itself a spring and a dashpot in a row.

    .. math:: \sigma = E_\infty \varepsilon + \sigma_M, \qquad \sigma_M = E_M (\varepsilon - \varepsilon^v),
              \qquad \dot\varepsilon^v = \frac{\sigma_M}{\eta_M}
    """

    strain: SR2 = _STRAIN
    viscous_strain: SR2 = Input("Viscous strain of the dashpot", unit="strain")
    stress: SR2 = _STRESS
    viscous_strain_rate: SR2 = Output(
        "Rate of the viscous strain", of="viscous_strain", suffix="_rate", unit="1/time"
    )
    Einf: Scalar = _EQUILIBRIUM_MODULUS
    EM: Scalar = Parameter("maxwell_modulus", "Modulus of the branch", within="[0, inf)", unit="stress")
    etaM: Scalar = Parameter(
        "maxwell_viscosity", "Viscosity of the branch", within="(0, inf)", unit="stress time"
    )

    def forward(self, strain, ev, Einf, EM, etaM):
        branch = EM * (strain - ev)
        return Einf * strain + branch, branch / etaM


class WiechertElement(Model):
    r"""A spring beside two Maxwell branches.

    .. math:: \sigma = E_\infty \varepsilon + \sigma_1 + \sigma_2, \qquad
              \sigma_i = E_i (\varepsilon - \varepsilon^v_i), \qquad
              \dot\varepsilon^v_i = \frac{\sigma_i}{\eta_i}
    """

    strain: SR2 = _STRAIN
    viscous_strain_1: SR2 = Input("Viscous strain of the first branch", unit="strain")
    viscous_strain_2: SR2 = Input("Viscous strain of the second branch", unit="strain")
    stress: SR2 = _STRESS
    viscous_strain_1_rate: SR2 = Output(
        "Rate of the first viscous strain", of="viscous_strain_1", suffix="_rate", unit="1/time"
    )
    viscous_strain_2_rate: SR2 = Output(
        "Rate of the second viscous strain", of="viscous_strain_2", suffix="_rate", unit="1/time"
    )
    Einf: Scalar = _EQUILIBRIUM_MODULUS
    E1: Scalar = Parameter("modulus_1", "Modulus of the first branch", within="[0, inf)", unit="stress")
    eta1: Scalar = Parameter(
        "viscosity_1", "Viscosity of the first branch", within="(0, inf)", unit="stress time"
    )
    E2: Scalar = Parameter("modulus_2", "Modulus of the second branch", within="[0, inf)", unit="stress")
    eta2: Scalar = Parameter(
        "viscosity_2", "Viscosity of the second branch", within="(0, inf)", unit="stress time"
    )

    def forward(self, strain, ev1, ev2, Einf, E1, eta1, E2, eta2):
        first, second = E1 * (strain - ev1), E2 * (strain - ev2)
        return Einf * strain + first + second, first / eta1, second / eta2


class BurgersElement(Model):
    r"""A spring, a dashpot and a Kelvin-Voigt element in a row: creep that slows down but never ends.

    .. math:: \sigma = E_M (\varepsilon - \varepsilon^v_M - \varepsilon_K), \qquad
              \dot\varepsilon^v_M = \frac{\sigma}{\eta_M}, \qquad
              \dot\varepsilon_K = \frac{\sigma - E_K \varepsilon_K}{\eta_K}
    """

    strain: SR2 = _STRAIN
    maxwell_viscous_strain: SR2 = Input("Strain of the single dashpot", unit="strain")
    kelvin_voigt_strain: SR2 = Input("Strain of the Kelvin-Voigt element", unit="strain")
    stress: SR2 = _STRESS
    maxwell_viscous_strain_rate: SR2 = Output(
        "Rate of the strain of the single dashpot",
        of="maxwell_viscous_strain",
        suffix="_rate",
        unit="1/time",
    )
    kelvin_voigt_strain_rate: SR2 = Output(
        "Rate of the strain of the Kelvin-Voigt element",
        of="kelvin_voigt_strain",
        suffix="_rate",
        unit="1/time",
    )
    EM: Scalar = Parameter(
        "maxwell_modulus", "Modulus of the single spring", within="[0, inf)", unit="stress"
    )
    etaM: Scalar = Parameter(
        "maxwell_viscosity", "Viscosity of the single dashpot", within="(0, inf)", unit="stress time"
    )
    EK: Scalar = Parameter(
        "kelvin_modulus", "Modulus of the Kelvin-Voigt element", within="[0, inf)", unit="stress"
    )
    etaK: Scalar = Parameter(
        "kelvin_viscosity", "Viscosity of the Kelvin-Voigt element", within="(0, inf)", unit="stress time"
    )

    def forward(self, strain, ev, eK, EM, etaM, EK, etaK):
        sigma = EM * (strain - ev - eK)
        return sigma, sigma / etaM, (sigma - EK * eK) / etaK
