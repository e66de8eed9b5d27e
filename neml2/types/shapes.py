"""Shapes of what is broadcast together; the first call of torch's own function imports sympy."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def broadcast_shapes(*shapes: Sequence[int]) -> torch.Size:
    """The shape that tensors of the given shapes have together.

    Raises :class:`RuntimeError`, as ``torch.broadcast_shapes`` does, if sizes differ and neither is one.
    """
    found = [1] * max((len(s) for s in shapes), default=0)
    for shape in shapes:
        for i, n in enumerate(shape, start=len(found) - len(shape)):
            if n != 1:
                if found[i] not in (1, n):
                    raise RuntimeError(
                        f"the shapes {', '.join(str(tuple(s)) for s in shapes)} do not broadcast"
                    )
                found[i] = n
    return torch.Size(found)
