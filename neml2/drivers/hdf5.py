"""Trajectories in HDF5 files: written with h5py, opened with plain xarray, h5netcdf or h5py.

The root group holds the variables of :mod:`neml2.drivers.layout`, with ``step`` as an unlimited dimension;
chunks are whole blocks of steps, the same for all variables. ``/model`` has the input text and the
parameters, ``/history`` what is needed to run again, ``/provenance`` how it was made. Attributes are strings,
numbers or JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import platform
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neml2.drivers.declared import Declared
from neml2.drivers.layout import KINDS, STEP, Column, batch_dims, from_column, to_column
from neml2.drivers.trajectory import Origin, Path, Trajectory
from neml2.drivers.xarray_view import LAYOUT, LAYOUT_VERSION, columns, coordinates
from neml2.types import Scalar, TensorWrapper

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".h5", ".hdf5", ".nc")
_ODD = (RuntimeError, TypeError, AttributeError, MemoryError)  # what h5py and torch raise for odd files
_CHUNK = 2**20  # bytes: large enough for fast reading, small enough for the chunk cache
_NO_LABELS = (
    "This is a netCDF dimension but not a netCDF variable. {:9d}"  # how netCDF marks a bare dimension
)


def check_writable(path: Path, size: int = 0) -> None:
    """Refuse, before a run, a place where its result, of ``size`` bytes, cannot be written.

    Raises :class:`FileNotFoundError`, :class:`NotADirectoryError`, :class:`IsADirectoryError`,
    :class:`PermissionError`, or :class:`OSError` where the disk is too full.
    """
    target = FilePath(path)
    folder = target.parent
    if not folder.exists():
        raise FileNotFoundError(f"cannot write {target}: there is no folder {folder}; create it first")
    if not folder.is_dir():
        raise NotADirectoryError(f"cannot write {target}: {folder} is not a folder")
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {target}: it is a folder; give the name of a file")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PermissionError(f"cannot write {target}: {error.strerror or error} in {folder}") from None
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(f"cannot write {target}: the file there is write-protected")
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(
            f"cannot write {target}: it needs about {size / 2**20:.0f} MB, but {free / 2**20:.0f} MB are free"
        )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[FilePath]:
    """A temporary name beside ``path``; what is written there takes its place when all went well."""
    check_writable(path)
    target = FilePath(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync_folder(target.parent)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _sync_folder(folder: FilePath) -> None:
    if os.name == "posix":
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


# ---------------------------------------------------------------------- writing


def write(trajectory: Trajectory, path: Path) -> None:
    """See :meth:`Trajectory.to_hdf5`."""
    import h5py

    with replacing(path) as temporary, _Sink(temporary) as sink:
        try:
            with h5py.File(sink, "w", track_order=True) as file:
                _write(file, trajectory)
        except (OSError, RuntimeError):
            if sink.error is None:
                raise
        if sink.error is not None:
            reason = sink.error.strerror or sink.error
            raise OSError(f"cannot write {path}: {reason}; what was there before is unchanged") from None


class _Sink(io.FileIO):
    """A file that remembers its first error and then takes everything.

    The HDF5 library must not see a full disk: it would complain again for every object it closes.
    """

    def __init__(self, path: FilePath) -> None:
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: Any, /) -> int:
        rest = memoryview(data).cast("B")
        size = rest.nbytes
        while self.error is None and rest.nbytes:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.error = error
        if self.error is not None:
            self.seek(size, os.SEEK_CUR)
        return size

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


def _write(file: h5py.File, trajectory: Trajectory) -> None:
    found = columns(trajectory)
    labels = coordinates(found)
    file.attrs["layout"] = LAYOUT
    file.attrs["layout_version"] = LAYOUT_VERSION
    scales = _dimensions(file, found, labels)
    block = _steps_per_chunk(found)
    for column in found:
        data = _dataset(file, column, scales, block)
        data[...] = column.data
        if column.name != "time":
            data.attrs["coordinates"] = "time"
    _write_model(file.create_group("model", track_order=True), trajectory)
    _write_history(file.create_group("history", track_order=True), trajectory, file, scales)
    _write_provenance(file.create_group("provenance", track_order=True), trajectory)
    file[STEP][...] = labels[STEP]  # last: a file without its steps is not complete


def _dimensions(file: h5py.File, found: list[Column], labels: dict[str, np.ndarray]) -> dict[str, Any]:
    import h5py

    sizes: dict[str, int] = {}
    for column in found:
        for d, n in zip(column.dims, column.data.shape, strict=True):
            sizes.setdefault(d, n)
    scales = {}
    for dim, size in sizes.items():
        if dim == STEP:
            scale = file.create_dataset(dim, (size,), np.int64, maxshape=(None,), chunks=(1024,))
            scale.attrs["long_name"] = "Step; 0 is the initial state"
            scale.make_scale(dim)
        elif dim in labels:
            scale = file.create_dataset(dim, data=labels[dim], dtype=h5py.string_dtype())
            scale.make_scale(dim)
        else:
            scale = file.create_dataset(dim, (size,), np.dtype(">f4"))
            scale.make_scale(_NO_LABELS.format(size))
        scales[dim] = scale
    return scales


def _steps_per_chunk(found: list[Column]) -> int:
    """How many steps a chunk holds, the same for all variables so that blocks of steps are whole chunks."""
    largest = max(max(c.data[0].nbytes for c in found), 1)
    return max(1, min(1024, _CHUNK // largest, len(found[0].data)))


def _dataset(file: h5py.File, column: Column, scales: dict[str, Any], block: int) -> Any:
    shape = column.data.shape
    inner = list(shape[1:])
    while inner and block * math.prod(inner) * column.data.itemsize > 2 * _CHUNK and inner[0] > 1:
        inner[0] = (inner[0] + 1) // 2
    data = file.create_dataset(
        column.name,
        shape,
        column.data.dtype,
        maxshape=(None, *shape[1:]),
        chunks=(block, *[max(n, 1) for n in inner]),
    )
    _describe(data, column, scales)
    return data


def _describe(data: Any, column: Column, scales: dict[str, Any]) -> None:
    for i, dim in enumerate(column.dims):
        data.dims[i].attach_scale(scales[dim])
    for key, value in column.attrs.items():
        data.attrs[key] = value


def _write_model(group: h5py.Group, trajectory: Trajectory) -> None:
    origin = trajectory.origin
    group.attrs["model"] = origin.model
    group.attrs["input"] = origin.input_text
    group.attrs["inputs"] = json.dumps(list(origin.inputs))
    group.attrs["states"] = json.dumps(dict(origin.states))
    parameters = group.create_group("parameters", track_order=True)
    for name, p in origin.parameters.items():
        array = p.detach().cpu().numpy()
        data = parameters.create_dataset(name, data=array)
        for i, size in enumerate(array.shape):
            dim = f"size_{size}"
            if dim not in parameters:
                parameters.create_dataset(dim, (size,), np.dtype(">f4")).make_scale(_NO_LABELS.format(size))
            data.dims[i].attach_scale(parameters[dim])


def _write_history(
    group: h5py.Group, trajectory: Trajectory, file: h5py.File, scales: dict[str, Any]
) -> None:
    group.attrs["time"] = trajectory.time_name
    group.attrs["prescribed"] = json.dumps([n for n in trajectory.forces if n != trajectory.time_name])
    group.attrs["initial"] = json.dumps(list(trajectory.origin.initial))
    for i, (name, value) in enumerate(trajectory.origin.initial.items()):
        rank = len(trajectory.batch) - len(value.dynamic_batch_shape)
        shape = value.data.shape
        whole = type(value)._new(value.data.reshape((1,) * rank + tuple(shape)), value.sub_batch_ndim)
        attrs = {"variable": name, "role": "initial", "batch_ndim": len(value.dynamic_batch_shape)}
        column = to_column(f"initial_{i}", whole, trajectory.batch, attrs, steps=False)
        data = group.create_dataset(column.name, data=column.data)
        for d, size in zip(column.dims, column.data.shape, strict=True):
            if d not in scales:  # a state that no result has
                scale = file.create_dataset(d, (size,), np.dtype(">f4"))
                scale.make_scale(_NO_LABELS.format(size))
                scales[d] = scale
        _describe(data, column, scales)


def _write_provenance(group: h5py.Group, trajectory: Trajectory) -> None:
    for key, value in provenance(trajectory).items():
        group.attrs[key] = value


def provenance(trajectory: Trajectory) -> dict[str, str | int]:
    """Versions, seed, device, dtype and command, as strings and numbers."""
    found: dict[str, str | int] = {
        f"{name}_version": _version(name) for name in ("neml2", "torch", "numpy", "h5py")
    }
    found["python_version"] = platform.python_version()
    found["platform"] = platform.platform()
    found["seed"] = str(torch.initial_seed())  # may exceed a 64-bit integer of HDF5
    found["device"] = str(trajectory.time.device)
    found["dtype"] = str(trajectory.time.dtype)
    found["command"] = shlex.join(sys.argv)
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return str(getattr(sys.modules.get(name), "__version__", "unknown"))


# ---------------------------------------------------------------------- reading


def read(path: Path) -> Trajectory:
    """See :meth:`Trajectory.from_hdf5`."""
    import h5py

    if not FilePath(path).exists():
        raise FileNotFoundError(f"there is no file {path}")
    if FilePath(path).is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of an HDF5 file")
    try:
        if not h5py.is_hdf5(path):
            raise ValueError(f"{path} is not an HDF5 file")
        with h5py.File(path, "r") as file:
            return _read(file, str(path))
    except OSError as error:
        reason = str(error).split("(", 1)[-1].rstrip(")")
        raise ValueError(f"{path} is damaged and cannot be read ({reason})") from None
    except (KeyError, json.JSONDecodeError, UnicodeDecodeError, *_ODD) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is no complete trajectory ({reason})") from None


def _read(file: h5py.File, who: str) -> Trajectory:
    layout = _attribute(file, "layout")
    if layout != LAYOUT:
        raise ValueError(
            f"{who} is an HDF5 file but no trajectory of this library (it has no layout '{LAYOUT}')"
        )
    found = int(file.attrs.get("layout_version", 0))
    if found != LAYOUT_VERSION:
        raise ValueError(f"{who} has layout version {found}; this library reads version {LAYOUT_VERSION}")
    for name in ("time", "status", "iterations", STEP, "model", "history"):
        if name not in file:
            raise ValueError(f"{who} lacks '{name}'; it is no complete trajectory")
    steps = len(file[STEP])
    status = _column(file["status"], who)
    names = batch_dims(status.data.ndim - 1)
    time = _column(file["time"], who)
    time_value = from_column(time, names if len(time.dims) > 1 else (), who)
    outputs: dict[str, TensorWrapper] = {}
    forces: dict[str, TensorWrapper] = {}
    declared: dict[str, Declared] = {}
    for name in file:
        if type(file.get(name, getlink=True)).__name__ != "HardLink":
            raise ValueError(f"{who}: '{name}' is a link to elsewhere, which is not followed")
        data = file[name]
        if name == "time" or not hasattr(data, "dims") or "tensor" not in data.attrs:
            continue
        column = _column(data, who)
        if column.data.shape[:1] != (steps,):
            raise ValueError(f"{who}: '{name}' has {column.data.shape[0]} steps, the file {steps}")
        variable = column.attrs.get("variable", name)
        declared[variable] = Declared(column.attrs.get("long_name", ""), column.attrs.get("units", ""))
        (forces if column.attrs.get("role") == "force" else outputs)[variable] = from_column(
            column, names, who
        )
    model, history = file["model"], file["history"]
    time_name = _attribute(history, "time")
    declared[time_name] = Declared("Time", time.attrs.get("units", ""))
    if time_name in json.loads(_attribute(model, "inputs")):
        forces = {time_name: Scalar(time_value.data), **forces}
    origin = Origin(
        model=_attribute(model, "model"),
        inputs=tuple(json.loads(_attribute(model, "inputs"))),
        states=json.loads(_attribute(model, "states")),
        initial=_read_initial(history, names, who),
        declared=declared,
        parameters={
            n: torch.from_numpy(np.array(d)) for n, d in model["parameters"].items() if "CLASS" not in d.attrs
        },
        input_text=_attribute(model, "input"),
    )
    iterations = torch.from_numpy(np.array(file["iterations"]))
    return Trajectory(
        time_value.data, torch.from_numpy(status.data), iterations, outputs, forces, time_name, origin
    )


def _read_initial(history: h5py.Group, names: tuple[str, ...], who: str) -> dict[str, TensorWrapper]:
    initial = {}
    for i, name in enumerate(json.loads(_attribute(history, "initial"))):
        column = _column(history[f"initial_{i}"], who)
        value = from_column(column, names, who)
        extra = len(value.dynamic_batch_shape) - int(column.attrs["batch_ndim"])
        initial[name] = type(value)._new(value.data.reshape(value.data.shape[extra:]), value.sub_batch_ndim)
    return initial


def _column(data: h5py.Dataset, who: str) -> Column:
    attrs = {k: v for k, v in data.attrs.items() if isinstance(v, str | int | np.integer)}
    name = str(data.name).rpartition("/")[2]
    dims = []
    for i in range(data.ndim):
        if not len(data.dims[i]):
            raise ValueError(f"{who}: '{name}' has no name for its dimension {i}")
        dims.append(str(data.dims[i][0].name).rpartition("/")[2])
    kind = attrs.get("tensor")
    if kind is not None and kind not in KINDS:
        raise ValueError(f"{who}: '{name}' has the attribute tensor = {kind!r}, which is no tensor type")
    return Column(name, tuple(dims), np.array(data), attrs)


def _attribute(group: h5py.Group, key: str) -> str:
    value = group.attrs.get(key)
    return value.decode() if isinstance(value, bytes) else "" if value is None else str(value)
