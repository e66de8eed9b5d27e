"""Derivatives of one scalar output of a model, as a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from neml2.composed import add_children
from neml2.context import DEFAULT, Context
from neml2.derivatives import expand_batch
from neml2.errors import MissingVariable
from neml2.fields import Dependency, Option
from neml2.model import Model
from neml2.registry import did_you_mean, listing
from neml2.types import Scalar, TensorWrapper


class Normality(Model):
    r"""Gradient of a scalar output of another model with respect to some of its inputs, point by point.

    .. math:: y_i = \frac{\partial f}{\partial x_i}

    Reads every input of that model. ``y`` has the type of ``x``: for a symmetric tensor it is the derivative
    by the Mandel components. It is zero where the function does not depend on ``x``.
    """

    model: Model = Dependency("Models", "The model to differentiate")
    function: str = Option("The scalar output to differentiate")
    from_: list[str] = Option("Inputs to differentiate with respect to", option="from", many=True)
    to_: list[str] = Option("Names of the derivatives, one for each of from", option="to", many=True)

    RETURNS_TUPLE = True

    differentiated: Model

    def __init__(self, *, name: str = "", **given: Any) -> None:
        super().__init__(name=name, **given)
        model = self._modules.pop("model", None)  # as a submodule it goes by the name of its block
        assert isinstance(model, Model)
        self.__dict__["differentiated"] = model
        self.providers = list(model.providers)
        self._check(model)
        self.input_spec = dict(model.input_spec)
        self.optional_inputs = model.optional_inputs
        self.output_spec = {y: model.input_spec[x] for x, y in zip(self.from_, self.to_, strict=True)}
        self.priorities = {}
        add_children(self, [model])

    def _check(self, model: Model) -> None:
        if len(self.from_) != len(self.to_):
            raise ValueError(
                f"{self._label()}: from has {len(self.from_)} names and to has {len(self.to_)};"
                f" give one name in to for each in from"
            )
        for y in self.to_:
            if self.to_.count(y) > 1:
                raise ValueError(f"{self._label()} has two outputs called '{y}'; rename one of them")
        if self.function not in model.output_spec:
            raise MissingVariable(
                f"{self._label()}: {model._label()} has no output '{self.function}'"
                f"{did_you_mean(self.function, model.output_spec)};"
                f" its outputs are {listing(model.output_spec)}"
            )
        if model.output_spec[self.function] is not Scalar:
            raise ValueError(
                f"{self._label()}: function is '{self.function}', a"
                f" {model.output_spec[self.function].__name__}; choose a Scalar"
            )
        for x in self.from_:
            if x not in model.input_spec:
                raise MissingVariable(
                    f"{self._label()}: {model._label()} has no input '{x}'"
                    f"{did_you_mean(x, model.input_spec)}; its inputs are {listing(model.input_spec)}"
                )

    def evaluate(
        self, values: Mapping[str, TensorWrapper], context: Context = DEFAULT
    ) -> dict[str, TensorWrapper]:
        follow = torch.is_grad_enabled()  # whether the derivatives are to be differentiable themselves
        known = {n: values[n] for n in self.input_spec if n in values}
        batch = self.differentiated.batch_shape(known, context)
        with torch.enable_grad():
            points = {n: self._point(n, v, expand_batch(v, batch)) for n, v in known.items()}
            f = self.differentiated.evaluate(points, context)[self.function]
            if any(points[x].sub_batch_shape != f.sub_batch_shape for x in self.from_ if f.sub_batch_ndim):
                for x in self.from_:  # one value of x stood for all sites of f: each gets its own
                    sites = points[x].sub_batch.expand(*f.sub_batch_shape)  # type: ignore[attr-defined]
                    points[x] = self._point(x, sites, sites.data)
                f = self.differentiated.evaluate(points, context)[self.function]
            slopes = _slopes(f.data, [points[x].data for x in self.from_], follow)
        return {
            y: type(points[x])(slope, points[x].sub_batch_ndim)
            for x, y, slope in zip(self.from_, self.to_, slopes, strict=True)
        }

    def _point(self, variable: str, value: TensorWrapper, data: torch.Tensor) -> TensorWrapper:
        """``value`` with other data, which can be differentiated by if that is wanted."""
        if variable in self.from_ and not data.requires_grad:
            data = data.detach().requires_grad_(True)
        return type(value)(data, value.sub_batch_ndim)


def _slopes(f: torch.Tensor, at: Sequence[torch.Tensor], follow: bool) -> list[torch.Tensor]:
    """Derivatives of every entry of ``f`` by the entries of ``at`` of the same point."""
    if not f.requires_grad:
        return [torch.zeros_like(x) for x in at]
    found = torch.autograd.grad(f, at, torch.ones_like(f), create_graph=follow, allow_unused=True)
    return [
        torch.zeros_like(x) if slope is None else slope if follow else slope.detach()
        for x, slope in zip(at, found, strict=True)
    ]
