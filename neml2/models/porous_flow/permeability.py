"""Permeability of a porous solid from its porosity."""

from __future__ import annotations

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import Scalar, exp, pow

_POROSITY = Input("Volume fraction of the pores")
_PERMEABILITY = Output("Permeability", unit="length^2")
_REFERENCE = Parameter(
    "reference_permeability",
    "Permeability at the reference porosity",
    promotable=False,
    within="(0, inf)",
    unit="length^2",
)
_REFERENCE_POROSITY = Parameter("reference_porosity", "Reference porosity", promotable=False, within="(0, 1)")


class PowerLawPermeability(Model):
    r"""Permeability that grows with a power of the porosity.

    .. math:: K = K_0 \left(\frac{\varphi}{\varphi_0}\right)^p
    """

    porosity: Scalar = _POROSITY
    permeability: Scalar = _PERMEABILITY
    K0: Scalar = _REFERENCE
    phi0: Scalar = _REFERENCE_POROSITY
    p: Scalar = Parameter("exponent", "Exponent of the porosity", promotable=False)

    def forward(self, phi, K0, phi0, p):
        return K0 * pow(phi / phi0, p)


class ExponentialLawPermeability(Model):
    r"""Permeability that falls exponentially with the porosity, if the scale is positive.

    .. math:: K = K_0\, \exp\left(a\,(\varphi_0 - \varphi)\right)
    """

    porosity: Scalar = _POROSITY
    permeability: Scalar = _PERMEABILITY
    K0: Scalar = _REFERENCE
    phi0: Scalar = _REFERENCE_POROSITY
    a: Scalar = Parameter(
        "scale", "Relative decrease of the permeability per increase of the porosity", promotable=False
    )

    def forward(self, phi, K0, phi0, a):
        return K0 * exp(a * (phi0 - phi))


class KozenyCarmanPermeability(Model):
    r"""Permeability from the ratio of pores to solid, after Kozeny and Carman.

    .. math:: K = K_0 \left(\frac{\varphi}{1 - \varphi}\right)^n
              \left(\frac{\varphi_0}{1 - \varphi_0}\right)^{-m}

    It is the reference permeability at the reference porosity if n = m. Carman (1937), Transactions of the
    Institution of Chemical Engineers 15, 150-166.
    """

    porosity: Scalar = _POROSITY
    permeability: Scalar = _PERMEABILITY
    K0: Scalar = _REFERENCE
    phi0: Scalar = _REFERENCE_POROSITY
    n: Scalar = Parameter("n", "Exponent of the ratio of pores to solid", promotable=False)
    m: Scalar = Parameter("m", "Exponent of the same ratio in the reference", promotable=False)

    def forward(self, phi, K0, phi0, n, m):
        return K0 * pow(phi / (1 - phi), n) / pow(phi0 / (1 - phi0), m)
