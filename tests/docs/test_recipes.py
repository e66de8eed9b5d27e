"""Every recipe runs as it stands, and its result is compared with closed forms and with what is conserved."""

import functools
import math
import re
from pathlib import Path

import pytest
import torch

import neml2
from neml2.texture import KDEODF, DeLaValleePoussinKernel, pole_figure_odf
from neml2.types import MRP, euler_rodrigues

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(p.parent for p in (ROOT / "examples" / "recipes").glob("*/model.i"))
XX, YY = 0, 1


@functools.cache
def run(name):
    file = neml2.load_input(ROOT / "examples" / "recipes" / name / "model.i")
    file.check()
    (driver,) = file.names("Drivers")
    with torch.no_grad():
        return file.get_driver(driver).run()


def physical(name, variable):
    return run(name)[variable].physical()


def values(name, variable):
    return run(name)[variable].data


def near(found, expected, rtol=1e-6, atol=1e-8):
    torch.testing.assert_close(
        *torch.broadcast_tensors(found, torch.as_tensor(expected, dtype=torch.float64)), rtol=rtol, atol=atol
    )


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_it_runs(folder):
    trajectory = run(folder.name)
    assert trajectory.succeeded
    assert all(bool(trajectory[n].data[-1].isfinite().all()) for n in trajectory)


def test_every_recipe_is_told_and_pictured_and_checked():
    page = (ROOT / "docs" / "recipes.md").read_text()
    told = re.findall(r"\.\./examples/recipes/(\w+)/model\.i", page)
    pictures = [p.removeprefix("images/recipe-") for p in re.findall(r"\((images/\S+)\.png\)", page)]
    assert sorted(told) == [p.name for p in FOLDERS]
    assert [t.replace("_", "-") for t in told] == pictures
    assert all((ROOT / "docs" / "images" / f"recipe-{p}.png").is_file() for p in pictures)
    assert {f"test_{p.name}" for p in FOLDERS} <= globals().keys()


def test_linear_elasticity():
    strain, stress = (physical("linear_elasticity", n) for n in ("strain", "stress"))
    near(stress[:, 0, XX], 210e3 * strain[:, 0, XX])
    near(strain[:, 0, YY], -0.3 * strain[:, 0, XX])
    near(stress[:, 1, 5], 210e3 / 1.3 * strain[:, 1, 5])


def test_isotropic_plasticity():
    stress = physical("isotropic_plasticity", "stress")
    plastic = values("isotropic_plasticity", "equivalent_plastic_strain")
    yielding = torch.diff(plastic) > 1e-9
    assert int(yielding.sum()) > 60
    near(stress[1:, XX].abs()[yielding], (250 + 150 * (1 - torch.exp(-12 * plastic[1:])))[yielding])
    near(physical("isotropic_plasticity", "plastic_strain")[..., :3].sum(-1), 0.0)


def test_viscoplasticity():
    strain, stress, plastic = (
        physical("viscoplasticity", n)[..., XX] for n in ("strain", "stress", "plastic_strain")
    )
    near(stress, 170e3 * (strain - plastic))
    x = 1.5 * sum(physical("viscoplasticity", n)[..., XX] for n in ("X1", "X2"))
    p, t = values("viscoplasticity", "equivalent_plastic_strain"), values("viscoplasticity", "t")
    over = (stress - x).abs() - 80 - 60 * (1 - torch.exp(-10 * p))
    rate = torch.diff(p, dim=0) / torch.diff(t, dim=0)
    scale = math.sqrt(2 / 3)  # of the yield function; its multiplier is larger by 1 / scale
    near(rate, scale * (scale * over[1:].clamp(min=0) / 350) ** 6, rtol=1e-5)


def test_temperature_dependent():
    strain, stress, temperature = (
        physical("temperature_dependent", "strain"),
        physical("temperature_dependent", "stress"),
        values("temperature_dependent", "T"),
    )
    near(strain[10, :, :3], (14e-6 * (temperature[10] - 293))[:, None])
    near(stress[10], 0.0)
    modulus = torch.tensor([210e3, 188e3, 160e3, 150e3], dtype=torch.float64)
    near((stress[12] - stress[11])[:, XX] / (strain[12] - strain[11])[:, XX], modulus)


def test_porous_plasticity():
    voids = values("porous_plasticity", "void_fraction")
    volume = torch.diff(physical("porous_plasticity", "plastic_strain")[..., :3].sum(-1), dim=0)
    near(torch.diff(voids, dim=0), (1 - voids[1:]) * volume)
    assert bool((torch.diff(voids[-1]) > 0).all())
    near(physical("porous_plasticity", "strain")[-1, 2, :3], [0.15, -0.04, -0.04])


def test_single_crystal():
    rotation = euler_rodrigues(MRP(values("single_crystal", "orientation"))).data
    axis = rotation[..., XX, :].abs().sort(-1).values  # of tension, in the crystal
    ends = torch.tensor([[1.0, 1, 1], [0, 0, 1], [1, 1, 1]], dtype=torch.float64)
    cosine = (axis * ends / ends.norm(dim=-1, keepdim=True)).sum(-1)
    assert bool((cosine[-1] > cosine[0] + 0.005).all())
    near(physical("single_crystal", "cauchy_stress")[1:, :, 1:3], 0.0, atol=1e-6)


def test_polycrystal_texture():
    near(physical("polycrystal_texture", "elastic_strain")[..., :3].sum(-1), 0.0)  # slip keeps the volume
    highest = []
    for row in values("polycrystal_texture", "orientation")[[0, -1]]:
        odf = KDEODF(MRP(row), DeLaValleePoussinKernel(torch.tensor(0.15)))
        symmetry = {"crystal_symmetry": "432", "sample_symmetry": "222"}
        density, _ = pole_figure_odf(odf, [1.0, 1, 1], nradial=8, ntheta=16, **symmetry)
        highest.append(float(density.max()))
    assert highest[0] < 1.5 and highest[1] > 2.5  # multiples of the random density


def test_viscoelastic_relaxation():
    t, stress = values("viscoelastic_relaxation", "t"), physical("viscoelastic_relaxation", "stress")
    exact = 300 + sum(
        E * torch.exp(-(t - 0.005) * E / eta) for E, eta in ((900, 9e2), (600, 3e4), (400, 8e5))
    )
    near(stress[1:, XX], 0.01 * exact[1:], rtol=0.03)  # the error of 15 steps per decade


def test_cohesive_zone():
    separation, traction = values("cohesive_zone", "separation"), values("cohesive_zone", "traction")
    work = (0.5 * (traction[1:] + traction[:-1]) * torch.diff(separation, dim=0)).sum((0, 2))
    near(work[[0, -1]], [0.28, 0.79], rtol=0.03)  # the trapezoidal rule on rows that are 0.3 um apart
    assert float(traction.abs().max()) <= 90 * (1 + 1e-9)
    near(traction[-1], 0.0)


def test_phase_field_fracture():
    strain = physical("phase_field_fracture", "E")[:, 0, XX]
    energy = 0.5 * 30e3 * 0.8 / (1.2 * 0.6) * strain**2  # with the sides held
    drive = (1 - 1e-4) * torch.cummax(energy, 0).values
    near(values("phase_field_fracture", "d")[:, 0], drive / (drive + 0.016), rtol=1e-5, atol=1e-6)
    near(values("phase_field_fracture", "d")[:, 1], 0.0, atol=1e-6)


def test_pyrolysis():
    near(values("pyrolysis", "mass")[-1], 0.55, rtol=1e-5)
    near(values("pyrolysis", "volume")[-1], 0.55 / 1500 / 0.7, rtol=1e-5)
    alpha, t, T = (values("pyrolysis", n) for n in ("alpha", "t", "T"))
    rate = 1e6 * torch.exp(-120e3 / (8.314 * T)) * (1 - alpha) ** 1.5
    near(torch.diff(alpha, dim=0), rate[1:] * torch.diff(t, dim=0), rtol=1e-4, atol=1e-8)


def test_precipitation():
    f, x, n = (values("precipitation", v) for v in ("f", "x", "n"))
    near((1 - f) * x + 0.25 * f, 0.0018)
    solubility = 1.46 * torch.exp(
        -58e3 / (8.31446 * torch.tensor([573.0, 598.0, 623.0], dtype=torch.float64))
    )
    near(x[-1], solubility, rtol=0.05)
    assert bool((torch.diff(n[-1].sum(-1)) < 0).all())  # fewer at higher temperatures
    assert float(n[..., -1].max()) < 1e-6 * float(n.max())  # the classes reach far enough


def test_diffusion():
    c, t = values("diffusion", "c"), values("diffusion", "t")
    inflow = 0.06 * (0.9 - c[1:, 0]) / 0.025
    near(torch.diff(c.sum(-1) * 0.05), inflow * torch.diff(t))
    depth = 0.05 * (torch.arange(40, dtype=torch.float64) + 0.5)
    exact = 0.9 - 0.7 * torch.erf(depth / (2 * math.sqrt(0.06 * 2.0)))
    near(c[20], exact, rtol=0.0, atol=0.01)


def test_porous_flow():
    """The rain is in the pores; behind the front its weight carries it, and the front is where it must be."""
    rain = torch.tensor([0.04, 0.01, 0.0025], dtype=torch.float64)
    w, full = values("porous_flow", "w"), values("porous_flow", "S")
    near((w[-1] - w[0]).sum(-1) * 0.02, 5 * rain)
    conductivity = 9.81 * 3.6e9 * 1.8e-12 * ((0.38 / 0.62) / (0.40 / 0.60)) ** 3
    behind = (rain / conductivity) ** 0.25
    near(full[-1, :2, 0], behind[:2], rtol=1e-4)
    near(full[-1, 2, 0], behind[2], rtol=5e-3)  # the slowest front is still near
    half = (full[-1, 0] > (behind[0] + 0.2) / 2).double().sum() * 0.02
    near(half, 5 * (rain[0] - conductivity * 0.2**4) / (0.38 * 0.9 * (behind[0] - 0.2)), atol=0.04)
