"""Where the rows of a run go, block by block: into memory, or into a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import torch

from neml2.drivers.trajectory import Trajectory

if TYPE_CHECKING:
    from neml2.drivers.saving import Save

Checkpoint = Callable[[], Mapping[str, torch.Tensor]]


class Sink(Protocol):
    """Takes blocks of rows in order."""

    def take(self, block: Trajectory, first: int, checkpoint: Checkpoint) -> None:
        """The rows from ``first`` on, and what the row after them depends on."""

    def finish(self) -> Trajectory:
        """The run is complete."""

    def leave(self, reason: str) -> Trajectory:
        """The run ends before its time; what was taken is kept."""


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
        if len(self.blocks) == 1:
            return self.blocks[0]
        from neml2.drivers.trajectory import concatenate

        return concatenate(self.blocks)

    def leave(self, reason: str) -> Trajectory:
        """See :class:`Sink`."""
        del reason
        return self.finish()
