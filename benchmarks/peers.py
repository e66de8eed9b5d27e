"""Our side of the peer: its process, its compiled models, and its engines on a case."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy
import torch

from benchmarks.scenario import Case, path

ENGINES = ("peer-eager", "peer-compiled")
_COMPILE = "import sys; from neml2.cli.aoti_compile import main; sys.exit(main(sys.argv[1:]))"


class Peer:
    """A process with NEML2 3.1.0 that answers requests. Raises :class:`RuntimeError` for its errors."""

    def __init__(self, python: str, cache: Path) -> None:
        self.python, self.cache = python, cache.resolve()
        self.cache.mkdir(parents=True, exist_ok=True)
        self._log = (self.cache / "peer.log").open("w")
        self._process = subprocess.Popen(
            [python, "-I", str(Path(__file__).with_name("peer.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=_environment(),
        )
        try:
            self.versions = self.ask("versions")
        except RuntimeError:
            self.close()
            raise

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """The answer to a request."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"the peer has ended; see {self._log.name}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()

    def compiled(self, name: str, threads: int) -> tuple[Path, float | None]:
        """The compiled model's input file, and the seconds it took to build where the cache lacked it.

        One for each number of threads, because the generated loops may hold it.
        """
        text = f"{path(name).read_text()}{self.versions['neml2']}{self.versions['torch']}{threads}"
        folder = self.cache / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        stub = folder / "model_aoti.i"
        if stub.exists():
            return stub, None
        building = folder.with_suffix(".part")
        shutil.rmtree(building, ignore_errors=True)
        start = time.perf_counter()
        done = subprocess.run(
            [self.python, "-I", "-c", _COMPILE, str(path(name)), "--driver", "driver", "-q"]
            + ["--output-dir", str(building)],
            capture_output=True,
            text=True,
            check=False,
            env={**_environment(), "OMP_NUM_THREADS": str(threads)},
        )
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["neml2-compile failed"])[-1])
        building.rename(folder)
        seconds = time.perf_counter() - start
        (folder / "seconds").write_text(f"{seconds:.2f}")
        return stub, seconds

    def cold_and_warm(self, name: str, engine: str, threads: int) -> tuple[float | None, float]:
        """Seconds to a first result in a fresh process: with the compilation, and without."""
        compiling = None
        file = path(name)
        if engine == "peer-compiled":
            file, _ = self.compiled(name, threads)
            compiling = float((file.parent / "seconds").read_text())
        fresh = Peer(self.python, self.cache / "fresh")
        try:
            built = fresh.ask("load", name=engine, file=str(file), points=1, steps=2, threads=threads)
            warm = fresh.versions["import_s"] + built["build_s"]
        finally:
            fresh.close()
        return warm + compiling if compiling is not None else warm, warm


class PeerEngine:
    """The peer's own driver on a case, eager or compiled; ``run()`` gives seconds."""

    iterations = None

    def __init__(self, peer: Peer, engine: str, case: Case, threads: int) -> None:
        self._peer, self._engine = peer, engine
        file = path(case.name)
        compiling: float | None = None
        if engine == "peer-compiled":
            file, compiling = peer.compiled(case.name, threads)
        sizes = {"points": case.points, "steps": case.steps, "threads": threads}
        self.build_s = peer.ask("load", name=engine, file=str(file), **sizes)["build_s"] + (compiling or 0)

    def run(self) -> float:
        """Seconds of one run."""
        return self._peer.ask("run", name=self._engine)["seconds"]

    def stress(self) -> torch.Tensor:
        """The final stress ``(points, 6)`` of the last run."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "stress.npy"
            self._peer.ask("stress", name=self._engine, file=str(file))
            return torch.from_numpy(numpy.load(file))

    def close(self) -> None:
        """Free the driver and its history."""
        with suppress(RuntimeError):  # a peer that has ended holds nothing
            self._peer.ask("drop", name=self._engine)


def _environment() -> dict[str, str]:
    """Ours, without what would lead another Python to our packages."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
