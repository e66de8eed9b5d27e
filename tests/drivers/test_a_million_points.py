"""A million points of a material with 19 unknowns, ten steps, within 8 GB of a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import resource, sys
import torch
import neml2
from neml2.drivers import History, TransientDriver
from neml2.types import SR2

points, path, budget = int(sys.argv[1]), sys.argv[2], sys.argv[3]
model = neml2.load_input("benchmarks/scenarios/chaboche_2/model.i", post=["points:=1"]).get_model("model")
generator = torch.Generator().manual_seed(0)
direction = torch.randn(points, 6, dtype=torch.float64, generator=generator)
direction *= 0.01 / direction.norm(dim=1, keepdim=True)
time = torch.linspace(0, 1, 11, dtype=torch.float64)
history = History(time, {"E": SR2(time.reshape(-1, 1, 1) * direction)})
with torch.no_grad():
    run = TransientDriver(model, engine="native").run(history, output=path, max_memory=budget)
assert not bool((run.status[1:] != 0).any())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def peak(points: int, path: Path, budget: str) -> float:
    """GB of memory that the program takes at most."""
    command = [sys.executable, "-c", PROGRAM, str(points), str(path), budget]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert made.returncode == 0, made.stderr
    return float(made.stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="measures memory as POSIX systems do")
def test_a_million_points(tmp_path):
    assert peak(1_000_000, tmp_path / "run.h5", "2 GB") < 8.0
