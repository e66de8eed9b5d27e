import pytest
import torch

from neml2.hit import load_string
from neml2.types import SR2, Scalar

VOCE = """
[Models]
  [voce]
    type = VoceIsotropicHardening
    saturated_hardening = {value}
    saturation_rate = 10
  []
  [two]
    type = MacaulaySplit
  []
  [R]
    type = ScalarConstantParameter
    value = 3
    parameter = 'strength'
  []
  [stress]
    type = SR2ConstantParameter
    value = '1 2 3 4 5 6'
  []
[]
[Tensors]
  [soft]
    type = Python
    expr = 'Scalar([1.0, 2.0])'
  []
  [raw]
    type = Python
    expr = 'torch.tensor([3, 4])'
  []
  [tensor]
    type = Python
    expr = 'SR2.fill(1.0)'
  []
[]
"""
DRIVER = """
[Tensors/times]
  type = Python
  expr = 'Scalar([0.0, 1.0])'
[]
[Drivers/driver]
  type = StubDriver
  model = 'voce'
  prescribed_time = 'times'
  prescribed_Scalar_names = 'prescribed'
  prescribed_Scalar_values = '1.0'
[]
"""


def parameter(value):
    return load_string(VOCE.format(value=value)).get_model("voce").R.data.tolist()


def wired(value, text=VOCE):
    return list(load_string(text.format(value=value)).get_model("voce").input_spec)


def test_numbers_become_float64():
    assert parameter("100") == 100.0
    assert parameter("'1 2.5 3e1'") == [1.0, 2.5, 30.0]
    model = load_string(VOCE.format(value="0.1")).get_model("voce")
    assert model.R.data.dtype is torch.float64
    assert model.R.data.requires_grad


def test_tensor_entries_are_used_by_name():
    assert parameter("soft") == [1.0, 2.0]
    assert parameter("raw") == [3.0, 4.0]


def test_stored_components_of_other_types():
    file = load_string(VOCE.format(value="1"))
    value = next(iter(file.get_model("stress").call_by_name({}).values()))
    assert isinstance(value, SR2)
    assert value.data.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


@pytest.mark.parametrize(
    ("value", "variable"),
    [
        ("R", "strength"),
        ("R.strength", "strength"),
        ("two.to_positive", "to_positive"),
        ("anything", "anything"),
    ],
)
def test_names_become_inputs(value, variable):
    assert wired(value)[-1] == variable


def test_a_model_that_is_named_is_recorded_as_the_provider():
    file = load_string(VOCE.format(value="two.to_positive"))
    assert file.get_model("voce").providers == [file.get_model("two")]


@pytest.mark.parametrize("value", ["prescribed", "prescribed~1", "t", "to_positive", "strength~1"])
def test_with_a_driver_a_name_needs_something_that_supplies_it(value):
    assert wired(value, VOCE + DRIVER)[-1] == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1e3MPa", "saturated_hardening: '1e3MPa' is not a number; write 1e3 without a unit"),
        ("1,2", "saturated_hardening: '1,2' is not a number; separate numbers with blanks"),
        ("1O0", "saturated_hardening: '1O0' is not a number; did you mean '100'?"),
        ("nan", "saturated_hardening: 'nan' is not a finite number"),
        ("-inf", "saturated_hardening: '-inf' is not a finite number"),
        ("1e999", "saturated_hardening: '1e999' is not a finite number"),
        ("1_000", "saturated_hardening: '1_000' is not a number"),
        ("'1 x 2'", "saturated_hardening: 'x' is not a number"),
        (
            "''",
            "saturated_hardening is empty; give a number, a [Tensors] name, a model, or a variable",
        ),
        (
            "fast?",
            "saturated_hardening is 'fast?': not a number, and nothing provides a variable of that name",
        ),
        ("a.b.c", "saturated_hardening is 'a.b.c'; write model.variable with a single dot"),
        ("tow.x", "saturated_hardening is 'tow.x', but there is no [Models/tow]; did you mean 'two'?"),
        ("two.to_positiv", "[Models/two] has no 'to_positiv'; did you mean 'to_positive'? (to_positive, "),
        ("two", "a model with the outputs to_positive, to_negative; say which, as in 'two.to_positive'"),
        ("stress", "saturated_hardening is 'stress', which is a SR2, but a Scalar is expected"),
        ("tensor", "saturated_hardening: [Tensors/tensor] is a SR2, but a Scalar is expected"),
        ("voce", "[Models/voce] contains itself: voce -> voce"),
    ],
)
def test_what_cannot_be_resolved(complaints, value, message):
    (line,) = complaints(VOCE.format(value=value))
    assert line.startswith("<string>:3:3" if "itself" in line else "<string>:5:5: [Models/voce] ")
    assert message in line


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("fast", "; give a number, a [Tensors] name, a model, or a variable of the file"),
        ("prescibed", "; did you mean 'prescribed'?"),
        ("strenght", "; did you mean 'strength'?"),
        ("sofd", "; did you mean 'soft'?"),
    ],
)
def test_a_misspelt_variable_is_an_error_when_there_is_a_driver(complaints, value, hint):
    assert complaints(VOCE.format(value=value) + DRIVER) == [
        f"<string>:5:5: [Models/voce] saturated_hardening is '{value}': not a number, and nothing provides a"
        f" variable of that name{hint}"
    ]


def test_a_misspelt_variable_is_an_error_however_the_model_is_asked_for(tmp_path):
    file = load_string(VOCE.format(value="fast") + DRIVER)
    for _ in range(2):
        with pytest.raises(ValueError, match="nothing provides"):
            file.get_driver("driver")
        with pytest.raises(ValueError, match="nothing provides"):
            file.get_model("voce")
    assert file.get_model("two") is file.get_model("two")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("'1 2 3'", "<string>:18:5: [Models/stress] value has 3 numbers; a SR2 has 6 components"),
        ("soft", "<string>:18:5: [Models/stress] value: [Tensors/soft] is a Scalar, but a SR2 is expected"),
        ("raw", "<string>:18:5: [Models/stress] value: [Tensors/raw]: "),
    ],
)
def test_components_are_counted(complaints, value, message):
    (line,) = complaints(VOCE.replace("'1 2 3 4 5 6'", value).format(value=1))
    assert line.startswith(message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "prescribed_Scalar_values = 'soft nosuch'",
            "is 'nosuch', neither a number nor one of [Tensors]; give a",
        ),
        ("prescribed_Scalar_values = 'sofd'", "neither a number nor one of [Tensors]; did you mean 'soft'?"),
        ("prescribed_Scalar_values = '1e3s'", "'1e3s' is not a number; write 1e3 without a unit"),
        ("prescribed_SR2_values = '1.0'", "needs the name of a SR2 in [Tensors], not a number"),
        ("prescribed_SR2_values = 'soft'", "[Tensors/soft] is a Scalar, but a SR2 is expected"),
    ],
)
def test_values_of_drivers(complaints, line, message):
    driver = DRIVER.replace("prescribed_Scalar_values = '1.0'", line)
    (found,) = complaints(VOCE.format(value=1) + driver)
    assert "[Drivers/driver] prescribed_" in found
    assert message in found


def test_values_of_drivers_are_typed():
    text = VOCE.format(value=1) + DRIVER.replace("'1.0'", "'2.0 soft raw'")
    values = load_string(text).get_driver("driver").values
    assert values[0] == 2.0
    assert all(isinstance(v, Scalar) for v in values[1:])


def test_lists_of_parameters_are_resolved_word_by_word():
    text = """
    [Models/sum]
      type = ScalarLinearCombination
      from = 'a b c'
      weights = '1 w soft'
    []
    [Tensors/soft]
      type = Python
      expr = 'Scalar([1.0, 2.0])'
    []
    """
    model = load_string(text).get_model("sum")
    assert list(model.input_spec) == ["a", "b", "c", "w"]
    assert {n: p.tolist() for n, p in model.named_parameters()} == {
        "weight_0": 1.0,
        "weight_2": [1.0, 2.0],
        "offset": 0.0,
    }
