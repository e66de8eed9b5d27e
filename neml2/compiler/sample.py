"""Numbers for the nodes of a graph: sample points, and the value of every node at each of them.

Sample points come from two sources. Random ones, from states at rest to states far outside of any use, tell
which entries of Newton's matrix can vanish. Rehearsed ones are what the kernel will meet: the iterates of
Newton's method in a few steps of the history, each from the state that a single large step leads to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from neml2.compiler.eliminate import System, Values, linear_system
from neml2.compiler.graph import BINARY, UNARY, Node
from neml2.compiler.regions import Step
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
ITERATIONS = 12  # of a rehearsal
CONVERGED = 1e-9  # a step that is so small beside the unknowns changes nothing


def sample_points(model: Model, step: Step, forces: Mapping[str, TensorWrapper]) -> list[dict[str, float]]:
    """Points at which pivots are tried: prescribed values of the history, with states random and real."""
    fixed = _parameters(model, step)
    return [*_random_points(step, fixed, _given(step, forces)), *_rehearsed_points(step, fixed, forces)]


def _random_points(
    step: Step, fixed: dict[str, float], given: list[dict[str, float]]
) -> list[dict[str, float]]:
    """States of several sizes.

    Some have all components, some only the first or the last of every tensor: a uniaxial test leaves most
    components at zero, and what divides by them there is no pivot.
    """
    random = np.random.default_rng(0)
    samples = []
    for k, prescribed in enumerate(given):
        for scale in SCALES:
            for chosen in ("all", "first", "last"):
                point = {**fixed, **prescribed}
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


def _rehearsed_points(
    step: Step, fixed: dict[str, float], forces: Mapping[str, TensorWrapper]
) -> list[dict[str, float]]:
    """Iterates of Newton's method in a few steps of the history."""
    rest = {n.value: 0.0 for name in step.states for n in step.inputs[name].nodes.flat}
    far = [fixed | rest | prescribed for prescribed in _given(step, forces, far=True)]
    near = [fixed | rest | prescribed for prescribed in _given(step, forces)]
    end = _rehearse(step, far)[-1] if step.regions else far
    at = values_at(end)
    for name, (base, _) in step.states.items():
        values = np.array([at(n) for n in step.outputs[base].nodes.flat])  # (size, points)
        for point, old in zip(near, values.T, strict=True):
            if np.isfinite(old).all():
                point |= _named(list(step.inputs[name].nodes.flat), old)
    return [p for points in _rehearse(step, near) for p in points]


def _rehearse(step: Step, points: list[dict[str, float]]) -> list[list[dict[str, float]]]:
    """All regions of a step solved at all points, as far as Newton's method leads; its iterates."""
    found = []
    for region in step.regions:
        system = linear_system(region.unknowns, region.cuts, region.residual)
        values = values_at(points)
        unknowns = np.array([values(g) for g in region.guess]).T  # (points, unknowns)
        for _ in range(ITERATIONS):
            points = [p | _named(region.unknowns, u) for p, u in zip(points, unknowns, strict=True)]
            found.append(points)
            change = newton_steps(system, region.residual, values_at(points))
            if not (np.abs(change).max(axis=1) > CONVERGED * np.abs(unknowns).max(axis=1)).any():
                break
            with np.errstate(all="ignore"):
                unknowns = unknowns + change
    return found


def newton_steps(system: System, residual: list[Node], values: Values) -> np.ndarray:
    """Newton's steps ``(samples, unknowns)`` by a dense solve at every sample; NaN where there is none."""
    return np.array([solved(a, b) for a, b in zip(*dense(system, residual, values), strict=True)])


def dense(system: System, residual: list[Node], values: Values) -> tuple[np.ndarray, np.ndarray]:
    """Newton's matrix ``(samples, n, n)`` of the unknowns alone, and its right-hand side ``(samples, n)``."""
    rhs = -np.array([values(r) for r in residual]).T
    n = system.unknowns
    slopes = np.zeros((n + len(system.rows), *rhs.shape))  # of unknowns, scalars in between, residuals
    slopes[range(n), :, range(n)] = 1
    with np.errstate(all="ignore"):
        for i, row in enumerate(system.rows, start=n):
            for c, d in row.items():
                if c < i:
                    slopes[i] += values(d)[:, None] * slopes[c]
            if i < len(system.rows):
                slopes[i] *= -1
    return slopes[-n:].swapaxes(0, 1), rhs


def solved(matrix: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """The solution of a dense system with its rows scaled; NaN if there is none."""
    with np.errstate(all="ignore"):
        scale = 1 / np.abs(matrix).max(axis=1)
        try:
            return np.linalg.solve(matrix * scale[:, None], rhs * scale)
        except np.linalg.LinAlgError:
            return np.full(len(rhs), math.nan)


def _named(nodes: list[Node], values: np.ndarray) -> dict[str, float]:
    return {n.value: float(v) for n, v in zip(nodes, values, strict=True)}


def _parameters(model: Model, step: Step) -> dict[str, float]:
    """The parameters of the first point."""
    point: dict[str, float] = {}
    for name, p in model.named_parameters():
        nodes = step.parameters[name].nodes
        values = p.detach().double().reshape(-1, nodes.size)[0].tolist()
        point |= {n.value: v for n, v in zip(nodes.flat, values, strict=True)}
    return point


def _given(step: Step, forces: Mapping[str, TensorWrapper], far: bool = False) -> list[dict[str, float]]:
    """Prescribed values of a few steps, each of another point of the batch.

    ``far``: of a single step that leads from the beginning to where the step would start.
    """
    count = len(next(iter(forces.values())).data) if forces else 2
    picks = sorted({int(round(x)) for x in np.linspace(1, count - 1, PICKS)}) if count > 1 else [0]
    found = []
    for j, k in enumerate(picks):
        point: dict[str, float] = {}
        for name, (base, lag) in step.forces.items():
            nodes = step.inputs[name].nodes
            at = k - lag if not far else 0 if lag else k - 1
            rows = forces[base].data[max(at, 0)].detach().double().reshape(-1, nodes.size)
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
