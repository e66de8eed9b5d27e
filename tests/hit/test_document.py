import pytest

from neml2.hit.document import read_string
from neml2.hit.errors import CircularReference, InputError, SyntaxProblem


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


def test_braces_are_looked_up_from_the_top():
    text = """
    E = 200
    [m] E = ${E} two = '${m/E} ${replace E}' joined = ${raw a ${E} b} tail = x${E}y []
    nested = ${replace ${key}}
    key = E
    verbatim = '''f('${E}') }'''
    """
    document = read_string(text)
    values = {v.name: v.text for b in document.root.walk() for v in b.values.values()}
    assert values["two"] == "200 200"
    assert values["joined"] == "a200b"
    assert values["tail"] == "x200y"
    assert values["nested"] == "200"
    assert values["verbatim"] == "f('200') }"


def test_environment_variables(monkeypatch):
    monkeypatch.setenv("NEML2_TEST_WORD", "steel")
    assert read_string("a = ${env NEML2_TEST_WORD}/x b = '${env NEML2_NO_SUCH}'").find("a").text == "steel/x"


def test_bad_braces():
    assert "<string>:2:1: '${modulos}': no value 'modulos' in this input; did you mean 'modulus'?" in failure(
        "modulus = 1\na = ${modulos}"
    )
    assert "${} goes in a circle: a -> b -> a" in failure("a = ${b}\nb = ${a}", CircularReference)
    assert "is not understood" in failure("a = '${fparse 1 + 2}'")
    assert "is a section" in failure("[b]\n[]\na = ${b}")
    assert "more than 64 times" in failure(
        "\n".join(f"a{i} = ${{a{i + 1}}}" for i in range(100)) + "\na100 = 1"
    )


def test_repeated_expansion_does_not_exhaust_memory():
    lines = [f"a{i + 1} = '${{a{i}}}${{a{i}}}'" for i in range(60)]
    assert "expands to more than 1 MB" in failure("a0 = xxxxxxxxxxxxxxxx\n" + "\n".join(lines))
    many = "\n".join(f"b{i} = '${{a}}y'" for i in range(200))
    assert "expands to more than 1 MB" in failure(f"a = {'x' * 1_000_000}\n{many}")


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[Models]\n  [a]\n    E = 1\n[]\n",
            "the file ends inside [Models], opened at <string>:1:1; add '[]'",
        ),
        ("a = b c\n", "<string>:1:7: 'c' is not followed by '='; a value of several words needs quotes"),
        (
            "a = b c\nd = 3\n",
            "<string>:1:7: 'c' is not followed by '='; a value of several words needs quotes",
        ),
        ("a = 'x#y'\n", "<string>:1:7: unexpected character '#'"),
        ("é = 1\n", "<string>:1:1: only plain ASCII is allowed outside values"),
        ("a = é # é\n\n ü = 1\n", "<string>:3:2: only plain ASCII is allowed outside values"),
        ("a = \n", "<string>:2:1: syntax error, unexpected end of file"),
        ("[a", "<string>:1:"),
        ("a = '1 2", "<string>:"),
        ("]", "<string>:1:1: "),
    ],
)
def test_syntax_errors_say_where(text, expected):
    assert expected in failure(text)


def test_problems_are_input_errors():
    assert all(isinstance(p, InputError) for p in read_string("[Models/a]\n[]\n[Models/a]\n[]").problems)
