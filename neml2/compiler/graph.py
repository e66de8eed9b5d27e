"""Scalar expressions: nodes that are made once, folded as they are made, and ordered by their making.

A product with the constant zero is zero, and so is ``x - x``, as if every number were finite: the zeros of
Jacobians vanish by it. So a NaN or an infinity that a model multiplies by a constant zero is not seen, where
torch shows it. A quotient is a product with the reciprocal, so that divisions by the same are done once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np


def _total(f: Callable[..., Any]) -> Callable[..., float]:
    """``f`` with IEEE answers (NaN, infinity) where Python's own functions raise."""

    def made(*x: float) -> float:
        with np.errstate(all="ignore"):
            return float(f(*x))

    return made


UNARY: dict[str, Callable[[float], float]] = {
    "neg": lambda x: -x,
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0) if x == x else x,
    "sqrt": _total(np.sqrt),
    "exp": _total(np.exp),
    "log": _total(np.log),
    "expm1": _total(np.expm1),
    "log1p": _total(np.log1p),
    "log10": _total(np.log10),
    "sin": _total(np.sin),
    "cos": _total(np.cos),
    "tan": _total(np.tan),
    "asin": _total(np.arcsin),
    "acos": _total(np.arccos),
    "atan": math.atan,
    "tanh": math.tanh,
    "floor": _total(np.floor),
    "not": lambda x: not x,
}
BINARY: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _total(np.divide),
    "max": _total(np.maximum),
    "min": _total(np.minimum),
    "rem": _total(np.remainder),
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "and": lambda a, b: bool(a and b),
    "or": lambda a, b: bool(a or b),
}
BOOLEAN = {"not", "lt", "le", "eq", "and", "or"}


class Node:
    """One scalar: an operation on others, a constant, or an input; made by a :class:`Graph`."""

    __slots__ = ("graph", "op", "args", "value", "index")

    def __init__(self, graph: Graph, op: str, args: tuple[Node, ...], value: Any, index: int) -> None:
        self.graph, self.op, self.args, self.value, self.index = graph, op, args, value, index

    def __repr__(self) -> str:
        if self.op == "const":
            return f"{self.value:g}"
        if self.op == "input":
            return str(self.value)
        return f"{self.op}({', '.join(f'%{a.index}' if a.args else repr(a) for a in self.args)})"

    def is_const(self, value: float | None = None) -> bool:
        return self.op == "const" and (value is None or self.value == value)

    def _with(self, op: str, other: Any, swap: bool = False) -> Node:
        other = self.graph.node(other)
        return self.graph.binary(op, other, self) if swap else self.graph.binary(op, self, other)

    def __add__(self, o: Any) -> Node:
        return self._with("add", o)

    def __radd__(self, o: Any) -> Node:
        return self._with("add", o, True)

    def __sub__(self, o: Any) -> Node:
        return self._with("sub", o)

    def __rsub__(self, o: Any) -> Node:
        return self._with("sub", o, True)

    def __mul__(self, o: Any) -> Node:
        return self._with("mul", o)

    def __rmul__(self, o: Any) -> Node:
        return self._with("mul", o, True)

    def __truediv__(self, o: Any) -> Node:
        return self._with("div", o)

    def __rtruediv__(self, o: Any) -> Node:
        return self._with("div", o, True)

    def __neg__(self) -> Node:
        return self.graph.unary("neg", self)


class Graph:
    """A table of nodes; equal expressions are the same node."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._table: dict[tuple, Node] = {}

    def _make(self, op: str, args: tuple[Node, ...], value: Any = None) -> Node:
        key = (op, *(a.index for a in args), value if op != "const" else repr(value))
        found = self._table.get(key)
        if found is None:
            found = Node(self, op, args, value, len(self.nodes))
            self.nodes.append(found)
            self._table[key] = found
        return found

    def const(self, value: float) -> Node:
        return self._make("const", (), float(value))

    def input(self, name: str) -> Node:
        return self._make("input", (), name)

    def node(self, x: Any) -> Node:
        return x if isinstance(x, Node) else self.const(x)

    def unary(self, op: str, a: Node) -> Node:
        if a.op == "const":
            return self.const(UNARY[op](a.value))
        if op == "neg":
            if a.op == "neg":
                return a.args[0]
            if a.op == "sub":
                return self.binary("sub", a.args[1], a.args[0])
            if a.op == "mul" and a.args[0].op == "const":
                return self.binary("mul", self.const(-a.args[0].value), a.args[1])
        if op == "not" and a.op == "not":
            return a.args[0]
        if op == "floor" and a.op == "mul":  # 49 / 49 is 1, and 49 * (1 / 49) is not
            for x, y in (a.args, a.args[::-1]):
                if y.op == "div" and y.args[0].is_const(1):
                    return self._make(op, (self._make("div", (x, y.args[1])),))
        if op == "abs" and a.op in ("abs", "sqrt", "exp"):
            return a
        return self._make(op, (a,))

    def binary(self, op: str, a: Node, b: Node) -> Node:
        if a.op == "const" and b.op == "const":
            return self.const(BINARY[op](a.value, b.value))
        if op == "add":
            if a.is_const(0):
                return b
            if b.is_const(0):
                return a
            if b.op == "neg":
                return self.binary("sub", a, b.args[0])
            if a.op == "neg":
                return self.binary("sub", b, a.args[0])
        elif op == "sub":
            if b.is_const(0):
                return a
            if a.is_const(0):
                return self.unary("neg", b)
            if a is b:
                return self.const(0)
            if b.op == "neg":
                return self.binary("add", a, b.args[0])
        elif op == "mul":
            if b.op == "const":
                a, b = b, a
            if a.op == "const":
                if a.value == 0:
                    return a
                if a.value == 1:
                    return b
                if a.value == -1:
                    return self.unary("neg", b)
                if b.op == "mul" and b.args[0].op == "const":
                    return self.binary("mul", self.const(a.value * b.args[0].value), b.args[1])
                if b.op == "neg":
                    return self.binary("mul", self.const(-a.value), b.args[0])
            elif a.op == "neg":
                return self.unary("neg", self.binary("mul", a.args[0], b))
            elif b.op == "neg":
                return self.unary("neg", self.binary("mul", a, b.args[0]))
        elif op == "div":
            if a.is_const(0):
                return a
            if b.op == "const":
                return self.binary("mul", self.const(1 / b.value), a) if b.value else self._make(op, (a, b))
            if not a.is_const(1):  # many divisions by the same cost one
                return self.binary("mul", a, self.binary("div", self.const(1), b))
        if op in ("add", "mul", "max", "min", "and", "or", "eq") and _place(a) > _place(b):
            a, b = b, a
        return self._make(op, (a, b))

    def where(self, c: Node, a: Node, b: Node) -> Node:
        if a is b:
            return a
        if c.op == "const":
            return a if c.value else b
        if c.op == "not":
            return self.where(c.args[0], b, a)
        if a.op == "where" and a.args[0] is c:  # the same question again
            return self.where(c, a.args[1], b)
        if b.op == "where" and b.args[0] is c:
            return self.where(c, a, b.args[2])
        return self._make("where", (c, a, b))


def _place(n: Node) -> tuple[bool, int]:
    """Of the arguments of a commutative operation: constants first, then in the order of their making."""
    return n.op != "const", n.index


def ancestors(roots: Iterable[Node]) -> list[Node]:
    """All nodes that ``roots`` are made of, in an order in which they can be computed."""
    seen: set[int] = set()
    found: list[Node] = []
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.index not in seen:
            seen.add(node.index)
            found.append(node)
            stack.extend(node.args)
    return sorted(found, key=lambda n: n.index)


def evaluate(roots: list[Node], inputs: dict[str, float]) -> list[float]:
    """The values of ``roots``, one point at a time: for sample points and tests."""
    values: dict[int, float] = {}
    for n in ancestors(roots):
        if n.op == "const":
            v = n.value
        elif n.op == "input":
            v = inputs[n.value]
        elif n.op == "where":
            c, a, b = (values[x.index] for x in n.args)
            v = a if c else b
        elif n.op in UNARY:
            v = UNARY[n.op](values[n.args[0].index])
        else:
            v = BINARY[n.op](values[n.args[0].index], values[n.args[1].index])
        values[n.index] = v
    return [values[r.index] for r in roots]


_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "eq": "=="}


def listing(
    roots: list[Node], names: Mapping[int, str] | None = None, origin: Mapping[int, str] | None = None
) -> str:
    """The graph as text, one node a line.

    ``names`` are those of nodes by index, and ``origin`` the models that have given them: what a model
    computes stands under it.
    """
    names, origin = names or {}, origin or {}
    nodes = [n for n in ancestors(roots) if n.args]
    owners: list[str] = []
    owner = "other" if origin else ""
    for n in reversed(nodes):  # a model names what it has made after all that is needed for it
        owner = origin.get(n.index, owner)
        owners.append(owner)
    lines = []
    said = ""
    for n, owner in zip(nodes, reversed(owners), strict=True):
        if owner != said:
            lines.append(f"# {owner}")
            said = owner
        lines.append(f"{name_of(n, names)} = {_expression(n, names)}")
    return "\n".join(lines)


def name_of(n: Node, names: Mapping[int, str]) -> str:
    """A constant, the name of an input, the name in ``names``, or ``%`` and the index."""
    return names.get(n.index, f"%{n.index}") if n.args else repr(n)


def _expression(n: Node, names: Mapping[int, str]) -> str:
    a = [name_of(x, names) for x in n.args]
    if n.op in _SIGNS:
        return f"{a[0]} {_SIGNS[n.op]} {a[1]}"
    return f"{n.op}({', '.join(a)})"


def depending(order: Iterable[Node], symbols: Iterable[Node]) -> set[int]:
    """Indices of ``symbols`` and of what is made of them in ``order``, which is that of :func:`ancestors`."""
    found = {s.index for s in symbols}
    for n in order:
        if any(a.index in found for a in n.args):
            found.add(n.index)
    return found


def rebuilt(n: Node, done: Mapping[int, Node]) -> Node:
    """``n`` of what its arguments have become, by index, folded anew."""
    args = [done[a.index] for a in n.args]
    if all(a is b for a, b in zip(args, n.args, strict=True)):
        return n
    if n.op == "where":
        return n.graph.where(*args)
    return n.graph.unary(n.op, *args) if len(args) == 1 else n.graph.binary(n.op, *args)


def substitute(roots: list[Node], mapping: dict[int, Node]) -> list[Node]:
    """``roots`` with the nodes of the given indices replaced, made anew and folded anew."""
    done = dict(mapping)
    for n in ancestors(roots):
        if n.index not in done:
            done[n.index] = rebuilt(n, done)
    return [done[r.index] for r in roots]
