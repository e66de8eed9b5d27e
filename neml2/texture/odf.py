"""Orientation distributions, and their estimate from single orientations."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import torch

from neml2.texture.kernels import Kernel
from neml2.texture.quadrature import rotation_quadrature
from neml2.types import MRP, R2, Scalar, Vec, euler_rodrigues, rotate, to_quaternion
from neml2.types.symmetry import symmetry

_PAIRS = 200_000  # pairs of orientations that are worked on at once: what a cache holds


class ODF(torch.nn.Module):
    r"""A density f over rotations of mean 1, made from the orientations ``X`` of batch ``(n,)``.

    Subclasses define ``forward(Y)``, the density at the orientations Y as a `Scalar` of their batch.
    """

    _X: torch.Tensor

    def __init__(self, X: MRP) -> None:
        super().__init__()
        if type(X) is not MRP:
            raise TypeError(f"the orientations are a {type(X).__name__}; give an MRP")
        if len(X.batch_shape) != 1:
            raise ValueError(
                f"the orientations have the batch {tuple(X.batch_shape)}; give a single batch axis, (n,)"
            )
        self.register_buffer("_X", X.data.detach().clone())

    @property
    def X(self) -> MRP:
        """The orientations."""
        return MRP(self._X)

    @property
    def n(self) -> int:
        """The number of orientations."""
        return int(self._X.shape[0])

    def forward(self, Y: MRP) -> Scalar:
        raise NotImplementedError

    def texture_index(self, deg: int = 5, crystal_symmetry: str = "1") -> Scalar:
        r"""The integral of :math:`(f/\pi)^2` by `rotation_quadrature`; :math:`1/\pi` for a uniform density.

        With a ``crystal_symmetry``, a class such as ``"432"``, f is the mean over the N orientations that are
        the same crystal, :math:`\frac1N \sum_g f(Y g)`. A kernel that is narrower than the distance of the
        points, some 3/deg radians, needs more of them. Raises `ValueError` for a class that does not exist.
        """
        points, weights = rotation_quadrature(deg)
        rotations = symmetry(crystal_symmetry, dtype=self._X.dtype, device=self._X.device).data
        Q = euler_rodrigues(points.to(self._X)).data  # (points, 3, 3)
        equivalent = MRP.from_matrix(R2(Q[:, None] @ rotations))  # (points, N)
        f = self(equivalent).data.mean(-1) / math.pi
        return Scalar((weights.data.to(f) * f * f).sum())


class KDEODF(ODF):
    r"""Density as the mean of kernels around the orientations.

    .. math:: f(Y) = \frac1n \sum_i \psi\!\left(\cos\frac{\omega(X_i, Y)}2\right)

    The angle :math:`\omega` of the rotation from one orientation to the other knows no crystal symmetry; pole
    figures apply it.
    """

    def __init__(self, X: MRP, kernel: Kernel) -> None:
        super().__init__(X)
        self.kernel = kernel

    def forward(self, Y: MRP) -> Scalar:
        points = to_quaternion(Y).data.reshape(-1, 4)
        own = to_quaternion(self.X).data
        means = [self.kernel(_half_angle(part, own)).mean(-1) for part in _parts(points, self.n)]
        return Scalar(torch.cat(means).reshape(Y.batch_shape), Y.sub_batch_ndim)

    def leave_out(self, i: int) -> Scalar:
        r""":math:`1/\pi` of the density that the others have at orientation ``i``."""
        others, one = split(self.X, i)
        return KDEODF(others, self.kernel)(one) / math.pi

    def pole_density(self, pole: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
        """The mean density of the rotations that take the ``pole`` ``(3,)`` to a direction.

        These are the ``directions`` ``(m, 3)``; the result is ``(m,)``. It is exact: the integral along
        the fibre is known for every kernel.
        """
        turned = rotate(Vec(pole), euler_rodrigues(self.X)).data  # (n, 3)
        means = []
        for part in _parts(directions, self.n):
            half = torch.sqrt(torch.clamp((1 + part @ turned.mT) / 2, 0.0, 1.0))
            means.append(self.kernel.fibre(half).mean(-1))
        return torch.cat(means)

    def optimize_kernel(self, miter: int = 50, verbose: bool = False, lr: float = 0.01, deg: int = 5) -> None:
        """Choose the width of the kernel by least-squares cross-validation, with ``miter`` steps of Adam.

        Minimised is the texture index, with ``deg`` points an axis, less twice the mean of `leave_out`.
        """
        h = self.kernel.train_width()
        optimizer = torch.optim.Adam([h], lr=lr)
        for step in range(miter):
            optimizer.zero_grad()
            loss = self.texture_index(deg).data
            loss.backward()
            value = float(loss.detach())
            for part in self._left_out():
                (-2 * part / self.n).backward()  # part by part: the pairs need not fit into memory at once
                value -= 2 * float(part.detach()) / self.n
            optimizer.step()
            with torch.no_grad():
                h.clamp_(1e-2, 3.0)  # angles outside have no kernel
            if verbose:
                sys.stdout.write(f"step {step + 1}: h = {float(h.detach()):.4f}, loss = {value:.6g}\n")

    def _left_out(self) -> Iterator[torch.Tensor]:
        """The sum of `leave_out` over parts of the orientations."""
        own = to_quaternion(self.X).data
        size = max(1, _PAIRS // self.n)
        for start in range(0, self.n, size):
            values = self.kernel(_half_angle(own[start : start + size], own))
            rows = torch.arange(len(values), device=own.device)
            others = values.sum(-1) - values[rows, start + rows]
            yield others.sum() / (self.n - 1) / math.pi


def split(X: Any, i: int) -> tuple[Any, Any]:
    """``X`` without entry ``i`` of its batch, and that entry."""
    n = X.batch_shape[0]
    if not -n <= i < n:
        raise IndexError(f"there is no orientation {i}; there are {n}")
    at = i % n
    return type(X)(torch.cat([X.data[:at], X.data[at + 1 :]])), type(X)(X.data[at])


def _half_angle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The cosine ``(m, n)`` of half the angle between unit quaternions ``(m, 4)`` and ``(n, 4)``."""
    return torch.clamp(torch.abs(a @ b.mT), max=1.0)


def _parts(points: torch.Tensor, n: int) -> tuple[torch.Tensor, ...]:
    return torch.split(points, max(1, _PAIRS // n))
