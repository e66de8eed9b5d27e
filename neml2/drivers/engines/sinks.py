"""Where the rows of a run go, block by block: into memory, or into a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
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
    """Writes what is to be saved to an HDF5 file that grows with the run.

    A block is written while the next one is computed: a kernel and the system's own copying both leave
    Python's lock to others. There is one block on its way at a time, so the order of the file is that of the
    run. What goes wrong with it is raised by what is called next.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._hand = ThreadPoolExecutor(1, "neml2-writer")
        self._written: Future[None] | None = None

    def take(self, block: Trajectory, first: int, checkpoint: Checkpoint) -> None:
        """See :class:`Sink`; the block must stay as it is."""
        self._settle()
        state = {n: t.detach().clone() for n, t in checkpoint().items()}  # the march goes on
        if block.status.device.type != "cpu":  # whose results may be on their way in a stream of this thread
            self._write(block, first, state)
        else:
            self._written = self._hand.submit(self._write, block, first, state)

    @torch.no_grad()
    def _write(self, block: Trajectory, first: int, state: Mapping[str, torch.Tensor]) -> None:
        writer, done = self.writer, first + len(block)
        for event in block.events:
            point = int(torch.arange(writer.batch.numel()).reshape(writer.batch)[event.point])
            writer.events(point, event.row, event.time, writer.event_names.index(event.name))
        writer.append(writer.save.select(block, first, writer.steps), first, state, done)

    def _settle(self) -> None:
        """Wait for the block that is on its way."""
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def finish(self) -> Trajectory:
        """See :class:`Sink`."""
        self._settle()
        self._hand.shutdown()
        self.writer.finish()
        return Trajectory.from_hdf5(self.writer.path, lazy=True)

    def leave(self, reason: str) -> Trajectory | None:
        """See :class:`Sink`."""
        try:
            self._settle()
        finally:
            self._hand.shutdown()
            self.writer.leave(_REASONS.get(reason, reason))
        begun = self.writer.rows is not None
        return Trajectory.from_hdf5(self.writer.partial, lazy=True) if begun else None
