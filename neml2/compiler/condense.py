"""The choice of an elimination: the cheapest of several that gives the right step at every sample point.

They differ in the scalars that become unknowns of the linear system and in the smallest pivots that are
allowed. Whether a step is right is seen in numbers, at every sample point whose step is not noise.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from neml2.compiler.eliminate import Elimination, System, Values, eliminate, equilibrated, linear_system
from neml2.compiler.graph import ancestors, depending
from neml2.compiler.regions import Region
from neml2.compiler.sample import dense, solved, values_at

BOTTLENECKS = ((2, 2), (3, 2))  # see linear_system: wide, used
# smallest size of a pivot beside its row or column: as a rule, if it pays, and if a core is left without it
LARGE = (1e-3, 1e-6, 1e-9)
WORTH = 0.9  # what a choice with smaller pivots must cost of one with larger ones
FILLS = (0, 3)  # weights of new entries beside the operations of a pivot: see eliminate
STRICT = 0.1  # where none of the others gives the right step
RIGHT = 1e-5  # relative error of a step; Newton's method forgives far more
HUGE = 1e15  # sample points far outside of any use have larger entries
NOISE = 1e-11  # relative, some ten thousand units in the last place


def condense(region: Region, samples: list[dict[str, float]]) -> Elimination:
    """The elimination of a region's Newton system."""
    systems = [linear_system(region.unknowns, region.cuts, region.residual, *b) for b in BOTTLENECKS]
    right = _steps(systems[0], region, values_at(samples))
    posed = [(s, r) for s, r in zip(samples, right, strict=True) if r is not None]
    samples = [s for s, _ in posed] or samples
    wanted = np.array([r for _, r in posed])  # (samples, unknowns)
    values = values_at(samples)
    scaled = [(s, equilibrated(s.rows, values)) for s in systems]
    best: tuple[float, Elimination] | None = None
    for large in LARGE:
        if large == LARGE[-1] and best is not None and not best[1].core:
            break
        for (system, scales), fill in product(scaled, FILLS):
            e = eliminate(system, values, large, fill, scales)
            cost = operations(e, region) * (1 if large == LARGE[0] else 1 / WORTH)
            if (best is None or cost < best[0]) and _error(e, region, wanted, samples, values) < RIGHT:
                best = cost, e
    return eliminate(systems[0], values, STRICT) if best is None else best[1]


def operations(e: Elimination, region: Region) -> int:
    """Operations of an iteration: those that depend on the unknowns, and those of the dense core."""
    core_rhs, step = e.solve([-r for r in region.residual])
    symbols = [*region.unknowns, *e.core_solution]
    order = ancestors([*region.residual, *(n for row in e.core for n in row), *core_rhs, *step])
    return len(depending(order, symbols)) - len(symbols) + 2 * len(e.core) ** 3


def _steps(system: System, region: Region, values: Values) -> list[np.ndarray | None]:
    """The Newton step at every sample by a dense solve, ``None`` where there is none."""
    return [_well_posed(a, b) for a, b in zip(*dense(system, region.residual, values), strict=True)]


def _well_posed(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """The solution, unless it is noise: round-off of the entries must hardly move it."""
    if not (np.abs(a).max() < HUGE and np.abs(b).max() < HUGE):  # false for NaN
        return None
    noise = 1 + NOISE * np.random.default_rng(0).uniform(-1, 1, a.shape)
    x, moved = solved(a, b), solved(a * noise, b)
    size = np.abs(x).max()
    return x if size < HUGE and np.abs(x - moved).max() <= RIGHT / 10 * size else None


def _error(
    e: Elimination,
    region: Region,
    wanted: np.ndarray,
    samples: list[dict[str, float]],
    values: Values,
) -> float:
    """The largest relative error of the condensed step over all samples."""
    core_rhs, step = e.solve([-r for r in region.residual])
    m = len(e.core)
    if m:
        matrix = np.array([[values(d) for d in row] for row in e.core])  # (m, m, samples)
        rhs = np.array([values(d) for d in core_rhs])  # (m, samples)
        core = [solved(matrix[:, :, k], rhs[:, k]) for k in range(len(samples))]
        names = [s.value for s in e.core_solution]
        full = [s | dict(zip(names, x.tolist(), strict=True)) for s, x in zip(samples, core, strict=True)]
        values = values_at(full)
    if not len(wanted):
        return 0.0
    made = np.array([values(d) for d in step]).T  # (samples, n)
    size = np.abs(wanted).max(axis=1)
    error = np.abs(made - wanted).max(axis=1) / np.where(size > 0, size, 1)
    return float(error.max()) if np.isfinite(error).all() else np.inf
