import pytest

from neml2.cli import facts
from neml2.hit.input_file import load_catalogue
from neml2.registry import entries, lookup


@pytest.fixture(autouse=True)
def _catalogue():
    load_catalogue()


def row(type_name, name):
    return next(r for r in facts.rows(lookup(type_name)) if r.name == name)


def test_a_parameter():
    found = row("PerzynaPlasticFlowRate", "reference_stress")
    assert (found.heading, found.kind, found.standard) == ("Parameters", "Scalar", "required")
    assert (found.unit, found.notes) == ("stress", ("in (0, inf)",))


@pytest.mark.parametrize(
    ("type_name", "name", "standard"),
    [
        ("PerzynaPlasticFlowRate", "flow_rate", ""),  # called after its option
        ("ScalarLinearCombination", "weights", "= 1.0"),
        ("LinearIsotropicElasticity", "compliance", "= false"),
        ("Newton", "linear_solver", "= DenseLU"),
        ("SR2BilinearInterpolation", "output", "= <block name>"),
        ("FredrickArmstrongPlasticHardening", "back_stress_rate", "= <back_stress>_rate"),
        ("ImplicitUpdate", "predictor", "optional"),
    ],
)
def test_what_is_taken_when_an_option_is_left_out(type_name, name, standard):
    assert row(type_name, name).standard == standard


def test_rows_come_by_heading():
    for entry in entries():
        order = [facts.HEADINGS.index(r.heading) for r in facts.rows(entry)]
        assert order == sorted(order), entry.name


def test_options_that_differ_by_a_tensor_type_are_one_row():
    entry = lookup("Verification")
    names = [r.name for r in facts.rows(entry)]
    assert names.count("T_names") == names.count("T_values") == 1
    assert facts.tensor_types(entry) == ["Scalar", "SR2", "Vec", "WR2"]
    assert facts.tensor_types(lookup("ConstantExtrapolationPredictor")) == []


def test_template_has_what_is_required():
    block = facts.template(lookup("PerzynaPlasticFlowRate"))
    assert block == [
        "[name]",
        "  type = PerzynaPlasticFlowRate",
        "  reference_stress = ...",
        "  exponent = ...",
        "[]",
    ]
