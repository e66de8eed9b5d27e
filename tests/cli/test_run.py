"""`neml2-run`: its arguments, drivers, overrides and comparisons."""

import subprocess
import sys

import pytest
import torch

from neml2 import Trajectory
from neml2.cli import run
from tests.cli.inputs import GOOD, variant


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


def test_single_precision(folder, capsys):
    path = variant(folder, ("abs_tol = 1e-9", "abs_tol = 1e-5"))
    assert run.main([path, "--dtype", "float32", "-o", "out.h5", "--quiet"]) == 0
    assert Trajectory.from_hdf5("out.h5")["stress"].data.dtype is torch.float32


def test_set_is_an_override(folder, capsys):
    assert run.main([GOOD, "--set", "Solvers/newton/max_its=1"]) == 1
    assert "after 1 iterations" in capsys.readouterr().err
    several = "Models/elasticity/coefficients=2e5 0.3"  # a shell has taken the quotes off
    assert run.main([GOOD, "--set", several, "--quiet"]) == 0
    assert run.main([GOOD, several.replace("=", ":="), "--quiet"]) == 0
    assert run.main([GOOD, "--set", "max_its"]) == 2
    assert "--set max_its: write Section/block/option=value" in capsys.readouterr().err


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


@pytest.mark.parametrize("tool", ["run", "inspect", "syntax"])
def test_tools_run_as_modules(tool):
    shown = subprocess.run(
        [sys.executable, "-m", f"neml2.cli.{tool}", "--version"], capture_output=True, text=True
    )
    assert shown.stdout.startswith("neml2 ")
