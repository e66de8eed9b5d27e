"""Write the figures of the catalogue: `python docs/catalogue.py docs/catalogue.md`.

How many of the types that NEML2 3.1.0 registers there are, what is checked of each, which closed forms they
reproduce, and how many lines they take.
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from neml2.hit.input_file import load_catalogue
from neml2.registry import SECTIONS, Entry, entries

ROOT = Path(__file__).parents[1]
EXPECTED = ROOT / "tests" / "docs" / "neml2_types.json"
LEFT_OUT = {"AOTIModel"}  # kernels are built when they are needed: there are no artefacts to load
NEML2_LINES = 22_700  # of its leaves
PLACES = (  # parts of families that do not have a folder in neml2/models
    ("data", "neml2/data"),
    ("predictors", "neml2/predictors.py"),
    ("composition", "neml2/composed.py", "neml2/implicit.py", "neml2/gradient.py"),
)


def main(target: str) -> None:
    """Write the page."""
    Path(target).write_text(page(), encoding="utf-8")


def page() -> str:
    """The page with both tables."""
    return f"""# The catalogue in figures

Written by `python docs/catalogue.py docs/catalogue.md`. What the types are: [reference](reference/README.md).

## Types

| section | in NEML2 3.1.0 | of these here | more |
|---|---:|---:|---:|
{_table(coverage())}

Left out: {", ".join(f"`{n}`" for n in sorted(LEFT_OUT))}, since kernels are built when they are first
needed ([differences](differences.md)).

## Checks

Every model has its rows in the tables of `tests/models/cases_*.py`; one that has none fails the tests. From
each row follow the checks below. Exceptions are listed with their reasons.

| check | models | exceptions |
|---|---:|---|
{_table(checks())}

All of them are also built from input text and from keywords, copied, pickled, traced, run in two threads, and
compared to the bit alone and in a batch, in any order.

## Closed forms

What a discretisation approaches, with the order that is found from two refinements; *exact* is to round-off.
More are in the tests of the families and of the [recipes](recipes.md).

| | order | |
|---|---|---|
{_table(closed_forms())}

## Lines

| family | types | files | lines | of code |
|---|---:|---:|---:|---:|
{_table(sizes())}

Code is what is neither blank nor a comment nor documentation.
NEML2 needs {NEML2_LINES:,} lines for its leaves.
"""


def coverage() -> list[tuple[str, int, int, int]]:
    """By section: types of NEML2, how many of them there are here, and types of our own."""
    load_catalogue()
    rows = []
    for section, names in expected().items():
        own = {e.name for e in entries(section) if _ours(e)}
        rows.append((section, len(names), len(own & names), len(own - names)))
    return [*rows, ("**all**", *(sum(row[i] for row in rows) for i in (1, 2, 3)))]


def expected() -> dict[str, set[str]]:
    """The names that NEML2 registers, by section."""
    return {section: set(names) for section, names in json.loads(EXPECTED.read_text()).items()}


def missing() -> list[str]:
    """Types that NEML2 has and this catalogue lacks, other than those that are left out."""
    load_catalogue()
    own = {(e.section, e.name) for e in entries()}
    names = [(section, name) for section in SECTIONS for name in sorted(expected().get(section, ()))]
    return [name for section, name in names if (section, name) not in own and name not in LEFT_OUT]


def checks() -> list[tuple[str, int, str]]:
    """By check: how many types of models pass it, and the others with the reasons."""
    contract, frames, sites = (_tests(name) for name in ("test_contract", "test_frames", "test_sites"))
    types = {c.type for c in contract.CASES}
    inputs, tensors = ({c.type for c in module.CASES} for module in (sites, frames))
    rows = [
        (
            "value at a point against a known answer",
            types,
            dict.fromkeys(sorted(contract.ELSEWHERE), "in test files of their own"),
        ),
        ("float32 and float64; batches `()`, `(3,)`, `(2, 1)` with `(5,)`", types, contract.WHOLE_BATCHES),
        (
            "first and second derivatives by inputs and parameters against differences",
            types,
            contract.GUESSES,
        ),
        ("the same with one more axis of sites, for models with inputs", inputs, sites.ONE_AXIS),
        ("the turned answer in a turned frame, for models with tensors", tensors, frames.BY_COMPONENT),
    ]
    return [(name, len(of - set(none)), _reasons(none)) for name, of, none in rows]


def closed_forms() -> list[tuple[str, str, str]]:
    """Name, order and formula of each closed form."""
    forms = _tests("closed_forms.test_closed_forms").FORMS
    return [(f.name, str(f.order) if f.order else "exact", f"$`{f.formula}`$") for f in forms]


def _tests(name: str) -> Any:
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module(f"tests.models.{name}")


def _reasons(exceptions: dict[str, str]) -> str:
    by_reason: dict[str, list[str]] = {}
    for name, reason in exceptions.items():
        by_reason.setdefault(reason, []).append(f"`{name}`")
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())


def sizes() -> list[tuple[str, int, int, int, int]]:
    """By family of models: types, files, lines, and lines of code."""
    load_catalogue()
    models = [e.cls.__module__ for e in entries("Models") + entries("Data") if _ours(e)]
    rows = []
    for family, files in _families().items():
        modules = {".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files}
        texts = [f.read_text(encoding="utf-8") for f in files]
        lines, code = (sum(map(count, texts)) for count in (_lines, lines_of_code))
        rows.append((family, sum(m in modules for m in models), len(files), lines, code))
    return [*rows, ("**all**", *(sum(row[i] for row in rows) for i in (1, 2, 3, 4)))]


def lines_of_code(text: str) -> int:
    """Lines that are neither blank nor comments nor docstrings."""
    documented: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            documented.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(bool(s.strip()) and not s.lstrip().startswith("#") and n not in documented for n, s in lines)


def _lines(text: str) -> int:
    return len(text.splitlines())


def _families() -> dict[str, list[Path]]:
    models = ROOT / "neml2" / "models"
    found: dict[str, list[Path]] = {}
    for file in sorted(models.rglob("*.py")):
        if file.parent != models:
            found.setdefault(file.parent.name, []).append(file)
    for family, *places in PLACES:
        paths = [ROOT / place for place in places]
        found[family] = [f for p in paths for f in (sorted(p.glob("*.py")) if p.is_dir() else [p])]
    return {family.replace("_", " "): files for family, files in sorted(found.items())}


def _ours(entry: Entry) -> bool:
    return entry.cls.__module__.startswith("neml2.")


def _table(rows: list[tuple]) -> str:
    cells = [[f"{value:,}" if isinstance(value, int) else value for value in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


if __name__ == "__main__":
    main(*sys.argv[1:])
