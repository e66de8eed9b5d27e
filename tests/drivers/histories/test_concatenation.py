import pytest
import torch

from neml2.drivers import History
from neml2.drivers import laboratory as lab
from neml2.drivers.histories.segments import HOLD, Along, Segment
from tests.drivers.loads import FURTHER, LOAD, UNLOAD, same_control
from tests.drivers.materials import strain, times

STAY = [
    Segment(2.0, 1, strain={"xx": HOLD}, stress={"yy": HOLD}),
    Segment(1.0, 2, strain={"yy": HOLD}),
    Segment(1.0, 2, strain={"xx": -0.01}),
]


@pytest.mark.parametrize("second", [UNLOAD, FURTHER, STAY], ids=["another control", "the same", "holds"])
def test_two_histories_are_one_list_of_segments(second):
    whole = History.from_segments([*LOAD, *second])
    joined = History.from_segments(LOAD) + History.from_segments(second)
    same_control(joined, whole)
    assert joined.segments == whole.segments


def test_histories_of_single_segments():
    segments = [LOAD[0], *FURTHER[:1], *UNLOAD]
    joined = History.concatenate([History.from_segments([s]) for s in segments])
    same_control(joined, History.from_segments(segments))
    assert joined.segments == History.from_segments(segments).segments


def test_a_hold_by_itself_keeps_what_the_one_before_has_reached():
    load, hold = (
        History.from_segments(LOAD[:1]),
        History.from_segments([Segment(9.0, 2, stress={"xx": HOLD})]),
    )
    assert (load + hold).control.carry[-2:, 0].tolist() == [1.0, 1.0]
    assert (load + hold).control.stress_weight[-2:, 0].tolist() == [1.0, 1.0]
    still = load + History.from_segments([Segment(9.0, 2, strain={"xx": HOLD})])
    assert still.control.target[-2:, 0].tolist() == [0.01, 0.01]
    assert not still.control.carry.any()


def test_what_comes_after_a_condition_starts_from_what_was_reached():
    first = [Segment(10.0, 5, strain={"xx": 0.01}, until="stress.xx > 100")]
    second = [Segment(1.0, 2, strain={"xx": 0.0})]
    same_control(
        History.from_segments(first) + History.from_segments(second), History.from_segments([*first, *second])
    )


def test_courses_are_absolute():
    sine = [Segment(1.0, 4, strain={"xx": Along(lambda x: 0.02 * torch.sin(6.0 * x))})]
    joined = History.from_segments(LOAD) + History.from_segments(sine)
    own = History.from_segments(sine)
    assert torch.equal(joined.control.target[-4:], own.control.target[-4:])


def test_histories_without_control():
    E = strain(4, 2)
    first = History(times(4), {"E": E, "T": [1.0, 2.0, 3.0, 4.0]}, constant={"c": 5.0}, initial={"S": 1.0})
    second = History(times(3) + 10.0, {"E": strain(3, 2, seed=1)}, constant={"T": 7.0, "c": 5.0})
    both = first + second
    assert both.time.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1, 1.5, 2])
    assert both.prescribed["T"].tolist() == [1, 2, 3, 4, 7, 7]
    assert torch.equal(both.prescribed["E"], torch.cat([E, strain(3, 2, seed=1)[1:]]))
    assert both.constant == {"c": 5.0}
    assert both.initial == {"S": 1.0}
    with pytest.raises(ValueError, match="initial values of its own"):
        _ = second + first
    with pytest.raises(ValueError, match="history 1 does not prescribe 'E'"):
        _ = first + History(times(3), {"T": [1.0, 2, 3]}, constant={"c": 5.0})
    with pytest.raises(TypeError):
        _ = first + 3


def test_clocks_of_points_go_on():
    fast = lab.monotonic(0.01, [1e-3, 1e-2], rows=2)
    both = fast + lab.creep(50.0, 10.0, load_time=1.0, rows=1, load_rows=1)
    assert both.time[:, 0].tolist() == pytest.approx([0, 5, 10, 11, 21])
    assert both.time[:, 1].tolist() == pytest.approx([0, 0.5, 1, 2, 12])
    assert both.control.batch in ((), (1,))  # the strains are the same for both


def test_repeating():
    one = lab.cyclic(0.01, 1, period=4.0, rows=4)
    thrice = one.repeat(3)
    whole = lab.cyclic(0.01, 3, period=4.0, rows=4)
    same_control(thrice, whole)
    assert thrice.cycle.tolist() == whole.cycle.tolist()
    assert History(times(3), {"T": [1.0, 2, 1]}, initial={"S": 1.0}).repeat(2).cycle.tolist() == [
        1,
        1,
        1,
        2,
        2,
    ]
    with pytest.raises(ValueError, match="0 times"):
        one.repeat(0)
