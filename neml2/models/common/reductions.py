"""Sums, means and differences over an axis of the batch or of the sub-batch."""

from __future__ import annotations

from typing import ClassVar

from neml2.fields import Input, Option, Output
from neml2.model import Model
from neml2.types import SR2, diff, mean, sum


class SR2DynamicMean(Model):
    r"""Mean over one axis of the batch.

    .. math:: y = \frac1n \sum_i x_i
    """

    x: SR2 = Input("The tensors", option="from")
    y: SR2 = Output("Their mean", option="to")
    dim: int = Option("Axis of the batch that is averaged over; negative ones count from the right")

    def forward(self, x):
        return mean(x.dynamic_batch, self.dim)


class SR2DynamicSum(Model):
    r"""Sum over one axis of the batch.

    .. math:: y = \sum_i x_i
    """

    x: SR2 = Input("The tensors", option="from")
    y: SR2 = Output("Their sum", option="to")
    dim: int = Option("Axis of the batch that is summed over; negative ones count from the right")

    def forward(self, x):
        return sum(x.dynamic_batch, self.dim)


class SR2IntermediateMean(Model):
    r"""Mean over the last axis left of the components, such as the crystals of a point.

    .. math:: y = \frac1n \sum_i x_i
    """

    reduction: ClassVar[str] = "mean"  # for the compiler, which does not unroll many sites

    x: SR2 = Input("The tensors", option="from")
    y: SR2 = Output("Their mean, without that axis", option="to")
    reduces: str = Option("What the axis stands for; a label for readers")

    def forward(self, x):
        return mean(x.sub_batch.retag(1).sub_batch, 0)


class SR2IntermediateSum(Model):
    r"""Sum over the last axis left of the components, such as the crystals of a point.

    .. math:: y = \sum_i x_i
    """

    reduction: ClassVar[str] = "sum"

    x: SR2 = Input("The tensors", option="from")
    y: SR2 = Output("Their sum, without that axis", option="to")
    reduces: str = Option("What the axis stands for; a label for readers")

    def forward(self, x):
        return sum(x.sub_batch.retag(1).sub_batch, 0)


class SR2IntermediateDiff(Model):
    r"""Forward difference of order n along one axis of the sub-batch, which becomes n shorter.

    .. math:: (\Delta x)_i = x_{i+1} - x_i, \qquad y = \Delta^n x
    """

    x: SR2 = Input("The tensors", option="from")
    y: SR2 = Output("Their differences", option="to")
    dim: int = Option("Axis of the sub-batch; negative ones count from the right")
    n: int = Option("Order of the difference", default=1, within="[1, inf)")
    reduces: str = Option("What the axis stands for; a label for readers")

    def forward(self, x):
        return diff(x.sub_batch, n=self.n, dim=self.dim)
