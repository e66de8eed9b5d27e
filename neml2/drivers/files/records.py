"""Named numbers, texts and tensors, nested, as HDF5 groups, and back to the same bits.

What a run is repeated from must be exact, so tensors have their stored components here (Mandel notation for
symmetric ones, attribute ``notation``), not the physical ones that results have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neml2.drivers.control.control import Control
from neml2.drivers.results.layout import KINDS, disk_names
from neml2.types import TensorWrapper

if TYPE_CHECKING:
    import h5py

NO_LABELS = "This is a netCDF dimension but not a netCDF variable. {:9d}"  # how netCDF marks a bare dimension
_VALUES, _NAME = "values", "name"


def write_record(group: h5py.Group, record: Mapping[str, Any]) -> None:
    """Write a nested mapping: tensors as datasets, mappings as groups, all else as JSON in one attribute."""
    plain = {}
    names = disk_names(list(record), sorted(_dims(record)))
    for name, value in record.items():
        if isinstance(value, Control):
            value = {"Control": True, **vars(value)}
        if isinstance(value, Mapping):
            inside = group.create_group(names[name])
            inside.attrs[_NAME] = name
            write_record(inside, value)
        elif isinstance(value, torch.Tensor | TensorWrapper | np.ndarray):
            _write_tensor(group, names[name], name, value)
        else:
            plain[name] = value
    group.attrs[_VALUES] = json.dumps(plain)


def read_record(group: h5py.Group) -> dict[str, Any]:
    """The mapping that :func:`write_record` has written; arrays come back as torch tensors."""
    found: dict[str, Any] = json.loads(group.attrs.get(_VALUES, "{}"))
    for item in group.values():
        if _NAME in item.attrs:
            found[str(item.attrs[_NAME])] = (
                _read_tensor(item) if hasattr(item, "shape") else read_record(item)
            )
    if found.pop("Control", False):
        return Control(**found)  # type: ignore[return-value]
    return found


def _dims(record: Mapping[str, Any]) -> set[str]:
    shapes = [tuple(v.shape) for v in record.values() if hasattr(v, "shape")]
    return {d for shape in shapes for d in (*size_dims(shape), *size_dims((1,) * len(shape)))}


def _write_tensor(group: h5py.Group, disk: str, name: str, value: Any) -> None:
    typed = isinstance(value, TensorWrapper)
    tensor = torch.as_tensor(value.data if typed else value).detach()
    kept = tensor[tuple(slice(0, 1) if s == 0 else slice(None) for s in tensor.stride())]
    data = write_array(group, disk, kept.cpu().numpy())
    data.attrs[_NAME] = name
    data.attrs["expanded"] = json.dumps(list(tensor.shape))
    if typed:
        data.attrs["tensor"] = type(value).__name__
        data.attrs["sub_batch_ndim"] = value.sub_batch_ndim
        data.attrs["notation"] = "stored"


def _read_tensor(data: h5py.Dataset) -> torch.Tensor | TensorWrapper:
    tensor = torch.from_numpy(np.array(data)).expand(json.loads(data.attrs["expanded"]))
    if "tensor" not in data.attrs:
        return tensor
    return KINDS[str(data.attrs["tensor"])](tensor, int(data.attrs["sub_batch_ndim"]))


def size_dims(shape: Sequence[int]) -> tuple[str, ...]:
    """Names of dimensions that follow from their sizes; within one array they differ."""
    return tuple(f"size_{n}" + "_again" * list(shape[:i]).count(n) for i, n in enumerate(shape))


def write_array(group: h5py.Group, name: str, array: np.ndarray) -> h5py.Dataset:
    """A dataset whose dimensions have the names :func:`size_dims`, as netCDF and xarray need it."""
    data = group.create_dataset(name, data=array)
    for i, (dim, size) in enumerate(zip(size_dims(array.shape), array.shape, strict=True)):
        if dim not in group:
            bare = group.create_dataset(dim, (size,), np.dtype(">f4"))
            bare.make_scale(NO_LABELS.format(size))
        data.dims[i].attach_scale(group[dim])
    return data
