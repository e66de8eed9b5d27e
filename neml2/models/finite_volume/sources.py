"""What comes into the cells from outside."""

from __future__ import annotations

import math
from typing import Any

from neml2.fields import Field, Input, Output, Parameter
from neml2.model import Model
from neml2.models.common._sites import joined, per_site, refuse_list, sites
from neml2.types import Scalar, exp


class SmearedDeltaSource(Model):
    r"""Source at a point, spread over the cells as a Gaussian bell.

    It is evaluated at the centres: its sum times the widths of the cells is the magnitude m as nearly as
    the cells resolve the bell.

    .. math:: S_i = \frac{m}{w \sqrt{2\pi}} \exp\left(-\frac12 \left(\frac{x_i - x_0}{w}\right)^2\right)
    """

    magnitude: Scalar = Input("Strength of the source")
    location: Scalar = Input("Where it is", unit="length")
    smeared_source: Scalar = Output("Strength per length in every cell", default="state/smeared_source")
    width: Scalar = Parameter("width", "Standard deviation of the bell", within="(0, inf)", unit="length")
    cell_centers: Scalar = Parameter("cell_centers", "Positions of the centres", unit="length")

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        refuse_list(self._label(), "cell_centers", given.get("cell_centers"))
        return fields

    def forward(self, m, x0, w, x):
        sites(self, "cell_centers", x)
        z = (x - x0) / w
        return m / (w * math.sqrt(2 * math.pi)) * exp(-0.5 * z * z)


class DumpInSmallestBin(Model):
    r"""Source that goes into the first cell, whole and not divided by its width: :math:`(m, 0, \dots, 0)`."""

    magnitude: Scalar = Input("Strength of the source")
    dumped_source: Scalar = Output("Source in every cell", default="state/dumped_source")
    cell_centers: Scalar = Parameter(
        "cell_centers", "Positions of the centres, of which only the number counts", unit="length"
    )

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        if "cell_centers" in given:
            given["cell_centers"] = per_site(given["cell_centers"])
        return fields

    def forward(self, m, x):
        rest = Scalar.zeros_like(m, sub_batch_shape=(sites(self, "cell_centers", x) - 1,))
        return joined(m.sub_batch.unsqueeze(0), rest)
