import re

import pytest

from neml2.cli import reference, syntax
from neml2.cli.markdown import anchor
from neml2.hit.input_file import load_catalogue
from neml2.registry import entries


@pytest.fixture(scope="module")
def own():
    load_catalogue()
    return [e for e in entries() if e.cls.__module__.startswith("neml2.")]


@pytest.fixture(scope="module")
def pages(own):
    return reference.pages(own)


def section(page, heading):
    return re.split(rf"^### {re.escape(heading)}$", page, flags=re.M)[1].partition("\n### ")[0]


def test_every_type_is_on_a_page_and_in_the_index(own, pages):
    text = "\n".join(text for name, text in pages.items() if name != "README.md")
    for entry in own:
        assert f"### {entry.name}\n" in text or f"`{entry.name}`" in text, entry.name
    headings = set(re.findall(r"^### (.+)$", text, re.M))
    assert headings == set(re.findall(r"^\| \[(.+?)\]\(", pages["README.md"], re.M))
    assert f"The {len(own)} types" in pages["README.md"]


def test_every_link_has_its_target(pages):
    places = {
        f"{name}#{anchor(heading)}"
        for name, text in pages.items()
        for heading in re.findall(r"^#+ (.+)$", text, re.M)
    }
    for text in pages.values():
        for link in re.findall(r"\]\(([^)]+)\)", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)):
            assert link in pages or link in places, link


def test_every_anchor_is_there_once(pages):
    for name, text in pages.items():
        headings = [anchor(h) for h in re.findall(r"^### (.+)$", text, re.M)]
        assert len(headings) == len(set(headings)), name


def test_a_type_has_its_equation_its_fields_and_a_block(pages):
    shown = section(pages["solid-mechanics.md"], "PerzynaPlasticFlowRate")
    assert "```math\n\\dot\\gamma = " in shown
    assert "| inputs | `yield_function` | Scalar |  | stress | Value of the yield function |" in shown
    assert "| parameters | `reference_stress` | Scalar | required | stress | " in shown
    assert "Exponent of the overstress; in (0, inf) |" in shown
    assert "```ini\n[name]\n  type = PerzynaPlasticFlowRate\n  reference_stress = ...\n" in shown


def test_types_of_one_generic_model_are_together(pages):
    shown = section(pages["common.md"], "*T*BackwardEulerTimeIntegration")
    assert "`R2BackwardEulerTimeIntegration`, `SR2BackwardEulerTimeIntegration`" in shown
    assert "| inputs | `variable` | T |" in shown and "`<variable>~1`" in shown


def test_default_that_is_a_type_is_a_link(pages):
    assert "| [`DenseLU`](solvers.md#denselu) |" in section(pages["solvers.md"], "Newton")


def test_no_markup_of_docstrings_is_left(pages):
    for name, text in pages.items():
        assert not re.search(r":\w+:`|^\s*\.\. ", text, re.M), name


def test_blocks_of_examples_are_shown(own, tmp_path):
    (tmp_path / "soft").mkdir()
    (tmp_path / "soft" / "model.i").write_text(
        "[Models]\n  [rate]\n    # why\n    type = PerzynaPlasticFlowRate\n    exponent = 3\n  []\n"
        "  [again]\n    type = 'PerzynaPlasticFlowRate'\n    exponent = 4\n  []\n[]\n"
    )
    found = reference.blocks([tmp_path / "soft" / "model.i"], tmp_path / "docs")
    block = "[rate]\n  # why\n  type = PerzynaPlasticFlowRate\n  exponent = 3\n[]"
    assert found["PerzynaPlasticFlowRate"][0] == (block, "soft/model.i", "../soft/model.i")
    assert len(found["PerzynaPlasticFlowRate"]) == 2
    shown = section(reference.pages(own, found)["solid-mechanics.md"], "PerzynaPlasticFlowRate")
    assert f"```ini\n{block}\n```\n\nfrom [soft/model.i](../soft/model.i)" in shown and "= ..." not in shown


def test_command_writes_the_pages_of_what_is_chosen(tmp_path, capsys):
    assert syntax.main(["--section", "Solvers", "--markdown", str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out.endswith("new: 2 pages\n")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["README.md", "solvers.md"]


def test_own_types_have_a_page_of_their_own(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        '"""Laws of mine."""\n'
        "from neml2 import Model, Input, Output, Scalar\n"
        "class ThriceOfMine(Model):\n"
        '    """Three times a number."""\n'
        '    x: Scalar = Input("A number")\n'
        '    y: Scalar = Output("Three times that")\n'
        "    def forward(self, x):\n"
        "        return 3 * x\n"
    )
    folder = tmp_path / "pages"
    words = ["--load", str(tmp_path / "mine.py"), "ThriceOfMine", "--markdown", str(folder)]
    assert syntax.main(words) == 0, capsys.readouterr().err
    (page,) = (p for p in folder.iterdir() if p.name != "README.md")
    assert "Laws of mine." in page.read_text() and "### ThriceOfMine" in page.read_text()


def test_folders_that_cannot_be(tmp_path, capsys):
    assert syntax.main(["--markdown", str(tmp_path), "--examples", str(tmp_path / "no")]) == 2
    assert "there is no such folder" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert syntax.main(["--markdown", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err
