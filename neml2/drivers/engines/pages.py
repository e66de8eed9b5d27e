"""Memory for large results: fresh pages cost a tenth of a compiled run, large ones much less."""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping

import torch

_LARGE = 2**25  # bytes; less than that the allocator reuses from run to run


def empty(shapes: Mapping[str, tuple[int, ...]], like: torch.Tensor) -> dict[str, torch.Tensor]:
    """Uninitialised tensors by name, with the dtype and device of ``like``, in one piece of memory."""
    counts = {n: math.prod(shape) for n, shape in shapes.items()}
    total = sum(counts.values())
    flat = _pages(total, like) if total * like.element_size() >= _LARGE else like.new_empty(total)
    parts = flat.split(list(counts.values()))
    return {n: part.view(shape) for (n, shape), part in zip(shapes.items(), parts, strict=True)}


def _pages(count: int, like: torch.Tensor) -> torch.Tensor:
    if like.device.type != "cpu" or not hasattr(mmap, "MADV_HUGEPAGE"):
        return like.new_empty(count)
    memory = mmap.mmap(-1, count * like.element_size(), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=like.dtype)  # which keeps the memory alive
