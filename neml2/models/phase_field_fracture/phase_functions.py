"""Functions of the phase field: the crack surface that it stands for, and the stiffness that it leaves.

See Wu (2017), Journal of the Mechanics and Physics of Solids 103, 72-99. None of them limits the field to the
interval from 0 to 1.
"""

from __future__ import annotations

from neml2.fields import Input, Option, Output, Parameter
from neml2.model import Model
from neml2.types import Scalar, pow

_PHASE = Input("Phase field; 0 if intact, 1 if broken")
_CRACK = Output("Density of the crack surface that the phase stands for")
_DEGRADATION = Output("Share of the stiffness that is left")
_POWER = Parameter("power", "Exponent of the intact share", promotable=False, within="(0, inf)")
_RESIDUAL = Option("Share of the stiffness that a broken solid keeps", default=0.0, within="[0, 1]")


class CrackGeometricFunctionAT1(Model):
    r"""Crack function of the first model of Ambrosio and Tortorelli, with an elastic range before damage.

    .. math:: \alpha = d

    Pham, Amor, Marigo and Maurini (2011), International Journal of Damage Mechanics 20, 618-652.
    """

    phase: Scalar = _PHASE
    crack: Scalar = _CRACK

    def forward(self, d):
        return d


class CrackGeometricFunctionAT2(Model):
    r"""Crack function of the second model of Ambrosio and Tortorelli, with damage from the start.

    .. math:: \alpha = d^2

    Bourdin, Francfort and Marigo (2000), Journal of the Mechanics and Physics of Solids 48, 797-826.
    """

    phase: Scalar = _PHASE
    crack: Scalar = _CRACK

    def forward(self, d):
        return d * d


class PowerDegradationFunction(Model):
    r"""Stiffness that falls as a power of the intact share.

    .. math:: g = (1 - \eta)\,(1 - d)^p + \eta
    """

    phase: Scalar = _PHASE
    degradation: Scalar = _DEGRADATION
    p: Scalar = _POWER
    eta: float = _RESIDUAL

    def forward(self, d, p):
        return (1 - self.eta) * pow(1 - d, p) + self.eta


class RationalDegradationFunction(Model):
    r"""Stiffness that falls as a rational function, whose shape sets strength and softening (Wu, 2017).

    .. math:: g = (1 - \eta)\, \frac{F}{F + Q} + \eta, \qquad F = (1 - d)^p, \qquad
              Q = b_1 d\, (1 + b_2 d + b_2 b_3 d^2)
    """

    phase: Scalar = _PHASE
    degradation: Scalar = _DEGRADATION
    p: Scalar = _POWER
    b1: Scalar = Parameter("b1", "First coefficient of shape", promotable=False)
    b2: Scalar = Parameter("b2", "Second coefficient of shape", promotable=False)
    b3: Scalar = Parameter("b3", "Third coefficient of shape", promotable=False)
    eta: float = _RESIDUAL

    def forward(self, d, p, b1, b2, b3):
        F = pow(1 - d, p)
        Q = b1 * d * (1 + b2 * d * (1 + b3 * d))
        return (1 - self.eta) * F / (F + Q) + self.eta
