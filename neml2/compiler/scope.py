"""Scopes of C++: where nodes of the graph are written, each once, and how an expression looks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from neml2.compiler.graph import BOOLEAN, Node

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|"}
_CALL = {
    "lt": "lt",
    "le": "le",
    "eq": "eq",
    "abs": "vabs",
    "sign": "vsign",
    "max": "vmax",
    "min": "vmin",
    "rem": "vrem",
}


class Scope:
    """Lines of C++ at one depth, and the names of the nodes that are known there; inner scopes see the
    outer ones.

    ``labels`` are readable names for nodes, by index; a node's C++ name is its label and its index.
    """

    def __init__(
        self, outer: Scope | None = None, indent: int = 0, labels: Mapping[int, str] | None = None
    ) -> None:
        self.outer, self.indent = outer, indent
        self.labels: Mapping[int, str] = labels if labels is not None else (outer.labels if outer else {})
        self.names: dict[int, str] = {}
        self.lines: list[str] = []

    def inner(self) -> Scope:
        """A scope in this one, one level deeper."""
        return Scope(self, self.indent + 1)

    def say(self, text: str) -> None:
        """Add lines."""
        self.lines += ["    " * self.indent + line if line else "" for line in text.splitlines() or [""]]

    def block(self, head: str, inner: Scope) -> None:
        """``head { ... }`` with the lines of ``inner``."""
        self.say(head + " {")
        self.lines += inner.lines
        self.say("}")

    def need(self, nodes: Iterable[Node]) -> list[str]:
        """Write what is missing of ``nodes``; their names, or numbers for constants."""
        nodes = list(nodes)
        for n in self._missing(nodes):
            label = self.labels.get(n.index)
            self.names[n.index] = f"{label}_{n.index}" if label else f"t{n.index}"
            kind = "M" if n.op in BOOLEAN else "V"
            self.say(f"const {kind} {self.names[n.index]} = {self._expression(n)};")
        return [self._operand(n) for n in nodes]

    def find(self, node: Node) -> str | None:
        """The name of a node, if it is known here."""
        scope: Scope | None = self
        while scope is not None:
            if node.index in scope.names:
                return scope.names[node.index]
            scope = scope.outer
        return None

    def _missing(self, nodes: list[Node]) -> list[Node]:
        seen: set[int] = set()
        found: list[Node] = []
        stack = list(nodes)
        while stack:
            n = stack.pop()
            if n.index in seen or n.op == "const" or self.find(n) is not None:
                continue
            seen.add(n.index)
            assert n.args, f"input {n!r} is not available here"
            found.append(n)
            stack.extend(n.args)
        return sorted(found, key=lambda n: n.index)

    def _operand(self, n: Node) -> str:
        if n.op == "const":
            return number(n.value)
        name = self.find(n)
        assert name is not None, n
        return name

    def _expression(self, n: Node) -> str:
        a = [self._operand(x) for x in n.args]
        if n.op == "neg":
            return f"-{a[0]}"
        if n.op == "not":
            return f"~{a[0]}"
        if n.op == "where":
            return f"sel({a[0]}, {a[1]}, {a[2]})"
        if n.op in _INFIX:
            return f"{a[0]} {_INFIX[n.op]} {a[1]}"
        if n.op in ("max", "min", "rem") or len(a) == 1:
            a = [f"bc({x})" if y.op == "const" else x for x, y in zip(a, n.args, strict=True)]
        return f"{_CALL.get(n.op, 'v' + n.op)}({', '.join(a)})"


def number(x: float) -> str:
    """A number as C++ reads it back to the last bit."""
    if x != x:
        return "NAN"
    if x in (float("inf"), float("-inf")):
        return "INFINITY" if x > 0 else "(-INFINITY)"
    text = repr(float(x))
    return f"({text})" if x < 0 else text


def word(name: str, component: int | None = None) -> str:
    """A name as C++ takes it."""
    made = re.sub(r"\W", "_", name)
    return made if component is None else f"{made}_{component}"
