import pytest
import torch

from neml2.drivers import History
from neml2.drivers.histories.segments import HOLD, FollowUp, Segment
from neml2.types import SR2
from tests.drivers.loads import FURTHER, LOAD, UNLOAD, same_control
from tests.drivers.materials import strain, times


def test_scaling():
    history = History.from_segments([*LOAD, *UNLOAD, Segment(1.0, 1, stress={"xx": 10.0, "yy": 4.0})])
    twice = history.scale(2.0).control.target[:, 0] / history.control.target[:, 0]
    assert [x for x in twice.tolist() if x == x] == [2.0] * 9 + [1.0]
    assert history.scale(2.0, "stress").control.target[-1, :2].tolist() == [20.0, 8.0]
    assert history.scale(2.0, "stress.yy").control.target[-1, :2].tolist() == [10.0, 8.0]
    batch = history.scale([1.0, 3.0]).control
    assert batch.target[5, :, 0].tolist() == pytest.approx([0.01, 0.03])
    assert torch.equal(batch.carry.expand(-1, 1, 6)[:, 0], history.control.carry)
    assert history.scale(3.0, "time").time.tolist() == (3.0 * history.time).tolist()
    assert history.scale([1.0, 2.0], "time").time.shape == (len(history), 2)
    plain = History(times(3), {"E": SR2(strain(3)), "T": [1, 2, 3]})
    assert torch.equal(plain.scale(2.0, ["E", "T"]).prescribed["E"].data, 2 * strain(3))
    assert plain.scale([1.0, 2.0], "E").prescribed["E"].shape == (3, 2, 6)
    with pytest.raises(ValueError, match="'T' is a plain array, of which the batch axes are not known"):
        plain.scale([1.0, 2.0], "T")
    with pytest.raises(ValueError, match="no 'stain' to scale; did you mean 'strain'"):
        history.scale(2.0, "stain")
    with pytest.raises(ValueError, match="strain has no component 'x'"):
        history.scale(2.0, "strain.x")


def test_scaling_a_deformation_gradient():
    segments = [Segment(1.0, 2, deformation_gradient={"xx": 1.2, "xy": 0.1})]
    half = History.from_segments(segments).scale(0.5, "deformation_gradient")
    expected = History.from_segments([Segment(1.0, 2, deformation_gradient={"xx": 1.1, "xy": 0.05})])
    same_control(half, expected)


@pytest.mark.parametrize(
    "segments",
    [
        [*LOAD, *UNLOAD],
        [*LOAD, *FURTHER],
        [Segment(1.0, 1, strain={"xx": 0.01}), Segment(1.0, 1, stress={"xx": 0.0})],
        [Segment(1.0, 1, strain={"xx": 0.01}, until="x > 1"), Segment(1.0, 1, strain={"xx": 0.0})],
        [Segment(1.0, 1, strain={"xx": 0.01}), Segment(1.0, 2, follow_up={"xx": FollowUp(5.0, 0.03)})],
        [Segment(1.0, 1, stress={"xx": [1.0, 2.0]}), Segment([1.0, 2.0], 2, strain={"xx": HOLD})],
    ],
)
def test_refined_rows_are_those_of_finer_segments(segments):
    from dataclasses import replace

    history = History.from_segments(segments)
    finer = history.refine(3)
    expected = History.from_segments([replace(s, rows=3 * s.rows) for s in segments])
    same_control(finer, expected)
    assert finer.segments == expected.segments
    assert (finer.cycle is None) == (history.cycle is None)
    if finer.cycle is not None:
        assert torch.equal(finer.cycle, expected.cycle)
    assert torch.equal(finer.time[::3], history.time)
    for name, x in history.control.arrays().items():
        assert torch.equal(*torch.broadcast_tensors(finer.control.arrays()[name][::3], x)), name


def test_refined_values_lie_on_straight_lines():
    history = History(times(3), {"E": SR2(strain(3)), "T": [1, 2, 4]})
    finer = history.refine(2)
    assert finer.prescribed["T"].tolist() == [1, 1.5, 2, 3, 4]
    torch.testing.assert_close(finer.prescribed["E"].data[1], strain(3)[:2].mean(0))
    assert isinstance(finer.prescribed["E"], SR2)
    assert len(history.refine(1)) == 3
    with pytest.raises(ValueError, match="refined by 0"):
        history.refine(0)
