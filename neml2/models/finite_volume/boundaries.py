"""Conditions at the ends of the axis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from neml2.fields import Field, Input, Option, Output, Parameter
from neml2.model import Model
from neml2.models.common._sites import joined, sites
from neml2.types import Scalar


class FiniteVolumeAppendBoundaryCondition(Model):
    r"""A field over M sites with one more value at an end: :math:`(b, x_1, \dots, x_M)` on the left.

    Of fluxes between cells it makes those over an outer edge as well (a prescribed flux; zero is a closed
    end), of values in cells those with a cell beyond the end (a prescribed value). The value may come from
    another model, and so vary with time.
    """

    side: str = Option("Which end", default="left", choices=("left", "right"))
    input: Scalar = Input("The field")
    output: Scalar = Output("The longer field", option="output", of="input", suffix="_with_bc_left")
    bc_value: Scalar = Parameter("bc_value", "The value at that end")

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        output: Any = fields["output"]
        return fields | {"output": replace(output, suffix=f"_with_bc_{self.side}")}

    def forward(self, x, b):
        sites(self, "input", x)
        end = b.sub_batch.unsqueeze(0).sub_batch.expand(1, *x.sub_batch_shape[1:])
        return joined(end, x) if self.side == "left" else joined(x, end)
