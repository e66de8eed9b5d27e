"""A trajectory on one screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from neml2.drivers.results.layout import to_disk
from neml2.types import TensorWrapper

if TYPE_CHECKING:
    from neml2.drivers.trajectory import Trajectory

_MOST_VARIABLES = 30
_MOST_FAILURES = 5


def summary(trajectory: Trajectory) -> str:
    """Steps, batch, failures, iterations, and the range of every variable (of its physical components)."""
    columns = zip(*variables(trajectory), strict=True)
    words = [_aligned(c, left=c[0] in ("", "unit")) for c in columns]
    lines = ["  ".join(row).rstrip() for row in zip(*words, strict=True)]
    more = len(trajectory.names) - _MOST_VARIABLES
    return "\n".join([*sentences(trajectory), "", *lines, *([f"... and {more} more"] if more > 0 else [])])


def sentences(trajectory: Trajectory) -> list[str]:
    """Steps, batch and span of time; iterations; which points failed, at which step, and why."""
    time, points = trajectory.time.detach(), trajectory.batch.numel()
    batch = f", batch {tuple(trajectory.batch)} ({points} points)" if trajectory.batch else ", one point"
    span = f"{trajectory.time_name} from {time.min():g} to {time.max():g}"
    return [
        f"{len(trajectory)} steps{batch}, {span}",
        _iterations(trajectory),
        *_failures(trajectory),
    ]


def variables(trajectory: Trajectory) -> list[tuple[str, ...]]:
    """A row for every variable, at most 30, below a row of headings; columns without a word are left out."""
    heads = ("", "", "min", "max", "at the end", "unit")
    rows = [_row(trajectory, n) for n in trajectory.names[:_MOST_VARIABLES]]
    columns = list(zip(heads, *rows, strict=True))
    filled = [c for c in columns if any(c[1:])]  # tensors and batches have no single value at the end
    return list(zip(*filled, strict=True))


def _iterations(trajectory: Trajectory) -> str:
    n = trajectory.iterations[1:]
    if n.numel() == 0 or int(n.max()) == 0:
        return "no iterations: nothing had to be solved"
    return f"Newton iterations per step: {float(n.double().mean()):.1f} on average, {int(n.max())} at most"


def _failures(trajectory: Trajectory) -> list[str]:
    failures = trajectory.failures
    if not failures:
        return ["every point converged at every step"]
    lines = [f"{len(failures)} of {trajectory.batch.numel()} points failed and were frozen:"]
    for point, step, status in failures[:_MOST_FAILURES]:
        where = f"point {point[0] if len(point) == 1 else point}, " if point else ""
        lines.append(f"  {where}step {step}: {status.meaning}")
    if len(failures) > _MOST_FAILURES:
        lines.append(f"  ... and {len(failures) - _MOST_FAILURES} more")
    return lines


def _row(trajectory: Trajectory, name: str) -> tuple[str, ...]:
    value = trajectory.outputs.get(name, trajectory.forces.get(name))
    assert value is not None
    data = to_disk(value)
    role = " (prescribed)" if name in trajectory.forces and name not in trajectory.outputs else ""
    unit = trajectory.origin.declared[name].unit if name in trajectory.origin.declared else ""
    return (
        name + role,
        _kind(value),
        _extreme(data, torch.amin),
        _extreme(data, torch.amax),
        _last(data),
        unit,
    )


def _aligned(column: tuple[str, ...], left: bool) -> list[str]:
    width = max(map(len, column))
    return [word.ljust(width) if left else word.rjust(width) for word in column]


def _kind(value: TensorWrapper) -> str:
    sub = f" x {tuple(value.sub_batch_shape)}" if value.sub_batch_ndim else ""
    return type(value).__name__ + sub


def _extreme(data: torch.Tensor, of: Callable[[torch.Tensor], torch.Tensor]) -> str:
    found = of(data) if data.numel() else data.new_tensor(torch.nan)
    if not found.isfinite():  # choosing what is finite takes fifty times longer
        finite = data[data.isfinite()]
        found = of(finite) if finite.numel() else found.new_tensor(torch.nan)
    return f"{found:.4g}"


def _last(data: torch.Tensor) -> str:
    end = data[-1].flatten()
    return f"{end[0]:.4g}" if end.numel() == 1 else ""
