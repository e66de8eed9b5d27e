"""Every folder beside this file: a driven history against the stored one, and its gradient.

``gold.json`` was made by NEML2 3.1.0, whose own Newton tolerance moves its results by up to 2.4e-6.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import neml2

HERE = Path(__file__).parent
STEP = 2e-5  # of the differences, relative to the parameters
FOLDERS = sorted(p.parent for p in HERE.glob("*/model.i"))

every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)


def driver_of(folder: Path):
    return neml2.load_input(folder / "model.i").get_driver("driver")


def stored(folder: Path) -> dict[str, tuple[list[int], torch.Tensor]]:
    """By output: the steps that have a value, and the values; nothing was computed at step 0."""
    series = json.loads((folder / "gold.json").read_text())["outputs"]
    steps = {n: [k for k, v in enumerate(values) if k > 0 and v is not None] for n, values in series.items()}
    return {n: (at, torch.tensor([series[n][k] for k in at], dtype=torch.float64)) for n, at in steps.items()}


def test_there_are_scenarios() -> None:
    assert FOLDERS


@every_folder
def test_history(folder: Path) -> None:
    with torch.no_grad():
        trajectory = driver_of(folder).run()
    assert trajectory.succeeded
    for name, (steps, expected) in stored(folder).items():
        found, expected = torch.broadcast_tensors(trajectory[name].data[steps], expected)
        off = float((found - expected).abs().max() / expected.abs().max())
        assert off <= 1e-5, f"{name} is off by {off:.1e} of its largest value"


@pytest.mark.slow
@every_folder
def test_gradient(folder: Path) -> None:
    """Of a weighted sum of the final state, along a direction in which all parameters change."""
    driver = driver_of(folder)
    parameters = [p for p in driver.model.parameters() if p.requires_grad]
    generator = torch.Generator().manual_seed(0)
    direction = [p.detach() * torch.rand(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
    scales = {n: values.abs().max() for n, (_, values) in stored(folder).items()}
    weights: dict[str, torch.Tensor] = {}

    def loss() -> torch.Tensor:
        trajectory = driver.run()
        final = {n: trajectory[n].data[-1] / scale for n, scale in scales.items()}
        for n, x in final.items():
            weights.setdefault(n, torch.rand(x.shape, generator=generator, dtype=x.dtype))
        return torch.stack([(weights[n] * x).sum() for n, x in final.items()]).sum()

    def along(h: float) -> float:
        start = [p.clone() for p in parameters]
        ends = []
        with torch.no_grad():
            for step in (h, -h, 0.0):
                for p, x, d in zip(parameters, start, direction, strict=True):
                    p.copy_(x + step * d)
                if step:
                    ends.append(float(loss()))
        return (ends[0] - ends[1]) / (2 * h)

    slopes = torch.autograd.grad(loss(), parameters, materialize_grads=True)
    assert all(bool(slope.isfinite().all()) for slope in slopes)
    found = float(torch.stack([(s * d).sum() for s, d in zip(slopes, direction, strict=True)]).sum())
    expected = (4 * along(STEP / 2) - along(STEP)) / 3
    assert found == pytest.approx(expected, rel=1e-6)
