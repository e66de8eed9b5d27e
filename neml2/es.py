"""Equation systems with a state: the interface that NEML2's scripts use, over :mod:`neml2.system`.

A :class:`~neml2.system.NonlinearSystem` is a record of a model and its unknowns; everything else is a
function of values. :class:`ModelNonlinearSystem` puts values to it, so that a script can set unknowns and
givens one after the other, ask for matrices, and hand the whole to ``Newton().solve(system)``. This is what
:func:`neml2.load_nonlinear_system` returns; its ``system`` is the record, which an
:class:`~neml2.implicit.ImplicitUpdate` takes. Nothing in the library itself needs this module.

Signs: ``b = -r``, ``A = dr/du``, ``B = dr/dg``; so the Newton step is ``du = A^-1 b`` and the derivative of
the solution ``du/dg = -A^-1 B``.

Shapes: a *dense* group is one vector ``(*batch, n)``, with the sub-batch axes of its variables folded in; a
*block* group keeps them, ``(*batch, *sub_batch, n)``. Blocks of matrices are as in
:mod:`neml2.solvers.blocks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch

from neml2.errors import MissingVariable
from neml2.model import Model
from neml2.registry import did_you_mean, listing
from neml2.solvers.blocks import Matrix, joined, parted, squared_norm
from neml2.solvers.status import Solution, Status
from neml2.system import Layout, Linearised, NonlinearSystem, ResidualProblem, unknown_layout
from neml2.types import TensorWrapper
from neml2.values import as_typed


class RetCode(IntEnum):
    """How a solve of the whole batch ended."""

    SUCCESS = 0
    MAXITER = 1
    FAILURE = 2


@dataclass(frozen=True)
class NonlinearResult:
    """What ``Newton().solve(system)`` returns; ``solution`` has the status of every point."""

    ret: RetCode
    iterations: int
    log: tuple[str, ...] = ()
    solution: Solution | None = None


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
        return torch.broadcast_shapes(*[v.dynamic_batch_shape for v in self.values.values()])

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


class ModelNonlinearSystem:
    """A nonlinear system with values for its unknowns ``u`` and its givens ``g``.

    Built from a :class:`~neml2.system.NonlinearSystem`, or from a model and the options of one.
    """

    def __init__(
        self,
        system: NonlinearSystem | Model,
        unknowns: str = "",
        residuals: str = "",
        structure: Sequence[str] = (),
    ) -> None:
        if isinstance(system, Model):
            system = NonlinearSystem(system, unknowns, residuals, list(structure))
        self.system = system
        self._u: dict[str, TensorWrapper] = {}
        self._g: dict[str, TensorWrapper] = {}

    @property
    def model(self) -> Model:
        """The residual model."""
        return self.system.model

    @property
    def unknown_names(self) -> tuple[str, ...]:
        """Names of the unknowns, in order."""
        return self.system.unknown_names

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of the residuals, in order."""
        return self.system.residual_names

    @property
    def given_names(self) -> tuple[str, ...]:
        """Names of the other inputs of the model, in order."""
        return self.system.given_names

    @property
    def unknown_groups(self) -> tuple[tuple[str, ...], ...]:
        """Names of the unknowns, group by group."""
        return self.system.unknown_groups

    @property
    def residual_groups(self) -> tuple[tuple[str, ...], ...]:
        """Names of the residuals, group by group."""
        return self.system.residual_groups

    # ---------------------------------------------------------------- layouts: they follow the values

    @property
    def ulayout(self) -> AxisLayout:
        """The layout of the unknowns."""
        return AxisLayout.of(unknown_layout(self.system, self._g, self._u))

    @property
    def blayout(self) -> AxisLayout:
        """The layout of the residuals."""
        return AxisLayout.of(
            ResidualProblem(self.system, self._g, self.ulayout, torch.Size()).residual_layout
        )

    @property
    def glayout(self) -> AxisLayout:
        """The layout of the givens: one dense group."""
        shapes = {n: tuple(v.sub_batch_shape) for n, v in self._g.items()}
        return AxisLayout([self.given_names], self.model.input_spec, shapes)

    # ---------------------------------------------------------------- values

    def to_sparse(
        self,
        u: Mapping[str, Any],
        g: Mapping[str, Any],
        sub_batch_ndim: Mapping[str, int] | None = None,
    ) -> tuple[SparseVector, SparseVector]:
        """Values by name, raw or typed, as sparse vectors; ``sub_batch_ndim`` says it for raw tensors."""
        ranks = sub_batch_ndim or {}
        kinds = self.model.input_spec
        typed = [{n: self._typed(n, v, kinds, ranks.get(n)) for n, v in values.items()} for values in (u, g)]
        ulayout = unknown_layout(self.system, typed[1], typed[0])
        shapes = {n: tuple(v.sub_batch_shape) for n, v in typed[1].items()}
        glayout = AxisLayout([self.given_names], kinds, shapes)
        return SparseVector(AxisLayout.of(ulayout), typed[0]), SparseVector(glayout, typed[1])

    def _typed(
        self, name: str, value: Any, kinds: Mapping[str, type[TensorWrapper]], rank: int | None
    ) -> TensorWrapper:
        if name not in kinds:
            raise MissingVariable(
                f"{self.model} has no input '{name}'{did_you_mean(name, kinds)} ({listing(kinds)})"
            )
        typed = as_typed(value, kinds[name], f"'{name}'")
        return typed if rank is None else typed.with_sub_batch_ndim(rank)

    def initialize(self, *, u: Any, g: Any) -> None:
        """Set unknowns (the guess) and givens."""
        self.set_g(g)
        self.set_u(u)

    def set_u(self, u: Any) -> None:
        """Set the unknowns: values by name, or a vector."""
        self._u = self._known(u, self.unknown_names)

    def set_g(self, g: Any) -> None:
        """Set the givens: values by name, or a vector."""
        self._g = self._known(g, self.given_names)

    def _known(self, values: Any, names: Sequence[str]) -> dict[str, TensorWrapper]:
        if isinstance(values, AssembledVector):
            values = values.disassemble()
        if isinstance(values, SparseVector):
            values = values.values
        for n in values:
            if n not in names:
                raise MissingVariable(f"'{n}' is none of {listing(names)}{did_you_mean(n, names)}")
        return {n: self._typed(n, v, self.model.input_spec, None) for n, v in values.items()}

    def u(self) -> AssembledVector:
        """The unknowns."""
        return AssembledVector(self.ulayout, self._guess()[1])

    def g(self) -> AssembledVector:
        """The givens."""
        return SparseVector(self.glayout, dict(self._g)).assemble()

    # ---------------------------------------------------------------- residual and derivatives

    def assemble(
        self, need_A: bool = True, need_B: bool = True, need_b: bool = True
    ) -> tuple[AssembledMatrix | None, AssembledMatrix | None, AssembledVector | None]:
        """``(A, B, b)`` at the present values; what is not needed is ``None``."""
        problem, u = self._guess()
        rows, columns = self.blayout, self.ulayout
        A = B = None
        if need_A:
            here = problem.linearise(u)
            A = AssembledMatrix(rows, columns, here.jacobian().blocks)
            residual = here.residual
        else:
            residual = problem.residual(u)
        if need_B:
            B = AssembledMatrix(rows, self.glayout, self._by_givens(problem, u))
        return A, B, AssembledVector(rows, [-r for r in residual]) if need_b else None

    def A(self) -> AssembledMatrix:
        """``dr/du``."""
        return self.assemble(True, False, False)[0]  # type: ignore[return-value]

    def B(self) -> AssembledMatrix:
        """``dr/dg``."""
        return self.assemble(False, True, False)[1]  # type: ignore[return-value]

    def b(self) -> AssembledVector:
        """``-r``."""
        return self.assemble(False, False, True)[2]  # type: ignore[return-value]

    def A_and_b(self) -> tuple[AssembledMatrix, AssembledVector]:
        """``dr/du`` and ``-r``."""
        A, _, b = self.assemble(True, False, True)
        return A, b  # type: ignore[return-value]

    def A_and_B(self) -> tuple[AssembledMatrix, AssembledMatrix]:
        """``dr/du`` and ``dr/dg``."""
        A, B, _ = self.assemble(True, True, False)
        return A, B  # type: ignore[return-value]

    def A_and_B_and_b(self) -> tuple[AssembledMatrix, AssembledMatrix, AssembledVector]:
        """``dr/du``, ``dr/dg`` and ``-r``."""
        return self.assemble()  # type: ignore[return-value]

    def _by_givens(self, problem: ResidualProblem, u: list[torch.Tensor]) -> list[list[torch.Tensor]]:
        layout, batch = self.glayout, problem.batch
        with torch.enable_grad():
            leaves = [v.detach().requires_grad_(True) for v in layout.flatten(self._g, batch)]
            values = layout.unflatten(leaves, batch)
            graph = ResidualProblem(self.system, values, problem.unknown_layout, batch).evaluate(
                [v.detach() for v in u]
            )
        here = Linearised(graph, graph, leaves, self.blayout.groups, layout.groups, batch)
        return here.jacobian().blocks

    def _guess(self) -> tuple[ResidualProblem, list[torch.Tensor]]:
        optional = self.model.optional_inputs
        for kind, names, values in (
            ("unknown", self.unknown_names, self._u),
            ("given", self.given_names, self._g),
        ):
            missing = [n for n in names if n not in values and n not in optional]
            if missing:
                raise MissingVariable(
                    f"no value for the {kind} {listing(missing)}; call initialize(u=..., g=...)"
                )
        shapes = [v.dynamic_batch_shape for v in self._u.values()]
        batch = torch.broadcast_shapes(self.model.batch_shape(self._g), *shapes)
        layout = self.ulayout
        return ResidualProblem(self.system, self._g, layout, batch), layout.flatten(self._u, batch)

    def solved_by(self, solver: Any) -> NonlinearResult:
        """What ``solver.solve(system)`` does: start from the unknowns, and set them to the solution."""
        problem, guess = self._guess()
        with torch.no_grad():
            solution = solver.solve(problem, guess)
        self._u = problem.unknown_layout.unflatten(solution.value, problem.batch)
        return NonlinearResult(
            _verdict(solution), int(solution.iterations.max()), (solution.describe(),), solution
        )


def _verdict(solution: Solution) -> RetCode:
    if solution.succeeded:
        return RetCode.SUCCESS
    out_of_steps = solution.converged | (solution.status == Status.MAX_ITERATIONS)
    return RetCode.MAXITER if bool(out_of_steps.all()) else RetCode.FAILURE
