"""Named arrays with named dimensions: the form that trajectories have in xarray and in HDF5 files.

Dimensions are ``step``, then ``batch`` (or ``batch_0``, ``batch_1``, ...), ``sub_batch_<size>``, and one for
the components: ``component`` of symmetric tensors, ``component_R2``, ``component_Vec``, ... of the others.
Components are physical ones: the factors of Mandel notation are taken out. A batch dimension along which a
value does not change is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import neml2.types
from neml2.types import SR2, SSR4, TensorWrapper

STEP = "step"
KINDS: dict[str, type[TensorWrapper]] = {
    k.__name__: k
    for k in vars(neml2.types).values()
    if isinstance(k, type) and issubclass(k, TensorWrapper) and hasattr(k, "BASE_SHAPE")
}


@dataclass(frozen=True)
class Column:
    """An array, the names of its dimensions, and its attributes (strings, numbers or lists of numbers)."""

    name: str
    dims: tuple[str, ...]
    data: np.ndarray
    attrs: Mapping[str, Any] = field(default_factory=dict)


def component_dim(kind: type[TensorWrapper]) -> str:
    """The name of the dimension of the components of a ``kind``."""
    return "component" if kind is SR2 else f"component_{kind.__name__}"


def batch_dims(rank: int) -> tuple[str, ...]:
    """The names of ``rank`` batch dimensions."""
    return ("batch",) if rank == 1 else tuple(f"batch_{i}" for i in range(rank))


def sub_batch_dims(shape: Sequence[int]) -> tuple[str, ...]:
    """The names of sub-batch dimensions, which follow from their sizes so that variables share them."""
    names: list[str] = []
    for size in shape:
        name = f"sub_batch_{size}"
        names.append(name + "_again" * names.count(name))
    return tuple(names)


def to_disk(value: TensorWrapper) -> torch.Tensor:
    """The physical components, ``(*batch, *sub_batch, components)`` (no last axis for a Scalar)."""
    data = _flat_base(value)
    factors = mandel_factors(type(value), data)
    return data if factors is None else data / factors


def _flat_base(value: TensorWrapper) -> torch.Tensor:
    data = value.data.detach()
    return data.flatten(-value.BASE_NDIM) if value.BASE_NDIM > 1 else data


def from_disk(kind: type[TensorWrapper], data: torch.Tensor, sub_batch_ndim: int) -> TensorWrapper:
    """The inverse of :func:`to_disk`; a shear component may differ from the original in its last bit."""
    factors = mandel_factors(kind, data)
    data = data if factors is None else data * factors
    front = data.shape[:-1] if kind.BASE_NDIM else data.shape
    return kind(data.reshape((*front, *kind.BASE_SHAPE)), sub_batch_ndim)


def mandel_factors(kind: type[TensorWrapper], like: torch.Tensor) -> torch.Tensor | None:
    """Stored over physical components: a power of the root of 2 for every off-diagonal index pair."""
    if kind not in (SR2, SSR4):
        return None
    powers = [sum(c[i] != c[i + 1] for i in range(0, len(c), 2)) for c in kind.COMPONENTS]
    return like.new_tensor([(1.0, math.sqrt(2.0), 2.0)[p] for p in powers])


def to_column(
    name: str,
    value: TensorWrapper,
    batch: Sequence[int],
    attrs: Mapping[str, Any],
    steps: bool = True,
    physical: bool = True,
) -> Column:
    """A typed value ``([step,] *batch, *sub_batch, *base)``, whose batch may be smaller than ``batch``."""
    data = (to_disk(value) if physical else _flat_base(value)).cpu().numpy()
    lead = int(steps)
    given = value.dynamic_batch_shape[lead:]
    dims = [STEP] * lead
    kept: list[Any] = [slice(None)] * lead
    for dim, full, size in zip(
        batch_dims(len(batch))[len(batch) - len(given) :],
        batch[len(batch) - len(given) :],
        given,
        strict=True,
    ):
        if size == full:
            dims.append(dim)
        kept.append(slice(None) if size == full else 0)  # of size 1: the same along this dimension
    dims += sub_batch_dims(value.sub_batch_shape)
    if value.BASE_NDIM:
        dims.append(component_dim(type(value)))
    return Column(name, tuple(dims), data[tuple(kept)], {"tensor": type(value).__name__, **attrs})


def from_column(column: Column, batch_names: Sequence[str], who: str) -> TensorWrapper:
    """The typed value of a column; raises :class:`ValueError` for dimensions that do not make one."""
    kind_name = column.attrs.get("tensor")
    if kind_name not in KINDS:
        raise ValueError(
            f"{who}: '{column.name}' has the attribute tensor = {kind_name!r}, which is no tensor type"
        )
    kind = KINDS[kind_name]
    wanted = (component_dim(kind),) if kind.BASE_NDIM else ()
    components = tuple(d for d in column.dims if d.startswith("component"))
    if components != wanted or column.dims[len(column.dims) - len(wanted) :] != wanted:
        raise ValueError(
            f"{who}: '{column.name}' has dimensions {column.dims}, but a {kind_name} ends in {wanted}"
        )
    if wanted and column.data.shape[-1] != math.prod(kind.BASE_SHAPE):
        raise ValueError(
            f"{who}: '{column.name}' has {column.data.shape[-1]} components; a {kind_name} has"
            f" {math.prod(kind.BASE_SHAPE)}"
        )
    sub = [d for d in column.dims if d.startswith("sub_batch")]
    lead = [d for d in column.dims if d == STEP]
    expected = (*lead, *[d for d in batch_names if d in column.dims], *sub, *wanted)
    if column.dims != expected:
        raise ValueError(f"{who}: '{column.name}' has dimensions {column.dims}; expected {expected}")
    sizes = dict(zip(column.dims, column.data.shape, strict=True))
    first = next((i for i, d in enumerate(batch_names) if d in sizes), len(batch_names))
    shape = (
        *[sizes[d] for d in lead],
        *[sizes.get(d, 1) for d in batch_names[first:]],
        *[sizes[d] for d in (*sub, *wanted)],
    )
    return from_disk(kind, torch.from_numpy(np.array(column.data)).reshape(shape), len(sub))


def component_labels(columns: Sequence[Column]) -> dict[str, tuple[str, ...]]:
    """The labels of every component dimension that the columns use."""
    return {
        component_dim(kind): kind.COMPONENTS
        for kind in KINDS.values()
        if any(component_dim(kind) in c.dims for c in columns)
    }


def disk_names(names: Sequence[str], taken: Sequence[str]) -> dict[str, str]:
    """A name on disk for every variable: its own, unless that is taken or has a slash or parentheses.

    ``von_mises(stress)`` becomes ``von_mises_stress``.
    """
    used = set(taken)
    found = {}
    for name in names:
        disk = name.replace("/", ".")
        if "(" in disk:
            disk = "_".join(re.findall(r"[^\s(),]+", disk))
        while disk in used:
            disk += "_"
        used.add(disk)
        found[name] = disk
    return found
