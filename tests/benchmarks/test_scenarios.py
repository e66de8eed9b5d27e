"""Every strained scenario's input file is read as it is, at any size, and its steps run."""

import pytest
import torch

from benchmarks.scenario import chosen, load, names, path
from neml2.drivers import TransientDriver
from tests.benchmarks.test_crystals import CRYSTALS, POLYCRYSTALS

CHABOCHE = [f"chaboche_{n}" for n in (2, 4, 6, 12)]
OTHERS = ["elasticity", "fischer_burmeister", "gtn", "j2_viscoplastic", "perzyna", "radial_return"]
every_strained_scenario = pytest.mark.parametrize("name", CHABOCHE + OTHERS)


def test_the_suite_has_its_scenarios():
    assert names() == sorted([*CHABOCHE, *OTHERS, *CRYSTALS, *POLYCRYSTALS])


@every_strained_scenario
def test_two_steps(name):
    case = load(name, points=3, steps=2)
    with torch.no_grad():
        trajectory = TransientDriver(case.model).run(case.history)
    stress = trajectory["stress"].data[-1]
    assert trajectory.succeeded and stress.shape == (3, 6)
    assert len({round(float(s), 3) for s in stress.norm(dim=-1)}) == 3  # points differ
    if name == "elasticity":  # 2 G (E - tr E / 3) + K tr E
        E, G, K = case.history.prescribed["E"].data[-1], 1e5 / 2.6, 1e5 / 1.2
        mean = E[:, :3].mean(dim=-1, keepdim=True) * torch.tensor([1.0, 1, 1, 0, 0, 0])
        assert torch.allclose(stress, 2 * G * (E - mean) + 3 * K * mean, rtol=1e-12)


@every_strained_scenario
def test_the_load_history_is_the_same_in_all(name):
    def history(file):
        text = file.read_text()
        return text[text.index("points =") : text.index("[Drivers]")]

    assert history(path(name)) == history(path("elasticity"))


@every_strained_scenario
def test_size_and_amplitudes(name):
    case = load(name, points=5, steps=7)
    strain = case.history.prescribed["E"].data
    assert case.history.time.shape == (8,) and strain.shape == (8, 5, 6)
    assert bool((strain[0] == 0).all())
    ratio = strain[-1].abs().amax(dim=-1)
    assert float(ratio.max() / ratio.min()) > 1.1


def test_unknown_scenarios_are_said_with_the_nearest():
    with pytest.raises(ValueError, match="no scenario 'chaboch_2'; did you mean 'chaboche_2'?"):
        chosen(["elasticity", "chaboch_2"])
    assert chosen(None) == names() and chosen(["gtn"]) == ["gtn"]
