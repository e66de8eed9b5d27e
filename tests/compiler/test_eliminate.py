"""The condensed Newton step against a dense solve."""

from __future__ import annotations

import numpy as np
import pytest

from neml2.compiler.condense import condense, operations
from neml2.compiler.eliminate import Elimination, eliminate, equilibrated, linear_system
from neml2.compiler.graph import Graph, Node, ancestors
from neml2.compiler.regions import Region
from neml2.compiler.sample import values_at
from tests.compiler.scenarios import SOLVED, at_step, dense, put, scenario

HUGE = 1e15  # an entry that divides by a norm of zero
ROUND_OFF = 1e-11  # relative, of the entries; a point where it moves the step by more than 1e-6 says nothing


def condensed_steps(e: Elimination, residual: list[Node], samples: list[dict[str, float]]) -> np.ndarray:
    """``(samples, unknowns)``: the core is solved numerically and put in."""
    at = values_at(samples)
    core_rhs, step = e.solve([-r for r in residual])
    m = len(e.core)
    core = np.array([[at(d) for d in row] for row in e.core]).reshape(m, m, len(samples))
    rhs = np.array([at(d) for d in core_rhs]).reshape(m, len(samples))
    solved = (
        [np.linalg.solve(core[:, :, k], rhs[:, k]) for k in range(len(samples))]
        if m
        else [np.zeros(0)] * len(samples)
    )
    full = [s | put(e.core_solution, x) for s, x in zip(samples, solved, strict=True)]
    value = values_at(full)
    return np.array([value(d) for d in step]).T


def well_posed(matrix: np.ndarray, residual: np.ndarray) -> bool:
    """Whether round-off in the matrix leaves the step as it is."""
    if not (np.abs(matrix).max() < HUGE and np.abs(residual).max() < HUGE):  # false for NaN
        return False
    noise = np.random.default_rng(0).standard_normal(matrix.shape)
    try:
        one, two = (np.linalg.solve(a, -residual) for a in (matrix, matrix * (1 + ROUND_OFF * noise)))
    except np.linalg.LinAlgError:
        return False
    return bool(np.abs(one).max() < HUGE and np.abs(one - two).max() <= 1e-6 * np.abs(one).max())


@pytest.mark.parametrize("name", SOLVED)
def test_scenarios(name: str) -> None:
    s = scenario(name)
    (region,) = s.step.regions
    history = [at_step(s, k) | put(region.unknowns, np.zeros(len(region.unknowns))) for k in (1, 9, 25)]
    at_guess = [p | put(region.unknowns, [values_at([p])(g)[0] for g in region.guess]) for p in history]
    points = s.samples + history + at_guess
    e = condense(region, s.samples)
    assert e.eliminated > 0 and len(e.solution) == len(region.unknowns)
    assert len(e.core) == len(e.core_rhs) == len(e.core_solution)
    matrix, residual = dense(region, points)
    usable = [k for k in range(len(points)) if well_posed(matrix[k], residual[k])]
    assert len(usable) >= 5, "too few points to say anything"
    found = condensed_steps(e, region.residual, [points[k] for k in usable])
    for k, step in zip(usable, found, strict=True):
        expected = np.linalg.solve(matrix[k], -residual[k])
        np.testing.assert_allclose(step, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", SOLVED)
def test_the_transposed_system(name: str) -> None:
    s = scenario(name)
    (region,) = s.step.regions
    n = len(region.unknowns)
    e = condense(region, s.samples)
    weights = [s.step.graph.input(f"weight[{i}]") for i in range(n)]
    core_rhs, symbols, solution = e.solve_transposed(weights, "adjoint")
    given = np.random.default_rng(0).standard_normal(n)
    points = [p | put(weights, given) for p in s.samples]
    matrix, residual = dense(region, points)
    usable = [k for k in range(len(points)) if well_posed(matrix[k], residual[k])]
    at = values_at([points[k] for k in usable])
    core = np.array([[at(d) for d in row] for row in e.core]).reshape(len(e.core), len(e.core), len(usable))
    rhs = np.array([at(d) for d in core_rhs]).reshape(len(e.core), len(usable))
    full = [
        points[k] | put(symbols, np.linalg.solve(core[:, :, j].T, rhs[:, j]) if len(e.core) else [])
        for j, k in enumerate(usable)
    ]
    found = values_at(full)
    for j, k in enumerate(usable):
        expected = np.linalg.solve(matrix[k].T, given)
        made = np.array([found(d)[j] for d in solution])
        np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def back_stresses(count: int) -> tuple[Region, list[dict[str, float]]]:
    """Viscoplastic flow with dynamic and static recovery, each back stress coupled through its norm."""
    graph = Graph()
    random = np.random.default_rng(0)
    stress = [graph.input(f"s:stress[{i}]") for i in range(6)]
    backs = [[graph.input(f"s:X{k}[{i}]") for i in range(6)] for k in range(count)]
    total = [sum(x) for x in zip(*backs, strict=True)]
    over = [s - x for s, x in zip(stress, total, strict=True)]
    size = graph.unary("sqrt", sum(o * o for o in over) + 1e-12)
    flow = 1e-3 * graph.unary("exp", 0.05 * (size - 100.0))
    direction = [o / size for o in over]
    given = [graph.input(f"strain[{i}]") for i in range(6)]
    residual = [s - 1e5 * (e - flow * n) for s, e, n in zip(stress, given, direction, strict=True)]
    cuts = [*over, size, flow, *direction]
    for k, x in enumerate(backs):
        c, norm = 1e4 / (k + 1), graph.unary("sqrt", sum(a * a for a in x) + 1e-12)
        creep = 1e-9 * norm * norm
        old = [graph.input(f"old{k}[{i}]") for i in range(6)]
        residual += [
            a - o - 10.0 * ((c * n - 20.0 * a) * flow - creep * a)
            for a, o, n in zip(x, old, direction, strict=True)
        ]
    names = {n.value for n in ancestors(residual) if n.op == "input"}
    samples = []
    for _ in range(20):
        point = {n: float(10 * random.standard_normal()) for n in sorted(names)}
        samples.append(point | {n: 1e-2 * point[n] for n in names if n.startswith("strain")})
    unknowns = [*stress, *(a for x in backs for a in x)]
    return Region("s", unknowns, unknowns, residual, cuts, None, None, []), samples


def test_the_cost_is_linear_in_the_number_of_back_stresses() -> None:
    costs = []
    for count in (2, 4, 6, 8):
        region, samples = back_stresses(count)
        e = condense(region, samples)
        assert not e.core
        costs.append(operations(e, region))
        matrix, residual = dense(region, samples)
        for found, a, r in zip(condensed_steps(e, region.residual, samples), matrix, residual, strict=True):
            expected = np.linalg.solve(a, -r)
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())
    steps = np.diff(costs)
    assert costs[0] < 1000 and max(steps) == steps[0], costs


@pytest.mark.parametrize("name", SOLVED)
def test_hardly_anything_is_left(name: str) -> None:
    s = scenario(name)
    (region,) = s.step.regions
    assert len(condense(region, s.samples).core) <= 3


def test_rows_and_columns_are_brought_to_one_size() -> None:
    """A strain rate beside a stress: without that, neither would be a pivot."""
    graph = Graph()
    x, y = graph.input("x"), graph.input("y")
    values = values_at([{"x": 0.3, "y": 2e-9}, {"x": -1.0, "y": 1e-9}])
    system = linear_system([x, y], [], [x + 1e9 * y - 1, 1e-6 * x * x - 1e3 * y])
    of_row, of_column = equilibrated(system.rows, values)
    size = np.array([[np.abs(values(row[c])) for c in (0, 1)] for row in system.rows])
    scaled = size * of_row[:, None] * of_column[None]
    np.testing.assert_allclose(scaled.max(axis=0), 1, rtol=0.5)
    np.testing.assert_allclose(scaled.max(axis=1), 1, rtol=0.5)
    assert not eliminate(system, values, large=0.1).core


def test_everything_can_be_eliminated() -> None:
    graph = Graph()
    x, y = graph.input("x"), graph.input("y")
    samples = [{"x": 1.0, "y": 2.0}, {"x": -3.0, "y": 0.5}]
    residual = [2 * x + y - 1, x - 3 * y * y]
    e = eliminate(linear_system([x, y], [], residual), values_at(samples))
    assert not e.core and e.eliminated == 2
    for p, step in zip(samples, condensed_steps(e, residual, samples), strict=True):
        a = np.array([[2, 1], [1, -6 * p["y"]]])
        r = np.array([2 * p["x"] + p["y"] - 1, p["x"] - 3 * p["y"] ** 2])
        np.testing.assert_allclose(step, np.linalg.solve(a, -r), rtol=1e-12)


def test_a_structurally_singular_system_leaves_a_singular_core() -> None:
    graph = Graph()
    x, y, z = (graph.input(n) for n in "xyz")
    samples = [{"x": 1.0, "y": 2.0, "z": 0.3}]
    system = linear_system([x, y, z], [], [x + y, x - 1, 2 * x + 3])  # z is nowhere
    e = eliminate(system, values_at(samples))
    at = values_at(samples)
    core = np.array([[at(d)[0] for d in row] for row in e.core])
    assert core.size and np.linalg.matrix_rank(core) < len(core)


def test_a_zero_diagonal_is_no_obstacle() -> None:
    """As in perfect plasticity, where the yield condition does not contain the multiplier."""
    graph = Graph()
    x, y, m = (graph.input(n) for n in "xym")
    norm = graph.unary("sqrt", x * x + y * y)
    residual = [x - 3 + m * x / norm, y + 1 + m * y / norm, norm - 2]
    points = [{"x": a, "y": b, "m": c} for a, b, c in ((2, -1, 0), (1, 1, 0.5), (0.3, -2, 1), (-1, 2, 0.2))]
    e = eliminate(linear_system([x, y, m], [norm], residual), values_at(points))
    found = condensed_steps(e, residual, points)
    for p, step in zip(points, found, strict=True):
        n = np.hypot(p["x"], p["y"])
        d = np.array([p["x"], p["y"]]) / n
        a = np.zeros((3, 3))
        a[:2, :2] = np.eye(2) + p["m"] / n * (np.eye(2) - np.outer(d, d))
        a[:2, 2] = a[2, :2] = d
        r = [p["x"] - 3 + p["m"] * d[0], p["y"] + 1 + p["m"] * d[1], n - 2]
        np.testing.assert_allclose(step, np.linalg.solve(a, -np.array(r)), rtol=1e-10)
