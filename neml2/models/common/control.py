"""One condition on stress and strain for every component: strain control, stress control, or between them."""

from __future__ import annotations

from typing import Generic, TypeVar

import torch

from neml2.fields import Input, Option, Output
from neml2.model import Model, for_types
from neml2.types import R2, SR2, TensorWrapper, abs, align_sub_batch

T = TypeVar("T", bound=TensorWrapper)


class ComponentControl(Model, Generic[T]):
    r"""Residual of what a test prescribes, component by component.

    With the weights :math:`a, b`, the target :math:`c` and a typical stiffness :math:`K`,

    .. math:: r = \frac{a\,\sigma + b\,\varepsilon - c}{|a| K + |b|}

    in the physical components of all tensors. Strain control of a component is :math:`a = 0, b = 1`, stress
    control :math:`a = 1, b = 0`, and an elastic follow-up of stiffness :math:`K_f` is
    :math:`a = 1/K_f, b = 1`. The divisor makes every residual a strain, whatever the unit of stress.
    """

    stress: T = Input("Stress", unit="stress")
    strain: T = Input("Strain that is conjugate to it, or the deformation gradient")
    a: T = Input("Weights of the stress", option="stress_weight", default="control_stress_weight")
    b: T = Input("Weights of the strain", option="strain_weight", default="control_strain_weight")
    c: T = Input("What the weighted sum shall be", option="target", default="control_target")
    r: T = Output("How far it is from that, as a strain", option="residual", default="control_residual")
    stiffness: float = Option(
        "Typical stiffness, to compare stresses with strains", default=1.0, within="(0, inf)"
    )

    def forward(self, stress, strain, a, b, c):
        r = weighted_sum(a, stress, b, strain) - c
        (r, a, b), sub_batch_ndim = align_sub_batch(r, a, b)
        size = _numbers(abs(a)) * self.stiffness + _numbers(abs(b))
        return type(r)._new(r.data / size, sub_batch_ndim)


class ControlPredictor(Model, Generic[T]):
    r"""Guesses the strain under control: what is prescribed, and the old value where it is not known.

    .. math::
        \varepsilon_{n+1} = \begin{cases} c / b & a = 0 \\ \varepsilon_n & \text{else} \end{cases}

    component by component, with the weights :math:`a, b` and the target :math:`c` of
    :class:`ComponentControl`.
    """

    strain: T = Output("The guess")
    strain_n: T = Input("Strain before the step", of="strain", suffix="~1")
    a: T = Input("Weights of the stress", option="stress_weight", default="control_stress_weight")
    b: T = Input("Weights of the strain", option="strain_weight", default="control_strain_weight")
    c: T = Input("What the weighted sum shall be", option="target", default="control_target")

    def forward(self, strain_n, a, b, c):
        (strain_n, a, b, c), sub_batch_ndim = align_sub_batch(strain_n, a, b, c)
        known = a.data == 0
        b = torch.where(known, _numbers(b), torch.ones_like(b.data))
        return type(c)._new(torch.where(known, c.data / b, strain_n.data), sub_batch_ndim)


def weighted_sum(a: T, stress: T, b: T, strain: T) -> T:
    r"""The left side :math:`a\,\sigma + b\,\varepsilon` of the condition, in the form of its target."""
    (a, stress, b, strain), sub_batch_ndim = align_sub_batch(a, stress, b, strain)  # type: ignore[assignment]
    total = _numbers(a) * stress.data + _numbers(b) * strain.data
    return type(strain)._new(total, sub_batch_ndim)


def _numbers(weight: TensorWrapper) -> torch.Tensor:
    """Weights as factors of stored components: without the factors of Mandel's notation."""
    return weight.physical() if isinstance(weight, SR2) else weight.data


for_types(ComponentControl, SR2, R2)
for_types(ControlPredictor, SR2, R2)
