"""Direct linear solvers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from neml2.registry import register
from neml2.solvers.blocks import Factor, Matrix, Vector, joined, parted
from neml2.solvers.lu import LU, lu


@register
@dataclass(frozen=True)
class DenseLU:
    """LU factorisation with row pivoting of a single group."""

    SECTION: ClassVar[str] = "Solvers"
    DIRECT: ClassVar[bool] = True

    def factor(self, matrix: Matrix, previous: Factor | None = None) -> Factor:
        """Factorise; raises :class:`ValueError` for more than one group."""
        del previous
        if len(matrix.rows) != 1 or len(matrix.columns) != 1:
            raise ValueError(
                f"DenseLU takes one group of unknowns, got {len(matrix.columns)};"
                f" remove the ';' from the unknowns or use SchurComplement"
            )
        return _OneGroup(lu(matrix.blocks[0][0]), matrix.batch)


@dataclass(frozen=True)
class _OneGroup:
    factors: LU
    batch: torch.Size

    @property
    def singular(self) -> torch.Tensor:
        return self.factors.singular.unsqueeze(-1).flatten(len(self.batch)).any(-1)

    def solve(self, b: Vector) -> Vector:
        return [self.factors.solve(b[0])]

    def solve_transposed(self, b: Vector) -> Vector:
        return [self.factors.solve_transposed(b[0])]

    def solve_columns(self, b: torch.Tensor) -> torch.Tensor:
        return self.factors.solve(b)


@dataclass(frozen=True)
class EverythingDense:
    """All groups folded into one matrix: the fallback for sensitivities, whatever solver the Newton uses."""

    DIRECT: ClassVar[bool] = True

    def factor(self, matrix: Matrix, previous: Factor | None = None) -> Factor:
        """Factorise."""
        del previous
        return _Folded(lu(matrix.dense()), matrix)


@dataclass(frozen=True)
class _Folded:
    factors: LU
    matrix: Matrix

    @property
    def singular(self) -> torch.Tensor:
        return self.factors.singular

    def solve(self, b: Vector) -> Vector:
        m = self.matrix
        return parted(self.factors.solve(joined(b, m.rows, m.batch)), m.columns, m.batch)

    def solve_transposed(self, b: Vector) -> Vector:
        m = self.matrix
        return parted(self.factors.solve_transposed(joined(b, m.columns, m.batch)), m.rows, m.batch)

    def solve_columns(self, b: torch.Tensor) -> torch.Tensor:
        return self.factors.solve(b)
