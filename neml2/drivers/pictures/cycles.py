"""Cycles of a trajectory: which row belongs to which, their extremes, and the components of their loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from neml2.drivers.pictures.curves import curves
from neml2.drivers.trajectory import Trajectory
from neml2.types import SR2

# how well a name suits an axis, best first
_STRESS = ("stress", "cauchy_stress", "S")
_STRAIN = ("strain", "total_strain", "E", "mechanical_strain")


def loop(trajectory: Trajectory) -> tuple[str, str] | None:
    """The components of strain and stress that do the most work, ``("strain.xx", "stress.xx")``, if any."""
    strain, stress = _find(trajectory, _STRAIN, "strain"), _find(trajectory, _STRESS, "stress")
    if strain is None or stress is None:
        return None
    work = {
        c: spread(trajectory, f"{strain}.{c}") * spread(trajectory, f"{stress}.{c}") for c in SR2.COMPONENTS
    }
    best = max(work, key=lambda c: work[c])
    return (f"{strain}.{best}", f"{stress}.{best}") if work[best] > 0 else None


def spread(trajectory: Trajectory, name: str) -> float:
    """The largest minus the smallest finite number of a quantity, over all rows and points."""
    values = curves(trajectory, name).values
    finite = values[np.isfinite(values)]
    return float(np.ptp(finite)) if finite.size else 0.0


def cycle_numbers(trajectory: Trajectory, given: Any, *signals: np.ndarray) -> np.ndarray:
    """The cycle of every row of every line, integers ``(rows, lines)``.

    ``given`` holds them, ``(rows,)`` or ``(rows, lines)``; ``True`` takes those of the trajectory or, where
    it has none, counts the maxima of the first of the ``signals`` ``(rows, lines)`` that turns.

    Raises :class:`ValueError` for numbers of another shape.
    """
    lines = signals[0].shape[1]
    if given is True:
        given = getattr(trajectory, "cycle", None)
        if given is None:
            counts = [counted(s) for s in signals]
            return next((c for c in counts if c.max(initial=1) > 1), counts[0])
    numbers = np.asarray(given)
    if numbers.shape not in ((len(trajectory),), (len(trajectory), lines)):
        raise ValueError(
            f"cycles have shape {numbers.shape}; give the number of every row, ({len(trajectory)},), or True"
            " to count them"
        )
    return np.broadcast_to(numbers.reshape(len(trajectory), -1), (len(trajectory), lines)).astype(int)


def counted(signal: np.ndarray) -> np.ndarray:
    """Cycles from maximum to maximum, ``(rows, lines)``: 1 up to the second maximum, then 2, and so on."""
    step = np.diff(signal, axis=0)
    span = np.nanmax(signal, axis=0, initial=0.0) - np.nanmin(signal, axis=0, initial=0.0)
    way = np.where(np.abs(step) > 1e-9 * span, np.sign(step), 0.0)  # 0: a hold, or round-off
    way = np.nan_to_num(way)  # after the end of a line nothing turns
    rows = np.where(way != 0, np.arange(len(way))[:, None], 0)
    last = np.take_along_axis(way, np.maximum.accumulate(rows, axis=0), axis=0)  # holds go on as before
    down = (last[1:] < 0) & (last[:-1] > 0)  # row k + 1 is a maximum
    peaks = np.zeros(signal.shape, dtype=int)
    peaks[2:] = np.cumsum(down, axis=0)  # a maximum itself belongs to the cycle that it ends
    return np.maximum(peaks, 1)


def extremes(values: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cycles ``(cycles,)``, and of each the largest and the smallest value ``(cycles, lines)``.

    A cycle begins where the one before ends, so the row between them belongs to both.
    """
    found = np.unique(numbers)
    high, low = (np.full((len(found), values.shape[1]), np.nan) for _ in range(2))
    for i, number in enumerate(found):
        for k in range(values.shape[1]):
            rows = rows_of(numbers[:, k], number)
            own = values[rows, k]
            own = own[np.isfinite(own)]
            if len(own) > 1:
                high[i, k], low[i, k] = own.max(), own.min()
    return found, high, low


def rows_of(numbers: np.ndarray, number: int) -> np.ndarray:
    """The rows of a cycle, and the one before them, where it begins."""
    rows = np.flatnonzero(numbers == number)
    return np.concatenate([rows[:1] - 1, rows]) if len(rows) and rows[0] > 0 else rows


def _find(trajectory: Trajectory, names: tuple[str, ...], unit: str) -> str | None:
    tensors = [n for n in trajectory.names if isinstance(trajectory[n], SR2)]
    declared = trajectory.origin.declared
    of_unit = [
        n
        for n in tensors
        if n in declared and declared[n].unit == unit and "plastic" not in n and "elastic" not in n
    ]
    return next(iter([*(n for n in names if n in tensors), *of_unit]), None)
