"""Kernels that are kept from fit to fit: when they are, and when they must not be."""

import copy

import pytest
import torch

from neml2.drivers import TransientDriver
from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.recurrent import calibrate, spare_drivers
from neml2.recurrent.spare_drivers import lent, structure
from neml2.solvers.newton import Newton
from neml2.types import Scalar
from tests.drivers.materials import decay
from tests.recurrent.fits import decaying


@pytest.fixture(autouse=True)
def no_spares(monkeypatch):
    monkeypatch.setattr(spare_drivers, "_idle", [])


@pytest.fixture
def traced(monkeypatch):
    """What is traced, one entry a kernel."""
    from neml2.compiler import kernel

    found, lower = [], kernel.lower
    monkeypatch.setattr(kernel, "lower", lambda update, shapes: found.append(update) or lower(update, shapes))
    return found


def fitted(model, **options):
    return calibrate(model, decaying(), {"k": (0.1, 50.0)}, **options)["k"]


def test_a_second_fit_traces_nothing(traced):
    model = decay(0.5)
    first = fitted(model)
    assert len(traced) == 1
    assert fitted(model) == first and fitted(decay(0.5)) == first  # one that is built alike as well
    assert fitted(model, method="lbfgs") == pytest.approx(2.0, rel=1e-4)
    assert len(traced) == 1


def test_results_are_looked_at_in_the_same_kernel(traced):
    result, other = (calibrate(decay(0.5), decaying(k), {"k": (0.1, 50.0)}) for k in (2.0, 3.0))
    for k, found in ((2.0, result), (3.0, other), (2.0, result)):  # each has its own values
        assert float(found.predictions["0"]["x"].data[1]) == pytest.approx(1 - 1 / (1 + 0.05 * k), rel=1e-7)
        assert found.model.rate.k.data.item() == found["k"]
    assert len(traced) == 1


def test_values_are_those_of_the_model_that_is_given():
    """And so are its options, whatever the twin was used for before."""
    driver = TransientDriver(decay(0.5), engine="native")
    key = structure(driver)
    with lent(driver, key) as first:
        pass
    with torch.no_grad():
        driver.model.rate.k.data.fill_(7.0)
    driver.on_failure = ("freeze",)
    assert structure(driver) == key
    with lent(driver, key) as second:
        assert second is first and second is not driver and second.on_failure == ("freeze",)
        assert second.model.rate.k.data.item() == 7.0


def test_a_twin_has_one_user():
    driver = TransientDriver(decay())
    key = structure(driver)
    with lent(driver, key) as first, lent(driver, key) as second:
        assert first is not second
    with lent(driver, key) as again:
        assert again is first or again is second


def solved_to(tolerance):
    model = decay(0.5)
    model.models_in_order[0].solver = Newton(rel_tol=tolerance)
    return model


def test_what_makes_another_kernel(traced):
    fitted(decay(0.5))
    fitted(solved_to(1e-3))
    assert len(traced) == 2
    batched = decay(Scalar(torch.tensor([0.5], dtype=torch.float64)))
    keys = {structure(TransientDriver(m)) for m in (decay(), decay().float(), batched, solved_to(1e-3))}
    assert len(keys) == 4
    assert structure(TransientDriver(decay(), max_substeps=3)) not in keys


def drain(sign):
    class Drain(Model):
        """A rate that is proportional to what is left, or grows with it."""

        x: Scalar = Input("What drains")
        x_rate: Scalar = Output("Its rate")
        k: Scalar = Parameter("k", "Rate constant")

        def forward(self, x, k):
            return sign * k * x

    return Drain(k=1.0, name="drain")


def test_a_class_that_is_defined_in_a_function_is_not_kept():
    assert structure(TransientDriver(drain(-1.0))) is None


def test_a_class_that_is_defined_again_is_another(monkeypatch):
    """As in a notebook: the same module and the same name."""
    import sys

    keys = []
    for sign in (1.0, -1.0):
        model = drain(sign)
        kind = type(model)
        kind.__qualname__ = "Drain"
        monkeypatch.setattr(sys.modules[__name__], "Drain", kind, raising=False)
        keys.append(structure(TransientDriver(model)))
    assert keys[0][0] == keys[1][0] and keys[0] != keys[1]


def test_no_more_are_kept_than_some(monkeypatch):
    monkeypatch.setattr(spare_drivers, "_MOST", 2)
    for tolerance in (1e-3, 1e-4, 1e-5):
        driver = TransientDriver(solved_to(tolerance))
        with lent(driver, structure(driver)):
            pass
    assert len(spare_drivers._idle) == 2
    assert copy.deepcopy(structure(driver)) == spare_drivers._idle[-1][0]
