"""No type that NEML2 registers is missing, and the figures in docs/catalogue.md are true."""

import importlib.util
import re
from pathlib import Path

import pytest

from neml2.registry import SECTIONS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "catalogue.md"
COMMAND = "python docs/catalogue.py docs/catalogue.md"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("catalogue_of_docs", ROOT / "docs" / "catalogue.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(heading):
    part = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!section|family)([^|\n]+) \|(.*) \|$", part, re.M)
    return [(name, *(int(n.replace(",", "")) for n in rest.split("|"))) for name, rest in rows]


def test_no_registered_name_is_missing(script):
    assert list(script.expected()) == list(SECTIONS)
    assert sum(map(len, script.expected().values())) == 207
    assert script.missing() == []


def test_a_missing_name_would_be_seen(script, monkeypatch):
    names = {**script.expected(), "Solvers": {"Newton", "NewtonWithCoffee"}}
    monkeypatch.setattr(script, "expected", lambda: names)
    assert script.missing() == ["NewtonWithCoffee"]


def test_what_is_left_out_is_told_in_differences(script):
    text = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in script.LEFT_OUT)


def test_counts_of_types(script):
    assert table("Types") == script.coverage(), f"run  {COMMAND}"


def test_checks_and_closed_forms(script):
    text = PAGE.read_text(encoding="utf-8")
    for name, count, reasons in script.checks():
        assert f"| {name} | {count} | {reasons} |" in text, f"run  {COMMAND}"
    for name, order, formula in script.closed_forms():
        assert f"| {name} | {order} | {formula} |" in text, f"run  {COMMAND}"
    assert len(script.closed_forms()) == len(re.findall(r"^\|.*\| \$`.*`\$ \|$", text, re.M))


def test_counts_of_lines_within_five_percent(script):
    found, true = table("Lines"), script.sizes()
    assert [row[:2] for row in found] == [row[:2] for row in true], f"run  {COMMAND}"
    for shown, counted in zip(found, true, strict=True):
        assert shown[2:] == pytest.approx(counted[2:], rel=0.05), f"{shown[0]}: run  {COMMAND}"


def test_what_is_counted_as_code(script):
    assert (
        script.lines_of_code(
            '"""A module."""\n\nx = 1  # one\n# two\n\ndef f():\n    """Of f."""\n    return x\n'
        )
        == 3
    )
