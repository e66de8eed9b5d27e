"""Places for results: checked before a run, never left with half a file, written by one run at a time."""

from __future__ import annotations

import contextlib
import glob
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

Path = str | os.PathLike[str]

_LOCKED_BYTE = 2**62  # far behind the end of any file: nobody reads or writes there


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
            f"cannot write {target}: it needs about {size / 2**20:.3g} MB, but {free / 2**20:.3g} MB are free"
        )


def partial(path: Path) -> FilePath:
    """Where a run grows before it is complete: ``run.partial.h5`` beside ``run.h5``."""
    target = FilePath(path)
    return target.with_name(f"{target.stem}.partial{target.suffix}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[FilePath]:
    """A temporary name beside ``path``; what is written there takes its place when all went well."""
    check_writable(path)
    target = FilePath(path)
    temporary = scratch(target)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
        sync_folder(target.parent)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def scratch(target: FilePath) -> FilePath:
    """A hidden name beside ``target``, of this process alone; what killed ones have left there is removed."""
    start = f".{target.name}.{platform.node()}."
    for left in target.parent.glob(f"{glob.escape(start)}*.tmp"):
        process = left.name[len(start) : -len(".tmp")]
        if process.isdecimal() and not _lives(int(process)):
            with contextlib.suppress(OSError):  # another run has been faster
                left.unlink()
    return target.with_name(f"{start}{os.getpid()}.tmp")


def _lives(process: int) -> bool:
    """Whether a process of this machine is there; always true where asking would disturb it."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def sync_folder(folder: FilePath) -> None:
    """Make the names in ``folder`` survive a power cut, where the system can."""
    if os.name == "posix":
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def locked(file: Any) -> bool:
    """Take the lock of an open file, which ends with it or with the process; False if another has it.

    The lock belongs to the open file, so that reading the same file elsewhere in this process does not drop
    it, and it is not the lock that HDF5 takes, so that everybody can read what is there already.
    """
    try:
        import fcntl
        import struct

        request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, _LOCKED_BYTE, 1, 0)
        fcntl.fcntl(file.fileno(), fcntl.F_OFD_SETLK, request)
    except (ImportError, AttributeError):  # a system without such locks
        return True
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks
        return True
    return True
