"""A Taylor polycrystal of 50,000 grains over 250 steps: `examples/rolling_texture/rolling.i`.

    python -m benchmarks.polycrystal [--grains N] [--threads N] [--turns N]

prints the seconds of whole runs, the orientations and stresses of every tenth step kept, and the largest
amount of memory that the process took. The kernel is built before, which is told apart. NEML2 publishes
15,000 s on 32 threads and 68 s on an RTX A5000 for a polycrystal of this size, with a material of its own.
"""

from __future__ import annotations

import argparse
import resource
from pathlib import Path
from time import perf_counter

import torch

import neml2
from neml2.solvers.status import Status

INPUT = Path(__file__).parents[1] / "examples" / "rolling_texture" / "rolling.i"
SAVE = {"variables": ["orientation", "cauchy_stress"], "every": 10}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--grains", type=int, default=50_000, help="how many grains")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="by default all cores")
    parser.add_argument("--turns", type=int, default=3, help="how many runs")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    with torch.no_grad():
        start = perf_counter()
        neml2.load_input(INPUT, post=["grains:=8"]).get_driver("driver").run()
        print(f"built and run once with 8 grains: {perf_counter() - start:.1f} s")
        driver = neml2.load_input(INPUT, post=[f"grains:={args.grains}"]).get_driver("driver")
        steps = len(driver.history) - 1
        for _ in range(args.turns):
            start = perf_counter()
            run = driver.run(save=SAVE)
            took = perf_counter() - start
            assert bool((run.status[1:] == Status.CONVERGED).all())
            each = 1e6 * took / (args.grains * steps)
            print(
                f"{args.grains} grains, {steps} steps, {args.threads} threads: {took:.1f} s,"
                f" {each:.2f} us per grain and step"
            )
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


if __name__ == "__main__":
    main()
