"""Pole figures: where in the sample the poles of the crystals point, and how densely."""

from __future__ import annotations

import math
from typing import Any

import torch

from neml2.texture.odf import KDEODF, ODF
from neml2.texture.projections import projection_of, unit_vector
from neml2.texture.quadrature import arbitrary_hemispherical_quadrature
from neml2.types import MRP, R2, Scalar, Vec, compose, euler_rodrigues
from neml2.types.symmetry import symmetry

_SAME = 1e-6  # between unit vectors


def symmetry_operators_as_R2(
    name: str, device: torch.device | str | None = None, include_inversion: bool = False
) -> R2:
    """The rotations of the crystal class ``name``, followed by their negatives if ``include_inversion``."""
    operators = symmetry(name, device=device)
    return R2(torch.cat([operators.data, -operators.data]), 1) if include_inversion else operators


def pole_figure_points(
    orientations: MRP,
    pole: Any,
    projection: str = "stereographic",
    crystal_symmetry: str = "1",
    sample_symmetry: str = "1",
) -> torch.Tensor:
    """The projected poles ``(m, 2)`` of all orientations in the upper hemisphere.

    All images of the ``pole`` by the crystal's symmetry are turned by each orientation and then by each
    rotation of the sample's symmetry; in the result the orientation varies slowest and the rotation of the
    sample fastest. The ``pole`` is a Cartesian vector in the frame of the crystal.
    """
    project = projection_of(projection)
    Q = euler_rodrigues(orientations).data.reshape(-1, 3, 3)
    crystal = symmetry(crystal_symmetry, dtype=Q.dtype, device=Q.device).data
    sample = symmetry(sample_symmetry, dtype=Q.dtype, device=Q.device).data
    poles = crystal @ unit_vector(pole, "the pole").to(Q)  # (crystal, 3)
    turned = torch.einsum("sij,njk,ck->ncsi", sample, Q, poles).reshape(-1, 3)
    return project(turned[turned[:, 2] >= 0])


def pole_figure_odf(
    odf: ODF,
    pole: Any,
    projection: str = "stereographic",
    crystal_symmetry: str = "1",
    nradial: int = 20,
    ntheta: int = 40,
    nquad: int | None = 50,
    nchunk: int = 1000,
    offset_fraction: float = 0.01,
    sample_symmetry: str = "1",
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """The pole density of an orientation distribution on a polar mesh, in multiples of the random density.

    Returns the values ``(nradial, ntheta + 1)`` and the meshes of angles and of radii in the plane of the
    ``projection``. The density is that of the upper hemisphere, its mean over all crystal-symmetric poles and
    over the rotations of the sample's symmetry. It is integrated with ``nquad`` rotations about each
    direction, ``nchunk`` at a time; with ``nquad=None`` exactly, for a `KDEODF`, which is also much faster.
    """
    project = projection_of(projection)
    if nquad is None and not isinstance(odf, KDEODF):
        raise TypeError(f"the pole density of a {type(odf).__name__} has no closed form; give nquad")
    if not 0 < offset_fraction < 1:
        raise ValueError(f"offset_fraction is {offset_fraction:g}; give a number between 0 and 1")
    like = odf.X.data
    first = project.limit / nradial * offset_fraction  # not zero, where all angles would be one point
    radii = torch.linspace(first, project.limit, nradial, dtype=torch.float64).to(like)
    angles = torch.linspace(0, 2 * math.pi, ntheta + 1, dtype=torch.float64).to(like)
    radius, angle = torch.meshgrid(radii, angles[:-1], indexing="ij")
    points = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], -1)
    directions = project.inverse(points)  # (nradial, ntheta, 3)

    sample = symmetry(sample_symmetry, dtype=like.dtype, device=like.device).data
    everywhere = torch.einsum("sij,rtj->srti", sample, directions).reshape(-1, 3)
    poles = _distinct(symmetry(crystal_symmetry).data @ unit_vector(pole, "the pole")).to(like)
    values = torch.stack([_pole_density(odf, h, everywhere, nquad, nchunk) for h in poles]).mean(0)
    values = values.reshape(len(sample), nradial, ntheta).mean(0)

    areas = arbitrary_hemispherical_quadrature(directions)
    values = values / ((areas * values).sum() / (2 * math.pi))
    values = torch.cat([values, values[:, :1]], -1)
    radii = torch.cat([torch.zeros_like(radii[:1]), radii[1:]])
    radius, angle = torch.meshgrid(radii, angles, indexing="ij")
    return values, (angle, radius)


def _pole_density(
    odf: ODF, pole: torch.Tensor, directions: torch.Tensor, nquad: int | None, nchunk: int
) -> torch.Tensor:
    """The mean of the density ``(m,)`` over the rotations that take the pole to each of ``(m, 3)``."""
    if nquad is None:
        assert isinstance(odf, KDEODF)
        return odf.pole_density(pole, directions)
    v = Vec(directions[:, None])  # (m, 1)
    turns = torch.arange(nquad).to(directions) * (2 * math.pi / nquad)
    fibre = compose(MRP.from_axis_angle(v, Scalar(turns)), MRP.rotation_from_to(Vec(pole), v))  # (m, nquad)
    flat = fibre.data.reshape(-1, 3)
    values = torch.cat([odf(MRP(part)).data for part in torch.split(flat, nchunk)])
    return values.reshape(-1, nquad).mean(-1)


def _distinct(poles: torch.Tensor) -> torch.Tensor:
    """Each pole once: all of an orbit are met equally often."""
    kept: list[torch.Tensor] = []
    for p in poles:
        if not any(float((p - k).abs().max()) < _SAME for k in kept):
            kept.append(p)
    return torch.stack(kept)
