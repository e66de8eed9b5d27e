"""Pores against formulas worked out by other ways, and what the tables cannot say."""

from __future__ import annotations

import math

import pytest
import torch

from neml2 import models
from neml2.types import Scalar
from tests.models.refinement import check_first_order, every_engine, integrated

LAWS = {
    "Brooks-Corey": (models.BrooksCoreyCapillaryPressure, {"threshold_pressure": 8.0, "exponent": 2.6}),
    "van Genuchten": (models.VanGenuchtenCapillaryPressure, {"a": 12.0, "m": 0.4}),
}

every_law = pytest.mark.parametrize(("law", "options"), LAWS.values(), ids=LAWS)


def pressures(model, s):
    with torch.no_grad():
        return model(Scalar(torch.as_tensor(s, dtype=torch.float64))).data


def slopes(model, s):
    _, jacobian = model.jacobian({"effective_saturation": Scalar(torch.as_tensor(s, dtype=torch.float64))})
    return jacobian["capillary_pressure"]["effective_saturation"].data


@every_engine
def test_pores_that_drain_at_the_rate_of_their_permeability(engine):
    """phi^(1 - p) = phi_0^(1 - p) + (p - 1) K_0 t / phi_r^p, if the fraction falls at the rate K."""
    law = models.PowerLawPermeability(
        reference_permeability=0.3,
        reference_porosity=0.4,
        exponent=3.0,
        porosity="phi",
        permeability="K",
        name="law",
    )
    falls = models.ScalarLinearCombination(**{"from": "K", "to": "phi_rate", "weights": -1.0}, name="falls")
    exact = (0.5**-2 + 2 * 0.3 * 1.5 / 0.4**3) ** -0.5
    check_first_order(integrated("phi", law, falls), engine, "phi", 0.5, 1.5, exact)


def test_saturations_of_full_and_drained_pores():
    model = models.EffectiveSaturation(residual_saturation=0.12, max_fraction=0.35)
    with torch.no_grad():
        s = model(Scalar([0.35, 0.12 * 0.35])).data
    assert s.tolist() == pytest.approx([1.0, 0.0], abs=1e-15)


def test_brooks_corey_inverts_to_a_power_of_the_pressure():
    s = torch.linspace(0.05, 1.0, 9, dtype=torch.float64)
    pc = pressures(models.BrooksCoreyCapillaryPressure(threshold_pressure=8.0, exponent=2.6), s)
    torch.testing.assert_close((8 / pc) ** 2.6, s, rtol=1e-13, atol=0)


def test_van_genuchten_inverts_to_the_retention_curve():
    """S = (1 + (P / a)^n)^-m with n = 1 / (1 - m)."""
    s = torch.linspace(0.05, 0.95, 9, dtype=torch.float64)
    pc = pressures(models.VanGenuchtenCapillaryPressure(a=12.0, m=0.4), s)
    torch.testing.assert_close((1 + (pc / 12) ** (1 / 0.6)) ** -0.4, s, rtol=1e-13, atol=0)


@every_law
def test_the_logarithm_continues_as_the_tangent(law, options):
    extended, plain = law(**options, log_extension=True, transition_saturation=0.3), law(**options)
    s = torch.linspace(-0.2, 0.3, 11, dtype=torch.float64)
    logarithm = pressures(extended, s).log()
    at = logarithm[-1] + slopes(plain, 0.3) / pressures(plain, 0.3) * (s - 0.3)
    torch.testing.assert_close(logarithm, at, rtol=1e-13, atol=0)
    torch.testing.assert_close(slopes(extended, [0.3 - 1e-9, 0.3]), slopes(plain, [0.3, 0.3]))


@every_law
def test_above_the_transition_the_law_is_untouched(law, options):
    s = torch.linspace(0.3, 1.0, 8, dtype=torch.float64)
    extended, ignored = (law(**options, log_extension=on, transition_saturation=0.3) for on in (True, False))
    for model in (extended, ignored):
        assert torch.equal(pressures(model, s), pressures(law(**options), s))
        assert torch.equal(slopes(model, s), slopes(law(**options), s))


@pytest.mark.parametrize("s", [1.0, 1.3])
def test_van_genuchten_keeps_its_slope_in_full_pores(s):
    eps = torch.finfo(torch.float64).eps
    m, top = 0.4, 1 - eps
    root = math.exp(-math.log(top) / m) - 1
    model = models.VanGenuchtenCapillaryPressure(a=12.0, m=m)
    assert float(pressures(model, s)) == pytest.approx(12 * root**0.6, rel=1e-12)
    assert float(slopes(model, s)) == pytest.approx(-12 / m * 0.6 * root**-m, rel=1e-12)


def test_kozeny_carman_at_the_reference_and_its_slope():
    model = models.KozenyCarmanPermeability(reference_permeability=3.0, reference_porosity=0.2, n=2.7, m=2.7)
    values, jacobian = model.jacobian({"porosity": Scalar(0.2)})
    assert float(values["permeability"].data) == pytest.approx(3.0)
    slope = float(jacobian["permeability"]["porosity"].data)
    assert slope == pytest.approx(3.0 * 2.7 / (0.2 * 0.8))


def test_the_power_law_and_the_exponential_law_touch():
    """At the reference, if p = 1 and a = -1 / phi_0."""
    phi = {"porosity": Scalar(0.2)}
    reference = {"reference_permeability": 3.0, "reference_porosity": 0.2}
    linear = models.PowerLawPermeability(**reference, exponent=1.0)
    exponential = models.ExponentialLawPermeability(**reference, scale=-5.0)
    for model in (linear, exponential):
        values, jacobian = model.jacobian(phi)
        assert float(values["permeability"].data) == pytest.approx(3.0)
        assert float(jacobian["permeability"]["porosity"].data) == pytest.approx(15.0)


@every_law
@pytest.mark.parametrize(
    ("options_of_extension", "message"),
    [
        ({"log_extension": True}, "log_extension needs a transition_saturation above 0, got 0"),
        ({"transition_saturation": 1.2}, r"transition_saturation is 1.2, outside its range \[0, 1\]"),
        ({"transition_saturation": -0.1}, r"transition_saturation is -0.1, outside its range \[0, 1\]"),
    ],
)
def test_transitions_that_do_not_exist(law, options, options_of_extension, message):
    with pytest.raises(ValueError, match=message):
        law(**options, **options_of_extension)
