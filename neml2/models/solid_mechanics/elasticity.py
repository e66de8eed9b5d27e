"""Stress from strain, and strain from stress, for isotropic and anisotropic elasticity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from neml2.fields import Field, Input, InputField, Option, Output, OutputField, Parameter
from neml2.model import Model
from neml2.models.solid_mechanics.elastic_constants import WithElasticConstants, bulk_and_shear
from neml2.types import MRP, R2, SR2, SSR4, dev, euler_rodrigues, inverse, rotate, sym, vol


class LinearIsotropicElasticity(WithElasticConstants):
    r"""Isotropic Hooke's law, from strain to stress or (``compliance``) back, for values or their rates.

    .. math:: \sigma = 3K\,\mathrm{vol}\,\varepsilon + 2G\,\mathrm{dev}\,\varepsilon, \qquad
              \varepsilon = \frac{\mathrm{vol}\,\sigma}{3K} + \frac{\mathrm{dev}\,\sigma}{2G}
    """

    strain: SR2 = Input("Elastic strain; computed if compliance is true", unit="strain")
    stress: SR2 = Output("Stress; read if compliance is true", unit="stress")
    compliance: bool = Option("Compute the strain from the stress", default=False)
    rate_form: bool = Option("Relate the rates of stress and strain; their names end in _rate", default=False)

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        if self.compliance:
            fields["strain"] = _as(OutputField, fields["strain"])
            fields["stress"] = _as(InputField, fields["stress"])
        if self.rate_form:
            for n in ("strain", "stress"):
                fields[n] = replace(fields[n], suffix="_rate", unit=f"{fields[n].unit}/time")  # type: ignore[call-arg]
        return super().arrange(fields, given)

    def forward(self, given, *constants):
        K, G = bulk_and_shear(self.constants, constants)
        if self.compliance:
            return vol(given) / (3 * K) + dev(given) / (2 * G)
        return 3 * K * vol(given) + 2 * G * dev(given)


class GeneralElasticity(Model):
    r"""Anisotropic Hooke's law with a stiffness that turns with the crystal.

    .. math:: \sigma_{ij} = Q_{ia} Q_{jb} C_{abcd}\,(Q^T \varepsilon\, Q)_{cd}
    """

    strain: SR2 = Input("Strain", unit="strain")
    orientation: MRP = Input("Active rotation from the crystal frame to the frame of the strain")
    stress: SR2 = Output("Stress", unit="stress")
    T: SSR4 = Parameter("elastic_stiffness_tensor", "Stiffness in the crystal frame", unit="stress")

    def forward(self, strain, r, C):
        return rotate(C @ rotate(strain, euler_rodrigues(inverse(r))), euler_rodrigues(r))


class GreenLagrangeStrain(Model):
    r"""Green-Lagrange strain of a deformation gradient.

    .. math:: E = \tfrac12 (F^T F - I)
    """

    deformation_gradient: R2 = Input("Deformation gradient")
    strain: SR2 = Output("Green-Lagrange strain", unit="strain")

    def forward(self, F):
        identity = SR2.identity(dtype=F.dtype, device=F.device)
        return 0.5 * (sym(F.base.transpose() @ F) - identity)


def _as(kind: type[Field], field: Field) -> Field:
    """The same variable, computed instead of read or the other way round."""
    shared = {n: v for n, v in vars(field).items() if n in kind.__dataclass_fields__}
    return kind(**shared)
