"""Named values of points, ``(points, ...)``: some of them, others in their place."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from neml2.derivatives import expand_batch
from neml2.types import TensorWrapper

Values = dict[str, TensorWrapper]


def flattened(value: TensorWrapper, batch: torch.Size) -> TensorWrapper:
    """A value of some of the batch as ``(points, ...)``."""
    inner = value.data.shape[len(value.dynamic_batch_shape) :]
    data = expand_batch(value, batch).reshape(batch.numel(), *inner)
    return type(value)._new(data, value.sub_batch_ndim)


def shaped(value: TensorWrapper, batch: torch.Size) -> TensorWrapper:
    """A value ``(points, ...)`` as ``(*batch, ...)``."""
    return type(value)._new(value.data.reshape(*batch, *value.data.shape[1:]), value.sub_batch_ndim)


def chosen(values: Mapping[str, TensorWrapper], rows: torch.Tensor | slice) -> Values:
    """Some of the points, by index, mask or slice."""
    return {n: type(v)._new(v.data[rows], v.sub_batch_ndim) for n, v in values.items()}


def replaced(values: Values, to: torch.Tensor, new: Values, rows: torch.Tensor) -> Values:
    """``values`` with the points ``to`` replaced by ``rows`` of ``new``; the old ones stay as they are."""
    return {
        n: type(v)._new(v.data.index_put((to,), new[n].data[rows]), v.sub_batch_ndim)
        for n, v in values.items()
    }


def joined(a: Values, b: Values) -> Values:
    """The points of ``a``, then those of ``b``."""
    return {n: type(v)._new(torch.cat([v.data, b[n].data]), v.sub_batch_ndim) for n, v in a.items()}


def copied(values: Values) -> Values:
    """The same values in memory of their own."""
    return {n: type(v)._new(v.data.clone(), v.sub_batch_ndim) for n, v in values.items()}


def widened(value: TensorWrapper, like: TensorWrapper) -> TensorWrapper:
    """``value`` with the sub-batch axes of ``like``."""
    if value.sub_batch_shape == like.sub_batch_shape:
        return value
    points, *inner = value.data.shape
    missing = (1,) * (like.sub_batch_ndim - value.sub_batch_ndim)
    data = value.data.reshape(points, *missing, *inner)
    shape = (points, *like.sub_batch_shape, *like.BASE_SHAPE)
    return type(value)._new(data.expand(shape).clone(), like.sub_batch_ndim)


def between(start: Values, end: Values, s: torch.Tensor) -> Values:
    """Values at ``s`` ``(points,)`` of a straight way from ``start`` to ``end``; at 1 the end, to the bit."""
    found: Values = {}
    for n, new in end.items():
        x, y = start[n].data, new.data
        w = s.to(y.dtype).reshape(-1, *(1,) * (y.ndim - 1))
        found[n] = type(new)._new(torch.where(w == 1, y, x + (y - x) * w), new.sub_batch_ndim)
    return found


def unravelled(point: int, batch: torch.Size) -> tuple[int, ...]:
    """The index in the batch of a point that is counted in the flattened one."""
    found: list[int] = []
    for size in reversed(batch):
        point, i = divmod(point, size)
        found.append(i)
    return tuple(reversed(found))
