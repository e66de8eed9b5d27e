"""A closed form that models must reproduce, with the order at which they approach it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from neml2 import models
from neml2.composed import ComposedModel
from neml2.drivers import History, Trajectory, TransientDriver
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.predictors import ConstantExtrapolationPredictor
from neml2.solvers import Newton
from neml2.system import NonlinearSystem
from neml2.types import SR2, Scalar, TensorWrapper

F64 = torch.float64
EXACT = 0


@dataclass(frozen=True)
class ClosedForm:
    """What is compared: one sentence, the formula, and the error with n steps, cells or nodes.

    The error falls as n to the minus ``order``; with the order `EXACT` it is round-off for every n.
    """

    name: str
    formula: str
    order: int
    error: Callable[[int], float]
    sizes: tuple[int, ...] = (20, 40, 80)

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def run(
    model: Model, duration: float, steps: int, start: dict[str, Any] | None = None, **given: Any
) -> Trajectory:
    """The history of a model; ``given`` are values for all times, or functions of the times ``(n + 1,)``."""
    time = torch.linspace(0, duration, steps + 1, dtype=F64)
    prescribed = {name: _over(time, value) for name, value in given.items()}
    initial = {n: v if isinstance(v, TensorWrapper) else tensor(v) for n, v in (start or {}).items()}
    with torch.no_grad():
        return TransientDriver(model, engine="eager", progress=False).run(
            History(time, prescribed, initial=initial)
        )


def update(
    unknowns: dict[str, type[TensorWrapper]], *rates: Model, also: dict[str, str] | None = None
) -> Model:
    """The unknowns by backward Euler from the models of their rates, then these models again.

    ``also`` are further unknowns, scalars, with the names of their residuals, which the models compute.
    """
    also = also or {}
    steps = [
        getattr(models, f"{kind.__name__}BackwardEulerTimeIntegration")(variable=n, name=f"integrate_{n}")
        for n, kind in unknowns.items()
    ]
    by_type: dict[str, list[str]] = {}
    for name, kind in [*unknowns.items(), *((n, Scalar) for n in also)]:
        by_type.setdefault(f"unknowns_{kind.__name__}", []).append(name)
    system = NonlinearSystem(
        ComposedModel([*rates, *steps]),
        unknowns=[*unknowns, *also],
        residuals=[*(f"{n}_residual" for n in unknowns), *also.values()],
    )
    solver = Newton(abs_tol=1e-13, rel_tol=1e-12)
    guess = ConstantExtrapolationPredictor(**by_type)
    return ImplicitUpdate(system, solver=solver, predictor=guess, name="update")


def ode(kind: type[TensorWrapper], *rates: Model) -> Model:
    """The unknown ``y`` by backward Euler from the models that compute ``y_rate``."""
    return update({"y": kind}, *rates)


def last(trajectory: Trajectory, name: str) -> torch.Tensor:
    return trajectory[name].data[-1]


def relative(found: Any, exact: Any) -> float:
    """The largest difference per largest exact number."""
    found, exact = tensor(found), tensor(exact)
    assert found.shape == exact.shape or not (found.ndim and exact.ndim), (found.shape, exact.shape)
    assert found.isfinite().all() and exact.isfinite().all(), (found, exact)
    return float((found - exact).abs().max() / exact.abs().max())


def tensor(value: Any) -> torch.Tensor:
    """Numbers in float64."""
    data = value.data if isinstance(value, TensorWrapper) else value
    return torch.as_tensor(data, dtype=F64).detach()


def sum_of(to: str, name: str = "", **weights: float) -> Model:
    """A sum of scalars, by name and weight."""
    return models.ScalarLinearCombination(
        **{"from": " ".join(weights), "to": to, "weights": list(weights.values())}, name=name or f"sum_{to}"
    )


def shear(size: Any) -> torch.Tensor:
    """A tensor with the component xy alone, in the storage of :class:`SR2`."""
    size = tensor(size)
    return torch.cat([torch.zeros(*size.shape, 5, dtype=F64), 2**0.5 * size[..., None]], -1)


def _over(time: torch.Tensor, value: Any) -> Any:
    value = value(time) if callable(value) else value
    if isinstance(value, TensorWrapper):
        return value
    data = tensor(value)
    if data.ndim == 0:
        return Scalar(data.expand(time.shape))
    if data.shape[:1] != time.shape:
        data = data.expand(*time.shape, *data.shape)
    return {(): Scalar, (6,): SR2}.get(tuple(data.shape[1:]), lambda x: x)(data)
