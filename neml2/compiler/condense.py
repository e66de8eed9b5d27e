"""The choice of an elimination: the cheapest of several that gives the right step at every sample point."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neml2.compiler.differentiate import jacobian
from neml2.compiler.eliminate import Elimination, eliminate
from neml2.compiler.graph import Node, ancestors
from neml2.compiler.lower import Region
from neml2.compiler.sample import values_at

BOTTLENECKS = ((3, 2), (2, 2), (4, 4))  # see eliminate: wide, used
LARGE = (1e-4, 1e-3, 1e-2, 1e-1)  # smallest size of a pivot within its row
RIGHT = 1e-5  # relative error of a step; Newton's method forgives far more
HUGE = 1e15  # sample points far outside of any use have larger entries
NOISE = 1e-11  # relative, some ten thousand units in the last place


def condense(region: Region, samples: list[dict[str, float]]) -> Elimination:
    """The elimination of a region's Newton system.

    Small pivots are allowed where numbers show that they do no harm; the strictest choice is taken when none
    of the others passes.
    """
    values = values_at(samples)
    right = _steps(region, values)
    found: list[Elimination] = []
    for large in LARGE:
        for wide, used in BOTTLENECKS:
            e = eliminate(region.unknowns, region.cuts, region.residual, values, wide, used, large)
            if large == LARGE[-1] or _error(e, region, right, samples, values) < RIGHT:
                found.append(e)
        if found and large != LARGE[-1]:
            break  # stricter pivots only add operations
    return min(found, key=lambda e: operations(e, region))


def operations(e: Elimination, region: Region) -> int:
    """Operations of an iteration: those of the graph with its residual, and those of the dense core."""
    core_rhs, step = e.solve([-r for r in region.residual])
    nodes = ancestors([*region.residual, *(n for row in e.core for n in row), *core_rhs, *step])
    return sum(1 for n in nodes if n.args) + len(e.core) ** 3


def _steps(region: Region, values: Callable[[Node], np.ndarray]) -> list[np.ndarray | None]:
    """The Newton step at every sample by a dense solve, ``None`` where there is none."""
    rows = jacobian(region.residual, region.unknowns)
    n = len(region.unknowns)
    residual = np.array([values(r) for r in region.residual])  # (n, samples)
    dense = np.zeros((residual.shape[1], n, n))
    for i, row in enumerate(rows):
        for c, d in row.items():
            dense[:, i, c] = values(d)
    return [_well_posed(a, -r) for a, r in zip(dense, residual.T, strict=True)]


def _well_posed(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """The solution, unless it is noise: round-off of the entries must hardly move it."""
    if not (np.abs(a).max() < HUGE and np.abs(b).max() < HUGE):  # false for NaN
        return None
    noise = 1 + NOISE * np.random.default_rng(0).uniform(-1, 1, a.shape)
    try:
        x, moved = np.linalg.solve(a, b), np.linalg.solve(a * noise, b)
    except np.linalg.LinAlgError:
        return None
    size = np.abs(x).max()
    return x if size < HUGE and np.abs(x - moved).max() <= RIGHT / 10 * size else None


def _error(
    e: Elimination,
    region: Region,
    right: list[np.ndarray | None],
    samples: list[dict[str, float]],
    values: Callable[[Node], np.ndarray],
) -> float:
    """The largest relative error of the condensed step over all samples."""
    m = len(e.core)
    core_rhs, step = e.solve([-r for r in region.residual])
    matrix = np.array([[values(d) for d in row] for row in e.core]).reshape(m, m, len(samples))
    rhs = np.array([values(d) for d in core_rhs]).reshape(m, len(samples))
    with_core = []
    for k, sample in enumerate(samples):
        try:
            core = _solved(matrix[:, :, k], rhs[:, k]) if m else np.zeros(0)
        except np.linalg.LinAlgError:
            core = np.full(m, np.nan)
        with_core.append(sample | {s.value: float(x) for s, x in zip(e.core_solution, core, strict=True)})
    at = values_at(with_core)
    steps = np.array([at(d) for d in step]).T  # (samples, n)
    worst = 0.0
    for made, wanted in zip(steps, right, strict=True):
        if wanted is not None:
            size = np.abs(wanted).max()
            error = np.abs(made - wanted).max() / size if size > 0 else np.abs(made).max()
            worst = max(worst, float(error)) if error == error else np.inf
    return worst


def _solved(matrix: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        scale = np.abs(matrix).max(axis=1)
        return np.linalg.solve(matrix / scale[:, None], rhs / scale)
