"""The scenarios of crystals: their orientations, elastic start, way through yield, and load."""

import pytest
import torch

from benchmarks.scenario import Case, load, path, warm_up
from neml2.drivers import History, Trajectory, TransientDriver
from neml2.types import MRP, euler_rodrigues

CRYSTALS = ["crystal_coupled", "crystal_decoupled", "per_slip"]
POLYCRYSTALS = ["taylor", "taylor_uniaxial"]
every_crystal = pytest.mark.parametrize("name", CRYSTALS + POLYCRYSTALS)


def run(case: Case, rows: int) -> Trajectory:
    """The first rows of a case."""
    whole = case.history
    prescribed = {name: values.data[:rows] for name, values in whole.prescribed.items()}
    with torch.no_grad():
        driver = TransientDriver(case.model, progress=False, engine="eager")
        return driver.run(History(whole.time[:rows], prescribed, initial=whole.initial))


@every_crystal
def test_orientations_are_spread_evenly(name):
    """The moments of the uniform distribution of rotations: <Q> = 0, <Q_ij Q_kl> = delta_ik delta_jl / 3."""
    r = load(name, 1000, 2).history.initial["orientation"].data
    assert r.shape == (1000, 3) and bool((r.norm(dim=-1) <= 1).all())
    Q = euler_rodrigues(MRP(r)).data.reshape(-1, 9)
    assert float(Q.mean(0).abs().max()) < 0.01
    second = (Q[:, :, None] * Q[:, None, :]).mean(0)
    assert torch.allclose(second, torch.eye(9, dtype=torch.float64) / 3, atol=0.01)


@every_crystal
def test_small_steps_are_elastic(name):
    """2 G D t where a traceless rate is prescribed, E D_xx t where the other stresses are."""
    case = warm_up(name, 3)
    trajectory = run(case, 3)
    E, nu = (9e4, 0.27) if name == "crystal_decoupled" else (1.1e5, 0.3)
    if name == "taylor_uniaxial":
        D, modulus = case.history.prescribed["prescribed"].data, E
    else:
        D, modulus = case.history.prescribed["deformation_rate"].data, E / (1 + nu)
    expected = modulus * D[-1] * case.history.time[-1]
    stress = trajectory["stress"].data[-1]
    assert float((stress - expected).norm(dim=-1).div(expected.norm(dim=-1)).max()) < 1e-4


@every_crystal
def test_crystals_get_through_yield(name):
    """All solves of the first rows converge; by then strain is plastic, and slip systems have hardened."""
    case = load(name, 12, 100)
    trajectory = run(case, 20)
    assert trajectory.succeeded
    rate = "prescribed" if name == "taylor_uniaxial" else "deformation_rate"
    strain = case.history.prescribed[rate].data[-1].norm(dim=-1) * case.history.time[19]
    assert bool((trajectory["elastic_strain"].data[-1].norm(dim=-1) < 0.6 * strain).all())
    state = "dislocation_density" if name == "per_slip" else "slip_hardening"
    start, end = trajectory[state].data[0], trajectory[state].data[-1]
    assert bool((end >= start).all()) and float((end - start).max()) > 0


@pytest.mark.parametrize("name", CRYSTALS)
def test_the_load_is_the_same_in_all_crystals(name):
    def load_text(name):
        text = path(name).read_text()
        return text[text.index("points =") : text.index("  [a]")]

    assert load_text(name) == load_text("crystal_coupled")
    rates = load(name, 5, 7).history.prescribed["deformation_rate"].data
    assert rates.shape == (8, 5, 6) and bool((rates == rates[0]).all())
    assert len({round(float(size), 6) for size in rates[0].norm(dim=-1)}) == 5


def test_grains_of_a_polycrystal_share_their_rate():
    rates = load("taylor", 5, 7).history.prescribed["deformation_rate"].data
    assert bool((rates == rates[0, 0]).all())
    uniaxial = load("taylor_uniaxial", 5, 7)
    assert uniaxial.history.prescribed["prescribed"].data.shape == (8, 1, 6)
    assert uniaxial.history.initial["orientation"].data.shape == (5, 3)
