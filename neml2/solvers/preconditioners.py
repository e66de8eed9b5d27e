"""Preconditioners of the Krylov methods: cheap approximate inverses.

They work on one matrix for all groups with the points last, ``(n, n, points)``, element by element over the
points, so that a point's solution does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch

from neml2.registry import register
from neml2.solvers.blocks import Group
from neml2.solvers.lu import lu

Apply = Callable[[torch.Tensor], torch.Tensor]  # (n, points) -> (n, points)


class Preconditioner(Protocol):
    """Makes an approximate inverse of a matrix."""

    def prepare(self, matrix: torch.Tensor, columns: tuple[Group, ...]) -> Apply:
        """The approximate inverse of ``matrix`` ``(n, n, points)``, whose unknowns are in groups ``columns``.

        Raises :class:`ValueError` for more than one group where the method takes one.
        """


@register
@dataclass(frozen=True)
class NoPreconditioner:
    """Does nothing."""

    SECTION: ClassVar[str] = "Solvers"

    def prepare(self, matrix: torch.Tensor, columns: tuple[Group, ...]) -> Apply:
        """The identity."""
        del matrix, columns
        return lambda b: b


@register
@dataclass(frozen=True)
class JacobiPreconditioner:
    """The inverse of the diagonal; entries smaller than the machine epsilon are replaced by it."""

    SECTION: ClassVar[str] = "Solvers"

    def prepare(self, matrix: torch.Tensor, columns: tuple[Group, ...]) -> Apply:
        """The inverse diagonal."""
        _one_group(self, columns)
        diagonal = matrix.diagonal().mT  # (n, points)
        inverse = 1 / _kept_from_zero(diagonal)
        return lambda b: inverse * b


@register
@dataclass(frozen=True)
class BlockJacobiPreconditioner:
    """The inverse of every unknown variable's own diagonal block, or of its diagonal where it is singular."""

    SECTION: ClassVar[str] = "Solvers"

    def prepare(self, matrix: torch.Tensor, columns: tuple[Group, ...]) -> Apply:
        """The LU factors of the diagonal blocks."""
        (group,) = _one_group(self, columns)
        sizes = group.sizes or (group.size,)
        ends = torch.tensor(sizes).cumsum(0).tolist()
        parts = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        inverses = [_inverse(matrix[part, part]) for part in parts]

        def apply(b: torch.Tensor) -> torch.Tensor:
            return torch.cat([inverse(b[part]) for inverse, part in zip(inverses, parts, strict=True)])

        return apply


@register
@dataclass(frozen=True)
class FullPreconditioner:
    """The LU factors of the whole matrix: worth its price when it is kept for several matrices."""

    SECTION: ClassVar[str] = "Solvers"

    def prepare(self, matrix: torch.Tensor, columns: tuple[Group, ...]) -> Apply:
        """The LU factors."""
        _one_group(self, columns)
        return _inverse(matrix)


def _one_group(who: Preconditioner, columns: tuple[Group, ...]) -> tuple[Group, ...]:
    if len(columns) != 1 or columns[0].sites:
        raise ValueError(
            f"{type(who).__name__} takes one dense group of unknowns; remove the ';' from the unknowns or use"
            f" NoPreconditioner"
        )
    return columns


def _inverse(matrix: torch.Tensor) -> Apply:
    factors = lu(matrix.permute(2, 0, 1))
    diagonal = _kept_from_zero(matrix.diagonal().mT)

    def apply(b: torch.Tensor) -> torch.Tensor:
        return torch.where(factors.singular, b / diagonal, factors.solve(b.mT).mT)

    return apply


def _kept_from_zero(x: torch.Tensor) -> torch.Tensor:
    eps = torch.finfo(x.dtype).eps
    return torch.where(x.abs() < eps, torch.where(x < 0, -eps, eps), x)
