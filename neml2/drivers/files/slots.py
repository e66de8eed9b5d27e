"""Checkpoints behind the end of an HDF5 file: two places in turn, so that one of them is always whole.

A checkpoint is written to the place of the older one, data first, then the entry that says where it is and
which row it belongs to, with a checksum of both. Cutting the file at the end of its HDF5 data removes all.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neml2.drivers.files.rows import Rows

_ENTRY = struct.Struct("<8sqqqqI")
_STRIDE = _ENTRY.size + 4  # an entry and its own checksum
_MARK = b"NEML2CKP"
_PAGE = 4096


@dataclass(frozen=True)
class _Entry:
    row: int
    count: int  # of rows on disk
    place: int
    size: int
    checksum: int


class Slots:
    """Two checkpoints of the file of ``rows``: ``write`` the newer, ``read`` the one that counts."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.start = -(-rows.end // _PAGE) * _PAGE
        self.place = [self.start + _PAGE] * 2  # of the data of the two
        self.size = [0, 0]
        for i in (0, 1):
            if entry := self._entry(i):
                self.place[i], self.size[i] = entry.place, entry.size
        counting = self._newest()
        self.next = 0 if counting is None else 1 - counting[0]

    def write(self, row: int, count: int, tensors: Mapping[str, torch.Tensor]) -> None:
        """Keep ``tensors``, from which the row ``row`` starts, for ``count`` rows on disk."""
        i = self.next
        parts, size = _packed(tensors)
        if size > self.size[i]:  # larger than the last one at this place, or the first
            ends = [p + n for p, n in zip(self.place, self.size, strict=True)]
            self.place[i], self.size[i] = -(-max(ends) // _PAGE) * _PAGE, size
        at, checksum = self.place[i], 0
        for part in parts:
            self.rows.put(at, part)
            at, checksum = at + len(part), zlib.crc32(part, checksum)
        entry = _ENTRY.pack(_MARK, row, count, self.place[i], size, checksum)
        self.rows.put(self.start + i * _STRIDE, entry + struct.pack("<I", zlib.crc32(entry)))
        self.next = 1 - i

    def read(self) -> tuple[int, int, dict[str, torch.Tensor]]:
        """The row, the rows on disk and the tensors of the newest checkpoint; ``(0, 0, {})`` without any."""
        found = self._newest()
        return (0, 0, {}) if found is None else (found[1].row, found[1].count, _unpacked(found[2]))

    def _newest(self) -> tuple[int, _Entry, bytes] | None:
        """The newest whole checkpoint whose rows are on disk."""
        found = []
        for i in (0, 1):
            entry = self._entry(i)
            if entry and entry.count <= self.rows.count:
                data = self.rows.get(entry.place, entry.size)
                if len(data) == entry.size and zlib.crc32(data) == entry.checksum:
                    found.append((i, entry, data))
        return max(found, key=lambda f: f[1].row, default=None)

    def _entry(self, i: int) -> _Entry | None:
        data = self.rows.get(self.start + i * _STRIDE, _STRIDE)
        if len(data) < _STRIDE or data[-4:] != struct.pack("<I", zlib.crc32(data[:-4])):
            return None
        mark, *numbers = _ENTRY.unpack(data[:-4])
        return _Entry(*numbers) if mark == _MARK else None


def _packed(tensors: Mapping[str, torch.Tensor]) -> tuple[list[memoryview[Any] | bytes], int]:
    arrays = {n: np.ascontiguousarray(t.detach().cpu().numpy()) for n, t in tensors.items()}
    head = json.dumps(
        [[n, a.dtype.str, list(t.shape)] for (n, a), t in zip(arrays.items(), tensors.values())]
    )
    parts: list[Any] = [struct.pack("<q", len(head.encode())), head.encode()]
    parts += [a.reshape(-1).view(np.uint8).data for a in arrays.values() if a.size]
    return parts, sum(len(p) for p in parts)


def _unpacked(data: bytes) -> dict[str, torch.Tensor]:
    (length,) = struct.unpack_from("<q", data)
    at, found = 8 + length, {}
    for name, dtype, shape in json.loads(data[8:at]):
        size = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(data, np.dtype(dtype), size, at).reshape(shape).copy()
        found[name] = torch.from_numpy(array)
        at += array.nbytes
    return found
