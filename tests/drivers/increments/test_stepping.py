"""Increments that every point chooses for itself, between rows that are met exactly."""

import math

import pytest
import torch

from neml2.compiler.update import NativeUpdate
from neml2.drivers.histories.history import History
from neml2.drivers.increments.increments import Increments
from neml2.drivers.increments.stepping import Stepping
from neml2.models.common.time_integration import BackwardEulerTimeIntegration
from neml2.predictors import LinearExtrapolationPredictor
from neml2.solvers.status import Status
from neml2.step import StateUpdate
from neml2.types import Scalar
from tests.drivers.materials import decay, snap, times

F64 = torch.float64


def marching(model, history, native=False, **options):
    update = StateUpdate(model)
    return Stepping(update, history.bind(update), NativeUpdate(update) if native else None, **options)


def decaying(*starts, rows=5, load=0.0, end=1.0):
    """Decays from ``starts``, all towards one load."""
    loads = torch.full((rows, len(starts)), load, dtype=F64)
    return History(times(rows, end), {"load": loads}, initial={"x": torch.tensor(starts, dtype=F64)})


def snapping(*ends, bad=None):
    """Loads that go to ``ends`` in two rows."""
    load = torch.tensor([0.0, 0.5, 1.0], dtype=F64)[:, None] * torch.tensor(ends, dtype=F64)
    off = torch.zeros_like(load) if bad is None else torch.tensor(bad, dtype=F64).expand_as(load)
    return History(times(3), {"load": load, "bad": off})


def equal(a, b, points=slice(None)):
    """Whether block ``a`` is that of some points of ``b``, to the bit."""
    for n, v in a.outputs.items():
        assert torch.equal(v.data.nan_to_num(7.0), b.outputs[n].data[:, points].nan_to_num(7.0)), n
    for n in ("status", "iterations", "pieces", "rejected", "error"):
        assert torch.equal(getattr(a, n), getattr(b, n)[:, points]), n


# ---------------------------------------------------------------------- rows


@torch.no_grad()
def test_one_increment_a_row_is_backward_euler():
    block = marching(decay(k=2.0), decaying(1.0, 3.0)).advance(5)
    steps = torch.arange(5, dtype=F64)
    exact = (1 + 2.0 * 0.25) ** -steps[:, None] * torch.tensor([1.0, 3.0], dtype=F64)
    torch.testing.assert_close(block.outputs["x"].data, exact, rtol=1e-10, atol=0)
    assert block.pieces[1:].eq(1).all() and not block.rejected.any()
    assert block.status[0].eq(int(Status.NOT_SOLVED)).all() and not block.status[1:].any()


@torch.no_grad()
def test_limits_hold_and_rows_are_met():
    """A load of rate 1, followed closely: 0.5 in a row, in pieces of at most 0.1."""
    rules = Increments(limit={"load": 0.1})
    march = marching(snap(), snapping(1.0, 0.1), increments=rules)
    block = march.advance(3)
    torch.testing.assert_close(block.outputs["x"].data[2], torch.tensor([1.0, 0.1], dtype=F64))
    assert block.pieces[1:, 1].eq(1).all()
    assert (block.pieces[1:, 0] >= 5).all() and (block.pieces[1:, 0] <= 7).all()
    assert block.rejected[1, 0] > 0 and block.rejected[2, 0] == 0  # the size is carried on


@torch.no_grad()
def test_failures_are_cut_and_sizes_grow_again():
    block = marching(snap(), snapping(3.0, 0.1), increments=Increments()).advance(3)
    assert not block.status[1:].any()
    torch.testing.assert_close(block.outputs["x"].data[1:, 0], torch.tensor([1.5, 3.0], dtype=F64))
    assert block.rejected[1, 0] > 3 and block.rejected[1, 1] == 0
    assert (block.iterations[1, 0] > block.pieces[1, 0]).all()


@torch.no_grad()
def test_the_size_is_carried_over_in_time():
    """The second row interval is a hundredth of the first one: one increment is enough."""
    clock = torch.tensor([0.0, 1.0, 1.01], dtype=F64)
    history = History(clock, {"load": clock[:, None].clone(), "bad": torch.zeros(3, 1, dtype=F64)})
    block = marching(snap(), history, increments=Increments(limit={"load": 0.05})).advance(3)
    assert block.pieces[1] >= 20 and block.pieces[2] == 1


@torch.no_grad()
def test_the_first_increment():
    rules = Increments(first=0.01, grow=2.0)
    block = marching(decay(), decaying(1.0), increments=rules).advance(5)
    assert 6 <= int(block.pieces[1]) <= 8 and block.pieces[4] == 1


# ---------------------------------------------------------------------- errors


@torch.no_grad()
@pytest.mark.parametrize("tolerance", [1e-3, 1e-4, 1e-5])
def test_the_estimate_is_the_local_error(tolerance):
    """Of x' = -2 x: the sum of the estimates against the error at the end."""
    rules = Increments(tolerance=tolerance, first=1e-3)
    block = marching(decay(k=2.0), decaying(1.0, rows=2), increments=rules).advance(2)
    true = float(block.outputs["x"].data[1] - math.exp(-2.0))
    told = float(block.error[1])
    assert told / 4 < true < told  # earlier errors decay as well, by e^-2 at most
    assert block.error[1] <= tolerance * block.pieces[1]


@torch.no_grad()
def test_an_estimate_alone_changes_nothing_but_the_halves():
    fine = marching(decay(), decaying(1.0, rows=9)).advance(9)
    told = marching(decay(), decaying(1.0, rows=5), increments=Increments(tolerance=math.inf)).advance(5)
    assert torch.equal(told.outputs["x"].data, fine.outputs["x"].data[::2])
    assert told.pieces[1:].eq(1).all() and (told.error[1:] > 1e-3).all()


@torch.no_grad()
@pytest.mark.parametrize("h", [1e-3, 0.1, 1.0])
def test_the_estimate_of_one_increment(h):
    """Of x' = -x: within a factor of three of the local error, and equal to it in the limit."""
    history = decaying(1.0, rows=2, end=h)
    block = marching(decay(k=1.0), history, increments=Increments(tolerance=math.inf)).advance(2)
    true = float(block.outputs["x"].data[1]) - math.exp(-h)
    ratio = true / float(block.error[1])  # relative to the largest x, which is 1
    assert ratio == pytest.approx(1.0, rel=h) and 1 / 3 < ratio < 3


@torch.no_grad()
def test_flow_that_ends_within_an_increment_is_seen():
    """A decay to 1 is all but over after a long row, in whole and in halves alike; the rate tells it."""
    load = torch.tensor([0.0, 1.0, 1.0], dtype=F64)[:, None]
    history = History(torch.tensor([0.0, 0.5, 1e6], dtype=F64), {"load": load})
    march = marching(decay(k=1.0), history, increments=Increments(tolerance=1e-2))
    march.advance(2)
    way = float(march.now.rates["x"].data)
    assert 0.5 < way < 1.0  # d/dt of 2 (t - 1 + exp(-t)) at 0.5 is 0.79
    assert int(march.advance(3).pieces) > 10


# ---------------------------------------------------------------------- failures


@torch.no_grad()
def test_a_point_that_fails_keeps_its_last_row():
    bad = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 3.0]])
    history = snapping(3.0, 0.2)
    history.prescribed["bad"] = bad.double()
    march = marching(snap(), history, increments=Increments(smallest=2.0**-6))
    block = march.advance(3)
    assert block.status[:, 0].tolist() == [int(Status.NOT_SOLVED), 0, 0]
    assert block.status[1, 1] == 0 and block.status[2, 1] not in (0, int(Status.FROZEN))
    assert torch.equal(block.outputs["x"].data[2, 1], block.outputs["x"].data[1, 1])
    (failure,) = march.failures
    assert failure.row == 2 and failure.points.tolist() == [1] and "1 of 1 points" in failure.why


@torch.no_grad()
def test_failed_points_stay_frozen():
    history = snapping(3.0)
    history.prescribed["bad"] = torch.tensor([[0.0], [3.0], [0.0]]).double()
    block = marching(snap(), history, increments=Increments(smallest=2.0**-4)).advance(3)
    assert block.status[1] not in (0, int(Status.FROZEN)) and block.status[2] == int(Status.FROZEN)
    assert not block.outputs["x"].data.any()


@torch.no_grad()
def test_the_number_of_increments_is_bounded():
    march = marching(snap(), snapping(3.0, 0.1), increments=Increments(most=8))
    block = march.advance(3)
    assert block.status[1].tolist() == [int(Status.MAX_ITERATIONS), 0]
    assert block.pieces[1, 0] + block.rejected[1, 0] == 8
    assert "more than 8 increments" in march.failures[0].why


@torch.no_grad()
def test_an_increment_of_the_smallest_size_is_taken_in_spite_of_limits():
    rules = Increments(limit={"load": 1e-6}, smallest=1 / 16)
    block = marching(snap(), snapping(0.5), increments=rules).advance(3)
    assert block.pieces[1:].eq(16).all() and not block.status[1:].any()


# ---------------------------------------------------------------------- points


STARTS = (1.0, 0.3, 7.0, 1e-3, 2.5)


@torch.no_grad()
@pytest.mark.parametrize("native", [False, True])
def test_points_do_not_see_their_neighbours(native):
    rules = Increments(tolerance=1e-3, limit={"x": 0.3})
    k = torch.tensor([2.0, 5.0, 1.0, 9.0, 0.5], dtype=F64)
    whole = marching(decay(k=k), decaying(*STARTS, load=0.4), native, increments=rules).advance(5)
    assert len(whole.pieces[1].unique()) > 2
    for points in ([0], [3], [4, 1], [2, 3, 0]):
        part = decaying(*[STARTS[p] for p in points], load=0.4)
        equal(marching(decay(k=k[points]), part, native, increments=rules).advance(5), whole, points)


@torch.no_grad()
def test_native_increments_are_those_of_the_eager_engine():
    rules = Increments(tolerance=1e-3, limit={"x": 0.3})
    eager, native = (
        marching(decay(), decaying(*STARTS, load=0.4), engine, increments=rules).advance(5)
        for engine in (False, True)
    )
    torch.testing.assert_close(native.outputs["x"].data, eager.outputs["x"].data, rtol=1e-8, atol=1e-12)
    assert torch.equal(native.pieces, eager.pieces)


@torch.no_grad()
def test_batches_of_two_axes():
    loads = torch.rand(4, 3, 1, dtype=F64, generator=torch.Generator().manual_seed(1))
    start = torch.tensor([1.0, 2.0], dtype=F64)
    history = History(times(4), {"load": loads}, initial={"x": start})
    block = marching(decay(), history, increments=Increments(tolerance=1e-3)).advance(4)
    assert block.outputs["x"].data.shape == block.status.shape == (4, 3, 2)
    alone = History(times(4), {"load": loads[:, 1, 0]}, initial={"x": 2.0})
    one = marching(decay(), alone, increments=Increments(tolerance=1e-3)).advance(4)
    assert torch.equal(one.outputs["x"].data, block.outputs["x"].data[:, 1, 1])


# ---------------------------------------------------------------------- deeper histories


def extrapolated():
    """The decay with a guess that reads two old values, and the time at both."""
    from neml2.composed import ComposedModel
    from neml2.implicit import ImplicitUpdate
    from neml2.system import NonlinearSystem
    from tests.drivers.materials import DrivenDecay

    rate = DrivenDecay(k=2.0, name="rate")
    step = BackwardEulerTimeIntegration[Scalar](variable="x", name="step")
    system = NonlinearSystem(ComposedModel([rate, step], name="residual"), unknowns="x")
    return ImplicitUpdate(
        system, predictor=LinearExtrapolationPredictor(unknowns_Scalar=["x"]), name="update"
    )


@torch.no_grad()
def test_older_values_are_those_of_the_last_increments():
    """Guesses from two uneven increments before change the work, and nothing else."""
    rules = Increments(tolerance=1e-4, first=0.01)
    plain = marching(decay(k=2.0), decaying(1.0, 0.3), increments=rules).advance(5)
    march = marching(extrapolated(), decaying(1.0, 0.3), increments=rules)
    block = march.advance(5)
    state, old = march.now.state, march.now.old
    assert set(state) == {"x", "x~1"} and {"t", "t~1"} <= set(old)
    torch.testing.assert_close(block.outputs["x"].data, plain.outputs["x"].data, rtol=1e-9, atol=0)
    assert (state["x~1"].data > state["x"].data).all()
    assert (old["t~1"].data < old["t"].data).all() and (old["t~1"].data > 0.75).all()


# ---------------------------------------------------------------------- gradients


@pytest.mark.parametrize("native", [False, True])
def test_gradients_of_accepted_increments(native):
    """Sizes are fixed by a limit on the load, so that central differences see the same increments."""
    rules = Increments(limit={"load": 0.13})
    history = snapping(1.0, 0.6)

    def end(g):
        model = decay(k=g)
        load = {"load": history.prescribed["load"]}
        march = marching(model, History(times(3), load, initial={"x": 0.5}), native, increments=rules)
        return model, march.advance(3)

    model, block = end(2.0)
    assert block.pieces[2, 0] > 3
    (block.outputs["x"].data[1:] ** 2).sum().backward()
    (slope,) = (p.grad for p in model.parameters())
    with torch.no_grad():
        up, down = ((end(2.0 + d)[1].outputs["x"].data[1:] ** 2).sum() for d in (1e-5, -1e-5))
    assert float(slope) == pytest.approx(float(up - down) / 2e-5, rel=1e-7)


def test_points_that_fail_have_no_part_in_gradients():
    model = snap()
    march = marching(model, snapping(1.0, 1.0, bad=[0.0, 3.0]), increments=Increments(smallest=2.0**-5))
    block = march.advance(3)
    assert block.status[1, 1] != 0
    block.outputs["x"].data.sum().backward()
    g = dict(model.named_parameters())
    (gain,) = (p for n, p in g.items() if n.endswith("g"))
    assert float(gain.grad) == pytest.approx(1.5, rel=1e-6)  # x = g load at two rows


# ---------------------------------------------------------------------- checkpoints


@torch.no_grad()
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("row", [0, 1, 3])
def test_a_march_goes_on_from_a_checkpoint_to_the_same_bits(row, native):
    rules = Increments(tolerance=1e-3, first=0.1)

    def fresh():
        return marching(extrapolated(), decaying(*STARTS, load=0.4), native, increments=rules)

    whole = fresh().advance(5)
    march = fresh()
    march.advance(row + 1)
    saved = march.checkpoint()
    march.advance(5)  # what is saved is a copy
    again = fresh()
    again.restore(row, saved)
    block = again.advance(5)
    for n, v in block.outputs.items():
        assert torch.equal(v.data, whole.outputs[n].data[row + 1 :]), n
    assert torch.equal(block.pieces, whole.pieces[row + 1 :]) and torch.equal(
        block.error, whole.error[row + 1 :]
    )


@torch.no_grad()
def test_blocks_of_rows_are_one_march():
    march = marching(decay(), decaying(1.0, 2.0), increments=Increments(tolerance=1e-3))
    parts = [march.advance(k) for k in (2, 3, 5)]
    whole = marching(decay(), decaying(1.0, 2.0), increments=Increments(tolerance=1e-3)).advance(5)
    assert [len(p.time) for p in parts] == [2, 1, 2]
    assert torch.equal(torch.cat([p.outputs["x"].data for p in parts]), whole.outputs["x"].data)


# ---------------------------------------------------------------------- hard increments


@torch.no_grad()
def test_hard_increments_recover():
    """Two hundred of Perzyna's law, with exponents from 5 to 20 and strains of percents at once."""
    from pathlib import Path

    from neml2 import load_input
    from neml2.types import SR2

    path = Path(__file__).parents[3] / "benchmarks/scenarios/perzyna/model.i"
    model = load_input(path).get_driver("driver").driver.model
    points = 200
    model.set_parameter("return_map.surface.flow_rate.n", torch.linspace(5.0, 20.0, points, dtype=F64))
    generator = torch.Generator().manual_seed(0)
    strain = torch.randn(points, 6, dtype=F64, generator=generator)
    strain[:, :3] -= 0.9 * strain[:, :3].mean(1, keepdim=True)
    size = (
        10 ** torch.linspace(-2.3, -1.0, points, dtype=F64)[torch.randperm(points, generator=generator), None]
    )
    strain = strain / strain.norm(dim=1, keepdim=True) * size
    history = History(times(2, 1.0), {"E": SR2(torch.stack([0 * strain, strain]))})
    whole = marching(model, history).advance(2)
    assert int((whole.status[1] != 0).sum()) >= 100
    block = marching(model, history, increments=Increments()).advance(2)
    assert int((block.status[1] == 0).sum()) >= 190 and block.pieces[1].max() > 3
