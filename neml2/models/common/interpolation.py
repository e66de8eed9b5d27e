"""Interpolation in tables.

The table axes of a parameter are private: they are its last axes left of the base, in whatever way it is
tagged. Axes left of them are a batch (and sub-batch) that broadcasts against the arguments.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from neml2.fields import BLOCK_NAME, Input, Output, Parameter
from neml2.model import Model, for_types
from neml2.types import SR2, Scalar, TensorWrapper, Vec, bilinear_interpolation, linear_interpolation

T = TypeVar("T", bound=TensorWrapper)


class ScalarLinearInterpolation(Model):
    r"""Piecewise linear interpolation in a table, continued linearly beyond its ends.

    In the cell :math:`X_{i-1} \le x < X_i`,

    .. math:: y = Y_{i-1} + \frac{Y_i - Y_{i-1}}{X_i - X_{i-1}} (x - X_{i-1})
    """

    argument: Scalar = Input("Where to interpolate")
    output: Scalar = Output("The interpolated value", default=BLOCK_NAME)
    abscissa: Scalar = Parameter("abscissa", "Increasing arguments of the table", promotable=False, table=1)
    ordinate: Scalar = Parameter("ordinate", "Values of the table", promotable=False, table=1)

    def setup(self) -> None:
        _check_axis(self, self.abscissa, "abscissa", self.ordinate, "ordinate", axes=1, axis=-1)

    def forward(self, x, X, Y):
        return linear_interpolation(x, X, Y)


class BilinearInterpolation(Model, Generic[T]):
    r"""Bilinear interpolation in a table of two arguments, continued bilinearly beyond its edges.

    With :math:`\xi` and :math:`\eta`, which go from 0 to 1 across the cell of the table,

    .. math::
        y = Y_{00} + (Y_{10} - Y_{00})\,\xi + (Y_{01} - Y_{00})\,\eta
            + (Y_{11} - Y_{10} - Y_{01} + Y_{00})\,\xi\eta
    """

    argument1: Scalar = Input("Where to interpolate along the first axis of the table")
    argument2: Scalar = Input("Where to interpolate along the second axis of the table")
    output: T = Output("The interpolated value", default=BLOCK_NAME)
    abscissa1: Scalar = Parameter(
        "abscissa1", "Increasing arguments along the first axis", promotable=False, table=1
    )
    abscissa2: Scalar = Parameter(
        "abscissa2", "Increasing arguments along the second axis", promotable=False, table=1
    )
    ordinate: T = Parameter(
        "ordinate", "Values of the table, one axis per argument", promotable=False, table=2
    )

    def setup(self) -> None:
        _check_axis(self, self.abscissa1, "abscissa1", self.ordinate, "ordinate", axes=2, axis=-2)
        _check_axis(self, self.abscissa2, "abscissa2", self.ordinate, "ordinate", axes=2, axis=-1)

    def forward(self, x1, x2, X1, X2, Y):
        return bilinear_interpolation(x1, x2, X1, X2, Y)


for_types(BilinearInterpolation, Scalar, Vec, SR2)


def _check_axis(
    model: Model, X: Scalar, abscissa: str, Y: TensorWrapper, ordinate: str, axes: int, axis: int
) -> None:
    """Refuse a table whose arguments do not increase, or that has not one value per argument."""
    if X.data.ndim < 1 or X.data.shape[-1] < 2:
        raise ValueError(f"{model._label()}: {abscissa} needs at least two entries, in increasing order")
    table = Y.data.shape[: Y.data.ndim - Y.BASE_NDIM]
    if len(table) < axes or table[axis] != X.data.shape[-1]:
        raise ValueError(
            f"{model._label()}: {abscissa} has {X.data.shape[-1]} entries, but {ordinate} is a table of shape"
            f" {tuple(table[-axes:])}; give one value per argument"
        )
    if not bool((X.data.diff() > 0).all()):
        raise ValueError(f"{model._label()}: the entries of {abscissa} must increase from each to the next")
