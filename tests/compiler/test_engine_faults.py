"""The compiled engine with models and inputs that are out of the ordinary: it gives what the eager one gives."""

from __future__ import annotations

import pytest
import torch

from neml2.composed import ComposedModel
from neml2.drivers import History, TransientDriver
from neml2.implicit import ImplicitUpdate
from neml2.models.common.time_integration import BackwardEulerTimeIntegration
from neml2.system import NonlinearSystem
from neml2.types import Scalar
from tests.drivers.materials import DrivenDecay, times


def loads(*batch, steps=9):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(steps, *batch, dtype=torch.float64, generator=generator)


def same_with_gradients(model, history):
    """Values and gradients by the parameters, of both engines."""
    found = []
    for engine in ("native", "eager"):
        run = TransientDriver(model, engine=engine).run(history)
        parts = [v.data[1:] for v in run.outputs.values()]
        loss = sum((p.sin()).sum() for p in parts)
        found.append([*parts, *torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad])])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_a_guess_without_a_predictor_is_the_old_value():
    """The update reads ``x`` as a guess and ``x~1``, which are one."""
    rate, step = DrivenDecay(k=2.0, name="rate"), BackwardEulerTimeIntegration[Scalar](variable="x", name="step")
    update = ImplicitUpdate(NonlinearSystem(ComposedModel([rate, step], name="residual"), unknowns="x"))
    model = ComposedModel([update, rate], additional_outputs=["x"])
    start = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    same_with_gradients(model, History(times(9), {"load": loads(3)}, initial={"x": start}))
