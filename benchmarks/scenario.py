"""The scenarios: every folder of ``benchmarks/scenarios`` with a ``model.i``, at any batch size."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from pathlib import Path

import neml2
from neml2.drivers import History

HERE = Path(__file__).parent / "scenarios"


@dataclass(frozen=True)
class Case:
    """A scenario's model and load history at some batch size."""

    name: str
    points: int
    steps: int
    model: neml2.Model
    history: History

    @property
    def gigabytes(self) -> float:
        """About how large the results of all steps are."""
        components = sum(math.prod(kind.BASE_SHAPE) for kind in self.model.output_spec.values())
        return (self.steps + 1) * self.points * components * 8 / 1e9


def names() -> list[str]:
    """The scenarios there are."""
    return sorted(path.parent.name for path in HERE.glob("*/model.i"))


def chosen(asked: list[str] | None) -> list[str]:
    """The scenarios asked for, all by default. Raises :class:`ValueError` for names that do not exist."""
    known = names()
    for name in asked or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.3)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"no scenario '{name}'; {hint}")
    return asked or known


def path(name: str) -> Path:
    """The input file of a scenario, read by us and by the peer alike."""
    return HERE / name / "model.i"


def load(name: str, points: int, steps: int, *more: str) -> Case:
    """The scenario as our reader gives it, at some size; ``more`` is further input after its text."""
    size = [f"points:={points}", f"steps:={steps}"]
    file = neml2.load_input(path(name), additional_args=[*size, *more])
    driver = file.get_driver("driver")
    return Case(name, points, steps, driver.driver.model, driver.history)


def warm_up(name: str, points: int) -> Case:
    """Two small steps, which every Newton's method takes."""
    return load(name, points, 2, "amplitude:=1e-5")
