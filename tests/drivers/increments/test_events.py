"""Events are found inside increments, at the order of the integrator, and change no more than they say."""

import math

import pytest
import torch

from neml2.compiler.update import NativeUpdate
from neml2.drivers.histories.history import History
from neml2.drivers.histories.segments import Stretch
from neml2.drivers.increments.events import Event, locate
from neml2.drivers.increments.increments import Increments
from neml2.drivers.increments.stepping import Stepping
from neml2.solvers.status import Status
from neml2.step import StateUpdate
from tests.drivers.materials import decay, snap, times

F64 = torch.float64
CONVERGED, ENDED = int(Status.CONVERGED), int(Status.ENDED)


def marching(model, history, *events, native=False, **options):
    update = StateUpdate(model)
    engine = NativeUpdate(update) if native else None
    return Stepping(update, history.bind(update), engine, events=events, cycle=history.cycle, **options)


def decaying(*starts, rows=9, end=1.0, **options):
    """Decays towards zero."""
    loads = torch.zeros(rows, len(starts), dtype=F64)
    start = torch.tensor(starts, dtype=F64)
    return History(times(rows, end), {"load": loads}, initial={"x": start}, **options)


def following(*loads, clock=None):
    """The snap material, whose x is the load, along given loads."""
    load = torch.tensor(loads, dtype=F64)
    load = load if load.ndim > 1 else load[:, None]
    clock = times(len(load), len(load) - 1.0) if clock is None else clock
    return History(clock, {"load": load, "bad": torch.zeros_like(load)})


FINE = Increments(limit={"load": 0.1})


# ---------------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"condition": "x"}, ValueError, "'x' compares nothing"),
        ({"condition": 3}, TypeError, "is a int; give a text or a function"),
        ({"condition": "x > 1", "action": "stopp"}, ValueError, "did you mean 'stop'"),
        ({"condition": "x > 1", "direction": 2}, ValueError, "direction of an event is 2"),
        ({"condition": "x > 1", "times": 0}, ValueError, "give 1 or more, or None"),
        ({"condition": "x > 1", "tolerance": 0.0}, ValueError, "tolerance of an event is 0"),
    ],
)
def test_events_that_make_no_sense(options, error, message):
    with pytest.raises(error, match=message):
        Event(**options)


def test_names_are_checked_before_the_first_step():
    with pytest.raises(ValueError, match="no variable 'y'"):
        marching(decay(), decaying(1.0), Event("y > 1"))
    with pytest.raises(ValueError, match=r"event 'wrong' gave \(1, 1\) for 1 points"):
        marching(decay(), decaying(1.0), Event(lambda v: v["x"].data[:, None], "wrong"))


# ---------------------------------------------------------------------- the root finder


def test_roots_of_every_kind():
    """A line, a curve, a root at the far end, a jump, a NaN at the start; each to its own tolerance."""

    def value(which, s):
        kinds = [
            s - 0.3,
            s**3 - 0.2,
            s - 1.0,
            torch.where(s > 0.7, 1.0, -1.0),
            torch.where(s < 0.1, torch.nan, s - 0.6),
        ]
        kinds.append(torch.where(s > 0.4, s - 0.4, torch.zeros_like(s)))
        return torch.stack(kinds)[which, torch.arange(len(which))]

    every, zero = torch.arange(6), torch.zeros(6, dtype=F64)
    strict = torch.tensor([False, True, False, True, False, True])
    tolerance = torch.tensor([1e-12, 1e-6, 1e-9, 1e-9, 1e-9, 1e-9], dtype=F64)
    calls = []

    def counted(which, s):
        calls.append(len(which))
        return value(which, s)

    found = locate(counted, value(every, zero), value(every, zero + 1), strict, tolerance)
    exact = torch.tensor([0.3, 0.2 ** (1 / 3), 1.0, 0.7, 0.6, 0.4], dtype=F64)
    assert ((found - exact).abs() <= tolerance).all()
    assert value(every, found)[strict].gt(0).all() and value(every, found)[~strict].ge(0).all()
    assert len(calls) < 36 and calls[0] == 6


# ---------------------------------------------------------------------- where events are


@torch.no_grad()
@pytest.mark.parametrize("native", [False, True])
def test_the_time_converges_at_the_order_of_the_integrator(native):
    """The exact time for x = exp(-2 t) to fall below one half is log(2) / 2."""
    errors = []
    for rows in (9, 17, 33, 65):
        march = marching(decay(k=2.0), decaying(1.0, rows=rows), Event("x < 0.5"), native=native)
        (found,) = march.advance(rows).found
        assert float(found.state["x"].data) == pytest.approx(0.5, abs=1e-8)
        errors.append(found.time - math.log(2.0) / 2)
    ratios = [a / b for a, b in zip(errors, errors[1:], strict=False)]
    assert ratios[-1] == pytest.approx(2.0, abs=0.1) and all(1.7 < r < 2.3 for r in ratios)


@torch.no_grad()
def test_output_rows_do_not_matter():
    rules = Increments(tolerance=1e-5)
    found = []
    for rows in (2, 5, 34):
        events = (
            Event("x < 0.5"),
            Event("x < 0.2", action="continue"),
            Event(lambda v: v["x"].data - 0.7, "b", "continue"),
        )
        march = marching(decay(k=2.0), decaying(1.0, rows=rows), events[2], events[0], increments=rules)
        found.append({f.name: f.time for f in march.advance(rows).found})
        assert list(found[-1]) == ["b", "x < 0.5"]
    for name in found[0]:
        assert max(f[name] for f in found) - min(f[name] for f in found) < 1e-3
    assert found[0]["b"] == pytest.approx(-math.log(0.7) / 2, abs=3e-3)


@torch.no_grad()
def test_a_peak_inside_the_history():
    """The load rises to 2 and falls: 90 % of the peak is at 1.8, a tenth of a row interval of 2 later."""
    (found,) = (
        marching(snap(), following(0.0, 1.0, 2.0, 0.0), Event("x < 0.9 * peak(x)"), increments=FINE)
        .advance(4)
        .found
    )
    assert found.row == 3 and found.time == pytest.approx(2.1, abs=1e-7)
    assert float(found.state["x"].data) == pytest.approx(1.8, abs=1e-7)


@torch.no_grad()
def test_directions_and_times():
    """The load is a triangle of height 1 with a period of 2 rows."""
    loads = [0.0, 1.0] * 4
    condition = "x > 0.5"

    def seen(**options):
        march = marching(snap(), following(*loads), Event(condition, **options), increments=FINE)
        return [round(f.time, 6) for f in march.advance(8).found]

    assert seen(action="continue", times=None) == [0.5, 2.5, 4.5, 6.5]
    assert seen(action="continue", times=None, direction=-1) == [1.5, 3.5, 5.5]
    assert seen(action="continue", times=None, direction=0) == [0.5 + i for i in range(7)]
    assert seen(action="continue", times=2) == [0.5, 2.5]
    assert seen(times=3) == [0.5, 2.5, 4.5]


@torch.no_grad()
def test_equality_at_the_start_is_no_event():
    """The stress is zero at first: it is not below nine tenths of a peak of zero, nor does it reach zero."""
    history = following(0.0, 1.0, 0.0)
    events = (
        Event("x < 0.9 * peak(x)", action="continue"),
        Event("x >= 0", action="continue"),
        Event(lambda v: v["x"].data, "zero", "continue"),
    )
    found = marching(snap(), history, *events, increments=FINE).advance(3).found
    assert [(f.name, f.row) for f in found] == [(events[0].name, 2), ("zero", 2)]


@torch.no_grad()
def test_cycles_begin_at_rows():
    history = following(*[0.1] * 6)
    history.cycle = torch.tensor([0, 0, 1, 1, 2, 2])
    (found,) = marching(snap(), history, Event("cycle >= 2", tolerance=1e-6)).advance(6).found
    assert found.row == 4 and found.time == pytest.approx(3.0, abs=1e-5)


# ---------------------------------------------------------------------- what they do


@torch.no_grad()
def test_to_go_on_does_not_change_a_bit():
    plain = marching(decay(), decaying(1.0, 3.0), increments=Increments(tolerance=1e-4)).advance(9)
    event = Event("x < 0.9", action="continue")
    seen = marching(decay(), decaying(1.0, 3.0), event, increments=Increments(tolerance=1e-4)).advance(9)
    assert len(seen.found) == 2
    assert torch.equal(plain.outputs["x"].data, seen.outputs["x"].data)
    for name in ("status", "iterations", "pieces", "rejected", "error", "time"):
        a, b = getattr(plain, name), getattr(seen, name)
        assert torch.equal(a.reshape(9, -1).expand_as(b), b), name


@torch.no_grad()
@pytest.mark.parametrize("action", ["stop", "freeze"])
def test_points_stay_at_their_event(action):
    event = Event("x < 0.5", "half", action)
    march = marching(decay(k=2.0), decaying(1.0, 3.0, 0.6), event)
    block = march.advance(9)
    assert [f.point for f in block.found] == [(2,), (0,)] and {f.action for f in block.found} == {action}
    x, clock = block.outputs["x"].data, block.time
    for found in block.found:
        (p,), k = found.point, found.row
        assert torch.equal(x[k:, p], found.state["x"].data.expand(9 - k))
        assert (clock[k:, p] == found.time).all() and (clock[:k, p] == times(9)[:k]).all()
        assert block.status[k, p] == CONVERGED and (block.status[k + 1 :, p] == ENDED).all()
        assert not block.iterations[k + 1 :, p].any()
    assert not march.finished and torch.equal(clock[:, 1], times(9))
    assert torch.equal(block.forces["t"].data, clock)


@torch.no_grad()
def test_the_run_ends_when_all_have_stopped():
    march = marching(decay(k=2.0), decaying(1.0, 0.6), Event("x < 0.5"))
    block = march.advance(9)
    assert march.finished and march.row == len(block.time) - 1 == max(f.row for f in block.found)
    assert len(march.advance(9).time) == 0
    march = marching(decay(k=2.0), decaying(1.0, 0.6), Event("x < 0.5", action="freeze"))
    assert len(march.advance(9).time) == 9 and not march.finished


@torch.no_grad()
def test_the_first_of_several_events_acts():
    """Within one increment; what would have come later has not happened."""
    events = (
        Event("x > 0.6", "late"),
        Event("x > 0.1", "early", "continue"),
        Event("x > 0.4", "acts", "freeze"),
    )
    loads = following(0.0, 1.0)
    block = marching(snap(), loads, *events, increments=Increments(smallest=1e-3)).advance(2)
    assert sorted((f.name, round(float(f.state["x"].data), 6)) for f in block.found) == [
        ("acts", 0.4),
        ("early", 0.1),
    ]
    assert float(block.outputs["x"].data[1]) == pytest.approx(0.4, abs=1e-7)


@torch.no_grad()
@pytest.mark.parametrize("native", [False, True])
def test_neighbours_do_not_matter(native):
    starts = (1.0, 0.6, 2.0, 0.4, 5.0)
    rules = Increments(tolerance=1e-3)

    def run(*points):
        event = Event("x < 0.5 * peak(x)", action="freeze")
        march = marching(
            decay(k=2.0), decaying(*[starts[p] for p in points]), event, increments=rules, native=native
        )
        return march.advance(9)

    whole = run(*range(5))
    assert len(whole.found) == 5
    for points in ([3], [4, 0], [2, 1, 3]):
        part = run(*points)
        for name in ("status", "pieces", "time"):
            assert torch.equal(getattr(part, name), getattr(whole, name)[:, points]), name
        assert torch.equal(part.outputs["x"].data, whole.outputs["x"].data[:, points])


@torch.no_grad()
@pytest.mark.parametrize("row", [0, 2, 4, 7])
def test_checkpoints_hold_what_events_need(row):
    history = following(
        *[[0.0, 0.0], [1.0, 0.5], [2.0, 1.0], [1.9, 0.5], [0.0, 0.4], [1.0, 2.0], [2.0, 0.0], [0.0, 1.0]]
    )
    events = (
        Event("x < 0.9 * peak(x)", action="continue", times=2),
        Event("x > 1.5", times=2, action="freeze"),
    )
    stretches = (Stretch(1, 5, until="x < 0.45"), Stretch(6, 7))

    def fresh():
        return marching(snap(), history, *events, increments=FINE, stretches=stretches)

    whole, march = fresh().advance(8), fresh()
    early = march.advance(row + 1)
    again = fresh()
    again.restore(row, march.checkpoint())
    late = again.advance(8)
    assert torch.equal(torch.cat([early.time, late.time]), whole.time)
    joined = torch.cat([early.outputs["x"].data, late.outputs["x"].data])
    assert torch.equal(joined, whole.outputs["x"].data)
    assert [(f.name, f.point, f.time) for f in (*early.found, *late.found)] == [
        (f.name, f.point, f.time) for f in whole.found
    ]
    assert torch.equal(torch.cat([early.status, late.status]), whole.status)


def test_gradients_of_a_frozen_state():
    """The load at the event is 0.5 whatever the gain is; the place of the event is not differentiated."""
    model = snap(g=2.0)
    event = Event("load > 0.5", action="freeze")
    block = marching(model, following(0.0, 1.0, 2.0), event, increments=FINE).advance(3)
    block.outputs["x"].data[2].sum().backward()
    (gain,) = (p for n, p in model.named_parameters() if n.endswith("g"))
    assert float(gain.grad) == pytest.approx(0.5, abs=1e-6)


# ---------------------------------------------------------------------- segments that end early


@torch.no_grad()
def test_a_segment_ends_and_the_next_one_starts_from_there():
    """Up at a rate of 1 until x is over 1.3 (never, for the second point), then to zero in two rows."""
    history = following(*[[i, 0.5 * i] for i in (0.0, 1.0, 2.0, 3.0)], [1.0, 0.5], [0.0, 0.0])
    march = marching(
        snap(), history, increments=FINE, stretches=(Stretch(1, 3, "up", "x > 1.6"), Stretch(4, 5, "down"))
    )
    block = march.advance(6)
    (found,) = block.found
    assert (found.name, found.action, found.point, found.row) == ("up", "until", (0,), 2)
    assert found.time == pytest.approx(1.6, abs=1e-8)
    x, clock = block.outputs["x"].data, block.time
    assert x[:, 0].tolist() == pytest.approx([0.0, 1.0, 1.6, 1.6, 1.0, 0.0], abs=1e-7)
    assert clock[:, 0].tolist() == pytest.approx([0.0, 1.0, 1.6, 1.6, 2.6, 3.6], abs=1e-7)
    assert block.status[1:, 0].tolist() == [CONVERGED, CONVERGED, ENDED, CONVERGED, CONVERGED]
    assert torch.equal(clock[:, 1], times(6, 5.0)) and not block.status[1:, 1].any()
    assert block.forces["load"].data[:, 0].tolist() == pytest.approx([0.0, 1.0, 1.6, 1.6, 1.0, 0.0], abs=1e-7)


@torch.no_grad()
def test_the_time_of_the_model_is_that_of_the_point():
    """A decay that is over in a row and a half: the second segment lasts as long as planned."""
    history = decaying(1.0, rows=5, end=1.0)
    stretches = (Stretch(1, 3, until="x < 0.6"), Stretch(4, 4))
    rules = Increments(tolerance=1e-5)
    block = marching(decay(k=2.0), history, increments=rules, stretches=stretches).advance(5)
    half = -math.log(0.6) / 2
    assert block.time[:, 0].tolist() == pytest.approx([0.0, 0.25, half, half, half + 0.25], abs=1e-3)
    assert float(block.outputs["x"].data[4]) == pytest.approx(0.6 * math.exp(-0.5), rel=3e-3)
    assert torch.equal(block.forces["t"].data, block.time)


@torch.no_grad()
def test_a_condition_that_holds_already_ends_its_segment_at_once():
    history = following(0.0, 1.0, 2.0, 3.0)
    stretches = (Stretch(1, 1), Stretch(2, 2, "over", "x > 0.5"), Stretch(3, 3))
    block = marching(snap(), history, increments=FINE, stretches=stretches).advance(4)
    assert block.status[1:, 0].tolist() == [CONVERGED, ENDED, CONVERGED]
    assert block.time[:, 0].tolist() == pytest.approx([0.0, 1.0, 1.0, 2.0])
    assert block.outputs["x"].data[:, 0].tolist() == pytest.approx([0.0, 1.0, 1.0, 3.0], abs=1e-8)
    assert [(f.name, f.row, f.time) for f in block.found] == [("over", 2, 1.0)]


@torch.no_grad()
def test_a_condition_counts_in_its_segment_only():
    """Up and down twice; the second way up ends at the same condition again, the ways down do not."""
    history = following(0.0, 2.0, 0.0, 2.0, 0.0)
    up = Event("x > 1", tolerance=1e-8)
    stretches = (Stretch(1, 1, until=up), Stretch(2, 2), Stretch(3, 3, until=up), Stretch(4, 4))
    block = marching(snap(), history, increments=FINE, stretches=stretches).advance(5)
    assert [f.row for f in block.found] == [1, 3]
    assert block.time[:, 0].tolist() == pytest.approx([0.0, 0.5, 1.5, 2.0, 3.0], abs=1e-6)


@torch.no_grad()
def test_padded_rows_are_ended():
    clock = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 1.0]], dtype=F64)
    load = clock.clone()
    history = History(clock, {"load": load, "bad": 0 * load}, lengths=torch.tensor([3, 2]))
    block = marching(snap(), history, increments=FINE).advance(3)
    assert block.status[2].tolist() == [CONVERGED, ENDED] and not block.iterations[2, 1]
    assert block.outputs["x"].data[2].tolist() == pytest.approx([2.0, 1.0], abs=1e-8)
