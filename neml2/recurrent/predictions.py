"""What a trajectory says about the responses of tests: quantities by name, at measured times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neml2.drivers.control.conjugates import chosen_strain, chosen_stress
from neml2.drivers.increments.conditions import component
from neml2.drivers.results import derived
from neml2.drivers.trajectory import Trajectory
from neml2.drivers.transient import TransientDriver
from neml2.errors import MissingVariable
from neml2.recurrent.experiment import Experiment, Response
from neml2.registry import did_you_mean, listing
from neml2.types import Scalar, TensorWrapper

Values = Mapping[str, TensorWrapper]


@dataclass(frozen=True)
class Quantity:
    """A response as a function of variables of the same row: ``names`` are those of the model."""

    text: str
    names: tuple[str, ...]
    of: derived.Derived | None = None

    def value(self, values: Values) -> torch.Tensor:
        """The number ``(rows, *batch)`` from variables ``(rows, *batch, *base)``."""
        if self.of is not None:
            return self.of.quantity.function(*[values[n] for n in self.names]).data
        return component(values, self.text)


def quantity(driver: TransientDriver, name: str, kinds: Mapping[str, type[TensorWrapper]]) -> Quantity:
    """The response ``name`` among variables of these ``kinds``.

    ``stress`` and ``strain`` are those that the driver controls where no variable has that name. Raises
    :class:`~neml2.errors.MissingVariable` with the nearest spelling, and :class:`ValueError` for what is not
    one number at a row.
    """

    def own(variable: str) -> str:
        if variable in kinds or variable not in ("stress", "strain"):
            return variable
        find = chosen_stress if variable == "stress" else chosen_strain
        return find(driver.model, getattr(driver, variable))

    if derived.is_derived(name):
        of = derived.parse(name)
        names = tuple(own(v) for v in of.variables)
        derived.Derived(name, of.quantity, names).check(kinds)
        if (
            of.quantity.accumulates
            or of.quantity.result is not Scalar
            or of.quantity.function is derived.principal
        ):
            raise ValueError(f"'{name}' is not one number of a row; compare components or invariants")
        return Quantity(name, names, of)
    base, _, label = name.rpartition(".")
    if base:
        text = f"{own(base)}.{label}"
        base = own(base)
    else:
        text = base = name
    if base not in kinds:
        raise MissingVariable(
            f"response '{name}': the model computes no '{base}'{did_you_mean(base, kinds)}; it has"
            f" {listing(kinds, 30)}"
        )
    empty = kinds[base](torch.zeros(1, *kinds[base].BASE_SHAPE, dtype=torch.float64))
    component({base: empty}, text)  # says which components there are
    return Quantity(text, (base,))


@dataclass(frozen=True, eq=False)
class Compared:
    """One quantity at all places where it was measured in the tests of one batch, ``(k,)`` each.

    ``point`` numbers the test in the batch. A difference is multiplied by ``scale``, the root of its
    ``weight`` over its standard deviation, to make a residual.
    """

    quantity: Quantity
    left: torch.Tensor
    point: torch.Tensor
    fraction: torch.Tensor
    measured: torch.Tensor
    scale: torch.Tensor
    weight: torch.Tensor

    def __len__(self) -> int:
        return len(self.measured)

    def at(self, rows: torch.Tensor) -> torch.Tensor:
        """Values ``(rows, points, ...)`` at the measured times, ``(k, ...)``, on straight lines."""
        f = self.fraction.reshape(-1, *(1,) * (rows.ndim - 2))
        before, after = rows[self.left, self.point], rows[self.left + 1, self.point]
        return torch.where(f == 1, after, (1 - f) * before + f * after)

    def predicted(self, trajectory: Trajectory) -> torch.Tensor:
        """The model's values, ``(k,)``."""
        values = {n: trajectory[n] for n in self.quantity.names}
        rows = self.quantity.value(values)
        return self.at(rows.reshape(rows.shape[0], -1))

    def slopes(self, trajectory: Trajectory, found: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The derivatives of the model's values by the parameters, ``(k, p)``.

        ``found`` are those of the variables, ``(rows, points, *base, p)``.
        """
        with torch.enable_grad():
            values = {n: trajectory[n].detach() for n in self.quantity.names}
            leaves = {n: v.data.clone().requires_grad_() for n, v in values.items()}
            typed = {n: type(v)._new(leaves[n], v.sub_batch_ndim) for n, v in values.items()}
            by = torch.autograd.grad(self.quantity.value(typed).sum(), list(leaves.values()))
        total = torch.zeros((), dtype=torch.float64)
        for n, g in zip(values, by, strict=True):  # a value depends on its own row and point alone
            lead, p = found[n].shape[:2], found[n].shape[-1]
            total = total + (g.reshape(*lead, -1, 1) * found[n].reshape(*lead, -1, p)).sum(-2)
        return self.at(total)


def compared(quantity: Quantity, parts: Sequence[tuple[int, Experiment, Response]], unit: float) -> Compared:
    """The responses of several tests, by their number in the batch, as one.

    ``unit`` is the standard deviation where a response has none.
    """

    def joined(arrays: Sequence[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate(arrays))

    weights = [float(e.weight) * r.weight for _, e, r in parts]
    sigmas = [np.full(len(r), unit) if r.sigma is None else r.sigma for _, _, r in parts]
    return Compared(
        quantity,
        joined([r.left for _, _, r in parts]),
        joined([np.full(len(r), i) for i, _, r in parts]),
        joined([r.fraction for _, _, r in parts]),
        joined([r.values for _, _, r in parts]),
        joined([np.sqrt(w) / s for w, s in zip(weights, sigmas)]),
        joined(weights),
    )
