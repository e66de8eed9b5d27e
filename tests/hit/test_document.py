import pytest

from neml2.hit.document import read_string
from neml2.hit.errors import InputError, SyntaxProblem


def failure(text, kind=SyntaxProblem, **more):
    with pytest.raises(kind) as caught:
        for block in read_string(text, **more).root.walk():
            for value in block.values.values():
                _ = value.text
    assert "\n" not in str(caught.value)
    return str(caught.value)


def problems(text, **more):
    document = read_string(text, **more)
    return [str(p) for p in document.problems + document.stray()]


def test_values_know_their_place_and_their_parts():
    document = read_string("[A]\n  b = '1 2; 3 4'\n  ö = 'x'\n[]\n".replace("ö", "o"))
    value = document.find("A/b")
    assert value.rows == [["1", "2"], ["3", "4"]]
    assert str(value.where) == "<string>:2:3"
    assert document.section("A").values["o"].text == "x"
    assert document.section("B").values == {}


def test_overrides_replace_or_create_values():
    text = "[Models]\n[]\n[Models]\n  [el]\n    E = 1\n  []\n[]\n"
    document = read_string(text, post=["Models/el/E:=2", "Models/el/nu:=0.3"])
    assert document.find("Models/el/E").text == "2"
    assert document.find("Models/el/nu").text == "0.3"
    assert str(document.find("Models/el/E").where) == "<override 1>:1:1"
    assert not document.problems
    assert read_string("a = ${b}", pre=["b = 3"]).find("a").text == "3"


def test_fields_given_twice_name_both_lines():
    assert failure("a = 1\n\na = 2") == (
        "<string>:3:1: 'a' was given before, at <string>:1:1; remove one, or replace the value with ':='"
    )
    assert "<override 1>:1:1: 'a' was given before" in failure("a = 1", post=["a = 2"])
    assert problems("[Settings]\n x = 1\n[]\n[Settings]\n x = 2\n[]\n") == [
        "<string>:5:2: 'x' was given before, at <string>:2:2; remove one, or replace the value with ':='"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "[Models]\n[a]\n[]\n[a]\n[]\n[]",
        "[Models]\n[a]\n[]\n[]\n\n[Models/a]\n[]",
        "[Models/a]\n[]\n[Models/a]\n[]",
    ],
)
def test_blocks_defined_twice_name_both_lines(text):
    (problem,) = problems(text)
    assert "[Models/a] is defined twice, first at <string>:" in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[Modles]\n[a]\ntype = X\n[]\n[]", "<string>:1:1: no section 'Modles'; did you mean 'Models'?"),
        ("[solvers]\n[]", "<string>:1:1: no section 'solvers'; did you mean 'Solvers'?"),
        ("[Model]\n E = 1\n[]", "<string>:1:1: no section 'Model'; did you mean 'Models'?"),
        (
            "[Optimizers]\n[a]\ntype = X\n[]\n[]",
            "<string>:1:1: no section 'Optimizers'; sections are Models, Tensors, EquationSystems, Solvers,"
            " Data, Drivers, Settings",
        ),
        (
            "[Models]\n  E = 3\n[]",
            "<string>:2:3: [Models] holds blocks, but 'E' is a value; put it into a block '[name] ... []'",
        ),
    ],
)
def test_sections_nobody_reads_are_reported(text, expected):
    assert problems(text) == [expected]


def test_sections_of_variables_are_fine():
    assert problems("[Models]\n nu = 0.3\n [a]\n nu = ${Models/nu}\n[]\n[]") == []
    assert problems("x = 1\n[steel]\n  E = 200\n[]\n") == []
    assert problems("[Model]\n E = 1\n[]\n[Models]\n[a]\n E = ${Model/E}\n[]\n[]") == []
    assert problems("[Schedulers]\n[a]\n type = Simple\n[]\n[]") == []


def test_problems_are_input_errors():
    assert all(isinstance(p, InputError) for p in read_string("[Models/a]\n[]\n[Models/a]\n[]").problems)
