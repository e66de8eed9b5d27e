"""The example of a rolled polycrystal: every step converges; texture and strength are known ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import neml2
from neml2.solvers.status import Status
from neml2.texture import KDEODF, DeLaValleePoussinKernel
from neml2.types import MRP

INPUT = Path(__file__).parents[2] / "examples" / "rolling_texture" / "rolling.i"
GRAINS = 300


@pytest.fixture(scope="module")
def rolled():
    driver = neml2.load_input(INPUT, post=[f"grains:={GRAINS}"]).get_driver("driver")
    with torch.no_grad():
        return driver.run(save={"variables": ["orientation", "cauchy_stress"], "every": 10})


def density(rolled, k, *direction):
    """Of the {111} poles, in multiples of the random one: the mean over the four of them."""
    odf = KDEODF(MRP(rolled["orientation"].data[k]), DeLaValleePoussinKernel(0.2))
    direction = torch.tensor([direction], dtype=torch.float64)
    direction = direction / direction.norm()
    poles = torch.tensor([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]], dtype=torch.float64) / 3**0.5
    return float(torch.stack([odf.pole_density(p, direction) for p in poles]).mean())


def test_every_grain_converges_in_every_step(rolled):
    assert rolled.batch == (GRAINS,)
    assert bool((rolled.status[1:] == Status.CONVERGED).all())


def test_no_poles_gather_between_the_rolling_and_the_transverse_direction(rolled):
    """The pole figure of copper: {111} near the normal, tilted to the rolling direction."""
    assert 0.6 < density(rolled, 0, 0.49, 0.0, 0.87) < 1.5
    assert density(rolled, -1, 0.49, 0.0, 0.87) > 3.0
    assert density(rolled, -1, 0.7, 0.7, 0.0) < 0.6


def test_the_sheet_hardens_to_its_saturation(rolled):
    """All systems end at 16 + 132 MPa; the strength of the sheet is about three times that (Taylor)."""
    stress = rolled["cauchy_stress"].data[-1].mean(0)
    work = float(stress[0] - stress[2])  # per unit of strain in x
    taylor = work / (2 / 3**0.5) / 148.0
    assert 2.7 < taylor < 3.3
