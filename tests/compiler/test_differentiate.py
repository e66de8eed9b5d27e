"""Derivatives of scalar graphs against central differences, and where they must not spread NaN."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from neml2.compiler.differentiate import ZERO_SLOPE, gradient, jacobian
from neml2.compiler.graph import BINARY, UNARY, Graph, Node, evaluate

POINTS = ((0.3, 0.7), (0.8, -0.4), (0.55, 0.1))  # where every function is smooth, also log and asin
STEP = 1e-5


def derivatives(root: Node, variables: list[Node], at: dict[str, float]) -> tuple[list[float], list[float]]:
    """By forward and by reverse mode."""
    graph = root.graph
    (row,) = jacobian([root], variables)
    forward = [row.get(i, graph.const(0)) for i in range(len(variables))]
    reverse = gradient([root], [graph.const(1)], variables)
    return evaluate(forward, at), evaluate(reverse, at)


def differences(root: Node, names: str, at: dict[str, float]) -> list[float]:
    def f(**moved: float) -> float:
        return float(evaluate([root], at | moved)[0])

    return [(f(**{n: at[n] + STEP}) - f(**{n: at[n] - STEP})) / (2 * STEP) for n in names]


def check(make: Callable[[Graph, Node, Node], Node]) -> None:
    for a, b in POINTS:
        graph = Graph()
        x, y = graph.input("x"), graph.input("y")
        root, at = make(graph, x, y), {"x": a, "y": b}
        expected = differences(root, "xy", at)
        for found in derivatives(root, [x, y], at):
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("op", sorted(set(UNARY) - {"not"}))
def test_functions(op: str) -> None:
    check(lambda g, x, y: g.unary(op, x))
    check(lambda g, x, y: g.unary(op, x * x + 0.1 * y * x) * y)


@pytest.mark.parametrize("op", sorted(set(BINARY) - ZERO_SLOPE - {"rem"}))
def test_pairs(op: str) -> None:
    check(lambda g, x, y: g.binary(op, x, y))
    check(lambda g, x, y: g.binary(op, y, x))
    check(lambda g, x, y: g.binary(op, x * y, g.unary("exp", x)))


def test_remainder_by_a_number_and_by_a_value() -> None:
    check(lambda g, x, y: g.binary("rem", 3 * x + y, g.const(0.7)))
    check(lambda g, x, y: g.binary("rem", 20 * x, y * y + 1.3))


def test_choices() -> None:
    check(lambda g, x, y: g.where(g.binary("lt", x, y), x * y, x / y))
    check(lambda g, x, y: g.where(g.binary("lt", x, y), x, y))
    check(lambda g, x, y: g.where(g.binary("le", y, g.const(0)), g.const(2), g.unary("sin", x)))


def test_conditions_have_no_slope() -> None:
    graph = Graph()
    x = graph.input("x")
    for op in sorted(ZERO_SLOPE):
        node = graph.unary(op, x) if op in UNARY else graph.binary(op, x, graph.const(0.5))
        assert jacobian([node * 3.0], [x]) == [{}]
        assert gradient([node * 3.0], [graph.const(1)], [x])[0].is_const(0)


def test_a_repeated_argument_counts_twice() -> None:
    graph = Graph()
    x = graph.input("x")
    for root, slope in ((x * x, 6.0), (x + x, 2.0), (x / (x * x), -1 / 9)):
        for found in derivatives(root, [x], {"x": 3.0}):
            assert found == pytest.approx([slope])


def test_a_constant_loses_a_tie() -> None:
    graph = Graph()
    zero, x = graph.const(0), graph.input("x")
    for op in ("max", "min"):
        for root in (graph.binary(op, x, zero), graph.binary(op, zero, x)):
            assert derivatives(root, [x], {"x": 0.0}) == ([1.0], [1.0])


@pytest.mark.parametrize("op", ["sqrt", "log", "div"])
def test_nan_stays_in_its_branch(op: str) -> None:
    """In forward mode, which Newton's matrix comes from; reverse mode multiplies zero by the slope."""
    graph = Graph()
    x, y = graph.input("x"), graph.input("y")
    bad = y / x if op == "div" else graph.unary(op, x)
    safe = graph.where(graph.binary("lt", graph.const(0), x), bad * y, 3 * y)
    root = graph.unary("exp", safe) * y
    at = {"x": 0.0, "y": 0.5}
    expected = [0.0, math.exp(1.5) * (1 + 3 * 0.5)]
    for value in (0.0, -1.0):
        forward, _ = derivatives(root, [x, y], at | {"x": value})
        np.testing.assert_allclose(forward, expected, rtol=1e-14)


def test_reverse_sweeps_weigh_and_stop() -> None:
    graph = Graph()
    x, y, w = (graph.input(n) for n in "xyw")
    inner = x * y
    roots = [graph.unary("sin", inner), inner + x, x]
    at = {"x": 0.3, "y": 1.7, "w": 2.0}
    found = gradient(roots, [w, graph.const(3), graph.const(1)], [x, y])
    c = 2.0 * math.cos(0.51) + 3
    assert evaluate(found, at) == pytest.approx([c * 1.7 + 3 + 1, c * 0.3])
    (by_inner,) = gradient(roots[:1], [w], [inner])  # an intermediate value as a variable
    assert evaluate([by_inner], at) == pytest.approx([2.0 * math.cos(0.51)])
    assert gradient([x], [w], [y])[0].is_const(0)
    assert gradient([x, x], [w, w], [x])[0] is w + w


def test_rows_are_sparse() -> None:
    graph = Graph()
    x, y, z = (graph.input(n) for n in "xyz")
    rows = jacobian([x * y, z, graph.const(1), y - y + x, x], [x, y, z])
    assert [sorted(r) for r in rows] == [[0, 1], [2], [], [0], [0]]
    assert rows[1][2].is_const(1) and rows[3][0].is_const(1)


def test_second_derivatives() -> None:
    graph = Graph()
    x, y = graph.input("x"), graph.input("y")
    root = graph.unary("exp", x * y) / x
    slopes = gradient([root], [graph.const(1)], [x, y])
    at = {"x": 0.4, "y": 0.9}
    for slope in slopes:
        expected = differences(slope, "xy", at)
        for found in derivatives(slope, [x, y], at):
            np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_a_branch_that_is_not_taken_has_no_gradient() -> None:
    """Its slopes may be infinite, of one use or of several under different conditions."""
    graph = Graph()
    x, y = graph.input("x"), graph.input("y")
    zero = graph.const(0)
    above, right = graph.binary("lt", zero, x), graph.binary("lt", zero, y)
    root = graph.unary("sqrt", x)
    inner = graph.unary("log", 2 * root)
    value = graph.where(above, root * y + inner, x) + graph.where(
        right, graph.where(above, y / root, y), zero
    )
    slopes = gradient([value], [graph.const(1)], [x, y])
    at = {"x": 0.0, "y": 3.0}
    assert evaluate(slopes, at) == [1.0, 1.0]
    assert evaluate(slopes, {"x": 0.0, "y": -3.0}) == [1.0, 0.0]
    rows = jacobian([value], [x, y])[0]
    for at in ({"x": 4.0, "y": 3.0}, {"x": 4.0, "y": -3.0}):
        assert evaluate(slopes, at) == pytest.approx(evaluate([rows[0], rows[1]], at))
