r"""The consistent tangent: derivatives of what a step computes by what is prescribed at its end.

With :math:`r(u, f) = 0` at the converged unknowns, :math:`J\, \partial u/\partial f = -\partial r/\partial
f`: the condensed system of Newton's method once more, for all columns at once. Forward mode does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from neml2.compiler.adjoint import judge
from neml2.compiler.differentiate import derivative_row
from neml2.compiler.eliminate import Elimination
from neml2.compiler.emit import after_march, dense, parameter_only
from neml2.compiler.graph import Node, ancestors, substitute
from neml2.compiler.program import Program
from neml2.compiler.regions import Region, Step
from neml2.compiler.scope import Scope

Rows = dict[int, dict[int, Node]]


def tangent(step: Step, eliminations: Sequence[Elimination], by: Sequence[str]) -> Program:
    """Derivatives of all outputs by the prescribed variables ``by``, at steps ``first`` to ``last - 1``.

    ``tape_*`` are states and unknowns of all steps from ``base`` on, as in :func:`march_adjoint`. Component
    ``i * n + j`` of ``d_*`` is the derivative of component ``i`` by the ``j``-th of all ``n`` columns.
    """
    graph = step.graph
    program, top, body = after_march(f"tangent by {', '.join(by)}", step)
    columns = [n for name in by for n in step.inputs[name].nodes.flat]
    rows: Rows = {n.index: {j: graph.const(1)} for j, n in enumerate(columns)}
    stages = []
    for i, (region, e) in enumerate(zip(step.regions, eliminations, strict=True)):
        stage = _Columns(i, e, region, rows, len(columns))
        rows |= {u.index: row for u, row in zip(region.unknowns, stage.solution, strict=True)}
        stages.append(stage)
    outputs = {n: _forward(list(t.nodes.flat), rows) for n, t in step.outputs.items()}
    final = [d for found in outputs.values() for row in found for d in row.values()]
    top.need(parameter_only(step, [*final, *(n for stage in stages for n in stage.nodes())]))
    top.say("M trusted = ~M{};")
    for stage in stages:
        stage.write(body)
    body.say("\n// the derivatives")
    for name, found in outputs.items():
        out = program.argument("Out", f"d_{name}")
        inner = body.inner()
        for c, row in enumerate(found):
            for j in range(len(columns)):
                (value,) = inner.need([row.get(j, graph.const(0))])
                inner.say(f"store({out}, row, p0, n, {c * len(columns) + j}, bc({value}));")
        body.block(f"if ({out}.p)", inner)
    top.block("for (int64_t k = a.first; k < a.last; ++k)", body)
    mark = program.argument("int8_t *", "untrusted")
    top.say(f"put({mark}, p0, n, sel(trusted, 0.0, 1.0));")
    program.text = "\n".join(top.lines)
    return program


class _Columns:
    """Derivatives of a region's unknowns by all columns, refined once, with a measure of what is left."""

    def __init__(self, i: int, e: Elimination, region: Region, rows: Rows, count: int) -> None:
        self.i, self.e, self.name, self.count = i, e, region.name, count
        self.wanted = _forward(region.residual, rows)
        self.first, self.solution = self._solve(self.wanted, "column")
        self.again: list[tuple[list[Node], list[Node]]] = []
        self.left: list[dict[int, Node]] = []
        if e.pivots:
            tried = rows | {u.index: row for u, row in zip(region.unknowns, self.solution, strict=True)}
            self.left = _forward(region.residual, tried)
            self.again, change = self._solve(self.left, "again")
            for row, more in zip(self.solution, change, strict=True):
                for j, d in more.items():
                    row[j] = row[j] + d if j in row else d

    def _solve(
        self, found: list[dict[int, Node]], label: str
    ) -> tuple[list[tuple[list[Node], list[Node]]], list[dict[int, Node]]]:
        """Right-hand side and symbols of the core for every column, and rows of the solution."""
        graph = self.e.rhs[0].graph
        zero = graph.const(0)
        solution: list[dict[int, Node]] = [{} for _ in found]
        stages = []
        for j in range(self.count):
            rhs, solved = self.e.solve([-r.get(j, zero) for r in found])
            symbols = [graph.input(f"{label} {self.i}:{j}[{c}]") for c in range(len(self.e.core))]
            mapping = {s.index: m for s, m in zip(self.e.core_solution, symbols, strict=True)}
            for row, d in zip(solution, substitute(solved, mapping), strict=True):
                if not d.is_const(0):
                    row[j] = d
            stages.append((rhs, symbols))
        return stages, solution

    def nodes(self) -> list[Node]:
        right = [n for rhs, _ in (*self.first, *self.again) for n in rhs]
        left = [d for row in (*self.left, *self.wanted) for d in row.values()]
        return [*right, *left, *self.e.pivots, *(d for row in self.e.core for d in row)]

    def write(self, body: Scope) -> None:
        m = len(self.e.core)
        body.say(f"\n// {self.name}: its condensed system for every column")
        for k, stage in enumerate([self.first, self.again] if self.again else [self.first]):
            if m:
                matrix = [body.need(row) for row in self.e.core]
                words = [body.need(rhs) for rhs, _ in stage]
                dense(body, f"columns{self.i}_{k}", matrix, [list(b) for b in zip(*words, strict=True)])
                for j, (_, symbols) in enumerate(stage):
                    body.names |= {
                        s.index: f"columns{self.i}_{k}[{c}][{m + j}]" for c, s in enumerate(symbols)
                    }
        zero = self.e.rhs[0].graph.const(0)
        for j in range(self.count if self.left else 0):
            wanted, left = ([row.get(j, zero) for row in rows] for rows in (self.wanted, self.left))
            judge(body, f"{self.i}_{j}", left, wanted, self.e.pivots if j == 0 else [])


def _forward(roots: list[Node], rows: Rows) -> list[dict[int, Node]]:
    """Derivatives of ``roots``, given those of some nodes."""
    known = dict(rows)
    for n in ancestors(roots):
        if n.index not in known and any(known.get(x.index) for x in n.args):
            known[n.index] = derivative_row(n, known)
    return [known.get(r.index, {}) for r in roots]
