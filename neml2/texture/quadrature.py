"""Points and weights on intervals, in the unit ball, over rotations, and on a hemisphere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from neml2.types import MRP, Scalar, Vec, dV


def gauss_points(deg: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Gauss-Legendre points and weights ``(deg,)`` on [-1, 1], exact for polynomials of degree 2 deg - 1."""
    points, weights = np.polynomial.legendre.leggauss(deg)
    return torch.as_tensor(points), torch.as_tensor(weights)


def spherical_quadrature(deg: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (r, phi, theta) ``(deg^3, 3)`` in the unit ball, with the angle phi from z, and their weights.

    The weights contain the volume element r^2 sin(phi), so they sum to 4 pi/3.
    """
    x, w = gauss_points(deg)
    points = torch.cartesian_prod((x + 1) / 2, math.pi * (x + 1) / 2, math.pi * (x + 1))
    weights = torch.cartesian_prod(w, w, w).prod(-1) * math.pi**2 / 4
    return points, weights * points[:, 0] ** 2 * torch.sin(points[:, 1])


def rotation_quadrature(deg: int) -> tuple[MRP, Scalar]:
    """Rotations ``(deg^3,)`` in the unit ball of parameters, and weights that sum to about pi."""
    points, weights = spherical_quadrature(deg)
    r, phi, theta = points.unbind(-1)
    x, y, z = torch.sin(phi) * torch.cos(theta), torch.sin(phi) * torch.sin(theta), torch.cos(phi)
    rotations = MRP(r[:, None] * torch.stack([x, y, z], -1))
    return rotations, Scalar(weights) * dV(rotations)


def arbitrary_hemispherical_quadrature(
    points: torch.Tensor | Vec, rtol: float = 1e-5, atol: float = 1e-8
) -> torch.Tensor:
    """The parts of the hemisphere around unit vectors ``(*shape, 3)``, as areas ``(*shape,)``.

    These are the areas of the spherical Voronoi cells of the points and their mirror images in z; a point on
    the equator has no mirror image and half of its cell. Needs scipy.
    """
    from scipy.spatial import SphericalVoronoi

    data: Any = points.data if isinstance(points, Vec) else points
    flat = data.detach().reshape(-1, 3).double().cpu()
    equator = torch.isclose(flat[:, 2], torch.zeros_like(flat[:, 2]), rtol=rtol, atol=atol)
    mirrored = flat[~equator] * torch.tensor([1.0, 1.0, -1.0], dtype=flat.dtype)
    cells = SphericalVoronoi(torch.cat([flat, mirrored]).numpy(), threshold=1e-10)
    areas = torch.as_tensor(cells.calculate_areas())[: len(flat)]
    return torch.where(equator, areas / 2, areas).reshape(data.shape[:-1]).to(data)
