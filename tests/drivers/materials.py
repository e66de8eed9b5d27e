"""Small models to drive: a decay, a solve that fails on demand, and a tensor with a history."""

import torch

from neml2.composed import ComposedModel
from neml2.fields import Input, Output, Parameter
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.models.common.time_integration import BackwardEulerTimeIntegration, ForwardEulerTimeIntegration
from neml2.predictors import ConstantExtrapolationPredictor
from neml2.system import NonlinearSystem
from neml2.types import SR2, Scalar, atan, sqrt


class DrivenDecay(Model):
    """Rate of a decay towards a load."""

    x: Scalar = Input("What decays", unit="length")
    load: Scalar = Input("Where it decays to", unit="length")
    x_rate: Scalar = Output("Its rate")
    k: Scalar = Parameter("k", "Rate constant", unit="1/time")

    def forward(self, x, load, k):
        return -k * (x - load)


def decay(k=2.0):
    """Decay, x' = -k (x - load), solved by backward Euler; ``x`` and ``x_rate`` come out."""
    rate = DrivenDecay(k=k, name="rate")
    step = BackwardEulerTimeIntegration[Scalar](variable="x", name="step")
    system = NonlinearSystem(ComposedModel([rate, step], name="residual"), unknowns="x")
    update = ImplicitUpdate(system, predictor=predictor("x"), name="update")
    return ComposedModel([update, rate], additional_outputs=["x"], name="decay")


def predictor(*scalars):
    return ConstantExtrapolationPredictor(unknowns_Scalar=list(scalars))


class Snap(Model):
    """Follows g * load. Newton diverges for increments over 0.139; no root for ``bad`` over pi/2."""

    x: Scalar = Input("The unknown")
    load: Scalar = Input("What it follows")
    bad: Scalar = Input("Takes the root away")
    g: Scalar = Parameter("g", "Gain")
    r: Scalar = Output("Residual", option="x_residual")

    def forward(self, x, load, bad, g):
        return atan(10.0 * (x - g * load)) + bad


class Brittle(Model):
    """An explicit result whose value and slopes are NaN where ``bad`` is over 1 / h."""

    x: Scalar = Input("The solved unknown")
    x_old: Scalar = Input("Its old value", option="x~1")
    bad: Scalar = Input("Breaks the result")
    h: Scalar = Parameter("h", "Sensitivity")
    y: Scalar = Output("The result")

    def forward(self, x, x_old, bad, h):
        return x + x_old * sqrt(1.0 - h * bad)


def snap(g=1.0, h=1.0):
    """Unknown ``x`` follows ``g * load``; explicit output ``y``."""
    system = NonlinearSystem(Snap(g=g, name="snap_residual"), unknowns="x")
    update = ImplicitUpdate(system, predictor=predictor("x"), name="update")
    return ComposedModel([update, Brittle(h=h, name="brittle")], additional_outputs=["x"], name="snap")


class Strainer(Model):
    """Rate of a symmetric tensor: stiffness times strain, times its temperature."""

    E: SR2 = Input("Strain", unit="strain")
    T: Scalar = Input("Temperature", unit="temperature")
    S_rate: SR2 = Output("Rate of the stress", unit="stress/time")
    c: Scalar = Parameter("c", "Stiffness", unit="stress")

    def forward(self, E, T, c):
        return c * T * E


def strainer(c=3.0):
    """Integrates S' = c T E by forward Euler: a model without solves, with a symmetric tensor as state."""
    rate = Strainer(c=c, name="rate")
    step = ForwardEulerTimeIntegration[SR2](variable="S", name="step")
    return ComposedModel([rate, step], additional_outputs=["S_rate"], name="strainer")


def strain(steps, *batch, seed=0):
    """A history of strains with all components."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(steps, *batch, 6, dtype=torch.float64, generator=generator)


def times(steps, end=1.0):
    return torch.linspace(0.0, end, steps, dtype=torch.float64)


class Tearing(Model):
    """An explicit state that is NaN, with NaN slopes, after an increment of the load over 0.2 / h."""

    y_old: Scalar = Input("Its old value", option="y~1")
    load: Scalar = Input("The load")
    load_old: Scalar = Input("The load before the step", option="load~1")
    h: Scalar = Parameter("h", "Sensitivity")
    y: Scalar = Output("The state")

    def forward(self, y_old, load, load_old, h):
        return y_old + (load - load_old) * sqrt(0.2 - h * (load - load_old))
