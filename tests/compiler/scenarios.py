"""The scenarios, lowered, with one point and one step of each in numbers."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import neml2
from neml2.compiler.differentiate import jacobian
from neml2.compiler.graph import Node
from neml2.compiler.lower import lower
from neml2.compiler.regions import Region, Step
from neml2.compiler.sample import sample_points, values_at
from neml2.drivers.trajectory import Trajectory

HERE = Path(__file__).parent.parent / "scenarios"
LARGE = {  # kernels that take a minute to build: left to the slow tests
    "adr_stretched",
    "cp_coupled_cubic_stiffness",
    "cp_coupled_fcc",
    "cp_decoupled",
    "cp_deformation_gradient",
    "cp_taylor_uniaxial",
    "kwn_two_component",
}
NAMES = sorted({p.parent.name for p in HERE.glob("*/model.i")} - LARGE)
ALIKE = {  # what they compile to is in the kernels of others as well
    "chaboche_cyclic",
    "mixed_control_chaboche",
    "ri_minmap_perfect",
    "ve_zener",
    "vp_linear_kinematic",
    "vp_voce_rateform",
}
LOOPED = {"cp_taylor_uniaxial"}  # over its sites: a kernel without derivatives
SOLVED = [n for n in NAMES if "ImplicitUpdate" in (HERE / n / "model.i").read_text()]


def unrolled(paths: Iterable[Path], slow: Container[str] = LARGE) -> list[Any]:
    """The input files that the compiler unrolls, as test parameters; the ``slow`` ones are marked so."""
    taken = [p for p in sorted(paths) if p.parent.name not in LOOPED]
    marks = [pytest.mark.slow if p.parent.name in slow else () for p in taken]
    return [pytest.param(p, marks=m, id=p.parent.name) for p, m in zip(taken, marks, strict=True)]


@dataclass
class Scenario:
    """A scenario's step, the sample points of its history, and the eager trajectory."""

    step: Step
    samples: list[dict[str, float]]
    trajectory: Trajectory
    forces: dict[str, torch.Tensor]


@cache
def scenario(name: str) -> Scenario:
    wrapped = neml2.load_input(HERE / name / "model.i").get_driver("driver")
    driver = wrapped.driver
    with torch.no_grad():
        trajectory = wrapped.run()
    bound = driver.bind(wrapped.history)
    step = lower(driver.update, {n: v.sub_batch_shape for n, v in {**bound.forces, **bound.initial}.items()})
    samples = sample_points(driver.model, step, trajectory.forces)
    return Scenario(step, samples, trajectory, {n: v.data for n, v in trajectory.forces.items()})


def at_step(s: Scenario, k: int) -> dict[str, float]:
    """The inputs of step ``k``, or of the last one, of the first point, from the eager trajectory."""
    k = min(k, s.trajectory.time.shape[0] - 1)
    point = {n: x for n, x in s.samples[0].items() if n.startswith("param:")}
    for name, symbol in s.step.inputs.items():
        base, lag = s.step.forces.get(name) or s.step.states[name]
        data = s.forces[base] if base in s.forces else s.trajectory[base].data
        values = data[max(k - lag, 0)].reshape(-1, symbol.nodes.size)[0]
        point |= {n.value: float(v) for n, v in zip(symbol.nodes.flat, values, strict=True)}
    return point


def dense(region: Region, samples: list[dict[str, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Jacobian ``(samples, n, n)`` and residual ``(samples, n)``."""
    values = values_at(samples)
    n = len(region.unknowns)
    matrix = np.zeros((len(samples), n, n))
    for i, row in enumerate(jacobian(region.residual, region.unknowns)):
        for c, d in row.items():
            matrix[:, i, c] = values(d)
    return matrix, np.array([values(r) for r in region.residual]).T


def put(nodes: list[Node], values: np.ndarray) -> dict[str, float]:
    return {n.value: float(x) for n, x in zip(nodes, values, strict=True)}
