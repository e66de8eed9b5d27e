import pytest

from neml2.hit.document import read_string
from neml2.hit.errors import SyntaxProblem


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
        ("a = \n", "<string>:1:1: 'a' has no value"),
        ("[a", "<string>:1:"),
        ("a = '1 2", "<string>:"),
        ("]", "<string>:1:1: "),
    ],
)
def test_syntax_errors_say_where(text, expected):
    with pytest.raises(SyntaxProblem) as caught:
        read_string(text)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
