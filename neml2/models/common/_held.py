"""Values that count as constants in derivatives, in torch and in compiled kernels alike."""

from __future__ import annotations

import torch

from neml2.types import Scalar, clamp

_GRID = (
    2.0**60
)  # far below the spacing of doubles between 1/128 and 1, so that rounding to it changes nothing


def held(x: Scalar) -> Scalar:
    """``x``, to 1e-18, with derivative 0, which is the slope of the floor function.

    For values of the order of one. ``detach`` would do for torch, but has no scalar form in a kernel.
    """
    return Scalar(torch.floor(x.data * _GRID) / _GRID, x.sub_batch_ndim)


def limited(x: Scalar, lo: float | None = None, hi: float | None = None) -> Scalar:
    """``x`` limited to ``lo <= x <= hi``, with derivative 1 also beyond the limits.

    A model that starts on a limit, such as an unreacted solid, so keeps the slope by which Newton's method
    moves away from it.
    """
    return held(clamp(x, lo, hi)) + (x - held(x))
