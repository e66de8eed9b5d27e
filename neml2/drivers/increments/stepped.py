"""Runs whose increments are chosen by every point itself, and that events may end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from neml2.drivers.engines.run import COUNTS, Run
from neml2.drivers.increments.stepping import Block, Stepping
from neml2.drivers.trajectory import Trajectory
from neml2.errors import ConvergenceError
from neml2.types import Scalar

if TYPE_CHECKING:
    from neml2.drivers.increments.stepping import Failure


class SteppedMarch:
    """A :class:`~neml2.drivers.increments.stepping.Stepping` as the run loop wants it.

    Its blocks have three more results, :data:`~neml2.drivers.engines.run.COUNTS`.
    """

    def __init__(self, run: Run, stepping: Stepping) -> None:
        self.run, self.stepping = run, stepping

    @property
    def row(self) -> int:
        """The last row that is done."""
        return self.stepping.row

    @property
    def finished(self) -> bool:
        """Whether every point has stopped before the last row."""
        return self.stepping.finished

    @property
    def events(self) -> list[str]:
        """The names of the events that may happen."""
        return list(dict.fromkeys(e.name for e in self.stepping.watch.events))

    def advance(self, last: int) -> Trajectory:
        """See :class:`~neml2.drivers.engines.run.March`."""
        first, blocks = self.row + 1, []
        known = len(self.stepping.failures)
        try:
            while self.row + 1 < last and not self.finished:
                blocks.append(self.stepping.advance(self.row + 2))
                new = self.stepping.failures[known:]
                if new and "freeze" not in self.run.ways:
                    blocks.pop()
                    raise self._error(new[0])
                known += len(new)
                self.run.tick()
        except (ConvergenceError, KeyboardInterrupt, SystemExit) as stop:
            stop.trajectory = self._trajectory(first, blocks)  # type: ignore[union-attr]
            raise
        return self._trajectory(first, blocks)

    def _error(self, failure: Failure) -> ConvergenceError:
        run, count = self.run, len(failure.points)
        total, steps = run.loading.batch.numel(), len(run.loading) - 1
        who = f"{count} of {total} points" if total > 1 else "the point"
        if self.stepping.increments.smallest < 1:
            remedy = "on_failure='freeze', or increments with a smaller smallest= or a larger most="
        else:
            remedy = "increments=Increments(), which cuts where a step fails, or on_failure='freeze'"
        error = ConvergenceError(f"step {failure.row} of {steps}: {failure.why} at {who}; try {remedy}")
        error.step, error.status = failure.row, failure.result.status
        return error

    def _trajectory(self, first: int, blocks: list[Block]) -> Trajectory:
        from neml2.drivers.trajectory import concatenate

        if not blocks:
            blocks = [self.stepping.advance(self.row + 1)]
        parts = [self._part(first + i, b) for i, b in enumerate(blocks)]
        return parts[0] if len(parts) == 1 else concatenate(parts)

    def _part(self, first: int, block: Block) -> Trajectory:
        counts = (block.pieces, block.rejected, block.error)
        like = self.run.loading.time
        outputs = {**block.outputs, **{n: Scalar(c.to(like)) for n, c in zip(COUNTS, counts, strict=True)}}
        found = self.run.block(first, outputs, block.status, block.iterations)
        forces = {n: block.forces[n] for n in found.forces if n in block.forces}
        return replace(found, time=block.time, forces={**found.forces, **forces}, events=block.found)

    def checkpoint(self) -> dict[str, torch.Tensor]:
        """See :class:`~neml2.drivers.engines.run.March`."""
        return self.stepping.checkpoint()

    def restore(self, row: int, found: Mapping[str, torch.Tensor]) -> None:
        """See :class:`~neml2.drivers.engines.run.March`."""
        self.stepping.restore(row, found)
