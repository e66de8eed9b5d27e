"""Errors that users may want to catch by name."""

from __future__ import annotations

from typing import Any


class MissingVariable(KeyError, ValueError):
    """A value that was asked for by name is not there; the message says which names there are."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ConvergenceError(RuntimeError):
    """A nonlinear solve failed for at least one point; ``solution`` holds the status of every point.

    Raised by a driver it carries more: ``trajectory``, the steps that were completed, ``step``, the number of
    the failed one, ``status``, how that ended at every point, and ``replay``, a
    :class:`~neml2.drivers.Replay` of the points that failed.
    """

    trajectory: Any = None
    step: int | None = None
    status: Any = None
    replay: Any = None

    def __init__(self, message: str, solution: Any = None) -> None:
        super().__init__(message)
        self.solution = solution

    @property
    def converged_mask(self) -> Any:
        """Which points converged, boolean ``(*batch)``; ``None`` where nothing was solved."""
        return None if self.solution is None else self.solution.converged

    @property
    def unknowns(self) -> Any:
        """The unknowns where the solve stopped, one tensor per group."""
        return None if self.solution is None else self.solution.value
