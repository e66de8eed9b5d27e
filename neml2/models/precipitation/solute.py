"""How much precipitates hold, and what is left in the matrix."""

from __future__ import annotations

import math
from typing import Any

from neml2.fields import REQUIRED, Field, Input, Output, Parameter
from neml2.model import Model
from neml2.models.common._sites import check_sites, per_site
from neml2.models.precipitation._species import check_one_each, total
from neml2.types import Scalar, sum


class PrecipitateVolumeFraction(Model):
    r"""Volume fraction of spherical precipitates, from their number in every size class.

    .. math:: f = \sum_j \tfrac43 \pi R_j^3\, n_j
    """

    number_density: Scalar = Input("Precipitates per volume in every size class", unit="1/volume")
    volume_fraction: Scalar = Output("Volume fraction, without the axis of the classes")
    R: Scalar = Parameter("radius", "Radius of every size class, or of all", within="(0, inf)", unit="length")

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        if "radius" in given:
            given["radius"] = per_site(given["radius"])
        return fields

    def forward(self, n, R):
        if not n.sub_batch_ndim:
            raise ValueError(
                f"{self._label()}: number_density has no sub-batch axis; give it one, of the classes"
            )
        check_sites(self, "radius", R, n.sub_batch_shape[-1], axis=-1)
        return 4 / 3 * math.pi * sum((R * R * R * n).sub_batch, -1)


class CurrentConcentration(Model):
    r"""Solute that is left in the matrix between the precipitates of several phases.

    .. math:: x = \frac{x_0 - \sum_i f_i\, x^p_i}{1 - \sum_i f_i}
    """

    precipitate_volume_fractions: Scalar = Input(
        "Volume fraction of every phase", many=True, default=REQUIRED
    )
    current_concentration: Scalar = Output("Concentration in the matrix")
    x0: Scalar = Parameter("initial_concentration", "Concentration of the whole")
    _xp_names: Scalar = Parameter(
        "precipitate_concentrations", "Concentration in every phase, zero where it has none", many=True
    )

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        check_one_each(self._label(), given, "precipitate_volume_fractions", "precipitate_concentrations")
        return fields

    def forward(self, f, x0, xp):
        held = total([f_i * xp_i for f_i, xp_i in zip(f, xp, strict=True)])
        return (x0 - held) / (1 - total(f))
