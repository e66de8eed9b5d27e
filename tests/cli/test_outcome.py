"""What comes of a run: files, summaries, and what is said of one that fails or is stopped."""

import errno
import json
import os
import signal

import pytest
import torch

from neml2 import Trajectory
from neml2.cli import run
from neml2.drivers.files.rows import Rows
from tests.cli.inputs import GOOD, variant


def test_failure_keeps_what_was_done(folder, capsys):
    path = variant(folder, ("max_its = 30", "max_its = 4"))
    code = run.main([path, "-o", "part.h5"])
    out, err = capsys.readouterr()
    assert code == 1 and out == ""
    first, *rest = err.splitlines()
    assert first.startswith("step 1 of 5") and "try --on-failure substep" in first
    del rest


def test_failure_later_keeps_the_steps_before(folder, capsys):
    late = (
        "SR2(torch.linspace(0.0, 0.01, 6).reshape(6, 1) * torch.tensor([1.0, -0.5, -0.5, 0.0, 0.0, 0.0]))",
        "SR2(torch.tensor([0, 1e-4, 2e-4, 3e-4, 0.2, 0.3]).reshape(6, 1)"
        " * torch.tensor([1.0, -0.5, -0.5, 0, 0, 0]))",
    )
    path = variant(folder, late, ("max_its = 30", "max_its = 8"))
    assert run.main([path, "-o", "part.h5", "--plot", "part.png"]) == 1
    err = capsys.readouterr().err.splitlines()
    assert "step 4 of 5" in err[0]
    assert err[1:] == [
        "3 steps had been done; they are in part.partial.h5",
        "picture in part.png: stress.xx over strain.xx, darker with time",
        "neml2-run --replay part.replay.h5 takes the step again that failed",
        "neml2-run --resume part.h5 --on-failure substep goes on",
    ]
    assert len(Trajectory.from_hdf5("part.partial.h5")) == 4
    assert run.main(["--replay", "part.replay.h5"]) == 1
    seen = capsys.readouterr()
    assert "Newton did not converge" in seen.err
    assert "point 0: the residual was still too large" in seen.out
    assert run.main(["replay", "part.replay.h5"]) == 1
    assert run.main(["--resume", "part.h5", "--on-failure", "freeze"]) == 1
    assert "no point got to the end" in capsys.readouterr().err
    assert Trajectory.from_hdf5("part.h5").status.tolist()[3:] == [0, 1, 4]
    assert run.main(["--replay", "none.h5"]) == 2
    assert "there is no file none.h5" in capsys.readouterr().err.splitlines()[-1]
    assert run.main([path]) == 1
    assert "they are lost; -o FILE keeps them" in capsys.readouterr().err


def test_ways_to_go_on(folder, capsys):
    late = (
        "SR2(torch.linspace(0.0, 0.01, 6).reshape(6, 1) * torch.tensor([1.0, -0.5, -0.5, 0.0, 0.0, 0.0]))",
        "SR2(torch.linspace(0, 1, 6).reshape(6, 1, 1) * torch.tensor([1e-4, 0.02]).reshape(2, 1)"
        " * torch.tensor([1.0, -0.5, -0.5, 0, 0, 0]))",
    )
    path = variant(folder, late, ("max_its = 30", "max_its = 12"))
    assert run.main([path]) == 1
    capsys.readouterr()
    assert run.main([path, "--on-failure", "freeze"]) == 0
    assert "1 of 2 points failed and were frozen" in capsys.readouterr().out
    assert run.main([path, "--on-failure", "substep"]) == 0
    assert "every point converged" in capsys.readouterr().out
    both = variant(
        folder,
        late,
        ("max_its = 30", "max_its = 12"),
        ("torch.tensor([1e-4, 0.02])", "torch.tensor([0.02, 0.02])"),
    )
    assert run.main([both, "--on-failure", "freeze"]) == 1
    assert "no point got to the end" in capsys.readouterr().err


@pytest.fixture
def stopped_at_3(monkeypatch):
    """Something happens in the middle of step 3, once."""
    from neml2.drivers.engines.eager import EagerMarch

    step = EagerMarch._step

    def at_3(number):
        def stopped(self, k):
            if k == 3:
                monkeypatch.setattr(EagerMarch, "_step", step)
                os.kill(os.getpid(), number)
            return step(self, k)

        monkeypatch.setattr(EagerMarch, "_step", stopped)

    return at_3


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_completes_the_step_and_the_run_goes_on(folder, capsys, stopped_at_3, number, code, word):
    before = signal.getsignal(number)
    stopped_at_3(number)
    assert run.main([GOOD, "-o", "part.h5"]) == code
    assert capsys.readouterr().err.splitlines() == [
        word,
        "3 steps had been done; they are in part.partial.h5",
        "neml2-run --resume part.h5 goes on",
    ]
    assert signal.getsignal(number) is before
    assert len(Trajectory.from_hdf5("part.partial.h5")) == 4
    assert run.main([GOOD, "-o", "part.h5"]) == 2
    assert capsys.readouterr().err == (
        f"part.partial.h5 holds 4 of 6 steps of an interrupted run ({word});"
        " neml2-run --resume part.h5 goes on with it, --overwrite starts anew\n"
    )
    assert run.main(["--resume", "part.h5"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "results in part.h5"
    assert run.main([GOOD, "-o", "whole.h5", "--quiet"]) == 0
    a, b = Trajectory.from_hdf5("part.h5"), Trajectory.from_hdf5("whole.h5")
    assert all(torch.equal(a[n].data.nan_to_num(), b[n].data.nan_to_num()) for n in b.names)
    assert run.main(["--resume", "part.h5"]) == 2
    assert "part.h5 is complete; there is nothing to resume" in capsys.readouterr().err
    assert run.main(["--resume", "other.h5"]) == 2
    assert "there is neither other.partial.h5 nor other.h5" in capsys.readouterr().err
    assert run.main(["--resume", "."]) == 2
    assert ". is a folder; give the name of the result, such as run.h5" in capsys.readouterr().err


def test_summary_as_json_and_what_to_save(folder, capsys):
    assert run.main([GOOD, "--json", "--save", "stress, von_mises(stress)", "-o", "some.h5"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == 5
    assert told["succeeded"]
    assert {"stress", "von_mises(stress)"} <= told["variables"].keys()
    assert "von_mises(stress)" in Trajectory.from_hdf5("some.h5")
    assert run.main([GOOD, "--save", "stres"]) == 2
    assert "cannot save 'stres'; did you mean 'stress'" in capsys.readouterr().err


def test_save_as_of_the_input(folder, capsys):
    path = variant(folder, ("    prescribed_time", "    save_as = 'result.pt'\n    prescribed_time"))
    assert run.main([path]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "results in result.pt"
    assert "output.5.stress" in torch.load("result.pt", weights_only=True)


def test_a_full_disk_is_told_once(folder, capsys, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neml2.drivers.files.rows.Rows.append", full)
    assert run.main([GOOD, "-o", "out.h5"]) == 1
    told = capsys.readouterr().err
    assert told.count("cannot") == 1
    assert "cannot write out.partial.h5: No space left on device" in told


def test_a_disk_that_becomes_full_keeps_the_rows_before(folder, capsys, monkeypatch):
    append = Rows.append

    def fills(self, columns, numbers, **options):
        if numbers[0] > 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, columns, numbers, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "append", fills)
        assert run.main([GOOD, "-o", "out.h5"]) == 1
    assert capsys.readouterr().err == (
        "cannot write out.partial.h5: No space left on device; the 2 rows before are safe in out.partial.h5,"
        " and neml2-run --resume goes on with them\n"
    )
    assert run.main(["--resume", "out.h5", "--quiet"]) == 0
    assert len(Trajectory.from_hdf5("out.h5")) == 6
