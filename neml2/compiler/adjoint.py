r"""The discrete adjoint of ``march``: steps backwards, one transposed linear system for each solve.

With the converged unknowns :math:`u` of a step, :math:`r(u, g) = 0`, a cotangent :math:`c` of :math:`u`
goes to what the residual was given as :math:`-\lambda^T \partial r/\partial g` with :math:`J^T \lambda
= c`: the implicit function theorem. Newton's iterations and the initial guess have no part in it.
Everything else is reverse mode through the graph of the step.
"""

from __future__ import annotations

from collections.abc import Sequence

from neml2.compiler.differentiate import gradient
from neml2.compiler.eliminate import Elimination
from neml2.compiler.emit import after_march, dense, parameter_only, recorded, states
from neml2.compiler.graph import Node, ancestors
from neml2.compiler.program import Program
from neml2.compiler.regions import Region, Step
from neml2.compiler.scope import Scope, word

ROUGH = 1e-3  # what the first solution may leave of a right-hand side; the second one squares it
FINE = 1e-9  # the same, beside the largest of its components


def march_adjoint(step: Step, eliminations: Sequence[Elimination]) -> Program:
    """Steps ``last - 1`` down to ``first`` of all points.

    ``tape_*`` are states and unknowns of all steps from ``base`` on; before the first row stands the first
    row. ``bar_*`` are cotangents of the outputs with the same rows, and may be missing. ``begin*`` and
    ``end*`` are the cotangents of states that later steps have read, and that are left for earlier ones:
    number ``j`` is that of step ``last - 1 - j`` and ``first - 1 - j``. ``gpar_*`` and ``gforce_*`` receive
    the gradients of every point.
    """
    graph = step.graph
    program, top, body = after_march(f"march_adjoint: {len(step.regions)} solves a step", step)
    kept = recorded(step)

    # the symbolic part: cotangents of everything that the step reads
    bars = {n: [graph.input(f"bar:{n}[{c}]") for c in range(len(nodes))] for n, nodes in kept.items()}
    inputs = [n for t in step.inputs.values() for n in t.nodes.flat]
    roots = [n for nodes in kept.values() for n in nodes]
    used = roots + [n for region in step.regions for n in region.residual]
    frontier = _frontier(step, used)
    variables = [*inputs, *frontier]
    solved = [u for region in step.regions for u in region.unknowns]
    cotangent = dict.fromkeys((v.index for v in (*variables, *solved)), graph.const(0))

    def pull(ends: list[Node], weights: list[Node], through: list[Node]) -> None:
        for v, d in zip(through, gradient(ends, weights, through), strict=True):
            cotangent[v.index] = cotangent[v.index] + d

    pull(roots, [b for nodes in bars.values() for b in nodes], [*variables, *solved])
    stages = []
    for i, (region, e) in reversed(list(enumerate(zip(step.regions, eliminations, strict=True)))):
        stage = _Transposed(i, e, region, [-cotangent[u.index] for u in region.unknowns])
        before = [u for other in step.regions[:i] for u in other.unknowns]
        pull(region.residual, stage.solution, [*variables, *before])
        stages.append(stage)
    found = [cotangent[v.index] for v in variables]
    everything = [*found, *(n for stage in stages for n in stage.nodes())]
    parameters = {n.index for t in step.parameters.values() for n in t.nodes.flat}
    top.need(parameter_only(step, [*everything, *frontier]))
    for name, nodes in bars.items():
        view = program.argument("View", f"bar_{name}")
        for c, node in enumerate(nodes):
            body.names[node.index] = f"b_{word(name, c)}"
            carried = f"c0_{word(name, c)}" if name in dict(states(step)) else "0.0"
            given = f"({view}.p ? load({view}, row, p0, n, {c}) : bc(0.0))"
            body.say(f"const V {body.names[node.index]} = bc({carried}) + {given};")
    top.say("M trusted = ~M{};")
    for stage in stages:
        stage.write(body)
    body.say("\n// cotangents of what the step has read")
    made = dict(zip((v.index for v in variables), body.need(found), strict=True))
    _pass_on(program, top, body, step, made)
    for v in frontier:
        top.say(f"V g{v.index} = bc(0.0);")
        body.say(f"g{v.index} += {made[v.index]};")
    top.block("for (int64_t k = a.last - 1; k >= a.first; --k)", body)

    # from what depends on parameters alone to the parameters
    weights = [graph.input(f"total:{v.index}") for v in frontier]
    top.names |= {w.index: f"g{v.index}" for w, v in zip(weights, frontier, strict=True)}
    leaves = [n for n in graph.nodes if n.index in parameters]
    final = top.need(gradient(frontier, weights, leaves)) if leaves else []
    words = dict(zip((n.index for n in leaves), final, strict=True))
    for name, t in step.parameters.items():
        out = program.argument("Out", f"gpar_{name}")
        for c, node in enumerate(t.nodes.flat):
            top.say(f"store({out}, 0, p0, n, {c}, bc({words.get(node.index, '0.0')}));")
    mark = program.argument("int8_t *", "untrusted")
    top.say(f"put({mark}, p0, n, sel(trusted, 0.0, 1.0));")
    for name, depth in states(step):
        for j in range(depth):
            out = program.argument("Out", f"end{j}_{name}")
            for c in range(step.outputs[name].nodes.size):
                top.say(f"store({out}, 0, p0, n, {c}, c{j}_{word(name, c)});")
    program.text = "\n".join(top.lines)
    return program


class _Transposed:
    """The solution of a region's transposed system, refined once; what is left says whether to trust it.

    Pivots are chosen ahead, at samples: Newton's method forgives a bad one, a gradient would not.
    """

    def __init__(self, i: int, e: Elimination, region: Region, wanted: list[Node]) -> None:
        self.i, self.e, self.name, self.wanted = i, e, region.name, wanted
        self.rhs, self.symbols, self.solution = e.solve_transposed(wanted, f"lambda{i}")
        self.again: tuple[list[Node], list[Node]] | None = None
        self.left: list[Node] = []
        if e.pivots:
            back = gradient(region.residual, self.solution, region.unknowns)
            self.left = [c - b for c, b in zip(wanted, back, strict=True)]
            rhs, symbols, change = e.solve_transposed(self.left, f"again{i}")
            self.again = rhs, symbols
            self.solution = [a + b for a, b in zip(self.solution, change, strict=True)]

    def nodes(self) -> list[Node]:
        more = self.again[0] if self.again else []
        return [*self.rhs, *more, *self.left, *self.e.pivots, *(d for row in self.e.core for d in row)]

    def write(self, body: Scope) -> None:
        m = len(self.e.core)
        body.say(f"\n// {self.name}: the transposed system")
        for k, (rhs, symbols) in enumerate([(self.rhs, self.symbols), *([self.again] if self.again else [])]):
            if m:
                matrix = [body.need([self.e.core[c][r] for c in range(m)]) for r in range(m)]
                dense(body, f"lambda{self.i}_{k}", matrix, [[w] for w in body.need(rhs)])
                for j, n in enumerate(symbols):
                    body.names[n.index] = f"lambda{self.i}_{k}[{j}][{m}]"
        if self.left:
            judge(body, f"{self.i}", self.left, self.wanted, self.e.pivots)


def judge(scope: Scope, label: str, left: list[Node], wanted: list[Node], pivots: list[Node]) -> None:
    """Distrust lanes where a pivot is not finite or ``left`` is not small beside ``wanted``."""
    sizes, rest = scope.need(wanted), scope.need(left)
    scope.say(f"V most{label} = bc(0.0), poison{label} = bc(0.0);")
    for w in sizes:
        scope.say(f"most{label} = vmax(most{label}, vabs(bc({w})));")
    for p in scope.need(pivots):
        scope.say(f"poison{label} += 0.0 * {p};")
    for w, r in zip(sizes, rest, strict=True):
        small = f"{ROUGH!r} * vabs(bc({w})) + {FINE!r} * most{label} + poison{label}"
        scope.say(f"trusted &= le(vabs(bc({r})), {small});")


def _frontier(step: Step, used: list[Node]) -> list[Node]:
    """Parameters, and nodes made of parameters alone, of which other nodes are made."""
    parameters = [n for t in step.parameters.values() for n in t.nodes.flat]
    alone = {n.index for n in (*parameters, *parameter_only(step, used))}
    ends = {n.index for n in used}
    order = ancestors(used)
    read = {x.index for n in order if n.index not in alone for x in n.args} | ends
    return [n for n in order if n.index in alone and n.index in read]


def _pass_on(program: Program, top: Scope, body: Scope, step: Step, made: dict[int, str]) -> None:
    """Cotangents of prescribed values to memory, those of old states to the steps that made them."""
    for name, (base, lag) in step.forces.items():
        key = f"gforce_{base}"
        out = f"a.{program.fields[key][1]}" if key in program.fields else program.argument("Out", key)
        inner = body.inner()
        at = "k" if lag == 0 else f"(k > {lag} ? k - {lag} : 0)"
        for c, node in enumerate(step.inputs[name].nodes.flat):
            inner.say(f"increase({out}, {at}, p0, n, {c}, bc({made[node.index]}));")
        body.block(f"if ({out}.p)", inner)
    by_lag = {key: step.inputs[name] for name, key in step.states.items()}
    for name, depth in states(step):
        for j in range(depth):
            view = program.argument("View", f"begin{j}_{name}")
            for c in range(step.outputs[name].nodes.size):
                carried = f"c{j}_{word(name, c)}"
                top.say(f"V {carried} = {view}.p ? load({view}, 0, p0, n, {c}) : bc(0.0);")
                later = f"c{j + 1}_{word(name, c)}" if j + 1 < depth else "bc(0.0)"
                symbol = by_lag.get((name, j + 1))
                own = made[symbol.nodes.flat[c].index] if symbol is not None else "0.0"
                body.say(f"{carried} = {later} + {own};")
