"""What models become when they are traced at one point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import neml2.models
import neml2.predictors  # noqa: F401  (the catalogue)
from neml2.compiler.differentiate import jacobian
from neml2.compiler.graph import Graph
from neml2.compiler.lower import Step, Unsupported, _Lowering
from neml2.compiler.sample import values_at
from neml2.compiler.symbolic import SymbolicTensor, inputs
from neml2.context import Context
from tests.compiler.scenarios import NAMES, at_step, dense, put, scenario
from tests.models.cases import Case, all_cases
from tests.models.probe import Probe

STRUCTURAL = {"RateCondensation", "CoordinateDescentPredictor"}  # they differentiate or iterate by themselves
UNKNOWNS = {
    "gtn_minmap": 9,
    "kocks_mecking_full": 8,
    "mixed_control_chaboche": 19,
    "radial_return_ri": 1,
    "ri_fb_isokin": 14,
    "ri_minmap_perfect": 7,
    "stress_control": 7,
    "thermal_annealing": 13,
    "vp_chaboche_cyclic": 19,
    "vp_j2_direction": 7,
    "vp_linear_kinematic": 12,
    "vp_voce_rateform": 7,
}


@dataclass
class Traced:
    inputs: dict[str, SymbolicTensor]
    outputs: dict[str, Any]
    numbers: dict[str, float]


def trace(probe: Probe) -> Traced:
    """The model of a case at symbols, and the numbers of its point."""
    graph, numbers = Graph(), {}
    given = {n: inputs(n, tuple(v.data.shape), graph) for n, v in probe.point.items()}
    held = {p: inputs(f"param:{n}", tuple(p.shape), graph) for n, p in probe.parameters.items()}
    pairs = [(s, probe.point[n].data) for n, s in given.items()] + [(s, p) for p, s in held.items()]
    for symbol, data in pairs:
        values = data.detach().reshape(-1).tolist()
        numbers |= {n.value: x for n, x in zip(symbol.nodes.flat, values, strict=True)}
    values = {
        n: type(v)._new(given[n], v.sub_batch_ndim)  # type: ignore[arg-type]
        for n, v in probe.point.items()
    }
    lowering = _Lowering(Step(graph, {}), Context(parameters=held))
    return Traced(given, lowering.run(probe.model, values), numbers)


def one_point(case: Case) -> bool:
    point = case.point(case.build())
    return not any(v.dynamic_batch_shape for v in point.values())


CASES = [c for c in all_cases() if one_point(c)]


def test_most_cases_can_be_traced() -> None:
    refused = []
    for case in CASES:
        try:
            trace(Probe(case))
        except Unsupported:
            refused.append(case.type)
    assert set(refused) == STRUCTURAL


@pytest.mark.parametrize("case", [c for c in CASES if c.type not in STRUCTURAL], ids=str)
def test_traced_is_eager(case: Case) -> None:
    """Values and Jacobian of the graph, at the numbers of the case."""
    probe = Probe(case)
    traced = trace(probe)
    value = values_at([traced.numbers])
    eager, slopes = probe.model.jacobian(probe.point)
    assert list(traced.outputs) == list(eager)
    for name, out in traced.outputs.items():
        expected = eager[name].data.detach().numpy()
        assert out.data.shape == expected.shape and out.sub_batch_ndim == eager[name].sub_batch_ndim
        nodes = list(out.data.nodes.flat)
        found = np.array([value(n)[0] for n in nodes]).reshape(expected.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max(initial=0))
        for variable, symbol in traced.inputs.items():
            rows = jacobian(nodes, list(symbol.nodes.flat))
            matrix = np.array(
                [[value(r[k])[0] if k in r else 0.0 for k in range(symbol.nodes.size)] for r in rows]
            )
            block = slopes[name][variable].data.detach().numpy()  # (*out_sub, *in_sub, *out_base, *in_base)
            sites, ranks = eager[name].sub_batch_ndim, probe.point[variable].sub_batch_ndim
            block = np.moveaxis(
                block, range(sites, sites + ranks), range(out.data.ndim, out.data.ndim + ranks)
            ).reshape(matrix.shape)
            np.testing.assert_allclose(matrix, block, rtol=1e-9, atol=1e-9 * np.abs(block).max(initial=0))


def test_every_scenario_is_known() -> None:
    assert set(NAMES) == set(UNKNOWNS)


@pytest.mark.parametrize("name", NAMES)
def test_regions_of_scenarios(name: str) -> None:
    step = scenario(name).step
    (region,) = step.regions
    assert len(region.unknowns) == UNKNOWNS[name]
    assert len(region.residual) == len(region.guess) == len(region.variables) == len(region.unknowns)
    assert {u.op for u in region.unknowns} == {"input"}
    assert len({u.index for u in region.unknowns}) == len(region.unknowns)
    assert set(step.inputs) == set(step.forces) | set(step.states)
    assert not set(step.forces) & set(step.states)


@pytest.mark.parametrize("name", NAMES)
def test_a_lowered_step_solved_by_newton_is_the_eager_one(name: str) -> None:
    s = scenario(name)
    (region,) = s.step.regions
    for k in (2, 20):
        point = at_step(s, k)
        guess = values_at([point])
        x = np.array([guess(g)[0] for g in region.guess])
        for _ in range(40):
            (matrix,), (residual,) = dense(region, [point | put(region.unknowns, x)])
            x = x - np.linalg.solve(matrix, residual)
        value = values_at([point | put(region.unknowns, x)])
        for output, symbol in s.step.outputs.items():
            found = np.array([value(n)[0] for n in symbol.nodes.flat])
            data = s.trajectory[output].data[k].reshape(-1, symbol.nodes.size)[0].numpy()
            size = s.trajectory[output].data[1:].abs().max().item()
            np.testing.assert_allclose(found, data, rtol=1e-6, atol=1e-6 * size, err_msg=output)
