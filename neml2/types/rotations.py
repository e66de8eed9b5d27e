"""Rotations as modified Rodrigues parameters (MRP), quaternions and matrices.

Source of the MRP formulas: H. Schaub and J. Junkins, Analytical Mechanics of Space Systems, chapter 3.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch

from .algebra import (
    aligned_data,
    cross3,
    expect,
    unpack_skew,
    unpack_sym,
)
from .elementwise import safe_sqrt
from .kinds import MRP, R2, SQRT2, SR2, SSR4, WR2, Quaternion, Vec, matmul3, sum_last
from .primitive import Device, Scalar
from .views import sizes_of
from .wrapper import aligned_pair, wrap

X = TypeVar("X", SR2, WR2, R2, Vec, SSR4)


def row_dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The dot product over the last axis, which is kept: (..., 1)."""
    return (a * b).sum(-1, keepdim=True)


def dyad(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The dyadic product (..., 3, 3) of (..., 3) and (..., 3)."""
    return a[..., :, None] * b[..., None, :]


def _spin(v: torch.Tensor) -> torch.Tensor:
    """The matrix [v] with [v] u = v x u."""
    return unpack_skew(v)


def plus_identity(diagonal: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """``diagonal`` (..., 1) times I plus ``matrix`` (..., 3, 3)."""
    return diagonal[..., None] * torch.eye(3, dtype=matrix.dtype, device=matrix.device) + matrix


# --- rotating -----------------------------------------------------------------------------------------------


def rotate(x: X, R: R2) -> X:
    """``x`` rotated by the matrix ``R``.

    SR2, WR2 and R2: R x R^T (its symmetric or skew part); Vec: R v; SSR4: R_im R_jn R_kp R_lq C_mnpq.
    """
    expect(R, R2, "rotate, as the rotation,")
    expect(x, (SR2, WR2, R2, Vec, SSR4), "rotate")
    data, r, n = aligned_pair(x, R)
    rotated: torch.Tensor
    if type(x) is Vec:
        rotated = (r * data[..., None, :]).sum(-1)
    elif type(x) is SSR4:
        m = _mandel_rotation(r, r)
        rotated = _sandwich6(m, data, m)
    else:
        rotated = _pack(type(x), matmul3(matmul3(r, _unpack(x, data)), r.mT))
    return wrap(type(x), rotated, n)


def jvp_rotate(x: X, R: R2, dR: R2) -> X:
    """The derivative of `rotate` with respect to ``R`` in the direction ``dR``."""
    expect(R, R2, "jvp_rotate, as the rotation,")
    expect(dR, R2, "jvp_rotate, as the direction,")
    expect(x, (SR2, WR2, R2, Vec, SSR4), "jvp_rotate")
    (data, r, d), n = aligned_data(x, R, dR)
    change: torch.Tensor
    if type(x) is Vec:
        change = (d * data[..., None, :]).sum(-1)
    elif type(x) is SSR4:
        m = _mandel_rotation(r, r)
        dm = _mandel_rotation(r, d) + _mandel_rotation(d, r)
        change = _sandwich6(dm, data, m) + _sandwich6(m, data, dm)
    else:
        full = _unpack(x, data)
        change = matmul3(matmul3(d, full), r.mT) + matmul3(matmul3(r, full), d.mT)
        change = _pack(type(x), change)
    return wrap(type(x), change, n)


def _unpack(x: Any, data: torch.Tensor) -> torch.Tensor:
    if type(x) is SR2:
        return unpack_sym(data)
    return unpack_skew(data) if type(x) is WR2 else data


def _pack(kind: type, full: torch.Tensor) -> torch.Tensor:
    """Components of a matrix that is symmetric or skew already, so that one triangle tells all of it."""
    if kind is R2:
        return full
    xx, xy, xz, yx, yy, yz, _, zy, zz = full.reshape(full.shape[:-2] + (9,)).unbind(-1)
    if kind is WR2:
        return torch.stack([zy, xz, yx], -1)
    return torch.stack([xx, yy, zz, yz * SQRT2, xz * SQRT2, xy * SQRT2], -1)


def _mandel_rotation(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """The 6x6 matrix M of S -> sym(p S q^T) in Mandel notation.

    M_IJ = f_I f_J (p_ik q_jl + p_il q_jk + p_jk q_il + p_jl q_ik)/4, I = ij, J = kl, f = 1 or sqrt 2 (shear).
    """
    first, second = (1, 0, 0), (2, 2, 1)  # the index pairs yz, xz, xy

    def rows(x: torch.Tensor, picks: tuple[int, ...]) -> torch.Tensor:
        return torch.stack([x[..., i, :] for i in picks], -2)

    def columns(x: torch.Tensor, picks: tuple[int, ...]) -> torch.Tensor:
        return torch.stack([x[..., :, i] for i in picks], -1)

    p_k, p_l, q_k, q_l = columns(p, first), columns(p, second), columns(q, first), columns(q, second)
    normal_normal = p * q
    normal_shear = (p_k * q_l + p_l * q_k) / SQRT2
    shear_normal = (rows(p, first) * rows(q, second) + rows(p, second) * rows(q, first)) / SQRT2
    shear_shear = (
        rows(p_k, first) * rows(q_l, second)
        + rows(p_l, first) * rows(q_k, second)
        + rows(p_k, second) * rows(q_l, first)
        + rows(p_l, second) * rows(q_k, first)
    ) / 2
    upper = torch.cat([normal_normal, normal_shear], -1)
    lower = torch.cat([shear_normal, shear_shear], -1)
    return torch.cat([upper, lower], -2)


def _sandwich6(m: torch.Tensor, c: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    """M c n^T for 6x6 matrices."""
    mc = sum_last(m[..., :, None, :] * c.mT[..., None, :, :])
    return sum_last(mc[..., :, None, :] * n[..., None, :, :])


# --- modified Rodrigues parameters --------------------------------------------------------------------------


def euler_rodrigues(r: MRP) -> R2:
    r"""The rotation matrix :math:`I + \frac{4(1-\rho) W + 8 W^2}{(1+\rho)^2}`, rho = r.r, W v = r x v."""
    expect(r, MRP, "euler_rodrigues")
    x = r.data
    rho = row_dot(x, x)
    w = _spin(x)
    scale = (1 / ((1 + rho) * (1 + rho)))[..., None]
    # W^2 = r r^T - rho I
    square = plus_identity(-rho, dyad(x, x))
    turn = scale * (4 * (1 - rho)[..., None] * w + 8 * square)
    return wrap(R2, plus_identity(torch.ones_like(rho), turn), r.sub_batch_ndim)


def jvp_euler_rodrigues(r: MRP, dr: MRP) -> R2:
    """The derivative of `euler_rodrigues` in the direction ``dr``."""
    expect(r, MRP, "jvp_euler_rodrigues")
    expect(dr, MRP, "jvp_euler_rodrigues")
    x, dx, n = aligned_pair(r, dr)
    rho, drho = row_dot(x, x)[..., None], 2 * row_dot(x, dx)[..., None]
    w, dw = _spin(x), _spin(dx)
    square = plus_identity(-rho[..., 0], dyad(x, x))
    dsquare = plus_identity(-drho[..., 0], dyad(x, dx) + dyad(dx, x))
    top = 4 * (1 - rho) * w + 8 * square
    dtop = 4 * (1 - rho) * dw - 4 * drho * w + 8 * dsquare
    return wrap(R2, (dtop - 2 * drho / (1 + rho) * top) / ((1 + rho) * (1 + rho)), n)


def compose(r1: MRP, r2: MRP) -> MRP:
    r"""The rotation r2 followed by r1, without switching to the shadow parameters.

    .. math:: \frac{(1-\rho_2) r_1 + (1-\rho_1) r_2 - 2 r_2 \times r_1}{1 + \rho_1 \rho_2 - 2 r_1 \cdot r_2}
    """
    expect(r1, MRP, "compose")
    expect(r2, MRP, "compose")
    a, b, n = aligned_pair(r1, r2)
    top, bottom = _composition(a, b)
    return wrap(MRP, top / bottom, n)


def _composition(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    rho_a, rho_b = row_dot(a, a), row_dot(b, b)
    top = (1 - rho_b) * a + (1 - rho_a) * b - 2 * cross3(b, a)
    return top, 1 + rho_a * rho_b - 2 * row_dot(a, b)


def jvp_compose(r1: MRP, r2: MRP, *, dr1: MRP | None = None, dr2: MRP | None = None) -> MRP:
    """The derivative of `compose` in the directions ``dr1`` and ``dr2``; an omitted one is zero."""
    for r in (r1, r2, dr1, dr2):
        if r is not None:
            expect(r, MRP, "jvp_compose")
    if dr1 is None:
        dr1 = r1 * 0.0
    if dr2 is None:
        dr2 = r2 * 0.0
    (a, b, da, db), n = aligned_data(r1, r2, dr1, dr2)
    top, bottom = _composition(a, b)
    rho_a, rho_b = row_dot(a, a), row_dot(b, b)
    drho_a, drho_b = 2 * row_dot(a, da), 2 * row_dot(b, db)
    dtop = (1 - rho_b) * da - drho_b * a + (1 - rho_a) * db - drho_a * b - 2 * (cross3(db, a) + cross3(b, da))
    dbottom = drho_a * rho_b + rho_a * drho_b - 2 * (row_dot(da, b) + row_dot(a, db))
    return wrap(MRP, (dtop - top / bottom * dbottom) / bottom, n)


def drotate(r1: MRP, r2: MRP) -> R2:
    """The derivative of ``compose(r2, r1)`` with respect to ``r2``."""
    expect(r1, MRP, "drotate")
    expect(r2, MRP, "drotate")
    q, p, n = aligned_pair(r1, r2)
    return wrap(R2, _composition_slope(p, q, 1.0), n)


def drotate_self(r1: MRP, r2: MRP) -> R2:
    """The derivative of ``compose(r2, r1)`` with respect to ``r1``."""
    expect(r1, MRP, "drotate_self")
    expect(r2, MRP, "drotate_self")
    q, p, n = aligned_pair(r1, r2)
    return wrap(R2, _composition_slope(q, p, -1.0), n)


def _composition_slope(a: torch.Tensor, b: torch.Tensor, sense: float) -> torch.Tensor:
    """The derivative with respect to a of a o b (``sense`` 1) or b o a (``sense`` -1)."""
    rho_a, rho_b = row_dot(a, a), row_dot(b, b)
    top = (1 - rho_b) * a + (1 - rho_a) * b - 2 * sense * cross3(b, a)
    bottom = 1 + rho_a * rho_b - 2 * row_dot(a, b)
    dtop = plus_identity(1 - rho_b, -2 * dyad(b, a) - 2 * sense * _spin(b))
    dbottom = 2 * (rho_b * a - b)
    return (dtop - dyad(top / bottom, dbottom)) / bottom[..., None]


def inverse(r: MRP) -> MRP:
    """The inverse rotation, -r."""
    expect(r, MRP, "inverse")
    return wrap(MRP, -r.data, r.sub_batch_ndim)


def shadow(r: MRP) -> MRP:
    """The other parameters of the same rotation, -r/|r|^2; NaN at r = 0."""
    expect(r, MRP, "shadow")
    return wrap(MRP, -r.data / row_dot(r.data, r.data), r.sub_batch_ndim)


def gdist(a: MRP, b: MRP) -> Scalar:
    r"""The angle between two rotations on the chart as given, in [0, 2 pi].

    .. math:: 4 \arcsin \frac{|a - b|}{\sqrt{(1 + |a|^2)(1 + |b|^2)}}

    The derivative is 0 where the angle is 0 or 2 pi.
    """
    sine, cosine, n = _half_chord(a, b, "gdist")
    acute = sine <= cosine
    angle = torch.asin(torch.where(acute, sine, cosine))  # never near 1, where asin has no derivative
    return wrap(Scalar, 4 * torch.where(acute, angle, math.pi / 2 - angle), n)


def dist(a: MRP, b: MRP) -> Scalar:
    """The angle of the rotation from ``a`` to ``b``, in [0, pi]: the least `gdist` over their shadows."""
    sine, cosine, n = _half_chord(a, b, "dist")  # the shadow of either one exchanges sine and cosine
    return wrap(Scalar, 4 * torch.asin(torch.where(sine <= cosine, sine, cosine)), n)


def _half_chord(a: MRP, b: MRP, who: str) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Sine and cosine of a quarter of the angle between two rotations."""
    expect(a, MRP, who)
    expect(b, MRP, who)
    x, y, n = aligned_pair(a, b)
    difference, c = x - y, cross3(x, y)
    scale = torch.sqrt((1 + (x * x).sum(-1)) * (1 + (y * y).sum(-1)))
    even = 1 + (x * y).sum(-1)
    # Lagrange: (1 + a.a)(1 + b.b) = |a - b|^2 + (1 + a.b)^2 + |a x b|^2
    sine = safe_sqrt((difference * difference).sum(-1)) / scale
    cosine = safe_sqrt(even * even + (c * c).sum(-1)) / scale
    return sine, cosine, n


def dV(r: MRP) -> Scalar:
    r"""The volume element of rotation space, :math:`(8/\pi) (1 + |r|^2)^{-3}`."""
    expect(r, MRP, "dV")
    s = 1 + (r.data * r.data).sum(-1)
    return wrap(Scalar, (8 / math.pi) / (s * s * s), r.sub_batch_ndim)


# --- conversions --------------------------------------------------------------------------------------------


def from_axis_angle(axis: Vec, angle: Scalar) -> MRP:
    """See `MRP.from_axis_angle`."""
    expect(axis, Vec, "MRP.from_axis_angle")
    expect(angle, Scalar, "MRP.from_axis_angle")
    n, theta, rank = aligned_pair(axis, angle)
    return wrap(MRP, n / torch.sqrt(row_dot(n, n)) * torch.tan(theta / 4)[..., None], rank)


def from_axis_angle_standard(axis: Vec, angle: Scalar) -> MRP:
    """See `MRP.from_axis_angle_standard`."""
    expect(axis, Vec, "MRP.from_axis_angle_standard")
    expect(angle, Scalar, "MRP.from_axis_angle_standard")
    n, theta, rank = aligned_pair(axis, angle)
    v = n / torch.sqrt(row_dot(n, n)) * torch.tan(theta / 2)[..., None]
    return wrap(MRP, v / (torch.sqrt(1 + row_dot(v, v)) + 1), rank)


def rotation_from_to(v1: Vec, v2: Vec) -> MRP:
    """See `MRP.rotation_from_to`."""
    expect(v1, Vec, "MRP.rotation_from_to")
    expect(v2, Vec, "MRP.rotation_from_to")
    a, b, n = aligned_pair(v1, v2)
    axis, cosine = cross3(a, b), 1 + row_dot(a, b)
    opposite = cosine <= 1e-15  # of the size of rounding: any axis normal to v1 will do
    safe = torch.where(opposite, 1.0, cosine)
    s = axis / safe
    r = s / (torch.sqrt(1 + row_dot(s, s)) + 1)
    x, y, z = a.unbind(-1)
    steep = torch.where(z < 0, -1.0, 1.0)
    f = 1 / (steep + z)  # a frame normal to v1: T. Duff et al., J. Computer Graphics Techniques 6 (2017)
    normal = torch.stack([1 - steep * x * x * f, -steep * x * y * f, -steep * x], -1)
    return wrap(MRP, torch.where(opposite, normal, r), n)


def from_matrix(R: R2) -> MRP:
    """Through the quaternion, its largest component first (S. Shepperd, J. Guidance and Control 1, 1978)."""
    expect(R, R2, "MRP.from_matrix")
    m = R.data
    xx, xy, xz, yx, yy, yz, zx, zy, zz = m.reshape(m.shape[:-2] + (9,)).unbind(-1)
    w, x, y, z = 1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz
    # row k is 4 q_k q
    by_w = torch.stack([w, zy - yz, xz - zx, yx - xy], -1)
    by_x = torch.stack([zy - yz, x, xy + yx, xz + zx], -1)
    by_y = torch.stack([xz - zx, xy + yx, y, yz + zy], -1)
    by_z = torch.stack([yx - xy, xz + zx, yz + zy, z], -1)
    upper = torch.where((w >= x)[..., None], by_w, by_x)
    lower = torch.where((y >= z)[..., None], by_y, by_z)
    q = torch.where((torch.maximum(w, x) >= torch.maximum(y, z))[..., None], upper, lower)
    q = q / torch.sqrt(sum_last(q * q))[..., None]
    return wrap(MRP, _mrp_of_quaternion(q), R.sub_batch_ndim)


def _mrp_of_quaternion(q: torch.Tensor) -> torch.Tensor:
    """The parameters with |r| <= 1."""
    w, v = q[..., :1], q[..., 1:]
    return torch.where(w < 0, -v, v) / (1 + torch.abs(w))


def random_rotations(
    *shape: Any, dtype: torch.dtype, device: Device, generator: torch.Generator | None
) -> MRP:
    """See `MRP.rand`."""
    u = torch.rand(sizes_of(shape) + (3,), dtype=dtype, device=device, generator=generator)
    u0, u1, u2 = u[..., 0], 2 * math.pi * u[..., 1], 2 * math.pi * u[..., 2]
    a, b = torch.sqrt(1 - u0), torch.sqrt(u0)
    q = torch.stack([a * torch.sin(u1), a * torch.cos(u1), b * torch.sin(u2), b * torch.cos(u2)], -1)
    return wrap(MRP, _mrp_of_quaternion(q), 0)


def to_quaternion(r: MRP) -> Quaternion:
    """The unit quaternion ((1 - rho), 2 r)/(1 + rho), with rho = r.r."""
    expect(r, MRP, "to_quaternion")
    rho = row_dot(r.data, r.data)
    return wrap(Quaternion, torch.cat([1 - rho, 2 * r.data], -1) / (1 + rho), r.sub_batch_ndim)


def quaternion_rotation_matrix(q: Quaternion) -> R2:
    """The rotation matrix of a unit quaternion, I + 2 w [v] + 2 [v]^2."""
    expect(q, Quaternion, "quaternion_rotation_matrix")
    w, v = q.data[..., :1], q.data[..., 1:]
    square = plus_identity(-row_dot(v, v), dyad(v, v))
    turn = 2 * w[..., None] * _spin(v) + 2 * square
    return wrap(R2, plus_identity(torch.ones_like(w), turn), q.sub_batch_ndim)


def quaternion_dist(a: Quaternion, b: Quaternion) -> Scalar:
    """The angle 2 arccos |a.b| between the rotations of unit quaternions; of derivative 0 at a = +-b."""
    expect(a, Quaternion, "quaternion_dist")
    expect(b, Quaternion, "quaternion_dist")
    x, y, n = aligned_pair(a, b)
    opposite = sum_last(x * y)[..., None] < 0
    chord = x - torch.where(opposite, -y, y)
    # the same angle from the chord: arccos loses half of its digits near 1
    return wrap(Scalar, 4 * torch.asin(safe_sqrt(sum_last(chord * chord)) / 2), n)
