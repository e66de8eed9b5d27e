"""Our engines on a case: whole runs of ``TransientDriver``, and what a gradient costs."""

from __future__ import annotations

import statistics
import time

import torch

from benchmarks.scenario import Case, warm_up
from neml2.drivers import TransientDriver

ENGINES = ("native", "eager")


class OwnEngine:
    """``TransientDriver(model, engine=...)`` on a case; ``run()`` gives seconds. Compiled and warm."""

    def __init__(self, engine: str, case: Case, threads: int) -> None:
        self._case, self._threads = case, threads
        self.iterations: float | None = None
        self._stress = torch.zeros(0)
        torch.set_num_threads(threads)
        start = time.perf_counter()
        self._driver = TransientDriver(case.model, progress=False, engine=engine)
        if engine == "native":  # its kernel is made for the first history it sees
            self.run()
        else:
            with torch.no_grad():
                self._driver.run(warm_up(case.name, case.points).history)
        self.build_s = time.perf_counter() - start

    def run(self) -> float:
        """Seconds of one run, checks of the history and the trajectory included."""
        torch.set_num_threads(self._threads)
        with torch.no_grad():
            start = time.perf_counter()
            trajectory = self._driver.run(self._case.history)
            seconds = time.perf_counter() - start
        stress = trajectory["stress"].data[-1]
        self._stress = stress.expand(self._case.points, 6).clone()
        self.iterations = float(trajectory.iterations[1:].double().mean())
        return seconds

    def stress(self) -> torch.Tensor:
        """The final stress ``(points, 6)`` of the last run."""
        return self._stress

    def close(self) -> None:
        """Nothing to end."""


def gradient(engine: str, case: Case, threads: int, seconds: float) -> tuple[float, float, int]:
    """Seconds of a run, of a run and its gradient, and how often both were measured, in turns.

    The loss is the sum of squares of the stress over the history, the gradient that with respect to all
    parameters. Raises :class:`~neml2.drivers.NotNative` when the engine gives no gradients.
    """
    torch.set_num_threads(threads)
    driver = TransientDriver(case.model, progress=False, engine=engine)
    parameters = [p for p in case.model.parameters() if p.requires_grad]

    def forward() -> float:
        start = time.perf_counter()
        with torch.no_grad():
            driver.run(case.history)
        return time.perf_counter() - start

    def both() -> float:
        start = time.perf_counter()
        loss = (driver.run(case.history)["stress"].data ** 2).sum()
        torch.autograd.grad(loss, parameters, allow_unused=True)
        return time.perf_counter() - start

    warm = warm_up(case.name, case.points).history if engine == "eager" else case.history
    with torch.no_grad():
        driver.run(warm)
    if engine == "native":
        both()
    plain, whole = [forward()], [both()]
    while sum(plain) + sum(whole) < seconds and len(whole) < 25:
        plain.append(forward())
        whole.append(both())
    return statistics.median(plain), statistics.median(whole), len(whole)
