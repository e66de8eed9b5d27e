import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from matplotlib.colors import to_hex

from neml2 import Trajectory
from neml2.cli import picture, run
from neml2.drivers.files.rows import Rows
from neml2.drivers.pictures import drawing

FOLDER = Path(__file__).parents[1] / "bad_input"
GOOD = str(FOLDER / "good.i")

OSCILLATOR = """
[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0, 10, 51))'
  []
  [rates]
    type = Python
    expr = 'Scalar(torch.cos(torch.linspace(0, 10, 51)).unsqueeze(-1) * torch.linspace(1, 2, 12))'
  []
[]
[Drivers]
  [driver]
    type = TransientDriver
    model = 'integral'
    prescribed_time = 'times'
    prescribed_Scalar_names = 'x_rate'
    prescribed_Scalar_values = 'rates'
  []
[]
[Models]
  [integral]
    type = ScalarForwardEulerTimeIntegration
    variable = 'x'
  []
[]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def variant(folder, *edits, more=""):
    """A copy of the good input with edits, and with more text after it."""
    text = Path(GOOD).read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (folder / "input.i").write_text(text + more)
    return "input.i"


def test_run_prints_a_summary_and_where_results_went(folder, capsys):
    assert run.main([GOOD, "driver", "-o", "out.h5", "--plot", "out.png"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("6 steps, one point, t from 0 to 1\n")
    assert out.splitlines()[-2:] == [
        "results in out.h5",
        "picture in out.png: stress.xx over strain.xx, darker with time",
    ]
    trajectory = Trajectory.from_hdf5("out.h5")
    assert len(trajectory) == 6 and trajectory.succeeded
    assert (folder / "out.png").stat().st_size > 10_000


def test_quiet(folder, capsys):
    assert run.main([GOOD, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_driver_must_be_named_when_there_are_several(folder, capsys):
    second = (
        "[Drivers]\n  [other]\n    type = TransientDriver\n    model = 'model'\n"
        "    prescribed_time = 'times'\n    prescribed_SR2_names = 'strain'\n"
        "    prescribed_SR2_values = 'strains'\n  []\n[]\n"
    )
    path = variant(folder, more=second)
    assert run.main([path]) == 2
    assert capsys.readouterr().err == "input.i: the input has 2 drivers: driver, other; say which\n"
    assert run.main([path, "other", "--quiet"]) == 0
    (folder / "library.i").write_text("[Solvers]\n  [lu]\n    type = DenseLU\n  []\n[]\n")
    assert run.main(["library.i"]) == 2
    assert "has no [Drivers]" in capsys.readouterr().err


def test_overrides(folder, capsys):
    assert run.main([GOOD, "Models/hardening/saturated_hardening:=0", "driver", "-o", "soft.h5"]) == 0
    assert run.main([GOOD, "-o", "hard.h5"]) == 0
    soft, hard = (Trajectory.from_hdf5(f)["stress"].data[-1, 0].item() for f in ("soft.h5", "hard.h5"))
    assert soft < hard - 1


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


def test_single_precision(folder, capsys):
    path = variant(folder, ("abs_tol = 1e-9", "abs_tol = 1e-5"))
    assert run.main([path, "--dtype", "float32", "-o", "out.h5", "--quiet"]) == 0
    assert Trajectory.from_hdf5("out.h5")["stress"].data.dtype is torch.float32


def test_save_as_of_the_input(folder, capsys):
    path = variant(folder, ("    prescribed_time", "    save_as = 'result.pt'\n    prescribed_time"))
    assert run.main([path]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "results in result.pt"
    assert "output.5.stress" in torch.load("result.pt", weights_only=True)


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


def test_set_is_an_override(folder, capsys):
    assert run.main([GOOD, "--set", "Solvers/newton/max_its=1"]) == 1
    assert "after 1 iterations" in capsys.readouterr().err
    several = "Models/elasticity/coefficients=2e5 0.3"  # a shell has taken the quotes off
    assert run.main([GOOD, "--set", several, "--quiet"]) == 0
    assert run.main([GOOD, several.replace("=", ":="), "--quiet"]) == 0
    assert run.main([GOOD, "--set", "max_its"]) == 2
    assert "--set max_its: write Section/block/option=value" in capsys.readouterr().err


def test_summary_as_json_and_what_to_save(folder, capsys):
    assert run.main([GOOD, "--json", "--save", "stress, von_mises(stress)", "-o", "some.h5"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == 5
    assert told["succeeded"]
    assert {"stress", "von_mises(stress)"} <= told["variables"].keys()
    assert "von_mises(stress)" in Trajectory.from_hdf5("some.h5")
    assert run.main([GOOD, "--save", "stres"]) == 2
    assert "cannot save 'stres'; did you mean 'stress'" in capsys.readouterr().err


def test_completion_is_printed(capsys):
    assert run.main(["--completion", "bash"]) == 0
    assert "neml2-run" in capsys.readouterr().out
    assert run.main([]) == 2
    assert "INPUT" in capsys.readouterr().err


CHECKS = """
[Drivers]
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold.pt'
  []
[]
"""


def test_regression(folder, capsys):
    path = variant(folder)
    assert run.main([path, "-o", "gold.pt", "--quiet"]) == 0
    path = variant(folder, more=CHECKS)
    assert run.main([path, "regression"]) == 0
    assert "entries agree" in capsys.readouterr().out
    assert run.main([path, "regression", "Models/flow_rate/exponent:=4"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "entries differ" in err and "stress" in err
    assert run.main([path, "regression", "-o", "x.h5"]) == 2
    assert "has no trajectory to write" in capsys.readouterr().err
    (folder / "gold.pt").write_bytes(b"not a file of torch")
    assert run.main([path, "regression"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("input.i:") and "gold.pt" in err and err.count("\n") == 1


def test_verification_and_unit_test(folder, capsys):
    more = """
[Tensors]
  [last]
    type = Python
    expr = 'Scalar(STRAIN)'
  []
  [unit_strain]
    type = Python
    expr = 'SR2.fill(1.0, 0, 0, 0, 0, 0)'
  []
  [unit_stress]
    type = Python
    expr = 'SR2.fill(STRESS)'
  []
[]
[Drivers]
  [verification]
    type = Verification
    driver = 'driver'
    time_steps = '5'
    Scalar_names = 'output.equivalent_plastic_strain'
    Scalar_values = 'last'
  []
  [unit]
    type = ModelUnitTest
    model = 'elasticity'
    input_SR2_names = 'elastic_strain'
    input_SR2_values = 'unit_strain'
    output_SR2_names = 'stress'
    output_SR2_values = 'unit_stress'
  []
[]
"""
    assert run.main([GOOD, "-o", "out.h5", "--quiet"]) == 0
    strain = Trajectory.from_hdf5("out.h5")["equivalent_plastic_strain"].data[-1].item()
    E, nu = 64000.0, 0.31
    lame = E * nu / (1 + nu) / (1 - 2 * nu)
    stress = f"{lame + E / (1 + nu)}, {lame}, {lame}, 0, 0, 0"
    path = variant(folder, more=more.replace("STRAIN", str(strain)).replace("STRESS", stress))
    assert run.main([path, "verification"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert run.main([path, "unit"]) == 0
    assert "1 outputs" in capsys.readouterr().out
    assert run.main([path, "verification", "Models/flow_rate/exponent:=4"]) == 1
    assert run.main([path, "unit", "Models/elasticity/coefficients:='64000 0.3'"]) == 1


def test_trusted_input_runs_python(folder, capsys):
    path = variant(folder, ("Scalar(0.001)", "Scalar(sorted({0.001, 0.002})[0])"))
    assert run.main([path]) == 2
    assert "--trust-input" in capsys.readouterr().err
    assert run.main([path, "--trust-input", "--quiet"]) == 0


def test_a_hardening_law_of_ones_own(folder, capsys):
    (folder / "mine.py").write_text(
        "from neml2 import Model, Input, Output, Parameter, Scalar\n"
        "class QuadraticHardeningOfMine(Model):\n"
        '    """Hardening with the square of the strain."""\n'
        '    equivalent_plastic_strain: Scalar = Input("Accumulated plastic strain")\n'
        '    isotropic_hardening: Scalar = Output("Hardening")\n'
        '    H: Scalar = Parameter("modulus", "Its modulus")\n'
        "    def forward(self, ep, H):\n"
        "        return H * ep * ep\n"
    )
    law = "type = VoceIsotropicHardening\n    saturated_hardening = 90\n    saturation_rate = 10"
    path = variant(folder, (law, "type = QuadraticHardeningOfMine\n    modulus = 1e4"))
    assert run.main([path, "--load", "mine.py", "--quiet"]) == 0


# -------------------------------------------------------------------- pictures


def trajectory_of(path, folder):
    assert run.main([str(path), "-o", "out.h5", "--quiet"]) == 0
    return Trajectory.from_hdf5("out.h5")


def test_loops_of_many_points(folder):
    many = (
        "* torch.tensor([1.0, -0.5, -0.5, 0.0, 0.0, 0.0])",
        ".unsqueeze(1) * torch.linspace(0.1, 1, 20).reshape(20, 1) * torch.tensor([0, 0, 0, 0, 0, 1.0])",
    )
    trajectory = trajectory_of(variant(folder, many), folder)
    assert picture.loop(trajectory) == ("strain.xy", "stress.xy")
    seen = picture.draw(trajectory, "out.png")
    assert seen == "stress.xy over strain.xy, 9 of 20 points, darker with time"


def test_results_over_time(folder):
    (folder / "input.i").write_text(OSCILLATOR)
    trajectory = trajectory_of("input.i", folder)
    assert picture.loop(trajectory) is None
    assert picture.draw(trajectory, "out.svg") == "x over time, 9 of 12 points"
    assert os.path.getsize("out.svg") > 10_000
    figure, _ = picture._courses(trajectory)
    assert to_hex(figure.axes[0].lines[-1].get_color()) == drawing.INK[-1]  # one line is not a pale one


def test_an_old_picture_outlives_a_full_disk(folder, monkeypatch):
    from matplotlib.figure import Figure

    (folder / "input.i").write_text(OSCILLATOR)
    trajectory = trajectory_of("input.i", folder)
    picture.draw(trajectory, "out.png")
    old = Path("out.png").read_bytes()

    def full(self, path, **kwargs):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="No space left"):
        picture.draw(trajectory, "out.png")
    assert Path("out.png").read_bytes() == old
    assert sorted(p.name for p in folder.iterdir()) == ["input.i", "out.h5", "out.png"]


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


@pytest.mark.parametrize("tool", ["run", "inspect", "syntax"])
def test_tools_run_as_modules(tool):
    shown = subprocess.run(
        [sys.executable, "-m", f"neml2.cli.{tool}", "--version"], capture_output=True, text=True
    )
    assert shown.stdout.startswith("neml2 ")


def test_clocks_of_different_speed(folder):
    fast_and_slow = OSCILLATOR.replace(
        "Scalar(torch.linspace(0, 10, 51))",
        "Scalar(torch.linspace(0, 10, 51).unsqueeze(-1) * torch.logspace(0, 3, 12))",
    )
    (folder / "input.i").write_text(fast_and_slow)
    figure, _ = picture._courses(trajectory_of("input.i", folder))
    assert figure.get_supxlabel() == "time, from its start to its end"
    assert max(max(line.get_xdata()) for line in figure.axes[0].lines) == 1
