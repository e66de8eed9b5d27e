"""Time whole runs of the scenarios: ``python -m benchmarks run --points 1,100,10000``.

Every scenario is a folder of ``benchmarks/scenarios`` whose ``scenario.py`` defines
``build(points, steps) -> (model, history)``. The time is that of ``TransientDriver(model).run(history)``,
history checks and trajectory included: the median of the repetitions, after one short run to warm up.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

import neml2
from neml2.drivers import TransientDriver

HERE = Path(__file__).parent
COLUMNS = [
    *("date", "commit", "machine", "threads", "python", "torch", "neml2", "engine", "scenario"),
    *("points", "steps", "build_s", "run_s", "repetitions"),
    *("s_per_100_steps", "us_per_point_and_step", "iterations_per_step"),
]


def main(argv: list[str] | None = None) -> int:
    """Run the scenarios and write one row of the CSV for each."""
    args = _arguments().parse_args(argv)
    torch.set_num_threads(args.threads)
    names = args.scenarios or sorted(p.parent.name for p in HERE.glob("scenarios/*/scenario.py"))
    rows = []
    for name in names:
        for points in args.points:
            for engine in args.engines:
                rows.append(measure(name, points, args.steps, args.seconds, engine))
                _show(rows[-1])
    if args.out:
        _write(args.out, rows)
        print(f"Written to {args.out}")
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="time the scenarios")
    run.add_argument("--scenarios", type=lambda t: t.split(","), help="comma separated; all by default")
    run.add_argument("--points", type=lambda t: [int(n) for n in t.split(",")], default=[1, 100, 10_000])
    run.add_argument("--engines", type=lambda t: t.split(","), default=["eager", "native"])
    run.add_argument("--steps", type=int, default=100)
    run.add_argument("--threads", type=int, default=1)
    run.add_argument("--seconds", type=float, default=20.0, help="repeat each run for about this long")
    run.add_argument("--out", type=Path, help="CSV file to append to")
    return parser


def measure(name: str, points: int, steps: int, seconds: float, engine: str) -> dict[str, object]:
    """Build a scenario and run it repeatedly; one row of the CSV. ``build_s`` includes a compilation."""
    scenario = importlib.import_module(f"benchmarks.scenarios.{name}.scenario")
    start = time.perf_counter()
    model, history = scenario.build(points, steps)
    with torch.no_grad():
        driver = TransientDriver(model, progress=False, engine=engine)
        warm_up = history if engine == "native" else scenario.build(points, 2)[1]
        driver.run(warm_up)
        built = time.perf_counter() - start
        times: list[float] = []
        while not times or (sum(times) + times[0] < seconds and len(times) < 25):
            start = time.perf_counter()
            trajectory = driver.run(history)
            times.append(time.perf_counter() - start)
    run = statistics.median(times)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": _commit(),
        "machine": _machine(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "neml2": neml2.__version__,
        "engine": engine,
        "scenario": name,
        "points": points,
        "steps": steps,
        "build_s": f"{built:.3f}",
        "run_s": f"{run:.4f}",
        "repetitions": len(times),
        "s_per_100_steps": f"{run * 100 / steps:.4f}",
        "us_per_point_and_step": f"{run / points / steps * 1e6:.3f}",
        "iterations_per_step": f"{trajectory.iterations[1:].double().mean():.2f}",
    }


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "?"


def _machine() -> str:
    model = "unknown CPU"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{model}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}"


def _show(row: dict[str, object]) -> None:
    print(
        f"{row['scenario']:<20}{row['engine']:<8}{row['points']:>8} points"
        f"  {row['s_per_100_steps']:>10} s per 100 steps"
        f"  {row['us_per_point_and_step']:>12} us per point and step"
        f"  {row['iterations_per_step']:>6} iterations per step",
        flush=True,
    )


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
