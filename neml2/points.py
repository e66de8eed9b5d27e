"""Taking some points out of a batch, and putting results back; both are part of the autograd graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from neml2.context import Context
from neml2.derivatives import expand_batch
from neml2.model import Model
from neml2.types import TensorWrapper


def take_data(data: torch.Tensor, batch_ndim: int, batch: torch.Size, index: torch.Tensor) -> torch.Tensor:
    """Points ``index``, counted in the flattened ``batch``, of data with ``batch_ndim`` batch axes."""
    if batch_ndim == 0:
        return data  # the same for all points
    inner = data.shape[batch_ndim:]
    full = data.reshape((1,) * (len(batch) - batch_ndim) + tuple(data.shape)).expand((*batch, *inner))
    return full.reshape(-1, *inner)[index]  # (points, *inner)


def take(value: TensorWrapper, batch: torch.Size, index: torch.Tensor) -> TensorWrapper:
    """The same for a typed value."""
    data = take_data(value.data, len(value.dynamic_batch_shape), batch, index)
    return type(value)._new(data, value.sub_batch_ndim)


def take_all(
    values: Mapping[str, TensorWrapper], batch: torch.Size, index: torch.Tensor
) -> dict[str, TensorWrapper]:
    """The same for named values."""
    return {n: take(v, batch, index) for n, v in values.items()}


def take_parameters(model: Model, context: Context, batch: torch.Size, index: torch.Tensor) -> Context:
    """A context in which batched parameters hold the values of the points ``index`` only."""
    chosen = dict(context.parameters)
    for module in model.modules():
        if isinstance(module, Model):
            for attr, kind in module._kinds.items():
                p = module._parameters.get(attr)
                if p is not None:
                    data = context.value_of(p)
                    rank = len(kind.batch_shape(data.shape))
                    if rank:
                        chosen[p] = take_data(data, rank, batch, index)
    return replace(context, parameters=chosen)


def put(value: TensorWrapper, batch: torch.Size, index: torch.Tensor, new: TensorWrapper) -> TensorWrapper:
    """``value`` with the points ``index`` replaced by those of ``new``."""
    inner = value.data.shape[len(value.dynamic_batch_shape) :]
    full = expand_batch(value, batch).reshape(-1, *inner)
    points = expand_batch(new, torch.Size(index.shape))
    data = full.index_put((index,), points).reshape((*batch, *inner))
    return type(value)._new(data, value.sub_batch_ndim)


def put_data(full: torch.Tensor, index: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """The same for one number per point, ``(*batch)``."""
    return full.reshape(-1).index_put((index,), new).reshape(full.shape)
