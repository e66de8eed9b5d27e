"""`ModelNonlinearSystem`: a nonlinear system that holds its unknowns and givens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch

from neml2.errors import MissingVariable
from neml2.es.arrays import AssembledMatrix, AssembledVector, AxisLayout, SparseVector
from neml2.model import Model
from neml2.registry import did_you_mean, listing
from neml2.solvers.status import Solution, Status
from neml2.system import Linearised, NonlinearSystem, ResidualProblem, unknown_layout
from neml2.types import TensorWrapper
from neml2.types.shapes import broadcast_shapes
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
        batch = broadcast_shapes(self.model.batch_shape(self._g), *shapes)
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
