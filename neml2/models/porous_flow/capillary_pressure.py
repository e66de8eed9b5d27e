"""How much fluid the pores hold, and the capillary pressure that holds it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch

from neml2.fields import Input, Option, Output, Parameter
from neml2.model import Model
from neml2.models.common._held import limited
from neml2.types import Scalar, exp, lt, pow, where


class EffectiveSaturation(Model):
    r"""Share of the pores that fluid fills, relative to what can be drained.

    .. math:: S = \frac{\varphi/\varphi_\mathrm{max} - S_r}{1 - S_r}
    """

    fluid_fraction: Scalar = Input("Volume fraction of the fluid")
    effective_saturation: Scalar = Output("Effective saturation; 0 if drained, 1 if full")
    Sr: Scalar = Parameter(
        "residual_saturation", "Saturation that cannot be drained", promotable=False, within="[0, 1)"
    )
    phi_max: Scalar = Parameter(
        "max_fraction", "Volume fraction of the fluid in full pores, the porosity", within="(0, inf)"
    )

    def forward(self, phi, Sr, phi_max):
        return (phi / phi_max - Sr) / (1 - Sr)


class CapillaryPressure(Model, abstract=True):
    r"""Capillary pressure that continues as an exponential below a transition saturation, if so chosen.

    .. math:: P_c = P_c(S_p) \exp\left(\frac{P_c'(S_p)}{P_c(S_p)} (S - S_p)\right) \quad\text{for } S < S_p

    Its logarithm is then a straight line, tangent to the law at the transition: dry pores have a finite
    pressure.
    """

    effective_saturation: Scalar = Input("Effective saturation, from 0 to 1")
    capillary_pressure: Scalar = Output("Capillary pressure", unit="stress")
    log_extension: bool = Option(
        "Whether the law continues as an exponential below the transition saturation", default=False
    )
    transition_saturation: float = Option(
        "Saturation below which it does; not used without log_extension", default=0.0, within="[0, 1]"
    )

    def setup(self) -> None:
        if self.log_extension and not self.transition_saturation > 0:
            raise ValueError(
                f"{self._label()}: log_extension needs a transition_saturation above 0,"
                f" got {self.transition_saturation:g}"
            )

    def forward(self, S: Scalar, *parameters: Scalar) -> Scalar:
        if not self.log_extension:
            return self.law(S, *parameters)
        dry, Sp = lt(S, self.transition_saturation), 0 * S + self.transition_saturation
        pressure, slope = self.law(Sp, *parameters), self.relative_slope(Sp, *parameters)
        # neither branch sees a saturation where it is not used, so that neither spoils derivatives
        extended = pressure * exp(slope * where(dry, S - Sp, 0 * S))
        return where(dry, extended, self.law(where(dry, Sp, S), *parameters))

    @abstractmethod
    def law(self, S: Scalar, *parameters: Any) -> Scalar:
        """Capillary pressure at a saturation."""

    @abstractmethod
    def relative_slope(self, S: Scalar, *parameters: Any) -> Scalar:
        """Derivative of the logarithm of the capillary pressure."""


class BrooksCoreyCapillaryPressure(CapillaryPressure):
    r"""Capillary pressure as a power of the saturation.

    .. math:: P_c = P_t\, S^{-1/p}

    With ``log_extension``, below the transition saturation :math:`S_p`,

    .. math:: P_c = P_c(S_p) \exp\left(-\frac{S - S_p}{p\, S_p}\right)

    Brooks and Corey (1964), Hydrology Paper 3, Colorado State University.
    """

    Pt: Scalar = Parameter(
        "threshold_pressure", "Pressure at which full pores begin to drain", within="(0, inf)", unit="stress"
    )
    p: Scalar = Parameter("exponent", "Index of the distribution of pore sizes", within="(0, inf)")

    def law(self, S: Scalar, Pt: Scalar, p: Scalar) -> Scalar:
        return Pt * pow(S, -1 / p)

    def relative_slope(self, S: Scalar, Pt: Scalar, p: Scalar) -> Scalar:
        del Pt
        return -1 / (p * S)


class VanGenuchtenCapillaryPressure(CapillaryPressure):
    r"""Capillary pressure that vanishes in full pores.

    .. math:: P_c = a \left(S^{-1/m} - 1\right)^{1 - m}

    The saturation is limited to one minus the machine epsilon. With ``log_extension``, below the transition
    saturation :math:`S_p`,

    .. math:: P_c = P_c(S_p) \exp\left(-\frac{(1 - m)(S - S_p)}{m\, S_p\, (1 - S_p^{1/m})}\right)

    van Genuchten (1980), Soil Science Society of America Journal 44, 892-898.
    """

    a: Scalar = Parameter("a", "Scale of the pressure", within="(0, inf)", unit="stress")
    m: Scalar = Parameter("m", "Index of the distribution of pore sizes", within="(0, 1)")

    def law(self, S: Scalar, a: Scalar, m: Scalar) -> Scalar:
        return a * pow(pow(_below_one(S), -1 / m) - 1, 1 - m)

    def relative_slope(self, S: Scalar, a: Scalar, m: Scalar) -> Scalar:
        del a
        S = _below_one(S)
        return -(1 - m) / (m * S * (1 - pow(S, 1 / m)))


def _below_one(S: Scalar) -> Scalar:
    return limited(S, hi=1 - torch.finfo(S.dtype).eps)
