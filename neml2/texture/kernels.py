"""Bell-shaped functions of the angle between two rotations."""

from __future__ import annotations

import math
from typing import Any

import torch

from neml2.types import Scalar


def beta(z1: Any, z2: Any) -> torch.Tensor:
    """The Beta function."""
    a, b = torch.broadcast_tensors(
        *(torch.as_tensor(z.data if isinstance(z, Scalar) else z, dtype=torch.float64) for z in (z1, z2))
    )
    return torch.exp(torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b))


class Kernel(torch.nn.Module):
    """A density over the angle omega between two rotations, as a function of cos(omega/2), of mean 1.

    ``h`` is the angle in radians at which it has fallen to half; :meth:`train_width` makes it trainable.
    """

    h: torch.Tensor

    def __init__(self, h: float | torch.Tensor | Scalar) -> None:
        super().__init__()
        given: Any = h.data if isinstance(h, Scalar) else h
        width = torch.as_tensor(given, dtype=None if isinstance(given, torch.Tensor) else torch.float64)
        if not bool(((width > 0) & (width < math.pi)).all()):
            raise ValueError(f"the half width h is {width.tolist()}; give an angle between 0 and pi")
        self.register_buffer("h", width.detach().clone())

    def train_width(self) -> torch.nn.Parameter:
        """``h`` as a parameter from now on."""
        h = self.h
        if not isinstance(h, torch.nn.Parameter):
            del self.h
            self.h = torch.nn.Parameter(h)
        return self.h  # type: ignore[return-value]

    def forward(self, x: Any) -> Any:
        """The density at ``x`` = cos(omega/2), a `Scalar` or a tensor, as the same."""
        raise NotImplementedError

    def fibre(self, x: torch.Tensor) -> torch.Tensor:
        """The mean of the density over all rotations that take one vector to another.

        ``x`` is the cosine of half the angle by which the centre of the density fails to do so.
        """
        raise NotImplementedError


class DeLaValleePoussinKernel(Kernel):
    r"""The kernel of de la Vallée Poussin.

    .. math:: \psi(x) = \frac{B(3/2, 1/2)}{B(3/2, \kappa + 1/2)}\, x^{2 \kappa}, \qquad
              \kappa = \frac{\ln(1/2)}{2 \ln\cos(h/2)}

    Schaeben (1997), J. Appl. Cryst. 30, 1077-1085.
    """

    @property
    def kappa(self) -> torch.Tensor:
        """The exponent."""
        return 0.5 * math.log(0.5) / torch.log(torch.cos(self.h / 2))

    def forward(self, x: Any) -> Any:
        if isinstance(x, Scalar):
            return Scalar(self.forward(x.data), x.sub_batch_ndim)
        kappa = self.kappa.to(x)
        height = (beta(1.5, 0.5) / beta(1.5, kappa + 0.5)).to(x)
        return height * torch.exp(
            2 * kappa * torch.log(x + torch.finfo(x.dtype).tiny)
        )  # 0 has a logarithm too

    def fibre(self, x: torch.Tensor) -> torch.Tensor:
        # along the fibre the cosine is x cos(psi/2), and the mean of cos^2k(psi/2) is B(k + 1/2, 1/2)/pi
        return self.forward(x) * (beta(self.kappa + 0.5, 0.5) / math.pi).to(x)
