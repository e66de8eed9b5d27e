"""Trajectories from HDF5 files: whole, or value by value when they are asked for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neml2.drivers.files.places import Path, partial
from neml2.drivers.files.records import read_record
from neml2.drivers.increments.events import Found
from neml2.drivers.results.declared import Declared
from neml2.drivers.results.layout import KINDS, STEP, Column, batch_dims, from_column
from neml2.drivers.results.xarray_view import LAYOUT, LAYOUT_VERSION
from neml2.drivers.trajectory import Origin, Trajectory
from neml2.types import Scalar, TensorWrapper

if TYPE_CHECKING:
    import h5py

_ODD = (RuntimeError, TypeError, AttributeError, MemoryError)  # what h5py and torch raise for odd files


def read(path: Path, lazy: bool = False, most: int | None = None) -> Trajectory:
    """See :meth:`Trajectory.from_hdf5`; at ``most`` so many rows."""
    with opened(path) as file:
        return _read(file, str(path), lazy, most)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file of a run, for reading.

    Raises :class:`FileNotFoundError`, :class:`IsADirectoryError`, or :class:`ValueError`, also for what goes
    wrong while it is read.
    """
    import h5py

    target = FilePath(path)
    if not target.exists():
        growing = partial(target)
        hint = f"; {growing} is that of a run that is not complete" if growing.exists() else ""
        raise FileNotFoundError(f"there is no file {path}{hint}")
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of an HDF5 file")
    try:
        if not h5py.is_hdf5(path):
            raise ValueError(f"{path} is not an HDF5 file")
        with h5py.File(path, "r") as file:
            check_layout(file, str(path))
            yield file
    except OSError as error:
        reason = str(error).split("(", 1)[-1].rstrip(")")
        raise ValueError(f"{path} is damaged and cannot be read ({reason})") from None
    except (KeyError, json.JSONDecodeError, UnicodeDecodeError, *_ODD) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is no complete trajectory ({reason})") from None


def check_layout(file: h5py.File, who: str) -> None:
    """:class:`ValueError` for a file that is no trajectory, or one of a layout that is not known here."""
    layout = attribute(file, "layout")
    if layout != LAYOUT:
        raise ValueError(
            f"{who} is an HDF5 file but no trajectory of this library (it has no layout '{LAYOUT}')"
        )
    found = int(file.attrs.get("layout_version", 0))
    if not 1 <= found <= LAYOUT_VERSION:
        raise ValueError(
            f"{who} has layout version {found}; this library reads versions 1 to {LAYOUT_VERSION}"
        )
    for name in ("time", "status", "iterations", STEP, "model", "history"):
        if name not in file:
            raise ValueError(f"{who} lacks '{name}'; it is no complete trajectory")


@dataclass(frozen=True)
class _Stored:
    """Where the values of a variable are: the name on disk, and the names of the batch dimensions."""

    disk: str
    role: str
    declared: Declared


class FileValues(Mapping[str, TensorWrapper]):
    """Values that are read from a file whenever they are asked for, cut to its first ``steps`` rows."""

    def __init__(self, path: Path, disk: Mapping[str, str], batch: tuple[str, ...], steps: int) -> None:
        self.path, self.disk, self.batch, self.steps = path, dict(disk), batch, steps

    def __getitem__(self, name: str) -> TensorWrapper:
        disk = self.disk[name]
        with opened(self.path) as file:
            return from_column(_column(file[disk], str(self.path), self.steps), self.batch, str(self.path))

    def __iter__(self) -> Iterator[str]:
        return iter(self.disk)

    def __len__(self) -> int:
        return len(self.disk)

    def __contains__(self, name: object) -> bool:
        return name in self.disk


def _read(file: h5py.File, who: str, lazy: bool, most: int | None) -> Trajectory:
    steps = len(file[STEP]) if most is None else min(most, len(file[STEP]))
    status = _column(file["status"], who, steps)
    batch = batch_dims(status.data.ndim - 1)
    time = _column(file["time"], who, steps)
    time_value = from_column(time, batch if len(time.dims) > 1 else (), who).data
    stored = _variables(file, who)
    outputs: Mapping[str, TensorWrapper]
    forces: Mapping[str, TensorWrapper]
    outputs, forces = (
        FileValues(
            file.filename,
            {n: s.disk for n, s in stored.items() if (s.role == "force") is wanted},
            batch,
            steps,
        )
        for wanted in (False, True)
    )
    if not lazy:
        outputs, forces = (
            {n: from_column(_column(file[d], who, steps), batch, who) for n, d in v.disk.items()}
            for v in (outputs, forces)
        )
    origin = _origin(file, batch, who, {n: s.declared for n, s in stored.items()})
    time_name = attribute(file["history"], "time")
    if time_name in origin.inputs:
        forces = (
            _WithTime(time_name, Scalar(time_value), forces)
            if lazy
            else {time_name: Scalar(time_value), **forces}
        )
    numbers = torch.from_numpy(np.array(file[STEP][:steps]))
    return Trajectory(
        time=time_value,
        status=torch.from_numpy(status.data),
        iterations=torch.from_numpy(np.array(file["iterations"][:steps])),
        outputs=outputs,
        forces=forces,
        time_name=time_name,
        origin=origin,
        rows=None if torch.equal(numbers, torch.arange(steps)) else numbers,
        cycle=_cycle(file, numbers),
        events=_events(file, status.data.shape[1:]),
    )


def _cycle(file: h5py.File, rows: torch.Tensor) -> torch.Tensor | None:
    data = file["history"].get("cycle")
    return None if data is None else torch.from_numpy(np.array(data))[rows]


def _events(file: h5py.File, batch: tuple[int, ...]) -> tuple[Found, ...]:
    """What happened on the way; the states at the events are not in the file."""
    if "events" not in file:
        return ()
    table = file["events"]
    names = json.loads(attribute(table, "names"))
    columns = [np.array(table[n]) for n in ("point", "row", "time", "event")]
    return tuple(
        Found(names[int(e)], tuple(int(i) for i in np.unravel_index(int(p), batch)), int(r), float(t), "", {})
        for p, r, t, e in zip(*columns, strict=False)  # of a killed run, one may be longer
    )


class _WithTime(Mapping[str, TensorWrapper]):
    """Values in a file, and before them the time, which is there already."""

    def __init__(self, name: str, time: Scalar, rest: Mapping[str, TensorWrapper]) -> None:
        self.name, self.time, self.rest = name, time, rest

    def __getitem__(self, name: str) -> TensorWrapper:
        return self.time if name == self.name else self.rest[name]

    def __iter__(self) -> Iterator[str]:
        yield self.name
        yield from self.rest

    def __len__(self) -> int:
        return 1 + len(self.rest)


def _variables(file: h5py.File, who: str) -> dict[str, _Stored]:
    found = {}
    for name in file:
        if type(file.get(name, getlink=True)).__name__ != "HardLink":
            raise ValueError(f"{who}: '{name}' is a link to elsewhere, which is not followed")
        data = file[name]
        if name == "time" or not hasattr(data, "dims") or "tensor" not in data.attrs:
            continue
        text = {k: attribute(data, k) for k in ("variable", "role", "long_name", "units")}
        found[text["variable"] or name] = _Stored(
            name, text["role"], Declared(text["long_name"], text["units"])
        )
    return found


def _origin(file: h5py.File, batch: tuple[str, ...], who: str, declared: Mapping[str, Declared]) -> Origin:
    model, history = file["model"], file["history"]
    unit = attribute(file["time"], "units")
    old = int(file.attrs["layout_version"]) == 1
    return Origin(
        model=attribute(model, "model"),
        inputs=tuple(json.loads(attribute(model, "inputs"))),
        states=json.loads(attribute(model, "states")),
        initial=_initial_1(history, batch, who) if old else _initial(history),
        declared={**declared, attribute(history, "time"): Declared("Time", unit)},
        parameters={
            n: torch.from_numpy(np.array(d)) for n, d in model["parameters"].items() if "CLASS" not in d.attrs
        },
        input_text=attribute(model, "input"),
        sections=json.loads(attribute(model, "sections") or "{}"),
    )


def _initial(history: h5py.Group) -> dict[str, TensorWrapper]:
    return read_record(history["initial"]) if "initial" in history else {}


def _initial_1(history: h5py.Group, batch: tuple[str, ...], who: str) -> dict[str, TensorWrapper]:
    """The initial values in files of layout version 1, which had their physical components."""
    initial = {}
    for i, name in enumerate(json.loads(attribute(history, "initial"))):
        column = _column(history[f"initial_{i}"], who)
        value = from_column(column, batch, who)
        extra = len(value.dynamic_batch_shape) - int(column.attrs["batch_ndim"])
        initial[name] = type(value)._new(value.data.reshape(value.data.shape[extra:]), value.sub_batch_ndim)
    return initial


def _column(data: h5py.Dataset, who: str, steps: int | None = None) -> Column:
    attrs = {k: v for k, v in data.attrs.items() if isinstance(v, str | int | np.integer)}
    name = str(data.name).rpartition("/")[2]
    dims = []
    for i in range(data.ndim):
        if not len(data.dims[i]):
            raise ValueError(f"{who}: '{name}' has no name for its dimension {i}")
        dims.append(str(data.dims[i][0].name).rpartition("/")[2])
    kind = attrs.get("tensor")
    if kind is not None and kind not in KINDS:
        raise ValueError(f"{who}: '{name}' has the attribute tensor = {kind!r}, which is no tensor type")
    if steps is not None and (data.ndim == 0 or data.shape[0] < steps):
        raise ValueError(f"{who}: '{name}' has {data.shape[0] if data.ndim else 0} steps, the file {steps}")
    return Column(name, tuple(dims), np.array(data if steps is None else data[:steps]), attrs)


def attribute(item: Any, key: str) -> str:
    """An attribute as text; empty where there is none."""
    value = item.attrs.get(key)
    return value.decode() if isinstance(value, bytes) else "" if value is None else str(value)
