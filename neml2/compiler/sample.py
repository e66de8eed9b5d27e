"""Numbers for the nodes of a graph: sample points, and the value of every node at each of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from neml2.compiler.graph import BINARY, UNARY, Node
from neml2.compiler.lower import Step
from neml2.model import Model
from neml2.types import TensorWrapper

SCALES = (
    0.0,
    1.0,
    30.0,
    300.0,
)  # of unknowns and old states: at rest, and either side of a usual yield stress
STRAIN = 0.01  # a usual strain
PICKS = 6  # steps of the history that lend their prescribed values


def sample_points(model: Model, step: Step, forces: Mapping[str, TensorWrapper]) -> list[dict[str, float]]:
    """Points at which pivots are tried: prescribed values of the history, with states of several sizes.

    Some have all components, some only the first or the last of every tensor: a uniaxial test leaves most
    components at zero, and what divides by them there is no pivot.
    """
    random = np.random.default_rng(0)
    fixed = _parameters(model, step)
    samples = []
    for k, given in enumerate(_given(step, forces)):
        for scale in SCALES:
            for chosen in ("all", "first", "last"):
                point = {**fixed, **given}
                for name, t in step.inputs.items():
                    nodes, noise = list(t.nodes.flat), random.standard_normal(t.nodes.size)
                    if name not in step.forces:
                        _fill(point, nodes, chosen, (STRAIN if k % 2 else scale) * noise)
                    elif t.nodes.ndim and k % 3 == 2:  # else as prescribed: it may be a set of flags
                        _fill(point, nodes, chosen, STRAIN * min(scale, 1.0) * noise)
                for region in step.regions:
                    for j, nodes in enumerate(_by_variable(region.unknowns)):
                        size = STRAIN if (k + j) % 3 == 2 else scale
                        _fill(point, nodes, chosen, size * random.standard_normal(len(nodes)))
                samples.append(point)
    return samples


def _parameters(model: Model, step: Step) -> dict[str, float]:
    """The parameters of the first point."""
    point: dict[str, float] = {}
    for name, p in model.named_parameters():
        nodes = step.parameters[name].nodes
        values = p.detach().double().reshape(-1, nodes.size)[0].tolist()
        point |= {n.value: v for n, v in zip(nodes.flat, values, strict=True)}
    return point


def _given(step: Step, forces: Mapping[str, TensorWrapper]) -> list[dict[str, float]]:
    """Prescribed values of a few steps, each of another point of the batch."""
    count = len(next(iter(forces.values())).data) if forces else 2
    picks = sorted({int(round(x)) for x in np.linspace(1, count - 1, PICKS)}) if count > 1 else [0]
    found = []
    for j, k in enumerate(picks):
        point: dict[str, float] = {}
        for name, (base, lag) in step.forces.items():
            nodes = step.inputs[name].nodes
            rows = forces[base].data[max(k - lag, 0)].detach().double().reshape(-1, nodes.size)
            values = rows[(j * 7919) % len(rows)].tolist()
            point |= {n.value: v for n, v in zip(nodes.flat, values, strict=True)}
        found.append(point)
    return found


def _fill(point: dict[str, float], nodes: list[Node], chosen: str, values: np.ndarray) -> None:
    for c, n in enumerate(nodes):
        on = chosen == "all" or len(nodes) == 1 or c == (0 if chosen == "first" else len(nodes) - 1)
        point[n.value] = float(values[c]) if on else 0.0


def _by_variable(unknowns: list[Node]) -> list[list[Node]]:
    groups: dict[str, list[Node]] = {}
    for u in unknowns:
        groups.setdefault(u.value.split("[")[0], []).append(u)
    return list(groups.values())


_ARRAY: dict[str, Callable[..., Any]] = {
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "expm1": np.expm1,
    "log1p": np.log1p,
    "log10": np.log10,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "tanh": np.tanh,
    "floor": np.floor,
    "not": lambda x: (x == 0) * 1.0,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "rem": np.mod,
    "lt": lambda a, b: (a < b) * 1.0,
    "le": lambda a, b: (a <= b) * 1.0,
    "eq": lambda a, b: (a == b) * 1.0,
    "and": lambda a, b: ((a != 0) & (b != 0)) * 1.0,
    "or": lambda a, b: ((a != 0) | (b != 0)) * 1.0,
    "where": lambda c, a, b: np.where(c != 0, a, b),
}
assert set(_ARRAY) >= set(UNARY) | set(BINARY)


def values_at(samples: list[dict[str, float]]) -> Callable[[Node], np.ndarray]:
    """A function that gives a node's value at every sample, ``(samples,)``; each is computed once."""
    known: dict[int, np.ndarray] = {}

    def value(node: Node) -> np.ndarray:
        stack = [node]
        while stack:
            n = stack[-1]
            missing = [] if n.index in known else [a for a in n.args if a.index not in known]
            if missing:
                stack += missing
                continue
            stack.pop()
            if n.index in known:
                continue
            if n.op == "const":
                known[n.index] = np.full(len(samples), n.value)
            elif n.op == "input":
                known[n.index] = np.array([s.get(n.value, math.nan) for s in samples])
            else:
                with np.errstate(all="ignore"):
                    made = _ARRAY[n.op](*[known[a.index] for a in n.args])
                known[n.index] = np.asarray(made, dtype=float)
        return known[node.index]

    return value
