"""Derivatives of scalar graphs: forward mode for sparse Jacobians, reverse mode for gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from neml2.compiler.graph import Graph, Node, ancestors

ZERO_SLOPE = {"sign", "floor", "not", "lt", "le", "eq", "and", "or"}
UNBOUNDED = {"div", "sqrt", "exp", "log", "expm1", "log1p", "log10", "tan", "asin", "acos"}  # slopes


def slopes(n: Node) -> list[tuple[Node, Node]]:
    """``(argument, derivative of n by it)`` for every argument that matters."""
    g = n.graph
    if n.op in ZERO_SLOPE or not n.args:
        return []
    if n.op == "where":
        c, a, b = n.args
        one, zero = g.const(1), g.const(0)
        return [(a, g.where(c, one, zero)), (b, g.where(c, zero, one))]
    a = n.args[0]
    if len(n.args) == 1:
        return [(a, _unary(n, a, g))]
    b = n.args[1]
    one = g.const(1)
    if n.op == "add":
        return [(a, one), (b, one)]
    if n.op == "sub":
        return [(a, one), (b, g.const(-1))]
    if n.op == "mul":
        return [(a, b), (b, a)]
    if n.op == "div":
        inverse = one / b
        return [(a, inverse), (b, -(n * inverse))]
    if n.op in ("max", "min"):
        first = g.binary("lt", b, a) if n.op == "max" else g.binary("lt", a, b)  # a constant loses a tie
        return [(a, g.where(first, one, g.const(0))), (b, g.where(first, g.const(0), one))]
    if n.op == "rem":
        return [(a, one), (b, -g.unary("floor", a / b))]
    raise AssertionError(f"no derivative of '{n.op}'")


def _unary(n: Node, a: Node, g: Graph) -> Node:
    op = n.op
    if op == "neg":
        return g.const(-1)
    if op == "abs":
        return g.unary("sign", a)
    if op == "sqrt":
        return 0.5 / n
    if op == "exp":
        return n
    if op == "log":
        return 1.0 / a
    if op == "expm1":
        return n + 1.0
    if op == "log1p":
        return 1.0 / (a + 1.0)
    if op == "log10":
        return (1.0 / math.log(10)) / a
    if op == "sin":
        return g.unary("cos", a)
    if op == "cos":
        return -g.unary("sin", a)
    if op == "tan":
        return 1.0 + n * n
    if op == "asin":
        return 1.0 / g.unary("sqrt", 1.0 - a * a)
    if op == "acos":
        return -1.0 / g.unary("sqrt", 1.0 - a * a)
    if op == "atan":
        return 1.0 / (1.0 + a * a)
    if op == "tanh":
        return 1.0 - n * n
    raise AssertionError(f"no derivative of '{op}'")


def times(slope: Node, d: Node, n: Node, arg: Node) -> Node:
    """Chain rule; a derivative of a choice is a choice of derivatives, so that NaN stays in its branch."""
    g = d.graph
    if slope.op == "where":
        c, a, b = slope.args
        if a.is_const(1) and b.is_const(0):
            return g.where(c, d, g.const(0))
        if a.is_const(0) and b.is_const(1):
            return g.where(c, g.const(0), d)
    return slope * d


def jacobian(roots: list[Node], variables: list[Node]) -> list[dict[int, Node]]:
    """Sparse rows: for every root, derivative by position in ``variables`` (zeros do not appear)."""
    rows: dict[int, dict[int, Node]] = {v.index: {i: v.graph.const(1)} for i, v in enumerate(variables)}
    for n in ancestors(roots):
        if n.index in rows:
            continue
        if not any(rows.get(a.index) for a in n.args):
            continue
        rows[n.index] = derivative_row(n, rows)
    return [rows.get(r.index, {}) for r in roots]


def derivative_row(n: Node, rows: dict[int, dict[int, Node]]) -> dict[int, Node]:
    """The sparse derivative of ``n`` from those of its arguments."""
    g = n.graph
    if n.op == "where":
        c, a, b = n.args
        ra, rb = rows.get(a.index, {}), rows.get(b.index, {})
        zero = g.const(0)
        made = {i: g.where(c, ra.get(i, zero), rb.get(i, zero)) for i in {**ra, **rb}}
        return {i: d for i, d in made.items() if not d.is_const(0)}
    row: dict[int, Node] = {}
    for arg, slope in slopes(n):
        for i, d in rows.get(arg.index, {}).items():
            term = times(slope, d, n, arg)
            row[i] = row[i] + term if i in row else term
    return {i: d for i, d in row.items() if not d.is_const(0)}


def gradient(roots: Iterable[Node], weights: Iterable[Node], variables: list[Node]) -> list[Node]:
    """Derivative of the weighted sum of ``roots`` by each of ``variables`` (reverse mode).

    A branch that is not taken has no part in it, whatever its slopes are there: zero times infinity is NaN.
    """
    roots, weights = list(roots), list(weights)
    zero = (roots or variables)[0].graph.const(0)
    bars: dict[int, _Bar] = {}
    for r, w in zip(roots, weights, strict=True):
        _accumulate(bars, r, _Bar(w))
    stop = {v.index for v in variables}
    needed = _dependents(roots, stop)
    for n in reversed(ancestors(roots)):
        if n.index not in bars or n.index not in needed or n.index in stop:
            continue
        bar = bars[n.index]
        for arg, slope in slopes(n):
            if arg.index in needed:
                _accumulate(bars, arg, bar.through(slope, bool({n.op, slope.op} & UNBOUNDED)))
    return [bars[v.index].masked() if v.index in bars else zero for v in variables]


@dataclass(frozen=True)
class _Bar:
    """A cotangent that counts where ``live`` holds (``None``: always); ``clean``: it is zero elsewhere."""

    value: Node
    live: Node | None = None
    clean: bool = True

    def masked(self) -> Node:
        if self.live is None or self.clean:
            return self.value
        return self.live.graph.where(self.live, self.value, self.live.graph.const(0))

    def through(self, slope: Node, unbounded: bool) -> _Bar:
        """The cotangent of an argument."""
        if slope.op == "where" and slope.args[1].is_const(1) and slope.args[2].is_const(0):
            return self._within(slope.args[0])
        if slope.op == "where" and slope.args[1].is_const(0) and slope.args[2].is_const(1):
            c = slope.args[0]
            return self._within(c.graph.unary("not", c))
        made = _Bar(self.value * slope, self.live, self.clean and not unbounded)
        return replace(made, value=made.masked(), clean=True) if unbounded else made

    def _within(self, condition: Node) -> _Bar:
        """Where ``condition`` holds as well."""
        live = _both(self.live, condition)
        return replace(self, live=live, clean=self.clean and live is self.live)


def _accumulate(bars: dict[int, _Bar], n: Node, bar: _Bar) -> None:
    if n.index in bars:
        old = bars[n.index]
        either = None if old.live is None or bar.live is None else _either(old.live, bar.live)
        bar = _Bar(old.masked() + bar.masked(), either)
    bars[n.index] = bar


def _both(a: Node | None, b: Node) -> Node:
    return b if a is None or a is b else a.graph.binary("and", a, b)


def _either(a: Node, b: Node) -> Node:
    return a if a is b else a.graph.binary("or", a, b)


def _dependents(roots: list[Node], stop: set[int]) -> set[int]:
    needed = set(stop)
    for n in ancestors(roots):
        if any(a.index in needed for a in n.args):
            needed.add(n.index)
    return needed
