"""The demo's material and strain histories, repeated for as many points as asked, each scaled a little."""

from __future__ import annotations

from pathlib import Path

import torch

import neml2
from neml2 import SR2, Scalar

INPUT = Path(__file__).parents[3] / "examples" / "chaboche_cyclic" / "cyclic.i"


def build(points: int, steps: int) -> tuple[neml2.Model, dict]:
    """The material, and the first ``steps`` steps of the history for ``points`` points."""
    file = neml2.load_input(INPUT)
    which = torch.arange(points) % 9
    scale = 1 - 0.2 * torch.rand(points, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    cut = slice(0, steps + 1)
    return file.get_model("model"), {
        "t": Scalar(file.get_tensor("times").data[cut, which]),
        "prescribed": SR2(file.get_tensor("prescribed").data[cut, which] * scale[:, None]),
        "control": SR2(file.get_tensor("control").data[cut, which]),
    }
