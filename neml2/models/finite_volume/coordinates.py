"""Coordinates in which an axis without end is finite."""

from __future__ import annotations

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import Scalar


class SemiInfiniteCoordinateTransform(Model):
    r"""Coordinate from 0 to 1 along an axis from 0 to infinity; half of it lies within the shift s.

    .. math:: \hat x = \frac{x}{x + s}

    Grosch and Orszag (1977), J. Comput. Phys. 25, 273-295.
    """

    coordinate: Scalar = Input("Position along the axis, not negative", unit="length")
    transformed_coordinate: Scalar = Output("Position between 0 and 1", default="state/x_hat")
    s: Scalar = Parameter("shift", "Position that becomes one half", within="(0, inf)", unit="length")

    def forward(self, x, s):
        return x / (x + s)
