"""What the tables cannot say: one-sided derivatives at singular points, and errors of elastic constants."""

from __future__ import annotations

import math

import pytest
import torch

from neml2 import models
from neml2.types import MRP, SR2, SSR4, Scalar, euler_rodrigues, rotate


def _slope(model, **inputs):
    """Derivatives of the only output with respect to all inputs and parameters, by name."""
    _, jacobian = model.jacobian(inputs)
    _, by_parameter = model.param_jacobian(inputs)
    (out,) = model.output_spec
    return {n: block.data for n, block in jacobian[out].items()} | by_parameter[out]


@pytest.mark.parametrize("n", [1.5, 2.0, 3.0, 7.3])
@pytest.mark.parametrize("f", [0.0, -0.0, -1e-300, -50.0])
def test_perzyna_has_zero_slopes_up_to_the_yield_surface(n, f):
    model = models.PerzynaPlasticFlowRate(reference_stress=80.0, exponent=n)
    assert model(Scalar(f)).data == 0
    assert all(slope == 0 for slope in _slope(model, yield_function=f).values())


def test_perzyna_takes_negative_overstress_without_nan_in_second_derivatives():
    model = models.PerzynaPlasticFlowRate(reference_stress=80.0, exponent=1.5)
    f = torch.tensor([-3.0, 0.0, 4.0], requires_grad=True, dtype=torch.float64)
    (first,) = torch.autograd.grad(model(Scalar(f)).data.sum(), f, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), f)
    assert first.isfinite().all() and second.isfinite().all()
    assert second[0] == 0 and second[2] == pytest.approx(0.75 / 80**2 * (4 / 80) ** -0.5)


def test_j2_direction_at_zero_has_the_slope_of_the_regularised_norm():
    block = _slope(models.AssociativeJ2FlowDirection(), mandel_stress=SR2.zeros())["mandel_stress"]
    epsilon = torch.finfo(torch.float64).eps
    torch.testing.assert_close(block, math.sqrt(1.5 / epsilon) * SSR4.identity_dev(dtype=torch.float64).data)


@pytest.mark.parametrize(("n", "slope"), [(1.0, -1 / 60), (1.4, 0.0), (2.0, 0.0), (3.0, 0.0)])
def test_recovered_hardening_has_the_slope_of_its_law(n, slope):
    model = models.PowerLawIsotropicHardeningStaticRecovery(tau=60.0, n=n)
    slopes = _slope(model, isotropic_hardening=0.0)
    assert slopes.pop("isotropic_hardening") == pytest.approx(slope)
    assert all(s == 0 for s in slopes.values())


def test_general_elasticity_turns_the_stiffness():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(6, 6, generator=generator, dtype=torch.float64)
    stiffness, strain, r = SSR4(x + x.T), SR2(x[0]), MRP(x[1, :3])
    model = models.GeneralElasticity(elastic_stiffness_tensor="C")
    expected = rotate(stiffness, euler_rodrigues(r)) @ strain
    torch.testing.assert_close(model(strain, r, stiffness).data, expected.data)
    block = _slope(model, strain=strain, orientation=r, C=stiffness)["C"]
    torch.testing.assert_close((block * stiffness.data).sum((-1, -2)), expected.data)  # linear in C


def test_elastic_constants_as_keywords_words_and_numbers_are_the_same():
    strain = SR2.fill(0.01, -0.002, 0.003, 0.004, -0.005, 0.006)
    listed = models.LinearIsotropicElasticity(
        coefficients=[0.3, 200e3], coefficient_types="POISSONS_RATIO YOUNGS_MODULUS"
    )
    keywords = models.LinearIsotropicElasticity(nu=0.3, E=200e3)
    wired = models.LinearIsotropicElasticity(
        coefficients=["p", 200e3], coefficient_types=["POISSONS_RATIO", "YOUNGS_MODULUS"]
    )
    assert [n for n, _ in listed.named_parameters()] == ["E", "nu"]
    assert list(wired.input_spec) == ["strain", "p"]
    assert torch.equal(listed(strain).data, keywords(strain).data)
    assert torch.equal(listed(strain).data, wired(strain, Scalar(0.3)).data)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs 2 elastic constants, got none"),
        ({"E": 200.0}, "needs 2 elastic constants, got E"),
        ({"E": 200.0, "nu": 0.3, "G": 80.0}, "needs 2 elastic constants, got E, nu, G"),
        ({"E": 200.0, "nu": 0.7}, r"nu is 0.7, outside its range \(-1, 0.5\)"),
        ({"E": -200.0, "nu": 0.3}, "E is -200, outside its range"),
        ({"E": 200.0, "G": 50.0}, "E and G give the bulk modulus -66.6667; it must be positive and finite"),
        ({"coefficients": [200.0, 0.3], "coefficient_types": "YOUNGS_MODULUS"}, "give one type for each"),
        ({"coefficients": [2.0, 0.3], "coefficient_types": "YOUNGS_MODULUS YOUNGS_MODULUS"}, "E twice"),
        ({"coefficients": [2.0, 0.3], "coefficient_types": "YOUNGS_MODULUS POISON_RATIO"}, "POISSONS_RATIO"),
        ({"coefficients": [2.0], "coefficient_types": "YOUNGS_MODULUS", "E": 3.0}, "and as a keyword"),
    ],
)
def test_unusable_elastic_constants_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        models.LinearIsotropicElasticity(**given)


def test_cubic_stiffness_needs_its_own_shear_modulus():
    with pytest.raises(ValueError, match="needs 3 elastic constants with G, got E, nu, K"):
        models.CubicElasticityTensor(E=200.0, nu=0.3, K=170.0)
    assert [n for n, _ in models.CubicElasticityTensor(nu=0.3, G=80.0, E=200.0).named_parameters()] == [
        "G",
        "E",
        "nu",
    ]


def test_fixed_parameters_cannot_be_wired():
    with pytest.raises(ValueError, match="T1 must be a number or a tensor, not 'temperature_1'"):
        models.ScalarTwoStageThermalAnnealing(T1="temperature_1", T2=1000.0, tau=1.0)
