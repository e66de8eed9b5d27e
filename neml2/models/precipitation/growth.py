"""How fast precipitates of every size class grow, without the effect of curvature."""

from __future__ import annotations

from typing import Any

from neml2.fields import Field, Input, Output, Parameter
from neml2.model import Model
from neml2.models.common._sites import refuse_list
from neml2.types import Scalar

_RADIUS = Parameter("radius", "Radius of every size class", within="(0, inf)", unit="length")
_GROWTH_RATE = Output("Rate of the radius of every size class", unit="length/time")


class SFFKPrecipitationGrowthRate(Model):
    r"""Growth that is limited by the diffusion of all species together (Svoboda and others, 2004).

    .. math:: \dot R_j = \frac{\Delta g}{R_j\, R\, T\, s}

    Svoboda, Fischer, Fratzl and Kozeschnik (2004), Mater. Sci. Eng. A 385, 166-174.
    """

    projected_diffusivity_sum: Scalar = Input("Resistance of diffusion", unit="time/length^2")
    temperature: Scalar = Input("Absolute temperature", unit="temperature")
    growth_rate: Scalar = _GROWTH_RATE
    R: Scalar = _RADIUS
    dg: Scalar = Parameter(
        "gibbs_free_energy_difference", "Driving force of precipitation", unit="energy/amount"
    )
    R_g: Scalar = Parameter(
        "gas_constant",
        "Gas constant in matching units",
        within="(0, inf)",
        unit="energy/amount/temperature",
    )

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        refuse_list(self._label(), "radius", given.get("radius"))
        return fields

    def forward(self, s, T, R, dg, R_g):
        return dg / (R_g * T * s) / R


class RateLimitedPrecipitateGrowthRate(Model):
    r"""Growth that is limited by the diffusion of one species (Zener, 1949).

    .. math:: \dot R_j = \frac{D}{R_j}\, \frac{x - x^{eq}}{\Delta}

    Zener (1949), J. Appl. Phys. 20, 950-953.
    """

    current_concentration: Scalar = Input("Concentration in the matrix")
    growth_rate: Scalar = _GROWTH_RATE
    R: Scalar = _RADIUS
    x_eq: Scalar = Parameter("equilibrium_concentration", "Concentration in equilibrium")
    dx: Scalar = Parameter(
        "concentration_difference", "Concentration in the precipitate less that in equilibrium with it"
    )
    D: Scalar = Parameter(
        "diffusivity", "Diffusivity of the species", within="[0, inf)", unit="length^2/time"
    )

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        refuse_list(self._label(), "radius", given.get("radius"))
        return fields

    def forward(self, x, R, x_eq, dx, D):
        return D * (x - x_eq) / dx / R
