import numpy as np
import pytest
import torch

from neml2.drivers import Trajectory
from neml2.drivers.results.saving import Save
from neml2.errors import MissingVariable
from neml2.types import R2, SR2, Scalar
from tests.drivers.blocks import cut, whole

KINDS = {"stress": SR2, "strain": SR2, "F": R2, "x": Scalar}


@pytest.fixture(scope="module")
def run():
    return whole(11)


def selected(save, run, *ends):
    """The rows of all blocks, which end at ``ends``."""
    parts = []
    for first, last in zip((0, *ends), (*ends, len(run)), strict=True):
        parts.append(save.select(cut(run, first, last), first, len(run)))
    return parts


def test_what_a_user_may_say():
    assert Save.of(None) == Save()
    assert Save.of("last") == Save(last=True)
    assert Save.of("stress") == Save(("stress",))
    assert Save.of(["stress", "von_mises( stress )"]) == Save(("stress",), derived=("von_mises(stress)",))
    assert Save.of({"every": 5, "variables": ["x"]}) == Save(("x",), every=5)
    assert Save.of({"times": np.array([1, 2])}).times == (1.0, 2.0)
    save = Save(every=3)
    assert Save.of(save) == save
    assert Save.of(save) is not save  # a run has a memory of its own
    assert Save.of(Save(("x",), 2, derived=("trace(x)",)).options()) == Save(("x",), 2, derived=("trace(x)",))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ({"evry": 2}, ValueError, "no option 'evry'; did you mean 'every'"),
        ({"every": 0}, ValueError, "every = 0"),
        ({"every": 2.5}, ValueError, "every = 2.5"),
        ({"every": 2, "last": True}, ValueError, "choose one"),
        ("von_misses(stress)", ValueError, "no quantity 'von_misses'; did you mean 'von_mises'"),
        ("energy(stress)", ValueError, "names 1 variables; energy takes 2"),
        ("von_mises(stress", ValueError, "is no derived quantity"),
        (3, TypeError, "save is a int"),
        ([1, 2], TypeError, "save is a list"),
    ],
)
def test_what_cannot_be_meant(value, error, message):
    with pytest.raises(error, match=message):
        Save.of(value)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("stres", MissingVariable, "cannot save 'stres'; did you mean 'stress'"),
        ("von_mises(strss)", MissingVariable, "there is no 'strss'; did you mean 'stress'"),
        ("von_mises(F)", TypeError, "'F' is a R2; it takes SR2"),
        ("energy(stress, F)", TypeError, "give two tensors of one type"),
        ({"times": [0.5, 0.71]}, ValueError, r"the time 0.71: .* \(the nearest is at 0.7\)"),
    ],
)
def test_checks_before_a_run(value, error, message):
    time = torch.linspace(0.0, 1.0, 11, dtype=torch.float64)
    Save.of(["x", "trace(F)", "norm(stress)"]).check(KINDS, KINDS, time)
    with pytest.raises(error, match=message):
        Save.of(value).check(KINDS, KINDS, time)


def test_variables(run):
    kept = Save(("S", "T")).select(run, 0, 11)
    assert list(kept.outputs) == ["S"]
    assert set(kept.forces) == {"T", "t"}
    assert kept["S"].data is run["S"].data or torch.equal(kept["S"].data, run["S"].data)
    assert len(kept) == 11
    with pytest.raises(MissingVariable, match="cannot save 'Q'"):
        Save(("Q",)).select(run, 0, 11)


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({}, list(range(11))),
        ({"every": 5}, [0, 5, 10]),
        ({"every": 4}, [0, 4, 8, 10]),
        ({"last": True}, [10]),
        ({"times": (0.0, 0.3, 1.0)}, [0, 3, 10]),
    ],
)
def test_rows_of_blocks(run, options, rows):
    save = Save(**options)
    assert save.count(run.time) == len(rows)
    parts = selected(save, run, 3, 4, 9)
    assert torch.cat([p.rows for p in parts]).tolist() == rows
    for name in ("S", "E"):
        found = torch.cat([p[name].data for p in parts])
        assert torch.equal(found, run[name].data[rows])
    assert torch.equal(torch.cat([p.time for p in parts]), run.time[rows])


def test_times_of_points_with_their_own_clocks():
    time = torch.tensor([[0.0, 0.0], [1.0, 0.5], [2.0, 1.0]])
    assert Save(times=(1.0,)).count(time) == 2
    assert Save(times=(2.0,)).count(time) == 1


def test_derived_quantities_are_results_with_a_unit(run):
    kept = Save.of(["von_mises(S)", "trace(E)"]).select(run, 0, 11)
    assert list(kept.outputs) == ["von_mises(S)", "trace(E)"]
    assert kept.origin.declared["trace(E)"].unit == "strain"
    assert kept.origin.declared["trace(E)"].doc == "Trace of E"
    assert torch.equal(kept["trace(E)"].data, run["E"].data[..., :3].sum(-1))


def test_accumulated_quantities_go_on_from_block_to_block(run):
    stress, strain = run["S"].data, run["E"].data
    work = (0.5 * (stress[1:] + stress[:-1]) * strain.diff(dim=0)).sum(-1).cumsum(0)
    save = Save.of({"every": 5, "derived": "energy(S, E)"})
    whole_run = save.select(run, 0, 11)["energy(S, E)"].data
    assert torch.equal(whole_run[0], torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(whole_run[1:], work[[4, 9]], rtol=1e-13, atol=1e-13)
    parts = selected(save, run, 1, 4, 9)
    assert torch.equal(torch.cat([p["energy(S, E)"].data for p in parts]), whole_run)
    other = Save.of(save)
    other.select(cut(run, 0, 4), 0, 11)
    again = Save.of(save)
    again.remember(other.memory())
    assert torch.equal(again.select(cut(run, 4, 11), 4, 11)["energy(S, E)"].data, whole_run[1:])


def test_gradients_reach_derived_quantities():
    from neml2.drivers import History, TransientDriver
    from tests.drivers.materials import strain, strainer, times

    model = strainer()
    run = TransientDriver(model).run(History(times(5), {"E": strain(5, 2)}, constant={"T": 2.0}))
    kept = Save.of("von_mises(S)").select(run, 0, 5)
    assert isinstance(kept, Trajectory)
    (slope,) = torch.autograd.grad(kept["von_mises(S)"].data.sum(), list(model.parameters()))
    torch.testing.assert_close(slope * 3.0, kept["von_mises(S)"].data.sum())  # linear in the stiffness
