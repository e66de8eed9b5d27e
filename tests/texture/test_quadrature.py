"""Weights sum to what they stand for, and integrate what they should exactly."""

from __future__ import annotations

import math

import pytest
import torch

from neml2 import texture
from neml2.types import Vec


@pytest.mark.parametrize("deg", [1, 3, 6])
def test_gauss_points_are_exact_for_polynomials(deg):
    x, w = texture.gauss_points(deg)
    for power in range(2 * deg):
        exact = 0.0 if power % 2 else 2 / (power + 1)
        assert float((w * x**power).sum()) == pytest.approx(exact, abs=1e-14)


def test_ball():
    points, weights = texture.spherical_quadrature(8)
    assert points.shape == (512, 3)
    assert float(weights.sum()) == pytest.approx(4 * math.pi / 3, rel=1e-8)
    assert float((weights * points[:, 0] ** 2).sum()) == pytest.approx(4 * math.pi / 5, rel=1e-8)


def test_rotations():
    points, weights = texture.rotation_quadrature(10)
    assert float(weights.data.sum()) == pytest.approx(math.pi, rel=1e-6)
    assert bool((torch.linalg.vector_norm(points.data, dim=-1) < 1).all())
    first = (weights.data[:, None] * points.data).sum(0)
    torch.testing.assert_close(first, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-9)


def test_hemisphere():
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(7, 11, 3, generator=generator, dtype=torch.float64)
    v = v / torch.linalg.vector_norm(v, dim=-1, keepdim=True) * torch.tensor([1.0, 1.0, 0.0]) + v.abs()
    v = v * torch.tensor([1.0, 1.0, 0.5])
    v = v / torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    v[0, :3, 2] = 0.0  # three of them on the equator
    v = v / torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    areas = texture.arbitrary_hemispherical_quadrature(Vec(v))
    assert areas.shape == (7, 11)
    assert float(areas.sum()) == pytest.approx(2 * math.pi, rel=1e-10)


def test_points_of_a_cross_share_the_hemisphere_fairly():
    v = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0], [0, 0, 1]], dtype=torch.float64)
    areas = texture.arbitrary_hemispherical_quadrature(v)
    torch.testing.assert_close(areas, torch.tensor([1, 1, 1, 1, 2], dtype=torch.float64) * math.pi / 3)
