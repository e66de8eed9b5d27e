"""A trajectory on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from neml2.drivers.layout import to_disk
from neml2.types import TensorWrapper

if TYPE_CHECKING:
    from neml2.drivers.trajectory import Trajectory

_MOST_VARIABLES = 30
_MOST_FAILURES = 5


def summary(trajectory: Trajectory) -> str:
    """Steps, batch, failures, iterations, and the range of every variable (of its physical components)."""
    time, points = trajectory.time.detach(), trajectory.batch.numel()
    batch = f", batch {tuple(trajectory.batch)} ({points} points)" if trajectory.batch else ", one point"
    lines = [f"{len(trajectory)} steps{batch}, {trajectory.time_name} from {time.min():g} to {time.max():g}"]
    lines += [_iterations(trajectory), *_failures(trajectory), ""]
    names = trajectory.names
    shown = names[:_MOST_VARIABLES]
    rows: list[tuple[str, ...]] = [("", "", "min", "max", "at the end", "")]
    rows += [_row(trajectory, n) for n in shown]
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        words = [
            c.ljust(w) if i in (0, 1, 5) else c.rjust(w)
            for i, (c, w) in enumerate(zip(r, widths, strict=True))
        ]
        lines.append("  ".join(words).rstrip())
    if len(names) > len(shown):
        lines.append(f"... and {len(names) - len(shown)} more")
    return "\n".join(lines)


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


def _kind(value: TensorWrapper) -> str:
    sub = f" x {tuple(value.sub_batch_shape)}" if value.sub_batch_ndim else ""
    return type(value).__name__ + sub


def _extreme(data: torch.Tensor, of: object) -> str:
    finite = data[data.isfinite()]
    return f"{of(finite):.4g}" if finite.numel() else "nan"  # type: ignore[operator]


def _last(data: torch.Tensor) -> str:
    end = data[-1].flatten()
    return f"{end[0]:.4g}" if end.numel() == 1 else ""
