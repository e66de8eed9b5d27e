"""Piecewise linear and bilinear interpolation in tables.

A table keeps its axes just left of the base, as its last sub-batch axes or, without these, its last batch
axes. The cell is picked by comparisons and a sum in which all terms but one are zero, which is exact.
"""

from __future__ import annotations

from typing import TypeVar

import torch

from .algebra import expect
from .primitive import PrimitiveTensor, Scalar, over_base
from .wrapper import TensorWrapper, aligned, wrap

Y_ = TypeVar("Y_", bound=PrimitiveTensor)


def linear_interpolation(x: Scalar, X: Scalar, Y: Scalar) -> Scalar:
    r"""The table (X, Y) at ``x``, continued linearly on both sides.

    .. math:: y = Y_{i-1} + \frac{Y_i - Y_{i-1}}{X_i - X_{i-1}} (x - X_{i-1}), \quad X_{i-1} \le x < X_i

    ``X`` increases along its last axis, of length n >= 2; other axes of ``X`` and ``Y`` broadcast with ``x``.
    At a node the segment on its right counts.
    """
    X_lo, Y_lo, slope, at, n = _segment(x, X, Y, "linear_interpolation")
    return wrap(Scalar, Y_lo + slope * (at - X_lo), n)


def jvp_linear_interpolation(x: Scalar, X: Scalar, Y: Scalar, dx: Scalar) -> Scalar:
    """The derivative of `linear_interpolation` with respect to ``x`` in the direction ``dx``."""
    expect(dx, Scalar, "jvp_linear_interpolation")
    _, _, slope, _, n = _segment(x, X, Y, "jvp_linear_interpolation")
    return wrap(Scalar, slope, n) * dx


def bilinear_interpolation(x1: Scalar, x2: Scalar, X1: Scalar, X2: Scalar, Y: Y_) -> Y_:
    r"""The table ``Y`` over ``X1`` (length N1) and ``X2`` (N2) at ``(x1, x2)``, continued bilinearly outside.

    .. math:: Y_{00} + (Y_{10}-Y_{00}) \xi + (Y_{01}-Y_{00}) \eta + (Y_{11}-Y_{10}-Y_{01}+Y_{00}) \xi \eta

    The axes (N1, N2) of ``Y`` are just left of its base; xi and eta run from 0 to 1 across the cell.
    """
    (Y00, Y10, Y01, Y11), (xi, eta), _, n = _cell(x1, x2, X1, X2, Y, "bilinear_interpolation")
    twist = Y11 - Y10 - Y01 + Y00
    return wrap(type(Y), Y00 + (Y10 - Y00) * xi + (Y01 - Y00) * eta + twist * (xi * eta), n)


def bilinear_interpolation_slopes(x1: Scalar, x2: Scalar, X1: Scalar, X2: Scalar, Y: Y_) -> tuple[Y_, Y_]:
    """The derivatives of `bilinear_interpolation` with respect to ``x1`` and ``x2``."""
    (Y00, Y10, Y01, Y11), (xi, eta), (d1, d2), n = _cell(x1, x2, X1, X2, Y, "bilinear_interpolation_slopes")
    twist = Y11 - Y10 - Y01 + Y00
    slope1 = ((Y10 - Y00) + twist * eta) / d1
    slope2 = ((Y01 - Y00) + twist * xi) / d2
    return wrap(type(Y), slope1, n), wrap(type(Y), slope2, n)


def _segment(
    x: Scalar, X: Scalar, Y: Scalar, who: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, int]:
    """Start of the segment, value and slope there, ``x`` of equal sub-batch rank, and that rank."""
    for s in (x, X, Y):
        expect(s, Scalar, who)
    rank = max(x.sub_batch_ndim, _outer_rank(X, 1), _outer_rank(Y, 1))
    at = aligned(x, rank)
    abscissa, ordinate = _table(X, 1, rank, who), _table(Y, 1, rank, who)
    _same_length(abscissa.shape[-1], ordinate.shape[-1], who)
    slopes = (ordinate[..., 1:] - ordinate[..., :-1]) / (abscissa[..., 1:] - abscissa[..., :-1])
    mask = _mask(at, abscissa)
    picked = [torch.where(mask, t, 0.0).sum(-1) for t in (abscissa[..., :-1], ordinate[..., :-1], slopes)]
    return picked[0], picked[1], picked[2], at, rank


def _cell(
    x1: Scalar, x2: Scalar, X1: Scalar, X2: Scalar, Y: PrimitiveTensor, who: str
) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...], tuple[torch.Tensor, ...], int]:
    """The corner values Y00, Y10, Y01, Y11, the local coordinates, the sizes of the cell, and the rank."""
    for s in (x1, x2, X1, X2):
        expect(s, Scalar, who)
    if not isinstance(Y, PrimitiveTensor):
        raise TypeError(
            f"{who} got a {type(Y).__name__} as ordinate; give a typed value such as Scalar or SR2."
        )
    rank = max(
        x1.sub_batch_ndim, x2.sub_batch_ndim, _outer_rank(X1, 1), _outer_rank(X2, 1), _outer_rank(Y, 2)
    )
    base = Y.BASE_NDIM
    ordinate = _table(Y, 2, rank, who)
    masks, coordinates, sizes = [], [], []
    for i, (x, X) in enumerate(((x1, X1), (x2, X2))):
        at, abscissa = aligned(x, rank), _table(X, 1, rank, who)
        _same_length(abscissa.shape[-1], ordinate.shape[i - 2 - base], who)
        mask = _mask(at, abscissa)
        lo, hi = abscissa[..., :-1], abscissa[..., 1:]
        lower = torch.where(mask, lo, 0.0).sum(-1)
        size = torch.where(mask, hi - lo, 0.0).sum(-1)
        masks.append(mask)
        coordinates.append(over_base((at - lower) / size, base))
        sizes.append(over_base(size, base))
    first = masks[0].reshape(masks[0].shape + (1,) * (1 + base))  # (..., N1 - 1, 1, *base)
    second = masks[1].reshape(masks[1].shape + (1,) * base)  # (..., N2 - 1, *base)
    axis = -1 - base
    N1, N2 = ordinate.shape[axis - 1], ordinate.shape[axis]

    def corner(i: int, j: int) -> torch.Tensor:
        row = torch.where(first, ordinate.narrow(axis - 1, i, N1 - 1), 0.0).sum(axis - 1)
        return torch.where(second, row.narrow(axis, j, N2 - 1), 0.0).sum(axis)

    corners = (corner(0, 0), corner(1, 0), corner(0, 1), corner(1, 1))
    return corners, tuple(coordinates), tuple(sizes), rank


def _mask(x: torch.Tensor, X: torch.Tensor) -> torch.Tensor:
    """True in the one segment of ``X`` (..., n) that holds ``x`` (...): (..., n - 1)."""
    past = x[..., None] >= X[..., 1:-1]  # (..., n - 2): the inner nodes that x has reached
    edge = torch.ones((*past.shape[:-1], 1), dtype=torch.bool, device=x.device)
    return torch.cat([edge, past], -1) & torch.cat([~past, edge], -1)


def _outer_rank(w: TensorWrapper, axes: int) -> int:
    """The sub-batch rank that is left when the table axes are set aside."""
    return max(w.sub_batch_ndim - axes, 0)


def _table(w: TensorWrapper, axes: int, rank: int, who: str) -> torch.Tensor:
    """The table with size-1 axes inserted so that left of its own axes it has ``rank`` sub-batch axes."""
    data = w.data
    front = data.dim() - w.BASE_NDIM - axes
    if front < 0:
        raise ValueError(
            f"{who} got a table of batch shape {tuple(w.batch_shape)}; give it {axes} table axes left"
            " of the base."
        )
    if min(data.shape[front : front + axes]) < 2:
        raise ValueError(f"{who} got a table of batch shape {tuple(w.batch_shape)}; give at least two nodes.")
    own = _outer_rank(w, axes)
    front -= own
    if front and rank > own:
        data = data.reshape(data.shape[:front] + (1,) * (rank - own) + data.shape[front:])
    return data


def _same_length(abscissae: int, ordinates: int, who: str) -> None:
    if abscissae != ordinates:
        raise ValueError(
            f"{who} got {abscissae} abscissae for {ordinates} ordinates; make the tables equal in length."
        )
