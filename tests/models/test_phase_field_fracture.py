"""Damage in closed form, with both engines, and energies against Hooke's law and principal strains."""

from __future__ import annotations

import itertools

import pytest
import torch

from neml2 import models
from neml2.composed import ComposedModel
from neml2.drivers import History, TransientDriver
from neml2.gradient import Normality
from neml2.implicit import ImplicitUpdate
from neml2.models.solid_mechanics.elastic_constants import WORDS
from neml2.predictors import ConstantExtrapolationPredictor
from neml2.system import NonlinearSystem
from neml2.types import MRP, SR2, Scalar, euler_rodrigues, inner, rotate
from tests.models.refinement import every_engine

K, G, WEIGHT = 150.0, 60.0, 0.35
SPLITS = ("NONE", "VOLDEV", "SPECTRAL")
F64 = torch.float64

every_split = pytest.mark.parametrize("split", SPLITS)


def strains(n):
    return SR2(0.02 * torch.randn(n, 6, dtype=F64, generator=torch.Generator().manual_seed(0)))


def energy(split, **names):
    return models.LinearIsotropicStrainEnergyDensity(K=K, G=G, decomposition=split, **names)


def energies(split, strain):
    with torch.no_grad():
        return energy(split)(strain)


def stresses(split):
    """The model of both parts of the stress."""
    parts = {"active_strain_energy_density": "a", "inactive_strain_energy_density": "i"}
    active, inactive = (
        Normality(model=energy(split, **parts), function=f, **{"from": ["strain"], "to": [f"S{f}"]})
        for f in parts.values()
    )
    return ComposedModel([active, inactive])


# ---------------------------------------------------------------------- damage at a point


def damaging(split, crack):
    """Damage without a gradient term, and the stress; F >= 0, d' >= 0, F d' = 0."""
    parts = {"active_strain_energy_density": "pa", "inactive_strain_energy_density": "pi"}
    total = {"from": "soft pi alpha", "to": "psi", "weights": [1.0, 1.0, WEIGHT]}
    psi = ComposedModel(
        [
            models.PowerDegradationFunction(phase="d", degradation="g", power=2.0),
            energy(split, strain="E", **parts),
            models.ScalarMultiplication(**{"from": "g pa", "to": "soft"}),
            crack(phase="d", crack="alpha"),
            models.ScalarLinearCombination(**total),
        ]
    )
    conditions = [
        Normality(model=psi, function="psi", **{"from": ["d"], "to": ["F"]}),
        models.ScalarVariableRate(variable="d"),
        models.FBComplementarity(a="F", b="d_rate", complementarity="d_residual", a_inequality="GE"),
    ]
    guess = ConstantExtrapolationPredictor(unknowns_Scalar=["d"])
    update = ImplicitUpdate(NonlinearSystem(ComposedModel(conditions), unknowns="d"), predictor=guess)
    stress = Normality(model=psi, function="psi", **{"from": ["E"], "to": ["S"]})
    return ComposedModel([update, stress], additional_outputs=["d"])


CRACKS = {
    "AT1": (models.CrackGeometricFunctionAT1, lambda psi: (1 - WEIGHT / (2 * psi)).clamp(min=0)),
    "AT2": (models.CrackGeometricFunctionAT2, lambda psi: psi / (psi + WEIGHT)),
}


@every_engine
@pytest.mark.parametrize(
    ("split", "name"),
    [("NONE", "AT2"), ("VOLDEV", "AT1"), ("SPECTRAL", "AT2")],
    ids=["NONE-AT2", "VOLDEV-AT1", "SPECTRAL-AT2"],
)
def test_damage_of_a_point(split, name, engine):
    """0 = dpsi/dd in loading: AT1 is elastic until psi = w/2, AT2 is damaged from the start; none heals."""
    crack, exact = CRACKS[name]
    level = torch.cat([torch.linspace(0, 1, 16, dtype=F64), torch.linspace(0.9, 0.2, 5, dtype=F64)])
    direction = torch.tensor([[0.12, -0.03, 0.02, 0.0, 0.04, 0.03], [0.05, -0.09, -0.02, 0.07, 0.0, 0.0]])
    path = SR2(level[:, None, None] * direction.to(F64))
    history = History(
        torch.linspace(0, 1, 21, dtype=F64), {"E": path}, initial={"d": torch.zeros(2, dtype=F64)}
    )
    with torch.no_grad():
        run = TransientDriver(damaging(split, crack), engine=engine).run(history)
    assert run.succeeded
    expected = exact(energies(split, path)[0].data).cummax(0).values
    torch.testing.assert_close(run["d"].data[1:], expected[1:], rtol=1e-7, atol=1e-7)
    assert expected.max() > 0.3
    active, inactive = (s.data for s in stresses(split)(path))
    stress = (1 - expected[..., None]) ** 2 * active + inactive
    torch.testing.assert_close(run["S"].data[1:], stress[1:].detach(), rtol=1e-6, atol=1e-6)


# ---------------------------------------------------------------------- energies


@every_split
def test_the_parts_add_up_to_the_energy_of_hooke(split):
    strain = strains(50)
    stress = models.LinearIsotropicElasticity(K=K, G=G)(strain)
    whole = inner(stress, strain).data / 2
    active, inactive = energies(split, strain)
    torch.testing.assert_close(active.data + inactive.data, whole.detach(), rtol=1e-12, atol=0)
    assert (active.data >= 0).all() and (inactive.data >= 0).all()


@every_split
def test_the_stresses_add_up_to_that_of_hooke(split):
    strain = strains(50)
    values, jacobian = stresses(split).jacobian({"strain": strain})
    hooke, tangent = models.LinearIsotropicElasticity(K=K, G=G).jacobian({"strain": strain})
    torch.testing.assert_close(values["Sa"].data + values["Si"].data, hooke["stress"].data)
    both = jacobian["Sa"]["strain"].data + jacobian["Si"]["strain"].data
    torch.testing.assert_close(both, tangent["stress"]["strain"].data.expand_as(both), rtol=1e-9, atol=1e-9)


@every_split
def test_energies_do_not_depend_on_the_frame(split):
    strain = strains(20)
    turn = euler_rodrigues(MRP(torch.tensor([0.2, -0.4, 0.3], dtype=F64)))
    for here, there in zip(energies(split, strain), energies(split, rotate(strain, turn)), strict=True):
        torch.testing.assert_close(here.data, there.data, rtol=1e-11, atol=1e-15)


def test_spectral_stress_is_that_of_the_principal_strains():
    """It is lambda <tr e> I + 2 G sum_a <e_a> n_a n_a."""
    strain = strains(50)
    e, n = torch.linalg.eigh(_full(strain))
    lam = K - 2 * G / 3
    tensile = torch.einsum("...ia,...a,...ja->...ij", n, e.clamp(min=0), n)
    expected = lam * e.sum(-1).clamp(min=0)[..., None, None] * torch.eye(3, dtype=F64) + 2 * G * tensile
    found = stresses("SPECTRAL")(strain)[0].detach()
    torch.testing.assert_close(_full(found), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["tension", "compression"])
@pytest.mark.parametrize("split", ["VOLDEV", "SPECTRAL"])
def test_tangents_at_equal_principal_strains(split, sign):
    """All of Hooke's stiffness is active where every direction is stretched, its shear alone if VOLDEV."""
    ball = SR2(sign * torch.tensor([0.02, 0.02, 0.02, 0, 0, 0], dtype=F64))
    _, jacobian = stresses(split).jacobian({"strain": ball})
    hooke = models.IsotropicElasticityTensor(K=K, G=G)().data.detach()
    volume = torch.zeros(6, 6, dtype=F64)
    volume[:3, :3] = K
    active = hooke if sign > 0 else hooke - volume if split == "VOLDEV" else torch.zeros(6, 6, dtype=F64)
    torch.testing.assert_close(jacobian["Sa"]["strain"].data, active, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(jacobian["Si"]["strain"].data, hooke - active, rtol=1e-12, atol=1e-12)


def test_tangents_without_strain_are_the_mean_of_both_sides():
    for split, active in (("VOLDEV", K / 2), ("SPECTRAL", (K - 2 * G / 3) / 2 + G / 3)):
        _, jacobian = stresses(split).jacobian({"strain": SR2.zeros(dtype=F64)})
        bulk = jacobian["Sa"]["strain"].data[:3, :3].sum() / 9
        assert float(bulk) == pytest.approx(active)


# ---------------------------------------------------------------------- functions of the phase


def test_slopes_of_the_degradation_at_both_ends():
    rational = models.RationalDegradationFunction(power=2.0, b1=4.0, b2=-0.5, b3=0.25, eta=0.1)
    power = models.PowerDegradationFunction(power=3.0, eta=0.1)
    for model, slopes in ((rational, [-0.9 * 4.0, 0.0]), (power, [-0.9 * 3.0, 0.0])):
        values, jacobian = model.jacobian({"phase": Scalar([0.0, 1.0])})
        assert values["degradation"].data.tolist() == pytest.approx([1.0, 0.1])
        assert jacobian["degradation"]["phase"].data.tolist() == pytest.approx(slopes)


# ---------------------------------------------------------------------- elastic constants


@pytest.mark.parametrize("pair", list(itertools.combinations(WORDS, 2)), ids="+".join)
def test_any_two_constants_are_held_as_bulk_and_shear_modulus(pair):
    nu, lam = (3 * K - 2 * G) / (2 * (3 * K + G)), K - 2 * G / 3
    known = {"E": 2 * G * (1 + nu), "nu": nu, "K": K, "G": G, "lam": lam, "M": K + 4 * G / 3}
    model = models.LinearIsotropicStrainEnergyDensity(
        coefficients=[known[WORDS[w]] for w in pair], coefficient_types=list(pair)
    )
    held = {n: float(p.detach()) for n, p in model.named_parameters()}
    assert list(held) == ["K", "G"]
    assert held == pytest.approx({"K": K, "G": G})


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"E": 200.0, "nu": 0.7}, r"nu is 0.7, outside its range \(-1, 0.5\)"),
        ({"E": 200.0, "K": 20.0}, "E and K give the shear modulus -600; it must be positive"),
        ({"E": 200.0}, "needs 2 elastic constants, got E"),
        ({"K": 20.0, "G": 10.0, "decomposition": "SPECTRUM"}, "SPECTRUM.*SPECTRAL"),
    ],
)
def test_constants_and_splits_that_do_not_exist(constants, message):
    with pytest.raises(ValueError, match=message):
        models.LinearIsotropicStrainEnergyDensity(**constants)


def _full(a: SR2) -> torch.Tensor:
    """The matrix of a symmetric tensor."""
    x = torch.cat([a.data[..., :3], a.data[..., 3:] / 2**0.5], -1)
    return x[..., torch.tensor([0, 5, 4, 5, 1, 3, 4, 3, 2])].unflatten(-1, (3, 3))
