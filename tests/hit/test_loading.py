import sys

import pytest
import torch

import neml2
from neml2 import registry
from neml2.hit import load_extension, load_input, load_model, load_nonlinear_system, load_string

TEXT = """
[Models]
  [rate]
    type = ScalarVariableRate
    variable = 'x'
  []
  [integrate]
    type = ScalarBackwardEulerTimeIntegration
    variable = 'y'
  []
[]
[EquationSystems]
  [system]
    type = NonlinearSystem
    model = 'integrate'
    unknowns = 'y'
  []
[]
"""
EXTENSION = '''
from neml2 import Model, Input, Output, Scalar


class {name}(Model):
    """Twice a value."""

    x: Scalar = Input("A value")
    y: Scalar = Output("Twice the value")

    def forward(self, x):
        return 2.0 * x
'''


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "input.i"
    path.write_text(TEXT)
    return path


@pytest.fixture
def forget():
    names, modules, folders = set(registry._entries), set(sys.modules), list(sys.path)
    yield
    for name in set(registry._entries) - names:
        del registry._entries[name]
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    sys.path[:] = folders


def test_a_model_and_a_system_of_a_file(path):
    assert list(load_model(path, "rate").output_spec) == ["x_rate"]
    assert load_nonlinear_system(path, "system").unknown_names == ("y",)
    assert neml2.load_input(str(path)).get_model("rate").name == "rate"


def test_overrides_win_in_their_order(path):
    file = load_input(path, post=["Models/rate/variable:=a"], additional_args=["Models/rate/variable:=b"])
    assert list(file.get_model("rate").output_spec) == ["b_rate"]
    text = "[Models/c]\n type = ScalarConstantParameter\n value = ${v}\n[]"
    assert load_string(text, pre=["v = 3"]).get_model("c").value.data.item() == 3.0


def test_an_override_with_a_slip_is_located(path):
    with pytest.raises(
        ValueError, match=r"<override 1>:1:1: \[Models/rate\] has no option 'variabel'; did you mean"
    ):
        load_input(path, additional_args=["Models/rate/variabel:=b"]).get_model("rate")


def test_trusted_input_runs_python():
    text = "[Tensors/x]\n type = Python\n expr = 'Scalar(float(\"1\".zfill(3)))'\n[]".replace('"', "")
    text = "[Tensors/x]\n type = Python\n expr = '''Scalar(float('1'.zfill(3)))'''\n[]"
    with pytest.raises(ValueError, match="trust_input=True"):
        load_string(text).get_tensor("x")
    assert load_string(text, trust_input=True).get_tensor("x").data.item() == 1.0


def test_device_and_dtype_are_accepted(path):
    assert load_model(path, "rate", device="cpu", dtype=torch.float64).name == "rate"


@pytest.mark.parametrize("form", ["file", "package", "module"])
def test_extensions_in_three_forms(tmp_path, forget, monkeypatch, form):
    name = f"Twice{form.title()}"
    code = EXTENSION.format(name=name)
    if form == "package":
        (tmp_path / "mine_package").mkdir()
        (tmp_path / "mine_package" / "__init__.py").write_text("from . import inner\n")
        (tmp_path / "mine_package" / "inner.py").write_text(code)
        loaded = load_extension(str(tmp_path / "mine_package"))
        assert loaded.__name__ == "_neml2_ext_mine_package"
    elif form == "file":
        (tmp_path / "mine_helper.py").write_text("")
        (tmp_path / "mine.py").write_text("import mine_helper\n" + code)
        assert load_extension(str(tmp_path / "mine.py")).__name__ == "_neml2_ext_mine"
    else:
        (tmp_path / "mine_module.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        load_extension("mine_module")
    model = load_string(f"[Models/m]\n type = {name}\n[]").get_model("m")
    assert model(neml2.Scalar(2.0)).data.item() == 4.0


def test_what_cannot_be_loaded(tmp_path, forget):
    (tmp_path / "empty").mkdir()
    for name in (str(tmp_path / "none.py"), str(tmp_path / "empty"), "no_such_module", ""):
        with pytest.raises(
            ImportError, match=r"give a \.py file, a folder with an __init__\.py, or the dotted name"
        ):
            load_extension(name)
    (tmp_path / "broken.py").write_text("import no_such_module_at_all")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        load_extension(str(tmp_path / "broken.py"))
    assert "_neml2_ext_broken" not in sys.modules
