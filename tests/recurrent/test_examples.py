"""The examples of calibration find the parameters from which their tests were made."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from neml2.recurrent.misfit import Misfit

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    """Modules of one example, by name; they import one another as scripts do."""

    def of(folder, *names):
        monkeypatch.syspath_prepend(EXAMPLES / folder)
        found = []
        for name in names:
            spec = importlib.util.spec_from_file_location(name, EXAMPLES / folder / f"{name}.py")
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, name, module)
            spec.loader.exec_module(module)
            found.append(module)
        return found

    return of


def test_the_tests_of_the_viscoplastic_example_are_those_that_are_stored(example, tmp_path):
    known, _ = example("calibrate_viscoplastic", "known", "calibrate")
    known.write(tmp_path)
    for name in known.HISTORIES:
        made, stored = (
            np.loadtxt(p / f"{name}.csv", delimiter=",", skiprows=1) for p in (tmp_path, known.HERE)
        )
        np.testing.assert_allclose(
            made, stored, rtol=1e-6, atol=0.0101
        )  # a hundredth may be rounded up or down


@pytest.fixture
def in_double_precision():
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(usual)


@pytest.mark.slow
def test_eight_parameters_are_found_for_every_noise(example, tmp_path):
    known, script = example("calibrate_viscoplastic", "known", "calibrate")
    inside = []
    for seed in range(20):
        known.write(tmp_path, seed)
        result = script.fit(script.experiments(tmp_path))
        assert result.converged and len(result.history) < 40
        inside += [low <= known.TRUE[n] <= high for n, (low, high) in result.intervals().items()]
    assert 0.91 <= np.mean(inside) <= 0.98


def test_the_viscoplastic_example(example):
    known, script = example("calibrate_viscoplastic", "known", "calibrate")
    result = script.fit(script.experiments())
    assert result.converged and len(result.history) < 40
    assert 0.7 < 2 * result.loss / result.uncertainty.freedom < 1.3
    for name, error in result.errors.items():
        assert abs(result[name] - known.TRUE[name]) < 4 * error
    lines = script.table(result).splitlines()
    assert len(lines) == 9 and lines[1].startswith("elasticity.E")


def test_the_pyzag_example_has_loss_and_gradient_of_the_discrete_adjoint(example, in_double_precision):
    pytest.importorskip("pyzag")
    known, script, with_pyzag = example("calibrate_viscoplastic", "known", "calibrate", "with_pyzag")
    tests = script.experiments(resample=with_pyzag.ROWS)
    model = with_pyzag.neml2.load_model(script.HERE / "model.i", "model")
    bounds = {n: with_pyzag.Free(low, high, log=False) for n, low, high in with_pyzag.PARAMETERS.values()}
    misfit = Misfit(model, tests, bounds)
    loss, gradient = misfit.loss_and_gradient(misfit.space.start)

    material = with_pyzag.Material(model)
    data = with_pyzag.measured(tests)
    stress = material(with_pyzag.forces_of(material.material, tests))
    same = 0.5 * ((stress - data)[data.isfinite()] / known.NOISE).square().sum()
    same.backward()
    assert float(same.detach()) == pytest.approx(loss, rel=1e-6)
    by = {n.split(".")[2]: float(p.grad) for n, p in material.named_parameters()}
    np.testing.assert_allclose([by[p] for p in with_pyzag.PARAMETERS], gradient, rtol=1e-4)


def test_the_hierarchical_example_finds_every_specimen(example, in_double_precision, tmp_path):
    pytest.importorskip("pyzag")
    (script,) = example("calibrate_hierarchical", "calibrate")
    known, forces, data = script.measured()
    found = script.fit(forces, data, 60)
    np.testing.assert_allclose(found["specimens"][1], known, atol=8.0)
    assert np.corrcoef(found["specimens"][1], known)[0, 1] > 0.95
    assert float(found["noise"].flatten()[1]) == pytest.approx(script.NOISE, rel=0.4)
    script.draw(known, found, tmp_path / "fit.png")
    assert len(script.table(known, found).splitlines()) == 14


def test_the_example_with_temperature(example):
    _, script = example("calibrate_temperature", "known", "calibrate")
    result = script.fit(script.experiments())
    assert result.converged and len(result.names) == 10
    for name, error in result.errors.items():
        assert abs(result[name] - script.true(name)) < 4 * error
    assert len(result.misfit.groups) == 1  # nine tests in one batch
