"""What a run with increments of its own says when a point fails."""

import pytest
import torch

from neml2 import ConvergenceError
from neml2.drivers import History, Increments, TransientDriver
from tests.drivers.materials import snap, times

F64 = torch.float64


def failing():
    """Two points of which the second has no solution at the last row."""
    load = torch.linspace(0, 0.2, 3, dtype=F64)[:, None].expand(3, 2)
    bad = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 3.0]], dtype=F64)
    return History(times(3), {"load": load, "bad": bad})


@torch.no_grad()
@pytest.mark.parametrize(
    ("increments", "remedy"),
    [
        (None, r"try increments=Increments\(\), which cuts where a step fails, or on_failure='freeze'"),
        (Increments(smallest=0.25), r"try on_failure='freeze', or increments with a smaller smallest="),
    ],
)
def test_a_failure_says_what_to_try(increments, remedy):
    with pytest.raises(ConvergenceError, match=f"step 2 of 2: .* at 1 of 2 points; {remedy}") as caught:
        TransientDriver(snap()).run(failing(), events=["x > 100"], increments=increments)
    assert len(caught.value.trajectory) == 2 and caught.value.step == 2
