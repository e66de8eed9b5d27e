"""Newton's linear system, condensed symbolically to a small core.

The unknowns of the system are those of the residual *and* scalars between its models (flow direction, flow
rate, norms, ...), each of which has an equation of its own with a unit pivot. They are eliminated in the
order of least fill (Markowitz, 1957) as long as a pivot is at hand that is never small: the unit pivot of
such an equation, or an entry that is large within its row at every sample point. What is left, the *core*,
is a small dense system that the kernel solves with row pivoting. This is static condensation, found
automatically: the cost grows with the couplings there are, not with the cube of the number of unknowns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neml2.compiler.differentiate import derivative_row, gradient
from neml2.compiler.graph import Node, ancestors, substitute

Row = dict[int, Node]
Values = Callable[[Node], np.ndarray]


@dataclass(frozen=True)
class Elimination:
    """The matrix of a linear system, condensed for any right-hand side.

    ``rhs`` are symbols of the right-hand side, one for each residual, and ``solution`` the unknowns in terms
    of them. In between stands the ``core``, ``(m, m)``: a dense system with the right-hand side ``core_rhs``,
    made of ``rhs``, and the solution ``core_solution``, symbols of which ``solution`` is made.
    ``eliminated`` counts the pivots that were eliminated beforehand.
    """

    rhs: list[Node]
    solution: list[Node]
    core: list[list[Node]]
    core_rhs: list[Node]
    core_solution: list[Node]
    eliminated: int

    def solve(self, rhs: list[Node]) -> tuple[list[Node], list[Node]]:
        """``core_rhs`` and ``solution`` for a given right-hand side."""
        mapping = {s.index: r for s, r in zip(self.rhs, rhs, strict=True)}
        made = substitute([*self.core_rhs, *self.solution], mapping)
        return made[: len(self.core)], made[len(self.core) :]

    def solve_transposed(self, rhs: list[Node], name: str) -> tuple[list[Node], list[Node], list[Node]]:
        """The transposed system: the same graph, walked backwards.

        Returns the right-hand side of the transposed core, symbols for its solution (called ``name``), and
        the solution.
        """
        graph = rhs[0].graph
        bars = gradient(self.solution, rhs, [*self.core_solution, *self.rhs])
        m = len(self.core)
        symbols = [graph.input(f"{name}[{k}]") for k in range(m)]
        through = gradient(self.core_rhs, symbols, self.rhs) if m else [graph.const(0)] * len(self.rhs)
        return bars[:m], symbols, [a + b for a, b in zip(bars[m:], through, strict=True)]


def eliminate(
    unknowns: list[Node],
    cuts: list[Node],
    residual: list[Node],
    values: Values,
    wide: int = 3,
    used: int = 2,
    large: float = 1e-2,
) -> Elimination:
    """Condense the system; ``values`` gives a node's value at the sample points.

    ``cuts`` are scalars to treat as unknowns; so is any other that depends on at least ``wide`` of them and
    is used at least ``used`` times, since it would spread that many couplings. ``large`` is the smallest size
    of a pivot beside the other entries of its row.
    """
    rows = linear_system(unknowns, cuts, residual, wide, used)
    graph = residual[0].graph
    label = unknowns[0].value
    given = [graph.input(f"rhs:{label}:{i}") for i in range(len(residual))]
    rhs = [graph.const(0)] * (len(rows) - len(residual)) + given
    zero = graph.const(0)
    live = set(range(len(rows)))
    holders: dict[int, set[int]] = {}
    for i, row in enumerate(rows):
        for c in row:
            holders.setdefault(c, set()).add(i)
    done: list[tuple[int, int]] = []
    while (found := _pivot(rows, live, holders, values, len(unknowns), large)) is not None:
        i, c = found
        live.discard(i)
        done.append(found)
        pivot = rows[i][c]
        for j in [j for j in holders[c] if j in live]:
            factor = rows[j].pop(c)
            holders[c].discard(j)
            if not pivot.is_const(1):
                factor = factor / pivot
            for k, d in rows[i].items():
                if k != c:
                    _put(rows[j], holders, j, k, rows[j].get(k, zero) - factor * d)
            rhs[j] = rhs[j] - factor * rhs[i]
    left = sorted(live)
    columns = sorted(set(range(len(rows))) - {c for _, c in done})
    symbols = {c: graph.input(f"core:{label}:{k}") for k, c in enumerate(columns)}
    solved: dict[int, Node] = dict(symbols)
    for i, c in reversed(done):
        value = rhs[i]
        for k, d in rows[i].items():
            if k != c:
                value = value - d * solved[k]
        solved[c] = value if rows[i][c].is_const(1) else value / rows[i][c]
    return Elimination(
        given,
        [solved[c] for c in range(len(unknowns))],
        [[rows[i].get(c, zero) for c in columns] for i in left],
        [rhs[i] for i in left],
        list(symbols.values()),
        len(done),
    )


def linear_system(
    unknowns: list[Node], cuts: list[Node], residual: list[Node], wide: int, used: int
) -> list[Row]:
    """Rows over (unknowns, cuts): equations of the cuts first, then the residuals."""
    graph = residual[0].graph
    one = graph.const(1)
    order = ancestors(residual)
    between = {c.index for c in cuts}
    users: dict[int, int] = {}
    for n in order:
        for a in n.args:
            users[a.index] = users.get(a.index, 0) + 1
    rows: dict[int, Row] = {u.index: {i: one} for i, u in enumerate(unknowns)}
    system: list[Row] = []
    for n in order:
        if n.index in rows or not any(rows.get(a.index) for a in n.args):
            continue
        row = derivative_row(n, rows)
        if row and (n.index in between or (len(row) >= wide and users.get(n.index, 0) >= used)):
            position = len(unknowns) + len(system)
            system.append({**{i: -d for i, d in row.items()}, position: one})
            row = {position: one}
        rows[n.index] = row
    return system + [dict(rows.get(r.index, {})) for r in residual]


def _put(row: Row, holders: dict[int, set[int]], j: int, k: int, value: Node) -> None:
    if value.is_const(0):
        row.pop(k, None)
        holders[k].discard(j)
    else:
        row[k] = value
        holders.setdefault(k, set()).add(j)


def _pivot(
    rows: list[Row],
    live: set[int],
    holders: dict[int, set[int]],
    values: Values,
    unknowns: int,
    large: float,
) -> tuple[int, int] | None:
    """Row and column of the next pivot: least fill among the entries that cannot come near zero."""
    best: tuple[tuple, int, int] | None = None
    for i in live:
        others = len(rows[i]) - 1
        for c, d in rows[i].items():
            fill = others * (sum(1 for j in holders[c] if j in live) - 1)
            cost = (fill, not d.is_const(), others, c)
            if best is not None and cost >= best[0]:
                continue
            if (d.is_const(1) and c == unknowns + i) or _large(d, rows[i], values, large):
                best = (cost, i, c)
    return None if best is None else best[1:]


def _large(d: Node, row: Row, values: Values, large: float) -> bool:
    """Whether an entry is never small beside the others of its row."""
    others = np.max([np.abs(values(x)) for x in row.values()], axis=0)
    size = np.abs(values(d))
    return bool((size > 0).all() and (size >= large * others).all())  # false for NaN
