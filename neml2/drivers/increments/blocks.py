"""`Block`: what the rows of a march have given, and how it is put together row by row."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from neml2.drivers.histories.binding import Loading
from neml2.drivers.increments.events import Found
from neml2.drivers.increments.flat import widened
from neml2.types import TensorWrapper

Values = dict[str, TensorWrapper]


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of a march.

    time, outputs, forces
        As in a :class:`~neml2.drivers.Trajectory`: ``(rows, *batch, ...)``, or without the batch where the
        history has none.
    status, iterations
        ``(rows, *batch)``; the iterations of all increments, rejected ones included.
    pieces, rejected
        How many increments were taken and rejected, ``(rows, *batch)``.
    error
        The sum of the estimated local errors of a row interval, ``(rows, *batch)``; see
        :class:`~neml2.drivers.Increments`.
    found
        The events that have happened in these rows.
    """

    time: torch.Tensor
    outputs: Values
    forces: Values
    status: torch.Tensor
    iterations: torch.Tensor
    pieces: torch.Tensor
    rejected: torch.Tensor
    error: torch.Tensor
    found: tuple[Found, ...] = ()


@dataclass
class Rows:
    """Rows as they are made, ``(points, ...)`` each; ``first`` is the number of the first one.

    ``marks`` are status, iterations, pieces, rejected pieces and errors. Where points have their own clocks
    or end early, ``own`` says so and every row has its ``time`` and ``forces``.
    """

    first: int
    own: bool
    time: list[torch.Tensor] = field(default_factory=list)
    outputs: list[Values] = field(default_factory=list)
    forces: list[Values] = field(default_factory=list)
    marks: list[tuple[torch.Tensor, ...]] = field(default_factory=list)

    def add(
        self, outputs: Values, time: torch.Tensor, forces: Values, marks: tuple[torch.Tensor, ...]
    ) -> None:
        """One more row."""
        self.outputs.append(outputs)
        self.marks.append(marks)
        if self.own:
            self.time.append(time)
            self.forces.append(forces)

    def block(self, loading: Loading, outputs: Values, forces: Values, found: tuple[Found, ...]) -> Block:
        """All of them; ``outputs`` and ``forces`` are like those of the last row."""
        rows = slice(self.first, self.first + len(self.marks))
        batch, device = loading.batch, loading.time.device
        shape = (len(self.marks), *batch)
        marks = [torch.stack(m).reshape(shape) for m in zip(*self.marks, strict=True)]
        if not marks:
            kinds = (torch.int8, torch.int32, torch.int32, torch.int32, torch.float64)
            marks = [torch.zeros(shape, dtype=kind, device=device) for kind in kinds]
        status, iterations, pieces, rejected, error = marks
        time = loading.time[rows]
        given = {n: type(v)._new(v.data[rows], v.sub_batch_ndim) for n, v in loading.forces.items()}
        if self.own:
            time = torch.stack(self.time).reshape(shape) if self.time else time.new_zeros(shape)
            given = {n: _stacked([r[n] for r in self.forces], forces[n], batch) for n in given}
        made = {n: _stacked([r[n] for r in self.outputs], v, batch) for n, v in outputs.items()}
        return Block(time, made, given, status, iterations, pieces, rejected, error, found)


def _stacked(parts: list[TensorWrapper], like: TensorWrapper, batch: torch.Size) -> TensorWrapper:
    """Rows ``(points, ...)`` like ``like`` as ``(rows, *batch, ...)``."""
    shape = (len(parts), *batch, *like.data.shape[1:])
    whole = [widened(v, like).data for v in parts]
    data = torch.stack(whole).reshape(shape) if whole else like.data.new_zeros(shape)
    return type(like)._new(data, like.sub_batch_ndim)
