"""The fixed types other than `Scalar`: vectors, second- and fourth-order tensors, rotations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from .primitive import Device, PrimitiveTensor, Scalar, _refused, join_components
from .wrapper import aligned_pair, wrap

if TYPE_CHECKING:
    pass

SQRT2 = math.sqrt(2.0)
_VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")


class Vec(PrimitiveTensor):
    """A vector, Cartesian components ``(3,)``."""

    __slots__ = ()
    BASE_SHAPE = (3,)
    COMPONENTS = ("x", "y", "z")


class R2(PrimitiveTensor):
    """A second-order tensor ``(3, 3)``, row-major."""

    __slots__ = ()
    BASE_SHAPE = (3, 3)
    COMPONENTS = tuple(i + j for i in "xyz" for j in "xyz")

    @classmethod
    def identity(cls, *, dtype: torch.dtype = torch.float64, device: Device = None) -> R2:
        return wrap(cls, torch.eye(3, dtype=dtype, device=device), 0)

    def __matmul__(self, other: Any) -> R2:
        if type(other) is not R2:
            raise _refused(self, other, "@")
        a, b, n = aligned_pair(self, other)
        return wrap(R2, matmul3(a, b), n)


class SR2(PrimitiveTensor):
    r"""A symmetric second-order tensor, Mandel ``(6,)``: :math:`xx, yy, zz, \sqrt2 yz, \sqrt2 xz, \sqrt2 xy`.

    The double contraction is the plain dot product of the stored components.
    """

    __slots__ = ()
    BASE_SHAPE = (6,)
    COMPONENTS = _VOIGT

    @classmethod
    def fill(cls, *components: Any, dtype: torch.dtype | None = None, device: Device = None) -> SR2:
        """From 1 number a: diag(a, a, a); from 3: the diagonal; from 6: the true xx, yy, zz, yz, xz, xy."""
        if len(components) not in (1, 3, 6):
            raise ValueError(f"SR2.fill got {len(components)} components; give 1, 3 or 6.")
        flat, rank = join_components(components, dtype, device, "SR2.fill")
        if len(components) == 6:
            return wrap(cls, _scale_shear(flat, SQRT2), rank)
        normal = flat.expand(flat.shape[:-1] + (3,))
        return wrap(cls, torch.cat([normal, torch.zeros_like(normal)], -1), rank)

    @classmethod
    def identity(cls, *, dtype: torch.dtype = torch.float64, device: Device = None) -> SR2:
        return cls.fill(1.0, dtype=dtype, device=device)

    @classmethod
    def from_physical(cls, components: Any, sub_batch_ndim: int = 0) -> SR2:
        """From the true components xx, yy, zz, yz, xz, xy, shape ``(..., 6)``."""
        typed = cls(components, sub_batch_ndim)
        return wrap(cls, _scale_shear(typed.data, SQRT2), typed.sub_batch_ndim)

    def physical(self) -> torch.Tensor:
        """The true components xx, yy, zz, yz, xz, xy, shape ``(..., 6)``."""
        return _scale_shear(self.data, 1.0 / SQRT2)


class WR2(PrimitiveTensor):
    """A skew tensor by its axial vector w ``(3,)``: W v = w x v, so w = (zy, xz, yx)."""

    __slots__ = ()
    BASE_SHAPE = (3,)
    COMPONENTS = ("zy", "xz", "yx")

    @classmethod
    def identity(cls, *, dtype: torch.dtype = torch.float64, device: Device = None) -> WR2:
        """Zero, the neutral element of the exponential map."""
        return cls.zeros(dtype=dtype, device=device)


class SSR4(PrimitiveTensor):
    """A fourth-order tensor with both minor symmetries, Mandel notation in both index pairs ``(6, 6)``."""

    __slots__ = ()
    BASE_SHAPE = (6, 6)
    COMPONENTS = tuple(i + j for i in _VOIGT for j in _VOIGT)

    @classmethod
    def identity(cls, *, dtype: torch.dtype = torch.float64, device: Device = None) -> SSR4:
        r""":math:`\delta_{ij}\delta_{kl}`, which maps A to tr(A) I."""
        data = torch.zeros(6, 6, dtype=dtype, device=device)
        data[:3, :3] = 1.0
        return wrap(cls, data, 0)

    @classmethod
    def identity_sym(cls, *, dtype: torch.dtype = torch.float64, device: Device = None) -> SSR4:
        """Maps A to itself."""
        return wrap(cls, torch.eye(6, dtype=dtype, device=device), 0)

    @classmethod
    def identity_vol(cls, *, dtype: torch.dtype = torch.float64, device: Device = None) -> SSR4:
        """Maps A to its volumetric part tr(A)/3 I."""
        return cls.identity(dtype=dtype, device=device) / 3.0

    @classmethod
    def identity_dev(cls, *, dtype: torch.dtype = torch.float64, device: Device = None) -> SSR4:
        """Maps A to its deviator."""
        return cls.identity_sym(dtype=dtype, device=device) - cls.identity_vol(dtype=dtype, device=device)

    @classmethod
    def identity_C1(cls, *, dtype: torch.dtype = torch.float64, device: Device = None) -> SSR4:
        """Ones at (xx,xx), (yy,yy), (zz,zz)."""
        return wrap(cls, torch.diag(torch.tensor([1.0] * 3 + [0.0] * 3, dtype=dtype, device=device)), 0)

    @classmethod
    def identity_C2(cls, *, dtype: torch.dtype = torch.float64, device: Device = None) -> SSR4:
        """Ones at (xx,yy), (xx,zz), (yy,zz) and their transposes."""
        return cls.identity(dtype=dtype, device=device) - cls.identity_C1(dtype=dtype, device=device)

    @classmethod
    def identity_C3(cls, *, dtype: torch.dtype = torch.float64, device: Device = None) -> SSR4:
        """Ones on the diagonal of the shear block."""
        return cls.identity_sym(dtype=dtype, device=device) - cls.identity_C1(dtype=dtype, device=device)

    @classmethod
    def from_physical(cls, components: Any, sub_batch_ndim: int = 0) -> SSR4:
        """From the true components C_ijkl with ij, kl in xx, yy, zz, yz, xz, xy, shape ``(..., 6, 6)``."""
        typed = cls(components, sub_batch_ndim)
        data = _scale_shear(_scale_shear(typed.data, SQRT2).mT, SQRT2).mT
        return wrap(cls, data, typed.sub_batch_ndim)

    def physical(self) -> torch.Tensor:
        """The true components C_ijkl with ij, kl in xx, yy, zz, yz, xz, xy, shape ``(..., 6, 6)``."""
        return _scale_shear(_scale_shear(self.data, 1.0 / SQRT2).mT, 1.0 / SQRT2).mT

    def __matmul__(self, other: Any) -> Any:
        if type(other) is SR2:
            a, b, n = aligned_pair(self, other)
            return wrap(SR2, sum_last(a * b[..., None, :]), n)
        if type(other) is SSR4:
            a, b, n = aligned_pair(self, other)
            return wrap(SSR4, sum_last(a[..., :, None, :] * b.mT[..., None, :, :]), n)
        raise _refused(self, other, "@")


class MRP(PrimitiveTensor):
    r"""A rotation, modified Rodrigues parameters ``(3,)``: :math:`n \tan(\theta/4)`; zero is the identity."""

    __slots__ = ()
    BASE_SHAPE = (3,)
    COMPONENTS = ("x", "y", "z")

    @classmethod
    def identity(cls, *, dtype: torch.dtype = torch.float64, device: Device = None) -> MRP:
        return cls.zeros(dtype=dtype, device=device)

    @classmethod
    def rand(
        cls,
        *shape: Any,
        dtype: torch.dtype = torch.float64,
        device: Device = None,
        generator: torch.Generator | None = None,
    ) -> MRP:
        """Rotations uniform on SO(3) (Shoemake 1992), with ``|r| <= 1``, of dynamic batch ``shape``."""
        from .rotations import random_rotations

        return random_rotations(*shape, dtype=dtype, device=device, generator=generator)

    @classmethod
    def from_axis_angle(cls, n: Vec, theta: Scalar) -> MRP:
        r""":math:`n/|n| \tan(\theta/4)`."""
        from .rotations import from_axis_angle

        return from_axis_angle(n, theta)

    @classmethod
    def from_axis_angle_standard(cls, n: Vec, theta: Scalar) -> MRP:
        r"""Through :math:`v = n/|n| \tan(\theta/2)`; as `from_axis_angle` for |theta| < pi."""
        from .rotations import from_axis_angle_standard

        return from_axis_angle_standard(n, theta)

    @classmethod
    def from_matrix(cls, R: R2) -> MRP:
        """The parameters with ``|r| <= 1`` of a rotation matrix, at any angle including pi."""
        from .rotations import from_matrix

        return from_matrix(R)

    @classmethod
    def rotation_from_to(cls, v1: Vec, v2: Vec) -> MRP:
        """The shortest rotation that takes the unit vector ``v1`` to the unit vector ``v2``."""
        from .rotations import rotation_from_to

        return rotation_from_to(v1, v2)


class Quaternion(PrimitiveTensor):
    """A rotation as a unit quaternion ``(4,)``: w, x, y, z."""

    __slots__ = ()
    BASE_SHAPE = (4,)
    COMPONENTS = ("w", "x", "y", "z")

    @classmethod
    def identity(cls, *, dtype: torch.dtype = torch.float64, device: Device = None) -> Quaternion:
        return cls.fill(1.0, 0.0, 0.0, 0.0, dtype=dtype, device=device)


class MillerIndex(PrimitiveTensor):
    """Crystallographic indices ``(3,)``, stored as floats."""

    __slots__ = ()
    BASE_SHAPE = (3,)
    COMPONENTS = ("h", "k", "l")


# The products below are multiplications and sums in one memory layout, so that torch adds in one order: a
# point's result has the same bits alone and in any batch, unlike with matmul.


def matmul3(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Matrix product of ``(..., m, 3)`` and ``(..., 3, n)``."""
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


def sum_last(x: torch.Tensor, axes: int = 1) -> torch.Tensor:
    """Sum over the last axes."""
    x = x.contiguous()
    return x.sum(-1) if axes == 1 else x.flatten(-axes).sum(-1)


def _scale_shear(x: torch.Tensor, factor: float) -> torch.Tensor:
    """The last three of six components multiplied by ``factor``."""
    return torch.cat([x[..., :3], x[..., 3:] * factor], -1)
