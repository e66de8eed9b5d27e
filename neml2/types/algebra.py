"""Algebra of vectors and second-order tensors: invariants, products, packing and unpacking."""

from __future__ import annotations

import math
from typing import Any, TypeVar, overload

import torch

from .kinds import R2, SQRT2, SR2, SSR4, WR2, Vec, sum_last
from .primitive import PrimitiveTensor, Scalar
from .tensor import Tensor, TensorBaseView
from .wrapper import TensorWrapper, aligned, aligned_pair, wrap

V = TypeVar("V", SR2, Vec)
S = TypeVar("S", R2, SR2)
Q = TypeVar("Q", bound=PrimitiveTensor)

INV_SQRT2 = 1.0 / SQRT2


def expect(x: Any, kinds: type | tuple[type, ...], who: str) -> None:
    """Refuse an argument that is not of one of ``kinds``."""
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if type(x) not in kinds:
        names = " or ".join(k.__name__ for k in kinds)
        raise TypeError(f"{who} got a {type(x).__name__}; give a value of type {names}.")


def aligned_data(*values: TensorWrapper) -> tuple[list[torch.Tensor], int]:
    """The data of all values with equal sub-batch rank, and that rank."""
    n = max(w.sub_batch_ndim for w in values)
    return [aligned(w, n) for w in values], n


# --- invariants ---------------------------------------------------------------------------------------------


def tr(a: SR2) -> Scalar:
    """The trace, xx + yy + zz."""
    expect(a, SR2, "tr")
    return wrap(Scalar, a.data[..., :3].sum(-1), a.sub_batch_ndim)


def vol(a: SR2) -> SR2:
    """The volumetric part, tr(a)/3 I."""
    expect(a, SR2, "vol")
    return wrap(SR2, _vol(a.data), a.sub_batch_ndim)


def dev(a: SR2) -> SR2:
    """The deviator, a - vol(a)."""
    expect(a, SR2, "dev")
    return wrap(SR2, a.data - _vol(a.data), a.sub_batch_ndim)


def _vol(x: torch.Tensor) -> torch.Tensor:
    mean = (x[..., :3].sum(-1, keepdim=True) / 3).expand(x.shape[:-1] + (3,))
    return torch.cat([mean, torch.zeros_like(mean)], -1)


def norm_sq(a: SR2 | Vec) -> Scalar:
    """The sum of the squared stored components."""
    expect(a, (SR2, Vec), "norm_sq")
    return wrap(Scalar, sum_last(a.data * a.data), a.sub_batch_ndim)


@overload
def norm(a: SR2 | Vec, eps: float = 0.0) -> Scalar: ...
@overload
def norm(a: TensorBaseView, eps: float = 0.0) -> Tensor: ...
def norm(a: Any, eps: float = 0.0) -> Any:
    r"""The Frobenius norm :math:`\sqrt{a : a + \epsilon}`, of zero derivative at a = 0.

    Of the base view of a `Tensor`: over all its base axes.
    """
    if isinstance(a, TensorBaseView):
        return a.norm(eps)
    expect(a, (SR2, Vec), "norm")
    return wrap(Scalar, _norm(sum_last(a.data * a.data), eps), a.sub_batch_ndim)


def unit(a: V, eps: float = 0.0) -> V:
    """A / norm(a, eps); zero, with zero derivative, where the norm is zero."""
    expect(a, (SR2, Vec), "unit")
    square = sum_last(a.data * a.data)[..., None]
    if eps:
        return wrap(type(a), a.data / torch.sqrt(square + eps), a.sub_batch_ndim)
    zero = square == 0
    length = torch.where(zero, math.inf, torch.sqrt(torch.where(zero, 1.0, square)))
    return wrap(type(a), a.data / length, a.sub_batch_ndim)


def _norm(square: torch.Tensor, eps: float) -> torch.Tensor:
    if eps:
        return torch.sqrt(square + eps)
    zero = square == 0
    return torch.where(zero, 0.0, torch.sqrt(torch.where(zero, 1.0, square)))


# --- products -----------------------------------------------------------------------------------------------


def inner(a: Q, b: Q) -> Scalar:
    """The sum of the products of all components: double contraction of tensors, dot product of vectors."""
    if not isinstance(a, PrimitiveTensor) or type(a) is not type(b):
        raise TypeError(
            f"inner got a {type(a).__name__} and a {type(b).__name__}; give two values of one type."
        )
    x, y, n = aligned_pair(a, b)
    return wrap(Scalar, sum_last(x * y, a.BASE_NDIM) if a.BASE_NDIM else x * y, n)


def dot(a: Q, b: Q) -> Scalar:
    """`inner` under its name for vectors."""
    return inner(a, b)


def vdot(a: Vec, b: Vec) -> Scalar:
    """The dot product of two vectors."""
    expect(a, Vec, "vdot")
    expect(b, Vec, "vdot")
    return inner(a, b)


def cross(a: Vec, b: Vec) -> Vec:
    """The cross product a x b."""
    expect(a, Vec, "cross")
    expect(b, Vec, "cross")
    x, y, n = aligned_pair(a, b)
    return wrap(Vec, cross3(x, y), n)


def cross3(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The cross product over the last axis."""
    a0, a1, a2 = a.unbind(-1)
    b0, b1, b2 = b.unbind(-1)
    return torch.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], -1)


def outer(a: SR2, b: SR2) -> SSR4:
    """The dyadic product a_i b_j, in Mandel notation."""
    expect(a, SR2, "outer")
    expect(b, SR2, "outer")
    x, y, n = aligned_pair(a, b)
    return wrap(SSR4, x[..., :, None] * y[..., None, :], n)


# --- determinant and inverse --------------------------------------------------------------------------------


def det(a: R2 | SR2) -> Scalar:
    """The determinant."""
    expect(a, (R2, SR2), "det")
    if type(a) is SR2:
        A, B, C, _, _, _ = _cofactors(a)
        xx, _, _, _, xz, xy = _true_components(a.data)
        return wrap(Scalar, xx * A + xy * B + xz * C, a.sub_batch_ndim)
    x, y, z = a.data.unbind(-2)
    return wrap(Scalar, (x * cross3(y, z)).sum(-1), a.sub_batch_ndim)


def inv(a: S) -> S:
    """The inverse, by cofactors; inf or NaN for a singular tensor."""
    expect(a, (R2, SR2), "inv")
    if isinstance(a, SR2):
        A, B, C, D, E, F = _cofactors(a)
        xx, _, _, _, xz, xy = _true_components(a.data)
        d = xx * A + xy * B + xz * C
        cofactors = torch.stack([A, D, F, E * SQRT2, C * SQRT2, B * SQRT2], -1)
        return wrap(SR2, cofactors / d[..., None], a.sub_batch_ndim)
    x, y, z = a.data.unbind(-2)
    yz = cross3(y, z)
    d = (x * yz).sum(-1)
    columns = torch.stack([yz, cross3(z, x), cross3(x, y)], -1)
    return wrap(R2, columns / d[..., None, None], a.sub_batch_ndim)


def _true_components(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    xx, yy, zz, yz, xz, xy = x.unbind(-1)
    return xx, yy, zz, yz * INV_SQRT2, xz * INV_SQRT2, xy * INV_SQRT2


def _cofactors(a: SR2) -> tuple[torch.Tensor, ...]:
    """The cofactors xx, xy, xz, yy, yz, zz of a symmetric tensor."""
    xx, yy, zz, yz, xz, xy = _true_components(a.data)
    return (
        yy * zz - yz * yz,
        yz * xz - xy * zz,
        xy * yz - yy * xz,
        xx * zz - xz * xz,
        xy * xz - xx * yz,
        xx * yy - xy * xy,
    )


# --- packing and unpacking ----------------------------------------------------------------------------------


def sym(a: R2) -> SR2:
    """The symmetric part (a + a^T)/2, packed."""
    expect(a, R2, "sym")
    return wrap(SR2, pack_sym(a.data), a.sub_batch_ndim)


def skew(a: R2) -> WR2:
    """The skew part (a - a^T)/2 as an axial vector."""
    expect(a, R2, "skew")
    return wrap(WR2, pack_skew(a.data), a.sub_batch_ndim)


def r2_from_sr2(a: SR2) -> R2:
    """The full symmetric tensor."""
    expect(a, SR2, "r2_from_sr2")
    return wrap(R2, unpack_sym(a.data), a.sub_batch_ndim)


def r2_from_wr2(a: WR2) -> R2:
    """The full skew tensor [[0, -w2, w1], [w2, 0, -w0], [-w1, w0, 0]]."""
    expect(a, WR2, "r2_from_wr2")
    return wrap(R2, unpack_skew(a.data), a.sub_batch_ndim)


def pack_sym(x: torch.Tensor) -> torch.Tensor:
    """(..., 3, 3) to the Mandel components of its symmetric part, (..., 6)."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = x.reshape(x.shape[:-2] + (9,)).unbind(-1)
    shear = [(yz + zy) * INV_SQRT2, (xz + zx) * INV_SQRT2, (xy + yx) * INV_SQRT2]
    return torch.stack([xx, yy, zz, *shear], -1)


def pack_skew(x: torch.Tensor) -> torch.Tensor:
    """(..., 3, 3) to the axial vector of its skew part, (..., 3)."""
    _, xy, xz, yx, _, yz, zx, zy, _ = x.reshape(x.shape[:-2] + (9,)).unbind(-1)
    return torch.stack([zy - yz, xz - zx, yx - xy], -1) / 2


def unpack_sym(x: torch.Tensor) -> torch.Tensor:
    """Mandel components (..., 6) to (..., 3, 3)."""
    xx, yy, zz, yz, xz, xy = _true_components(x)
    return torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], -1).reshape(x.shape[:-1] + (3, 3))


def unpack_skew(w: torch.Tensor) -> torch.Tensor:
    """An axial vector (..., 3) to its skew matrix (..., 3, 3)."""
    x, y, z = w.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(w.shape[:-1] + (3, 3))


def vec_component(v: Vec, i: int) -> Scalar:
    """Component ``i`` (0, 1 or 2) of a vector."""
    expect(v, Vec, "vec_component")
    if isinstance(i, bool) or not isinstance(i, int):
        raise TypeError(f"vec_component got the component {i!r}; give 0, 1 or 2.")
    if not 0 <= i <= 2:
        raise IndexError(f"vec_component got the component {i}; give 0, 1 or 2.")
    return wrap(Scalar, v.data[..., i], v.sub_batch_ndim)


def vec_from_scalars(a: Scalar, b: Scalar, c: Scalar) -> Vec:
    """The vector (a, b, c)."""
    for s in (a, b, c):
        expect(s, Scalar, "vec_from_scalars")
    data, n = aligned_data(a, b, c)
    return wrap(Vec, torch.stack(torch.broadcast_tensors(*data), -1), n)
