"""The control of a history as prescribed values of the controlled model, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from neml2.drivers.control.control import Control
from neml2.drivers.results.layout import from_disk
from neml2.types import SR2, TensorWrapper, r2_from_sr2

Values = dict[str, TensorWrapper]
STRESS_WEIGHT, STRAIN_WEIGHT, TARGET = "control_stress_weight", "control_strain_weight", "control_target"
NAMES = (STRESS_WEIGHT, STRAIN_WEIGHT, TARGET)


class Aim:
    """What a :class:`Control` asks for at every row, in stored components.

    strain, stress
        The names of the two variables.
    given
        Whether the history says from which strain or stress the test starts.
    moving
        For every row, whether its target starts from what was reached at the row ``anchor[k]``.
    """

    def __init__(
        self, control: Control, strain: str, stress: str, kind: type[TensorWrapper], given: bool = False
    ) -> None:
        self.strain, self.stress, self.kind, self.given = strain, stress, kind, given
        whole = (len(control), *control.batch, control.components)
        shape = (*whole[:-1], *kind.BASE_SHAPE)
        self._stress_weight = control.stress_weight.expand(whole).reshape(shape)
        self._strain_weight = control.strain_weight.expand(whole).reshape(shape)
        self._carry = control.carry.expand(whole).reshape(shape)
        self._target = from_disk(kind, control.target.expand(whole), 0).data
        free = ((self._stress_weight == 0) & (self._strain_weight == 0)).nonzero()
        if len(free):
            row, *_, component = free[0].tolist()
            label = control.labels[component if kind is SR2 else 3 * int(free[0][-2]) + component]
            raise ValueError(
                f"at step {row} neither stress nor strain of component {label} is prescribed; give"
                " stress_weight or strain_weight a value there"
            )
        self.moving: list[bool] = (self._carry != 0).flatten(1).any(1).tolist()
        self.anchor: list[int] = control.anchor.tolist()
        self.anchors = {a for a, m in zip(self.anchor, self.moving, strict=True) if m}

    @property
    def strain_only(self) -> bool:
        """Whether all components of the strain are prescribed at all rows: nothing is to be solved."""
        weights = bool((self._stress_weight == 0).all()) and bool((self._strain_weight == 1).all())
        return weights and not any(self.moving)

    def strains(self) -> TensorWrapper:
        """The strain of all rows, where it is all that is prescribed, ``(n, *batch, *base)``."""
        return self.kind(self._target)

    def prescribed(self) -> Values:
        """Weights and targets of all rows, ``(n, *batch, *base)``; what is carried is missing in targets."""
        return {**self._weights(slice(None)), TARGET: self.kind(self._target)}

    def _weights(self, rows: int | slice) -> Values:
        given = {STRESS_WEIGHT: self._stress_weight[rows], STRAIN_WEIGHT: self._strain_weight[rows]}
        return {n: from_disk(self.kind, w.flatten(w.ndim - self.kind.BASE_NDIM), 0) for n, w in given.items()}

    def reached(self, k: int, values: Mapping[str, TensorWrapper]) -> torch.Tensor:
        """The controlled combination of row ``k`` at a state, ``(*batch, *base)``."""
        stress: Any = values[self.stress]
        if type(stress) is not self.kind:  # a symmetric stress beside a deformation gradient
            stress = r2_from_sr2(stress)
        return self._stress_weight[k] * stress.data + self._strain_weight[k] * values[self.strain].data

    def target(self, k: int, anchored: Mapping[str, TensorWrapper]) -> TensorWrapper:
        """The target of row ``k``, given stress and strain at its anchor."""
        return self.kind(self._target[k] + self._carry[k] * self.reached(k, anchored))

    def before(self, k: int, last: Mapping[str, TensorWrapper]) -> Values:
        """The conditions of row ``k`` as the row before it, where ``last`` was reached, meets them.

        An increment that is cut goes from there: the kind of control changes at once, its value does not.
        """
        return {**self._weights(k), TARGET: self.kind(self.reached(k, last))}
