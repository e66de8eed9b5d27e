import pytest

from neml2.hit.document import read_string
from neml2.hit.errors import CircularReference, SyntaxProblem


def failure(text, kind=SyntaxProblem):
    with pytest.raises(kind) as caught:
        for block in read_string(text).root.walk():
            for value in block.values.values():
                _ = value.text
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
