"""One case, all engines: run in turns, medians, and whether their stresses agree."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch

AGREE = 1e-5  # of the stress of a point; the peer's tolerance alone moves its results by up to 2.4e-6
MOST = 25  # turns
TURN = 0.2  # seconds; the first run of a turn meets caches that the other engines have filled


class Engine(Protocol):
    """A case that has been built and warmed up; ``build_s`` says how long that took."""

    @property
    def build_s(self) -> float: ...
    @property
    def iterations(self) -> float | None: ...
    def run(self) -> float: ...
    def stress(self) -> torch.Tensor: ...
    def close(self) -> None: ...


@dataclass
class Result:
    """What came of an engine: the median of the times of all its runs, or the reason why there is none."""

    build_s: float | None = None
    run_s: float | None = None
    repetitions: int = 0
    iterations: float | None = None
    off: float | None = None
    note: str = ""


@dataclass
class Forecast:
    """How long a run will take, by a straight line through the two largest batches so far."""

    seen: dict[object, list[tuple[int, float]]] = field(default_factory=dict)

    def add(self, key: object, points: int, seconds: float) -> None:
        self.seen.setdefault(key, []).append((points, seconds))

    def of(self, key: object, points: int) -> float:
        """Seconds; 0 where nothing is known."""
        known = sorted(self.seen.get(key, []))[-2:]
        if not known:
            return 0.0
        n, t = known[-1]
        if len(known) == 1:
            return t
        m, s = known[0]
        return t + max(0.0, t - s) / (n - m) * (points - n)


def race(makers: Mapping[str, Callable[[], Engine]], seconds: float) -> dict[str, Result]:
    """Build every engine, run them in turns for about ``seconds`` each, and compare their final stresses."""
    results = {name: Result() for name in makers}
    ready: dict[str, Engine] = {}
    times: dict[str, list[float]] = {}
    lasted: dict[str, list[float]] = {}  # turns
    for name, make in makers.items():
        try:
            ready[name] = make()
            results[name].build_s = ready[name].build_s
            times[name], lasted[name] = [], []
        except Exception as error:  # an engine that refuses a case is a row with the reason
            results[name].note = reason(error)
    running = list(ready)
    while running:
        for name in list(running):
            try:
                turn = _turn(ready[name])
            except Exception as error:
                results[name].note = reason(error)
                times[name].clear()
                running.remove(name)
                continue
            times[name] += turn
            lasted[name].append(sum(turn))
            if len(lasted[name]) >= MOST or sum(lasted[name]) + lasted[name][-1] > seconds:
                running.remove(name)
    stresses: dict[str, torch.Tensor] = {}
    for name, engine in ready.items():
        if times[name]:
            result = results[name]
            result.run_s, result.repetitions = statistics.median(times[name]), len(times[name])
            result.iterations = engine.iterations
            stresses[name] = engine.stress()
        engine.close()
    _compare(stresses, results)
    return results


def _turn(engine: Engine) -> list[float]:
    """The times of runs in a row, as many as last ``TURN``, and at least one."""
    times = [engine.run()]
    total = times[0]
    while total < TURN:
        times.append(engine.run())
        total += times[-1]
    return times


def deviation(stress: torch.Tensor, reference: torch.Tensor) -> float:
    """The largest difference of a point's stress, relative to that stress; infinite when not finite."""
    relative = (stress - reference).norm(dim=-1) / reference.norm(dim=-1)
    return float(relative.nan_to_num(nan=torch.inf).max())


def _compare(stresses: Mapping[str, torch.Tensor], results: Mapping[str, Result]) -> None:
    if not stresses:
        return
    first = next(iter(stresses))
    for name, stress in stresses.items():
        off = results[name].off = deviation(stress, stresses[first])
        if off > AGREE:
            results[name].note = f"values differ from {first}"
            print(f"*** {name} DIFFERS FROM {first}: by {off:.1e} of the stress ***", file=sys.stderr)


def reason(error: Exception) -> str:
    """What an engine said, in one line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
