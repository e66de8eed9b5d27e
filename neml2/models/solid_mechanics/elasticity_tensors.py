"""Fourth-order stiffness tensors from elastic constants."""

from __future__ import annotations

from typing import Any

from neml2.fields import BLOCK_NAME, Output
from neml2.models.solid_mechanics.elastic_constants import WithElasticConstants, bulk_and_shear
from neml2.types import SSR4


class IsotropicElasticityTensor(WithElasticConstants):
    r"""Isotropic stiffness.

    .. math:: C = 3K\, I^{\mathrm{vol}} + 2G\, I^{\mathrm{dev}}
    """

    C: SSR4 = Output("Stiffness", default=BLOCK_NAME, unit="stress")

    def forward(self, *constants):
        K, G = bulk_and_shear(self.constants, constants)
        like: Any = {"dtype": K.dtype, "device": K.device}
        return 3 * K * SSR4.identity_vol(**like) + 2 * G * SSR4.identity_dev(**like)


class CubicElasticityTensor(WithElasticConstants):
    r"""Stiffness of a cubic crystal in the frame of its axes.

    .. math:: C_1 = \frac{E(1-\nu)}{(1+\nu)(1-2\nu)}, \quad C_2 = \frac{E\nu}{(1+\nu)(1-2\nu)}, \quad C_3 = 2G

    In Mandel notation C1 stands on the first three diagonal entries, C2 beside them, and C3 on the last three
    diagonal entries. G is the shear modulus in the planes of the axes. Any two other constants may stand
    for E and nu: with the moduli K and g that follow from them, C1 = K + 4g/3 and C2 = K - 2g/3.
    """

    ORDER = ("G", "E", "nu", "K", "lam", "M")
    NUMBER = 3
    ALWAYS = ("G",)

    C: SSR4 = Output("Stiffness in the crystal frame", default=BLOCK_NAME, unit="stress")

    def forward(self, G, *constants):
        K, g = bulk_and_shear(self.constants[1:], constants)
        like: Any = {"dtype": K.dtype, "device": K.device}
        C1, C2, C3 = K + 4 * g / 3, K - 2 * g / 3, 2 * G
        return C1 * SSR4.identity_C1(**like) + C2 * SSR4.identity_C2(**like) + C3 * SSR4.identity_C3(**like)
