"""How long an HDF5 dataset is: eight bytes in its header, so that a row is added by a single small write.

The HDF5 library adds rows by rewriting indices and headers in several places; a process that is killed in
between leaves a file that does not open. Here all chunks are allocated when the file is made, the library
closes it, and from then on rows are written to their places as bytes and become visible by the number in the
header. The file is a valid HDF5 file at every instant, and others can read it while it grows.

The layout of headers is that of the HDF5 file format specification, version 1 (``libver="earliest"``), which
is what netCDF reads as well.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

_DATASPACE, _ATTRIBUTE, _CONTINUATION = 0x01, 0x0C, 0x10
_HEADER = 16  # bytes of an object header before its messages


def address(item: Any) -> int:
    """Where the header of an h5py dataset or group is in the file."""
    import h5py

    return int(h5py.h5o.get_info(item.id).addr)


def length_offset(file: io.RawIOBase | Any, header: int) -> int:
    """Where the file has the current size of the first dimension of the dataset with this header."""
    for kind, offset, _ in _messages(file, header):
        if kind == _DATASPACE:
            version, rank = _read(file, offset, 2)
            if version == 1 and rank > 0:
                return offset + 8
    raise RuntimeError(f"the HDF5 object at {header} has no dataspace of version 1")


def attribute_offset(file: io.RawIOBase | Any, header: int, name: str) -> int:
    """Where the file has the value of an attribute of the group with this header."""
    for kind, offset, size in _messages(file, header):
        if kind == _ATTRIBUTE:
            data = _read(file, offset, size)
            version, _, *sizes = struct.unpack_from("<BBHHH", data)
            start = 9 if version == 3 else 8
            if version == 1:  # everything is padded to eight bytes
                sizes = [sizes[0], *(-(-n // 8) * 8 for n in sizes[1:])]
            found = data[start : start + sizes[0]].rstrip(b"\0").decode()
            length = -(-sizes[0] // 8) * 8 if version == 1 else sizes[0]
            if found == name:
                return offset + start + length + sizes[1] + sizes[2]
    raise RuntimeError(f"the HDF5 object at {header} has no attribute '{name}'")


def end_of_data(file: io.RawIOBase | Any) -> int:
    """Where the HDF5 data end, by the superblock: what lies behind is not of the HDF5 library."""
    head = _read(file, 0, 48)
    if head[:8] != b"\x89HDF\r\n\x1a\n" or head[8] != 0 or head[13] != 8:
        raise RuntimeError("the file has no HDF5 superblock of version 0")
    return int(struct.unpack_from("<Q", head, 40)[0])


def _messages(file: Any, header: int) -> Iterator[tuple[int, int, int]]:
    """Kind, offset and size of every message of an object header, continuations included."""
    version, _, count, _, size = struct.unpack("<BBHII", _read(file, header, 12))
    if version != 1:
        raise RuntimeError(f"the HDF5 object at {header} has a header of version {version}, not 1")
    blocks = [(header + _HEADER, size)]
    while blocks:
        offset, left = blocks.pop(0)
        while left >= 8 and count > 0:
            kind, length = struct.unpack("<HH", _read(file, offset, 4))
            if kind == _CONTINUATION:
                blocks.append(struct.unpack("<QQ", _read(file, offset + 8, 16)))
            yield kind, offset + 8, length
            offset, left, count = offset + 8 + length, left - 8 - length, count - 1


def _read(file: Any, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise RuntimeError(f"the HDF5 file ends before {offset + size}")
    return bytes(data)
