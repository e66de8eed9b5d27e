"""Stress measures and yield functions of dense solids."""

from __future__ import annotations

import math

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import SR2, Scalar


class IsotropicMandelStress(Model):
    r"""Mandel stress at small elastic strains: the Cauchy stress.

    .. math:: M = \sigma
    """

    cauchy_stress: SR2 = Input("Cauchy stress", unit="stress")
    mandel_stress: SR2 = Output("Mandel stress", unit="stress")

    def forward(self, sigma):
        return sigma


class YieldFunction(Model):
    r"""Yield function with isotropic hardening, scaled so that its gradient by the stress is a unit tensor.

    .. math:: f = \sqrt{\tfrac23}\,(\bar\sigma - \sigma_y - k)
    """

    effective_stress: Scalar = Input("Effective stress, such as von Mises", unit="stress")
    isotropic_hardening: Scalar = Input("Isotropic hardening; none if not given", default=None, unit="stress")
    yield_function: Scalar = Output("Value of the yield function", unit="stress")
    sy: Scalar = Parameter("yield_stress", "Initial yield stress", within="[0, inf)", unit="stress")

    def forward(self, s, k, sy):
        beyond = s - sy if k is None else s - sy - k
        return math.sqrt(2 / 3) * beyond
