"""How much a run may hold, and risk: rows of a block, and points that the eager engine advances together."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from neml2.drivers.histories.binding import Loading
from neml2.implicit import ImplicitUpdate
from neml2.step import StateUpdate

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_BLOCK = 2**26  # bytes of results that are held where they need not all be
_FIRST = 2  # rows of the first block: the initial state, and a step to see how long it takes
_GROWTH = 4  # of a block over the one before: its rows may take longer
_SECONDS = 5.0  # of work that are lost with a process that is killed


@dataclass(frozen=True)
class Budget:
    """What a run may hold.

    ``rows`` of a block (``None``: all at once), and points ``at_once`` in the eager engine (``None``: all).
    """

    rows: int | None
    at_once: int | None


class Pace:
    """How many rows the next block gets: as many as take some seconds, and no more than ``most``.

    What is not in a complete block is lost with a process that is killed, however small its results are.
    Without ``most`` the block is the whole run. Results do not depend on where blocks end.
    """

    def __init__(self, most: int | None, seconds: float = _SECONDS) -> None:
        self.most, self.seconds = most, seconds
        self.rows: int | None = None if most is None else min(_FIRST, most)

    def last(self, first: int, steps: int) -> int:
        """The row after a block that starts at ``first``, in a run of ``steps`` rows."""
        return steps if self.rows is None else min(first + self.rows, steps)

    def took(self, rows: int, seconds: float) -> None:
        """A block of so many rows took so long."""
        if self.most is not None:
            wanted = self.seconds * rows / max(seconds, 1e-9)
            self.rows = max(int(min(wanted, _GROWTH * rows, self.most)), 1)


def budget(update: StateUpdate, loading: Loading, limit: int | None, whole: bool) -> Budget:
    """The budget of a run under ``limit`` bytes; ``whole``: all results are kept in memory.

    Raises :class:`ValueError` when that is impossible.
    """
    size = result_size(update, loading)
    row = max(size // len(loading), 1)
    if limit is None:
        return Budget(None if whole else max(_BLOCK // row, 1), None)
    if whole and size > limit:
        raise ValueError(
            f"the results take about {size / 1e9:.3g} GB, more than max_memory = {limit / 1e9:.3g} GB; write"
            " them to a file with output='run.h5', or keep less with save=..."
        )
    rows = None if whole else max(min(limit // 4, 4 * _BLOCK) // row, 1)
    return Budget(rows, max(limit // 4 // _eager_bytes(update), 1))


def result_size(update: StateUpdate, loading: Loading) -> int:
    """About how many bytes the results take."""
    kinds = [*update.outputs.values(), *update.forces.values()]
    sites = [v.sub_batch_shape.numel() for v in (*loading.zeros.values(), *loading.initial.values())]
    components = sum(math.prod(k.BASE_SHAPE) for k in kinds) * max(sites, default=1)
    return len(loading) * loading.batch.numel() * components * loading.time.element_size()


def _eager_bytes(update: StateUpdate) -> int:
    """About what the eager engine needs for a point, besides its results: mostly Jacobians."""
    unknowns = 1
    for module in update.model.modules():
        if isinstance(module, ImplicitUpdate):
            kinds = [module.output_spec[n] for n in module.output_spec]
            unknowns = max(unknowns, sum(math.prod(k.BASE_SHAPE) for k in kinds))
    return 8 * (12 * unknowns**2 + 100 * unknowns)


def as_bytes(given: int | float | str | None) -> int | None:
    """A number of bytes from a number or a text such as ``"8 GB"`` or ``"500 MiB"``."""
    if given is None:
        return None
    if isinstance(given, str):
        found = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]*)\s*", given)
        try:
            number, unit = (float(found[1]), _UNITS[found[2].lower()]) if found else (0.0, 1)
        except (KeyError, ValueError):
            number, unit = 0.0, 1
        given = number * unit
    if not given > 0 or not math.isfinite(given):
        raise ValueError("max_memory is no size of memory; give a number of bytes, or a text such as '8 GB'")
    return int(given)
