"""Signs, maxima, complementarity and other conditions on scalars."""

from __future__ import annotations

import torch

from neml2.fields import Input, Option, Output
from neml2.model import Model
from neml2.types import SR2, Scalar, gt, lt, macaulay, sqrt, where

_SIGN = {"LE": -1.0, "GE": 1.0}


class MacaulaySplit(Model):
    r"""Positive and negative part of a scalar.

    At zero the derivative of either part is one half.

    .. math:: x^+ = \langle x \rangle, \qquad x^- = x - \langle x \rangle
    """

    x: Scalar = Input("The scalar to split", option="from")
    positive: Scalar = Output("Its positive part", option="to_positive")
    negative: Scalar = Output("Its negative part", option="to_negative")

    def forward(self, x):
        positive = macaulay(x)
        return positive, x - positive


class IrreversibleScalar(Model):
    r"""Largest value that a scalar has had so far.

    The derivative belongs to the value that is taken; in a tie, to the old one.

    .. math:: y = \max(x, y_n)
    """

    x: Scalar = Input("The scalar", option="from")
    y: Scalar = Output("The largest value so far", option="to")
    y_n: Scalar = Input("The largest value before this step", of="y", suffix="~1")

    def forward(self, x, y_n):
        return where(gt(x, y_n), x, y_n + 0 * (x - y_n))  # the zero lets a NaN of x be seen


class MixedControlSetup(Model):
    r"""Sorts prescribed and unknown components of two conjugate tensors, such as stress and strain.

    Component by component, where the control exceeds the threshold,

    .. math:: y = x^\mathrm{above}, \qquad z = x^\mathrm{below}

    and the other way round elsewhere. Nothing is differentiated with respect to the control.
    """

    control: SR2 = Input("Which tensor each component is taken from")
    x_above: SR2 = Input("Goes to y where the control exceeds the threshold, to z elsewhere")
    x_below: SR2 = Input("Goes to z where the control exceeds the threshold, to y elsewhere")
    y: SR2 = Output("Takes x_above where the control exceeds the threshold, else x_below")
    z: SR2 = Output("Takes x_below where the control exceeds the threshold, else x_above")
    threshold: float = Option("Value of the control at which the roles change", default=0.5)

    def forward(self, control, x_above, x_below):
        above = gt(control, self.threshold)
        return where(above, x_above, x_below), where(above, x_below, x_above)


class FBComplementarity(Model):
    r"""Residual that is zero when two conditions are complementary, after Fischer and Burmeister.

    With the signs :math:`s = 1` for :math:`\ge 0` and :math:`s = -1` for :math:`\le 0`, and the machine
    epsilon :math:`\epsilon`,

    .. math:: r = s_a a + s_b b - \sqrt{a^2 + b^2 + \epsilon}

    Fischer (1992), Optimization 24, 269-284.
    """

    a: Scalar = Input("The first condition")
    b: Scalar = Input("The second condition")
    r: Scalar = Output(
        "Zero when one condition holds with equality and the other holds", option="complementarity"
    )
    a_inequality: str = Option("Whether a <= 0 or a >= 0 is required", default="LE", choices=("LE", "GE"))
    b_inequality: str = Option("Whether b <= 0 or b >= 0 is required", default="GE", choices=("LE", "GE"))

    def forward(self, a, b):
        A, B = _SIGN[self.a_inequality] * a, _SIGN[self.b_inequality] * b
        return A + B - sqrt(a * a + b * b + torch.finfo(a.dtype).eps)


class MinMapComplementarity(Model):
    r"""Residual that is zero when two conditions are complementary: the smaller of the two.

    The signs are those of :class:`FBComplementarity`. In a tie the derivative belongs to the second
    condition.

    .. math:: r = \min(s_a a,\; s_b b)
    """

    a: Scalar = Input("The first condition")
    b: Scalar = Input("The second condition")
    r: Scalar = Output(
        "Zero when one condition holds with equality and the other holds", option="complementarity"
    )
    a_inequality: str = Option("Whether a <= 0 or a >= 0 is required", default="LE", choices=("LE", "GE"))
    b_inequality: str = Option("Whether b <= 0 or b >= 0 is required", default="GE", choices=("LE", "GE"))

    def forward(self, a, b):
        A, B = _SIGN[self.a_inequality] * a, _SIGN[self.b_inequality] * b
        return where(lt(A, B), A, B + 0 * (A - B))  # the zero lets a NaN of A be seen
