"""What drives precipitation, and how diffusion resists it."""

from __future__ import annotations

from typing import Any

from neml2.fields import REQUIRED, Field, Input, Output, Parameter
from neml2.model import Model
from neml2.models.common._lists import check_list, for_each
from neml2.models.precipitation._species import check_one_each, total
from neml2.types import Scalar, log


class ChemicalGibbsFreeEnergyDifference(Model):
    r"""Chemical driving force of a phase change, from chemical potentials.

    .. math:: \Delta g = \sum_i \Delta_i (\mu_i - \mu^{eq}_i)
    """

    concentration_differences: Scalar = Input(
        "Concentration in the new phase less that in the old one, of every species",
        many=True,
        default=REQUIRED,
    )
    chemical_gibbs_free_energy: Scalar = Output("Difference of the free energies", unit="energy/amount")
    _mu_names: Scalar = Parameter(
        "chemical_potentials", "Chemical potential of every species", many=True, unit="energy/amount"
    )
    _mu_eq_names: Scalar = Parameter(
        "equilibrium_potentials", "Its value in equilibrium", many=True, unit="energy/amount"
    )

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        lists = ("concentration_differences", "chemical_potentials", "equilibrium_potentials")
        check_one_each(self._label(), given, *lists)
        return fields

    def forward(self, d, mu, mu_eq):
        return total([d_i * (a - b) for d_i, a, b in zip(d, mu, mu_eq, strict=True)])


class IdealSolutionVolumetricDrivingForce(Model):
    r"""Driving force of precipitation from an ideal solution, positive where it is supersaturated.

    It is an energy per amount of substance.

    .. math:: \Delta g = R\,T \sum_k w_k \ln\frac{c_k}{c^{eq}_k}
    """

    temperature: Scalar = Input("Absolute temperature", unit="temperature")
    current_concentrations: Scalar = Input(
        "Concentration of every species in the matrix", many=True, default=REQUIRED
    )
    driving_force: Scalar = Output("Driving force", unit="energy/amount")
    R_g: Scalar = Parameter(
        "gas_constant",
        "Gas constant in matching units",
        promotable=False,
        within="(0, inf)",
        unit="energy/amount/temperature",
    )
    _x_eq_names: Scalar = Parameter(
        "equilibrium_concentrations", "Concentrations in equilibrium", many=True, within="(0, inf)"
    )
    _w_names: Scalar = Parameter(
        "weights",
        "Weight of every species, or one weight for all",
        default=1.0,
        many=True,
        promotable=False,
    )

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        concentrations = given.get("current_concentrations", "x")
        check_one_each(self._label(), given, "current_concentrations", "equilibrium_concentrations")
        check_list(self._label(), "weights", given.get("weights"), concentrations, "current_concentrations")
        return fields

    def forward(self, T, c, R, c_eq, w):
        weights = for_each(w, len(c))
        return R * T * total([w_k * log(a / b) for w_k, a, b in zip(weights, c, c_eq, strict=True)])


class ProjectedDiffusivitySum(Model):
    r"""Resistance to growth of the diffusion of all species together (Svoboda and others, 2004).

    .. math:: s = \sum_k \frac{\Delta_k^2}{D_k\, x_k}

    Svoboda, Fischer, Fratzl and Kozeschnik (2004), Mater. Sci. Eng. A 385, 166-174.
    """

    far_field_concentrations: Scalar = Input(
        "Concentration of every species far from the precipitates", many=True, default=REQUIRED
    )
    projected_diffusivity_sum: Scalar = Output("Resistance of diffusion", unit="time/length^2")
    _dx_names: Scalar = Parameter(
        "concentration_differences",
        "Concentration in the precipitate less that in equilibrium with it, of every species",
        many=True,
    )
    _D_names: Scalar = Parameter(
        "diffusivities",
        "Diffusivity of every species",
        many=True,
        within="(0, inf)",
        unit="length^2/time",
    )

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        lists = ("far_field_concentrations", "concentration_differences", "diffusivities")
        check_one_each(self._label(), given, *lists)
        return fields

    def forward(self, x, d, D):
        return total([d_k * d_k / (D_k * x_k) for x_k, d_k, D_k in zip(x, d, D, strict=True)])
