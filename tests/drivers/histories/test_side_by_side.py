import pytest
import torch

from neml2.drivers import History
from neml2.drivers import laboratory as lab
from neml2.drivers.histories.segments import HOLD, Segment
from neml2.types import SR2, Scalar
from tests.drivers.materials import strain, times


def test_a_batch_is_padded():
    short = lab.monotonic(0.01, 1e-3, rows=2)
    long = lab.cyclic(0.02, 1, period=8.0, rows=4)
    both = History.batch([short, long])
    assert both.time.T.tolist() == [[0, 5, 10, 10, 10], [0, 2, 4, 6, 8]]
    assert both.lengths.tolist() == [3, 5]
    assert both.control.target[:, 0, 0].tolist() == [0, 0.005, 0.01, 0.01, 0.01]
    assert torch.equal(both.control.target[:, 1], long.control.target)
    assert both.cycle is None
    wrong = both.time.clone()
    wrong[2, 0] = 4.0
    with pytest.raises(ValueError, match="does not increase at step 2, point 0"):
        both.replace(time=wrong)
    finer = both.refine(2)
    assert finer.lengths.tolist() == [5, 9]
    assert torch.equal(finer.time[:5, 0], short.refine(2).time)


def test_batches_of_batches_and_other_values():
    def history(n, scale):
        values = {"E": SR2(scale * strain(n, 3)), "T": Scalar(scale * times(n))}
        return History(
            times(n), values, constant={"c": scale, "d": 1.0}, initial={"S": SR2(torch.full((6,), scale))}
        )

    both = History.batch([history(4, 1.0), history(3, 2.0)])
    assert both.prescribed["E"].shape == (4, 2, 3, 6)
    assert both.prescribed["T"].shape == (4, 2, 1)
    assert both.time.shape == (4, 2, 1)
    assert both.lengths.shape == (2, 1)
    assert both.constant["c"].data.tolist() == [[1.0], [2.0]]
    assert both.constant["d"] == 1.0
    assert both.initial["S"].shape == (2, 1, 6)
    assert torch.equal(both.prescribed["E"].data[3, 1], 2.0 * strain(3, 3)[2])


def test_equal_clocks_stay_one():
    two = [History(times(3), {"T": [a, a, a]}) for a in (1.0, 2.0)]
    both = History.batch(two)
    assert both.time.shape == (3,)
    assert both.lengths is None
    assert both.prescribed["T"].tolist() == [[1, 2]] * 3


def test_batches_that_cannot_be():
    hold = History.from_segments([Segment(1.0, 2, strain={"xx": 0.1}), Segment(1.0, 2, stress={"xx": HOLD})])
    later = History.from_segments([Segment(1.0, 3, strain={"xx": 0.1}), Segment(1.0, 2, stress={"xx": HOLD})])
    with pytest.raises(ValueError, match="at row 4 the histories start from .* equal numbers of rows"):
        History.batch([hold, later])
    assert History.batch([hold, hold.scale(2.0)]).control.anchor[3:].tolist() == [2, 2]
    with pytest.raises(ValueError, match="without any cannot be put together"):
        History.batch([hold, History([0.0, 1.0])])
    with pytest.raises(ValueError, match="padded batch already"):
        History.batch([History.batch([hold, lab.monotonic(0.1, 1.0)]), hold])
    with pytest.raises(TypeError, match="a int cannot be put together"):
        History.batch([1])
    until = History.from_segments([Segment(1.0, 2, strain={"xx": 0.1}, until="time > 1")])
    with pytest.raises(ValueError, match="some of which a condition may end"):
        History.batch([until, lab.monotonic(0.1, 1.0)])
    with pytest.raises(ValueError, match="history 1 has no initial value of 'S'"):
        History.batch([History(times(2), initial={"S": 1.0}), History(times(2))])


def test_initial_values_without_a_batch():
    parts = [
        History([0.0, 1.0], {"load": [0.0, 1.0]}, initial={"x": Scalar(torch.tensor(v))}) for v in (1.0, 2.0)
    ]
    assert History.batch(parts).initial["x"].data.tolist() == [1.0, 2.0]


def test_a_shared_clock_with_lengths():
    load = torch.zeros(4, 3, dtype=torch.float64)
    History([0.0, 1.0, 2.0, 2.0], {"load": load}, lengths=torch.tensor([3, 2, 3]))
    with pytest.raises(ValueError, match="the time does not increase at step 3, point 1: 2 after 2"):
        History([0.0, 1.0, 2.0, 2.0], {"load": load}, lengths=torch.tensor([3, 4, 3]))
