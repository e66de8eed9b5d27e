"""What a nonlinear solve returns: a value, and how it went at every point."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch


class Status(IntEnum):
    """How a point's solve ended. The values are stored in result files, so they never change."""

    CONVERGED = 0
    MAX_ITERATIONS = 1
    NOT_FINITE = 2
    SINGULAR = 3
    FROZEN = 4
    NOT_SOLVED = 5
    ENDED = 6

    @property
    def meaning(self) -> str:
        """The status in words."""
        return _MEANINGS[self]


_MEANINGS = {
    Status.CONVERGED: "converged",
    Status.MAX_ITERATIONS: "the residual was still too large after the last iteration",
    Status.NOT_FINITE: "the residual became NaN or infinite",
    Status.SINGULAR: "the Jacobian became singular",
    Status.FROZEN: "an earlier step failed; the last converged state is kept",
    Status.NOT_SOLVED: "nothing was solved here (the initial state)",
    Status.ENDED: "the history of the point has ended; its last values are kept",
}


@dataclass(frozen=True)
class Solution:
    """The answer of a nonlinear solve, point by point.

    value
        The unknowns, one tensor per group, ``(*batch, n)`` or ``(*batch, *sub_batch, n)``.
    status, iterations
        :class:`Status` and number of Newton steps of every point, integers ``(*batch)``.
    residual, initial_residual
        Norm of the residual at the end and at the guess, ``(*batch)``.
    worst
        Index of the residual variable with the largest entry at the end, ``(*batch)``; ``names`` says which.
    """

    value: list[torch.Tensor]
    status: torch.Tensor
    iterations: torch.Tensor
    residual: torch.Tensor
    initial_residual: torch.Tensor
    worst: torch.Tensor
    names: tuple[str, ...] = ()

    @property
    def converged(self) -> torch.Tensor:
        """Which points converged, boolean ``(*batch)``."""
        return self.status == Status.CONVERGED

    @property
    def succeeded(self) -> bool:
        """Whether every point converged."""
        return bool(self.converged.all())

    def describe(self) -> str:
        """One line about the points that failed: how many, the worst residual, its variable, why."""
        failed = ~self.converged
        count, total = int(failed.sum()), failed.numel()
        if count == 0:
            return f"Newton converged for all {total} points"
        score = torch.where(failed, self.residual, -1.0).flatten()
        score = torch.where(score.isnan(), torch.inf, score)
        i = int(score.argmax())
        why = Status(int(self.status.flatten()[i]))
        variable = self.names[int(self.worst.flatten()[i])] if self.names else "?"
        points = f"{count} of {total} points" if total > 1 else "the point"
        return (
            f"Newton did not converge for {points} (worst residual {float(self.residual.flatten()[i]):.1e},"
            f" in {variable}, after {int(self.iterations.flatten()[i])} iterations: {why.meaning})"
        )
