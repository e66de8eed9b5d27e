"""The Schur complement: two groups of unknowns, eliminated one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from neml2.fields import Dependency, Option, setting
from neml2.registry import register
from neml2.solvers.blocks import Factor, Group, LinearSolver, Matrix, Vector, total
from neml2.solvers.direct import DenseLU
from neml2.values import check_settings


@register
@dataclass(frozen=True)
class SchurComplement:
    r"""Eliminates a primary group of unknowns, solves for the secondary one, and substitutes back.

    .. math::

        Y = A_{pp}^{-1} A_{ps}, \quad z = A_{pp}^{-1} b_p, \quad S = A_{ss} - A_{sp} Y, \quad
        x_s = S^{-1} (b_s - A_{sp} z), \quad x_p = z - Y x_s

    A primary ``block`` group is eliminated site by site: the cost grows linearly with the number of sites.
    A secondary ``block`` group whose sites are not those of the primary group is folded, sites and all, into
    one dense group, since the complement couples its sites.
    """

    SECTION: ClassVar[str] = "Solvers"

    residual_primary_group: int = setting(
        Option("Group of residuals that is eliminated first: 0 or 1", default=0, within="[0, 1]")
    )
    unknown_primary_group: int = setting(
        Option("Group of unknowns that is eliminated first: 0 or 1", default=0, within="[0, 1]")
    )
    primary_solver: LinearSolver = setting(
        Dependency("Solvers", "Linear solver of the primary group", default=DenseLU(), needs="factor")
    )
    schur_solver: LinearSolver = setting(
        Dependency("Solvers", "Linear solver of the complement", default=DenseLU(), needs="factor")
    )

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def DIRECT(self) -> bool:
        """Whether the solution is exact up to round-off."""
        solvers: tuple[Any, ...] = (self.primary_solver, self.schur_solver)
        return all(getattr(s, "DIRECT", False) for s in solvers)

    def factor(self, matrix: Matrix, previous: Factor | None = None) -> Factor:
        """Eliminate. Raises :class:`ValueError` unless there are two groups with a square primary block."""
        if len(matrix.rows) != 2 or len(matrix.columns) != 2:
            raise ValueError(
                f"SchurComplement takes two groups of unknowns and two of residuals,"
                f" got {len(matrix.columns)} and {len(matrix.rows)}; separate the groups by one ';'"
            )
        p, q = self.residual_primary_group, self.unknown_primary_group
        if matrix.rows[p].sites != matrix.columns[q].sites or matrix.rows[p].size != matrix.columns[q].size:
            raise ValueError(
                f"SchurComplement needs a square primary block, but it has {matrix.rows[p].length} residuals"
                f" and {matrix.columns[q].length} unknowns; choose other primary groups"
            )
        secondary = matrix.columns[1 - q]
        if secondary.sites and secondary.sites != matrix.columns[q].sites:
            inner = previous.inner if isinstance(previous, _Unfolded) else None
            return _Unfolded(_eliminated(self, matrix.folded(), inner), matrix)
        return _eliminated(self, matrix, previous)


def _eliminated(settings: SchurComplement, matrix: Matrix, previous: Factor | None) -> _Eliminated:
    rp, cp = settings.residual_primary_group, settings.unknown_primary_group
    rs, cs = 1 - rp, 1 - cp
    last = previous if isinstance(previous, _Eliminated) else None

    def block(i: int, j: int, data: torch.Tensor) -> Matrix:
        return Matrix([[data]], (matrix.rows[i],), (matrix.columns[j],), matrix.batch)

    blocks, sites = matrix.blocks, matrix.columns[cp].sites
    shared = bool(sites) and not matrix.columns[cs].sites
    primary = settings.primary_solver.factor(block(rp, cp, blocks[rp][cp]), last and last.primary)
    Y = primary.solve_columns(blocks[rp][cs])
    correction = product(blocks[rs][cp], Y)
    if shared:
        correction = _over_sites(correction, matrix.batch)
    S = blocks[rs][cs] - correction
    complement = settings.schur_solver.factor(block(rs, cs, S), last and last.complement)
    return _Eliminated(
        primary, complement, Y, blocks[rs][cp], (rp, cp), matrix.batch, sites if shared else ()
    )


@dataclass(frozen=True)
class _Eliminated:
    """The factors of the primary block and of the complement, and what couples them.

    ``shared`` are the sites of the primary group when the secondary one has none and belongs to all of them.
    """

    primary: Factor
    complement: Factor
    Y: torch.Tensor  # (*batch, *sites, n, m)
    Asp: torch.Tensor  # (*batch, *sites, m, n)
    first: tuple[int, int]  # primary row and column
    batch: torch.Size
    shared: tuple[int, ...]

    @property
    def singular(self) -> torch.Tensor:
        return self.primary.singular | self.complement.singular

    def solve(self, b: Vector) -> Vector:
        p, q = self.first
        (z,) = self.primary.solve([b[p]])
        (xs,) = self.complement.solve([b[1 - p] - self._gathered(times(self.Asp, z))])
        xp = z - times(self.Y, self._spread(xs))
        return [xs, xp] if q else [xp, xs]

    def solve_transposed(self, b: Vector) -> Vector:
        p, q = self.first
        (xs,) = self.complement.solve_transposed([b[1 - q] - self._gathered(times(self.Y.mT, b[q]))])
        (xp,) = self.primary.solve_transposed([b[q] - times(self.Asp.mT, self._spread(xs))])
        return [xs, xp] if p else [xp, xs]

    def solve_columns(self, b: torch.Tensor) -> torch.Tensor:
        raise ValueError("SchurComplement takes two groups and cannot be the solver of one of them")

    def _gathered(self, x: torch.Tensor) -> torch.Tensor:
        """``(*batch, *sites, m)`` summed over the shared sites."""
        return _over_sites(x[..., None], self.batch).squeeze(-1) if self.shared else x

    def _spread(self, x: torch.Tensor) -> torch.Tensor:
        """The secondary unknowns at each of the shared sites."""
        return x.reshape(*x.shape[:-1], *(1 for _ in self.shared), x.shape[-1])


@dataclass(frozen=True)
class _Unfolded:
    """The solutions of a folded system, in the groups that the matrix has."""

    inner: _Eliminated
    matrix: Matrix

    @property
    def singular(self) -> torch.Tensor:
        return self.inner.singular

    def solve(self, b: Vector) -> Vector:
        return self._through(self.inner.solve, b, self.matrix.columns)

    def solve_transposed(self, b: Vector) -> Vector:
        return self._through(self.inner.solve_transposed, b, self.matrix.rows)

    def solve_columns(self, b: torch.Tensor) -> torch.Tensor:
        return self.inner.solve_columns(b)

    def _through(self, solve: Callable[[Vector], Vector], b: Vector, groups: Sequence[Group]) -> Vector:
        batch = self.matrix.batch
        x = solve([v.reshape(*batch, -1) for v in b])
        return [v.reshape(*batch, *g.sites, g.size) for v, g in zip(x, groups, strict=True)]


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``(..., n, k)`` times ``(..., k, m)``, every addition element by element over the points."""
    out = a[..., :, 0, None] * b[..., None, 0, :]
    for k in range(1, a.shape[-1]):
        out = out + a[..., :, k, None] * b[..., None, k, :]
    return out


def times(a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """``(..., n, k)`` times ``(..., k)``."""
    return product(a, x[..., None]).squeeze(-1)


def _over_sites(x: torch.Tensor, batch: torch.Size) -> torch.Tensor:
    """The sum over the sites of ``(*batch, *sites, n, m)``."""
    return total(x.reshape(*batch, -1, *x.shape[-2:]), len(batch))
