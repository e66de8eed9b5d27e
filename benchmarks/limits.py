"""The hand-written C++ of ``benchmarks/limit``: built, loaded and called with the arrays of a case."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from benchmarks.scenario import Case

SOURCES = Path(__file__).parent / "limit"
# Linked without -ffast-math, which would switch denormal numbers off in the whole process.
COMPILE = ("-std=c++17", "-O3", "-march=native", "-ffast-math", "-fopenmp", "-fPIC", "-Wno-psabi")
LINK = ("-shared", "-fopenmp")
WIDTH = 8  # of points.hpp

_PERZYNA = ("E", "nu", "sy", "R", "d", "eta", "n", "H")


@dataclass(frozen=True)
class Limit:
    """A source, the model's parameters it takes in order (by the ends of their names), and constants."""

    source: str
    parameters: tuple[str, ...]
    constants: tuple[float, ...] = ()
    backstresses: int = 0


def _chaboche(n: int) -> Limit:
    recovery = [f"X{i}rate.{p}" for p in ("C", "g", "A", "a") for i in range(1, n + 1)]
    return Limit("chaboche_newton", (*_PERZYNA[:-1], *recovery), backstresses=n)


# By scenario and engine. ``limit`` has as few unknowns as can be, ``limit-newton`` those of the input file.
LIMITS: dict[str, dict[str, Limit]] = {
    "elasticity": {"limit": Limit("elasticity", ("E", "nu"))},
    "radial_return": {"limit": Limit("radial_return", ("E", "nu", "sy", "isoharden.K", "kinharden.H"))},
    "j2_viscoplastic": {"limit": Limit("perzyna_condensed", _PERZYNA[:-1], (0.0,))},
    "perzyna": {
        "limit": Limit("perzyna_condensed", _PERZYNA),
        "limit-newton": Limit("perzyna_newton", _PERZYNA),
    },
    **{f"chaboche_{n}": {"limit-newton": _chaboche(n)} for n in (2, 4, 6, 12)},
}


class LimitEngine:
    """A limit on a case: ``run()`` gives seconds. Strain and stress are structures of arrays, padded."""

    iterations = None

    def __init__(self, limit: Limit, case: Case, threads: int) -> None:
        start = time.perf_counter()
        self._library = ctypes.CDLL(str(build(limit)))
        self.build_s = time.perf_counter() - start
        self._points, self._threads = case.points, threads
        self._times = case.history.time
        self._values = _values(limit, case)
        padded = -(-case.points // WIDTH) * WIDTH
        which = torch.arange(padded).clamp(max=case.points - 1)
        strain = case.history.prescribed["E"].data  # (steps + 1, points, 6)
        # Both are aligned to 64 bytes by torch, as the vectors need.
        self._strain = torch.zeros(strain.shape[0], 6, padded, dtype=torch.float64)
        self._strain.copy_(strain[:, which].transpose(1, 2))
        self._stress = torch.zeros_like(self._strain)

    def run(self) -> float:
        """Seconds of one run. Raises :class:`RuntimeError` when points do not converge."""
        steps, _, padded = self._strain.shape
        pointers = [t.data_ptr() for t in (self._times, self._strain, self._values, self._stress)]
        start = time.perf_counter()
        failures = self._library.run(
            ctypes.c_int64(padded),
            ctypes.c_int64(steps),
            ctypes.c_int(self._threads),
            *map(ctypes.c_void_p, pointers),
        )
        seconds = time.perf_counter() - start
        if failures:
            raise RuntimeError(f"{failures} blocks of {WIDTH} points did not converge")
        return seconds

    def stress(self) -> torch.Tensor:
        """The final stress ``(points, 6)``."""
        return self._stress[-1, :, : self._points].T.contiguous()

    def close(self) -> None:
        """Nothing to end."""


def compiler() -> str | None:
    """The compiler of the limits: GCC, whose vector extensions and vector mathematics they use."""
    return shutil.which("g++")


@lru_cache
def build(limit: Limit) -> Path:
    """The library of a limit, for the life of this process. Raises :class:`RuntimeError` without g++."""
    gxx = compiler()
    if gxx is None:
        raise RuntimeError("no g++ found; install it to run the limits")
    folder = Path(_folder().name)
    name = f"{limit.source}_{limit.backstresses}"
    object_file, library = folder / f"{name}.o", folder / f"{name}.so"
    source = SOURCES / f"{limit.source}.cpp"
    compiling = [gxx, *COMPILE, f"-DBACKSTRESSES={limit.backstresses}", "-c", str(source)]
    for command in ([*compiling, "-o", str(object_file)], [gxx, *LINK, str(object_file), "-o", str(library)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"g++ refuses {source.name}: {done.stderr.strip()}")
    return library


@lru_cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="neml2-limits-")


def _values(limit: Limit, case: Case) -> torch.Tensor:
    found = dict(case.model.named_parameters())
    values = [next(v for n, v in found.items() if f".{n}".endswith(f".{end}")) for end in limit.parameters]
    return torch.tensor([*(float(v.detach()) for v in values), *limit.constants], dtype=torch.float64)
