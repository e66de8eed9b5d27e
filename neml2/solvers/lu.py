"""LU factorisation of many small matrices at once, the same to the last bit for any batch.

The batch is the last axis, so every operation is an element-wise one over the points and a point's result
cannot depend on its neighbours. (The batched routines of LAPACK give a matrix other last bits at another
place of the batch.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class LU:
    """``P A = L U``, rows pivoted: ``packed`` ``(n, n, points)``; ``rows`` ``(n, points)`` is their order."""

    packed: torch.Tensor
    rows: torch.Tensor
    batch: torch.Size
    singular: torch.Tensor  # (*batch)

    def solve(self, b: torch.Tensor) -> torch.Tensor:
        """``A x = b`` for ``b`` of shape ``(*batch, n)`` or ``(*batch, n, columns)``."""
        return self._apply(b, self._solve)

    def solve_transposed(self, b: torch.Tensor) -> torch.Tensor:
        """The solution of the transposed system, same shapes as :meth:`solve`."""
        return self._apply(b, self._solve_transposed)

    def _apply(self, b: torch.Tensor, solve) -> torch.Tensor:
        n = self.packed.shape[0]
        vector = b.ndim == len(self.batch) + 1
        columns = b.reshape(-1, n, 1) if vector else b.reshape(-1, n, b.shape[-1])
        x = solve(columns.permute(1, 2, 0).clone())  # (n, columns, points)
        return x.permute(2, 0, 1).reshape(b.shape)

    def _solve(self, b: torch.Tensor) -> torch.Tensor:
        a, n = self.packed, self.packed.shape[0]
        x = b.gather(0, self.rows[:, None].expand(b.shape))
        for k in range(n - 1):
            x[k + 1 :] -= a[k + 1 :, k, None] * x[k]
        for k in range(n - 1, -1, -1):
            x[k] /= a[k, k]
            x[:k] -= a[:k, k, None] * x[k]
        return x

    def _solve_transposed(self, b: torch.Tensor) -> torch.Tensor:
        a, n, x = self.packed, self.packed.shape[0], b
        for k in range(n):
            x[k] /= a[k, k]
            x[k + 1 :] -= a[k, k + 1 :, None] * x[k]
        for k in range(n - 1, 0, -1):
            x[:k] -= a[k, :k, None] * x[k]
        return torch.empty_like(x).scatter(0, self.rows[:, None].expand(x.shape), x)


def lu(matrix: torch.Tensor) -> LU:
    """Factorise ``(*batch, n, n)``; singular matrices are marked, their solutions are not finite."""
    batch, n = matrix.shape[:-2], matrix.shape[-1]
    a = matrix.detach().reshape(-1, n, n).permute(1, 2, 0).clone(memory_format=torch.contiguous_format)
    points = a.shape[-1]
    rows = torch.arange(n, device=a.device)[:, None].repeat(1, points)
    singular = torch.zeros(points, dtype=torch.bool, device=a.device)
    for k in range(n):
        pivot = a[k:, k].abs().argmax(0) + k  # (points,)
        if a.is_cuda or bool((pivot != k).any()):
            _swap(a, k, pivot[None].expand(n, points))
            _swap(rows, k, pivot)
        singular |= ~(a[k, k].abs() > 0)  # true for NaN as well
        if k + 1 < n:
            a[k + 1 :, k] /= a[k, k]
            a[k + 1 :, k + 1 :] -= a[k + 1 :, k, None] * a[k, k + 1 :]
    return LU(a, rows, batch, singular.reshape(batch))


def _swap(a: torch.Tensor, k: int, pivot: torch.Tensor) -> None:
    """Exchange row ``k`` with the row that ``pivot`` names, point by point."""
    chosen = a.gather(0, pivot[None])
    a.scatter_(0, pivot[None], a[k : k + 1].clone())
    a[k] = chosen[0]
