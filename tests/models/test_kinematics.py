"""Eigenstrains and volume ratios: consistency with volumes, rotations and stresses in closed form."""

from __future__ import annotations

import pytest
import torch

from neml2 import ComposedModel, models
from neml2.types import MRP, R2, SR2, Scalar, det, euler_rodrigues, r2_from_sr2

ONE = torch.eye(3, dtype=torch.float64)
STRETCH = torch.tensor([[1.1, 0.05, 0.0], [0.05, 0.9, -0.02], [0.0, -0.02, 1.2]], dtype=torch.float64)
ROTATION = euler_rodrigues(MRP(torch.tensor([0.2, -0.1, 0.3], dtype=torch.float64)))
FREE = {"rtol": 0, "atol": 1e-14}


def elasticity(strain):
    return models.LinearIsotropicElasticity(E=200e3, nu=0.3, strain=strain, name="elasticity")


def polar(F):
    """Rotation and right stretch of F, by the eigenvalues of its metric."""
    squares, axes = torch.linalg.eigh(F.mT @ F)
    U = axes @ torch.diag(squares.sqrt()) @ axes.mT
    return F @ torch.linalg.inv(U), U


# -------------------------------------------------------------------- small strains


def test_the_eigenstrain_of_a_volume_change_has_that_volume():
    eigenstrain = models.VolumeChangeEigenstrain(reference_volume=2.0)(Scalar(2.6))
    assert float(det(R2(ONE + r2_from_sr2(eigenstrain).data)).data.detach()) == pytest.approx(1.3, rel=1e-14)


def test_three_linear_coefficients_are_a_volumetric_one():
    alpha, T0, T = 1e-5, 300.0, Scalar(350.0)
    linear = models.ThermalEigenstrain(reference_temperature=T0, CTE=alpha)(T)
    J = models.ThermalDeformationJacobian(reference_temperature=T0, CTE=3 * alpha)(T)
    volume = float(det(R2(ONE + r2_from_sr2(linear).data)).data.detach())
    assert float(J.data.detach()) == pytest.approx(volume, abs=4 * (alpha * 50) ** 2)
    assert float(linear.data[:3].sum().detach()) == pytest.approx(float(J.data.detach()) - 1, rel=1e-10)


@pytest.mark.parametrize("free", [True, False])
def test_heating_gives_stress_only_where_it_is_held(free):
    thermal = models.ThermalEigenstrain(reference_temperature=300.0, CTE=2e-5, eigenstrain="expansion")
    difference = models.SR2LinearCombination(
        **{"from": ["strain", "expansion"], "to": "elastic", "weights": [1.0, -1.0]}
    )
    solid = ComposedModel([thermal, difference, elasticity("elastic")])
    strain = thermal(Scalar(420.0)) if free else SR2.zeros()
    stress = solid.call_by_name({"strain": strain, "temperature": Scalar(420.0)})["stress"].data
    bulk = 200e3 / (3 * (1 - 2 * 0.3))
    pressure = 0.0 if free else -3 * bulk * 2e-5 * 120
    torch.testing.assert_close(stress, pressure * SR2.identity().data, rtol=1e-12, atol=1e-9)


def test_eigenstrains_of_several_causes_add_up():
    thermal = models.ThermalEigenstrain(reference_temperature=300.0, CTE=2e-5, eigenstrain="e1")
    phase = models.PhaseTransformationEigenstrain(eigenstrain="e2")
    volume = models.VolumeChangeEigenstrain(reference_volume=1.0, eigenstrain="e3")
    total = models.SR2LinearCombination(
        **{"from": ["strain", "e1", "e2", "e3"], "to": "elastic", "weights": [1.0, -1.0, -1.0, -1.0]}
    )
    joined = ComposedModel([thermal, phase, volume, total])
    given = {"temperature": 400.0, "phase_fraction": 0.5, "volume_fraction_change": 0.01, "volume": 1.1**3}
    (elastic,) = joined.call_by_name({"strain": SR2.zeros(), **given}).values()
    expected = -(2e-5 * 100 + 0.005 + 0.1) * SR2.identity().data
    torch.testing.assert_close(elastic.data, expected, **FREE)


# -------------------------------------------------------------------- large strains


def test_a_volume_ratio_leaves_the_rotation_as_it_is():
    """F = R U with a known rotation and stretch: R stays, U shrinks in all directions alike."""
    F, J = ROTATION.data @ STRETCH, 1.3
    adjusted = models.VolumeAdjustDeformationGradient()(R2(F), Scalar(J))
    R, U = polar(adjusted.data)
    torch.testing.assert_close(R, ROTATION.data, **FREE)
    torch.testing.assert_close(U, J ** (-1 / 3) * STRETCH, **FREE)
    assert float(det(adjusted).data.detach()) == pytest.approx(
        float(torch.linalg.det(STRETCH)) / J, rel=1e-14
    )


def test_the_green_lagrange_strain_is_that_of_the_stretch():
    for F in (STRETCH, ROTATION.data @ STRETCH):
        strain = models.GreenLagrangeStrain()(R2(F))
        torch.testing.assert_close(r2_from_sr2(strain).data, (STRETCH @ STRETCH - ONE) / 2, **FREE)


def test_frame_indifference_of_the_adjusted_gradient():
    model = models.VolumeAdjustDeformationGradient()
    plain, turned = model(R2(STRETCH), Scalar(1.3)), model(ROTATION @ R2(STRETCH), Scalar(1.3))
    torch.testing.assert_close(turned.data, (ROTATION @ plain).data, **FREE)


def test_free_swelling_in_any_orientation_has_no_stress():
    """A body that takes the volume of its swelling, and is turned."""
    J = models.SwellingAndPhaseChangeDeformationJacobian(
        phase_fraction=0.35, swelling_coefficient=0.4, reference_volume_difference=-0.2
    )
    adjust = models.VolumeAdjustDeformationGradient(input="F", output="Fe")
    strain = models.GreenLagrangeStrain(deformation_gradient="Fe", strain="E")
    solid = ComposedModel([J, adjust, strain, elasticity("E")])
    ratio = float(J(Scalar(0.5)).data.detach())
    assert ratio == pytest.approx(1 + 0.5 * (0.35 * 0.4 - 0.65 * 0.2))
    F = R2(ratio ** (1 / 3) * ROTATION.data)
    stress = solid.call_by_name({"F": F, "fluid_fraction": Scalar(0.5)})["stress"]
    torch.testing.assert_close(stress.data, torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-9)


# -------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("ThermalEigenstrain", {"reference_temperature": "T0", "CTE": 1e-5}, "must be a number or a tensor"),
        ("VolumeChangeEigenstrain", {"reference_volume": 0.0}, r"is 0, outside its range \(0, inf\)"),
        (
            "SwellingAndPhaseChangeDeformationJacobian",
            {"phase_fraction": 1.2, "swelling_coefficient": 0.1, "reference_volume_difference": 0.1},
            r"phase_fraction is 1.2, outside its range \[0, 1\]",
        ),
    ],
)
def test_unusable_parameters_are_refused(kind, given, message):
    with pytest.raises(ValueError, match=message):
        getattr(models, kind)(**given)
