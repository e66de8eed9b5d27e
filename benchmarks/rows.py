"""The rows of the CSV: columns, what is the same in all of them, and a file that is written as they come."""

from __future__ import annotations

import csv
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import torch

import neml2

COLUMNS = [
    *("date", "commit", "machine", "threads", "python", "torch", "neml2", "engine", "scenario", "measure"),
    *("points", "steps", "build_s", "run_s", "repetitions", "s_per_100_steps", "us_per_point_and_step"),
    *("iterations_per_step", "off", "cold_build_s", "warm_build_s", "gradient_ratio", "note"),
]
# ``measure`` is run, build or gradient. ``off``: the largest relative difference of a point's final stress
# from that of the first engine of the same case. ``run_s`` of a gradient is that of the run and the gradient.


class Table:
    """Rows that are written to a CSV file, where one is given, as they are added."""

    def __init__(self, file: Path | None) -> None:
        """Raises :class:`ValueError` when the file exists and has other columns."""
        self.file, self.rows = file, list[dict[str, str]]()
        self._always = {
            "date": time.strftime("%Y-%m-%d"),
            "commit": _commit(),
            "machine": machine(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "neml2": neml2.__version__,
        }
        if file is not None and file.exists():
            with file.open(newline="") as text:
                if next(csv.reader(text), COLUMNS) != COLUMNS:
                    raise ValueError(f"{file} has other columns; give another file")

    def add(self, **values: Any) -> dict[str, str]:
        """Add a row; what is not given is empty, or the same in all rows."""
        row = {c: _text(values.get(c, self._always.get(c, ""))) for c in COLUMNS}
        self.rows.append(row)
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            new = not self.file.exists() or not self.file.stat().st_size
            with self.file.open("a", newline="") as text:
                writer = csv.DictWriter(text, COLUMNS)
                if new:
                    writer.writeheader()
                writer.writerow(row)
        return row


def read(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file. Raises :class:`ValueError` when it is none of ours."""
    try:
        with file.open(newline="") as text:
            reader = csv.DictReader(text)
            rows = list(reader)
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}; give a file that 'run --out' has written") from None
    missing = [c for c in ("engine", "scenario", "measure", "off") if c not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{file} has no column '{missing[0]}'; give a file that 'run --out' has written")
    return rows


def machine() -> str:
    """The processor, its cores and its vector instructions."""
    model = "unknown CPU"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{model}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}"


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "?"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
