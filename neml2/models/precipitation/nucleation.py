"""Classical theory of nucleation: how many nuclei of the critical size form.

See Svoboda, Fischer, Fratzl and Kozeschnik (2004), Mater. Sci. Eng. A 385, 166-174, and Kashchiev (2000),
Nucleation, Butterworth-Heinemann.
"""

from __future__ import annotations

import math

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import Scalar, exp, pow, sqrt

_TEMPERATURE = Input("Absolute temperature", unit="temperature")
_CRITICAL_RADIUS = Input("Radius of a critical nucleus", unit="length")
_SURFACE_ENERGY = Parameter(
    "surface_energy", "Energy of the interface per area", within="[0, inf)", unit="energy/length^2"
)
_BOLTZMANN = Parameter(
    "boltzmann_constant",
    "Boltzmann constant in matching units",
    promotable=False,
    within="(0, inf)",
    unit="energy/temperature",
)


class NucleationBarrierAndCriticalRadius(Model):
    r"""Size of the nucleus that is as likely to grow as to dissolve, and the energy that it takes.

    A negative driving force has a negative radius: there is no such nucleus.

    .. math:: R^* = \frac{2 \gamma V}{\Delta g}, \qquad
              \Delta g^* = \frac{16 \pi}{3}\, \frac{\gamma^3 V^2}{\Delta g^2}
    """

    nucleation_barrier: Scalar = Output("Energy of a critical nucleus", unit="energy")
    critical_radius: Scalar = Output("Radius of a critical nucleus", unit="length")
    gamma: Scalar = _SURFACE_ENERGY
    dg_total: Scalar = Parameter(
        "total_gibbs_free_energy_difference", "Driving force of precipitation", unit="energy/amount"
    )
    V_m: Scalar = Parameter(
        "molar_volume",
        "Molar volume of the precipitate",
        promotable=False,
        within="(0, inf)",
        unit="volume/amount",
    )

    def forward(self, gamma, dg, V):
        R = 2 * gamma * V / dg
        return 4 / 3 * math.pi * gamma * R * R, R


class ZeldovichFactor(Model):
    r"""Share of the critical nuclei that grow (Zeldovich).

    .. math:: Z = \frac{V}{2 \pi N\, R^{*2}} \sqrt{\frac{\gamma}{k\,T}}
    """

    critical_radius: Scalar = _CRITICAL_RADIUS
    temperature: Scalar = _TEMPERATURE
    zeldovich_factor: Scalar = Output("Share of the critical nuclei that grow")
    gamma: Scalar = _SURFACE_ENERGY
    V_m: Scalar = Parameter(
        "molar_volume",
        "Molar volume of the precipitate",
        promotable=False,
        within="(0, inf)",
        unit="volume/amount",
    )
    N_a: Scalar = Parameter(
        "avogadro_number", "Avogadro constant", promotable=False, within="(0, inf)", unit="1/amount"
    )
    k: Scalar = _BOLTZMANN

    def forward(self, R, T, gamma, V, N, k):
        return V / (2 * math.pi * N * R * R) * sqrt(gamma / (k * T))


class KineticFactor(Model):
    r"""Rate at which atoms are added to a critical nucleus.

    .. math:: \beta = 4 \pi \left(\frac{N}{V}\right)^{4/3} \frac{R^{*2}}{s}
    """

    critical_radius: Scalar = _CRITICAL_RADIUS
    projected_diffusivity_sum: Scalar = Input("Resistance of diffusion", unit="time/length^2")
    kinetic_factor: Scalar = Output("Rate of addition of atoms", unit="1/time")
    V_m: Scalar = Parameter(
        "molar_volume", "Molar volume of the precipitate", within="(0, inf)", unit="volume/amount"
    )
    N_a: Scalar = Parameter("avogadro_number", "Avogadro constant", within="(0, inf)", unit="1/amount")

    def forward(self, R, s, V, N):
        atoms = pow(N / V, 2 / 3) * R  # its square is of moderate size, (N/V)^(4/3) is not
        return 4 * math.pi * atoms * atoms / s


class NucleationFluxMagnitude(Model):
    r"""Rate of nucleation, in a steady state.

    .. math:: J = Z\, \beta\, N_0 \exp\left(-\frac{\Delta g^*}{k\,T}\right)
    """

    zeldovich_factor: Scalar = Input("Share of the critical nuclei that grow")
    kinetic_factor: Scalar = Input("Rate of addition of atoms", unit="1/time")
    nucleation_barrier: Scalar = Input("Energy of a critical nucleus", unit="energy")
    temperature: Scalar = _TEMPERATURE
    nucleation_flux_magnitude: Scalar = Output("Nuclei per volume and time", unit="1/volume/time")
    N0: Scalar = Parameter(
        "nucleation_site_density",
        "Places per volume where nuclei can form",
        within="[0, inf)",
        unit="1/volume",
    )
    k: Scalar = _BOLTZMANN

    def forward(self, Z, beta, barrier, T, N0, k):
        return Z * beta * N0 * exp(-barrier / (k * T))
