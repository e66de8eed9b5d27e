"""Inverse pole figures: which directions of the crystals point along a direction of the sample."""

from __future__ import annotations

import math
from typing import Any

import torch

from neml2.registry import did_you_mean, listing
from neml2.texture.pole_figures import symmetry_operators_as_R2
from neml2.texture.projections import projection_of, unit_vector
from neml2.types import MRP, euler_rodrigues
from neml2.types.symmetry import symmetry

_TRIANGLES = {  # corners of the part of the hemisphere that the class and the inversion leave
    "432": ((0.0, 0.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 1.0)),
    "622": ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (math.sqrt(3.0), 1.0, 0.0)),
    "42": ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0)),
    "222": ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
}


class IPFReduction:
    """A triangle on the sphere to which directions of the crystal are reduced.

    ``v`` are its corners, unit vectors ``(3, 3)``, and ``n`` the normals of its sides ``(3, 3)``, which point
    inwards. The default is the standard triangle of cubic crystals; :meth:`of` knows that of other classes.
    """

    def __init__(
        self, v0: Any = (0.0, 0.0, 1.0), v1: Any = (1.0, 0.0, 1.0), v2: Any = (1.0, 1.0, 1.0)
    ) -> None:
        self.v = torch.stack([unit_vector(v, f"corner v{i}") for i, v in enumerate((v0, v1, v2))])
        sides = torch.linalg.cross(self.v, self.v.roll(-1, 0))  # normal to the corners i and i + 1
        inwards = torch.sign((sides * self.v.roll(-2, 0)).sum(-1, keepdim=True))
        if not bool((inwards != 0).all()):
            raise ValueError(f"the corners {self.v.tolist()} lie on a great circle; they are no triangle")
        self.n = inwards * sides / torch.linalg.vector_norm(sides, dim=-1, keepdim=True)

    @classmethod
    def of(cls, crystal_symmetry: str) -> IPFReduction:
        """The triangle of a crystal class: 432, 622, 42 or 222."""
        if crystal_symmetry not in _TRIANGLES:
            near = did_you_mean(crystal_symmetry, _TRIANGLES)
            raise ValueError(
                f"no triangle is known for the class '{crystal_symmetry}'{near} ({listing(_TRIANGLES)});"
                f" give its corners, as in IPFReduction([0, 0, 1], [1, 0, 0], [1, 1, 0])"
            )
        return cls(*_TRIANGLES[crystal_symmetry])

    def __call__(self, vectors: torch.Tensor) -> torch.Tensor:
        """Those of the vectors ``(m, 3)`` that lie inside, not on a side."""
        return vectors[((vectors @ self.n.to(vectors).mT) > 0).all(-1)]


def inverse_pole_figure_points(
    orientations: MRP,
    direction: Any,
    projection: str = "stereographic",
    crystal_symmetry: str = "1",
    sample_symmetry: str = "1",
    reduction: IPFReduction | None = None,
) -> torch.Tensor:
    """The projected directions ``(m, 2)`` of the crystals along a ``direction`` of the sample.

    All images of the direction by the sample's symmetry, the inversion included, are turned into the frame of
    each crystal and by each rotation of its symmetry; kept are those in the upper hemisphere that lie inside
    the triangle of the ``reduction``, by default the standard triangle of cubic crystals.
    """
    project = projection_of(projection)
    inside = reduction or IPFReduction()
    Q = euler_rodrigues(orientations).data.reshape(-1, 3, 3)
    sample = symmetry_operators_as_R2(sample_symmetry, Q.device, include_inversion=True).data.to(Q)
    crystal = symmetry(crystal_symmetry, dtype=Q.dtype, device=Q.device).data
    images = sample @ unit_vector(direction, "the direction").to(Q)  # (sample, 3)
    turned = torch.einsum("cij,nkj,sk->nsci", crystal, Q, images).reshape(-1, 3)
    return project(inside(turned[turned[:, 2] > 0]))
