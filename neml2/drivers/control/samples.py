"""Prescribed values of every kind of control, for the compiler to choose pivots by.

The order of elimination of a kernel is fixed when it is made, by what it sees in a history. Under strain
control the equation of a component is solved for its strain; under stress control it cannot be. A kernel that
has seen one of the two only would stop at once under the other, and leave the work to the eager engine.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from neml2.compiler.sample import PICKS, STRAIN
from neml2.drivers.control.controlled import CONTROLS
from neml2.model import Model
from neml2.models.common.control import ComponentControl
from neml2.types import SR2, TensorWrapper

_SHAPE = (1.0, -0.4, -0.5, 0.3, 0.2, -0.1, 0.25, -0.3, 0.15)  # of the targets, without symmetry


def with_every_control(model: Model, forces: Mapping[str, TensorWrapper]) -> dict[str, TensorWrapper]:
    """As many rows of a history as the compiler picks, some of them under other kinds of control.

    Every second row has all strains, all stresses, or the opposite of each component prescribed. Values that
    do not belong to a :func:`~neml2.drivers.control.controlled.controlled` model are returned as they are.
    """
    conditions = [m for m in model.modules() if isinstance(m, ComponentControl)]
    if not conditions or any(n not in forces for n in CONTROLS):
        return dict(forces)
    count = len(forces[CONTROLS[0]].data)
    rows = torch.linspace(0, count - 1, PICKS + 1).round().long()
    found = {n: type(v)._new(v.data[rows.to(v.data.device)], v.sub_batch_ndim) for n, v in forces.items()}
    a, b, c = (_plain(found[n]) for n in CONTROLS)
    shape = a.new_tensor(_SHAPE[: a.shape[-1]])
    opposite = (a[6] == 0).to(a)
    for row, stressed in ((2, torch.zeros_like(a[2])), (4, torch.ones_like(a[4])), (6, opposite)):
        stress = 0.1 * STRAIN * conditions[0].stiffness
        a[row], b[row] = stressed, 1 - stressed
        c[row] = shape * torch.where(stressed == 1, stress, STRAIN)
    for n, data in zip(CONTROLS, (a, b, c), strict=True):
        kind = type(found[n])
        data = data.reshape(*data.shape[:-1], *kind.BASE_SHAPE)
        found[n] = SR2.from_physical(data) if kind is SR2 else kind(data)
    return found


def _plain(value: TensorWrapper) -> torch.Tensor:
    """The physical components in one row, as numbers of their own."""
    data = value.physical() if isinstance(value, SR2) else value.data
    return data.detach().reshape(*value.dynamic_batch_shape, -1).clone()
