import pytest

from neml2.hit import InputErrors, load_string
from neml2.hit.builder import accepted
from neml2.registry import lookup

GOOD = """
[Models]
  [voce]
    type = VoceIsotropicHardening
    saturated_hardening = 100
    saturation_rate = 10
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '200e3 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    rate_form = true
  []
  [both]
    type = ComposedModel
    models = 'voce elasticity'
  []
[]
[Solvers]
  [newton]
    type = Newton
    abs_tol = 1e-9
    max_its = 30
    linear_solver = 'lu'
  []
  [lu]
    type = DenseLU
  []
[]
[Tensors]
  [times]
    type = Python
    expr = 'Scalar([0.0, 1.0])'
  []
[]
[Drivers]
  [driver]
    type = StubDriver
    model = 'both'
    prescribed_time = 'times'
    counts = '1 2 3'
    rtol = 1e-6
  []
[]
"""


def test_options_reach_the_constructor():
    file = load_string(GOOD)
    file.check()
    assert file.get_model("elasticity").rate_form is True
    assert list(file.get_model("elasticity").output_spec) == ["stress_rate"]
    newton = file.get_solver("newton")
    assert (newton.abs_tol, newton.max_its, newton.rel_tol) == (1e-9, 30, 1e-8)
    assert newton.linear_solver is file.get_solver("lu")
    driver = file.get_driver("driver")
    assert driver.model is file.get_model("both")
    assert driver.counts == [1, 2, 3]
    assert driver.rtol == 1e-6
    assert driver.names == ()
    assert driver.settings is file.settings
    assert driver.directory == file.document.folder
    assert file.get_model("both").name == "both"


def test_options_that_a_type_understands_beyond_its_declarations():
    text = "[Models/e]\n type = LinearIsotropicElasticity\n E = 200e3\n nu = 0.3\n[]"
    assert load_string(text).get_model("e").E.data.item() == 200e3
    assert "nu" in accepted(lookup("LinearIsotropicElasticity"))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "saturation_rate = 10",
            "saturation_rat = 10",
            "6:5: [Models/voce] has no option 'saturation_rat'; did you mean 'saturation_rate'?"
            " (VoceIsotropicHardening: equivalent_plastic_strain, isotropic_hardening, saturated_hardening,"
            " saturation_rate)",
        ),
        (
            "saturation_rate = 10",
            "",
            "3:3: [Models/voce] needs the option 'saturation_rate' (VoceIsotropicHardening):"
            " Rate of saturation per unit strain",
        ),
        (
            "rate_form = true",
            "rate_form = yes",
            "12:5: [Models/elasticity] rate_form is 'yes'; give true or false",
        ),
        (
            "rate_form = true",
            "strain = 'a b'",
            "12:5: [Models/elasticity] strain is 'a b'; give a single name",
        ),
        (
            "rate_form = true",
            "strain = '1a'",
            "12:5: [Models/elasticity] strain is '1a', which is not a variable name",
        ),
        (
            "YOUNGS_MODULUS P",
            "YOUNG_MODULUS P",
            "11:5: [Models/elasticity] coefficient_types is 'YOUNG_MODULUS', not one of YOUNGS_MODULUS,"
            " POISSONS_RATIO, BULK_MODULUS, SHEAR_MODULUS, LAME_LAMBDA, P_WAVE_MODULUS;"
            " did you mean 'YOUNGS_MODULUS'?",
        ),
        (
            "models = 'voce e",
            "models = 'vocce e",
            "16:5: [Models/both] models: there is no [Models/vocce]; did you mean",
        ),
        (
            "models = 'voce e",
            "models = 'voce both e",
            "14:3: [Models/both] contains itself: both -> both; remove one",
        ),
        (
            "abs_tol = 1e-9",
            "abs_tol = 1e10",
            "22:5: [Solvers/newton] abs_tol is '1e10', outside its range [0, 1e6]",
        ),
        (
            "abs_tol = 1e-9",
            "abs_tol = -1",
            "22:5: [Solvers/newton] abs_tol is '-1', outside its range [0, 1e6]",
        ),
        ("abs_tol = 1e-9", "abs_tol = small", "[Solvers/newton] abs_tol is 'small', which is not a number"),
        (
            "abs_tol = 1e-9",
            "abs_tol = 1e-9Pa",
            "abs_tol is '1e-9Pa', which is not a number; write 1e-9 without a unit",
        ),
        ("max_its = 30", "max_its = 30.5", "23:5: [Solvers/newton] max_its is '30.5'; give an integer"),
        ("= 'lu'", "= 'lui'", "there is no [Solvers/lui]; did you mean 'lu'?"),
        ("= 'lu'", "= 'superlu'", "there is no [Solvers/superlu] (there are newton, lu)"),
        ("= 'lu'", "= 'lu newton'", "linear_solver is 'lu newton'; name one block of [Solvers]"),
        ("= 'lu'", "= ''", "linear_solver is ''; name one block of [Solvers]"),
        (
            "type = DenseLU",
            "type = JacobiPreconditioner",
            "[Solvers/newton] linear_solver is of type JacobiPreconditioner; it takes BiCGStab, DenseLU",
        ),
        (
            "type = DenseLU",
            "type = DenseLu",
            "[Solvers/lu] has the unknown type 'DenseLu'; did you mean 'DenseLU'?",
        ),
        ("type = DenseLU", "type = ComposedModel", "the type 'ComposedModel', which belongs into [Models]"),
        (
            "type = DenseLU",
            "type = Banana",
            "has the unknown type 'Banana'; neml2-syntax lists the types, --load FILE adds",
        ),
        (
            "type = DenseLU",
            "typ = DenseLU",
            "27:5: [Solvers/lu] has no parameter 'type', but 'typ'; did you mean 'type'?",
        ),
        ("type = DenseLU", "", "26:3: [Solvers/lu] has no parameter 'type'; say what it is"),
        (
            "counts = '1 2 3'",
            "counts = '1 2 30'",
            "[Drivers/driver] counts is '30', outside its range [0, 10]",
        ),
        (
            "counts = '1 2 3'",
            "[counts]\n[]",
            "[Drivers/driver] counts is an option, not a block; write 'counts = ...'",
        ),
        ("counts = '1 2 3'", "[more]\n[]", "[Drivers/driver] has no block 'more'"),
        ("model = 'both'", "", "[Drivers/driver] needs the option 'model' (StubDriver): The model"),
        ("0.3", "0.7", "is 0.7, outside its range (-1, 0.5)"),
        ("200e3", "-200e3", "is -200000, outside its range (0, inf)"),
    ],
)
def test_each_slip_is_one_line_with_place_fault_and_remedy(complaints, old, new, expected):
    assert GOOD.count(old) == 1
    found = complaints(GOOD.replace(old, new))
    assert expected in found[0]
    assert found[0].startswith("<string>:")
    assert len(found) == 1 or "both" in expected or "misspelt" in expected


def test_all_slips_of_a_block_are_found_at_once():
    text = "[Solvers/n]\n type = Newton\n abs_tol = x\n max_its = 2.5\n rel_toll = 1\n[]"
    with pytest.raises(InputErrors) as caught:
        load_string(text).get_solver("n")
    assert [e.where.line for e in caught.value.errors] == [5, 3, 4]


def test_a_complaint_of_a_constructor_is_put_at_the_option_it_mentions(complaints):
    text = "[Models/e]\n type = LinearIsotropicElasticity\n E = 200e3\n nu = 0.7\n[]"
    assert complaints(text) == ["<string>:4:2: [Models/e] nu is 0.7, outside its range (-1, 0.5)"]
