"""Elastic strain energy, parted into what drives a crack and what does not."""

from __future__ import annotations

import math
from typing import Any

import torch

from neml2.fields import Field, Input, Option, Output, check_number
from neml2.models.phase_field_fracture._spectral import squares
from neml2.models.solid_mechanics.elastic_constants import CONSTANTS, WithElasticConstants, bulk_and_shear
from neml2.types import SR2, Scalar, dev, inner, macaulay, tr


class LinearIsotropicStrainEnergyDensity(WithElasticConstants):
    r"""Strain energy of isotropic linear elasticity, in an active part, which drives a crack, and the rest.

    With the change of volume :math:`\theta = \mathrm{tr}\,\varepsilon`, its deviator :math:`e`, the principal
    strains :math:`\varepsilon_a`, and :math:`\lambda = K - \tfrac23 G`,

    .. math::
        \psi_a &= \tfrac12 K \theta^2 + G\, e : e, &
        \psi_i &= 0 & &\texttt{NONE} \\
        \psi_a &= \tfrac12 K \langle\theta\rangle^2 + G\, e : e, &
        \psi_i &= \tfrac12 K \langle-\theta\rangle^2 & &\texttt{VOLDEV} \\
        \psi_a &= \tfrac12 \lambda \langle\theta\rangle^2 + G \sum_a \langle\varepsilon_a\rangle^2, &
        \psi_i &= \tfrac12 \lambda \langle-\theta\rangle^2 + G \sum_a \langle-\varepsilon_a\rangle^2
            & &\texttt{SPECTRAL}

    Constants that are numbers are held as K and G, whatever is given. The energies have two derivatives by
    the strain, also where principal strains coincide; third ones of SPECTRAL are not those of the formula.

    Amor, Marigo and Maurini (2009), Journal of the Mechanics and Physics of Solids 57, 1209-1229; Miehe,
    Welschinger and Hofacker (2010), International Journal for Numerical Methods in Engineering 83, 1273-1311.
    """

    strain: SR2 = Input("Elastic strain", unit="strain")
    active_strain_energy_density: Scalar = Output("Energy that drives a crack", unit="stress")
    inactive_strain_energy_density: Scalar = Output("The rest of the energy", unit="stress")
    decomposition: str = Option(
        "What drives a crack: all strain, all but loss of volume, or principal strains above zero",
        default="NONE",
        choices=("NONE", "VOLDEV", "SPECTRAL"),
    )

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        fields = super().arrange(fields, given)
        values = [given[n] for n in self.constants]
        if self.constants != ("K", "G") and not any(_is_wired(v) for v in values):
            for n in self.constants:
                del fields[n]
            moduli = self._moduli([given.pop(n) for n in self.constants])
            for n, modulus in zip(("K", "G"), moduli, strict=True):
                fields[n] = CONSTANTS[n].named(n, Scalar, {})
                given[n] = modulus
            self.constants = ("K", "G")
        return fields

    def _moduli(self, values: list[Any]) -> tuple[Scalar, Scalar]:
        """K and G of the given constants, or a ValueError in terms of what was given."""
        typed = [v if isinstance(v, Scalar) else Scalar(v) for v in values]
        for n, v in zip(self.constants, typed, strict=True):
            check_number(v.data.flatten().tolist(), CONSTANTS[n], self._label())
        with torch.no_grad():
            moduli = bulk_and_shear(self.constants, typed)
        for name, modulus in zip(("bulk", "shear"), moduli, strict=True):
            for x in modulus.data.flatten().tolist():
                if not 0 < x < math.inf:
                    raise ValueError(
                        f"{self._label()}: {' and '.join(self.constants)} give the {name} modulus {x:g};"
                        f" it must be positive and finite"
                    )
        return moduli

    def forward(self, strain, *constants):
        K, G = bulk_and_shear(self.constants, constants)
        theta = tr(strain)
        opening = theta * macaulay(theta)
        closing = theta * theta - opening
        if self.decomposition == "SPECTRAL":
            lam = K - 2 * G / 3
            tension, compression = squares(strain)
            return lam / 2 * opening + G * tension, lam / 2 * closing + G * compression
        shear = G * inner(dev(strain), dev(strain))
        if self.decomposition == "VOLDEV":
            return K / 2 * opening + shear, K / 2 * closing
        return K / 2 * theta * theta + shear, 0 * shear


def _is_wired(value: Any) -> bool:
    """Whether the value comes from a variable or a model."""
    return not isinstance(value, int | float | list | tuple | torch.Tensor | Scalar)
