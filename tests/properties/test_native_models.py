"""Materials that hypothesis composes: the compiled engine gives what the eager engine gives.

Each material takes two compilations, so there are few here; ``NEML2_RANDOM_MODELS=300`` asks for more, at
random.
"""

from __future__ import annotations

import os

import torch
from hypothesis import HealthCheck, assume, given, note, settings

from neml2 import Scalar, Status, TransientDriver
from neml2.drivers import Trajectory
from neml2.model import Model
from tests.properties.materials import Recipe, recipes

WANTED = int(os.environ.get("NEML2_RANDOM_MODELS", "0"))
some = settings(
    max_examples=WANTED or 7,
    derandomize=not WANTED,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@some
@given(recipes())
def test_a_random_material(recipe):
    note(recipe.text())
    assume(recipe.flow != "FB" or recipe.unit == 1)  # that function of a stress in Pa has no digits for rates
    compare(recipe)


def test_gradients_of_badly_scaled_systems():
    """Stresses in Pa beside Fischer's and Burmeister's function cost a plain solve all its digits."""
    recipe = Recipe(
        control="rate", flow="FB", isotropic="linear", back=("annealing",), cubic=False, normality=True,
        constants="BULK_MODULUS POISSONS_RATIO", thermal="", search=True, predictor="Constant", unit=1e6,
        batch="()", seed=429312851,
    )  # fmt: skip
    compare(recipe)


def compare(recipe: Recipe) -> None:
    """Run both engines along the recipe's history, without and with gradients, and compare."""
    model = recipe.model()
    if recipe.batch == "a parameter":
        name, p = next((n, p) for n, p in model.named_parameters() if p.ndim == 0)
        model.set_parameter(name, Scalar(p.detach() * torch.linspace(0.9, 1.1, 4, dtype=p.dtype)))
    history = recipe.history()
    native = TransientDriver(model, engine="native", on_failure="freeze")
    eager = TransientDriver(model, engine="eager", on_failure="freeze")
    with torch.no_grad():
        expected = eager.run(history)
        same_values(native.run(history), expected, 1e-8 if recipe.unit == 1 else 1e-6)
    if expected.succeeded:
        same_gradients(model, native.run(history), eager.run(history))


def same_values(found: Trajectory, expected: Trajectory, off: float) -> None:
    """To ``off`` of the scale: stresses in Pa hide what is left of strains from the convergence test."""
    assert torch.equal(found.status == Status.CONVERGED, expected.status == Status.CONVERGED)
    assert found.batch == expected.batch
    for name in expected.names:
        a, b = found[name].data, expected[name].data
        scale = max(float(b.abs().nan_to_num(0.0).max()), 1e-6)  # a rate where nothing flows is round-off
        torch.testing.assert_close(a, b, rtol=0, atol=off * scale, equal_nan=True, msg=name)


def same_gradients(model: Model, found: Trajectory, expected: Trajectory) -> None:
    """Of a random loss, per relative change of each parameter."""
    made = []
    for run in (found, expected):
        generator = torch.Generator().manual_seed(0)
        loss = torch.zeros((), dtype=torch.float64)
        for name, b in expected.outputs.items():
            weights = torch.randn(b.data[1:].shape, dtype=torch.float64, generator=generator)
            scale = b.data[1:].detach().abs().max().clamp(min=1e-6)
            loss = loss + (weights * run.outputs[name].data[1:]).sum() / scale
        parameters = list(model.parameters())
        slopes = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        made.append([g * p.detach() for g, p in zip(slopes, parameters, strict=True)])
    if not all(bool(g.isfinite().all()) for g in made[1]):
        return
    largest = max(float(g.abs().max()) for g in made[1])
    for (name, _), a, b in zip(model.named_parameters(), *made, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6 * largest, msg=name)
