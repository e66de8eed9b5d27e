"""Newton's linear system, condensed symbolically to a small core.

The unknowns of the system are those of the residual *and* scalars between its models (flow direction, flow
rate, norms, ...), each of which has an equation of its own with a unit pivot. They are eliminated in the
order of least fill (Markowitz, 1957) among the pivots that are never small: the unit pivot of such an
equation, or an entry that at every sample point is large within its row or within its column, so that the
other entries cannot grow by much. Rows and columns are scaled to equal size before (Ruiz, 2001), so that
strains can be compared with stresses. What is left, the *core*, is a small dense system that the kernel
solves with row pivoting. This is static condensation, found automatically: the cost grows with the
couplings there are, not with the cube of the number of unknowns.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neml2.compiler.differentiate import derivative_row, gradient, jacobian
from neml2.compiler.graph import Node, ancestors, substitute

Row = dict[int, Node]
Values = Callable[[Node], np.ndarray]
Scales = tuple[np.ndarray, np.ndarray]  # of rows and columns, (n, samples)

SWEEPS = 6  # of the scaling; each halves what is left of the differences, in powers of ten


@dataclass(frozen=True)
class Elimination:
    """The matrix of a linear system, condensed for any right-hand side.

    ``rhs`` are symbols of the right-hand side, one for each residual, and ``solution`` the unknowns in terms
    of them. In between stands the ``core``, ``(m, m)``: a dense system with the right-hand side ``core_rhs``,
    made of ``rhs``, and the solution ``core_solution``, symbols of which ``solution`` is made.
    ``eliminated`` counts the pivots that were eliminated beforehand; ``pivots`` are those that are not one.
    """

    rhs: list[Node]
    solution: list[Node]
    core: list[list[Node]]
    core_rhs: list[Node]
    core_solution: list[Node]
    eliminated: int
    pivots: list[Node]

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


@dataclass(frozen=True)
class System:
    """A sparse system: equations of the scalars in between, then one for each residual.

    Its columns are the unknowns, then those scalars; ``label`` names its symbols.
    """

    rows: list[Row]
    unknowns: int
    label: str


def eliminate(
    system: System, values: Values, large: float = 1e-3, fill: float = 0, scales: Scales | None = None
) -> Elimination:
    """Condense the system; ``values`` gives a node's value at the sample points.

    ``large`` is the smallest size of a pivot beside the other entries of its row or its column. The next
    pivot is the one of the fewest operations, where an entry that did not exist counts ``fill`` more.
    ``scales`` are those of :func:`equilibrated`, which are made if they are left out.
    """
    rows = [dict(row) for row in system.rows]
    graph = next(d for row in rows for d in row.values()).graph
    zero = graph.const(0)
    given = [graph.input(f"rhs:{system.label}:{i}") for i in range(system.unknowns)]
    rhs = [zero] * (len(rows) - system.unknowns) + given
    scales = equilibrated(system.rows, values) if scales is None else scales
    choice = _Choice(rows, system.unknowns, values, large, fill, scales)
    done: list[tuple[int, int]] = []
    inverse: dict[int, Node] = {}
    while (found := choice.take()) is not None:
        i, c = found
        done.append(found)
        others = {k: d for k, d in rows[i].items() if k != c}
        if not rows[i][c].is_const(1):
            inverse[i] = 1 / rows[i][c]
        for j in choice.holders(c):
            factor = rows[j].pop(c)
            if i in inverse:
                factor = factor * inverse[i]
            for k, d in others.items():
                rows[j][k] = rows[j].get(k, zero) - factor * d
                if rows[j][k].is_const(0):
                    del rows[j][k]
            rhs[j] = rhs[j] - factor * rhs[i]
            choice.changed(j)
    left = sorted(choice.live)
    columns = sorted(set(range(len(rows))) - {c for _, c in done})
    symbols = {c: graph.input(f"core:{system.label}:{k}") for k, c in enumerate(columns)}
    solved: dict[int, Node] = dict(symbols)
    for i, c in reversed(done):
        value = rhs[i]
        for k, d in rows[i].items():
            if k != c:
                value = value - d * solved[k]
        solved[c] = value * inverse[i] if i in inverse else value
    return Elimination(
        given,
        [solved[c] for c in range(system.unknowns)],
        [[rows[i].get(c, zero) for c in columns] for i in left],
        [rhs[i] for i in left],
        list(symbols.values()),
        len(done),
        [rows[i][c] for i, c in done if i in inverse],
    )


def uncondensed(unknowns: list[Node], residual: list[Node]) -> Elimination:
    """The whole Jacobian as the core: dear, and as safe as row pivoting is."""
    graph = residual[0].graph
    rows = jacobian(residual, unknowns)
    given = [graph.input(f"rhs:{unknowns[0].value}:{i}") for i in range(len(residual))]
    symbols = [graph.input(f"core:{unknowns[0].value}:{k}") for k in range(len(unknowns))]
    matrix = [[row.get(c, graph.const(0)) for c in range(len(unknowns))] for row in rows]
    return Elimination(given, symbols, matrix, given, symbols, 0, [])


def linear_system(
    unknowns: list[Node], cuts: list[Node], residual: list[Node], wide: int = 3, used: int = 2
) -> System:
    """Newton's system over (unknowns, cuts).

    ``cuts`` are scalars to treat as unknowns; so is any other that depends on at least ``wide`` of them and
    is used at least ``used`` times, since it would spread that many couplings.
    """
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
    system += [dict(rows.get(r.index, {})) for r in residual]
    return System(system, len(unknowns), unknowns[0].value)


class _Choice:
    """The next pivot: the cheapest of those that are nowhere small."""

    def __init__(
        self, rows: list[Row], unknowns: int, values: Values, large: float, fill: float, scales: Scales
    ) -> None:
        self.rows, self.unknowns, self.values, self.large, self.fill = rows, unknowns, values, large, fill
        self.live = set(range(len(rows)))
        self._row_scale, self._column_scale = scales
        self._sizes: list[dict[int, np.ndarray]] = [{} for _ in rows]  # of the scaled entries
        self._largest: list[np.ndarray] = [np.zeros(0)] * len(rows)  # of a row
        self._holders: list[set[int]] = [set() for _ in rows]  # live rows with an entry in a column
        self._masks = [0] * len(rows)  # the columns of a row, as bits
        self._touched: set[int] = set(range(len(rows)))  # columns in which something has changed
        self._costs: dict[tuple[int, int], tuple] = {}
        self._queue: list[tuple[tuple, int, int]] = []
        for i in self.live:
            self.changed(i)

    def changed(self, i: int) -> None:
        """Row ``i`` is new."""
        row, scale = self.rows[i], self._row_scale[i]
        for c in self._sizes[i]:
            self._holders[c].discard(i)
        self._touched.update(self._sizes[i], row)
        with np.errstate(all="ignore"):
            self._sizes[i] = {
                c: np.abs(self.values(d)) * scale * self._column_scale[c] for c, d in row.items()
            }
        for c in row:
            self._holders[c].add(i)
        self._masks[i] = sum(1 << c for c in row)
        if row:
            self._largest[i] = self.large * np.max(list(self._sizes[i].values()), axis=0)

    def holders(self, c: int) -> list[int]:
        """The live rows with an entry in a column."""
        return sorted(self._holders[c])

    def take(self) -> tuple[int, int] | None:
        """Row and column of the next pivot; the row lives no longer."""
        self._queue_touched()
        while self._queue:
            cost, i, c = heapq.heappop(self._queue)
            current = i in self._holders[c] and cost == self._costs[i, c]
            if current and self._safe(i, c):
                self.live.discard(i)
                for k in self.rows[i]:
                    self._holders[k].discard(i)
                self._touched.update(self.rows[i])
                return i, c
        return None

    def _queue_touched(self) -> None:
        """Queue what has changed: entries of new rows, and of columns with other holders than before."""
        for c in self._touched:
            more = len(self._holders[c]) - 1
            for i in self._holders[c]:
                others = len(self.rows[i]) - 1
                cost = (others * more + self._filled(i, c), not self.rows[i][c].is_const(), others, c)
                self._costs[i, c] = cost
                heapq.heappush(self._queue, (cost, i, c))
        self._touched.clear()

    def _filled(self, i: int, c: int) -> float:
        """What the new entries count that a pivot makes."""
        if not self.fill:
            return 0
        mine, masks = self._masks[i], self._masks
        return self.fill * sum((mine & ~masks[j]).bit_count() for j in self._holders[c])

    def _safe(self, i: int, c: int) -> bool:
        if self.rows[i][c].is_const(1) and c == self.unknowns + i:
            return True  # the equation of a scalar in between
        size = self._sizes[i][c]
        if not (size > 0).all():  # false for NaN
            return False
        good = size >= self._largest[i]
        if not good.all():
            column = np.max([self._sizes[j][c] for j in self._holders[c]], axis=0)
            good |= size >= self.large * column
        return bool(good.all())


def equilibrated(rows: list[Row], values: Values) -> Scales:
    """Factors of rows and columns, ``(n, samples)`` each, with which their largest entries are about 1."""
    size = np.array([np.abs(values(d)) for row in rows for d in row.values()])  # (entries, samples)
    size[~np.isfinite(size)] = 0
    of_row = [i for i, row in enumerate(rows) for _ in row]
    of_column = [c for row in rows for c in row]
    scales = np.ones((2, len(rows), size.shape[1]))
    for _ in range(SWEEPS):
        for scale, line in zip(scales, (of_row, of_column), strict=True):
            largest = np.zeros_like(scale)
            np.maximum.at(largest, line, size)
            root = np.sqrt(np.where(largest > 0, largest, 1))
            scale /= root
            size /= root[line]
    return scales[0], scales[1]
