"""The compiled engine with models and inputs out of the ordinary gives what the eager one gives."""

from __future__ import annotations

import torch

from neml2.composed import ComposedModel
from neml2.drivers import History, TransientDriver
from neml2.fields import Input, Option, Output, Parameter
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.models.common.time_integration import BackwardEulerTimeIntegration
from neml2.system import NonlinearSystem
from neml2.types import Scalar
from tests.drivers.materials import DrivenDecay, predictor, times


def loads(*batch, steps=9):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(steps, *batch, dtype=torch.float64, generator=generator)


def same_with_gradients(model, history, native=None):
    """Values and gradients by the parameters, of both engines."""
    found = []
    for driver in (native or TransientDriver(model, engine="native"), TransientDriver(model, engine="eager")):
        run = driver.run(history)
        parts = [v.data[1:] for v in run.outputs.values()]
        loss = sum((p.sin()).sum() for p in parts)
        found.append([*parts, *torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad])])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_a_guess_without_a_predictor_is_the_old_value():
    """The update reads ``x`` as a guess and ``x~1``, which are one."""
    rate = DrivenDecay(k=2.0, name="rate")
    step = BackwardEulerTimeIntegration[Scalar](variable="x", name="step")
    update = ImplicitUpdate(NonlinearSystem(ComposedModel([rate, step], name="residual"), unknowns="x"))
    model = ComposedModel([update, rate], additional_outputs=["x"])
    start = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    same_with_gradients(model, History(times(9), {"load": loads(3)}, initial={"x": start}))


# ---------------------------------------------------------------------- what a kernel holds fixed


class Damped(Model):
    """A rate with numbers that are no parameters: an option, a list and a tensor."""

    x: Scalar = Input("What decays")
    load: Scalar = Input("Where it decays to")
    x_rate: Scalar = Output("Its rate")
    k: Scalar = Parameter("k", "Rate constant")
    factor: float = Option("A factor", default=2.0)

    def setup(self):
        self.weights, self.scale = [1.0, 0.5], torch.tensor(1.0, dtype=torch.float64)

    def forward(self, x, load, k):
        return -self.factor * self.weights[1] * Scalar(self.scale) * k * (x - load)


def integrated(*rates):
    """``x`` by backward Euler, from the first of the models; the others are evaluated after it."""
    step = BackwardEulerTimeIntegration[Scalar](variable="x", name="step")
    system = NonlinearSystem(ComposedModel([rates[0], step], name="residual"), unknowns="x")
    update = ImplicitUpdate(system, predictor=predictor("x"))
    return ComposedModel([update, *rates], additional_outputs=["x"])


def test_attributes_that_change_make_another_kernel():
    rate = Damped(k=2.0)
    native, history = TransientDriver(integrated(rate), engine="native"), {"t": times(9), "load": loads(3)}
    same_with_gradients(native.model, history, native)
    kernel = native._engine.kernel
    same_with_gradients(native.model, history, native)
    assert native._engine.kernel is kernel
    rate.factor = 0.5
    same_with_gradients(native.model, history, native)
    rate.weights[1] = 4.0
    same_with_gradients(native.model, history, native)
    rate.scale.fill_(0.1)
    same_with_gradients(native.model, history, native)
    rate.scale = torch.tensor(0.2, dtype=torch.float64)
    same_with_gradients(native.model, history, native)


def test_parameters_that_are_shared_or_parted_later():
    first, second = Damped(k=2.0), Damped(k=3.0, x_rate="y")
    native, history = TransientDriver(integrated(first, second), engine="native"), {"t": times(9)}
    history["load"] = loads(3)
    same_with_gradients(native.model, history, native)
    second._parameters["k"] = first._parameters["k"]
    same_with_gradients(native.model, history, native)
    native = TransientDriver(native.model, engine="native")
    same_with_gradients(native.model, history, native)
    second._parameters["k"] = torch.nn.Parameter(torch.tensor(5.0, dtype=torch.float64))
    same_with_gradients(native.model, history, native)
