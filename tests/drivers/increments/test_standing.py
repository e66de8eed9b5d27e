"""Where points stand: what is written in place, what is kept for others, and checkpoints of it."""

import pytest
import torch

from neml2.drivers.histories.history import History
from neml2.drivers.increments.increments import Gauge, Increments
from neml2.drivers.increments.standing import Standing
from neml2.step import StateUpdate
from neml2.types import Scalar
from tests.drivers.materials import decay, times

F64 = torch.float64
ONE = torch.tensor([1])


@pytest.fixture
def standing():
    update = StateUpdate(decay())
    start = torch.tensor([1.0, 2.0, 3.0], dtype=F64)
    history = History(times(3), {"load": torch.zeros(3, 3, dtype=F64)}, initial={"x": start})
    return Standing.initial(update, history.bind(update), Gauge(Increments(tolerance=1e-3), update))


def scalar(*numbers):
    return {"x": Scalar(torch.tensor(numbers, dtype=F64))}


def test_points_start_from_the_initial_values_with_no_history_before_them(standing):
    assert len(standing) == 3 and standing.state["x"].data.tolist() == [1.0, 2.0, 3.0]
    assert standing.old["load"].data.tolist() == [0.0, 0.0, 0.0]
    assert standing.rates["x"].data.isnan().all() and standing.size.isinf().all()
    assert not standing.late.any() and not standing.failed.any() and not standing.wary.any()


def test_some_points_are_replaced_in_place_but_not_in_a_graph(standing):
    before = standing.state["x"].data
    standing.state = standing.put(standing.state, ONE, scalar(7.0))
    assert standing.state["x"].data is before and before.tolist() == [1.0, 7.0, 3.0]
    standing.tracked = True
    standing.state = standing.put(standing.state, ONE, scalar(8.0))
    assert before.tolist() == [1.0, 7.0, 3.0] and standing.state["x"].data.tolist() == [1.0, 8.0, 3.0]


def test_a_value_that_was_not_there_is_zero_at_the_other_points(standing):
    found = standing.put({}, ONE, scalar(5.0))
    assert found["x"].data.tolist() == [0.0, 5.0, 0.0]


def test_what_was_left_to_others_is_not_written_to(standing):
    row, clock = standing.outputs["x"].data, standing.time
    standing.leave()
    standing.outputs = standing.put(standing.outputs, ONE, scalar(9.0))
    standing.time[ONE] = 4.0
    assert row.tolist() == [1.0, 2.0, 3.0] and not clock.any()


def test_a_checkpoint_is_a_copy_that_comes_back_to_the_bit(standing):
    standing.size[ONE], standing.idle[ONE], standing.wary[ONE] = 0.1, 7, True
    standing.anchored = scalar(0.1, 0.2, 0.3)
    saved = standing.checkpoint()
    kept = {n: t.clone() for n, t in saved.items()}
    standing.size.fill_(1.0)
    standing.state["x"].data.zero_()
    standing.scales["x"].fill_(2.0)
    assert all(torch.equal(t, kept[n]) for n, t in saved.items() if n != "rates/x")
    standing.restore(saved, {"x": Scalar, "load": Scalar, "t": Scalar, "x_rate": Scalar})
    again = standing.checkpoint()
    assert again.keys() == kept.keys()
    assert all(torch.equal(t.nan_to_num(7.0), kept[n].nan_to_num(7.0)) for n, t in again.items())
    assert standing.size[1] == 0.1 and standing.anchored["x"].data.tolist() == [0.1, 0.2, 0.3]
