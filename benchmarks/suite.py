"""All cases of a run of the suite, and the rows they give."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import builds, limits, ours, peers
from benchmarks.race import Engine, Forecast, Result, race, reason
from benchmarks.rows import Table
from benchmarks.scenario import Case, load


@dataclass
class Suite:
    """What is asked for; ``run()`` fills the table."""

    table: Table
    scenarios: list[str]
    points: list[int]
    threads: list[int]
    engines: list[str]  # ours
    peer: peers.Peer | None
    peer_engines: list[str]
    with_limits: bool
    steps: int
    seconds: float  # for the repetitions of an engine on a case
    longest: float  # a run that would take longer is left out
    memory: float  # GB; so is a case whose results would be larger
    gradient_points: int  # 0: no gradients
    with_builds: bool
    forecast: Forecast = field(default_factory=Forecast)

    def run(self) -> None:
        """Everything, scenario by scenario."""
        for name in self.scenarios:
            for threads in self.threads:
                for points in sorted(self.points):
                    self._case(name, points, threads)
            if self.gradient_points:
                for engine in self.engines:
                    self._gradient(name, engine, self.threads[0])
            if self.with_builds:
                for engine in [*self.engines, *(self.peer_engines if self.peer else ())]:
                    self._build(name, engine)

    def _case(self, name: str, points: int, threads: int) -> None:
        case = load(name, points, self.steps)
        makers: dict[str, Callable[[], Engine]] = {}
        results: dict[str, Result] = {}
        for engine, make in self._makers(case, threads).items():
            reason = self._too_much(case, engine, threads)
            if reason:
                results[engine] = Result(note=reason)
            else:
                makers[engine] = make
        results |= race(makers, self.seconds)
        for engine, result in results.items():
            if result.run_s is not None:
                self.forecast.add((name, engine, threads), points, result.run_s)
            self._write(case, engine, threads, result)

    def _makers(self, case: Case, threads: int) -> dict[str, Callable[[], Engine]]:
        makers: dict[str, Callable[[], Engine]] = {
            e: partial(ours.OwnEngine, e, case, threads) for e in self.engines
        }
        if self.peer:
            makers |= {e: partial(peers.PeerEngine, self.peer, e, case, threads) for e in self.peer_engines}
        if self.with_limits:
            for engine, limit in limits.LIMITS.get(case.name, {}).items():
                makers[engine] = partial(limits.LimitEngine, limit, case, threads)
        return makers

    def _too_much(self, case: Case, engine: str, threads: int) -> str:
        seconds = self.forecast.of((case.name, engine, threads), case.points)
        if seconds > self.longest:
            return f"left out: a run would take about {seconds:.0f} s"
        if case.gigabytes > self.memory and not engine.startswith("limit"):
            return f"left out: the results would take {case.gigabytes:.1f} GB"
        return ""

    def _write(self, case: Case, engine: str, threads: int, result: Result) -> None:
        run, note = result.run_s, result.note
        us = None if run is None else run / case.points / case.steps * 1e6
        row = self.table.add(
            **self._about(engine),
            engine=engine,
            scenario=case.name,
            measure="run",
            threads=threads,
            points=case.points,
            steps=case.steps,
            build_s=result.build_s,
            run_s=run,
            repetitions=result.repetitions,
            s_per_100_steps=None if run is None else run * 100 / case.steps,
            us_per_point_and_step=us,
            iterations_per_step=result.iterations,
            off=result.off,
            note=note,
        )
        found = f"{row['us_per_point_and_step']:>10} us per point and step, off {row['off']}" if us else ""
        _say(f"{case.name:<20}{engine:<14}{threads:>3} threads{case.points:>8} points  {found}  {note}")

    def _gradient(self, name: str, engine: str, threads: int) -> None:
        case = load(name, self.gradient_points, self.steps)
        expected = 4 * self.forecast.of((name, engine, threads), case.points)  # forward, and gradient at 3
        note, plain, whole, times = "", None, None, 0
        if expected > self.longest:
            note = f"left out: it would take about {expected:.0f} s"
        else:
            try:
                plain, whole, times = ours.gradient(engine, case, threads, self.seconds)
            except Exception as error:  # an engine without gradients is a row with the reason
                note = reason(error)
        ratio = None if plain is None or whole is None else whole / plain
        self.table.add(
            engine=engine,
            scenario=name,
            measure="gradient",
            threads=threads,
            points=case.points,
            steps=case.steps,
            run_s=whole,
            repetitions=times,
            gradient_ratio=ratio,
            note=note,
        )
        _say(f"{name:<20}{engine:<14}gradient: {f'{ratio:.2f} runs' if ratio else note}")

    def _build(self, name: str, engine: str) -> None:
        note, cold, warm = "", None, None
        try:
            if self.peer and engine in peers.ENGINES:
                cold, warm = self.peer.cold_and_warm(name, engine, self.threads[0])
            else:
                cold, warm = builds.cold_and_warm(name, engine)
        except RuntimeError as error:
            note = str(error)
        self.table.add(
            **self._about(engine),
            engine=engine,
            scenario=name,
            measure="build",
            threads=self.threads[0],
            points=1,
            steps=2,
            cold_build_s=cold,
            warm_build_s=warm,
            note=note,
        )
        _say(f"{name:<20}{engine:<14}first result: {f'{cold:.2f} s, warm {warm:.2f} s' if cold else note}")

    def _about(self, engine: str) -> dict[str, str]:
        """The versions of the peer, in its rows."""
        if self.peer is None or engine not in peers.ENGINES:
            return {}
        return {k: self.peer.versions[k] for k in ("neml2", "torch", "python")}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def start_peer(python: str, cache: Path) -> peers.Peer:
    """The peer's process. Raises :class:`ValueError` when it is no Python with NEML2 3."""
    try:
        return peers.Peer(python, cache)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"--peer {python} does not run: {error}; give the Python of an environment with neml2 3.1.0"
        ) from None
