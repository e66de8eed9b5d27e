"""Functions of one or two tensors: invariants, determinants, products, conversions."""

from __future__ import annotations

from typing import Generic, TypeVar

import torch

from neml2.fields import REQUIRED, Input, Option, Output
from neml2.model import Model, for_types
from neml2.types import (
    MRP,
    R2,
    SR2,
    WR2,
    Scalar,
    TensorWrapper,
    Vec,
    det,
    dev,
    euler_rodrigues,
    inner,
    inv,
    r2_from_sr2,
    skew,
    sqrt,
    sym,
    tr,
    vec_component,
)

T = TypeVar("T", bound=TensorWrapper)


class SR2Invariant(Model):
    r"""Scalar invariant of a symmetric tensor.

    With :math:`A' = \mathrm{dev}\,A` and the machine epsilon :math:`\epsilon`, which makes the norms smooth
    at zero,

    .. math::
        I_1 = \mathrm{tr}\,A, \qquad
        \sigma_\mathrm{vM} = \sqrt{\tfrac32 A':A' + \epsilon}, \qquad
        \varepsilon_\mathrm{eff} = \sqrt{\tfrac23 A':A' + \epsilon}
    """

    tensor: SR2 = Input("The symmetric tensor")
    invariant: Scalar = Output("Its invariant")
    invariant_type: str = Option(
        "Which invariant: I1 (trace), VONMISES, or EFFECTIVE_STRAIN",
        choices=("I1", "VONMISES", "EFFECTIVE_STRAIN"),
    )

    def forward(self, A):
        if self.invariant_type == "I1":
            return tr(A)
        factor = {"VONMISES": 3 / 2, "EFFECTIVE_STRAIN": 2 / 3}[self.invariant_type]
        return sqrt(factor * inner(dev(A), dev(A)) + torch.finfo(A.dtype).eps)


class Determinant(Model, Generic[T]):
    r"""Determinant of a tensor; its derivative is the cofactor, also for singular tensors.

    .. math:: J = \det F
    """

    F: T = Input("The tensor", option="input")
    J: Scalar = Output("Its determinant", option="determinant")

    def forward(self, F):
        return det(F)


class R2Multiplication(Model):
    r"""Product of two second-order tensors, each of which may be inverted and transposed first.

    .. math:: C = \mathrm{op}_A(A)\, \mathrm{op}_B(B)
    """

    A: R2 = Input("The left factor")
    B: R2 = Input("The right factor")
    C: R2 = Output("Their product", option="to")
    invert_A: bool = Option("Whether to invert the left factor", default=False)
    invert_B: bool = Option("Whether to invert the right factor", default=False)
    transpose_A: bool = Option("Whether to transpose the left factor", default=False)
    transpose_B: bool = Option("Whether to transpose the right factor", default=False)

    def forward(self, A, B):
        A = inv(A) if self.invert_A else A
        B = inv(B) if self.invert_B else B
        A = A.base.transpose() if self.transpose_A else A
        B = B.base.transpose() if self.transpose_B else B
        return A @ B


class R2ToSR2(Model):
    r"""Symmetric part of a second-order tensor.

    .. math:: S = \tfrac12 (A + A^T)
    """

    A: R2 = Input("The tensor", option="input")
    S: SR2 = Output("Its symmetric part", option="output")

    def forward(self, A):
        return sym(A)


class R2ToWR2(Model):
    r"""Skew-symmetric part of a second-order tensor, as an axial vector.

    .. math:: W = \tfrac12 (A - A^T)
    """

    A: R2 = Input("The tensor", option="input")
    W: WR2 = Output("Its skew-symmetric part", option="output")

    def forward(self, A):
        return skew(A)


class SR2ToR2(Model):
    r"""A symmetric tensor with all its nine components.

    .. math:: A = S
    """

    S: SR2 = Input("The symmetric tensor", option="input")
    A: R2 = Output("The same tensor", option="output")

    def forward(self, S):
        return r2_from_sr2(S)


class ScalarToDiagonalSR2(Model):
    r"""A scalar times the identity.

    .. math:: S = s\, I
    """

    s: Scalar = Input("The scalar", option="input")
    S: SR2 = Output("The spherical tensor", option="output")

    def forward(self, s):
        return s * SR2.identity(dtype=s.dtype, device=s.device)


class RotationMatrix(Model):
    r"""Rotation matrix of modified Rodrigues parameters (Euler-Rodrigues formula).

    With :math:`\rho = r \cdot r` and the skew-symmetric tensor :math:`W` of :math:`r`,

    .. math:: R = I + \frac{4 (1 - \rho)}{(1 + \rho)^2} W + \frac{8}{(1 + \rho)^2} W^2
    """

    r: MRP = Input("The rotation", option="from")
    R: R2 = Output("Its matrix", option="to")

    def forward(self, r):
        return euler_rodrigues(r)


class VecComponents(Model):
    r"""The three components of a vector.

    .. math:: (v_1, v_2, v_3) = v
    """

    v: Vec = Input("The vector", option="from")
    components: Scalar = Output("Names of its three components", option="to", many=True, default=REQUIRED)

    def setup(self) -> None:
        found = len(self.variables["components"])
        if found != 3:
            raise ValueError(f"{self._label()}: to needs 3 names, one per component; got {found}")

    def forward(self, v):
        return vec_component(v, 0), vec_component(v, 1), vec_component(v, 2)


for_types(Determinant, R2, SR2)
