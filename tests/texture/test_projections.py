"""Both projections have an inverse, end at their limit, and keep what they are for."""

from __future__ import annotations

import pytest
import torch

from neml2.texture.projections import available_projections, projection_of, unit_vector
from neml2.types import MillerIndex, Vec

both = pytest.mark.parametrize("name", list(available_projections))


def points(n: int = 6) -> torch.Tensor:
    return 0.9 * (torch.rand(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5)


@both
def test_inverse(name):
    project = projection_of(name)
    v = project.inverse(points())
    torch.testing.assert_close(torch.linalg.vector_norm(v, dim=-1), torch.ones(6, dtype=torch.float64))
    assert bool((v[:, 2] > 0).all())
    torch.testing.assert_close(project(Vec(v)), points())


@both
def test_limit(name):
    project = projection_of(name)
    rim = torch.tensor([[1.0, 0.0, 0.0], [0.6, -0.8, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(project(rim), project.limit * rim[:, :2])
    assert bool((project(torch.tensor([0.0, 0.0, 1.0])) == 0).all())


@both
def test_metric(name):
    """The stereographic one keeps angles, Lambert's areas."""
    project = projection_of(name)
    for p in points():
        slope = torch.autograd.functional.jacobian(project.inverse, p)  # (3, 2)
        metric = slope.mT @ slope
        if name == "lambert":
            assert float(torch.linalg.det(metric)) == pytest.approx(1.0, rel=1e-10)
        else:
            torch.testing.assert_close(metric, metric[0, 0] * torch.eye(2, dtype=torch.float64))


def test_errors():
    with pytest.raises(ValueError, match="no projection 'stereografic'; did you mean 'stereographic'"):
        projection_of("stereografic")
    with pytest.raises(ValueError, match="the pole is .0.0, 0.0, 0.0.; give three components"):
        unit_vector([0, 0, 0], "the pole")


def test_poles_may_be_given_in_several_ways():
    expected = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    for v in ([3, 0, 4], Vec([3.0, 0.0, 4.0]), MillerIndex([3, 0, 4]), torch.tensor([3, 0, 4])):
        torch.testing.assert_close(unit_vector(v, "the pole"), expected)
