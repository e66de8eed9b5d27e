"""Sums that cancel and products that are shared: the same values from fewer operations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neml2.compiler.graph import Graph, Node, ancestors, depending, evaluate
from neml2.compiler.simplify import cancelled, grouped, simplified


def symbols(graph: Graph, *names: str) -> list[Node]:
    return [graph.input(n) for n in names]


def count(roots: list[Node], unknowns: list[Node]) -> int:
    """Operations that depend on the unknowns."""
    return len(depending(ancestors(roots), unknowns)) - len(unknowns)


def deviator(x: list[Node]) -> list[Node]:
    mean = (x[0] + x[1] + x[2]) / 3.0
    return [a - mean for a in x]


def test_the_deviator_of_a_deviator_is_itself() -> None:
    x = symbols(Graph(), "x", "y", "z")
    once = deviator(x)
    twice = deviator(once)
    done = cancelled(twice, [])
    assert [done[n.index] for n in twice] == once


def test_a_scaled_deviator_has_no_mean() -> None:
    graph = Graph()
    x, (scale,) = symbols(graph, "x", "y", "z"), symbols(graph, "s")
    n = [1.5 * (1.0 / scale) * d for d in deviator(x)]
    trace = n[0] + n[1] + n[2]
    assert cancelled([trace], [])[trace.index].is_const(0)


def test_a_sum_of_one_product_is_that_product() -> None:
    graph = Graph()
    x, y = symbols(graph, "x", "y")
    total = (x * y + y) + (2.0 * (y * x) - y)
    assert cancelled([total], [])[total.index] is 3.0 * (x * y)


def test_nothing_is_seen_through_an_atom() -> None:
    x = symbols(Graph(), "x", "y", "z")
    once = deviator(x)
    trace = once[0] + once[1] + once[2]
    done = cancelled([trace], once)
    assert done[trace.index] is trace


def test_a_sum_that_does_not_cancel_stays_as_it_is_written() -> None:
    x = symbols(Graph(), "x", "y", "z")
    roots = [*deviator(x), (x[0] - x[1]) * (x[1] - x[0]) + x[2]]
    done = cancelled(roots, [])
    assert [done[n.index] for n in roots] == roots


def test_small_differences_are_not_round_off() -> None:
    (x,) = symbols(Graph(), "x")
    total = x * (1.0 + 1e-12) - x
    assert evaluate([cancelled([total], [])[total.index]], {"x": 1e6})[0] == pytest.approx(1e-6, rel=1e-3)


def test_what_is_common_to_many_products_comes_first() -> None:
    graph = Graph()
    n, (rate, dt, w) = symbols(graph, *"abcdef"), symbols(graph, "rate", "dt", "w")
    roots = [((w * k) * rate) * dt for k in n]
    made = [grouped(roots, [*n, rate])[r.index] for r in roots]
    assert count(roots, [*n, rate]) == 18
    assert count(made, [*n, rate]) == 7  # w * dt is known beforehand, (w * dt) * rate is common
    at = {name: 1.5 + k for k, name in enumerate([*"abcdef", "rate", "dt", "w"])}
    assert evaluate(made, at) == pytest.approx(evaluate(roots, at), rel=1e-15)


def test_a_product_that_is_used_elsewhere_is_kept() -> None:
    graph = Graph()
    a, b, c = symbols(graph, "a", "b", "c")
    part = a * b
    roots = [part * c, part + c]
    assert [grouped(roots, [a, b, c])[r.index] for r in roots] == roots


def test_what_nodes_have_become() -> None:
    graph = Graph()
    x, y, z = symbols(graph, "x", "y", "z")
    inner, other = x * z, x + y
    root = (inner * y) * y + other
    done = simplified([root], [x, y], [inner, other])
    assert inner.index not in done and done[other.index] is other
    assert evaluate([done[root.index]], {"x": 2.0, "y": 3.0, "z": 5.0}) == [95.0]


@st.composite
def expressions(draw: st.DrawFn) -> tuple[list[Node], list[Node]]:
    graph = Graph()
    unknowns = symbols(graph, "x", "y", "z")
    pool = [*unknowns, graph.input("p"), graph.const(draw(st.sampled_from([-2.0, 0.5, 3.0])))]
    for _ in range(draw(st.integers(3, 25))):
        a, b = (draw(st.sampled_from(pool)) for _ in range(2))
        op = draw(st.sampled_from(["add", "sub", "mul", "sub", "mul", "neg", "where"]))
        if op == "neg":
            pool.append(-a)
        elif op == "where":
            pool.append(graph.where(graph.binary("lt", a, b), a, b))
        else:
            pool.append(graph.binary(op, a, b))
    return pool[-4:], unknowns


@settings(max_examples=150, deadline=None)
@given(expressions(), st.lists(st.floats(-2, 2), min_size=4, max_size=4))
def test_values_stay(made: tuple[list[Node], list[Node]], at: list[float]) -> None:
    roots, unknowns = made
    point = dict(zip(("x", "y", "z", "p"), at, strict=True))
    with np.errstate(all="ignore"):
        before = evaluate(roots, point)
        done = simplified(roots, unknowns, [])
        after = evaluate([done[r.index] for r in roots], point)
        largest = max(abs(v) for v in evaluate(ancestors(roots), point))
    assert after == pytest.approx(before, rel=1e-12, abs=1e-12 * max(largest, 1.0))
