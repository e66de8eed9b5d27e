r"""Forward sensitivities of a history: derivatives of all rows by all parameters, in one sweep after a march.

Along a direction of the parameters the converged unknowns of step :math:`k` change by

.. math:: J_k \, \dot u_k = -\frac{\partial r}{\partial s} \dot s_{k-1} - \frac{\partial r}{\partial p} \dot p

with the states :math:`s` of the step before: the condensed system of Newton's method once more. A parameter
is a *column*. The matrix, its pivots and all slopes are made once per step, and a loop over the columns,
whose body is written once, does the rest; so one kernel is for any parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from neml2.compiler.adjoint import judge
from neml2.compiler.differentiate import derivative_row
from neml2.compiler.eliminate import Elimination
from neml2.compiler.emit import after_march, dense, states
from neml2.compiler.graph import Node, ancestors, substitute
from neml2.compiler.program import Program
from neml2.compiler.regions import Region, Step
from neml2.compiler.scope import Scope, word

COLUMNS = 32  # of one call: their states are kept on the stack
_STEP, _COLUMN = 1, 2  # what a value varies with, as bits

Along = dict[int, dict[int, Node]]  # the derivative of a node, by its index, in the form of derivative_row


def sensitivity(step: Step, eliminations: Sequence[Elimination], by: Sequence[str] = ()) -> Program:
    """Derivatives of all outputs along ``columns`` directions, at steps ``first`` to ``last - 1``.

    ``tape_*`` are states and unknowns as in :func:`~neml2.compiler.adjoint.march_adjoint`. ``seed`` has a row
    for every column: how all components of all parameters change. ``along_*``, for the prescribed values
    ``by``, says how those change, at every step. Component ``j * size + c`` of ``d_*``, of ``along_*`` and of
    the states before and after, ``begin*`` and ``end*`` by lag, is component ``c`` in column ``j``.
    """
    program, top, body = after_march(f"sensitivity: {len(step.regions)} solves a step", step)
    program.argument("int64_t", "columns")
    column = body.inner()
    parameters = [v for t in step.parameters.values() for v in t.nodes.flat]
    seeds = {v.index: _seed(v) for v in parameters}
    old = _old(program, top, column, step, by)
    along: Along = {i: {0: d} for i, d in {**seeds, **old}.items()}
    stages = []
    for i, (region, e) in enumerate(zip(step.regions, eliminations, strict=True)):
        stage = _Column(i, e, region, along)
        along |= {u.index: {0: d} for u, d in zip(region.unknowns, stage.solution, strict=True)}
        stages.append(stage)
    outputs = {n: _forward(list(t.nodes.flat), along) for n, t in step.outputs.items()}

    roots = [d for found in outputs.values() for d in found] + [n for s in stages for n in s.nodes()]
    moving = {d.index for d in old.values()} | {n.index for s in stages for n in s.symbols}
    varies = _varies(roots, {n.index for n in parameters}, {d.index for d in seeds.values()}, moving)
    made = [n for n in ancestors(roots) if n.args]
    top.need(n for n in made if not varies[n.index])
    top.say("M trusted = ~M{};")
    _fixed(program, top, column, list(seeds.values()), roots, varies)
    body.need(n for n in made if varies[n.index] == _STEP)
    for stage in stages:
        stage.factor(body)
    for stage in stages:
        stage.write(column)
    _keep(program, column, step, outputs)
    body.block("for (int j = 0; j < (int)a.columns; ++j)", column)
    top.block("for (int64_t k = a.first; k < a.last; ++k)", body)
    mark = program.argument("int8_t *", "untrusted")
    top.say(f"put({mark}, p0, n, sel(trusted, 0.0, 1.0));")
    for name, depth in states(step):
        for lag in range(1, depth + 1):
            out = program.argument("NewState", f"end{lag}_{name}")
            _each(top, step, name, f"store({out}, 0, p0, n, {{at}}, d{lag}_{word(name)}[j][{{c}}]);")
    program.text = "\n".join(top.lines)
    return program


class _Column:
    """The derivative of a region's unknowns along one direction, refined once; what is left is judged."""

    def __init__(self, i: int, e: Elimination, region: Region, along: Along) -> None:
        self.i, self.e, self.name = i, e, region.name
        self.wanted = _forward(region.residual, along)
        self.solves: list[tuple[list[Node], list[Node]]] = []
        self.solution = self._solve(self.wanted)
        tried = along | {u.index: {0: d} for u, d in zip(region.unknowns, self.solution, strict=True)}
        self.left = _forward(region.residual, tried)
        change = self._solve(self.left)
        self.solution = [a + b for a, b in zip(self.solution, change, strict=True)]

    def _solve(self, found: list[Node]) -> list[Node]:
        graph = self.e.rhs[0].graph
        rhs, solved = self.e.solve([-d for d in found])
        label = f"along {self.i}:{len(self.solves)}"
        symbols = [graph.input(f"{label}[{c}]") for c in range(len(self.e.core))]
        self.solves.append((rhs, symbols))
        mapping = {s.index: m for s, m in zip(self.e.core_solution, symbols, strict=True)}
        return substitute(solved, mapping)

    @property
    def symbols(self) -> list[Node]:
        return [s for _, symbols in self.solves for s in symbols]

    def nodes(self) -> list[Node]:
        right = [n for rhs, _ in self.solves for n in rhs]
        return [
            *(*right, *self.wanted, *self.left, *self.solution, *self.e.pivots),
            *(d for row in self.e.core for d in row),
        ]

    def factor(self, body: Scope) -> None:
        """What all columns share: the inverse of the core, and whether the pivots are numbers."""
        m, i = len(self.e.core), self.i
        body.say(f"\n// {self.name}: its condensed system")
        if m:
            identity = [["1.0" if c == r else "0.0" for c in range(m)] for r in range(m)]
            dense(body, f"core{i}", [body.need(row) for row in self.e.core], identity)
        if self.e.pivots:
            sums = " + ".join(f"0.0 * {p}" for p in body.need(self.e.pivots))
            body.say(f"trusted &= eq(bc({sums}), 0.0);")

    def write(self, column: Scope) -> None:
        m, i = len(self.e.core), self.i
        column.say(f"\n// {self.name}")
        for s, (rhs, symbols) in enumerate(self.solves if m else []):
            right = ", ".join(f"bc({w})" for w in column.need(rhs))
            column.say(f"const V right{i}_{s}[{m}] = {{{right}}};\nV core{i}_{s}[{m}] = {{}};")
            column.say(f"for (int r = 0; r < {m}; ++r) for (int c = 0; c < {m}; ++c)")
            column.say(f"    core{i}_{s}[r] += core{i}[r][{m} + c] * right{i}_{s}[c];")
            column.names |= {n.index: f"core{i}_{s}[{c}]" for c, n in enumerate(symbols)}
        if self.e.pivots:
            judge(column, f"{i}", self.left, self.wanted, [])


def _seed(v: Node) -> Node:
    return v.graph.input(f"along {v.value}")


def _old(program: Program, top: Scope, column: Scope, step: Step, by: Sequence[str]) -> dict[int, Node]:
    """How old states, and prescribed values where they do, change along the column of the loop."""
    found: dict[int, Node] = {}
    for name, depth in states(step):
        size = step.outputs[name].nodes.size
        for lag in range(1, depth + 1):
            begin = program.argument("OldState", f"begin{lag}_{name}")
            array = f"d{lag}_{word(name)}"
            top.say(f"V {array}[{COLUMNS}][{size}];")
            given = f"{begin}.p ? load({begin}, 0, p0, n, {{at}}) : bc(0.0)"
            _each(top, step, name, f"{array}[j][{{c}}] = {given};")
    for name, (base, lag) in step.states.items():
        for c, v in enumerate(step.inputs[name].nodes.flat):
            found[v.index] = _named(column, v, f"d{lag}_{word(base)}[j][{c}]")
    for name, (base, lag) in step.forces.items():
        if base in by:
            key = f"along_{base}"
            view = f"a.{program.fields[key][1]}" if key in program.fields else program.argument("View", key)
            nodes = list(step.inputs[name].nodes.flat)
            row = "k" if lag == 0 else f"(k > {lag} ? k - {lag} : 0)"
            for c, v in enumerate(nodes):
                found[v.index] = _named(column, v, f"load({view}, {row}, p0, n, j * {len(nodes)} + {c})")
    return found


def _named(column: Scope, v: Node, value: str) -> Node:
    d = _seed(v)
    column.names[d.index] = f"along{d.index}"
    column.say(f"const V along{d.index} = {value};")
    return d


def _each(top: Scope, step: Step, name: str, line: str) -> None:
    """A line for every component of a state in every column; ``{at}`` is where an array has it."""
    size = step.outputs[name].nodes.size
    top.say("for (int j = 0; j < (int)a.columns; ++j) {")
    for c in range(size):
        top.say("    " + line.format(at=f"j * {size} + {c}", c=c))
    top.say("}")


def _varies(roots: list[Node], still: set[int], seeds: set[int], moving: set[int]) -> dict[int, int]:
    """With what every node varies: ``_STEP``, ``_COLUMN``, both or nothing."""
    found: dict[int, int] = {}
    for n in ancestors(roots):
        if n.args:
            bits = 0
            for a in n.args:
                bits |= found[a.index]
        elif n.op == "const" or n.index in still:
            bits = 0
        elif n.index in seeds:
            bits = _COLUMN
        else:
            bits = _STEP | _COLUMN if n.index in moving else _STEP
        found[n.index] = bits
    return found


def _fixed(
    program: Program, top: Scope, column: Scope, seeds: list[Node], roots: list[Node], varies: dict[int, int]
) -> None:
    """What differs between columns and not between steps, computed beforehand."""
    read = {a.index for n in ancestors(roots) if varies[n.index] & _STEP for a in n.args}
    read |= {n.index for n in roots}
    wanted = [n for n in ancestors(roots) if varies[n.index] == _COLUMN and n.index in read]
    view = program.argument("View", "seed")
    if not wanted:
        return
    inner = top.inner()
    used = {n.index for n in ancestors(wanted)}
    for c, d in enumerate(seeds):
        if d.index in used:
            inner.names[d.index] = f"along{d.index}"
            inner.say(f"const V along{d.index} = load({view}, j, p0, n, {c});")
    for i, w in enumerate(inner.need(wanted)):
        inner.say(f"fixed[j][{i}] = {w};")
        column.names[wanted[i].index] = f"fixed[j][{i}]"
    top.say(f"V fixed[{COLUMNS}][{len(wanted)}];")
    top.block("for (int j = 0; j < (int)a.columns; ++j)", inner)


def _keep(program: Program, column: Scope, step: Step, outputs: dict[str, list[Node]]) -> None:
    """Derivatives of states to the next step, and those of outputs to memory."""
    column.say("\n// what the step leaves behind")
    kept = {name: column.need(outputs[name]) for name, _ in states(step)}
    for name, found in outputs.items():
        out = program.argument("Out", f"d_{name}")
        inner = column.inner()
        for c, w in enumerate(inner.need(found)):
            inner.say(f"store({out}, row, p0, n, j * {len(found)} + {c}, bc({w}));")
        column.block(f"if ({out}.p)", inner)
    for name, depth in states(step):
        array = word(name)
        for c, w in enumerate(kept[name]):
            for lag in range(depth, 1, -1):
                column.say(f"d{lag}_{array}[j][{c}] = d{lag - 1}_{array}[j][{c}];")
            column.say(f"d1_{array}[j][{c}] = bc({w});")


def _forward(roots: Iterable[Node], along: Along) -> list[Node]:
    """Derivatives of ``roots``, given those of some nodes."""
    roots, known = list(roots), dict(along)
    for n in ancestors(roots):
        if n.index not in known and any(known.get(x.index) for x in n.args):
            known[n.index] = derivative_row(n, known)
    return [known.get(r.index, {}).get(0, r.graph.const(0)) for r in roots]
