"""The direction of imports, as docs/architecture.md states it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "neml2"
LAYERS = [  # a module may import from its own layer and from those above it in this list
    {"types", "fields", "lags", "errors", "html", "aoti", "compat", "ops"},
    {"registry", "log"},
    {"data", "texture"},
    {"context", "values", "binding", "derivatives", "parameters", "model"},
    {"composed", "solvers"},
    {"system", "points", "gradient"},
    {"substep", "implicit", "es"},
    {"predictors", "step", "models"},
    {"compiler"},
    {"drivers"},
    {"recurrent", "pyzag"},
    {"hit"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: i for i, names in enumerate(LAYERS) for name in names}
CATALOGUE = {"composed", "gradient", "implicit", "predictors"}  # models that live outside neml2/models
HEAVY = ("h5py", "xarray", "pandas", "matplotlib", "scipy", "pyzag", "nmhit")


def imports_of(path: Path) -> set[str]:
    """Parts of neml2 that a file imports when it is loaded: not inside functions, not for types only."""
    found = set()
    todo = list(ast.parse(path.read_text()).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("neml2"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {a.name for a in node.names}
        elif isinstance(node, ast.If | ast.Try) and "TYPE_CHECKING" not in ast.dump(node):
            todo += node.body
    return found & LEVEL.keys()


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    part = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if part in LEVEL:
        wrong = {name for name in imports_of(path) if LEVEL[name] > LEVEL[part]}
        assert not wrong, f"{part} must not import {wrong}"


def test_every_part_has_a_layer():
    parts = {p.stem for p in ROOT.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert parts - {"__init__"} == set(LEVEL)


@pytest.mark.parametrize("path", sorted((ROOT / "models").rglob("*.py")), ids=lambda p: p.name)
def test_leaf_models_know_only_types_fields_and_models(path):
    leaves = {"types", "fields", "data", "model", "models"}
    tables = leaves | {"registry", "composed", "gradient", "implicit", "predictors"}
    assert imports_of(path) <= (tables if path.name == "__init__.py" else leaves)


def test_importing_the_package_loads_nothing_heavy_but_torch():
    unwanted = (*HEAVY, "neml2.compiler", "neml2.drivers", "neml2.hit")
    code = f"import sys, neml2; print([m for m in {unwanted} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
