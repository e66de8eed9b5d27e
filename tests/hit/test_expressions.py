import pytest

from neml2.types import SR2, Scalar


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Scalar(edgez)", "expr raised NameError: name 'edgez' is not defined; did you mean 'edges'?"),
        ("scalar(1.0)", "did you mean 'Scalar'?"),
        (
            "torch.linspce(0, 1, 5)",
            "'torch.linspce' is not available in input files; did you mean 'linspace'?",
        ),
        ("Scalar(1.0).datta", "did you mean 'data'?"),
        ("Scalar(1.0", "expr raised SyntaxError: '(' was never closed"),
        ("a = 1\nb = (", "expr raised SyntaxError"),
        ("torch.zeros(3) + torch.zeros(4)", "expr raised RuntimeError"),
        ("SR2.fill(1, 2)", "expr raised ValueError"),
        ("half[0]", "expr raised TypeError"),
        ("half(2)", "half is a Scalar and cannot be called"),
        ("1 / 0", "expr raised ZeroDivisionError"),
        ("3.0", "expr gives a float, not a tensor; wrap it, as in Scalar(...)"),
        ("a = 1.0", "code assigns no 'result'; end it with 'result = ...'"),
        ("half\n+half", "does not use the value of line 1"),
        ("a, b = 1, 2, 3\nresult = half", "2 names for 3 values"),
        ("(lambda a: a)(1, 2)", "lambda takes (a)"),
        ("for i in half: pass", "cannot iterate over a Scalar"),
    ],
)
def test_mistakes_are_one_line_with_a_suggestion(refusal, text, message):
    assert message in refusal(text)


def test_trusted_input_is_ordinary_python(value, refusal):
    text = "import os\nclass A:\n    b = 2.0\nresult = Scalar(A().b * len(os.sep)) * half"
    assert value(text, trust_input=True).data.item() == 1.0
    assert "raised ZeroDivisionError" in refusal("1 / 0", trust_input=True)


def test_values_of_other_blocks_win_over_functions_of_that_name(value):
    assert isinstance(value("Scalar(norm.data)", {"norm": Scalar(2.0)}), Scalar)
    assert isinstance(value("SR2.fill(1.0)", {"x": None}), SR2)
