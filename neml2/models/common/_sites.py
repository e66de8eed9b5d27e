"""Fields over sites (cells, edges, size classes), whose axis is a sub-batch axis."""

from __future__ import annotations

from typing import Any

import torch

from neml2.model import Model
from neml2.types import Scalar, cat
from neml2.types.shapes import broadcast_shapes


def per_site(value: Any) -> Any:
    """A list of numbers or a tensor without sub-batch axes as one value per site; names stay names."""
    if isinstance(value, list | tuple) and all(isinstance(v, int | float) for v in value):
        value = torch.tensor(value, dtype=torch.float64)
    if isinstance(value, torch.Tensor):
        value = Scalar(value)
    if isinstance(value, Scalar) and not value.sub_batch_ndim and value.data.ndim:
        value = value.sub_batch.retag(1)
    return value


def refuse_list(owner: str, option: str, value: Any) -> None:
    """Refuse a list of numbers, which may be meant per site or per material.

    Raises :class:`ValueError` that tells how to say which.
    """
    if isinstance(value, list | tuple) and len(value) > 1:
        raise ValueError(
            f"{owner}: {option} is a list of {len(value)} numbers; give a Scalar tensor instead, with"
            f" sub_batch_ndim=1 for one value per site, with sub_batch_ndim=0 for one per material"
        )


def sites(model: Model, name: str, field: Scalar) -> int:
    """The extent of the first sub-batch axis; :class:`ValueError` if there is none."""
    if not field.sub_batch_ndim:
        raise ValueError(f"{model._label()}: {name} has no sub-batch axis; give it one, of the sites")
    return field.sub_batch_shape[0]


def check_sites(model: Model, name: str, field: Scalar, n: int, axis: int = 0) -> None:
    """Refuse a field that has neither one value for all sites nor one for each of the ``n``."""
    if field.sub_batch_ndim and field.sub_batch_shape[axis] not in (1, n):
        raise ValueError(
            f"{model._label()}: {name} has {field.sub_batch_shape[axis]} values for {n} sites; give one value"
            f" for each of them, or one for all"
        )


def joined(*parts: Scalar) -> Scalar:
    """Parts of a field one after the other along the first sub-batch axis; their batches broadcast."""
    batch = broadcast_shapes(*[p.dynamic_batch_shape for p in parts])
    return cat([p.dynamic_batch.expand(batch).sub_batch for p in parts], 0)
