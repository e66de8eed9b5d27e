import pytest

from neml2.cli.markdown import anchor, cell, markdown


def test_formula_on_a_line_of_its_own():
    assert markdown("A law.\n\n.. math:: a = b\n\nMore.") == "A law.\n\n```math\na = b\n```\n\nMore."


def test_formula_over_several_lines_loses_its_indentation():
    doc = "A law.\n\n    .. math:: a = b \\qquad\n              c = d\n"
    assert markdown(doc) == "A law.\n\n```math\na = b \\qquad\nc = d\n```"


@pytest.mark.parametrize("body", [r"a &= b \\ c &= d", "a = b\n\n    c = d"])
def test_several_equations_are_aligned(body):
    shown = markdown(f"Laws.\n\n.. math::\n\n    {body}\n")
    assert shown.startswith("Laws.\n\n```math\n\\begin{aligned}\n")
    assert shown.endswith("\n\\end{aligned}\n```")
    assert r"\\" in shown


def test_an_environment_of_its_own_is_enough():
    body = r"\begin{cases} a & b \\ c & d \end{cases}"
    assert markdown(f".. math:: {body}") == f"```math\n{body}\n```"


def test_formula_code_and_names_in_a_sentence():
    doc = "Of :math:`|a_i| < 1`, ``x~1``, :class:`~neml2.model.Model` and :meth:`a.b`."
    assert markdown(doc) == "Of $`|a_i| < 1`$, `x~1`, `Model` and `a.b`."
    assert markdown(":class:`Model` and :func:`f`", lambda name: f"<{name}>") == "<Model> and `f`"


def test_what_looks_like_a_tag_is_text():
    assert markdown("Columns <variable>_xx, ``<x>``, a < b.") == r"Columns \<variable>_xx, `<x>`, a < b."


def test_cell_is_one_line_without_bars():
    assert cell("$`|a|`$\nand b") == r"$`\|a\|`$ and b"


@pytest.mark.parametrize(
    ("heading", "name"),
    [("Copy*T*", "copyt"), ("Solid mechanics", "solid-mechanics"), ("A_b c-d", "a_b-c-d")],
)
def test_anchor_is_that_of_github(heading, name):
    assert anchor(heading) == name


def test_nothing_is_documented():
    assert markdown(None) == ""
