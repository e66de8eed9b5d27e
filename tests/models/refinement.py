"""Rates that are integrated in time, with ever smaller steps, by both engines."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from neml2.composed import ComposedModel
from neml2.drivers import History, TransientDriver
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.models.common.time_integration import BackwardEulerTimeIntegration
from neml2.predictors import ConstantExtrapolationPredictor
from neml2.system import NonlinearSystem
from neml2.types import Scalar

every_engine = pytest.mark.parametrize("engine", ["eager", "native"])


def integrated(variable: str, *rates: Model) -> Model:
    """``variable`` by backward Euler, from the models that compute its rate."""
    step = BackwardEulerTimeIntegration[Scalar](variable=variable)
    system = NonlinearSystem(ComposedModel([*rates, step]), unknowns=variable)
    return ImplicitUpdate(system, predictor=ConstantExtrapolationPredictor(unknowns_Scalar=[variable]))


def check_first_order(
    model: Model, engine: Any, variable: str, start: float, end: float, exact: float, within: float = 4e-3
) -> None:
    """At the time ``end`` the error is half as large with half the step, and small with 400 of them."""
    errors = []
    for n in (100, 200, 400):
        time = torch.linspace(0, end, n + 1, dtype=torch.float64)
        initial = {variable: torch.tensor(start, dtype=torch.float64)}
        with torch.no_grad():
            run = TransientDriver(model, engine=engine).run(History(time, {}, initial=initial))
        assert run.succeeded
        errors.append(abs(float(run[variable].data[-1]) - exact))
    assert errors[-1] < within
    for coarse, fine in zip(errors, errors[1:], strict=False):
        assert coarse / fine == pytest.approx(2, rel=0.05)
