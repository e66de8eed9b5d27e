"""Models that hand on a value: copies, constants, and bridges between parameters and variables."""

from __future__ import annotations

from typing import Generic, TypeVar

from neml2.fields import BLOCK_NAME, Input, Output, Parameter
from neml2.model import Model, for_types
from neml2.types import MRP, R2, SR2, SSR4, WR2, MillerIndex, Scalar, TensorWrapper, Vec

T = TypeVar("T", bound=TensorWrapper)


class Copy(Model, Generic[T]):
    r"""A variable under a second name.

    .. math:: y = x
    """

    TYPE_NAME = "Copy{T}"

    x: T = Input("The variable to copy", option="from")
    y: T = Output("Its copy", option="to")

    def forward(self, x):
        return x


class InputParameter(Model, Generic[T]):
    r"""A variable that serves other models as a parameter.

    .. math:: p = x
    """

    variable: T = Input("The variable")
    parameter: T = Output("The parameter that takes its value")

    def forward(self, variable):
        return variable


class ConstantParameter(Model, Generic[T]):
    r"""A constant that several models can use as their parameter.

    .. math:: p = c
    """

    parameter: T = Output("The parameter that takes the value", default=BLOCK_NAME)
    value: T = Parameter("value", "The constant")

    def forward(self, value):
        return value


class ParameterToVariable(Model, Generic[T]):
    r"""A parameter made into a variable.

    .. math:: y = p
    """

    variable: T = Output("The variable that takes the value", option="to")
    param: T = Parameter("from", "The parameter")

    def forward(self, param):
        return param


for _model in (Copy, InputParameter, ConstantParameter, ParameterToVariable):
    for_types(_model, Scalar, Vec, MRP, WR2, R2, SR2, SSR4, MillerIndex)
