"""Interpolation in tables.

The table axes of a parameter are private: they are its last axes left of the base, in whatever way it is
tagged. Axes left of them are a batch (and sub-batch) that broadcasts against the arguments.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import torch

from neml2.fields import BLOCK_NAME, Input, Output, Parameter
from neml2.model import Model, for_types
from neml2.types import SR2, Scalar, TensorWrapper, Vec

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
        rank, (x, X, Y) = _aligned((x, 0), (X, 1), (Y, 1))
        i = _cell(X, x)
        x0, x1 = _pick(X, i), _pick(X, i + 1)
        y0, y1 = _pick(Y, i), _pick(Y, i + 1)
        return Scalar(y0 + (y1 - y0) / (x1 - x0) * (x - x0), rank)


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
        kind, base = type(Y), Y.BASE_NDIM
        rank, (x1, x2, X1, X2, Y) = _aligned((x1, 0), (x2, 0), (X1, 1), (X2, 1), (Y, 2))
        i, j = _cell(X1, x1), _cell(X2, x2)
        low, high = _pick(X1, i), _pick(X1, i + 1)
        xi = ((x1 - low) / (high - low))[(..., *(None,) * base)]
        low, high = _pick(X2, j), _pick(X2, j + 1)
        eta = ((x2 - low) / (high - low))[(..., *(None,) * base)]
        columns = X2.shape[-1]
        Y = Y.flatten(Y.ndim - base - 2, Y.ndim - base - 1)  # (*batch, rows * columns, *base)
        corner = i * columns + j
        y00, y01 = _pick(Y, corner, base), _pick(Y, corner + 1, base)
        y10, y11 = _pick(Y, corner + columns, base), _pick(Y, corner + columns + 1, base)
        return kind(y00 + (y10 - y00) * xi + (y01 - y00) * eta + (y11 - y10 - y01 + y00) * (xi * eta), rank)


for_types(BilinearInterpolation, Scalar, Vec, SR2)


def _aligned(*values: tuple[TensorWrapper, int]) -> tuple[int, list[torch.Tensor]]:
    """The common sub-batch rank, and the data of values with so many table axes, aligned to that rank."""
    ranks = [max(value.sub_batch_ndim - axes, 0) for value, axes in values]
    rank = max(ranks)
    aligned = []
    for (value, axes), own in zip(values, ranks, strict=True):
        data = value.data
        at = data.ndim - value.BASE_NDIM - axes - own
        aligned.append(data.reshape(*data.shape[:at], *(1,) * (rank - own), *data.shape[at:]))
    return rank, aligned


def _cell(X: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Index of the left node of the cell that holds ``x``: how many inner nodes are not beyond it."""
    nodes = X[..., 1:-1].detach()
    if nodes.ndim == 1:
        return torch.searchsorted(nodes.contiguous(), x.detach().contiguous(), right=True)
    return (nodes <= x.detach()[..., None]).sum(-1)


def _pick(Y: torch.Tensor, i: torch.Tensor, base: int = 0) -> torch.Tensor:
    """Entries ``i`` ``(*batch)`` of tables ``Y`` ``(*batch, n, *base)``: ``(*batch, *base)``."""
    axis = Y.ndim - base - 1
    if axis == 0:
        return Y[i]
    batch = torch.broadcast_shapes(Y.shape[:axis], i.shape)
    i = i.expand(batch).reshape(*batch, 1, *(1,) * base).expand(*batch, 1, *Y.shape[axis + 1 :])
    return Y.expand(*batch, *Y.shape[axis:]).gather(len(batch), i).squeeze(len(batch))


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
