from pathlib import Path

import pytest
import torch

from neml2 import InputError, load_input, load_string
from neml2.drivers import History, PrescribedTransient, Trajectory, TransientDriver
from neml2.drivers.from_file import KINDS, Pairs
from neml2.registry import lookup
from neml2.types import Scalar
from tests.drivers.inputs import TEXT


def test_a_driver_runs_and_returns_the_trajectory():
    driver = load_string(TEXT).get_driver("driver")
    assert isinstance(driver, PrescribedTransient)
    trajectory = driver.run()
    assert isinstance(trajectory, Trajectory)
    assert trajectory["stress"].shape == (6, 2, 6)
    assert "[Drivers]" in trajectory.origin.input_text
    torch.testing.assert_close(
        trajectory["y"].data,
        torch.tensor([1.0, 2.0]).double() + 300.0 * torch.linspace(0, 1, 6).double()[:, None],
    )


def test_the_same_as_in_python():
    file = load_string(TEXT)
    history = History(
        file.get_tensor("times"),
        {"E": file.get_tensor("strains")},
        constant={"T": 300.0},
        initial={"y": file.get_tensor("x0")},
    )
    again = TransientDriver(file.get_model("model")).run(history)
    assert torch.equal(again["stress"].data, file.get_driver("driver").run()["stress"].data)


def test_options_of_every_type():
    fields = lookup("TransientDriver").fields
    for kind in KINDS:
        for prefix in ("prescribed", "ic"):
            assert f"{prefix}_{kind.__name__}_names" in fields
            assert fields[f"{prefix}_{kind.__name__}_values"].type is kind
    assert {"model", "prescribed_time", "time", "save_as"} <= set(fields)


@pytest.mark.parametrize("name", ["out.h5", "out.pt"])
def test_save_as(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    text = TEXT.replace("ic_Scalar_values = 'x0'", f"ic_Scalar_values = 'x0'\n    save_as = '{name}'")
    load_string(text).get_driver("driver").run()
    assert (tmp_path / name).exists()
    if name == "out.pt":
        flat = torch.load(tmp_path / name, weights_only=True)
        assert "output.5.stress" in flat
        assert not flat["output.5.stress"].requires_grad


def test_the_place_is_checked_before_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    driver = load_string(TEXT).get_driver("driver")
    monkeypatch.setattr(TransientDriver, "run", lambda *a: pytest.fail("it ran"))
    with pytest.raises(FileNotFoundError, match="no folder"):
        driver.run(save_as="nowhere/out.h5")


MISTAKES = [
    ("SR2_names = 'E'", "SR2_names = 'EE'", "reads no 'EE'; did you mean 'E'", "prescribed_SR2_names"),
    ("SR2_names = 'E'", "SR2_names = 'E E'", "1 values for the 2 names", "prescribed_SR2_values"),
    ("_values = '300'", "_values = 'x0'", "'T' has 2 steps but the time has 6", "prescribed_Scalar_values"),
    ("ic_Scalar_names = 'y'", "ic_Scalar_names = 'z'", "no variable 'z' to start", "ic_Scalar_names"),
    ("'x0'", "'strains'", "is a SR2, but a Scalar is expected", "ic_Scalar_values"),
    ("'strains'", "'3.0'", "needs the name of a SR2", "prescribed_SR2_values"),
    ("linspace(0.0, 1.0, 6", "linspace(1.0, 0.0, 6", "time does not increase at step 1", "prescribed_time"),
    ("0, 2.0]", "0, math.nan]", "'E' is nan at step 0 .*component xy", "prescribed_SR2_values"),
    ("_names = 'T'", "_names = ''", "1 values for the 0 names", "prescribed_Scalar_values"),
    (
        "[Drivers]",
        "[Settings]\n example_batch_shape = '(2; 3)'\n[]\n[Drivers]",
        "declares the sub-batch",
        "ic_",
    ),
]


@pytest.mark.parametrize(("old", "new", "message", "option"), MISTAKES)
def test_mistakes_are_located(old, new, message, option):
    text = TEXT.replace(old, new)
    assert text != TEXT
    with pytest.raises(InputError, match=message) as caught:
        load_string(text).get_driver("driver")
    assert "\n" not in str(caught.value)
    assert text.splitlines()[caught.value.where.line - 1].strip().startswith(option)


def test_a_force_that_is_not_prescribed():
    text = TEXT.replace("    prescribed_Scalar_names = 'T'\n    prescribed_Scalar_values = '300'\n", "")
    with pytest.raises(InputError, match="prescribe 'T'"):
        load_string(text).get_driver("driver")


def test_unknown_settings_are_refused():
    text = TEXT + "[Settings]\n  [example_batch_shape]\n    yy = '(2; 3)'\n  []\n[]\n"
    with pytest.raises(InputError, match="declares 'yy'"):
        load_string(text).get_driver("driver")


def test_pairs():
    options = {"ic_Scalar_names": ["a", "b"], "ic_Scalar_values": [1.0, 2.0]}
    pairs = Pairs(options, "ic_")
    assert pairs.values == {"a": 1.0, "b": 2.0}
    assert pairs.options["a"] == "ic_Scalar_values"
    assert pairs.kinds["b"] is Scalar
    with pytest.raises(ValueError, match="'a' is given twice"):
        Pairs({"ic_Scalar_names": ["a", "a"], "ic_Scalar_values": [1.0, 2.0]}, "ic_")


def test_float32():
    driver = load_string(TEXT).get_driver("driver").to(torch.float32)
    assert driver.run()["stress"].dtype == torch.float32


def test_results_as_scripts_written_for_neml2_find_them(input_file):
    driver = input_file.get_driver("driver")
    with pytest.raises(RuntimeError, match="has not run yet"):
        driver.result()
    assert driver.run()
    flat = driver.result()
    last = driver.nsteps - 1
    assert len(driver.result_in) == len(driver.result_out) == driver.nsteps
    for name, value in driver.result_out[last].items():
        assert torch.equal(flat[f"output.{last}.{name}"], value.data.detach())
        assert not flat[f"output.{last}.{name}"].requires_grad
    for name, value in driver.result_in[1].items():
        assert torch.equal(flat[f"input.1.{name}"], value.data.detach())
    assert any(v.data.requires_grad for v in driver.result_out[last].values())


RECIPE = Path(__file__).parents[2] / "examples" / "recipes" / "linear_elasticity" / "model.i"


def test_control_by_component_carries_nothing_by_default():
    control = load_input(RECIPE).get_driver("test").history.control
    assert float(control.carry.abs().max()) == 0
    assert control.anchor.tolist() == [0] * len(control)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("control_carry = 0", "control by component lacks control_anchor"),
        ("control_carry = 0\n    control_anchor = 0", "control_carry is a number; give a tensor with a row"),
    ],
)
def test_control_by_component_that_is_incomplete(line, message):
    text = RECIPE.read_text().replace("    control_target =", f"    {line}\n    control_target =")
    with pytest.raises(InputError, match=message):
        load_string(text).get_driver("test")


def test_control_by_component_needs_a_target():
    text = RECIPE.read_text().replace("    control_target = 'target'\n", "")
    with pytest.raises(InputError, match="control by component lacks control_target"):
        load_string(text).get_driver("test")
