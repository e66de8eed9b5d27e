"""Vectors and matrices by variable (sparse) and by group (assembled), with the layouts of their axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from neml2.errors import MissingVariable
from neml2.registry import did_you_mean, listing
from neml2.solvers.blocks import Matrix, joined, parted, squared_norm
from neml2.system import Layout
from neml2.types import TensorWrapper
from neml2.types.shapes import broadcast_shapes
from neml2.values import as_typed


class AxisLayout(Layout):
    """Which variables an axis of a vector or matrix consists of, in which groups."""

    def __init__(
        self,
        groups: Sequence[Sequence[str]],
        specs: Mapping[str, type[TensorWrapper]],
        sub_batch_shapes: Mapping[str, Sequence[int]] | None = None,
        structure: Sequence[str] | None = None,
    ) -> None:
        shapes = sub_batch_shapes or {}
        names = tuple(tuple(group) for group in groups)
        missing = [n for group in names for n in group if n not in specs]
        if missing:
            raise MissingVariable(f"no type is given for {listing(missing)}; specs has {listing(specs)}")
        super().__init__(
            names,
            dict(specs),
            {n: tuple(shapes.get(n, ())) for group in names for n in group},
            tuple(s.lower() for s in structure) if structure else ("dense",) * len(names),
        )

    @staticmethod
    def of(layout: Layout) -> AxisLayout:
        """A layout of the solvers under this interface."""
        return AxisLayout(layout.names, layout.kinds, layout.sub_batch, layout.structures)

    @property
    def variables(self) -> tuple[str, ...]:
        """All names in order."""
        return tuple(n for group in self.names for n in group)

    def group(self, i: int) -> AxisLayout:
        """The layout of one group."""
        return AxisLayout([self.names[i]], self.kinds, self.sub_batch, [self.structures[i]])


@dataclass(frozen=True)
class SparseVector:
    """Values by name; names without a value are zero."""

    layout: AxisLayout
    values: dict[str, TensorWrapper]

    def __post_init__(self) -> None:
        for n, v in self.values.items():
            if n not in self.layout.variables:
                raise MissingVariable(
                    f"'{n}' is not in the layout{did_you_mean(n, self.layout.variables)}"
                    f" ({listing(self.layout.variables)})"
                )
            self.values[n] = as_typed(v, self.layout.kinds[n], f"'{n}'")

    @classmethod
    def from_dict(cls, layout: AxisLayout, values: Mapping[str, Any]) -> SparseVector:
        """The values of ``layout``; other names are left out."""
        return cls(layout, {n: values[n] for n in layout.variables if n in values})

    @classmethod
    def from_flat(cls, layout: AxisLayout, flat: torch.Tensor) -> SparseVector:
        """From one vector ``(*batch, n)``."""
        return AssembledVector.from_flat(layout, flat).disassemble()

    @property
    def batch(self) -> torch.Size:
        """The dynamic batch of the values."""
        return broadcast_shapes(*[v.dynamic_batch_shape for v in self.values.values()])

    def assemble(self) -> AssembledVector:
        """One tensor per group."""
        values = dict(self.values)
        like = next((v.data for v in values.values()), torch.zeros((), dtype=torch.float64))
        for n in self.layout.variables:
            kind = self.layout.kinds[n]
            values.setdefault(n, kind._new(like.new_zeros(kind.BASE_SHAPE)))
        return AssembledVector(self.layout, self.layout.flatten(values, self.batch))

    def group(self, i: int) -> SparseVector:
        """The values of one group."""
        return SparseVector.from_dict(self.layout.group(i), self.values)

    def to_flat(self) -> torch.Tensor:
        """One vector ``(*batch, n)``."""
        return self.assemble().to_flat()

    def norm_sq(self) -> torch.Tensor:
        """Sum of the squares of all entries, ``(*batch)``."""
        return self.assemble().norm_sq()

    def norm(self) -> torch.Tensor:
        """Its root."""
        return self.norm_sq().sqrt()


@dataclass(frozen=True)
class AssembledVector:
    """One tensor per group."""

    layout: AxisLayout
    data: list[torch.Tensor]

    @classmethod
    def from_dict(cls, layout: AxisLayout, values: Mapping[str, Any]) -> AssembledVector:
        """From values by name."""
        return SparseVector.from_dict(layout, values).assemble()

    @classmethod
    def from_flat(cls, layout: AxisLayout, flat: torch.Tensor) -> AssembledVector:
        """From one vector ``(*batch, n)``."""
        return cls(layout, parted(flat, layout.groups, flat.shape[:-1]))

    @property
    def batch(self) -> torch.Size:
        """The dynamic batch."""
        return self.data[0].shape[: self.data[0].ndim - 1 - len(self.layout.groups[0].sites)]

    def disassemble(self) -> SparseVector:
        """The values by name."""
        return SparseVector(self.layout, self.layout.unflatten(self.data, self.batch))

    def group(self, i: int) -> torch.Tensor:
        """The tensor of one group."""
        return self.data[i]

    def to_flat(self) -> torch.Tensor:
        """All groups in one vector ``(*batch, n)``."""
        return joined(self.data, self.layout.groups, self.batch)

    def norm_sq(self) -> torch.Tensor:
        """Sum of the squares of all entries, ``(*batch)``."""
        return squared_norm(self.data, self.batch)

    def norm(self) -> torch.Tensor:
        """Its root."""
        return self.norm_sq().sqrt()

    def __neg__(self) -> AssembledVector:
        return AssembledVector(self.layout, [-v for v in self.data])

    def __add__(self, other: AssembledVector) -> AssembledVector:
        return AssembledVector(self.layout, [a + b for a, b in zip(self.data, other.data, strict=True)])

    def __sub__(self, other: AssembledVector) -> AssembledVector:
        return self + -other


@dataclass(frozen=True)
class SparseMatrix:
    """Derivatives by pairs of names, flattened to ``(*batch, rows, columns)``; missing pairs are zero.

    Between variables of block groups the sub-batch is in front, ``(*batch, *sub_batch, rows, columns)``.
    """

    row_layout: AxisLayout
    col_layout: AxisLayout
    values: dict[str, dict[str, torch.Tensor]]

    def assemble(self) -> AssembledMatrix:
        """One tensor per pair of groups."""
        known = [v for row in self.values.values() for v in row.values()]
        rows, columns = self.row_layout, self.col_layout
        blocks: list[list[torch.Tensor]] = []
        batch: torch.Size | None = None
        for row, group in zip(rows.names, rows.groups, strict=True):
            blocks.append([])
            for column, other in zip(columns.names, columns.groups, strict=True):
                sites = group.sites or other.sites
                found = [self.values.get(r, {}).get(c) for r in row for c in column]
                for v in found:
                    if v is not None:
                        batch = v.shape[: v.ndim - 2 - len(sites)]
                parts = iter(found)
                cells = [
                    [_cell(next(parts), n, m, sites, batch, known[0]) for m in other.sizes]
                    for n in group.sizes
                ]
                blocks[-1].append(torch.cat([torch.cat(line, -1) for line in cells], -2))
        return AssembledMatrix(rows, columns, blocks)


def _cell(
    value: torch.Tensor | None,
    n: int,
    m: int,
    sites: tuple[int, ...],
    batch: torch.Size | None,
    like: torch.Tensor,
) -> torch.Tensor:
    return like.new_zeros((*(batch or ()), *sites, n, m)) if value is None else value


@dataclass(frozen=True)
class AssembledMatrix:
    """One tensor per pair of groups."""

    row_layout: AxisLayout
    col_layout: AxisLayout
    blocks: list[list[torch.Tensor]]

    @property
    def batch(self) -> torch.Size:
        """The dynamic batch."""
        block = self.blocks[0][0]
        sites = self.row_layout.groups[0].sites or self.col_layout.groups[0].sites
        return block.shape[: block.ndim - 2 - len(sites)]

    def group(self, i: int, j: int) -> torch.Tensor:
        """The block of row group ``i`` and column group ``j``."""
        return self.blocks[i][j]

    def disassemble(self) -> SparseMatrix:
        """The blocks by pairs of names."""
        values: dict[str, dict[str, torch.Tensor]] = {n: {} for n in self.row_layout.variables}
        for i, (names, group) in enumerate(zip(self.row_layout.names, self.row_layout.groups, strict=True)):
            for j, columns in enumerate(self.col_layout.names):
                for n, line in zip(names, self.blocks[i][j].split(group.sizes, -2), strict=True):
                    cells = line.split(self.col_layout.groups[j].sizes, -1)
                    values[n].update(zip(columns, cells, strict=True))
        return SparseMatrix(self.row_layout, self.col_layout, values)

    def to_flat(self) -> torch.Tensor:
        """All groups in one matrix ``(*batch, rows, columns)``, sub-batches folded in."""
        return Matrix(self.blocks, self.row_layout.groups, self.col_layout.groups, self.batch).dense()
