"""Errors that users may want to catch by name."""

from __future__ import annotations


class MissingVariable(KeyError, ValueError):
    """A value that was asked for by name is not there; the message says which names there are."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ConvergenceError(RuntimeError):
    """A nonlinear solve failed for at least one point; ``solution`` holds the status of every point."""

    def __init__(self, message: str, solution: object = None) -> None:
        super().__init__(message)
        self.solution = solution
