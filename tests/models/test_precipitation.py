"""Precipitation: conservation, the theory of nucleation, limits of growth, and what is refused."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

import neml2
from neml2 import ComposedModel, History, ImplicitUpdate, NonlinearSystem, TransientDriver, models
from neml2.solvers import Newton
from neml2.types import Scalar

KWN = Path(__file__).parents[1] / "scenarios" / "kwn_two_component" / "model.i"
N, V, K, GAMMA, T = 6.02214076e23, 7.1e-6, 1.380649e-23, 0.08, 700.0  # in m, J, mol, K
RADII = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)


def test_solute_is_neither_lost_nor_made():
    """What the matrix holds and what the phases hold is what there was."""
    fractions, contents = (0.12, 0.07, 0.2), (0.55, 0.0, 0.9)
    model = models.CurrentConcentration(
        precipitate_volume_fractions=["a", "b", "c"],
        initial_concentration=0.31,
        precipitate_concentrations=list(contents),
    )
    x = float(model(*map(Scalar, fractions)).data.detach())
    held = sum(f * c for f, c in zip(fractions, contents, strict=True))
    assert (1 - sum(fractions)) * x + held == pytest.approx(0.31, rel=1e-14)
    assert float(model(Scalar(0.0), Scalar(0.0), Scalar(0.0)).data.detach()) == 0.31


def test_the_critical_nucleus_is_at_the_top_of_the_barrier():
    """Of 4 pi R^2 gamma - 4/3 pi R^3 dg/V; its curvature over the number of atoms is Zeldovich's factor."""
    dg = 2500.0
    barrier, radius = models.NucleationBarrierAndCriticalRadius(
        surface_energy=GAMMA, total_gibbs_free_energy_difference=dg, molar_volume=V
    )()
    atoms = (4 / 3 * math.pi * radius.data**3 * N / V).detach().requires_grad_(True)
    R = (3 * atoms * V / (4 * math.pi * N)) ** (1 / 3)
    energy = 4 * math.pi * R**2 * GAMMA - 4 / 3 * math.pi * R**3 * dg / V
    (slope,) = torch.autograd.grad(energy, atoms, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, atoms)
    torch.testing.assert_close(barrier.data, energy)
    assert abs(float(slope.detach() * atoms.detach() / energy.detach())) < 1e-12
    Z = models.ZeldovichFactor(surface_energy=GAMMA, molar_volume=V, avogadro_number=N, boltzmann_constant=K)(
        radius, Scalar(T)
    )
    torch.testing.assert_close(Z.data, torch.sqrt(-curvature / (2 * math.pi * K * T)))


def test_nuclei_follow_arrhenius():
    """The logarithm of the flux falls with 1/T, at the slope of the barrier."""
    flux = models.NucleationFluxMagnitude(nucleation_site_density=1e28, boltzmann_constant=K)
    temperatures = Scalar(torch.tensor([600.0, 900.0], dtype=torch.float64))
    J = flux(Scalar(0.05), Scalar(1e9), Scalar(4e-20), temperatures).data.detach()
    assert float((J[1] / J[0]).log()) == pytest.approx(4e-20 / K * (1 / 600 - 1 / 900), rel=1e-12)


def test_kinetic_factor_in_single_precision():
    """(N/V)^(4/3) is 4e38 in SI units, larger than any float32."""
    factor = models.KineticFactor(molar_volume=V, avogadro_number=N)
    exact = 4 * math.pi * (N / V) ** (4 / 3) * 6e-10**2 / 3e18
    found = factor.float()(*(Scalar(torch.tensor(x)) for x in (6e-10, 3e18)))
    assert float(found.data.detach()) == pytest.approx(exact, rel=1e-5)


def test_both_laws_of_growth_agree_near_equilibrium():
    """A dilute species: dg = R T d ln(x/xeq) and s = d^2/(D x); the difference is of second order."""
    D, d, xeq, R_g = 2.5, 0.4, 0.05, 8.314
    law = models.SFFKPrecipitationGrowthRate(
        radius=Scalar(RADII, 1), gibbs_free_energy_difference="dg", gas_constant=R_g
    )
    zener = models.RateLimitedPrecipitateGrowthRate(
        radius=Scalar(RADII, 1), equilibrium_concentration=xeq, concentration_difference=d, diffusivity=D
    )
    force = models.IdealSolutionVolumetricDrivingForce(
        current_concentrations="x",
        equilibrium_concentrations=xeq,
        gas_constant=R_g,
        weights=d,
        driving_force="dg",
    )
    resistance = models.ProjectedDiffusivitySum(
        far_field_concentrations="x", concentration_differences=d, diffusivities=D
    )
    together = ComposedModel([force, resistance, law])
    differences = []
    for excess in (1e-2, 1e-3):
        x = Scalar(torch.tensor(xeq * (1 + excess), dtype=torch.float64))
        rate = together.call_by_name({"x": x, "temperature": Scalar(T)})["growth_rate"].data.detach()
        expected = zener(x).data.detach()
        differences.append(float(((rate - expected) / expected).abs().max()))
    assert differences[0] == pytest.approx(0.5e-2, rel=0.02)
    assert differences[1] == pytest.approx(0.5e-3, rel=0.02)


def test_a_sphere_grows_with_the_root_of_time():
    """R^2 = R0^2 + 2 D (x - xeq)/d t (Zener), reached with first order in the increment."""
    growth = models.RateLimitedPrecipitateGrowthRate(
        radius="R",
        equilibrium_concentration=0.04,
        concentration_difference=0.3,
        diffusivity=2.5,
        growth_rate="R_rate",
        current_concentration="x",
    )
    step = models.ScalarBackwardEulerTimeIntegration(variable="R")
    system = NonlinearSystem(ComposedModel([growth, step]), unknowns="R")
    model = ImplicitUpdate(equation_system=system, solver=Newton(abs_tol=1e-13, rel_tol=1e-12))
    exact = math.sqrt(0.2**2 + 2 * 2.5 * 0.06 / 0.3 * 0.5)
    errors = []
    for n in (20, 40, 80):
        time = torch.linspace(0, 0.5, n + 1, dtype=torch.float64)
        x = Scalar(torch.full((n + 1,), 0.1, dtype=torch.float64))
        with torch.no_grad():
            run = TransientDriver(model, engine="eager").run(History(time, {"x": x}, initial={"R": 0.2}))
        errors.append(abs(float(run["R"].data[-1]) - exact))
    orders = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert all(0.9 < order < 1.1 for order in orders), errors


def test_precipitates_come_from_nucleation_alone():
    """Growth moves precipitates from class to class: their number grows by the nuclei of each increment."""
    file = neml2.load_input(KWN)
    driver = file.get_driver("driver")
    with torch.no_grad():
        run = driver.run()
    nucleation = ComposedModel([file.get_model(n) for n in ("drive", "S", "barrier", "Z", "beta", "Jn")])
    values = {n: Scalar(run[n].data[1:]) for n in ("xa", "xb", "T")}
    nuclei = nucleation.call_by_name(values)["Jn"].data.detach() * run.time.diff()
    numbers = run["n"].data.sum(-1)
    torch.testing.assert_close(numbers.diff(), nuclei, rtol=1e-9, atol=1e-12 * float(numbers.max()))
    assert float(numbers[-1]) > 1.5 * float(numbers[0]), "there were nuclei"


def test_nothing_happens_in_equilibrium():
    """Without supersaturation there is no driving force, and no growth."""
    force = models.IdealSolutionVolumetricDrivingForce(
        current_concentrations="a b", equilibrium_concentrations=[0.1, 0.2], gas_constant=8.314
    )
    assert float(force(Scalar(T), Scalar(0.1), Scalar(0.2)).data.detach()) == 0.0


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            "CurrentConcentration",
            {
                "precipitate_volume_fractions": "f g",
                "initial_concentration": 0.1,
                "precipitate_concentrations": 0.5,
            },
            "precipitate_volume_fractions has 2 entries and precipitate_concentrations has 1",
        ),
        (
            "CurrentConcentration",
            {
                "precipitate_volume_fractions": [],
                "initial_concentration": 0.1,
                "precipitate_concentrations": [],
            },
            "precipitate_volume_fractions is empty",
        ),
        (
            "ProjectedDiffusivitySum",
            {
                "far_field_concentrations": "x y",
                "concentration_differences": [1.0, 2.0],
                "diffusivities": [1.0],
            },
            "far_field_concentrations has 2 entries and diffusivities has 1",
        ),
        (
            "ChemicalGibbsFreeEnergyDifference",
            {
                "concentration_differences": "d",
                "chemical_potentials": [1.0, 2.0],
                "equilibrium_potentials": 1.0,
            },
            "concentration_differences has 1 entries and chemical_potentials has 2",
        ),
        (
            "IdealSolutionVolumetricDrivingForce",
            {
                "current_concentrations": "a b c",
                "equilibrium_concentrations": [0.1, 0.1, 0.1],
                "gas_constant": 1.0,
                "weights": [1.0, 2.0],
            },
            "weights needs 1 or 3 entries",
        ),
        (
            "SFFKPrecipitationGrowthRate",
            {"radius": [0.1, 0.2], "gibbs_free_energy_difference": 1.0, "gas_constant": 1.0},
            "radius is a list of 2 numbers",
        ),
        ("PrecipitateVolumeFraction", {"radius": [0.1, -0.2]}, "radius is -0.2, outside its range"),
    ],
)
def test_refused_at_construction(kind, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(models, kind)(**options)


def test_classes_must_fit():
    model = models.PrecipitateVolumeFraction(name="f", radius=RADII)
    with pytest.raises(ValueError, match="'f': number_density has no sub-batch axis"):
        model(Scalar(0.1))
    with pytest.raises(ValueError, match="'f': radius has 3 values for 2 sites"):
        model(Scalar(RADII[:2], 1))
