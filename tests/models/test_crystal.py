"""Crystals: Schmid factors, single slip, spins, frame indifference, and materials in closed form."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import neml2
from neml2 import CubicCrystal, History, MillerIndex, Scalar, TransientDriver, models
from neml2.predictors import CoordinateDescentPredictor
from neml2.types import (
    MRP,
    R2,
    SR2,
    SSR4,
    WR2,
    Vec,
    compose,
    euler_rodrigues,
    exp_map,
    r2_from_sr2,
    rotate,
    sum,
)
from neml2.types.symmetry import symmetry

SCENARIOS = Path(__file__).parents[1] / "scenarios"
FCC = CubicCrystal(1.0, MillerIndex(torch.tensor([1, 1, 0])), MillerIndex(torch.tensor([1, 1, 1])))
ONE = R2.identity()
RATES = Scalar(torch.tensor([0.4, -0.3, 0.2, 0.7, -0.6, 0.1, 0.2, -0.1, 0.05, 0.3, -0.4, 0.5]).double(), 1)


def random(kind, seed, *batch):
    generator = torch.Generator().manual_seed(seed)
    return kind(torch.randn(*batch, *kind.BASE_SHAPE, generator=generator, dtype=torch.float64))


def rotation(seed=0):
    return MRP(MRP.rand(1, generator=torch.Generator().manual_seed(seed)).data[0])


def tension(direction):
    t = torch.tensor(direction, dtype=torch.float64)
    t = t / torch.linalg.vector_norm(t)
    return neml2.types.sym(R2(t[:, None] * t))


# -------------------------------------------------------------------- leaves


@pytest.mark.parametrize(
    ("direction", "factor", "systems"),
    [([0, 0, 1], 1 / math.sqrt(6), 8), ([1, 1, 1], math.sqrt(6) / 9, 6), ([1, 1, 0], 1 / math.sqrt(6), 4)],
)
def test_schmid_factors(direction, factor, systems):
    shears = models.ResolvedShear(crystal_geometry=FCC)(tension(direction), ONE).data.abs()
    loaded = shears > 1e-12
    assert int(loaded.sum()) == systems
    torch.testing.assert_close(shears[loaded], torch.full((systems,), factor, dtype=torch.float64))


def test_single_slip_is_a_simple_shear():
    rates = Scalar(torch.eye(12, dtype=torch.float64)[4], 1)
    for r in (MRP.identity(), rotation()):
        Q = euler_rodrigues(r)
        l_p = models.PlasticSpatialVelocityGradient(crystal_geometry=FCC)(Q, rates)
        d, n = (Q.data @ v[4] for v in (FCC.cartesian_slip_directions, FCC.cartesian_slip_planes))
        torch.testing.assert_close(l_p.data, d[:, None] * n)
        D = models.PlasticDeformationRate(crystal_geometry=FCC)(Q, rates)
        W = models.PlasticVorticity(crystal_geometry=FCC)(Q, rates)
        torch.testing.assert_close(r2_from_sr2(D).data + neml2.types.r2_from_wr2(W).data, l_p.data)


def test_work_rate_of_slip_is_that_of_the_stress():
    stress, Q = random(SR2, 1), euler_rodrigues(rotation())
    shears = models.ResolvedShear(crystal_geometry=FCC)(stress, Q)
    D = models.PlasticDeformationRate(crystal_geometry=FCC)(Q, RATES)
    torch.testing.assert_close(sum((shears * RATES).sub_batch).data, neml2.types.inner(stress, D).data)


def test_frame_indifference_of_the_leaves():
    """Everything turned, the orientation included: tensors turn along, scalars stay."""
    R, Q, stress = euler_rodrigues(rotation(1)), euler_rodrigues(rotation(2)), random(SR2, 3)
    RQ = R @ Q
    shear = models.ResolvedShear(crystal_geometry=FCC)
    torch.testing.assert_close(shear(rotate(stress, R), RQ).data, shear(stress, Q).data)
    for kind in ("PlasticDeformationRate", "PlasticVorticity", "PlasticSpatialVelocityGradient"):
        model = getattr(models, kind)(crystal_geometry=FCC)
        torch.testing.assert_close(model(RQ, RATES).data, rotate(model(Q, RATES), R).data)
    strain, D, Dp = (random(SR2, i) for i in (4, 5, 6))
    W, Wp = random(WR2, 7), random(WR2, 8)
    for model, given in (
        (models.ElasticStrainRate(), (strain, D, W, Dp)),
        (models.OrientationRate(), (strain, W, Dp, Wp)),
    ):
        torch.testing.assert_close(
            model(*(rotate(x, R) for x in given)).data, rotate(model(*given), R).data, rtol=1e-12, atol=1e-12
        )


def test_coupling_is_the_same_in_any_frame():
    C = random(SSR4, 1)
    C = SSR4(C.data + C.data.mT)
    r = rotation(3)
    model = models.SlipSystemElasticInteraction(crystal_geometry=FCC, elastic_stiffness_tensor=C)
    A = model(r, Scalar(2.5), Scalar(2.0)).data
    M, turned = rotate(FCC.M, euler_rodrigues(r)).data, rotate(C, euler_rodrigues(r)).data
    torch.testing.assert_close(A, 0.5 * M @ turned @ M.mT)


@pytest.mark.parametrize("n", [1.0, 1.7, 4.0, 9.3])
def test_slip_rate_at_rest_has_the_slope_of_its_law(n):
    model = models.PowerLawSlipRule(gamma0=0.1, n=n)
    _, jacobian = model.jacobian({"resolved_shears": 0.0, "slip_strengths": 40.0})
    slopes = jacobian["slip_rates"]
    assert float(slopes["resolved_shears"].data) == pytest.approx(0.1 / 40 if n == 1 else 0.0)
    assert float(slopes["slip_strengths"].data) == 0.0
    _, by_parameter = model.param_jacobian({"resolved_shears": 0.0, "slip_strengths": 40.0})
    assert all(float(s) == 0.0 for s in by_parameter["slip_rates"].values())


def test_fixed_orientation_is_the_same_rotation_with_the_same_slope():
    r = random(MRP, 5, 20)
    fixed = models.FixOrientation()(r)
    assert bool((torch.linalg.vector_norm(fixed.data, dim=-1) <= 1).all())
    torch.testing.assert_close(euler_rodrigues(fixed).data, euler_rodrigues(r).data)
    x = 2 * torch.ones(3, dtype=torch.float64)
    slope = models.FixOrientation().jacobian({"input": x})[1]["output"]["input"].data
    expected = torch.autograd.functional.jacobian(lambda r: -r / (r * r).sum(), x)
    torch.testing.assert_close(slope, expected)


def test_fixed_orientation_runs_last_and_wins():
    turn = models.CopyMRP(**{"from": "r", "to": "orientation"})
    fix = models.FixOrientation(input="orientation", output="orientation")
    joined = neml2.ComposedModel([fix, turn])
    assert joined.models_in_order == (turn, fix)
    (found,) = joined(MRP(torch.tensor([1.6, 0.0, -1.2]).double()))
    torch.testing.assert_close(found.data, torch.tensor([-0.4, 0.0, 0.3]).double())


@pytest.mark.parametrize(
    "kind", ["PlasticDeformationRate", "PlasticVorticity", "PlasticSpatialVelocityGradient"]
)
def test_rates_must_be_those_of_the_systems(kind):
    model = getattr(models, kind)(name="rate", crystal_geometry=FCC)
    for rates in (
        Scalar(0.1),
        Scalar(torch.zeros(12)),
        Scalar(torch.zeros(1).double(), 1),
        Scalar(torch.zeros(24), 1),
    ):
        with pytest.raises(ValueError, match=f"{kind} 'rate': slip_rates has .* the 12 slip systems"):
            model(ONE, rates.to(torch.float64))
    with pytest.raises(ValueError, match="SumSlipRates: slip_rates has no sub-batch axis to sum over"):
        models.SumSlipRates()(Scalar(0.1))


def test_coordinate_descent_solves_for_the_rates_of_a_step():
    """The driving forces left by the elastic interaction of all systems are those of the rates."""
    C = SSR4(torch.diag(torch.tensor([100e3] * 3 + [150e3] * 3, dtype=torch.float64)))
    interaction = models.SlipSystemElasticInteraction(crystal_geometry=FCC, elastic_stiffness_tensor=C)
    A = interaction(MRP.identity(), Scalar(1e-4), Scalar(0.0)).data.detach()
    b = 80.0 * RATES
    law = models.PowerLawSlipRule(gamma0=0.1, n=3.0)
    predictor = CoordinateDescentPredictor(
        rate_law=law, driving_force_input="resolved_shears", sweeps=6, bisections=4, polish=3
    )
    rates = predictor(Scalar(A, 2), b, Scalar(40.0)).data
    left = b.data - A @ rates
    torch.testing.assert_close(law(Scalar(left, 1), Scalar(40.0)).data, rates, rtol=1e-6, atol=1e-9)
    assert float((A @ rates).abs().max()) > 0.5, "the systems do interact"


# -------------------------------------------------------------------- materials


def driver_of(name, change=lambda text: text):
    text = change((SCENARIOS / name / "model.i").read_text())
    return neml2.load_string(text).get_driver("driver")


def run(model, history, **options):
    with torch.no_grad():
        return TransientDriver(model, engine="eager", **options).run(history)


def test_frame_indifference_of_a_crystal():
    """The same test in a turned sample, and on a crystal turned by one of its own symmetries."""
    driver = driver_of("cp_coupled_cubic_stiffness")
    R, own = rotation(4), MRP.from_matrix(R2(symmetry("432").data[5]))
    Q, steps = euler_rodrigues(R), 6
    D, W = SR2.fill(0.02, -0.012, -0.008, 0.004, 0.0, 0.003), WR2(torch.tensor([0.1, -0.2, 0.15]).double())
    r = MRP(torch.tensor([0.1, -0.05, 0.2]).double())
    rates = {
        "deformation_rate": SR2(torch.stack([D.data, rotate(D, Q).data, D.data]).expand(steps, 3, 6)),
        "vorticity": WR2(torch.stack([W.data, rotate(W, Q).data, W.data]).expand(steps, 3, 3)),
    }
    orientation = MRP(torch.stack([r.data, compose(R, r).data, compose(r, own).data]))
    time = torch.linspace(0, 0.2, steps, dtype=torch.float64)
    found = run(driver.model, History(time, rates, initial={"orientation": orientation}))
    plain, turned, same = found["cauchy_stress"].data[1:].unbind(1)
    atol = 1e-7 * float(plain.abs().max())
    assert float(found["slip_hardening"].data[-1].min()) > 0.1, "it has yielded"
    torch.testing.assert_close(turned, rotate(SR2(plain), Q).data, rtol=0, atol=atol)
    torch.testing.assert_close(same, plain, rtol=0, atol=atol)


def test_an_elastic_crystal_turns_with_its_sample():
    """Without slip the lattice turns with the spin: by the angle |w| t about w, to round-off."""
    driver = driver_of("cp_coupled_fcc", lambda text: text.replace("gamma0 = 0.08", "gamma0 = 0.0"))
    w, r = torch.tensor([0.3, -0.4, 1.2], dtype=torch.float64), MRP(torch.tensor([0.1, -0.05, 0.2]).double())
    time = torch.linspace(0, 1, 6, dtype=torch.float64)
    still = torch.zeros(6, 6, dtype=torch.float64)
    history = History(
        time, {"deformation_rate": SR2(still), "vorticity": WR2(w.expand(6, 3))}, initial={"orientation": r}
    )
    found = run(driver.model, history)["orientation"]
    expected = compose(exp_map(WR2(w * time[:, None])), r)
    torch.testing.assert_close(found.data, expected.data, rtol=0, atol=1e-9)


def test_steady_creep_of_a_symmetric_crystal():
    """Pulled along [001], eight systems slip alike: the stress is that at which they give the rate.

    The rate of strain is 8 m gamma0 (m sigma/tau)^n with the Schmid factor m = 1/sqrt(6).
    """
    driver = driver_of("cp_coupled_fcc", lambda t: t.replace("initial_slope = 420.0", "initial_slope = 0.0"))
    steps, rate, m = 15, 0.01, 1 / math.sqrt(6)
    D = SR2.fill(-rate / 2, -rate / 2, rate)
    history = History(
        torch.linspace(0, 1, steps, dtype=torch.float64),
        {"deformation_rate": SR2(D.data.expand(steps, 6)), "vorticity": WR2.zeros(steps)},
        initial={"orientation": MRP.identity()},
    )
    stress = run(driver.model, history)["cauchy_stress"].data[-1]
    sigma = 38.0 / m * (rate / (8 * m * 0.08)) ** (1 / 9)
    assert float(stress[2] - stress[0]) == pytest.approx(sigma, rel=1e-6)
    torch.testing.assert_close(stress[3:], torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-6)


PER_SLIP = """
  [slip_strength]
    type = DislocationObstacleStrengthMap
    constant_strength = 10.0
    alpha = 0.3
    mu = 42000.0
    b = 2.5e-4
  []
  [hardening]
    type = PerSlipForestDislocationEvolution
    k1 = 60000.0
    k2 = 2000.0
  []
"""


def per_slip(text: str) -> str:
    """The coupled crystal with a dislocation density on every slip system instead of a shared hardening."""
    start, stop = text.index("  [slip_strength]"), text.index("  [integrate_slip_hardening]")
    text = text[:start] + PER_SLIP.lstrip("\n") + text[stop:]
    text = text.replace("  [sum_slip_rates]\n    type = SumSlipRates\n  []\n", "").replace(
        " sum_slip_rates", ""
    )
    return text.replace("slip_hardening", "dislocation_density")


def test_a_density_on_every_slip_system_saturates():
    """Where a system slips, its density tends to (k1/k2)^2; where it does not, it stays."""
    driver = driver_of("cp_coupled_fcc", per_slip)
    steps, rate = 21, 0.02
    history = History(
        torch.linspace(0, 1, steps, dtype=torch.float64),
        {
            "deformation_rate": SR2(SR2.fill(-rate / 2, -rate / 2, rate).data.expand(steps, 6)),
            "vorticity": WR2.zeros(steps),
        },
        initial={
            "orientation": MRP.identity(),
            "dislocation_density": Scalar(torch.full((12,), 100.0, dtype=torch.float64), 1),
        },
    )
    found = run(driver.model, history)["dislocation_density"]
    assert found.sub_batch_shape == (12,)
    last = found.data[-1].sort().values
    torch.testing.assert_close(last[:4], torch.full((4,), 100.0, dtype=torch.float64), rtol=1e-3, atol=0)
    torch.testing.assert_close(last[4:], torch.full((8,), 900.0, dtype=torch.float64), rtol=1e-2, atol=0)


def test_first_order_of_convergence_in_the_step():
    driver = driver_of("cp_coupled_fcc")

    def end(steps: int) -> torch.Tensor:
        D = SR2.fill(0.02, -0.012, -0.008, 0.004, 0.0, 0.003)
        history = History(
            torch.linspace(0, 0.4, steps + 1, dtype=torch.float64),
            {
                "deformation_rate": SR2(D.data.expand(steps + 1, 6)),
                "vorticity": WR2(torch.tensor([0.1, -0.2, 0.15]).double().expand(steps + 1, 3)),
            },
            initial={"orientation": MRP(torch.tensor([0.1, -0.05, 0.2]).double())},
        )
        return run(driver.model, history)["cauchy_stress"].data[-1]

    one, two, four = (end(10 * 2**k) for k in range(3))
    order = math.log2(float((one - two).norm() / (two - four).norm()))
    assert 0.8 < order < 1.3


def test_orientations_are_active_rotations():
    """Active rotations: a crystal turned by 90 degrees about z has its [100] along y."""
    r = MRP.from_axis_angle(Vec(torch.tensor([0.0, 0.0, 1.0]).double()), Scalar(math.pi / 2))
    x = rotate(Vec(torch.tensor([1.0, 0.0, 0.0]).double()), euler_rodrigues(r))
    torch.testing.assert_close(x.data, torch.tensor([0.0, 1.0, 0.0]).double(), rtol=0, atol=1e-15)
    shear = models.ResolvedShear(crystal_geometry=FCC)
    stress = random(SR2, 9)
    turned = shear(stress, euler_rodrigues(r)).data
    Q = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).double()
    d, n = FCC.cartesian_slip_directions @ Q.mT, FCC.cartesian_slip_planes @ Q.mT
    torch.testing.assert_close(turned, torch.einsum("si,ij,sj->s", d, r2_from_sr2(stress).data, n))
