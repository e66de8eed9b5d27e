import pytest
import torch

from neml2 import InputError, load_string
from neml2.drivers import Comparison, save
from tests.drivers.inputs import CHECKS, TEXT


def test_regression(input_file, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gold\.pt"):
        input_file.get_driver("regression").run()
    trajectory = input_file.get_driver("driver").run()
    save(trajectory, tmp_path / "gold.pt")
    report = input_file.get_driver("regression").run()
    assert report
    assert report.compared == len(trajectory.to_dict())
    assert "all" in str(report)


def test_regression_lists_ten_mismatches(input_file, tmp_path):
    flat = input_file.get_driver("driver").run().to_dict()
    flat = {k: v + 1.0 if k.startswith("output") else v for k, v in flat.items()}
    flat["output.1.nonsense"] = torch.zeros(3)
    flat["output.5.y"] = torch.zeros(7, 7)
    torch.save(flat, tmp_path / "gold.pt")
    with pytest.raises(AssertionError) as caught:
        input_file.get_driver("regression").run()
    lines = str(caught.value).splitlines()
    assert len(lines) == 12
    assert "max absolute difference 1.000e+00" in lines[1]
    assert "relative" in lines[1]
    assert lines[-1].strip().startswith("... and ")


def test_regression_against_our_own_files(input_file, tmp_path):
    from neml2.drivers import TransientRegression

    driver = input_file.get_driver("driver")
    save(driver.run(), tmp_path / "gold.h5")
    assert TransientRegression(driver, "gold.h5", directory=tmp_path, rtol=1e-12).run()


def test_verification(input_file):
    assert input_file.get_driver("last").run()
    with pytest.raises(AssertionError, match=r"output.0.y: max absolute difference"):
        input_file.get_driver("several").run()  # the initial value is 1 and 2, not 0


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
