"""What pyzag's solver sees of a chunk of times: its operator, its Jacobian, and its multipliers."""
# mypy: disable-error-code="import-untyped,import-not-found"

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from pyzag.chunktime import (
    BidiagonalForwardOperator,
    ChunkNewtonRaphson,
)
from pyzag.nonlinear import NonlinearFunctionOperator
from pyzag.ode import DenseODEWrapper
from pyzag.operators.base import BlockVector
from pyzag.operators.dense import DenseBlockJacobian, DenseBlockOperator, DenseBlockVector

from neml2 import log
from neml2.errors import ConvergenceError
from neml2.recurrent.checks import GradientError, Place, expect_finite
from neml2.recurrent.pyzag_substitution import substitution

if TYPE_CHECKING:
    from neml2.recurrent.pyzag_model import PyzagModel

NOISE = 1e-12  # beside the terms it consists of, a residual this small is round-off
_REMEDY = "try smaller increments, smaller blocks, or ChunkNewtonRaphsonLineSearch"
_NAN_GRADIENT = "see whether the loss is finite there, and whether the Jacobian is singular"


class Chunk(NonlinearFunctionOperator):
    """The residual of a chunk of times as a function of the unknowns there.

    It remembers where it was evaluated last, so that the end of a solve can be judged.
    """

    def __init__(
        self,
        model: PyzagModel,
        previous: torch.Tensor,
        forces: torch.Tensor,
        inverse_operator: Callable,
        place: Place,
    ) -> None:
        self.model, self.previous, self.forces = model, previous, forces
        self.inverse_operator, self.place = inverse_operator, place
        self.x: BlockVector | None = None
        self.residual: torch.Tensor | None = None
        self.first_norm: torch.Tensor | None = None
        self.jacobian: ChunkJacobian

    def __call__(self, x: BlockVector) -> tuple[BlockVector, BidiagonalForwardOperator]:
        r, jacobian = self.model.evaluate_raw(torch.cat([self.previous, x.data]), [self.forces])
        self.x, self.residual, self.jacobian = x, r.detach(), jacobian
        if self.first_norm is None:
            self.first_norm = self.residual.norm(dim=-1)
        return DenseBlockVector(r), jacobian.forward_system(self.inverse_operator)

    def finish(self, newton: ChunkNewtonRaphson | None = None) -> torch.Tensor:
        """The solution ``(m, batch, n)``, where the solve was left.

        Raises :class:`~neml2.errors.ConvergenceError` where the residual is not finite, which pyzag takes for
        converged, or where ``newton`` says that it has not converged.
        """
        assert self.x is not None and self.residual is not None
        bad = ~self.residual.isfinite().all(-1)  # (m, batch)
        if newton is not None:
            bad |= self._not_converged(newton)
        if not bool(bad.any()):
            return self.x.data
        said = self._describe(bad)
        if self.model.on_failure == "raise":
            raise ConvergenceError(f"{said}; {_REMEDY}")
        log.emit("driver", log.WARNING, f"{said}; its values are NaN from there on")
        return torch.where(bad.any(0).unsqueeze(-1), torch.nan, self.x.data)

    def _not_converged(self, newton: ChunkNewtonRaphson) -> torch.Tensor:
        """What the test of ``newton`` refuses and is more than round-off, boolean ``(m, batch)``."""
        assert self.x is not None and self.residual is not None
        found = newton.not_converged(self.residual.norm(dim=-1), self.first_norm)
        if newton.ignore_batches is not None:
            found[:, newton.ignore_batches] = False
        if bool(found.any()):
            x = self.x.data.detach()
            old = torch.cat([self.previous.detach(), x[:-1]])
            diagonal, below = self.jacobian.diag.detach(), self.jacobian.sub.detach()
            terms = _product(diagonal.abs(), x.abs()) + _product(below.abs(), old.abs())
            found &= ~(self.residual.abs() <= NOISE * terms).all(-1)
        return found

    def _describe(self, bad: torch.Tensor) -> str:
        assert self.residual is not None
        row = int(bad.any(1).nonzero()[0])
        size = torch.nan_to_num(self.residual[row].abs(), nan=torch.inf)
        size = torch.where(bad[row].unsqueeze(-1), size, -1.0)  # (batch, n)
        specimen = int(size.amax(-1).argmax())
        column = int(size[specimen].argmax())
        value = float(self.residual[row, specimen, column])
        left = f"residual {value:.1e}" if math.isfinite(value) else "the residual is not finite"
        return (
            f"the history did not converge for {int(bad.any(0).sum())} of {bad.shape[1]} specimens, at"
            f" {self.place.describe(row, specimen)} ({left}, in '{self.model.state.variable(column)}')"
        )


class ChunkJacobian(DenseBlockJacobian):
    """Jacobian blocks of a chunk, which give finite multipliers or raise.

    ``diag`` and ``sub`` are ``(m, batch, n, n)``, derivatives of each residual by its own and by the state
    before it.
    """

    def __init__(
        self, diag: torch.Tensor, sub: torch.Tensor, model: PyzagModel, place: Place, _reversed: bool = False
    ) -> None:
        super().__init__(diag, sub, _reversed)
        self.model, self.place = model, place

    def method(self, inverse_operator: Callable) -> Callable:
        """The factorization that does what ``inverse_operator`` does."""
        return substitution(inverse_operator, self.model.residuals.native)

    def as_adjoint_walk(self) -> ChunkJacobian:
        """The same blocks, last time first."""
        return ChunkJacobian(self.diag, self.sub, self.model, self.place, not self._reversed)

    def forward_system(self, inverse_operator: Callable) -> BidiagonalForwardOperator:
        """The system of a Newton step; factors are computed when it is solved."""
        if self._reversed:
            return super().forward_system(inverse_operator)  # raises
        a, b = DenseBlockOperator(self.diag), DenseBlockOperator(self.sub[1:])
        return BidiagonalForwardOperator(a, b, inverse_operator=self.method(inverse_operator))

    def adjoint_system(self, inverse_operator: Callable) -> Any:
        """The solve of a chunk's multipliers."""
        return _Adjoint(super().adjoint_system(self.method(inverse_operator)), self)

    def solve_terminal_adjoint(self, g_terminal: torch.Tensor) -> DenseBlockVector:
        """The multipliers of the last time."""
        found = super().solve_terminal_adjoint(g_terminal)
        self.expect_finite(found.data, len(self.diag) - 1)
        return found

    def expect_finite(self, multipliers: torch.Tensor, row: int) -> None:
        """Refuse multipliers ``(k, batch, n)``, of rows ``row``, ``row - 1``, ..., that are not finite."""
        k = len(multipliers)
        place = self.place.rows(row - k + 1, row + 1)
        what, data = "the adjoint of", multipliers.flip(0)
        expect_finite(data, what, self.model.state, place, _NAN_GRADIENT, GradientError)


class _Adjoint:
    """The inverse operator of a chunk's transposed system."""

    def __init__(self, inner: Any, jacobian: ChunkJacobian) -> None:
        self.inner, self.jacobian = inner, jacobian

    def matvec(self, v: BlockVector) -> DenseBlockVector:
        found = self.inner.matvec(v).data
        self.jacobian.expect_finite(found, len(found) - 1)
        return Multipliers(found, self.jacobian.sub[0])


class Multipliers(DenseBlockVector):
    """Multipliers of a chunk, last time first, with the block ``(batch, n, n)`` of the state before it."""

    def __init__(self, data: torch.Tensor, before: torch.Tensor) -> None:
        super().__init__(data)
        self.before = before

    def __getitem__(self, idx: int | slice) -> DenseBlockVector:
        found = super().__getitem__(idx)
        if idx == slice(-1, None):
            return FirstMultiplier(found.data, self.before)
        return found


class FirstMultiplier(DenseBlockVector):
    r"""The multiplier of the first time of a chunk, ``(1, batch, n)``.

    pyzag takes :math:`g_0 - \lambda_1` for the gradient of the initial state, which is right where the
    residual depends on the old state by minus the identity. To pyzag this vector therefore shows
    :math:`-B_1^T \lambda_1`, which makes that gradient :math:`g_0 + B_1^T \lambda_1`.
    """

    def __init__(self, data: torch.Tensor, before: torch.Tensor) -> None:
        super().__init__(data)
        self.before = before

    def seen(self) -> torch.Tensor:
        """What pyzag subtracts."""
        return -transposed_product(self.before, self.data[0]).unsqueeze(0)


def _product(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def transposed_product(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """``matrix^T vector`` for ``(*batch, n, m)`` and ``(*batch, n)``."""
    return _product(matrix.transpose(-1, -2), vector)


class Wrapper(DenseODEWrapper):
    """Raw tensors as pyzag's dense blocks; the solution of a chunk is judged when it is unwrapped."""

    def __init__(self, model: PyzagModel) -> None:
        self.model = model

    def unwrap_vector(self, bv: BlockVector) -> torch.Tensor:
        """The raw tensor ``(m, batch, n)``."""
        if isinstance(bv, FirstMultiplier):
            return bv.seen()
        chunk = self.model.chunk
        if chunk is not None and chunk.x is bv:
            self.model.chunk = None
            return chunk.finish()
        return bv.data
