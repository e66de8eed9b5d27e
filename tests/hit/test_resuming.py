"""Runs of input files go on from their own file, wherever that is, and whatever has become of the input."""

import pytest
import torch

import neml2
from neml2.drivers import Replay, Trajectory
from neml2.drivers.engines.run import Run
from neml2.errors import ConvergenceError
from neml2.hit.resuming import replay
from neml2.solvers.status import Status

TEXT = """
[Tensors]
  [times]
    type = CSVScalar
    csv_file = 'load.csv'
    variable = 't'
  []
  [loads]
    type = CSVScalar
    csv_file = 'load.csv'
    variable = 'load'
  []
  MORE
[]
[Models]
  [rate]
    type = ScalarLinearCombination
    from = 'x load'
    to = 'x_rate'
    weights = WEIGHTS
  []
  [integrate]
    type = ScalarBackwardEulerTimeIntegration
    variable = x
  []
  [residual]
    type = ComposedModel
    models = 'rate integrate'
  []
  [decay]
    type = ImplicitUpdate
    equation_system = system
    solver = newton
  []
[]
[EquationSystems]
  [system]
    type = NonlinearSystem
    model = residual
    unknowns = x
  []
[]
[Solvers]
  [newton]
    type = Newton
  []
[]
[Drivers]
  [run]
    type = TransientDriver
    model = decay
    prescribed_time = times
    prescribed_Scalar_names = load
    prescribed_Scalar_values = loads
  []
[]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an input file and its table; the test runs in an empty one beside it."""
    for name in ("input", "elsewhere"):
        (tmp_path / name).mkdir()
    rows = [f"{0.1 * k},{(k % 4) / 3}" for k in range(9)]
    (tmp_path / "input/load.csv").write_text("\n".join(["t,load", *rows]))
    write(tmp_path / "input", TEXT)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "input"


def write(folder, text, weights="'-2 2'", more=""):
    (folder / "input.i").write_text(text.replace("WEIGHTS", weights).replace("MORE", more))


def driver(folder):
    return neml2.load_input(folder / "input.i").get_driver("run")


@pytest.fixture
def interrupted(folder, monkeypatch):
    """Leaves a run of the input file after some rows."""

    def tick(self, rows=1):
        self.seen = getattr(self, "seen", 0) + rows
        if self.seen >= 4:
            raise KeyboardInterrupt

    def leave(path):
        with monkeypatch.context() as patch:
            patch.setattr(Run, "tick", tick)
            with pytest.raises(KeyboardInterrupt):
                driver(folder).run(output=path)

    return leave


def test_a_run_goes_on_without_its_input_and_its_tables(folder, interrupted):
    whole = driver(folder).run(output="whole.h5")
    interrupted("run.h5")
    for file in folder.iterdir():
        file.unlink()
    found = neml2.resume("run.h5")
    assert torch.equal(found["x"].data, whole["x"].data)
    assert len(found) == 9
    with pytest.raises(ValueError, match="run.h5 is complete"):
        neml2.resume("run.h5")


def test_parameters_are_those_of_the_run(folder, interrupted):
    changed = driver(folder)
    changed.model.set_parameter("residual.rate.weight_0", -5.0)
    whole = changed.run()
    interrupted("plain.h5")
    assert not torch.equal(neml2.resume("plain.h5")["x"].data, whole["x"].data)


def test_a_model_that_needs_a_table_says_where_it_is_looked_for(folder, interrupted, monkeypatch):
    more = "[w]\n type = CSVScalar\n csv_file = 'weight.csv'\n variable = 'w'\n []"
    write(folder, TEXT, weights="'w 2'", more=more)
    (folder / "weight.csv").write_text("w\n-2\n")
    interrupted("run.h5")
    with pytest.raises(ValueError, match=r"cannot be built .*weight.csv.* from the folder where this runs"):
        neml2.resume("run.h5")
    monkeypatch.chdir(folder)
    assert len(neml2.resume("../elsewhere/run.h5")) == 9


def test_a_run_made_in_python_needs_its_model(folder, interrupted):
    given = driver(folder)
    interrupted("input.h5")
    model = neml2.resume("input.h5", given.model)
    assert isinstance(model, Trajectory)
    plain = neml2.TransientDriver(given.model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "tick", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            plain.run(given.history, output="plain.h5")
    with pytest.raises(ValueError, match="plain.h5 was not that of an input file; give its model as well"):
        neml2.resume("plain.h5")
    assert len(neml2.resume("plain.h5", plain)) == 9


def test_a_failed_step_is_taken_again_without_the_tables(folder):
    hopeless = "type = Newton\n    max_its = 1\n    abs_tol = 0\n    rel_tol = 0"
    write(folder, TEXT.replace("type = Newton", hopeless))
    with pytest.raises(ConvergenceError) as stop:
        driver(folder).run(replay="failed.h5")
    for file in folder.iterdir():
        file.unlink()
    again = replay(Replay.load("failed.h5"))
    assert torch.equal(again.status.flatten(), stop.value.status.flatten())
    assert (again.status == Status.MAX_ITERATIONS).all()
