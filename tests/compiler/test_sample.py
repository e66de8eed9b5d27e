"""Sample points: random states, and Newton's iterates of rehearsed steps."""

from __future__ import annotations

import numpy as np
import pytest

from neml2.compiler.eliminate import linear_system
from neml2.compiler.sample import dense, newton_steps, values_at
from tests.compiler.scenarios import SOLVED, put, scenario
from tests.compiler.scenarios import dense as by_the_jacobian


@pytest.mark.parametrize("name", SOLVED)
def test_rehearsed_steps_converge(name: str) -> None:
    s = scenario(name)
    (region,) = s.step.regions
    last = s.samples[-3:]  # of several steps
    residual = np.array([values_at(last)(r) for r in region.residual])
    at_rest = [p | put(region.unknowns, np.zeros(len(region.unknowns))) for p in last]
    start = np.array([values_at(at_rest)(r) for r in region.residual])
    assert np.linalg.norm(residual) <= 1e-6 * np.linalg.norm(start[np.isfinite(start)]) + 1e-9


@pytest.mark.parametrize("name", SOLVED)
def test_slopes_through_the_scalars_in_between_are_those_of_the_jacobian(name: str) -> None:
    s = scenario(name)
    (region,) = s.step.regions
    points = s.samples[-12:]
    matrix, residual = by_the_jacobian(region, points)
    system = linear_system(region.unknowns, region.cuts, region.residual)
    found, rhs = dense(system, region.residual, values_at(points))
    np.testing.assert_allclose(rhs, -residual)
    np.testing.assert_allclose(found, matrix, rtol=1e-9, atol=1e-9 * np.abs(matrix).max())
    steps = newton_steps(system, region.residual, values_at(points))
    for a, r, x in zip(matrix, residual, steps, strict=True):
        np.testing.assert_allclose(a @ x, -r, rtol=1e-6, atol=1e-8 * (np.abs(a) @ np.abs(x)).max() + 1e-300)
