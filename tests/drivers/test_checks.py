import pytest
import torch

from neml2 import InputError, ModelUnitTest, load_input, load_string
from neml2.drivers import Comparison, save
from tests.drivers.test_from_file import TEXT

CHECKS = """
[Tensors]
  [end]
    type = Python
    expr = 'Scalar(torch.tensor([301.0, 302.0], dtype=torch.float64))'
  []
  [rows]
    type = Python
    expr = 'Scalar(torch.tensor([[0.0, 0.0], [121.0, 122.0]], dtype=torch.float64))'
  []
[]
[Drivers]
  [regression]
    type = TransientRegression
    driver = 'driver'
    reference = 'gold.pt'
  []
  [last]
    type = Verification
    driver = 'driver'
    time_steps = '5'
    Scalar_names = 'output.y'
    Scalar_values = 'end'
  []
  [several]
    type = Verification
    driver = 'driver'
    time_steps = '0 2'
    Scalar_names = 'output.y_none'
    Scalar_values = 'rows'
  []
  [unit]
    type = ModelUnitTest
    model = 'elasticity'
    input_SR2_names = 'E'
    input_SR2_values = 'one_strain'
    output_SR2_names = 'stress'
    output_SR2_values = 'one_stress'
  []
[]
[Tensors]
  [one_strain]
    type = Python
    expr = 'SR2.fill(0.01, 0.0, 0.0, 0.0, 0.0, 0.0)'
  []
  [one_stress]
    type = Python
    expr = 'SR2.fill(1346.1538461538462, 576.9230769230769, 576.9230769230769, 0.0, 0.0, 0.0)'
  []
[]
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "input.i").write_text(TEXT + CHECKS.replace("output.y_none", "output.y"))
    return load_input(tmp_path / "input.i")


def test_regression(file, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gold\.pt"):
        file.get_driver("regression").run()
    trajectory = file.get_driver("driver").run()
    save(trajectory, tmp_path / "gold.pt")
    report = file.get_driver("regression").run()
    assert report
    assert report.compared == len(trajectory.to_dict())
    assert "all" in str(report)


def test_regression_lists_ten_mismatches(file, tmp_path):
    flat = file.get_driver("driver").run().to_dict()
    flat = {k: v + 1.0 if k.startswith("output") else v for k, v in flat.items()}
    flat["output.1.nonsense"] = torch.zeros(3)
    flat["output.5.y"] = torch.zeros(7, 7)
    torch.save(flat, tmp_path / "gold.pt")
    with pytest.raises(AssertionError) as caught:
        file.get_driver("regression").run()
    lines = str(caught.value).splitlines()
    assert len(lines) == 12
    assert "max absolute difference 1.000e+00" in lines[1]
    assert "relative" in lines[1]
    assert lines[-1].strip().startswith("... and ")


def test_regression_against_our_own_files(file, tmp_path):
    from neml2.drivers import TransientRegression

    driver = file.get_driver("driver")
    save(driver.run(), tmp_path / "gold.h5")
    assert TransientRegression(driver, "gold.h5", directory=tmp_path, rtol=1e-12).run()


def test_verification(file):
    assert file.get_driver("last").run()
    with pytest.raises(AssertionError, match=r"output.0.y: max absolute difference"):
        file.get_driver("several").run()  # the initial value is 1 and 2, not 0


def test_what_a_step_lacks_counts_as_zero(tmp_path):
    text = TEXT.replace("ic_Scalar_names = 'y'", "").replace("ic_Scalar_values = 'x0'", "")
    checks = CHECKS.replace("output.y_none", "output.y").replace("[121.0, 122.0]", "[120.0, 120.0]")
    assert load_string(text + checks).get_driver("several").run()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("output.y_none", "y", "neither 'input.<name>' nor 'output.<name>'"),
        ("time_steps = '0 2'", "time_steps = '0 1 2'", "needs 3 rows"),
        ("time_steps = '0 2'", "time_steps = '0 9'", "no step 9"),
        ("time_steps = '0 2'", "time_steps = '2 2'", "twice"),
        ("    Scalar_names = 'output.y_none'\n    Scalar_values = 'rows'\n", "", "nothing to compare"),
        ("Scalar_values = 'rows'", "Scalar_values = 'strains'", "SR2"),
        ("Scalar_names = 'output.y_none'", "Scalar_names = 'output.y output.x'", "1 values for the 2 names"),
        ("driver = 'driver'\n    time_steps = '0", "driver = 'unit'\n    time_steps = '0", "TransientDriver"),
    ],
)
def test_mistakes_in_a_verification(old, new, message):
    with pytest.raises(InputError, match=message):
        load_string(TEXT + CHECKS.replace(old, new)).get_driver("several")


def test_a_verification_of_nothing(tmp_path):
    with pytest.raises(ValueError, match="gives no 'output.y_none'; did you mean 'output.y'"):
        load_string(TEXT + CHECKS).get_driver("several").run()


def test_unit_test(file):
    report = file.get_driver("unit").run()
    assert report
    assert (report.value_checks, report.jvp_checks) == (1, 1)
    text = TEXT + CHECKS.replace("output.y_none", "output.y")
    assert ModelUnitTest.from_string(text).run().value_checks == 1
    assert ModelUnitTest.from_string(text, "unit").run(check_dvalue=False).jvp_checks == 0
    with pytest.raises(AssertionError, match="stress: max absolute difference"):
        ModelUnitTest.from_string(text.replace("1346.15", "1347.15")).run()
    with pytest.raises(TypeError, match="not a ModelUnitTest"):
        ModelUnitTest.from_string(text, "driver")
    with pytest.raises(ValueError, match="0 blocks of type ModelUnitTest"):
        ModelUnitTest.from_string(TEXT)


def test_unit_test_from_a_file(file, tmp_path):
    assert ModelUnitTest.from_file(tmp_path / "input.i").run()


def test_unit_test_in_python(file):
    model = file.get_model("elasticity")
    strain = file.get_tensor("one_strain")
    assert ModelUnitTest(model, {"E": strain}).run().value_checks == 0
    with pytest.raises(ValueError, match="no input 'EE'; did you mean 'E'"):
        ModelUnitTest(model, {"EE": strain})
    with pytest.raises(KeyError, match="needs the input 'E'"):
        ModelUnitTest(model, {})
    with pytest.raises(ValueError, match="no output 'stres'"):
        ModelUnitTest(model, {"E": strain}, expected_outputs={"stres": strain})


def test_a_wrong_derivative_is_named(file, monkeypatch):
    model = file.get_model("elasticity")
    test = ModelUnitTest(model, {"E": file.get_tensor("one_strain")})
    right = type(model).jvp

    def wrong(self, inputs, tangents):
        outputs, slopes = right(self, inputs, tangents)
        return outputs, {n: v * 1.001 for n, v in slopes.items()}

    monkeypatch.setattr(type(model), "jvp", wrong)
    with pytest.raises(AssertionError, match=r"d\(stress\)/d\(E\)"):
        test.run()


def test_comparison():
    report = Comparison("it")
    report.add("a", torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0 + 1e-9]), 1e-5, 1e-8)
    assert report
    report.add("b", torch.tensor(float("nan")), torch.tensor(float("nan")), 1e-5, 1e-8)
    report.add("c", None, torch.tensor(0.0), 1e-5, 1e-8)
    assert not report
    assert [m.key for m in report.mismatches] == ["b", "c"]
    with pytest.raises(AssertionError, match="2 of 3 entries differ"):
        report.check()
