from neml2.drivers.results.declared import declarations
from tests.drivers.materials import decay, strainer


def test_a_declaration_of_the_variable_itself_comes_before_a_generic_one():
    found = declarations(decay())
    assert found["x"].doc == "What decays"  # and not "The variable to integrate"
    assert found["x"].unit == "length"
    assert found["x_rate"].doc == "Its rate"
    assert found["t"].unit == "time"
    assert declarations(strainer())["S"].doc == "S"  # nobody says what it is
