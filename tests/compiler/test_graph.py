"""Scalar graphs: what is folded, what is the same node, and what the numbers are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from neml2.compiler.graph import BINARY, UNARY, Graph, ancestors, evaluate, listing, substitute
from neml2.compiler.sample import values_at

SPECIAL = (0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 709.5, 1e3, -1e3, math.inf, -math.inf, math.nan)


@pytest.fixture
def graph() -> Graph:
    return Graph()


def test_equal_expressions_are_one_node(graph: Graph) -> None:
    x, y = graph.input("x"), graph.input("y")
    assert graph.input("x") is x
    assert x + y is y + x
    assert x * y is y * x
    assert x + 7.0 is 7.0 + x
    assert x * 7.0 is 7.0 * x
    assert graph.binary("max", x, graph.const(3)) is graph.binary("max", graph.const(3), x)
    assert x - y is not y - x
    assert x / y is not y / x
    assert graph.const(0.0) is not graph.const(-0.0)
    assert graph.const(math.nan) is graph.const(math.nan)


def test_neutral_elements_vanish(graph: Graph) -> None:
    x, y = graph.input("x"), graph.input("y")
    assert x + 0 is x and 0 + x is x
    assert x - 0 is x
    assert x * 1 is x and x / 1 is x
    assert (x - x).is_const(0)
    assert (x * 0).is_const(0)
    assert (0 / x).is_const(0)
    minus = -x
    assert -minus is x
    assert 0 - x is -x and x * -1 is -x
    assert -(x - y) is y - x
    assert x + (-y) is x - y and (-y) + x is x - y and x - (-y) is x + y


def test_factors_gather_in_front(graph: Graph) -> None:
    x, y = graph.input("x"), graph.input("y")
    assert 2 * (3 * x) is 6 * x
    assert -(3 * x) is -3 * x
    assert 3 * (-x) is -3 * x
    assert (-x) * y is -(x * y) and x * (-y) is -(x * y)
    assert (-x) / y is -(x / y)
    assert x / 4 is 0.25 * x
    assert evaluate([x / 0.0], {"x": 2.0}) == [math.inf]


def test_divisions_share_the_reciprocal(graph: Graph) -> None:
    x, y, z = (graph.input(n) for n in "xyz")
    assert [n.op for n in ancestors([x / z, y / z, 3 / z])].count("div") == 1
    for quotient in (x / z, (x + y) / z):  # the reciprocal is older than the sum
        assert evaluate([graph.unary("floor", quotient)], {"x": 49.0, "y": 0.0, "z": 49.0}) == [1.0]


def test_structural_zeros_vanish_with_what_is_not_finite(graph: Graph) -> None:
    """Torch would give NaN."""
    x = graph.input("x")
    assert evaluate([0 * x, x - x, 0 / x], {"x": math.nan}) == [0.0, 0.0, 0.0]


def test_choices_are_folded(graph: Graph) -> None:
    x, y, c = (graph.input(n) for n in "xyc")
    assert graph.where(c, x, x) is x
    assert graph.where(graph.const(1), x, y) is x
    assert graph.where(graph.const(0), x, y) is y
    assert graph.where(graph.unary("not", c), x, y) is graph.where(c, y, x)
    assert graph.where(c, graph.where(c, x, y), y) is graph.where(c, x, graph.where(c, x, y))
    assert graph.unary("not", graph.unary("not", c)) is c
    root = graph.unary("sqrt", x)
    assert graph.unary("abs", root) is root


@pytest.mark.parametrize("op", sorted(UNARY))
def test_a_folded_function_is_the_evaluated_one(graph: Graph, op: str) -> None:
    x = graph.input("x")
    node = graph.unary(op, x)
    for value in SPECIAL:
        folded = graph.unary(op, graph.const(value)).value
        (one,) = evaluate([node], {"x": value})
        (many,) = values_at([{"x": value}])(node)
        if value != value and op == "not":
            continue  # a condition is never NaN
        np.testing.assert_allclose([folded, many], one, rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("op", sorted(BINARY))
def test_a_folded_pair_is_the_evaluated_one(graph: Graph, op: str) -> None:
    x, y = graph.input("x"), graph.input("y")
    node = graph.binary(op, x, y)
    for a in SPECIAL:
        for b in SPECIAL:
            if op in ("and", "or") and (a != a or b != b):
                continue  # a condition is never NaN
            folded = graph.binary(op, graph.const(a), graph.const(b)).value
            (one,) = evaluate([node], {"x": a, "y": b})
            (many,) = values_at([{"x": a, "y": b}])(node)
            np.testing.assert_allclose([folded, many], one, rtol=1e-14, err_msg=f"{op}({a}, {b})")


def test_nan_and_infinity(graph: Graph) -> None:
    x = graph.input("x")
    at = {"x": math.nan}
    for op in ("exp", "floor", "sign", "sqrt", "log", "abs"):
        assert math.isnan(evaluate([graph.unary(op, x)], at)[0]), op
    for op in ("max", "min"):
        assert math.isnan(evaluate([graph.binary(op, x, graph.const(1))], at)[0]), op
    assert evaluate([graph.unary("exp", x)], {"x": 1e4}) == [math.inf]
    assert evaluate([graph.unary("log", x)], {"x": 0.0}) == [-math.inf]
    assert math.isnan(evaluate([graph.unary("sqrt", x)], {"x": -1.0})[0])
    assert math.isnan(evaluate([graph.unary("asin", x)], {"x": 2.0})[0])
    assert evaluate([-1 / x], {"x": 0.0}) == [-math.inf]
    assert evaluate([graph.where(graph.binary("lt", x, graph.const(0)), x, graph.const(5))], at) == [5.0]


def test_the_branch_not_taken_does_no_harm(graph: Graph) -> None:
    x = graph.input("x")
    root = graph.where(graph.binary("lt", graph.const(0), x), graph.unary("sqrt", x), graph.const(0))
    assert evaluate([root], {"x": -4.0}) == [0.0]
    assert values_at([{"x": -4.0}, {"x": 4.0}])(root).tolist() == [0.0, 2.0]


def test_ancestors_come_before_what_is_made_of_them(graph: Graph) -> None:
    x, y = graph.input("x"), graph.input("y")
    graph.unary("exp", y)  # no part of the root
    root = (x + 1) * (x + 1) - y
    order = ancestors([root, x])
    assert order[-1] is root and len(order) == len({n.index for n in order}) == 6
    for k, n in enumerate(order):
        assert all(a in order[:k] for a in n.args)


def test_a_deep_graph_needs_no_recursion(graph: Graph) -> None:
    x = node = graph.input("x")
    for _ in range(5000):
        node = graph.unary("sin", node) + x
    one = evaluate([node], {"x": 0.1})
    assert values_at([{"x": 0.1}])(node)[0] == pytest.approx(one[0], rel=1e-12)
    assert evaluate(substitute([node], {x.index: graph.const(0.1)}), {}) == pytest.approx(one)


def test_substitution_folds_anew(graph: Graph) -> None:
    x, y = graph.input("x"), graph.input("y")
    choice = graph.where(graph.binary("lt", x, y), x * y, graph.unary("exp", y))
    root = (x + y) * (x - y)
    (zero,) = substitute([root], {x.index: y})
    assert zero.is_const(0)
    assert substitute([root, choice], {}) == [root, choice]
    swapped = substitute([x - y], {x.index: y, y.index: x})
    assert swapped == [y - x]  # at once, not one after the other
    replaced = substitute([choice], {x.index: graph.const(2), y.index: graph.const(3)})
    assert replaced[0].is_const(6)


def test_the_listing_has_every_operation(graph: Graph) -> None:
    x = graph.input("x")
    root = graph.unary("exp", x) + 2.5
    assert listing([root]) == f"%1 = exp(x)\n%{root.index} = 2.5 + %1"


def test_the_listing_uses_names_and_goes_by_models(graph: Graph) -> None:
    x, y = graph.input("x[0]"), graph.input("y")
    trial = x * y
    stress = trial - 1.0
    rate = graph.unary("sqrt", stress)
    assert listing(
        [rate, graph.where(graph.binary("lt", x, y), rate, y)],
        {stress.index: "stress", rate.index: "rate"},
        {stress.index: "Law 'a'", rate.index: "Flow 'b'"},
    ).splitlines() == [
        "# Law 'a'",
        f"%{trial.index} = x[0] * y",
        f"stress = %{trial.index} - 1",
        "# Flow 'b'",
        "rate = sqrt(stress)",
        "# other",
        f"%{rate.index + 1} = x[0] < y",
        f"%{rate.index + 2} = where(%{rate.index + 1}, rate, y)",
    ]


def test_values_of_a_missing_input_are_nan(graph: Graph) -> None:
    assert np.isnan(values_at([{}, {}])(graph.input("x") + 1)).all()
