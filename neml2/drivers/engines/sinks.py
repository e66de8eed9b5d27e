"""Where the rows of a run go, block by block: into memory, or into a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch

from neml2.drivers.files.writer import Writer
from neml2.drivers.results.saving import Save
from neml2.drivers.trajectory import Trajectory, concatenate

_REASONS = {"KeyboardInterrupt": "interrupted", "143": "terminated"}  # of exceptions that say no more

Checkpoint = Callable[[], Mapping[str, torch.Tensor]]


class Sink(Protocol):
    """Takes blocks of rows in order."""

    def take(self, block: Trajectory, first: int, checkpoint: Checkpoint) -> None:
        """The rows from ``first`` on, and what the row after them depends on."""

    def finish(self) -> Trajectory:
        """The run is complete."""

    def leave(self, reason: str) -> Trajectory | None:
        """The run ends before its time; what was taken is kept, and returned."""


class Memory:
    """Keeps what is to be saved of every block, and puts the blocks together at the end."""

    def __init__(self, save: Save | None, steps: int) -> None:
        self.save, self.steps = save, steps
        self.blocks: list[Trajectory] = []

    def take(self, block: Trajectory, first: int, checkpoint: Checkpoint) -> None:
        """See :class:`Sink`."""
        del checkpoint
        if self.save is not None:
            block = self.save.select(block, first, self.steps)
        if len(block) or not self.blocks:
            self.blocks.append(block)

    def finish(self) -> Trajectory:
        """See :class:`Sink`."""
        blocks = [b for b in self.blocks if len(b)] or self.blocks
        return blocks[0] if len(blocks) == 1 else concatenate(blocks)

    def leave(self, reason: str) -> Trajectory | None:
        """See :class:`Sink`."""
        del reason
        return self.finish() if self.blocks else None


class File:
    """Writes what is to be saved to an HDF5 file that grows with the run."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def take(self, block: Trajectory, first: int, checkpoint: Checkpoint) -> None:
        """See :class:`Sink`."""
        writer, done = self.writer, first + len(block)
        for event in block.events:
            point = int(torch.arange(writer.batch.numel()).reshape(writer.batch)[event.point])
            writer.events(point, event.row, event.time, writer.event_names.index(event.name))
        writer.append(writer.save.select(block, first, writer.steps), first, checkpoint(), done)

    def finish(self) -> Trajectory:
        """See :class:`Sink`."""
        self.writer.finish()
        return Trajectory.from_hdf5(self.writer.path, lazy=True)

    def leave(self, reason: str) -> Trajectory | None:
        """See :class:`Sink`."""
        self.writer.leave(_REASONS.get(reason, reason))
        begun = self.writer.rows is not None
        return Trajectory.from_hdf5(self.writer.partial, lazy=True) if begun else None
