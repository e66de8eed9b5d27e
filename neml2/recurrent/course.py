"""The course of a fit: every evaluation with its loss, and what is told of it on the way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from neml2.recurrent.transforms import Space
from neml2.registry import listing


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the loss.

    ``values`` are the parameters by name, ``coordinates`` those of the fit, ``(p,)``; ``failure`` says why
    the model could not be evaluated, and the loss is infinite then.
    """

    number: int
    start: int
    loss: float
    values: dict[str, float]
    coordinates: np.ndarray
    failure: str = ""

    def __str__(self) -> str:
        values = ", ".join(f"{n} = {x:.5g}" for n, x in self.values.items())
        return f"evaluation {self.number}: {self.failure or f'loss {self.loss:.6g}'}; {values}"


Progress = Callable[[Evaluation], object] | bool | None


class Course:
    """What a fit has tried, in order."""

    def __init__(self, space: Space, progress: Progress) -> None:
        self.space, self.evaluations = space, list[Evaluation]()
        self.show = _line if progress is True else progress or None
        self.start = 0

    def begin(self, start: int) -> None:
        """What comes belongs to another start."""
        self.start = start

    def took(self, u: np.ndarray, loss: float) -> None:
        """Note a loss."""
        self._note(u, loss)

    def failed(self, u: np.ndarray, reason: str) -> None:
        """Note that there is no loss, and why."""
        self._note(u, np.inf, reason)

    def best(self, start: int | None = None) -> tuple[np.ndarray, float]:
        """The coordinates of the smallest loss, of this start or of that one, and the loss."""
        own = [e for e in self.evaluations if e.start == (self.start if start is None else start)]
        found = min(own, key=lambda e: e.loss)
        return found.coordinates, found.loss

    def _note(self, u: np.ndarray, loss: float, failure: str = "") -> None:
        number, values = len(self.evaluations), self.space.named(u)
        evaluation = Evaluation(number, self.start, loss, values, np.array(u), failure)
        self.evaluations.append(evaluation)
        if self.show is not None:
            self.show(evaluation)


def _line(evaluation: Evaluation) -> None:
    sys.stderr.write(f"{evaluation}\n")


def told(evaluations: Sequence[Evaluation], start: int) -> list[str]:
    """Sentences about the evaluations that failed, if some did; ``start`` is that of the fit."""
    failures = [e for e in evaluations if e.failure]
    if not failures:
        return []
    reasons = listing(dict.fromkeys(e.failure for e in failures), 3)
    found = [f"{len(failures)} of {len(evaluations)} evaluations failed and were not taken: {reasons}"]
    if sum(bool(e.failure) for e in [e for e in evaluations if e.start == start][-4:]) > 1:
        found.append(
            "the fit ends beside parameters with which the model cannot be evaluated, not at a minimum; use"
            " smaller increments, or a TransientDriver(model, on_failure='substep')"
        )
    return found
