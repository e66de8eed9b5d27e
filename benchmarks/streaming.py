"""What writing costs beside computing: cyclic tests of `examples/p91`, every row of all points in a file.

    python -m benchmarks.streaming FOLDER [--points N] [--rows N] [--threads N] [--turns N]

runs the same tests in turns without and with a file in FOLDER, and prints seconds, those of the processor in
all threads, the size of the file, and how much memory the run took beyond its history. The kernel is built
before. The file is removed.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import torch

import neml2
from neml2 import TransientDriver, laboratory
from neml2.drivers import History
from neml2.solvers.status import Status

INPUT = Path(__file__).parents[1] / "examples" / "p91" / "p91.i"
CYCLE = 40  # rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the file is written, on the disk that is measured")
    parser.add_argument("--points", type=int, default=10_000, help="how many specimens")
    parser.add_argument("--rows", type=int, default=2_000, help="how many rows, 40 to a cycle")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="by default all cores")
    parser.add_argument("--turns", type=int, default=3, help="how many runs of each kind")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    path = args.folder / "streaming.h5"
    driver = TransientDriver(neml2.load_model(INPUT, "p91"), engine="native")
    with torch.no_grad():
        driver.run(tests(8, CYCLE))
        history = tests(args.points, args.rows)
        before = memory()
        for _ in range(args.turns):
            alone = timed(lambda: driver.run(history, save={"last": True}))
            took = memory() - before
            both = timed(lambda: driver.run(history, output=path, overwrite=True))
            size = path.stat().st_size
            path.unlink()
            print(
                f"{args.points} points, {len(history)} rows, {args.threads} threads: {size / 1e9:.2f} GB\n"
                f"  computing: {alone[0]:.1f} s, {alone[1]:.1f} s of processors, {took:.2f} GB of memory\n"
                f"  and writing: {both[0]:.1f} s, {both[1]:.1f} s of processors,"
                f" {memory() - before:.2f} GB of memory"
            )


def tests(points: int, rows: int) -> History:
    """Cyclic tests of amplitudes from 0.4 to 1 %, at 0.1 % a second."""
    amplitude = torch.linspace(0.004, 0.010, points, dtype=torch.float64)
    return laboratory.cyclic(amplitude, max(rows // CYCLE, 1), rate=1e-3, rows=CYCLE)


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """Seconds, and those of all processors together; every step of the run has to have converged."""
    start, work = perf_counter(), process_time()
    result = run()
    took = perf_counter() - start, process_time() - work
    assert bool((result.status[1:] == Status.CONVERGED).all())
    return took


def memory() -> float:
    """The most memory that this process has taken so far, in GB."""
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main()
