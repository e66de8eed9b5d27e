"""From C++ source to a loaded library: the system's compiler, and a cache by content.

The cache lies in the user's cache directory (``XDG_CACHE_HOME``, else ``~/.cache``), or in ``NEML2_CACHE``. A
library is built under a name of its own and renamed, so two processes that build the same kernel do not
disturb each other, and a killed build leaves nothing that could be loaded. Its name ends in its own digest.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

FLAGS = ("-O2", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC", "-std=c++17")
QUIET = ("-Wno-psabi",)  # vectors are passed between functions of one file only


class NoCompiler(RuntimeError):
    """There is no C++ compiler, or it refuses the source."""


def compiler() -> tuple[tuple[str, ...], str]:
    """The C++ compiler (``CXX``, else g++ or clang++) and its version. Raises :class:`NoCompiler`."""
    chosen = os.environ.get("CXX", "").strip()
    for words in [shlex.split(chosen)] if chosen else [["g++"], ["clang++"]]:
        path = shutil.which(words[0])
        if path:
            return (path, *words[1:]), _version(path)
    if chosen:
        raise NoCompiler(f"CXX is '{chosen}', which is not found; name a C++ compiler, or unset it")
    raise NoCompiler("no C++ compiler found; install g++ or clang++, or name one in CXX")


@lru_cache
def _version(path: str) -> str:
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout


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
    except OSError:
        return _temporary(tempfile.gettempdir())


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


def library(text: str) -> tuple[Path, ctypes.CDLL]:
    """The loaded library of a source, and the path of that source. Raises :class:`NoCompiler`."""
    command, version = compiler()
    key = hashlib.sha256("\n".join([text, *command, version, *FLAGS, _processor()]).encode()).hexdigest()[:20]
    folder = cache_directory()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for found in folder.glob(f"{key}-*.so"):
        if found.stem == f"{key}-{_digest(found)}":
            with suppress(OSError):
                return folder / f"{key}.cpp", ctypes.CDLL(str(found))
        found.unlink(missing_ok=True)  # damaged: loading a part of a library can end the process
    built = _build(command, text, folder / key)
    try:
        return folder / f"{key}.cpp", ctypes.CDLL(str(built))
    except OSError as error:
        raise NoCompiler(f"cannot load a kernel: {error}; name another folder in NEML2_CACHE") from None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _build(command: tuple[str, ...], text: str, target: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        code, made = Path(work) / "kernel.cpp", Path(work) / "kernel.so"
        try:
            code.write_text(text)
        except OSError as error:
            raise NoCompiler(f"cannot write to the kernel cache {target.parent}: {error}") from None
        for openmp in (["-fopenmp"], []):
            done = subprocess.run(
                [*command, *FLAGS, *QUIET, *openmp, str(code), "-o", str(made)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                os.replace(code, target.with_suffix(".cpp"))
                target = target.with_name(f"{target.name}-{_digest(made)}.so")
                os.replace(made, target)
                return target
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise NoCompiler(f"{command[0]} could not compile a kernel: {lines[0]}")


def _processor() -> str:
    """What ``-march=native`` depends on."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        flags = [line for line in info.read_text().splitlines() if line.startswith("flags")]
        return flags[0] if flags else ""
    return ""
