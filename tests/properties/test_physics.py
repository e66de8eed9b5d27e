"""What any isotropic plasticity must satisfy, for strain histories that hypothesis makes up."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import neml2
from neml2 import SR2, Scalar, TransientDriver
from neml2.types import MRP, euler_rodrigues, inner, rotate, tr

SCENARIOS = Path(__file__).parents[1] / "scenarios"
MODELS: dict[str, neml2.Model] = {}


def model(name):
    """A scenario's material, read once."""
    if name not in MODELS:
        MODELS[name] = neml2.load_input(SCENARIOS / name / "model.i").get_model("model")
    return MODELS[name]


def run(name, strains, times):
    with torch.no_grad():
        return TransientDriver(model(name), progress=False).run({"t": Scalar(times), "E": SR2(strains)})


@st.composite
def histories(draw, steps=8):
    """Zig-zag strain paths of a few points, up to 2 % a component; ``(steps, points, 6)``."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    corners = 0.02 * (2 * torch.rand(2, 3, 6, dtype=torch.float64, generator=generator) - 1)
    path = torch.cat([torch.zeros(1, 3, 6, dtype=torch.float64), corners])
    s = torch.linspace(0, 2, steps, dtype=torch.float64)
    i = s.floor().clamp(max=1).long()
    return torch.lerp(path[i], path[i + 1], (s - i)[:, None, None])


def clock(steps, duration=10.0):
    return torch.linspace(0, duration, steps, dtype=torch.float64)


VISCOUS = ("vp_voce_rateform", "vp_linear_kinematic", "vp_chaboche_cyclic")
RATE_INDEPENDENT = ("ri_fb_isokin", "ri_minmap_perfect")
few = settings(max_examples=4, deadline=None, derandomize=True)


@pytest.mark.parametrize("name", [*VISCOUS, *RATE_INDEPENDENT])
@few
@given(histories(), st.integers(0, 2**31))
def test_frame_indifference(name, strains, seed):
    torch.manual_seed(seed)
    turn = euler_rodrigues(MRP.rand())
    here = run(name, strains, clock(8))["stress"]
    there = run(name, rotate(SR2(strains), turn).data, clock(8))["stress"]
    scale = here.data.abs().max()
    assert (rotate(here, turn).data - there.data).abs().max() < 1e-7 * scale


@pytest.mark.parametrize("name", ["vp_linear_kinematic", *RATE_INDEPENDENT])
@few
@given(histories())
def test_plastic_strain_keeps_the_volume(name, strains):
    assert tr(run(name, strains, clock(8))["plastic_strain"]).data.abs().max() < 1e-10


@few
@given(histories())
def test_perfect_plasticity_dissipates(strains):
    trajectory = run("ri_minmap_perfect", strains, clock(8))
    increment = SR2(trajectory["plastic_strain"].data.diff(dim=0))
    assert inner(SR2(trajectory["stress"].data[1:]), increment).data.min() > -1e-9


@pytest.mark.parametrize("name", RATE_INDEPENDENT)
@few
@given(histories(), st.floats(1e-4, 1e4))
def test_rate_independence(name, strains, factor):
    slow, fast = run(name, strains, clock(8)), run(name, strains, clock(8, 10.0 * factor))
    scale = slow["stress"].data.abs().max()
    assert (slow["stress"].data - fast["stress"].data).abs().max() < 1e-7 * scale


@pytest.mark.parametrize("name", VISCOUS)
def test_backward_euler_converges_at_first_order(name):
    direction = torch.tensor([0.02, -0.01, -0.01, 0.005, 0.0, 0.0], dtype=torch.float64)

    def stress(refinement):
        s = clock(20 * refinement + 1, 1.0)
        return run(name, s[:, None] * direction, 0.2 * s)["stress"].data[::refinement]

    coarse, middle, fine = stress(2), stress(4), stress(8)
    ratio = (coarse - middle).norm() / (middle - fine).norm()
    assert 1.8 < ratio < 2.2


@pytest.mark.parametrize("name", [*VISCOUS, *RATE_INDEPENDENT])
@few
@given(histories())
def test_a_point_is_the_same_to_the_bit_alone_and_in_any_order(name, strains):
    whole = run(name, strains, clock(8))["stress"].data
    turned = run(name, strains[:, [2, 0, 1]], clock(8))["stress"].data
    assert torch.equal(whole[:, [2, 0, 1]], turned)
    for i in range(3):
        assert torch.equal(run(name, strains[:, i], clock(8))["stress"].data, whole[:, i])
