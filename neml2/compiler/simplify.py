"""Residuals with fewer operations: sums that cancel, and products whose factors are shared.

Models are written one by one, so what they make together has operations that nobody would write by hand: the
deviator of what is deviatoric already, and ``N[i] * rate * dt`` for six components, where ``rate * dt`` is
the same for all. Both are found here, in the graph of a residual, before it is differentiated: a derivative
repeats every operation of its function. As in the rest of the graph, every number counts as finite.
"""

from __future__ import annotations

from collections import Counter

from neml2.compiler.graph import Node, ancestors, depending, rebuilt

Form = dict[tuple[int, ...], float]  # a sum of products: coefficient by the indices of the factors, sorted

TERMS = 24  # of a sum that is looked at; a longer one is taken as it is
ROUND_OFF = 2.0**-50  # of a coefficient, relative to those it is the sum of


def simplified(roots: list[Node], unknowns: list[Node], atoms: list[Node]) -> dict[int, Node]:
    """What the nodes that ``roots`` are made of become, with fewer operations on ``unknowns``.

    Sums are not looked at beyond ``atoms``. A node that nothing needs any longer has no entry.
    """
    first = cancelled(roots, atoms)
    then = grouped([first[r.index] for r in roots], unknowns)
    return {k: then[n.index] for k, n in first.items() if n.index in then}


def cancelled(roots: list[Node], atoms: list[Node]) -> dict[int, Node]:
    """What every node becomes where sums that are zero, or a single product, are written as such.

    To see what a sum is, it is multiplied out, down to ``atoms``; it stays as it is written if it is neither.
    """
    stop = {a.index for a in atoms}
    done: dict[int, Node] = {}
    forms: dict[int, Form] = {}
    for n in ancestors(roots):
        new = rebuilt(n, done)
        if new.index not in forms:
            form = _form(new, forms)
            if new.op in ("add", "sub") and len(form) < 2:
                new = _written(form, new)
            forms[new.index] = form if n.index not in stop or new.op == "const" else {(new.index,): 1.0}
        done[n.index] = new
    return done


def _form(n: Node, forms: dict[int, Form]) -> Form:
    """The sum that ``n`` is; ``forms`` has those of its arguments."""
    alone: Form = {(n.index,): 1.0}
    if n.op == "const":
        return {(): n.value} if n.value else {}
    if n.op not in ("neg", "add", "sub", "mul"):
        return alone
    parts = [forms.get(a.index, {(a.index,): 1.0}) for a in n.args]
    if n.op == "neg":
        return {factors: -c for factors, c in parts[0].items()}
    if n.op == "mul":
        short, long = sorted(parts, key=len)
        if len(short) > 1:
            return alone
        return {tuple(sorted(f + g)): c * d for f, c in short.items() for g, d in long.items()}
    sign = 1.0 if n.op == "add" else -1.0
    found = dict(parts[0])
    for factors, c in parts[1].items():
        old = found.pop(factors, 0.0)
        if abs(old + sign * c) > ROUND_OFF * max(abs(old), abs(c)):
            found[factors] = old + sign * c
    return found if len(found) <= TERMS else alone


def _written(form: Form, n: Node) -> Node:
    """A sum of at most one product, as a node of the graph of ``n``."""
    graph = n.graph
    for factors, coefficient in form.items():
        product = graph.const(1)
        for k in factors:
            product = product * graph.nodes[k]
        return coefficient * product
    return graph.const(0)


def grouped(roots: list[Node], unknowns: list[Node]) -> dict[int, Node]:
    """What every node becomes where products are taken in the order in which they are best shared.

    First come the factors that do not depend on ``unknowns``, then those of the most products. A partial
    product that is used elsewhere stays as it is; others, which nothing needs any longer, have no entry.
    """
    order = ancestors(roots)
    varying = depending(order, unknowns)
    uses = Counter(a.index for n in order for a in n.args)
    uses.update(r.index for r in roots)
    products = [n for n in order if n.op == "mul" and n.index in varying]
    within = {
        a.index
        for n in products
        for a in n.args
        if a.op == "mul" and a.index in varying and uses[a.index] == 1
    }
    factors: dict[int, list[Node]] = {}
    for n in products:
        factors[n.index] = [f for a in n.args for f in (factors[a.index] if a.index in within else [a])]
    shared = Counter(f for i, found in factors.items() if i not in within for f in {f.index for f in found})
    done: dict[int, Node] = {}
    for n in order:
        found = factors.get(n.index, [])
        if n.index in within:
            continue
        if len(found) < 3:
            done[n.index] = rebuilt(n, done)
            continue
        found.sort(key=lambda f: (f.index in varying, -shared[f.index], f.index))
        product = n.graph.const(1)
        for f in found:
            product = product * done[f.index]
        done[n.index] = product
    return done
