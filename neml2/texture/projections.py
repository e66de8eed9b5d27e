"""From the upper unit hemisphere to a disc and back."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch

from neml2.registry import did_you_mean, listing
from neml2.types import Vec


class StereographicProjection:
    """The stereographic projection from the south pole: it keeps angles and fills the unit disc."""

    limit: ClassVar[float] = 1.0

    def __call__(self, v: torch.Tensor | Vec) -> torch.Tensor:
        """Unit vectors ``(*shape, 3)`` to points ``(*shape, 2)``."""
        x, y, z = _data(v).unbind(-1)
        return torch.stack([x, y], -1) / (1 + z)[..., None]

    def inverse(self, p: torch.Tensor) -> torch.Tensor:
        """Points ``(*shape, 2)`` to unit vectors ``(*shape, 3)``."""
        square = (p * p).sum(-1, keepdim=True)
        return torch.cat([2 * p, 1 - square], -1) / (1 + square)


class LambertProjection:
    """Lambert's projection: it keeps areas and fills a disc of radius sqrt(2)."""

    limit: ClassVar[float] = math.sqrt(2.0)

    def __call__(self, v: torch.Tensor | Vec) -> torch.Tensor:
        """Unit vectors ``(*shape, 3)`` to points ``(*shape, 2)``."""
        x, y, z = _data(v).unbind(-1)
        return torch.sqrt(2 / (1 + z))[..., None] * torch.stack([x, y], -1)

    def inverse(self, p: torch.Tensor) -> torch.Tensor:
        """Points ``(*shape, 2)`` to unit vectors ``(*shape, 3)``."""
        square = (p * p).sum(-1, keepdim=True)
        return torch.cat([torch.sqrt(1 - square / 4) * p, 1 - square / 2], -1)


Projection = StereographicProjection | LambertProjection
available_projections: dict[str, Projection] = {
    "stereographic": StereographicProjection(),
    "lambert": LambertProjection(),
}


def projection_of(name: str) -> Projection:
    """The projection of that name; :class:`ValueError` with the nearest spelling if there is none."""
    if name not in available_projections:
        near = did_you_mean(name, available_projections)
        raise ValueError(f"there is no projection '{name}'{near} ({listing(available_projections)})")
    return available_projections[name]


def unit_vector(v: Any, name: str) -> torch.Tensor:
    """A pole or direction as a unit vector ``(3,)``."""
    data = torch.as_tensor(getattr(v, "data", v), dtype=torch.float64).detach()
    length = torch.linalg.vector_norm(data)
    if data.shape != (3,) or not bool(length > 0):
        raise ValueError(f"{name} is {data.tolist()}; give three components that are not all zero")
    return data / length


def _data(v: Any) -> torch.Tensor:
    return v.data if isinstance(v, Vec) else v
