"""How fast a solid reacts, from its degree of conversion: laws that can take each other's place.

See Khawam and Flanagan (2006), Journal of Physical Chemistry B 110, 17315-17328.
"""

from __future__ import annotations

import torch

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.models.common._held import limited
from neml2.types import Scalar, log, pow

_CONVERSION = Input("Degree of conversion, from 0 to 1")
_RATE = Output("Rate of the conversion", unit="1/time")
_COEFFICIENT = Parameter("coef", "Coefficient of the rate", within="[0, inf)", unit="1/time")


class AvramiErofeevNucleation(Model):
    r"""Reaction that spreads from nuclei: slow at first, fastest in between.

    .. math:: \dot a = k\,(1 - a)\,(-\ln(1 - a))^n

    Avrami (1940), Journal of Chemical Physics 8, 212-224. At a = 0 the rate is 0, so that a reaction starts
    only from a conversion above 0; at a = 1 and beyond it is not finite.
    """

    conversion_degree: Scalar = _CONVERSION
    reaction_rate: Scalar = _RATE
    k: Scalar = _COEFFICIENT
    n: Scalar = Parameter("order", "Order of the reaction", within="[0, inf)")

    def forward(self, a, k, n):
        return k * (1 - a) * pow(-log(1 - a), n)


class ContractingGeometry(Model):
    r"""Reaction at the surface of a body that shrinks.

    With :math:`c = 1 - a`, limited to the interval from the machine epsilon :math:`\epsilon` to
    :math:`1 - \epsilon`,

    .. math:: \dot a = k\, c^n

    The order is 1/2 for a cylinder and 2/3 for a sphere. Beyond the limits the value stays constant while the
    derivative remains that of the power law at the limit, as Newton's method needs at the start, a = 0.
    """

    conversion_degree: Scalar = _CONVERSION
    reaction_rate: Scalar = _RATE
    k: Scalar = _COEFFICIENT
    n: Scalar = Parameter("order", "Order of the reaction", promotable=False, within="[0, inf)")

    def forward(self, a, k, n):
        eps = torch.finfo(a.dtype).eps
        return k * pow(limited(1 - a, eps, 1 - eps), n)
