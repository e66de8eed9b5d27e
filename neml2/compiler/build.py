"""From C++ source to a loaded library: the system's compiler, and a cache by content.

The cache lies in the user's cache directory (``XDG_CACHE_HOME``, else ``~/.cache``), or in ``NEML2_CACHE``. A
library is built under a name of its own and renamed, so two processes that build the same kernel do not
disturb each other, and a killed build leaves nothing that could be loaded. Its name ends in its own digest.
Everything that a build writes, the compiler's own files included, is in a folder that goes with it.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

FLAGS = ("-O2", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
SHARED = ("-shared", "-fPIC", "-std=c++17", "-pthread", "-Wno-psabi")  # vectors stay within one file
NATIVE = ("-march=native",)  # not known to every compiler of every machine
ABANDONED = 24 * 3600.0  # seconds after which what a killed build has left is removed
LITTLE = 10 * 2**20  # bytes that are free, when a compiler died without a word
_REMEDY = "name a folder that can be written in NEML2_CACHE"
_NO_SPACE = (
    "no space left",
    "quota exceeded",
    "file too large",
    "file size limit",
    "nospaceleft",
    "diskquota",
    "filetoobig",
)


class NoCompiler(RuntimeError):
    """There is no C++ compiler, or it refuses the source."""


def compiler() -> tuple[tuple[str, ...], str]:
    """The C++ compiler and its version: ``CXX``, else g++, clang++, or that of the package ziglang.

    Raises :class:`NoCompiler`.
    """
    chosen = os.environ.get("CXX", "").strip()
    for words in [shlex.split(chosen)] if chosen else [["g++"], ["clang++"]]:
        path = shutil.which(words[0])
        if path:
            command = (path, *words[1:])
            return command, _version(command)
    if chosen:
        raise NoCompiler(f"CXX is '{chosen}', which is not found; name a C++ compiler, or unset it")
    if find_spec("ziglang") is not None:
        command = (sys.executable, "-m", "ziglang", "c++")
        return command, _version(command)
    raise NoCompiler(
        "no C++ compiler found; install g++ or clang++ (or name one in CXX), or run"
        " pip install 'neml2[compiler]'"
    )


@lru_cache
def _version(command: tuple[str, ...]) -> str:
    try:
        return subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError as error:
        raise NoCompiler(
            f"{command[0]} cannot be run: {error.strerror}; name another compiler in CXX"
        ) from None


def cache_directory() -> Path:
    """Where sources and libraries are kept; a temporary folder when the cache cannot be written."""
    chosen = os.environ.get("NEML2_CACHE")
    base = (
        Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "neml2"
    )
    try:
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=base):
            return base
    except OSError as error:
        if _is_full(error):  # to be told, not to be evaded
            return base
    try:
        return _temporary(tempfile.gettempdir())
    except OSError as error:
        raise NoCompiler(f"cannot write to the kernel cache {base}: {error}; {_REMEDY}") from None


@lru_cache
def _temporary(parent: str) -> Path:
    """A folder that nobody else can write, for libraries are loaded from it."""
    if hasattr(os, "getuid"):
        folder = Path(parent) / f"neml2-{os.getuid()}"
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            return folder
    return Path(tempfile.mkdtemp(prefix="neml2-", dir=parent))


def _full(folder: Path) -> str:
    return f"no space left to build a kernel in {folder}; free some, or name another folder in NEML2_CACHE"


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def key_of(text: str) -> str:
    """What a library is called in the cache: a digest of the source, the compiler and the processor.

    Raises :class:`NoCompiler`.
    """
    command, version = compiler()
    parts = [text, *command, version, *FLAGS, *SHARED, *NATIVE, _processor()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


def cached(text: str) -> tuple[Path, Path | None]:
    """Where a source is kept, and its library, if that has been built; nothing is written or loaded.

    Raises :class:`NoCompiler`.
    """
    key, folder = key_of(text), cache_directory()
    whole = [found for found in folder.glob(f"{key}-*.so") if found.stem == f"{key}-{_digest(found)}"]
    return folder / f"{key}.cpp", whole[0] if whole else None


def library(text: str) -> tuple[Path, ctypes.CDLL]:
    """The loaded library of a source, and the path of that source. Raises :class:`NoCompiler`."""
    key, folder = key_of(text), cache_directory()
    for found in folder.glob(f"{key}-*.so"):
        if found.stem == f"{key}-{_digest(found)}":
            with suppress(OSError):
                return folder / f"{key}.cpp", ctypes.CDLL(str(found))
        found.unlink(missing_ok=True)  # damaged: loading a part of a library can end the process
    built = _build(compiler()[0], text, folder / key)
    try:
        return folder / f"{key}.cpp", ctypes.CDLL(str(built))
    except OSError as error:
        raise NoCompiler(f"cannot load a kernel: {error}; name another folder in NEML2_CACHE") from None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _build(command: tuple[str, ...], text: str, target: Path) -> Path:
    """The library of a source, at ``target`` and its digest; the source beside it."""
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(folder)
        with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as work:
            code, made = Path(work) / "kernel.cpp", Path(work) / "kernel.so"
            code.write_text(text)
            _compile(command, code, made)
            library = target.with_name(f"{target.name}-{_digest(made)}.so")
            os.replace(code, target.with_suffix(".cpp"))
            os.replace(made, library)
            return library
    except OSError as error:
        if _is_full(error):
            raise NoCompiler(_full(folder)) from None
        raise NoCompiler(f"cannot write to the kernel cache {folder}: {error}; {_REMEDY}") from None


def _compile(command: tuple[str, ...], code: Path, made: Path) -> None:
    for native in (NATIVE, ()):
        done = subprocess.run(
            [*command, *FLAGS, *SHARED, *native, str(code), "-o", str(made)],
            capture_output=True,
            text=True,
            check=False,
            env=_environment(code.parent),
        )
        if done.returncode == 0:
            return
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        crowded = done.returncode < 0 and shutil.disk_usage(code.parent).free < LITTLE
        if crowded or any(word in done.stderr.lower() for word in _NO_SPACE):
            raise NoCompiler(_full(code.parent.parent))
    found = next((line for line in lines if "error" in line.lower()), lines[0])
    raise NoCompiler(f"{' '.join(command)} could not compile a kernel: {found}")


def _environment(work: Path) -> Mapping[str, str]:
    """The compiler's own files go to the folder of the build, and what zig keeps to the cache of kernels:
    it never returns where it cannot write its own.
    """
    return {"ZIG_GLOBAL_CACHE_DIR": str(work.parent / "zig"), **os.environ, "TMPDIR": str(work)}


def _sweep(folder: Path) -> None:
    """Remove what builds have left that were killed."""
    for left in folder.glob("build-*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)


def _processor() -> str:
    """What ``-march=native`` depends on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    features = [line for line in lines if line.startswith(("flags", "Features"))]
    return " ".join([platform.machine(), *features[:1]])
