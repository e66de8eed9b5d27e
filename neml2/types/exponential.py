"""The exponential map from spins to rotations, and its derivative."""

from __future__ import annotations

import torch

from .algebra import expect
from .kinds import MRP, R2, WR2
from .rotations import dyad, plus_identity, row_dot
from .wrapper import aligned_pair, wrap

# tan(y)/y in powers of y^2; for y^2 < 0.01 the next term is below rounding
_TAN = (1.0, 1 / 3, 2 / 15, 17 / 315, 62 / 2835, 1382 / 155925, 21844 / 6081075)
_SERIES_BELOW = 0.16  # |w|^2, which is 16 y^2


def exp_map(w: WR2) -> MRP:
    r"""The rotation :math:`\exp W`, by the angle |w| about w: :math:`w \tan(|w|/4) / |w|`."""
    expect(w, WR2, "exp_map")
    x = w.data
    return wrap(MRP, x * _tan_ratio(row_dot(x, x)), w.sub_batch_ndim)


def dexp_map(w: WR2) -> R2:
    r"""The derivative of `exp_map`: :math:`a I + b\, w \otimes w`, a = tan(|w|/4)/|w|, b = (da/d|w|)/|w|."""
    expect(w, WR2, "dexp_map")
    x = w.data
    square = row_dot(x, x)
    slope = _tan_ratio_slope(square)
    return wrap(R2, plus_identity(_tan_ratio(square), slope[..., None] * dyad(x, x)), w.sub_batch_ndim)


def jvp_exp_map(w: WR2, dw: WR2) -> MRP:
    """The derivative of `exp_map` in the direction ``dw``."""
    expect(w, WR2, "jvp_exp_map")
    expect(dw, WR2, "jvp_exp_map")
    x, dx, n = aligned_pair(w, dw)
    square = row_dot(x, x)
    return wrap(MRP, _tan_ratio(square) * dx + _tan_ratio_slope(square) * row_dot(x, dx) * x, n)


def _tan_ratio(square: torch.Tensor) -> torch.Tensor:
    """tan(angle/4)/angle as a function of angle^2."""
    small = square < _SERIES_BELOW
    angle = torch.sqrt(torch.where(small, 1.0, square))
    return torch.where(small, _series(square / 16, _TAN) / 4, torch.tan(angle / 4) / angle)


def _tan_ratio_slope(square: torch.Tensor) -> torch.Tensor:
    """Twice the derivative of `_tan_ratio`."""
    small = square < _SERIES_BELOW
    safe = torch.where(small, 1.0, square)
    angle = torch.sqrt(safe)
    t = torch.tan(angle / 4)
    # sec^2 = 1 + tan^2
    exact = ((1 + t * t) / 4 - t / angle) / safe
    slopes = tuple(k * c for k, c in enumerate(_TAN))[1:] + (7 * 929569 / 638512875,)
    return torch.where(small, _series(square / 16, slopes) / 32, exact)


def _series(x: torch.Tensor, coefficients: tuple[float, ...]) -> torch.Tensor:
    total = x * coefficients[-1] + coefficients[-2]
    for c in coefficients[-3::-1]:
        total = total * x + c
    return total
