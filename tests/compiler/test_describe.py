"""What is said about a kernel is what the kernel does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

import neml2
from neml2.compiler import build
from neml2.compiler.describe import example_values, kernel_report, report_of
from neml2.compiler.eliminate import uncondensed
from neml2.compiler.kernel import Kernel
from neml2.compiler.lower import Unsupported
from neml2.step import StateUpdate

GOOD = Path(__file__).parents[1] / "bad_input" / "good.i"


@pytest.fixture(scope="module")
def model():
    return neml2.load_model(GOOD, "model")


@pytest.fixture(scope="module")
def report(model):
    return kernel_report(model)


def test_sizes(report):
    assert report.prescribed == {"strain": 6, "t": 1}
    assert report.states == {"plastic_strain": 6, "equivalent_plastic_strain": 1}
    assert report.outputs["stress"] == 6
    assert report.parameters["update.residual.elasticity.E"] == 1
    assert report.samples == "values made up, for want of a history"


def test_the_solve(report):
    (solve,) = report.solves
    assert solve.name == "update" and solve.solver == "Newton"
    assert solve.unknowns == {"plastic_strain": 6, "equivalent_plastic_strain": 1}
    newton = report.kernel.step.regions[0].solver
    assert (solve.abs_tol, solve.rel_tol, solve.max_its) == (newton.abs_tol, newton.rel_tol, newton.max_its)
    assert solve.eliminated + solve.core == 7 + solve.between
    assert len(solve.torn) + solve.torn_between == solve.core


def test_operations_are_the_lines_of_the_source(report):
    """Every operation is a line ``const V name = ...`` or ``const M name = ...``."""
    (solve,) = report.solves
    lines = report.source().splitlines()
    names = {f"{w}_{i}" for i, w in report.kernel.step.names.items()}
    made = [m for line in lines if (m := re.match(r"( *)const [VM] (\w+) = ", line))]
    count = dict.fromkeys(range(1, 9), 0)
    for m in made:
        if m[2] in names or re.fullmatch(r"t\d+", m[2]):
            count[len(m[1]) // 4] += 1
    assert count[1] == report.once_per_point_operations
    assert count[2] == report.once_per_step_operations
    assert count[3] == solve.iteration_operations - 2 * solve.core**3
    assert 0 < solve.residual_operations < solve.iteration_operations == report.kernel.operations()


def test_where_source_and_library_are(report, model):
    march, adjoint = report.sources
    assert (march.kind, adjoint.kind) == ("march", "adjoint") and march.lines < adjoint.lines
    assert Path(march.path).parent == build.cache_directory() and march.library is None
    report.kernel.launcher("march", torch.zeros((), dtype=torch.float64)).build()
    march, adjoint = kernel_report(model).sources
    assert Path(march.library).stat().st_size == march.library_bytes
    assert len(Path(march.path).read_text().splitlines()) == march.lines
    assert adjoint.library is None


def test_as_text(report):
    text = str(report)
    assert "unknowns    7: plastic_strain (6), equivalent_plastic_strain" in text
    assert "not built yet" in text
    assert max(map(len, text.splitlines())) < 130 and not re.search(r" $", text, re.M)


def test_as_json(report):
    assert json.loads(json.dumps(report.facts()))["solves"][0]["unknowns"]["plastic_strain"] == 6


def test_the_graph_is_by_models_and_complete(report):
    text = report.graph()
    assert "# LinearIsotropicElasticity 'elasticity'\n" in text
    known = set()
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, right = line.partition(" = ")
            words = re.findall(r"%\d+", right)
            assert known.issuperset(words), line
            known.add(name)
    assert "residual of plastic_strain_residual = plastic_strain_residual_0" in text
    assert "stress[0] = stress_0" in text


def test_without_a_compiler(model, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    report = kernel_report(model)
    assert report.sources[0].path is None and "no-such-compiler" in report.missing
    assert report.missing.split(";")[0] in re.sub(r"\s+", " ", str(report))


def test_values_that_are_made_up(model):
    found = example_values(StateUpdate(model), {})
    assert found["t"].data.tolist() == [0.0, 1.0]
    assert found["strain"].data.shape == (2, 6) and found["strain"].data.isfinite().all()
    found = example_values(StateUpdate(model), {"strain": torch.Size((3,))})
    assert found["strain"].sub_batch_shape == (3,)


def test_what_is_given_is_taken(model):
    update = StateUpdate(model)
    given = example_values(update, {})
    report = kernel_report(update, {"strain": given["strain"]}, about="one of two")
    assert report.samples == "one of two"
    assert report.kernel.operations() == Kernel(update, given, {}).operations()


def test_a_model_that_is_not_taken():
    file = neml2.load_input(GOOD, additional_args=["Solvers/lu/type:=GMRES"])
    with pytest.raises(Unsupported, match="the linear solver of 'update' is not DenseLU"):
        kernel_report(file.get_model("model"))


def test_a_dense_core(model):
    update = StateUpdate(model)
    kernel = Kernel(update, example_values(update, {}), {})
    kernel.eliminations = [uncondensed(r.unknowns, r.residual) for r in kernel.step.regions]
    report = report_of(kernel, "all of it")
    (solve,) = report.solves
    assert (solve.core, solve.eliminated, solve.pivots, solve.between, solve.torn_between) == (7, 0, 0, 0, 0)
    assert solve.torn == [*(f"plastic_strain[{c}]" for c in range(6)), "equivalent_plastic_strain"]
    text = re.sub(r"\s+", " ", str(report))
    assert "dense core 7 x 7: plastic_strain[0], plastic_strain[1]," in text
