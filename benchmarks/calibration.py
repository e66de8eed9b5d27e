"""Forward and gradient of all parameters: 200 steps of 50 specimens of a Voce viscoplastic material.

    python -m benchmarks.calibration [--peer /path/to/peer/bin/python]

prints the seconds of CPU time of a run and of a run with its gradient: of ``TransientDriver`` with the native
engine, and of pyzag's solver on our adapter and on that of NEML2 3.1.0, each at the block size that is its
best. The medians are of runs in turns; before they are printed, losses and gradients have to agree to 1e-5.

    python -m benchmarks.calibration --memory

prints the memory that a loss and its gradient take at 2,000 steps of 1,000 specimens: in the eager engine, in
the kernel, and in the kernel with checkpoints. Each is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

STEPS, SPECIMENS, TURNS = 200, 50, 7
LONG = 2000, 1000
BLOCKS = (10, 20, 50, 100)
HERE = Path(__file__).parent
PARAMETERS = ("iso_R", "iso_d", "ys_sy", "flow_eta", "flow_n", "elasticity_E", "elasticity_nu")


def load(steps: int = STEPS, specimens: int = SPECIMENS) -> tuple[torch.Tensor, torch.Tensor]:
    """Time and strain, ``(steps + 1, specimens[, 6])``: tension at rates from 1e-4 to 1e-1 /s."""
    rate = torch.logspace(-4, -1, specimens)
    axial = torch.linspace(0, 0.03, steps + 1)[:, None].expand(steps + 1, specimens)
    strain = torch.zeros(steps + 1, specimens, 6)
    strain[..., 0], strain[..., 1], strain[..., 2] = axial, -0.5 * axial, -0.5 * axial
    return axial / rate, strain


def by_driver() -> tuple[Callable[[], torch.Tensor], dict[str, torch.Tensor]]:
    """The loss of a run of the driver, and the parameters by pyzag's names."""
    from neml2 import SR2, History, TransientDriver, load_model

    clock, strain = load()
    model = load_model(HERE / "calibration.i", "model")
    driver, history = TransientDriver(model, engine="native"), History(clock, {"strain": SR2(strain)})

    def loss() -> torch.Tensor:
        return driver.run(history)["stress"].data[1:, :, 0].square().mean()

    known = {"_".join(n.split(".")[-2:]): p for n, p in model.named_parameters()}
    return loss, {n: known[n] for n in PARAMETERS}


def by_pyzag(block: int) -> tuple[Callable[[], torch.Tensor], dict[str, torch.Tensor]]:
    """The same with pyzag's own solver, for whichever neml2 this Python has."""
    from pyzag import chunktime, nonlinear

    import neml2
    from neml2.pyzag import NEML2PyzagModel

    clock, strain = load()
    system = neml2.load_nonlinear_system(str(HERE / "calibration.i"), "system")
    model = NEML2PyzagModel(system, include_parameters=list(PARAMETERS))
    forces = model.assemble_forces({"t": neml2.Scalar(clock), "strain": neml2.SR2(strain)})
    start = torch.zeros(SPECIMENS, 7)

    def loss() -> torch.Tensor:
        solver = nonlinear.RecursiveNonlinearEquationSolver(
            model,
            step_generator=nonlinear.StepGenerator(block),
            predictor=nonlinear.PreviousStepsPredictor(),
            nonlinear_solver=chunktime.ChunkNewtonRaphson(rtol=1e-8, atol=1e-10),
        )
        solve = nonlinear.solve_adjoint if torch.is_grad_enabled() else nonlinear.solve
        states = solve(solver, start, STEPS + 1, forces)
        return states[1:, :, 0].square().mean()

    return loss, {n: p for n, p in model.named_parameters() if n in PARAMETERS}


def measured(loss: Callable[[], torch.Tensor], parameters: dict[str, torch.Tensor]) -> dict[str, object]:
    """Median CPU seconds, the loss, and its gradient by name."""

    def plain() -> None:
        with torch.no_grad():
            loss()

    def whole() -> None:
        for p in parameters.values():
            p.grad = None
        loss().backward()

    times: dict[str, list[float]] = {"forward": [], "gradient": []}
    for turn in range(TURNS + 1):
        for name, run in (("forward", plain), ("gradient", whole)):
            begin = time.process_time()
            run()
            if turn:  # the first one compiles and warms up
                times[name].append(time.process_time() - begin)
    by = {n: float(p.grad.sum()) for n, p in parameters.items() if p.grad is not None}
    return {n: statistics.median(t) for n, t in times.items()} | {"loss": float(loss().detach()), "by": by}


def best_of_pyzag() -> dict[str, object]:
    """The fastest block size."""
    found = [{**measured(*by_pyzag(b)), "block": b} for b in BLOCKS]
    return min(found, key=lambda f: f["gradient"])  # type: ignore[arg-type, return-value]


def of_peer(python: str) -> dict[str, object]:
    """:func:`best_of_pyzag` under another Python, which has NEML2 3.1.0 and pyzag."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [python, str(HERE / "calibration.py"), "--only-pyzag"]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{python} did not run the benchmark: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def memory_of(way: str) -> dict[str, float]:
    """The most memory of a loss and its gradient beyond that before, in GB, and seconds of CPU time."""
    import resource

    from neml2 import SR2, History, TransientDriver, load_model
    from neml2.recurrent import checkpointed

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

    name = "equivalent_plastic_strain"
    model = load_model(HERE / "calibration.i", "model")
    driver = TransientDriver(model, engine="eager" if way == "eager" else "native", progress=False)

    def gradient(clock: torch.Tensor, strain: torch.Tensor) -> torch.Tensor:
        history = History(clock, {"strain": SR2(strain)})
        run = checkpointed(driver, history, name) if way == "checkpoints" else driver.run(history)
        return torch.autograd.grad(run[name].data[1:].square().mean(), list(model.parameters())[:1])[0]

    clock, strain = load(*LONG)
    gradient(clock[:3, :2], strain[:3, :2])  # libraries are loaded, and kernels built
    before, begin = peak(), time.process_time()
    slope = gradient(clock, strain)
    seconds = time.process_time() - begin
    return {"gigabytes": peak() - before, "seconds": seconds, "slope": float(slope.sum())}


def print_memory() -> None:
    """:func:`memory_of` every way, whose gradients have to agree."""
    rows = {}
    print(f"{'':28s}{'memory, GB':>12s}{'seconds':>10s}")
    for way in ("eager", "native", "checkpoints"):
        command = [sys.executable, "-m", "benchmarks.calibration", "--only-memory", way]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows[way] = json.loads(done.stdout.splitlines()[-1])
        print(f"{way:28s}{rows[way]['gigabytes']:12.3f}{rows[way]['seconds']:10.3g}")
        if abs(rows[way]["slope"] - rows["eager"]["slope"]) > 1e-6 * abs(rows["eager"]["slope"]):
            sys.exit(f"values differ: {rows[way]} is not {rows['eager']}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="a Python that has NEML2 3.1.0 and pyzag")
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    parser.add_argument("--only-pyzag", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--only-memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    if options.only_pyzag:
        print(json.dumps(best_of_pyzag()))
        return
    if options.only_memory:
        print(json.dumps(memory_of(options.only_memory)))
        return
    if options.memory:
        print_memory()
        return
    rows = {"TransientDriver, native": measured(*by_driver()), "pyzag, our adapter": best_of_pyzag()}
    if options.peer:
        rows["pyzag, NEML2 3.1.0"] = of_peer(options.peer)
    first = rows["TransientDriver, native"]
    print(f"{'':28s}{'forward, s':>12s}{'with gradient, s':>18s}{'block':>7s}{'times':>8s}")
    for name, row in rows.items():
        ratio = float(row["gradient"]) / float(first["gradient"])  # type: ignore[arg-type]
        print(f"{name:28s}{row['forward']:12.4g}{row['gradient']:18.4g}{row.get('block', ''):>7}{ratio:8.1f}")
        if not _agree(first, row):
            sys.exit(f"values differ: {row} is not {first}")


def _agree(a: dict[str, object], b: dict[str, object]) -> bool:
    pairs = [(a["loss"], b["loss"]), *((a["by"][n], b["by"][n]) for n in a["by"])]  # type: ignore[index, attr-defined]
    return all(abs(x - y) <= 1e-5 * abs(x) for x, y in pairs)


if __name__ == "__main__":
    main()
