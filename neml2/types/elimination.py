"""Small dense systems of many points, solved to the same bits for any batch."""

from __future__ import annotations

import torch

from neml2.types.shapes import broadcast_shapes


def solve_small(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Gauss-Jordan elimination by element-wise operations, so that no point depends on its neighbours."""
    n, m = a.shape[-1], b.shape[-1]
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    work = torch.cat([a.expand(batch + (n, n)), b.expand(batch + (n, m))], -1)
    rows = torch.arange(n, device=a.device)
    order = rows.expand(batch + (n,))
    for k in range(n):
        below = work[..., k:, k].detach().abs()
        pivot = k + below.argmax(-1, keepdim=True)
        swap = torch.where(rows == k, pivot, torch.where(rows == pivot, k, order))
        work = torch.gather(work, -2, swap[..., None].expand(work.shape))
        row = work[..., k : k + 1, :] / work[..., k : k + 1, k : k + 1]
        work = torch.where((rows == k)[:, None], row, work - work[..., :, k : k + 1] * row)
    return work[..., n:]
