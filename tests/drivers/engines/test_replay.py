"""A failed step can be taken again, alone, from a file."""

from __future__ import annotations

import pytest
import torch

from neml2.drivers import TransientDriver
from neml2.drivers.engines.replay import Replay
from neml2.errors import ConvergenceError
from neml2.solvers.status import Status
from tests.drivers.materials import snap, times


@pytest.fixture(params=["eager", "native"])
def failure(request):
    """The error of a run of five points, of which 1 and 3 fail at step 3."""
    load = torch.linspace(0, 0.5, 6, dtype=torch.float64)[:, None] * torch.ones(5, dtype=torch.float64)
    bad = torch.zeros_like(load)
    bad[3:, [1, 3]] = 4.0
    with torch.no_grad(), pytest.raises(ConvergenceError) as stop:
        TransientDriver(snap(), engine=request.param).run({"t": times(6), "load": load, "bad": bad})
    return stop.value


def test_the_error_carries_the_step(failure):
    replay = failure.replay
    assert replay.points == (1, 3)
    assert replay.step == 3
    assert replay.time == float(times(6)[3])
    assert "2 of 5 points" in replay.message
    assert replay.forces["bad"].data.tolist() == [4.0, 4.0]
    torch.testing.assert_close(replay.state["x"].data, torch.full((2,), 0.2, dtype=torch.float64))
    assert "Newton" in replay.solvers


def test_it_fails_again_from_a_file(failure, tmp_path):
    failure.replay.save(tmp_path / "bundle.h5")
    again = Replay.load(tmp_path / "bundle.h5")
    assert again.points == (1, 3)
    result = again.run(snap(g=7.0))  # the parameter is that of the run
    assert (result.status != Status.CONVERGED).all()
    healed = Replay(**{**vars(again), "forces": again.forces | {"bad": again.forces["bad"] * 0.0}})
    assert (healed.run(snap()).status == Status.CONVERGED).all()


def test_what_is_no_bundle(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Replay.load(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(ValueError, match="is no replay bundle"):
        Replay.load(tmp_path / "text.h5")
