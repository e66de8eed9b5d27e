"""`Direct`: large pieces of a file go around the system's page cache, out of memory that is kept.

A kernel computes rows faster than the system copies them into pages: 4 GiB in pieces of 200 kB took 9.5 s
through the page cache, all of it the processor's, and 3.4 s around it, 0.9 s of it the processor's. Linux
keeps both ways coherent, so whoever reads sees no difference. What is small or not aligned goes the ordinary
way, and so does everything on a system without ``O_DIRECT``, on a file system that refuses it, and on a disk
that answers late, such as one behind a network: there the cache has many pieces on their way at a time.
"""

from __future__ import annotations

import contextlib
import errno
import math
import mmap
import os
from pathlib import Path as FilePath
from time import perf_counter
from typing import Any

import numpy as np

PAGE = 4096  # bytes that places, sizes and addresses are multiples of; enough for all usual disks
LARGE = 3 * 2**14  # bytes of a piece from which on it is faster: a disk takes 0.05 to 0.1 ms to answer
_COPIED = 2**20  # bytes at a time of what is not at the start of a page
_TRIAL = 2**26  # bytes before a disk is called slow
_SLOW = 2**28  # bytes a second, which the page cache takes on any machine


class Direct:
    """The second way into the file ``path``, which exists."""

    def __init__(self, path: FilePath) -> None:
        self._file: int | None = None
        self._memory = mmap.mmap(-1, PAGE)  # which starts at a page
        self._bytes, self._seconds = 0, 0.0
        if hasattr(os, "O_DIRECT"):
            with contextlib.suppress(OSError):
                self._file = os.open(path, os.O_WRONLY | os.O_DIRECT)

    def room(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """An array of any values at the start of a page, in the place of the one of the call before."""
        size = math.prod(shape) * dtype.itemsize
        if size > len(self._memory):
            self._memory = mmap.mmap(-1, -(-size // PAGE) * PAGE)
        return np.ndarray(shape, dtype, self._memory)

    def write(self, offset: int, data: memoryview) -> int:
        """Write the bytes ``data`` as far as they can go this way; how many that are, from the start on.

        Raises :class:`OSError` as the disk does.
        """
        whole = data.nbytes // PAGE * PAGE
        if self._file is None or whole < LARGE or offset % PAGE:
            return 0
        given = np.frombuffer(data, np.uint8, whole)
        if given.ctypes.data % PAGE == 0:
            return self._put(offset, given)
        for done in range(0, whole, _COPIED):
            part = given[done : done + _COPIED]
            copy = self.room(part.shape, part.dtype)
            copy[:] = part
            if (put := self._put(offset + done, copy)) < len(part):
                return done + put
        return whole

    def _put(self, offset: int, pages: np.ndarray) -> int:
        if self._file is None:
            return 0
        start = perf_counter()
        try:
            done = os.pwrite(self._file, pages.data, offset)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self.close()  # the file system has other rules
            return 0
        self._bytes, self._seconds = self._bytes + done, self._seconds + perf_counter() - start
        if self._bytes > _TRIAL and self._bytes < _SLOW * self._seconds:
            self.close()
        return done

    def close(self) -> None:
        """Everything goes the ordinary way from now on."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
