r"""Mixed modes of cohesive zones: where damage starts and where the interface is broken.

The mode mixity is the ratio of sliding to opening, :math:`\beta = \delta_s/\delta_n`; an interface that does
not open is in mode II. Separations are effective ones, :math:`\sqrt{\delta_n^2 + \delta_s^2}`. See Camanho
and Davila (2002), NASA/TM-2002-211737.
"""

from __future__ import annotations

from abc import abstractmethod

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import Scalar, gt, pow, sqrt, where

_SIGN_OF_OPENING = Input("Opening of the interface; above zero it is open", unit="length")
_MIXITY = Parameter("mode_mixity", "Ratio of sliding to opening", within="[0, inf)")
_STIFFNESS = Parameter(
    "penalty_stiffness",
    "Stiffness of the intact interface",
    promotable=False,
    within="(0, inf)",
    unit="stress/length",
)
_SHEAR_STRENGTH = Parameter(
    "shear_strength", "Tangential strength", promotable=False, within="(0, inf)", unit="stress"
)


class ModeMixity(Model):
    r"""Ratio of sliding to opening; zero for an interface that does not open.

    .. math:: \beta = \frac{\delta_s}{\delta_n} \text{ if } \delta_n > 0 \text{, else } 0
    """

    normal_separation: Scalar = Input("Opening of the interface", unit="length")
    tangential_separation: Scalar = Input("Magnitude of the tangential jump", unit="length")
    mode_mixity: Scalar = Output("Ratio of sliding to opening")

    def forward(self, normal, tangential):
        opens = gt(normal, 0.0)
        divisor = where(opens, normal, 1 + 0 * normal)  # nothing is divided by zero, also in derivatives
        return where(opens, tangential / divisor, 0 * normal)


class CamanhoDavilaCriticalSeparation(Model):
    r"""Separation at which damage starts: tractions on an ellipse over both strengths.

    .. math:: \delta_c = \frac{N}{K} \sqrt{\frac{1 + \beta^2}{1 + (\beta N/S)^2}}
              \text{ if } \delta_n > 0 \text{, else } \frac{S}{K}
    """

    normal_separation: Scalar = _SIGN_OF_OPENING
    critical_separation: Scalar = Output("Separation at which damage starts", unit="length")
    beta: Scalar = _MIXITY
    K: Scalar = _STIFFNESS
    N: Scalar = Parameter(
        "normal_strength", "Normal strength", promotable=False, within="(0, inf)", unit="stress"
    )
    S: Scalar = _SHEAR_STRENGTH

    def forward(self, normal, beta, K, N, S):
        ratio = beta * N / S
        mixed = N / K * sqrt((1 + beta * beta) / (1 + ratio * ratio))
        return where(gt(normal, 0.0), mixed, S / K)


class FullSeparation(Model, abstract=True):
    r"""Separation at which all energy is released that the mixed mode takes.

    .. math:: \delta_f = \frac{2 G_c}{K \delta_c} \text{ if } \delta_n > 0 \text{, else } \frac{2 G_{IIc}}{S}

    The energy :math:`G_c` per area depends on the share of mode II, :math:`s = \beta^2/(1 + \beta^2)`.
    """

    normal_separation: Scalar = _SIGN_OF_OPENING
    full_separation: Scalar = Output("Separation at which the interface is broken", unit="length")
    beta: Scalar = _MIXITY
    delta_c: Scalar = Parameter(
        "critical_separation", "Separation at which damage starts", within="(0, inf)", unit="length"
    )
    K: Scalar = _STIFFNESS
    GIc: Scalar = Parameter(
        "mode_I_fracture_toughness",
        "Energy per area to break the interface by opening",
        promotable=False,
        within="(0, inf)",
        unit="stress length",
    )
    GIIc: Scalar = Parameter(
        "mode_II_fracture_toughness",
        "Energy per area to break the interface by sliding",
        promotable=False,
        within="(0, inf)",
        unit="stress length",
    )
    S: Scalar = _SHEAR_STRENGTH
    eta: Scalar = Parameter("eta", "Exponent of the criterion", promotable=False, within="(0, inf)")

    def forward(self, normal, beta, delta_c, K, GIc, GIIc, S, eta):
        opening = 1 / (1 + beta * beta)  # share of mode I
        Gc = self.toughness(opening, beta * beta * opening, GIc, GIIc, eta)
        return where(gt(normal, 0.0), 2 * Gc / (K * delta_c), 2 * GIIc / S)

    @abstractmethod
    def toughness(self, opening: Scalar, sliding: Scalar, GIc: Scalar, GIIc: Scalar, eta: Scalar) -> Scalar:
        """Energy per area to break the interface, from the shares of the modes (their sum is 1)."""


class BenzeggaghKenaneFullSeparation(FullSeparation):
    r"""Separation of a broken interface by the criterion of Benzeggagh and Kenane (1996).

    With the share of mode II, :math:`s = \beta^2/(1 + \beta^2)`,

    .. math:: \delta_f = \frac{2 G_c}{K \delta_c}, \qquad G_c = G_{Ic} + (G_{IIc} - G_{Ic})\, s^\eta

    if :math:`\delta_n > 0`, else :math:`2 G_{IIc}/S`.
    """

    def toughness(self, opening: Scalar, sliding: Scalar, GIc: Scalar, GIIc: Scalar, eta: Scalar) -> Scalar:
        return GIc + (GIIc - GIc) * pow(sliding, eta)


class PowerLawFullSeparation(FullSeparation):
    r"""Separation of a broken interface by a power law of both energies (Alfano and Crisfield, 2001).

    With the share of mode II, :math:`s = \beta^2/(1 + \beta^2)`,

    .. math:: \delta_f = \frac{2 G_c}{K \delta_c}, \qquad
              G_c^{-\eta} = \left(\frac{1 - s}{G_{Ic}}\right)^\eta + \left(\frac{s}{G_{IIc}}\right)^\eta

    if :math:`\delta_n > 0`, else :math:`2 G_{IIc}/S`.
    """

    def toughness(self, opening: Scalar, sliding: Scalar, GIc: Scalar, GIIc: Scalar, eta: Scalar) -> Scalar:
        return GIc * pow(pow(opening, eta) + pow(sliding * GIc / GIIc, eta), -1 / eta)
