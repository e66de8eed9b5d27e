r"""The discrete adjoint of a history that was solved chunk by chunk.

With :math:`R_k(x_k, x_{k-1}, u_k, u_{k-1}, p) = 0`, :math:`A_k = \partial R_k/\partial x_k`, :math:`B_k =
\partial R_k/\partial x_{k-1}` and the gradient :math:`g_k` of the loss by :math:`x_k`,

.. math:: A_k^T \lambda_k = -g_k - B_{k+1}^T \lambda_{k+1}, \quad
   \frac{dL}{dp} = \sum_k \lambda_k^T \frac{\partial R_k}{\partial p}, \quad
   \frac{dL}{dx_0} = g_0 + B_1^T \lambda_1,

and for forces as for parameters.
"""
# mypy: disable-error-code="import-untyped,import-not-found"

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from pyzag.operators.dense import DenseBlockOperator, DenseBlockVector

from neml2.recurrent.checks import GradientError, expect_finite
from neml2.recurrent.pyzag_blocks import ChunkJacobian, transposed_product
from neml2.recurrent.pyzag_model import PyzagModel
from neml2.registry import listing

_REMEDY = "look at the loss, or mask the specimen out of it"


@dataclass(frozen=True)
class Solved:
    """A history: states ``(n, batch, ns)``, the chunks they were solved in, forces and parameters."""

    model: PyzagModel
    operator: Callable
    chunks: Sequence[tuple[int, int]]
    states: torch.Tensor
    forces: Sequence[torch.Tensor]
    parameters: Mapping[str, torch.Tensor]


@dataclass
class Gradients:
    """Derivatives of a loss by parameters, by all forces together ``(n, batch, nf)``, and by ``x_0``."""

    parameters: dict[str, torch.Tensor]
    initial: torch.Tensor
    forces: torch.Tensor | None = None
    sizes: list[int] = field(default_factory=list)

    def by_force(self) -> list[torch.Tensor | None]:
        """The derivatives by each force tensor."""
        if self.forces is None:
            return [None] * len(self.sizes)
        return list(self.forces.split(self.sizes, -1))

    def expect_some(self, incoming: torch.Tensor) -> None:
        """Refuse gradients that are all zero though the loss depends on the states after the first."""
        if not self.parameters or not bool(incoming[1:].any()):
            return
        if not any(bool(g.any()) for g in self.parameters.values()):
            raise GradientError(
                f"all gradients are zero: the observed states do not depend on {listing(self.parameters)};"
                f" load the specimens so that they matter, or choose other parameters"
            )


def gradients(
    solved: Solved, incoming: torch.Tensor, names: Sequence[str], by_forces: bool = False
) -> Gradients:
    """Gradients from ``incoming`` ``(n, batch, ns)``, the derivatives of a loss by the states.

    Raises :class:`~neml2.recurrent.checks.GradientError` where one is not finite.
    """
    model, x, chunks = solved.model, solved.states, solved.chunks
    forces = model.joined(x, solved.forces).detach()
    time = model.place(forces, 0)
    expect_finite(incoming, "the gradient of the loss by", model.state, time, _REMEDY, GradientError)
    leaves = {n: t.detach().requires_grad_(n in names) for n, t in solved.parameters.items()}
    sums = {n: torch.zeros_like(t) for n, t in leaves.items() if n in names}
    by_force = torch.zeros_like(forces) if by_forces else None
    carry = torch.zeros_like(incoming[0])  # B_{k+1}^T lambda_{k+1}, (batch, ns)
    for k1, k2 in reversed(chunks):
        with torch.enable_grad():
            f = forces[k1 - 1 : k2].clone().requires_grad_(by_forces)
            r, jacobian = model.evaluate(x[k1 - 1 : k2], [f], leaves, k1, graph_of_blocks=False)
        multipliers = _solve(jacobian, solved.operator, incoming[k1:k2], carry)
        jacobian.expect_finite(multipliers.flip(0), k2 - k1 - 1)
        carry = transposed_product(jacobian.sub[0].detach(), multipliers[0])
        variables = [leaves[n] for n in sums] + ([f] if by_forces else [])
        if variables and r.requires_grad:
            found = torch.autograd.grad(r, variables, multipliers, allow_unused=True)
            for n, g in zip(sums, found, strict=False):
                if g is not None:
                    sums[n] += g
            if by_force is not None and found[-1] is not None:
                by_force[k1 - 1 : k2] += found[-1]
    return Gradients(sums, incoming[0] + carry, by_force, [f.shape[-1] for f in solved.forces])


def _solve(
    jacobian: ChunkJacobian, operator: Callable, incoming: torch.Tensor, carry: torch.Tensor
) -> torch.Tensor:
    """The multipliers ``(m, batch, ns)`` of a chunk: the transposed system, last time first."""
    a = DenseBlockOperator(jacobian.diag.detach().flip(0).transpose(-1, -2))
    b = DenseBlockOperator(jacobian.sub.detach()[1:].flip(0).transpose(-1, -2))
    right = -incoming.flip(0)
    right[0] -= carry
    return jacobian.method(operator)(a, b).matvec(DenseBlockVector(right)).data.flip(0)
