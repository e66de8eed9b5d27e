"""Sums, products and norms of variables."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import torch

from neml2.fields import REQUIRED, Field, Input, Option, Output, Parameter
from neml2.model import Model, for_types
from neml2.models.common._lists import check_list, for_each
from neml2.types import SR2, Scalar, TensorWrapper, abs, pow

T = TypeVar("T", bound=TensorWrapper)


class LinearCombination(Model, Generic[T]):
    r"""Weighted sum of variables, plus an offset.

    A variable may be named more than once. For tensors the offset is added to every stored component.

    .. math:: y = \sum_i w_i\, u_i + b
    """

    u: T = Input("The variables to add", option="from", many=True, default=REQUIRED)
    y: T = Output("Their weighted sum", option="to")
    weight: Scalar = Parameter(
        "weights", "Weight of each variable, or one weight for all", default=1.0, many=True
    )
    offset: Scalar = Parameter("offset", "Constant that is added to the sum", default=0.0)

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        check_list(self._label(), "weights", given.get("weights"), given.get("from", "x"))
        return fields

    def forward(self, u, w, b):
        terms = [w_i * u_i for w_i, u_i in zip(for_each(w, len(u)), u, strict=True)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total + b


class ScalarMultiplication(Model):
    r"""Product of variables or of their reciprocals.

    A variable may be named more than once: naming it twice gives its square.

    .. math:: y = A \prod_i u_i^{\pm 1}
    """

    u: Scalar = Input("The factors", option="from", many=True, default=REQUIRED)
    y: Scalar = Output("Their product", option="to")
    scaling: Scalar = Parameter("scaling", "Constant factor", default=1.0)
    reciprocal: list[bool] = Option(
        "Whether to divide by a factor instead: one flag for all, or one per factor",
        default=[False],
        many=True,
    )

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        check_list(self._label(), "reciprocal", self.reciprocal, given.get("from", "x"))
        return fields

    def forward(self, u, A):
        y = A
        for u_i, divides in zip(u, for_each(self.reciprocal, len(u)), strict=True):
            y = y / u_i if divides else y * u_i
        return y


class ScalarPNorm(Model):
    r"""Weighted p-norm of several scalars, smooth at the origin.

    .. math:: y = \left(\sum_i w_i\, |x_i|^p + \epsilon\right)^{1/p}

    :math:`\epsilon` is the machine epsilon, whatever the size of the components: the norm of zeros is
    :math:`\epsilon^{1/p}`, which is 1.5e-8 for p = 2, but 0.027 for p = 10. Components that are small beside
    it are lost, so they should be given in units in which they are of order one.
    """

    x: Scalar = Input("The components", option="from", many=True, default=REQUIRED)
    y: Scalar = Output("Their norm", option="to")
    _p: Scalar = Parameter("exponent", "Exponent of the norm", promotable=False, within="(0, inf)")
    weight: Scalar = Parameter(
        "weights", "Weight of each component, or one weight for all", default=1.0, many=True, promotable=False
    )

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        check_list(self._label(), "weights", given.get("weights"), given.get("from", "x"))
        return fields

    def forward(self, x, p, w):
        terms = [w_i * pow(abs(x_i), p) for w_i, x_i in zip(for_each(w, len(x)), x, strict=True)]
        total = terms[0] + torch.finfo(x[0].dtype).eps
        for term in terms[1:]:
            total = total + term
        return pow(total, 1.0 / p)


for_types(LinearCombination, Scalar, SR2)
