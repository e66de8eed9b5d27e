r"""Newton's system of a step with sites: a Schur complement for what the sites share, as nodes.

With :math:`x` the unknowns of a site, :math:`r` their equations, and :math:`y` and :math:`q` those that all
sites have in common,

.. math::
    \frac{\partial r}{\partial x} dx + \frac{\partial r}{\partial y} dy = -r, \qquad
    dx = z - Y dy, \qquad z = -\Big(\frac{\partial r}{\partial x}\Big)^{-1} r, \qquad
    Y = \Big(\frac{\partial r}{\partial x}\Big)^{-1} \frac{\partial r}{\partial y}

and :math:`q` depends on :math:`x` through means and sums over the sites, whose slopes along :math:`z` and
:math:`Y` are such means and sums as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from neml2.compiler.differentiate import jacobian
from neml2.compiler.eliminate import Elimination
from neml2.compiler.graph import Node, substitute
from neml2.compiler.sites import SiteStep


@dataclass
class SiteSystem:
    """Newton's system of a step with sites, as nodes.

    ``z`` and ``y`` solve the equations of a site for its residual and for the shared unknowns ``columns``,
    ``y[i][q]``; where a dense ``core`` is left, ``rights`` are its right-hand sides, and ``cores`` symbols of
    its solutions. ``sums`` are to be summed over the sites, and known to ``matrix`` and ``rhs`` of the shared
    unknowns as symbols.
    """

    core: list[list[Node]]
    rights: list[list[Node]]
    cores: list[list[Node]]
    z: list[Node]
    y: list[dict[int, Node]]
    sums: list[tuple[Node, Node, bool]]  # a symbol, its terms, and whether it is a mean
    matrix: list[list[Node]]
    rhs: list[Node]


def site_system(s: SiteStep, e: Elimination) -> SiteSystem:
    """Newton's system, with the equations of a site condensed as ``e`` says."""
    own, shared, graph = s.own, s.shared, s.step.graph
    zero = graph.const(0)
    n, m = len(own.unknowns), len(shared.unknowns)
    by_shared = jacobian(own.residual, shared.unknowns)
    columns = sorted({q for row in by_shared for q in row})
    right_sides = [[-r for r in own.residual], *([row.get(q, zero) for row in by_shared] for q in columns)]
    rights, cores, solutions = [], [], []
    for k, b in enumerate(right_sides):
        core_rhs, x = e.solve(b)
        symbols = [graph.input(f"core {k} {j}") for j in range(len(e.core))]
        swap = {old.index: new for old, new in zip(e.core_solution, symbols, strict=True)}
        rights.append(core_rhs)
        cores.append(symbols)
        solutions.append(substitute(x, swap))
    z, of_columns = solutions[0], solutions[1:]
    y = [
        {q: x[i] for q, x in zip(columns, of_columns, strict=True) if not x[i].is_const(0)} for i in range(n)
    ]
    sums: list[tuple[Node, Node, bool]] = []
    at_z: list[Node] = []
    at_y: list[dict[int, Node]] = []
    for r in s.reductions:
        for j, (symbol, term) in enumerate(zip(r.symbols, r.terms, strict=True)):
            (row,) = jacobian([term], [*own.unknowns, *shared.unknowns])
            mine = {i: d for i, d in row.items() if i < n}
            along = sum((d * z[i] for i, d in mine.items()), zero)
            slopes = {
                q: row.get(n + q, zero) - sum((d * y[i][q] for i, d in mine.items() if q in y[i]), zero)
                for q in range(m)
            }
            name = f"{symbol.value} {j}"
            at_z.append(graph.input(f"{name} z"))
            at_y.append({q: graph.input(f"{name} y{q}") for q, d in slopes.items() if not d.is_const(0)})
            sums += [(symbol, term, r.mean), (at_z[-1], along, r.mean)]
            sums += [(symbol_y, slopes[q], r.mean) for q, symbol_y in at_y[-1].items()]
    reduced = [symbol for r in s.reductions for symbol in r.symbols]
    rows = jacobian(shared.residual, [*shared.unknowns, *reduced])
    matrix, rhs = [], []
    for residual, row in zip(shared.residual, rows, strict=True):
        over = {j: d for j in range(len(reduced)) if (d := row.get(m + j)) is not None}
        matrix.append(
            [
                row.get(q, zero) + sum((d * at_y[j][q] for j, d in over.items() if q in at_y[j]), zero)
                for q in range(m)
            ]
        )
        rhs.append(-(residual + sum((d * at_z[j] for j, d in over.items()), zero)))
    return SiteSystem(e.core, rights, cores, z, y, sums, matrix, rhs)
