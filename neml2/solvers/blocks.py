"""Vectors and matrices in groups of unknowns, and the solvers' view of them.

A *dense* group is one flat vector ``(*batch, n)``. A *block* group keeps its sub-batch as batch axes,
``(*batch, *sites, n)``, and two block groups with the same sites are coupled site by site only. So the
coupling of row group i and column group j is

======== ======== ========================== =====================
row      column   shape                      meaning
======== ======== ========================== =====================
dense    dense    ``(*batch, n, m)``         matrix
block    block    ``(*batch, *sites, n, m)`` one matrix per site
block    dense    ``(*batch, *sites, n, m)`` a row of matrices each
dense    block    ``(*batch, *sites, n, m)`` summed over the sites
======== ======== ========================== =====================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

Vector = list[torch.Tensor]  # one tensor per group


@dataclass(frozen=True)
class Group:
    """A group of variables: its flat length, and the shape of its sites (``()`` for a dense group)."""

    size: int
    sites: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()  # the flat length of each of its variables

    @property
    def length(self) -> int:
        """Number of scalars of one point."""
        return self.size * math.prod(self.sites)


@dataclass(frozen=True)
class Matrix:
    """A matrix in groups; ``blocks[i][j]`` couples residual group i to unknown group j."""

    blocks: list[list[torch.Tensor]]
    rows: tuple[Group, ...]
    columns: tuple[Group, ...]
    batch: torch.Size

    def dense(self) -> torch.Tensor:
        """All groups in one matrix ``(*batch, n, n)``, sites folded in."""
        rows = [
            torch.cat([self._folded(i, j) for j in range(len(self.columns))], -1)
            for i in range(len(self.rows))
        ]
        return torch.cat(rows, -2)

    def times(self, vector: Vector) -> Vector:
        """The product with a vector, one tensor per row group."""
        return [
            sum_of(self._part(i, j, vector[j]) for j in range(len(self.columns)))
            for i in range(len(self.rows))
        ]

    def _part(self, i: int, j: int, x: torch.Tensor) -> torch.Tensor:
        row, column, nb = self.rows[i], self.columns[j], len(self.batch)
        if row.sites and not column.sites:
            x = x.reshape(*self.batch, *(1 for _ in row.sites), column.size)
        y = total(self.blocks[i][j] * x.unsqueeze(-2), -1)  # (*batch, *sites, n)
        return total(y.flatten(nb, -2), nb) if column.sites and not row.sites else y

    def absolute(self) -> Matrix:
        """The matrix of the absolute values."""
        blocks = [[block.abs() for block in row] for row in self.blocks]
        return Matrix(blocks, self.rows, self.columns, self.batch)

    def folded(self) -> Matrix:
        """The same matrix with dense groups only."""
        blocks = [[self._folded(i, j) for j in range(len(self.columns))] for i in range(len(self.rows))]
        rows = tuple(Group(g.length, (), (g.length,)) for g in self.rows)
        columns = tuple(Group(g.length, (), (g.length,)) for g in self.columns)
        return Matrix(blocks, rows, columns, self.batch)

    def _folded(self, i: int, j: int) -> torch.Tensor:
        row, column, block = self.rows[i], self.columns[j], self.blocks[i][j]
        nb = len(self.batch)
        if not row.sites and not column.sites:
            return block
        block = block.flatten(nb, -3)  # (*batch, sites, n, m)
        if row.sites and column.sites:
            sites = block.shape[nb]
            spread = torch.eye(sites, dtype=block.dtype, device=block.device)
            block = block.unsqueeze(nb + 1) * spread[:, :, None, None]  # (*batch, sites, sites, n, m)
            block = block.transpose(-3, -2)
            return block.reshape(*self.batch, row.length, column.length)
        if row.sites:
            return block.reshape(*self.batch, row.length, column.size)
        return block.transpose(-3, -2).reshape(*self.batch, row.size, column.length)

    def transposed(self) -> Matrix:
        """The transpose, groups and all."""
        blocks = [
            [self.blocks[i][j].transpose(-1, -2) for i in range(len(self.rows))]
            for j in range(len(self.columns))
        ]
        return Matrix(blocks, self.columns, self.rows, self.batch)


def joined(vector: Vector, groups: Sequence[Group], batch: torch.Size) -> torch.Tensor:
    """All groups one behind the other: ``(*batch, n)``."""
    if len(vector) == 1 and not groups[0].sites:
        return vector[0]
    return torch.cat([v.reshape(*batch, g.length) for v, g in zip(vector, groups, strict=True)], -1)


def parted(flat: torch.Tensor, groups: Sequence[Group], batch: torch.Size) -> Vector:
    """The inverse of :func:`joined`."""
    parts = flat.split([g.length for g in groups], -1)
    return [p.reshape(*batch, *g.sites, g.size) for p, g in zip(parts, groups, strict=True)]


def squared_norm(vector: Vector, batch: torch.Size) -> torch.Tensor:
    """Sum of the squares of all entries of each point, ``(*batch)``."""
    found = torch.zeros((), dtype=vector[0].dtype, device=vector[0].device)
    for v in vector:  # the order of the additions of a sum depends on the layout
        found = found + (v * v).flatten(len(batch)).contiguous().sum(-1)
    return found


def wide(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """One entry per point, ``(*batch)``, with axes added to broadcast against ``(*batch, ...)``."""
    return mask.reshape((*mask.shape, *(1,) * (like.ndim - mask.ndim)))


def sum_of(terms: Iterable[torch.Tensor]) -> torch.Tensor:
    """The sum of at least one tensor."""
    first, *others = terms
    for term in others:
        first = first + term
    return first


def total(x: torch.Tensor, axis: int) -> torch.Tensor:
    """The sum along ``axis``, by halves: element by element over the rest, so the same for any batch."""
    x = x.movedim(axis, 0)
    if len(x) == 0:
        return x.sum(0)
    while len(x) > 1:
        half, rest = len(x) // 2, x[len(x) // 2 * 2 :]
        x = x[:half] + x[half : 2 * half]
        x = torch.cat([x, rest]) if len(rest) else x
    return x[0]


class Factor(Protocol):
    """A linear system that is ready to be solved, once or many times."""

    @property
    def singular(self) -> torch.Tensor:
        """Which points have no solution, boolean ``(*batch)``."""

    def solve(self, b: Vector) -> Vector:
        """Solve for one right-hand side."""

    def solve_transposed(self, b: Vector) -> Vector:
        """Solve the transposed system."""

    def solve_columns(self, b: torch.Tensor) -> torch.Tensor:
        """Solve a system of one group for many right-hand sides, ``(*batch, *sites, n, columns)``."""


class LinearSolver(Protocol):
    """Prepares linear systems. The attribute ``DIRECT`` says whether solutions are exact to round-off."""

    def factor(self, matrix: Matrix, previous: Factor | None = None) -> Factor:
        """Prepare ``matrix``; ``previous`` is what it made in the last Newton iteration of the same solve.

        Raises :class:`ValueError` for groups that the method does not take.
        """


class Linearisation(Protocol):
    """A residual and, on demand, its Jacobian at the same unknowns."""

    residual: Vector

    def jacobian(self) -> Matrix:
        """The Jacobian there."""


class Problem(Protocol):
    """What Newton's method needs to know."""

    @property
    def batch(self) -> torch.Size:
        """The dynamic batch."""

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of the residual variables, for messages."""

    def linearise(self, unknowns: Vector) -> Linearisation:
        """The residual at ``unknowns``, ready to be differentiated."""

    def residual(self, unknowns: Vector) -> Vector:
        """The residual alone."""

    def worst(self, residual: Vector) -> torch.Tensor:
        """Index into ``residual_names`` of the variable with the largest entry, ``(*batch)``."""
