import pytest

from neml2 import ModelUnitTest
from tests.drivers.inputs import CHECKS, TEXT


def test_unit_test(input_file):
    report = input_file.get_driver("unit").run()
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


def test_other_check_options_are_ignored_and_nothing_else():
    text = TEXT + CHECKS.replace("output.y_none", "output.y")
    block = "type = ModelUnitTest"
    assert ModelUnitTest.from_string(text.replace(block, f"{block} check_second_derivatives = true")).run()
    with pytest.raises(ValueError, match="no option 'chek_values'; did you mean 'check_values'"):
        ModelUnitTest.from_string(text.replace(block, f"{block} chek_values = true"))


def test_unit_test_from_a_file(input_file, tmp_path):
    assert ModelUnitTest.from_file(tmp_path / "input.i").run()


def test_unit_test_in_python(input_file):
    model = input_file.get_model("elasticity")
    strain = input_file.get_tensor("one_strain")
    assert ModelUnitTest(model, {"E": strain}).run().value_checks == 0
    with pytest.raises(ValueError, match="no input 'EE'; did you mean 'E'"):
        ModelUnitTest(model, {"EE": strain})
    with pytest.raises(KeyError, match="needs the input 'E'"):
        ModelUnitTest(model, {})
    with pytest.raises(ValueError, match="no output 'stres'"):
        ModelUnitTest(model, {"E": strain}, expected_outputs={"stres": strain})


def test_a_wrong_derivative_is_named(input_file, monkeypatch):
    model = input_file.get_model("elasticity")
    test = ModelUnitTest(model, {"E": input_file.get_tensor("one_strain")})
    right = type(model).jvp

    def wrong(self, inputs, tangents):
        outputs, slopes = right(self, inputs, tangents)
        return outputs, {n: v * 1.001 for n, v in slopes.items()}

    monkeypatch.setattr(type(model), "jvp", wrong)
    with pytest.raises(AssertionError, match=r"d\(stress\)/d\(E\)"):
        test.run()
