"""Problems with known solutions, as the solvers see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from neml2.solvers.blocks import Group, Matrix, Vector
from neml2.system import Linearised


@dataclass
class Stub:
    """``function(u) -> r`` on vectors ``(*batch, n)``, counting how often it is asked."""

    function: Callable[[torch.Tensor], torch.Tensor]
    batch: torch.Size
    size: int
    calls: list[str] = field(default_factory=list)

    residual_names = ("r",)

    def residual(self, unknowns: Vector) -> Vector:
        self.calls.append("residual")
        with torch.no_grad():
            return [self.function(unknowns[0])]

    def linearise(self, unknowns: Vector) -> Linearised:
        self.calls.append("linearise")
        group = (Group(self.size, (), (self.size,)),)
        with torch.enable_grad():
            u = unknowns[0].detach().requires_grad_(True)
            r = self.function(u)
        return Linearised([r.detach()], [r], [u], group, group, self.batch)

    def worst(self, residual: Vector) -> torch.Tensor:
        return torch.zeros(self.batch, dtype=torch.int64)


def stub(function: Callable[[torch.Tensor], torch.Tensor], guess: torch.Tensor) -> tuple[Stub, Vector]:
    """The problem and the guess, for ``guess`` of shape ``(*batch, n)``."""
    return Stub(function, guess.shape[:-1], guess.shape[-1]), [guess]


def one_group(matrix: torch.Tensor, sizes: tuple[int, ...] = ()) -> Matrix:
    n = matrix.shape[-1]
    group = (Group(n, (), sizes or (n,)),)
    return Matrix([[matrix]], group, group, matrix.shape[:-2])


def matrices(n: int, batch: tuple[int, ...] = (), seed: int = 0) -> torch.Tensor:
    """Well-conditioned matrices with no order of size on the diagonal, so that rows must be exchanged."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(*batch, n, n, dtype=torch.float64, generator=generator)
    q, r = torch.linalg.qr(a)
    scale = torch.rand(*batch, n, dtype=torch.float64, generator=generator) + 0.5
    return (q * scale[..., None, :]) @ q.mT.flip(-1) + 0.05 * a


def vectors(*shape: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)
