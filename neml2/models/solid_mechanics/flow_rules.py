"""Directions and rates of plastic flow."""

from __future__ import annotations

import math

import torch

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import SR2, Scalar, dev, macaulay, norm, pow


class AssociativeJ2FlowDirection(Model):
    r"""Gradient of the von Mises stress; its norm is :math:`\sqrt{3/2}`, and it is zero at zero stress.

    .. math:: N = \frac32 \frac{S}{\bar\sigma}, \qquad \bar\sigma = \sqrt{\tfrac32}\,\sqrt{S : S + \epsilon},
              \qquad S = \mathrm{dev}\,M
    """

    mandel_stress: SR2 = Input("Mandel stress", unit="stress")
    flow_direction: SR2 = Output("Direction of plastic flow")

    def forward(self, M):
        S = dev(M)
        return math.sqrt(3 / 2) * S / norm(S, eps=torch.finfo(S.dtype).eps)


class AssociativePlasticFlow(Model):
    r"""Plastic strain rate along the flow direction.

    .. math:: \dot\varepsilon^p = \dot\gamma N
    """

    flow_rate: Scalar = Input("Rate of the plastic multiplier", unit="1/time")
    flow_direction: SR2 = Input("Direction of plastic flow")
    plastic_strain_rate: SR2 = Output("Rate of plastic strain", unit="1/time")

    def forward(self, gamma, N):
        return gamma * N


class AssociativeIsotropicPlasticHardening(Model):
    r"""Rate of the accumulated plastic strain that is conjugate to isotropic hardening.

    .. math:: \dot{\bar\varepsilon}^p = -\dot\gamma \frac{\partial f}{\partial k}
    """

    flow_rate: Scalar = Input("Rate of the plastic multiplier", unit="1/time")
    isotropic_hardening_direction: Scalar = Input("Derivative of the yield function by isotropic hardening")
    equivalent_plastic_strain_rate: Scalar = Output("Rate of the accumulated plastic strain", unit="1/time")

    def forward(self, gamma, Nk):
        return -gamma * Nk


class AssociativeKinematicPlasticHardening(Model):
    r"""Rate of the plastic strain that is conjugate to the back stress.

    .. math:: \dot K^p = -\dot\gamma \frac{\partial f}{\partial X}
    """

    flow_rate: Scalar = Input("Rate of the plastic multiplier", unit="1/time")
    kinematic_hardening_direction: SR2 = Input("Derivative of the yield function by the back stress")
    kinematic_plastic_strain_rate: SR2 = Output("Rate of the kinematic plastic strain", unit="1/time")

    def forward(self, gamma, NX):
        return -gamma * NX


class PerzynaPlasticFlowRate(Model):
    r"""Flow rate that grows with a power of the overstress (Perzyna, 1966).

    .. math:: \dot\gamma = \left(\frac{\langle f \rangle}{\eta}\right)^n
    """

    yield_function: Scalar = Input("Value of the yield function", unit="stress")
    flow_rate: Scalar = Output("Rate of the plastic multiplier", unit="1/time")
    eta: Scalar = Parameter("reference_stress", "Overstress of unit rate", within="(0, inf)", unit="stress")
    n: Scalar = Parameter("exponent", "Exponent of the overstress", within="(0, inf)")

    def forward(self, f, eta, n):
        return pow(macaulay(f) / eta, n)
