"""`Rows`: the growing datasets of a file, filled as bytes, and made visible block by block.

See :mod:`neml2.drivers.files.extents` for why. Rows that are written but not committed are invisible; the
length of ``step`` is the last thing that a commit writes, and what every reader goes by.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neml2.drivers.files.direct import Direct
from neml2.drivers.files.extents import address, attribute_offset, end_of_data, length_offset
from neml2.drivers.results.layout import KINDS, STEP, Column, mandel_factors

if TYPE_CHECKING:
    import h5py
    from typing_extensions import Self

ENDED = 160  # bytes for how a run has ended
EVENT_COLUMNS = {
    "point": "Number of the point in the flattened batch",
    "row": "Row of the run at whose end the event is recorded",
    "time": "Time of the event",
    "event": "Which event",
}


@dataclass(frozen=True)
class Growing:
    """A dataset that grows: where its chunks and its length are in the file."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]  # of one row
    dtype: np.dtype[Any]
    chunk: tuple[int, ...]
    places: np.ndarray  # byte offsets of the chunks, (rows / chunk rows, parts of a row)
    length: int  # where the number of rows is
    factors: np.ndarray | None  # stored over physical components

    @property
    def room(self) -> int:
        """How many rows have a place."""
        return self.places.shape[0] * self.chunk[0]


class Rows:
    """Fills the file ``path`` that :func:`~neml2.drivers.files.hdf5.create` has made.

    ``end`` is where the HDF5 data end; what lies behind is free for other uses. Raises :class:`OSError` as
    the disk does; what is committed stays as it is.
    """

    def __init__(self, path: FilePath) -> None:
        import h5py

        self.file = open(path, "r+b", buffering=0)  # noqa: SIM115
        with h5py.File(path, "r") as file:
            self.step = self._plan(file[STEP])
            self.fields = {
                name: self._plan(data)
                for name, data in file.items()
                if isinstance(data, h5py.Dataset) and data.ndim and _dims(data)[0] == STEP and name != STEP
            }
            self.events = {n: self._plan(file["events"][n]) for n in EVENT_COLUMNS if "events" in file}
            provenance = address(file["provenance"])
            self.count = len(file[STEP])
            self.room = self.step.room
            self.event_count = len(file["events/row"]) if self.events else 0
        self._complete = attribute_offset(self.file, provenance, "complete")
        self._ended = attribute_offset(self.file, provenance, "ended")
        self.end = end_of_data(self.file)
        if self.file.seek(0, 2) < self.end:  # nothing was written behind the last dataset yet
            self.file.truncate(self.end)
        self.direct = Direct(path)

    def _plan(self, data: h5py.Dataset) -> Growing:
        found: list[tuple[tuple[int, ...], int]] = []
        data.id.chunk_iter(lambda info: found.append((info.chunk_offset, info.byte_offset)))
        chunk = tuple(data.chunks)
        parts = -(-data.shape[1] // chunk[1]) if data.ndim > 1 else 1
        places = np.zeros((len(found) // parts, parts), dtype=np.int64)
        for corner, offset in found:
            places[corner[0] // chunk[0], corner[1] // chunk[1] if data.ndim > 1 else 0] = offset
        kind = KINDS.get(str(data.attrs.get("tensor", "")))
        factors = mandel_factors(kind, torch.empty((), dtype=torch.float64)) if kind is not None else None
        return Growing(
            name=str(data.name).rpartition("/")[2],
            dims=_dims(data),
            shape=tuple(data.shape[1:]),
            dtype=data.dtype,
            chunk=chunk,
            places=places,
            length=length_offset(self.file, address(data)),
            factors=None if factors is None else factors.numpy().astype(data.dtype),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; rows that are not committed are lost."""
        self.direct.close()
        self.file.close()

    # ------------------------------------------------------------------ writing

    def append(self, columns: Iterable[Column], numbers: np.ndarray, physical: bool = False) -> None:
        """Write rows of all variables, in stored components, behind those that are committed.

        ``numbers`` are the numbers of the rows in the run. ``physical`` says that the components are physical
        ones already. Raises :class:`ValueError` for columns that are
        not those of the file.
        """
        given = {c.name: c for c in columns}
        if given.keys() != self.fields.keys() or self.count + len(numbers) > self.room:
            odd = sorted(given.keys() ^ self.fields.keys())
            raise ValueError(
                f"a block of {len(numbers)} rows does not fit the file ({odd}, room {self.room})"
            )
        for name, column in given.items():
            field = replace(self.fields[name], factors=None) if physical else self.fields[name]
            self._write(field, _fitted(column, field), self.count)
        self._write(self.step, numbers.astype(np.int64), self.count)

    def commit(self, count: int, events: int | None = None) -> None:
        """Make the rows up to ``count`` visible, ``step`` last, and then the events in them."""
        if count != self.count:
            for field in (*self.fields.values(), self.step):
                self.put(field.length, struct.pack("<q", count))
            self.count = count
        if events is not None and events != self.event_count:
            for field in self.events.values():
                self.put(field.length, struct.pack("<q", events))
            self.event_count = events

    def cut(self, count: int, events: int = 0) -> None:
        """Make only the rows up to ``count`` visible, in all variables."""
        for field in (self.step, *self.fields.values()):
            self.put(field.length, struct.pack("<q", count))
        for field in self.events.values():
            self.put(field.length, struct.pack("<q", events))
        self.count, self.event_count = count, events

    def append_events(self, table: Mapping[str, np.ndarray]) -> int:
        """Write events behind those that are committed; how many there are then."""
        size = len(table["row"])
        if self.events and self.event_count + size <= self.events["row"].room:
            for name, field in self.events.items():
                self._write(field, table[name].astype(field.dtype), self.event_count)
            return self.event_count + size
        raise ValueError(f"the file has no room for {size} more events")

    def complete(self) -> None:
        """Mark the run as complete."""
        self.put(self._ended, b"complete".ljust(ENDED, b"\0"))
        self.put(self._complete, struct.pack("<q", 1))

    def trim(self) -> None:
        """Drop what lies behind the HDF5 data."""
        self.file.truncate(self.end)

    def ended(self, reason: str) -> None:
        """Note why a run ended before it was complete."""
        self.put(self._ended, reason.encode()[: ENDED - 1].ljust(ENDED, b"\0"))

    def _write(self, field: Growing, values: np.ndarray, at: int) -> None:
        if not len(values):
            return
        rows, *inner = field.chunk
        size = math.prod(field.chunk[1:]) * field.dtype.itemsize  # of a row of a chunk
        width = inner[0] if inner else 1
        stop = at + len(values)
        for k in range(at // rows, -(-stop // rows)):
            first, last = max(at, k * rows), min(stop, (k + 1) * rows)
            part = values[first - at : last - at]
            for j, place in enumerate(field.places[k]):
                piece = part[:, j * width : (j + 1) * width] if inner else part
                out = self.direct.room((len(piece), *field.chunk[1:]), field.dtype)
                _pack(piece, field, out)
                self.put(int(place) + (first - k * rows) * size, out)

    def put(self, offset: int, data: Any) -> None:
        """Write bytes at a place of the file."""
        whole = memoryview(data).cast("B")
        done = self.direct.write(offset, whole)
        rest = whole[done:]
        self.file.seek(offset + done)
        while rest.nbytes:
            rest = rest[self.file.write(rest) :]

    def get(self, offset: int, size: int) -> bytes:
        """Read up to ``size`` bytes from a place of the file."""
        self.file.seek(offset)
        parts = []
        while size > 0 and (part := self.file.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def _pack(piece: np.ndarray, field: Growing, out: np.ndarray) -> None:
    """Fill ``out`` with a part of a chunk as it is on disk: physical components, as wide as the chunk."""
    if piece.shape != out.shape:
        out[:, piece.shape[1] :] = 0
    target = out[:, : piece.shape[1]] if piece.ndim > 1 else out
    if field.factors is None:
        target[...] = piece
    elif target.flags.c_contiguous:  # whole rows at once: three times as fast as six numbers at a time
        lines = piece.reshape(len(piece), -1)
        factors = np.tile(field.factors, lines.shape[1] // len(field.factors))
        np.divide(lines, factors, out=target.reshape(len(piece), -1))
    else:
        np.divide(piece, field.factors, out=target)


def _fitted(column: Column, field: Growing) -> np.ndarray:
    """The data of a column in the dimensions of the file, where it may have fewer."""
    sizes = dict(zip(column.dims, column.data.shape, strict=True))
    wide = dict(zip(field.dims, (len(column.data), *field.shape), strict=True))
    odd = [d for d, n in sizes.items() if wide.get(d) != n]
    if odd or column.data.dtype != field.dtype:
        raise ValueError(
            f"'{column.name}' has dimensions {sizes} of {column.data.dtype} in this block, and"
            f" {wide} of {field.dtype} in the file; all blocks need the same"
        )
    shape = [sizes.get(d, 1) for d in field.dims]
    return np.broadcast_to(column.data.reshape(shape), (len(column.data), *field.shape))


def _dims(data: h5py.Dataset) -> tuple[str, ...]:
    return tuple(str(d[0].name).rpartition("/")[2] if len(d) else "" for d in data.dims)
