"""The kernel ``march`` of a step with sites: one loop over them evaluates Newton's system, one makes a step.

A thread takes a point with all its sites, or, where there are few points, all threads share the sites of one;
sums are made block after block, so that the results do not depend on it. A point of which something is not
finite, or that does not converge, stops, as in :func:`~neml2.compiler.emit.march`. The test for a residual
that is nothing but round-off is not made here: such a point stops as well, and the eager engine takes it
through the step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from neml2.compiler.eliminate import Elimination
from neml2.compiler.emit import (
    ARGUMENTS,
    END,
    START,
    TEST,
    dense,
    forces,
    load_parameters,
    parameter_only,
    squares,
    states,
)
from neml2.compiler.graph import Node, ancestors, depending
from neml2.compiler.lower import Unsupported
from neml2.compiler.program import Program, header
from neml2.compiler.scope import Scope, number, word
from neml2.compiler.site_system import site_system
from neml2.compiler.sites import SiteStep
from neml2.solvers.newton import NewtonWithLineSearch

_SHARE = 32  # blocks of sites of a point that are worth several threads


@dataclass
class SiteProgram(Program):
    """A kernel for whole points, each with an array of ``Block``, of as many sites as a vector has lanes."""

    block: str = ""

    def source(self) -> str:
        """The structs of arguments and of a block of sites, and the function ``history``."""
        return (
            f"{self.arguments()}\nstruct Block {{\n{self.block}\n}};\n\n{header('sites')}\n// {self.name}\n"
            f"FN void history(const Arguments &a, int64_t p0, int64_t threads) {{\n{self.text}\n}}\n"
        )

    def runner(self) -> str:
        return _RUN

    def for_cuda(self, dtype: str = "double") -> str:
        raise Unsupported("loops over sites are made for the CPU alone; use engine='eager' on a GPU")


_RUN = """extern "C" void run(const Arguments *a, int64_t threads) {
    const bool alone = a->points < threads;                // then its sites are shared out
    parallel(a->points, alone ? 1 : threads, [=](int64_t p) { history(*a, p, alone ? threads : 1); });
}
"""


def site_march(step: SiteStep, elimination: Elimination) -> SiteProgram:
    """Steps ``first`` to ``last - 1`` of all points: the arguments are those of ``march``.

    There is one more, the number of ``sites``. What has sites is flat in its last axis, site after site.
    """
    return _Maker(step, elimination).program


class _Maker:
    """Writes the kernel. ``top`` is run once, ``body`` in every step; what has sites is in its own loops."""

    def __init__(self, step: SiteStep, elimination: Elimination) -> None:
        self.s, self.solver = step, step.own.solver
        self.system = site_system(step, elimination)
        self.program = SiteProgram(f"march: {len(step.own.unknowns)} unknowns at every site")
        for kind, name in (*ARGUMENTS, ("int64_t", "sites")):
            self.program.argument(kind, name)
        self.old: list[tuple[str, int, int]] = [  # states of a site
            (name, lag, c)
            for name, depth in states(step.step)
            if step.outputs[name].sites
            for lag in range(1, depth + 1)
            for c in range(len(step.outputs[name].nodes))
        ]
        self.y = [(i, q) for i, row in enumerate(self.system.y) for q in row]
        self.terms = self.system.sums
        self.shared_words = [f"y_{word(u.value.split(':', 1)[1])}" for u in step.shared.unknowns]
        self._write()

    # ------------------------------------------------------------------ what a site reads

    def _site_loop(self, outer: Scope) -> Scope:
        """The scope of a loop over the blocks of sites, to be ended by :meth:`_close`."""
        loop = outer.inner()
        loop.say("Block &s = sites[b];\nconst int64_t i0 = b * W;")
        loop.say("const int n = a.sites - i0 < W ? (int)(a.sites - i0) : W;")
        return loop

    def _close(self, outer: Scope, loop: Scope) -> None:
        outer.say("parallel(count, crew, [&](int64_t b) {")
        outer.lines += loop.lines
        outer.say("});")

    def _read(self, loop: Scope, roots: Iterable[Node]) -> None:
        """Load what ``roots`` read of a site."""
        read = {n.index for n in ancestors(roots) if n.op == "input"}
        for i, u in enumerate(self.s.own.unknowns):
            if u.index in read:
                loop.names[u.index] = f"u_{word(u.value.split(':', 1)[1])}"
                loop.say(f"const V {loop.names[u.index]} = s.u[{i}];")
        for name, part in self.s.inputs.items():
            if not part.sites:
                continue
            for c, node in enumerate(part.nodes):
                if node.index in read:
                    loop.names[node.index], value = self._site_input(name, c)
                    loop.say(f"const V {loop.names[node.index]} = {value};")

    def _site_input(self, name: str, c: int) -> tuple[str, str]:
        """A name for a component, and where it is."""
        step = self.s.step
        if name in step.states:
            base, lag = step.states[name]
            return f"s{lag}_{word(base, c)}", f"s.old[{self.old.index((base, lag, c))}]"
        base, lag = step.forces[name]
        at = "k" if lag == 0 else f"(k > {lag} ? k - {lag} : 0)"
        view, size = f"a.{self.program.fields[f'force_{base}'][1]}", len(self.s.inputs[name].nodes)
        return f"f{lag}_{word(base, c)}", f"load(site({view}, {at}, p0, {size}, {c}), 0, i0, n, 0)"

    # ------------------------------------------------------------------ the kernel

    def _write(self) -> None:
        s, step, program = self.s, self.s.step, self.program
        top = Scope(indent=1, labels=step.names)
        top.say("const int n = 1;\nconst int64_t count = (a.sites + W - 1) / W;")
        top.say(f"const int64_t crew = count < {_SHARE} ? 1 : threads;\nstd::vector<Block> sites(count);")
        load_parameters(program, top, step.parameters)
        for base in forces(step):
            program.argument("View", f"force_{base}")
        start = self._site_loop(top)
        for name, depth in states(step):
            for lag in range(1, depth + 1):
                view, size = program.argument("OldState", f"init{lag}_{name}"), len(s.outputs[name].nodes)
                for c in range(size):
                    if s.outputs[name].sites:
                        at = self.old.index((name, lag, c))
                        start.say(f"s.old[{at}] = load(site({view}, 0, p0, {size}, {c}), 0, i0, n, 0);")
                    else:
                        top.say(f"V s{lag}_{word(name, c)} = load({view}, 0, p0, n, {c});")
        self._close(top, start)
        top.need(parameter_only(step, self._everything()))
        top.say("const M dead = M{};")
        body = top.inner()
        self._step(body)
        top.block("for (int64_t k = a.first; k < a.last; ++k)", body)
        self._end(top)
        program.text = "\n".join(top.lines)
        sizes = {"u": s.own.unknowns, "base": s.own.unknowns, "d": s.own.unknowns, "z": s.own.unknowns}
        counts = {n: len(x) for n, x in sizes.items()} | {"y": len(self.y), "old": len(self.old)}
        counts |= {"fresh": len(self._site_states()), "sums": 1 + len(self.terms)}
        program.block = "\n".join(f"    V {n}[{max(count, 1)}];" for n, count in counts.items())

    def _everything(self) -> list[Node]:
        own, shared, system = self.s.own, self.s.shared, self.system
        found = [*own.guess, *shared.guess, *own.residual, *shared.residual, *system.z, *system.rhs]
        found += [n for row in (*system.core, *system.rights, *system.matrix) for n in row]
        found += [n for row in system.y for n in row.values()] + [term for _, term, _ in self.terms]
        return found + [n for part in self.s.outputs.values() for n in part.nodes]

    def _step(self, body: Scope) -> None:
        s, step = self.s, self.s.step
        for name, (base, lag) in step.forces.items():
            if not s.inputs[name].sites:
                at = "k" if lag == 0 else f"(k > {lag} ? k - {lag} : 0)"
                view = f"a.{self.program.fields[f'force_{base}'][1]}"
                for c, node in enumerate(s.inputs[name].nodes):
                    body.names[node.index] = f"f{lag}_{word(base, c)}"
                    body.say(f"const V {body.names[node.index]} = load({view}, {at}, p0, n, {c});")
        for name, (base, lag) in step.states.items():
            if not s.inputs[name].sites:
                for c, node in enumerate(s.inputs[name].nodes):
                    body.names[node.index] = f"s{lag}_{word(base, c)}"
        order = ancestors(self._everything())
        of_site = depending(order, self._site_symbols())
        fixed = depending(order, [*self._site_symbols(), *s.shared.unknowns, *self._sum_symbols()])
        body.need(n for n in order if n.args and n.index not in fixed)
        body.say("\n// the first guess")
        for w, g in zip(self.shared_words, body.need(s.shared.guess), strict=True):
            body.say(f"V {w} = bc({g});")
        guess = self._site_loop(body)
        self._read(guess, s.own.guess)
        for i, g in enumerate(guess.need(s.own.guess)):
            guess.say(f"s.u[{i}] = bc({g});")
        self._close(body, guess)
        self._evaluation(body, order, of_site)
        self._newton(body)
        self._outputs(body)

    def _site_symbols(self) -> list[Node]:
        found = [n for part in self.s.inputs.values() if part.sites for n in part.nodes]
        return [*found, *self.s.own.unknowns, *(n for row in self.system.cores for n in row)]

    def _sum_symbols(self) -> list[Node]:
        return [symbol for symbol, _, _ in self.terms]

    def _evaluation(self, body: Scope, order: list[Node], of_site: set[int]) -> None:
        """A function that evaluates the residual, and what Newton's step needs of the sites."""
        s, system = self.s, self.system
        body.say(f"V sums[{1 + len(self.terms)}], size;")
        inner = body.inner()
        names = dict(zip((u.index for u in s.shared.unknowns), self.shared_words, strict=True))
        inner.names |= names
        y = [system.y[i][q] for i, q in self.y]
        entries = [n for row in system.core for n in row]
        rights = [n for row in system.rights for n in row]
        terms = [term for _, term, _ in self.terms]
        roots = [*s.own.residual, *entries, *rights, *system.z, *y, *terms]
        within = {n.index for n in ancestors(roots)}
        reduced = depending(order, self._sum_symbols())
        inner.need(n for n in order if n.args and n.index in within and n.index not in of_site | reduced)
        loop = self._site_loop(inner)
        self._read(loop, roots)
        residual = loop.need(s.own.residual)
        m = len(system.core)
        if m:
            matrix = [loop.need(row) for row in system.core]
            columns = [loop.need(row) for row in system.rights]
            dense(loop, "core", matrix, [list(b) for b in zip(*columns, strict=True)])
            for k, symbols in enumerate(system.cores):
                loop.names |= {x.index: f"core[{j}][{m + k}]" for j, x in enumerate(symbols)}
        for name, nodes in (("z", system.z), ("y", y)):
            for i, w in enumerate(loop.need(nodes)):
                loop.say(f"s.{name}[{i}] = bc({w});")
        loop.say("const V weight = inside(n);")
        for i, w in enumerate((squares(residual), *loop.need(terms))):
            loop.say(f"s.sums[{i}] = weight * ({w});")
        self._close(inner, loop)
        inner.say("totals(sites, sums);")
        for i, (symbol, _, mean) in enumerate(self.terms, start=1):
            if mean:
                inner.say(f"sums[{i}] = sums[{i}] / (double)a.sites;")
            inner.names[symbol.index] = f"sums[{i}]"
        shared = inner.need(s.shared.residual)
        inner.say(f"size = vsqrt({' + '.join(['sums[0]', squares(shared)] if shared else ['sums[0]'])});")
        body.say("\n// the residual at all sites, and Newton's step there for every step of what they share")
        body.say("auto evaluate = [&]() __attribute__((noinline)) {")
        body.lines += inner.lines
        body.say("};")

    def _newton(self, body: Scope) -> None:
        s, system, solver = self.s, self.system, self.solver
        loop = body.inner()
        loop.names |= dict(zip((u.index for u in s.shared.unknowns), self.shared_words, strict=True))
        loop.names |= {symbol.index: f"sums[{i}]" for i, symbol in enumerate(self._sum_symbols(), start=1)}
        loop.say("const V size0 = size;")
        loop.say(
            TEST.format(i=0, abs=number(solver.abs_tol), rel=number(solver.rel_tol), most=solver.max_its)
        )
        m = len(system.rhs)
        if m:
            matrix = [loop.need(row) for row in system.matrix]
            dense(loop, "complement", matrix, [[w] for w in loop.need(system.rhs)])
        step = self._site_loop(loop)
        for i in range(len(s.own.unknowns)):
            along = [f" - s.y[{j}] * complement[{q}][{m}]" for j, (at, q) in enumerate(self.y) if at == i]
            step.say(f"s.base[{i}] = s.u[{i}];\ns.d[{i}] = s.z[{i}]{''.join(along)};")
            step.say(f"s.u[{i}] = s.base[{i}] + s.d[{i}];")
        self._close(loop, step)
        for q, w in enumerate(self.shared_words):
            loop.say(f"const V {w}_base = {w};\n{w} = {w}_base + complement[{q}][{m}];")
        loop.say("evaluate();")
        if isinstance(solver, NewtonWithLineSearch):
            self._search(loop)
        body.say("evaluate();")
        body.say(START.format(i=0))
        body.block("for (int it0 = 0;; ++it0)", loop)
        body.say(END.format(i=0))

    def _search(self, loop: Scope) -> None:
        """Backtracking, as :func:`~neml2.compiler.emit.march` does it."""
        solver, m = self.solver, len(self.system.rhs)
        slope = 2.0 if solver.linesearch_type == "BACKTRACKING" else 1.0
        least = slope * solver.linesearch_stopping_criteria
        trial = loop.inner()
        trial.say(f"const V enough = (1.0 - {least!r} * alpha) * norm0 * norm0;")
        trial.say(f"if (any(le(size * size, enough) | le(size, {solver.abs_tol!r}))) break;")
        trial.say(f"alpha = alpha / {solver.linesearch_cutback!r};")
        back = self._site_loop(trial)
        for i in range(len(self.s.own.unknowns)):
            back.say(f"s.u[{i}] = s.base[{i}] + alpha * s.d[{i}];")
        self._close(trial, back)
        for q, w in enumerate(self.shared_words):
            trial.say(f"{w} = {w}_base + alpha * complement[{q}][{m}];")
        trial.say("evaluate();")
        loop.say("V alpha = bc(1.0);")
        loop.block(f"for (int trial = 1; trial < {solver.max_linesearch_iterations}; ++trial)", trial)

    def _site_states(self) -> list[tuple[str, int]]:
        """Components of the new states of a site."""
        s = self.s
        return [
            (n, c) for n, _ in states(s.step) if s.outputs[n].sites for c in range(len(s.outputs[n].nodes))
        ]

    def _outputs(self, body: Scope) -> None:
        """Rows of outputs, and the state of the next step."""
        s, fresh = self.s, self._site_states()
        body.say("\n// what the step leaves behind\nconst int64_t row = a.row[k - a.first];")
        views = {n: self.program.argument("Out", f"out_{n}") for n in s.outputs}
        body.names |= dict(zip((u.index for u in s.shared.unknowns), self.shared_words, strict=True))
        body.names |= {symbol.index: f"sums[{i}]" for i, symbol in enumerate(self._sum_symbols(), start=1)}
        own = {n: part.nodes for n, part in s.outputs.items() if part.sites}
        loop = self._site_loop(body)
        self._read(loop, [n for nodes in own.values() for n in nodes])
        loop.say("M good = ~M{};")
        for name, nodes in own.items():
            keep = loop.inner()
            for c, w in enumerate(loop.need(nodes)):
                loop.say(f"good &= finite(bc({w}));")
                if (name, c) in fresh:
                    loop.say(f"s.fresh[{fresh.index((name, c))}] = bc({w});")
                keep.say(f"store(site({views[name]}, row, p0, {len(nodes)}, {c}), 0, i0, n, 0, bc({w}));")
            loop.block(f"if (row >= 0 && {views[name]}.p)", keep)
        loop.say("s.sums[0] = sel(good, 0.0, 1.0);")
        self._close(body, loop)
        body.say("V bad = V{};\nfor (const Block &s : sites) bad += s.sums[0];")
        body.say("M good = eq(total(bad), 0.0);")
        new: dict[str, list[str]] = {}
        for name, part in s.outputs.items():
            if part.sites:
                continue
            keep = body.inner()
            new[name] = body.need(part.nodes)
            for c, w in enumerate(new[name]):
                body.say(f"good &= finite(bc({w}));")
                keep.say(f"store({views[name]}, row, p0, n, {c}, bc({w}));")
            body.block(f"if (row >= 0 && {views[name]}.p)", keep)
        body.say(_MARKS)
        commit = self._site_loop(body)
        for j, (name, lag, c) in reversed(list(enumerate(self.old))):
            source = (
                f"fresh[{fresh.index((name, c))}]"
                if lag == 1
                else f"old[{self.old.index((name, lag - 1, c))}]"
            )
            commit.say(f"s.old[{j}] = s.{source};")
        self._close(body, commit)
        moved: list[str] = []
        for name, depth in states(s.step):
            for lag in range(depth, 0, -1) if name in new else ():
                for c, w in enumerate(new[name]):
                    value = f"s{lag - 1}_{word(name, c)}" if lag > 1 else f"bc({w})"
                    body.say(f"const V n{lag}_{word(name, c)} = {value};")
                    moved.append(f"{lag}_{word(name, c)}")
        for w in moved:  # not before: a new state may be the old one of another variable
            body.say(f"s{w} = n{w};")

    def _end(self, top: Scope) -> None:
        s = self.s
        loop = self._site_loop(top)
        for name, depth in states(s.step):
            for lag in range(1, depth + 1):
                end, size = self.program.argument("NewState", f"end{lag}_{name}"), len(s.outputs[name].nodes)
                for c in range(size):
                    if s.outputs[name].sites:
                        at = self.old.index((name, lag, c))
                        loop.say(f"store(site({end}, 0, p0, {size}, {c}), 0, i0, n, 0, s.old[{at}]);")
                    else:
                        top.say(f"store({end}, 0, p0, n, {c}, s{lag}_{word(name, c)});")
        self._close(top, loop)


_MARKS = """const M fails = ~(ok0 & good);
if (row >= 0) {
    put(a.status + row * a.points, p0, n, sel(fails & eq(code0, 0.0), 2.0, code0));
    put(a.iterations + row * a.points, p0, n, its0);
}
if (any(fails)) {
    a.stopped[p0] = k;
    break;
}"""
