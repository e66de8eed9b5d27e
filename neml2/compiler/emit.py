"""From a lowered step to C++: blocks of W points, the time loop and Newton's loops inside."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from neml2.compiler.eliminate import Elimination
from neml2.compiler.graph import BOOLEAN, Node, ancestors
from neml2.compiler.lower import Region, Step

_INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "lt": "<",
    "le": "<=",
    "eq": "==",
    "and": "&",
    "or": "|",
}
_CALL = {"abs": "vabs", "sign": "vsign", "max": "vmax", "min": "vmin", "rem": "vrem"}


@dataclass(frozen=True)
class Interface:
    """The order in which a kernel takes its arrays: names and numbers of components."""

    forces: tuple[tuple[str, int], ...]
    states: tuple[tuple[str, int, int], ...]  # name, components, depth
    parameters: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]


class _Scope:
    """Nodes that have been written, so that each is written once; inner scopes see the outer ones."""

    def __init__(self, outer: _Scope | None, indent: int) -> None:
        self.outer, self.indent = outer, indent
        self.names: dict[int, str] = {}
        self.lines: list[str] = []

    def find(self, node: Node) -> str | None:
        scope: _Scope | None = self
        while scope is not None:
            if node.index in scope.names:
                return scope.names[node.index]
            scope = scope.outer
        return None

    def say(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    def need(self, nodes: Iterable[Node]) -> list[str]:
        """Write what is missing of ``nodes``; their names."""
        nodes = list(nodes)
        stop = {i for s in self._chain() for i in s.names}
        for n in _missing(nodes, stop):
            self.names[n.index] = f"t{n.index}"
            kind = "M" if n.op in BOOLEAN else "V"
            self.say(f"const {kind} t{n.index} = {self._expression(n)};")
        return [self._operand(n) for n in nodes]

    def _chain(self) -> list[_Scope]:
        return [self] if self.outer is None else [self, *self.outer._chain()]

    def _operand(self, n: Node) -> str:
        if n.op == "const":
            return _number(n.value)
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
        wrapped = [f"bc({x})" if y.op == "const" else x for x, y in zip(a, n.args)]
        return f"{_CALL.get(n.op, 'v' + n.op)}({', '.join(wrapped)})"


def _missing(nodes: list[Node], known: set[int]) -> list[Node]:
    seen: set[int] = set()
    found: list[Node] = []
    stack = list(nodes)
    while stack:
        n = stack.pop()
        if n.index in known or n.index in seen or n.op == "const":
            continue
        seen.add(n.index)
        assert n.args, f"input {n!r} is not available here"
        found.append(n)
        stack.extend(n.args)
    return sorted(found, key=lambda n: n.index)


def _number(x: float) -> str:
    if x != x:
        return "NAN"
    if x in (float("inf"), float("-inf")):
        return "INFINITY" if x > 0 else "-INFINITY"
    text = repr(float(x))
    return f"({text})" if x < 0 else text


def interface(step: Step) -> Interface:
    """Which arrays the kernel takes."""
    forces = {base: step.inputs[n].nodes.size for n, (base, _) in step.forces.items()}
    depth: dict[str, int] = {}
    for base, lag in step.states.values():
        depth[base] = max(depth.get(base, 0), lag)
    return Interface(
        tuple(forces.items()),
        tuple((n, step.outputs[n].nodes.size, d) for n, d in depth.items()),
        tuple((n, t.nodes.size) for n, t in step.parameters.items()),
        tuple((n, t.nodes.size) for n, t in step.outputs.items()),
    )


def march(step: Step, eliminations: list[Elimination], face: Interface) -> str:
    """The source of the kernel ``march``."""
    top = _Scope(None, 2)
    per_point = _parameter_nodes(step)
    for i, (name, count) in enumerate(face.parameters):
        for c, node in enumerate(step.parameters[name].nodes.flat):
            top.names[node.index] = _word(f"p_{name}", c, count)
            top.say(f"const V {top.names[node.index]} = load(par[{i}], 0, p0, n, {c});")
    state_names: dict[tuple[str, int], list[str]] = {}
    for i, (name, count, depth) in enumerate(face.states):
        for lag in range(1, depth + 1):
            words = [_word(f"s{lag}_{name}", c, count) for c in range(count)]
            state_names[name, lag] = words
            for c, w in enumerate(words):
                top.say(f"V {w} = load(init[{i}], 0, p0, n, {c});")
    order = {n: i for i, (n, _) in enumerate(face.forces)}
    body = _Scope(top, 3)
    for name, t in step.inputs.items():
        if name in step.forces:
            base, lag = step.forces[name]
            at = "k" if lag == 0 else f"(k > {lag} ? k - {lag} : 0)"
            for c, node in enumerate(t.nodes.flat):
                body.names[node.index] = _word(f"f{lag}_{base}", c, t.nodes.size)
                body.say(f"const V {body.names[node.index]} = load(force[{order[base]}], {at}, p0, n, {c});")
        else:
            for node, w in zip(t.nodes.flat, state_names[step.states[name]]):
                body.names[node.index] = w
    used = [n for r in step.regions for n in (*r.guess, *r.residual)] + [
        n for t in step.outputs.values() for n in t.nodes.flat
    ]
    for e, r in zip(eliminations, step.regions, strict=True):
        core_rhs, change = e.solve([-x for x in r.residual])
        used += [n for row in e.core for n in row] + core_rhs + change
    top.need(n for n in ancestors(used) if n.index in per_point and n.args)
    for i, (region, elimination) in enumerate(zip(step.regions, eliminations)):
        _region(body, i, region, elimination)
    body.say("")
    if not step.regions:
        body.say("const M code = M{};")
    body.say("// results of the step")
    new = {name: body.need(step.outputs[name].nodes.flat) for name, _ in face.outputs}
    good = [f"ok{i}" for i in range(len(step.regions))]
    good += [f"finite({w if not _literal(w) else f'bc({w})'})" for words in new.values() for w in words]
    body.say("const M ok = " + (" & ".join(dict.fromkeys(good)) or "M{} - 1") + ";")
    body.say("failed_ever |= ~ok;")
    for i, (name, _) in enumerate(face.outputs):
        for c, w in enumerate(new[name]):
            body.say(f"store(out[{i}], k, p0, n, {c}, {w if not _literal(w) else f'bc({w})'});")
    total = " + ".join(f"its{i}" for i in range(len(step.regions))) or "M{}"
    if len(step.regions) > 1:
        total = "its0"
        for i in range(1, len(step.regions)):
            total = f"(({total} > its{i}) ? {total} : its{i})"
    body.say(f"const M its = {total};")
    for line in (
        "for (int i = 0; i < n; ++i) {",
        "    status[k * points + p0 + i] = (int8_t)code[i];",
        "    iterations[k * points + p0 + i] = (int32_t)its[i];",
        "}",
    ):
        body.say(line)
    for name, _, depth in face.states:
        for lag in range(depth, 0, -1):
            source = state_names[name, lag - 1] if lag > 1 else new[name]
            for w, s in zip(state_names[name, lag], source):
                body.say(f"const V n_{w} = {s if not _literal(s) else f'bc({s})'};")
    for words in state_names.values():
        for w in words:
            body.say(f"{w} = n_{w};")
    return _TEMPLATE.format(top="\n".join(top.lines), body="\n".join(body.lines))


def _region(body: _Scope, i: int, region: Region, elimination: Elimination) -> None:
    s = region.solver
    body.say("")
    body.say(f"// {region.name}: Newton's method for {len(region.unknowns)} unknowns")
    guess = body.need(region.guess)
    words = [
        _word(f"u{i}_" + n.value.split(":", 1)[1].split("[")[0], c, 99) for c, n in enumerate(region.unknowns)
    ]
    for w, g in zip(words, guess):
        body.say(f"V {w} = {g if not _literal(g) else f'bc({g})'};")
    mine = {u.index for u in region.unknowns}
    core_rhs, change = elimination.solve([-r for r in region.residual])
    inner = [*region.residual, *(n for row in elimination.core for n in row), *core_rhs, *change]
    core = {n.index for n in elimination.core_solution}
    depends = mine | core
    for n in ancestors(inner):
        if any(a.index in depends for a in n.args):
            depends.add(n.index)
    body.need(n for n in ancestors(inner) if n.index not in depends and n.args)
    loop = _Scope(body, body.indent + 1)
    for u, w in zip(region.unknowns, words):
        loop.names[u.index] = w
    r = loop.need(region.residual)
    loop.say("const V square = " + " + ".join(f"({x}) * ({x})" for x in r) + ";")
    loop.say("const V size = vsqrt(square);")
    for line in _TEST.format(
        i=i, abs=_number(s.abs_tol), rel=_number(s.rel_tol), most=s.max_its
    ).splitlines():
        loop.say(line)
    m = len(elimination.core)
    if m:
        entries = loop.need([n for row in elimination.core for n in row])
        right = loop.need(core_rhs)
        loop.say(f"V core{i}[{m}][{m + 1}] = {{")
        for j in range(m):
            words_j = [*entries[j * m : (j + 1) * m], right[j]]
            loop.say("    {" + ", ".join(f"bc({w})" if _literal(w) else w for w in words_j) + "},")
        loop.say("};")
        loop.say(f"solve<{m}>(core{i});")
        for j, n in enumerate(elimination.core_solution):
            loop.names[n.index] = f"core{i}[{j}][{m}]"
    d = loop.need(change)
    for w, x in zip(words, d):
        loop.say(f"{w} = sel(active{i}, {w} + {x}, {w});")
    for line in _START.format(i=i).splitlines():
        body.say(line)
    body.say(f"for (int it{i} = 0;; ++it{i}) {{")
    body.lines += loop.lines
    body.say("}")
    for line in _END.format(i=i).splitlines():
        body.say(line)
    if i == 0:
        body.say("M code = code0;")
    else:
        body.say(f"code = (code == 0) ? code{i} : code;")
    for u, w in zip(region.unknowns, words):
        body.names[u.index] = w


_START = """V norm{i} = bc(0.0), last{i} = bc(0.0), first{i} = bc(0.0);
M active{i} = M{{}} - 1, failed{i} = M{{}}, small{i} = M{{}}, settled{i} = M{{}};
M relative{i} = M{{}}, its{i} = M{{}};"""
_TEST = """last{i} = norm{i};
norm{i} = sel(active{i}, size, norm{i});
if (it{i} == 0) first{i} = norm{i}; else its{i} -= active{i};
failed{i} |= active{i} & ~finite(norm{i});
small{i} = norm{i} < {abs};
if (it{i} > 0) {{
    const M before = relative{i};
    relative{i} = norm{i} < {rel} * first{i};
    settled{i} |= active{i} & (norm{i} >= 0.5 * last{i}) & before & relative{i};
}}
active{i} &= ~(failed{i} | small{i} | settled{i});
if (!any(active{i}) || it{i} == {most}) break;"""
_END = """const M late{i} = active{i} & relative{i} & (norm{i} <= 1e-2 * last{i});
const M ok{i} = ~failed{i} & (small{i} | settled{i} | late{i});
const M code{i} = ok{i} ? (M{{}}) : (failed{i} ? (M{{}} + 2) : (M{{}} + 1));"""

_TEMPLATE = """// All steps of all points. Reads par, init and force; writes out, status and iterations.
// Returns the number of blocks in which a point failed; such a block stops there.
extern "C" int march(int64_t points, int64_t steps, int64_t threads, const View *par, const View *init,
                     const View *force, const Out *out, int8_t *status, int32_t *iterations) {{
    int failures = 0;
    #pragma omp parallel for schedule(dynamic) num_threads(threads) reduction(+ : failures)
    for (int64_t p0 = 0; p0 < points; p0 += W) {{
        const int n = points - p0 < W ? (int)(points - p0) : W;
        M failed_ever = M{{}};
{top}
        for (int64_t k = 1; k < steps; ++k) {{
{body}
            if (any(failed_ever)) {{ ++failures; break; }}
        }}
    }}
    return failures;
}}
"""


def _parameter_nodes(step: Step) -> set[int]:
    """Nodes that depend on nothing but parameters and constants."""
    known = {n.index for t in step.parameters.values() for n in t.nodes.flat}
    for n in step.graph.nodes:
        if n.op == "const" or (n.args and all(a.index in known for a in n.args)):
            known.add(n.index)
    return known


def _literal(word: str) -> bool:
    return bool(re.fullmatch(r"\(?-?[\d.]+(e[-+]?\d+)?\)?|NAN|-?INFINITY", word))


def _word(name: str, c: int, count: int) -> str:
    word = re.sub(r"\W", "_", name)
    return word if count == 1 else f"{word}_{c}"


def source(step: Step, eliminations: list[Elimination], face: Interface) -> str:
    """The whole file: the vector header, then the kernel."""
    header = (Path(__file__).parent / "math.hpp").read_text()
    return header + "\n" + march(step, eliminations, face)
