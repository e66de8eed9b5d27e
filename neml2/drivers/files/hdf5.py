"""Trajectories as HDF5 files: written with h5py, opened with plain xarray, h5netcdf, netCDF4 or h5py.

The root group holds the variables of :mod:`neml2.drivers.results.layout`, with ``step`` as an unlimited
dimension. ``/model`` has the input text and the parameters, ``/history`` what is needed to run again,
``/provenance`` how it was made, ``/events`` what happened on the way. Attributes are strings, numbers or
JSON.

:func:`create` makes a file of no rows, with room for all; :class:`~neml2.drivers.files.rows.Rows` fills it.
"""

from __future__ import annotations

import io
import json
import math
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neml2.drivers.files.direct import LARGE, PAGE, Direct
from neml2.drivers.files.places import check_writable as check_writable
from neml2.drivers.files.places import replacing as replacing
from neml2.drivers.files.records import NO_LABELS, write_array, write_record
from neml2.drivers.files.rows import ENDED, EVENT_COLUMNS, Rows
from neml2.drivers.results.layout import STEP, Column
from neml2.drivers.results.xarray_view import LAYOUT, LAYOUT_VERSION, columns, coordinates
from neml2.drivers.trajectory import Origin, Path, Trajectory, row_numbers

if TYPE_CHECKING:
    import h5py

SUFFIXES = (".h5", ".hdf5", ".nc")
_CHUNK = 2**20  # bytes: large enough for fast reading, small enough for the chunk cache
_PADDED = 1.1  # points that a row has room for, per point
_MANY_ROWS = (
    16  # rows of a chunk that make the history of one point quick to read: 0.1 s in a variable of 1 GB
)


def write(trajectory: Trajectory, path: Path) -> None:
    """See :meth:`Trajectory.to_hdf5`."""
    with replacing(path) as temporary:
        try:
            create(temporary, trajectory, len(trajectory), {"initial": trajectory.origin.initial})
            with Rows(temporary) as rows:
                rows.append(columns(trajectory, physical=False), row_numbers(trajectory).numpy())
                rows.commit(len(trajectory))
                rows.complete()
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"cannot write {path}: {reason}; what was there before is unchanged") from None


def create(
    path: FilePath,
    block: Trajectory,
    room: int,
    history: Mapping[str, Any],
    origin: Origin | None = None,
    events: Sequence[str] = (),
) -> None:
    """Make the file of a run: everything but its rows, for which there is ``room``.

    Names, dimensions and types of the variables are those of ``block``; ``events`` are the names of events
    that may happen. Raises :class:`OSError`.
    """
    import h5py

    origin = block.origin if origin is None else origin
    aligned = {"alignment_threshold": LARGE, "alignment_interval": PAGE}
    with Sink(path) as sink:
        try:
            with h5py.File(sink, "w", track_order=True, libver="earliest", **aligned) as file:
                file.attrs["layout"] = LAYOUT
                file.attrs["layout_version"] = LAYOUT_VERSION
                # what takes little room comes first, so that the rows are one stretch behind it
                _write_model(file.create_group("model", track_order=True), block, origin)
                _write_history(file.create_group("history", track_order=True), block, history)
                sink.check()
                _write_provenance(file.create_group("provenance"), block)
                found = columns(block, physical=False)
                scales = _dimensions(file, found, room)
                if events:
                    _write_events(file.create_group("events"), events, block)
                chunk = _rows_per_chunk(found, room)
                for column in found:
                    data = _dataset(file, column, scales, room, chunk)
                    if column.name != "time":
                        data.attrs["coordinates"] = "time"
        except (OSError, RuntimeError):
            if sink.error is None:
                raise
        sink.check()
    with Rows(path) as rows:
        rows.cut(0)


class Sink(io.FileIO):
    """A file that remembers its first error and from then on keeps in memory what cannot be written.

    The HDF5 library must not see a full disk: it would complain again for every object it closes, and crash
    where it does not read what it has written.
    """

    def __init__(self, path: FilePath) -> None:
        super().__init__(path, "w+")
        self.direct = Direct(path)
        self.error: OSError | None = None
        self.kept: list[tuple[int, bytes]] = []

    def write(self, data: Any, /) -> int:
        start, whole = self.tell(), memoryview(data).cast("B")
        rest = whole
        try:
            if self.error is None and (done := self.direct.write(start, whole)):
                rest = whole[done:]
                self.seek(start + done)
            while self.error is None and rest.nbytes:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        if self.error is not None:
            self.kept.append((start, bytes(whole)))
            self.seek(start + whole.nbytes)
        return whole.nbytes

    def readinto(self, buffer: Any, /) -> int:
        start, view = self.tell(), memoryview(buffer).cast("B")
        count = super().readinto(view) or 0
        if self.error is None:
            return count
        view[count:] = bytes(view.nbytes - count)
        for at, data in self.kept:
            first, last = max(start, at), min(start + view.nbytes, at + len(data))
            if first < last:
                view[first - start : last - start] = data[first - at : last - at]
        self.seek(start + view.nbytes)
        return view.nbytes

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def close(self) -> None:
        self.direct.close()
        super().close()

    def check(self) -> None:
        """Raise the first error, before more is written that would have to be kept."""
        if self.error is not None:
            raise self.error


def _dimensions(file: h5py.File, found: list[Column], room: int) -> dict[str, Any]:
    import h5py

    labels = coordinates(found)
    sizes: dict[str, int] = {}
    for column in found:
        for d, n in zip(column.dims, column.data.shape, strict=True):
            sizes.setdefault(d, n)
    scales = {}
    for dim, size in sizes.items():
        if dim == STEP:
            scale = growing(file, dim, (room,), np.dtype(np.int64), (room,))
            scale.attrs["long_name"] = "Step; 0 is the initial state"
            scale.make_scale(dim)
        elif dim in labels:
            scale = file.create_dataset(dim, data=labels[dim], dtype=h5py.string_dtype())
            scale.make_scale(dim)
        else:
            scale = file.create_dataset(dim, (size,), np.dtype(">f4"))
            scale.make_scale(NO_LABELS.format(size))
        scales[dim] = scale
    return scales


def _rows_per_chunk(found: list[Column], room: int) -> int:
    """As many rows as fit in a chunk, the same for all variables, but at least some for reading one point."""
    largest = max(max(math.prod(c.data.shape[1:]) * c.data.itemsize for c in found), 1)
    return max(1, min(1024, room, max(_CHUNK // largest, min(_MANY_ROWS, room // 16))))


def _dataset(file: h5py.File, column: Column, scales: dict[str, Any], room: int, rows: int) -> h5py.Dataset:
    inner = [max(n, 1) for n in column.data.shape[1:]]
    if inner:  # the first batch dimension is cut
        inner[0] = _points_per_chunk(inner[0], rows, math.prod(inner[1:]) * column.data.itemsize)
    shape = (room, *column.data.shape[1:])
    data = growing(file, column.name, shape, column.data.dtype, (rows, *inner))
    for i, dim in enumerate(column.dims):
        data.dims[i].attach_scale(scales[dim])
    for key, value in column.attrs.items():
        data.attrs[key] = value
    return data


def _points_per_chunk(points: int, rows: int, size: int) -> int:
    """As many points of ``size`` bytes as fit; where that wastes little room, every row starts a page."""
    most = max(1, min(points, _CHUNK // (rows * size)))
    pages = range(PAGE // math.gcd(PAGE, size), most + 1, PAGE // math.gcd(PAGE, size))
    return max((n for n in pages if -(-points // n) * n <= points * _PADDED), default=most)


def growing(
    group: h5py.Group, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], chunks: tuple[int, ...]
) -> h5py.Dataset:
    """A dataset all of whose chunks have their place in the file, although nothing is written there yet."""
    import h5py

    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return group.create_dataset(name, shape, dtype, maxshape=(None, *shape[1:]), chunks=chunks, dcpl=layout)


def _write_model(group: h5py.Group, block: Trajectory, origin: Origin) -> None:
    group.attrs["model"] = origin.model
    group.attrs["input"] = origin.input_text
    group.attrs["sections"] = json.dumps(dict(origin.sections))
    group.attrs["inputs"] = json.dumps(list(origin.inputs))
    group.attrs["states"] = json.dumps(dict(origin.states))
    group.attrs["dtype"] = str(block.time.dtype)
    parameters = group.create_group("parameters", track_order=True)
    for name, p in origin.parameters.items():
        write_array(parameters, name, p.detach().cpu().numpy())


def _write_history(group: h5py.Group, block: Trajectory, history: Mapping[str, Any]) -> None:
    group.attrs["time"] = block.time_name
    group.attrs["prescribed"] = json.dumps([n for n in block.forces if n != block.time_name])
    write_record(group, history)


def _write_events(group: h5py.Group, names: Sequence[str], block: Trajectory) -> None:
    room = max(1024, min(64 * block.batch.numel(), 2**20))
    for key, doc in EVENT_COLUMNS.items():
        dtype = np.dtype(np.float64 if key == "time" else np.int64)
        growing(group, key, (room,), dtype, (room,)).attrs["long_name"] = doc
    group["event"].attrs["flag_values"] = np.arange(len(names))
    group["event"].attrs["flag_meanings"] = " ".join(n.replace(" ", "_") for n in names)
    group.attrs["names"] = json.dumps(list(names))


def _write_provenance(group: h5py.Group, block: Trajectory) -> None:
    group.attrs.create("complete", 0, dtype="<i8")
    group.attrs.create("ended", np.bytes_(b"running"), dtype=f"S{ENDED}")
    for key, value in provenance(block).items():
        group.attrs[key] = value


def provenance(block: Trajectory) -> dict[str, str | int]:
    """Versions, time, seed, device, dtype and command, as strings and numbers."""
    found: dict[str, str | int] = {
        f"{name}_version": _version(name) for name in ("neml2", "torch", "numpy", "h5py")
    }
    found["started"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    found["python_version"] = platform.python_version()
    found["platform"] = platform.platform()
    found["seed"] = str(torch.initial_seed())  # may exceed a 64-bit integer of HDF5
    found["device"] = str(block.time.device)
    found["dtype"] = str(block.time.dtype)
    found["command"] = shlex.join(sys.argv)
    return found


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return str(getattr(sys.modules.get(name), "__version__", "unknown"))
