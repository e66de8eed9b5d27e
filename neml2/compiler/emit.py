"""From a lowered step to the source of its kernels: what is common to all of them, and ``march``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from neml2.compiler.eliminate import Elimination, linear_system
from neml2.compiler.graph import Node, ancestors, depending
from neml2.compiler.program import Program
from neml2.compiler.regions import Region, Step
from neml2.compiler.scope import Scope, number, word
from neml2.compiler.symbolic import SymbolicTensor
from neml2.solvers.newton import NewtonWithLineSearch

ROUND_OFF = 16 * 2.0**-52  # as the eager Newton: relative to the terms of a residual


# ---------------------------------------------------------------------- what the kernels have in common


def states(step: Step) -> list[tuple[str, int]]:
    """State variables and how many old values are read."""
    depth: dict[str, int] = {}
    for base, lag in step.states.values():
        depth[base] = max(depth.get(base, 0), lag)
    return list(depth.items())


def forces(step: Step) -> dict[str, int]:
    """Prescribed variables and their numbers of components."""
    return {base: step.inputs[n].nodes.size for n, (base, _) in step.forces.items()}


def recorded(step: Step) -> dict[str, list[Node]]:
    """What a step leaves behind: its outputs, and unknowns that are none (called ``region:variable``)."""
    found = {n: list(t.nodes.flat) for n, t in step.outputs.items()}
    shown = {n.index for nodes in found.values() for n in nodes}
    for region in step.regions:
        for u in region.unknowns:
            if u.index not in shown:
                found.setdefault(u.value.split("[")[0], []).append(u)
    return found


def load_parameters(program: Program, top: Scope, parameters: Mapping[str, SymbolicTensor]) -> None:
    """Parameters of the block's points."""
    for name, t in parameters.items():
        view = program.argument("View", f"par_{name}")
        for c, node in enumerate(t.nodes.flat):
            top.names[node.index] = f"{word('p_' + name, c)}"
            top.say(f"const V {top.names[node.index]} = load({view}, 0, p0, n, {c});")


def parameter_only(step: Step, used: Iterable[Node]) -> list[Node]:
    """The nodes among ``used`` and what they are made of that depend on parameters and constants alone."""
    known = {n.index for t in step.parameters.values() for n in t.nodes.flat}
    found = []
    for n in ancestors(used):
        if n.op == "const" or (n.args and all(x.index in known for x in n.args)):
            known.add(n.index)
            if n.args:
                found.append(n)
    return found


def load_forces(program: Program, scope: Scope, step: Step) -> None:
    """Prescribed values of step ``k``; before the first row of the history stands its first row."""
    views = {base: program.argument("View", f"force_{base}") for base in forces(step)}
    for name, (base, lag) in step.forces.items():
        at = "k" if lag == 0 else f"(k > {lag} ? k - {lag} : 0)"
        for c, node in enumerate(step.inputs[name].nodes.flat):
            scope.names[node.index] = f"f{lag}_{word(base, c)}"
            scope.say(f"const V {scope.names[node.index]} = load({views[base]}, {at}, p0, n, {c});")


def after_march(name: str, step: Step) -> tuple[Program, Scope, Scope]:
    """The beginning of a kernel that reads what a march has left: itself, and scopes of block and step."""
    program = Program(name)
    for count in ("points", "first", "last", "base"):
        program.argument("int64_t", count)
    top = Scope(indent=1, labels=step.names)
    load_parameters(program, top, step.parameters)
    body = top.inner()
    body.say("const int64_t row = k - a.base;")
    load_forces(program, body, step)
    load_tape(program, body, step)
    return program, top, body


def load_tape(program: Program, scope: Scope, step: Step) -> None:
    """Old states and solved unknowns of row ``row``; the first row has itself before it."""
    unknowns = {u.index for region in step.regions for u in region.unknowns}
    kept = recorded(step)
    read = {base for base, _ in step.states.values()}
    tape = {
        n: program.argument("View", f"tape_{n}")
        for n, nodes in kept.items()
        if n in read or any(x.index in unknowns for x in nodes)
    }
    for name, (base, lag) in step.states.items():
        at = f"row > {lag} ? row - {lag} : 0"
        for c, node in enumerate(step.inputs[name].nodes.flat):
            scope.names[node.index] = f"s{lag}_{word(base, c)}"
            scope.say(f"const V {scope.names[node.index]} = load({tape[base]}, {at}, p0, n, {c});")
    for name, nodes in kept.items():
        for c, node in enumerate(nodes):
            if node.index in unknowns and node.index not in scope.names:
                scope.names[node.index] = f"u_{word(name, c)}"
                scope.say(f"const V u_{word(name, c)} = load({tape[name]}, row, p0, n, {c});")


# ---------------------------------------------------------------------- march

ARGUMENTS = (
    ("int64_t", "points"),
    ("int64_t", "first"),
    ("int64_t", "last"),
    ("const int64_t *", "row"),
    ("int8_t *", "status"),
    ("int32_t *", "iterations"),
    ("int64_t *", "stopped"),
)


def march(step: Step, eliminations: Sequence[Elimination]) -> Program:
    """Steps ``first`` to ``last - 1`` of all points.

    ``force_*`` are whole histories, ``init*`` and ``end*`` the state before and after, by lag. ``out_*``,
    ``status`` and ``iterations`` have a row for every step that is kept, ``row[k - first]``; ``out_*`` may
    be missing. A point that fails stops there, with the number of that step in ``stopped``; its state stays
    as it was.
    """
    program = Program(f"march: {len(step.regions)} solves a step")
    for kind, name in ARGUMENTS:
        program.argument(kind, name)
    top = Scope(indent=1, labels=step.names)
    load_parameters(program, top, step.parameters)
    old: dict[tuple[str, int], list[str]] = {}
    for name, depth in states(step):
        for lag in range(1, depth + 1):
            view = program.argument("OldState", f"init{lag}_{name}")
            old[name, lag] = [f"s{lag}_{word(name, c)}" for c in range(step.outputs[name].nodes.size)]
            for c, w in enumerate(old[name, lag]):
                top.say(f"V {w} = load({view}, 0, p0, n, {c});")
    body = top.inner()
    load_forces(program, body, step)
    for base in forces(step):
        body.say(f"ahead(a.{program.fields[f'force_{base}'][1]}, k + 1 < a.last ? k + 1 : k, p0, n);")
    for name, key in step.states.items():
        for node, w in zip(step.inputs[name].nodes.flat, old[key], strict=True):
            body.names[node.index] = w
    kept = recorded(step)
    solved = [e.solve([-r for r in g.residual]) for e, g in zip(eliminations, step.regions, strict=True)]
    used = [n for nodes in kept.values() for n in nodes]
    for region, e, (core_rhs, change) in zip(step.regions, eliminations, solved, strict=True):
        used += [*region.guess, *region.residual, *core_rhs, *change, *(n for row in e.core for n in row)]
    top.need(parameter_only(step, used))
    top.say("M dead = M{};")
    for i, (region, e, s) in enumerate(zip(step.regions, eliminations, solved, strict=True)):
        _region(body, i, region, e, *s)
    body.say("\n// what the step leaves behind")
    new = {name: [f"bc({w})" for w in body.need(nodes)] for name, nodes in kept.items()}
    good = [f"ok{i}" for i in range(len(step.regions))]
    good += dict.fromkeys(f"finite({w})" for words in new.values() for w in words)
    body.say("const M fails = ~dead & ~(" + " & ".join(good) + ");")
    count = "its0" if step.regions else "bc(0.0)"
    for i in range(1, len(step.regions)):
        count = f"vmax({count}, its{i})"
    body.say(f"V code = {'code0' if step.regions else 'bc(0.0)'};")
    for i in range(1, len(step.regions)):
        body.say(f"code = sel(eq(code, 0.0), code{i}, code);")
    body.say("code = sel(fails & eq(code, 0.0), 2.0, code);")
    body.say("const int64_t row = a.row[k - a.first];")
    keep = body.inner()
    keep.say("put(a.status + row * a.points, p0, n, code);")
    keep.say(f"put(a.iterations + row * a.points, p0, n, {count});")
    for name, words in new.items():
        out = program.argument("Out", f"out_{name}")
        saved = keep.inner()
        for c, w in enumerate(words):
            saved.say(f"store({out}, row, p0, n, {c}, {w});")
        keep.block(f"if ({out}.p)", saved)
    body.block("if (row >= 0)", keep)
    failing = body.inner()
    failing.say("for (int i = 0; i < n; ++i) if (lane(fails, i)) a.stopped[p0 + i] = k;")
    failing.say("dead |= fails;\nif (!any(~dead)) break;")
    body.block("if (any(fails))", failing)
    keeping = body.inner()
    for name, depth in states(step):
        for lag in range(depth, 0, -1):
            source = old[name, lag - 1] if lag > 1 else new[name]
            for w, value in zip(old[name, lag], source, strict=True):
                body.say(f"V n_{w} = bc({value});")
                keeping.say(f"n_{w} = sel(dead, {w}, n_{w});")
    body.block("if (__builtin_expect(any(dead), 0))", keeping)
    for words in old.values():
        for w in words:
            body.say(f"{w} = n_{w};")
    top.block("for (int64_t k = a.first; k < a.last; ++k)", body)
    for (name, lag), words in old.items():
        end = program.argument("NewState", f"end{lag}_{name}")
        for c, w in enumerate(words):
            top.say(f"store({end}, 0, p0, n, {c}, {w});")
    program.text = "\n".join(top.lines)
    return program


def _region(
    body: Scope, i: int, region: Region, elimination: Elimination, core_rhs: list[Node], change: list[Node]
) -> None:
    solver = region.solver
    body.say(f"\n// {region.name}: Newton's method for {len(region.unknowns)} unknowns")
    words = [f"u{i}_{word(n.value.split(':', 1)[1])}" for n in region.unknowns]
    for w, g in zip(words, body.need(region.guess), strict=True):
        body.say(f"V {w} = bc({g});")
    core = [n for row in elimination.core for n in row]
    inner = [*region.residual, *core, *core_rhs, *change]
    order = ancestors(inner)
    depends = depending(order, [*region.unknowns, *elimination.core_solution])
    body.need(n for n in order if n.index not in depends and n.args)
    loop = body.inner()
    loop.names |= {u.index: w for u, w in zip(region.unknowns, words, strict=True)}
    residual = loop.need(region.residual)
    loop.say(f"const V size{i} = vsqrt({squares(residual)});")
    if isinstance(solver, NewtonWithLineSearch):
        again = f"it{i} > 0 && trial{i} < {solver.max_linesearch_iterations}"
        loop.block(f"if ({again})", _judged(loop, i, solver, words))
    settings = {"abs": number(solver.abs_tol), "rel": number(solver.rel_tol), "most": solver.max_its}
    loop.say(TEST.format(i=i, **settings))
    loop.block(f"if (__builtin_expect(any(stalled{i}), 0))", _round_off(loop, i, region, residual, words))
    m = len(elimination.core)
    if m:
        entries, right = loop.need(core), loop.need(core_rhs)
        dense(loop, f"core{i}", [entries[j * m : (j + 1) * m] for j in range(m)], [[r] for r in right])
        for j, n in enumerate(elimination.core_solution):
            loop.names[n.index] = f"core{i}[{j}][{m}]"
    steps = loop.need(change)
    body.say(START.format(i=i))
    if isinstance(solver, NewtonWithLineSearch):
        body.say(f"V alpha{i} = bc(1.0);\nint trial{i} = 1;")
        loop.say(f"alpha{i} = bc(1.0);\ntrial{i} = 1;")
        for w, d in zip(words, steps, strict=True):
            body.say(f"V base_{w} = {w}, step_{w} = V{{}};")
            loop.say(f"base_{w} = {w};\nstep_{w} = {d};")
    for w, d in zip(words, steps, strict=True):
        loop.say(f"{w} = sel(active{i}, {w} + {d}, {w});")
    loop.say(f"++it{i};")
    body.say(f"int it{i} = 0;")
    body.block("for (;;)", loop)
    body.say(END.format(i=i))
    body.names |= {u.index: w for u, w in zip(region.unknowns, words, strict=True)}


def dense(scope: Scope, name: str, matrix: list[list[str]], right: list[list[str]]) -> None:
    """Write an array ``name``, a matrix and its right-hand sides, and solve: the last columns change."""
    m, r = len(matrix), len(right[0])
    scope.say(f"V {name}[{m}][{m + r}] = {{")
    for row, b in zip(matrix, right, strict=True):
        scope.say("    {" + ", ".join(f"bc({w})" for w in (*row, *b)) + "},")
    scope.say(f"}};\nsolve<{m}, {r}>({name});")


def squares(words: Iterable[str]) -> str:
    """The sum of their squares."""
    return " + ".join(f"({x}) * ({x})" for x in words)


def _round_off(loop: Scope, i: int, region: Region, residual: list[str], words: list[str]) -> Scope:
    """The test of the eager Newton for residuals that are nothing but round-off; it is rarely entered.

    The size of a residual's terms, ``|J| |u|``, goes through the scalars between the models: each has the
    size of what it is made of, times its slopes.
    """
    scope = loop.inner()
    scope.say(f"M noise{i} = stalled{i};")
    system = linear_system(region.unknowns, region.cuts, region.residual)
    sizes = [f"vabs({w})" for w in words]
    between = len(system.rows) - len(residual)
    for k, row in enumerate(system.rows):
        own = len(words) + k if k < between else None
        slopes = {c: d for c, d in row.items() if c != own}
        found = zip(slopes, scope.need(slopes.values()), strict=True)
        terms = " + ".join(sizes[c] if w == "1.0" else f"vabs(bc({w})) * {sizes[c]}" for c, w in found)
        if own is not None:
            sizes.append(f"size{i}_{k}")
            scope.say(f"const V size{i}_{k} = {terms};")
        else:
            small = f"{ROUND_OFF!r} * bc({terms or '0.0'})"
            scope.say(f"noise{i} &= le(vabs(bc({residual[k - between]})), {small});")
    scope.say(f"settled{i} |= noise{i};\nactive{i} &= ~noise{i};\nif (!any(active{i})) break;")
    return scope


def _judged(loop: Scope, i: int, solver: NewtonWithLineSearch, words: list[str]) -> Scope:
    """Backtracking along the last step, as the eager line search: back to the residual with a shorter one."""
    slope = 2.0 if solver.linesearch_type == "BACKTRACKING" else 1.0
    least = slope * solver.linesearch_stopping_criteria
    judged, back = loop.inner(), loop.inner().inner()
    judged.say(f"const V enough{i} = (1.0 - {least!r} * alpha{i}) * norm{i} * norm{i};")
    small = f"le(size{i}, {solver.abs_tol!r})"
    judged.say(f"const M accepted{i} = le(size{i} * size{i}, enough{i}) | {small} | ~active{i};")
    back.say(f"alpha{i} = sel(accepted{i}, alpha{i}, alpha{i} / {solver.linesearch_cutback!r});")
    for w in words:
        back.say(f"{w} = sel(active{i}, base_{w} + alpha{i} * step_{w}, {w});")
    back.say(f"++trial{i};\ncontinue;")
    judged.block(f"if (any(~accepted{i}))", back)
    return judged


START = """V norm{i} = bc(0.0), last{i} = bc(0.0), first{i} = bc(0.0), its{i} = bc(0.0);
M active{i} = ~dead, failed{i} = M{{}}, small{i} = M{{}}, settled{i} = M{{}};
M relative{i} = M{{}}, stalled{i} = M{{}};"""
TEST = """last{i} = norm{i};
norm{i} = sel(active{i}, size{i}, norm{i});
if (it{i} == 0) first{i} = norm{i}; else its{i} = sel(active{i}, its{i} + 1.0, its{i});
failed{i} |= active{i} & ~finite(norm{i});
small{i} = lt(norm{i}, {abs});
if (it{i} > 0) {{
    const M before{i} = relative{i};
    relative{i} = lt(norm{i}, {rel} * first{i});
    stalled{i} = active{i} & le(0.5 * last{i}, norm{i});
    settled{i} |= stalled{i} & before{i} & relative{i};
}}
active{i} &= ~(failed{i} | small{i} | settled{i});
stalled{i} &= active{i};
if (!any(active{i}) || it{i} == {most}) break;"""
END = """const M late{i} = active{i} & relative{i} & le(norm{i}, 1e-2 * last{i});
const M ok{i} = ~failed{i} & (small{i} | settled{i} | late{i});
const V code{i} = sel(ok{i}, 0.0, sel(failed{i}, 2.0, 1.0));"""
