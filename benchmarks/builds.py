"""From nothing to a first result: each in a fresh process, with an empty cache (cold) and again (warm).

``python -m benchmarks.builds SCENARIO ENGINE`` prints the seconds from after ``import torch`` to the result
of two steps at one point.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def cold_and_warm(name: str, engine: str) -> tuple[float, float]:
    """Seconds with an empty kernel cache, and with the kernel in the cache. Raises :class:`RuntimeError`."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NEML2_CACHE": cache, "PYTHONPATH": os.pathsep.join(_paths())}
        command = [sys.executable, "-m", "benchmarks.builds", name, engine]
        found = []
        for _ in range(2):
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError((done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
            found.append(float(done.stdout))
    return found[0], found[1]


def _paths() -> list[str]:
    given = os.environ.get("PYTHONPATH")
    return [str(ROOT), *([given] if given else [])]


def _first_result(name: str, engine: str) -> float:
    import torch

    start = time.perf_counter()
    from benchmarks.scenario import warm_up
    from neml2.drivers import TransientDriver

    case = warm_up(name, 1)
    with torch.no_grad():
        TransientDriver(case.model, progress=False, engine=engine).run(case.history)
    return time.perf_counter() - start


if __name__ == "__main__":
    print(_first_result(*sys.argv[1:]))
