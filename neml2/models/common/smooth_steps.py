"""Smooth functions of one scalar: steps, bumps, and dependence on temperature."""

from __future__ import annotations

import torch

from neml2.fields import BLOCK_NAME, Input, Option, Output, Parameter
from neml2.model import Model
from neml2.types import Scalar, clamp, exp, lt, where


class HermiteSmoothStep(Model):
    r"""Smooth step from 0 to 1 between two bounds, or from 1 to 0.

    With :math:`u = (x - x_0)/(x_1 - x_0)`, clamped to the interval from the machine epsilon
    :math:`\epsilon` to :math:`1 - \epsilon`,

    .. math:: y = 3 u^2 - 2 u^3 \qquad \text{or its complement} \qquad 1 - y
    """

    argument: Scalar = Input("The argument")
    value: Scalar = Output("The step")
    x0: Scalar = Parameter("lower_bound", "Where the step begins", promotable=False)
    x1: Scalar = Parameter("upper_bound", "Where the step ends", promotable=False)
    complement: bool = Option("Whether the step goes down, from 1 to 0", default=False)

    def setup(self) -> None:
        _check_bounds(self, self.x0, self.x1)

    def forward(self, x, x0, x1):
        u = _between(x, x0, x1)
        y = u * u * (3 - 2 * u)
        return 1 - y if self.complement else y


class SymmetricHermiteInterpolation(Model):
    r"""Smooth symmetric bump of unit area between two bounds.

    With :math:`u = (x - x_0)/(x_1 - x_0)`, clamped to the interval from the machine epsilon
    :math:`\epsilon` to :math:`1 - \epsilon`, and :math:`c = \min(u, 1 - u)`,

    .. math:: y = \frac{24 c^2 - 32 c^3}{x_1 - x_0}
    """

    argument: Scalar = Input("The argument")
    output: Scalar = Output("The bump", default=BLOCK_NAME)
    x0: Scalar = Parameter("lower_bound", "Where the bump begins", promotable=False)
    x1: Scalar = Parameter("upper_bound", "Where the bump ends", promotable=False)

    def setup(self) -> None:
        _check_bounds(self, self.x0, self.x1)

    def forward(self, x, x0, x1):
        u = _between(x, x0, x1)
        c = where(lt(u, 0.5), u, 1 - u)
        return c * c * (24 - 32 * c) / (x1 - x0)


class ArrheniusParameter(Model):
    r"""Thermally activated parameter.

    .. math:: p = p_0 \exp\left(-\frac{Q}{R\,T}\right)

    Arrhenius (1889).
    """

    temperature: Scalar = Input("Absolute temperature", unit="temperature")
    parameter: Scalar = Output("The parameter", default=BLOCK_NAME)
    p0: Scalar = Parameter("reference_value", "Value at infinite temperature", promotable=False)
    Q: Scalar = Parameter("activation_energy", "Activation energy", promotable=False, unit="energy/amount")
    R: float = Option(
        "Gas constant in matching units",
        option="ideal_gas_constant",
        within="(0, inf)",
        unit="energy/amount/temperature",
    )

    def forward(self, T, p0, Q):
        return p0 * exp(-Q / (self.R * T))


def _between(x: Scalar, x0: Scalar, x1: Scalar) -> Scalar:
    eps = torch.finfo(x.dtype).eps
    return clamp((x - x0) / (x1 - x0), eps, 1 - eps)


def _check_bounds(model: Model, x0: Scalar, x1: Scalar) -> None:
    if not bool((x0.data < x1.data).all()):
        raise ValueError(f"{model._label()}: lower_bound must be less than upper_bound")
