"""Histories from measured tables: which column is what, its unit, its gaps, and the shear convention."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from neml2.drivers.control.control import LABELS
from neml2.drivers.histories.given import is_a
from neml2.drivers.histories.history import History
from neml2.drivers.histories.segments import Along, Segment, check_component
from neml2.drivers.histories.units import convert, from_header, unit
from neml2.drivers.results.layout import from_disk
from neml2.registry import did_you_mean, listing
from neml2.types import R2, SR2, Scalar, TensorWrapper, Vec

CONTROLLED = ("strain", "stress", "deformation_gradient")
_SHEARS = ("yz", "xz", "xy")
_KINDS: tuple[type[TensorWrapper], ...] = (SR2, R2, Vec)


@dataclass(frozen=True)
class Table:
    """Named columns of equal lengths, as they were found: numbers, or the words of a file.

    ``units`` are those that are written with the columns; ``row`` says where a row is, for messages.
    """

    columns: Mapping[str, Sequence[Any]]
    units: Mapping[str, str]
    row: Callable[[int], str] = "row {}".format


@dataclass(frozen=True)
class Reading:
    """How the columns of a table are read; see :meth:`History.from_csv`."""

    units: Mapping[str, str] = field(default_factory=dict)
    into: Mapping[str, str] = field(default_factory=dict)
    shear: str | Mapping[str, str] | None = None
    prescribed: Iterable[str] = ()
    resample: Any = None
    gaps: str = "refuse"
    backward: str = "refuse"

    def __post_init__(self) -> None:
        for name, known in (("gaps", ("refuse", "interpolate", "drop")), ("backward", ("refuse", "drop"))):
            word = getattr(self, name)
            if word not in known:
                raise ValueError(
                    f"{name}={word!r}{did_you_mean(str(word), known)}; give one of {listing(known)}"
                )


def from_csv(path: str | os.PathLike[str], delimiter: str | None, decimal: str, skip: int) -> Table:
    """The table of a file with a line of column names; empty lines and lines after ``#`` are left out."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        numbered = [(i, line) for i, line in enumerate(file, 1) if i > skip]
    lines = [(i, line) for i, line in numbered if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError(f"{path} has no line of column names; the table is empty")
    mark = delimiter or max(";\t,", key=lines[0][1].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader((line for _, line in lines), delimiter=mark)]
    names = rows[0]
    twice = next((n for n in names if n and names.count(n) > 1), None)
    if twice is not None:
        raise ValueError(f"{path} has two columns '{twice}'; rename one of them")
    where = [i for i, _ in lines[1:]]
    for i, row in zip(where, rows[1:], strict=False):
        if len(row) != len(names):
            raise ValueError(
                f"{path}:{i}: the row has {len(row)} cells but there are {len(names)} columns, separated by"
                f" {mark!r}; give delimiter='...' if that is another character"
            )
    columns = {n: [row[k] for row in rows[1:]] for k, n in enumerate(names)}
    if decimal != ".":
        columns = {n: [v.replace(decimal, ".") for v in c] for n, c in columns.items()}
    return Table(columns, _header_units(names), lambda k: f"{path}:{where[k]}")


def from_pandas(table: Any) -> Table:
    """The table of a pandas DataFrame."""
    if not is_a(table, "pandas.DataFrame"):
        raise TypeError(f"from_pandas takes a pandas DataFrame, not a {type(table).__name__}")
    columns = {str(c): table[c].tolist() for c in table.columns}
    index = table.index.tolist()
    return Table(columns, _header_units(columns), lambda k: f"row {index[k]}")


def from_xarray(dataset: Any) -> Table:
    """The table of the one-dimensional arrays of a dataset, and of its coordinates."""
    if not is_a(dataset, "xarray.Dataset"):
        raise TypeError(f"from_xarray takes an xarray Dataset, not a {type(dataset).__name__}")
    flat = {str(n): dataset[n] for n in dataset.variables if dataset[n].ndim == 1}
    units = {n: str(a.attrs["units"]) for n, a in flat.items() if "units" in a.attrs}
    return Table({n: a.values.tolist() for n, a in flat.items()}, _header_units(flat) | units)


def measured(
    table: Table, columns: Mapping[str, str], reading: Reading, initial: Any = None, constant: Any = None
) -> History:
    """A history of some ``columns`` of a table; see :meth:`History.from_csv`."""
    if "time" not in columns:
        raise ValueError(
            f"columns do not say which one is the time{did_you_mean('time', columns)}; give"
            f" columns={{'time': ...}} (the table has {listing(table.columns)})"
        )
    values = {name: _numbers(table, name, column, reading) for name, column in columns.items()}
    values = _resampled(_whole(table, values, reading), reading.resample)
    time = torch.from_numpy(values.pop("time"))
    groups: dict[str, dict[str, np.ndarray]] = {}
    plain: dict[str, np.ndarray] = {}
    for name, data in values.items():
        base, dot, component = name.partition(".")
        if dot:
            groups.setdefault(base, {})[component] = data
        else:
            plain[name] = data
    forces: dict[str, TensorWrapper] = {n: Scalar(torch.from_numpy(v)) for n, v in plain.items()}
    own = [n for n in groups if n not in CONTROLLED or n in tuple(reading.prescribed)]
    for name in own:
        forces[name] = _tensor(name, _halved(name, groups.pop(name), reading))
    groups = {n: _halved(n, g, reading) for n, g in groups.items()}
    return _history(time, groups, forces).replace(initial=initial, constant=constant)


def _history(time: torch.Tensor, groups: Mapping[str, Mapping[str, Any]], forces: Any) -> History:
    """One segment through all rows; it is absolute, so the history has no segments to change."""
    n = len(time) - 1
    if not groups or n < 1:
        return History(time, forces)
    for name, group in groups.items():
        for component in group:
            check_component(component, name, LABELS[9 if "deformation_gradient" in groups else 6])
    course: dict[str, Any] = {
        n: {c: Along(torch.from_numpy(v[1:])) for c, v in g.items()} for n, g in groups.items()
    }
    start = {f"{n}.{c}": float(v[0]) for n, g in groups.items() for c, v in g.items()}
    whole = History.from_segments([Segment(1.0, n, **course)], start=start)
    return whole.replace(time=time, prescribed=forces, segments=())


def _numbers(table: Table, name: str, column: str, reading: Reading) -> np.ndarray:
    """A column as numbers in the wanted unit; what is empty is NaN."""
    if column not in table.columns:
        raise ValueError(
            f"the table has no column '{column}' for {name}{did_you_mean(column, table.columns)} (it has"
            f" {listing(table.columns)})"
        )
    found = np.empty(len(table.columns[column]))
    for k, cell in enumerate(table.columns[column]):
        try:
            found[k] = np.nan if cell is None or cell == "" else float(cell)
        except (TypeError, ValueError):
            raise ValueError(
                f"{table.row(k)}: column '{column}' holds {cell!r}, which is not a number; correct it, or"
                " empty the cell and say what to do with gaps"
            ) from None
        if isinstance(cell, bool) or np.isinf(found[k]):
            raise ValueError(f"{table.row(k)}: column '{column}' holds {cell!r}; it must be a finite number")
    return _in_unit(found, name, column, table.units.get(column), reading)


def _in_unit(values: np.ndarray, name: str, column: str, written: str | None, reading: Reading) -> np.ndarray:
    base = name.partition(".")[0]
    what = f"column '{column}'"
    given = reading.units.get(name, reading.units.get(base, written))
    wanted = reading.into.get(name, reading.into.get(base))
    if given is None:
        if wanted is None:
            return values
        raise ValueError(f"{what} has no unit, but is wanted in {wanted}; give units={{'{base}': ...}}")
    quantity = unit(given, what).quantity
    expected = {"time": "time", "strain": "strain", "stress": "stress"}.get(base, quantity)
    if quantity != expected:
        raise ValueError(
            f"{what} is in {given}, a unit of {quantity}, but '{name}' is a {expected}; correct one"
        )
    if wanted is None:
        if quantity != "strain":
            raise ValueError(
                f"{what} is in {given}; say in which unit the model has it, with into={{'{base}': '{given}'}}"
            )
        wanted = "1"
    return convert(values, given, wanted, what)


def _whole(table: Table, values: dict[str, np.ndarray], reading: Reading) -> dict[str, np.ndarray]:
    """Rows without gaps and with increasing times, as asked."""
    time = values["time"]
    rows = np.arange(len(time))
    if reading.gaps == "interpolate":
        known = ~np.isnan(time)
        for name, v in values.items():
            holes = np.isnan(v) & known
            there = ~np.isnan(v) & known
            if name != "time" and holes.any() and there.any():
                inside = holes & (rows > rows[there][0]) & (rows < rows[there][-1])
                v[inside] = np.interp(time[inside], time[there], v[there])
    broken = np.any([np.isnan(v) for v in values.values()], axis=0)
    if broken.any() and reading.gaps != "drop":
        name = next(n for n, v in values.items() if np.isnan(v).any())
        k = int(np.isnan(values[name]).argmax())
        hint = "gaps='drop'" if reading.gaps == "interpolate" else "gaps='interpolate' or gaps='drop'"
        count = int(broken.sum())
        raise ValueError(
            f"{table.row(k)}: '{name}' has no value ({count} rows with gaps); fill it in, or give {hint}"
        )
    rows = rows[~broken]
    values = {n: v[rows] for n, v in values.items()}
    if not len(rows):
        raise ValueError("the table has no rows; a history needs one at least")
    time = values["time"]
    highest = np.maximum.accumulate(time)
    stuck = np.concatenate([[False], time[1:] <= highest[:-1]])
    if stuck.any() and reading.backward == "refuse":
        k = int(stuck.argmax())
        others = listing([table.row(int(r)) for r in rows[stuck]], 5)
        raise ValueError(
            f"{table.row(int(rows[k]))}: the time {time[k]:.12g} does not increase after"
            f" {highest[k - 1]:.12g}; correct it, or give backward='drop' (rows: {others})"
        )
    return {n: v[~stuck] for n, v in values.items()}


def _resampled(values: dict[str, np.ndarray], wanted: Any) -> dict[str, np.ndarray]:
    """Values on straight lines between the rows: at given times, or so many rows evenly spaced."""
    if wanted is None:
        return values
    time = values["time"]
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if wanted < 2:
            raise ValueError(f"resample={wanted} rows; give 2 at least, or the times")
        new = np.linspace(time[0], time[-1], wanted)
    else:
        new = np.asarray(wanted, dtype=np.float64).reshape(-1)
        if not len(new) or new.min() < time[0] or new.max() > time[-1]:
            raise ValueError(
                f"resample asks for times that the table does not have; it goes from {time[0]:g} to"
                f" {time[-1]:g}"
            )
    return {n: new if n == "time" else np.interp(new, time, v) for n, v in values.items()}


def _halved(name: str, group: dict[str, np.ndarray], reading: Reading) -> dict[str, np.ndarray]:
    """The group with tensor shears: half of the engineering ones."""
    shears = [c for c in _SHEARS if c in group]
    way = reading.shear.get(name) if isinstance(reading.shear, Mapping) else reading.shear
    if not isinstance(reading.shear, Mapping) and name != "strain":
        way = "tensor"
    if way is None and name == "strain" and shears:
        raise ValueError(
            f"'strain.{shears[0]}' is a shear strain; say shear='engineering' (2 eps_{shears[0]}) or"
            " shear='tensor'"
        )
    if way not in (None, "tensor", "engineering"):
        known = ("tensor", "engineering")
        raise ValueError(f"shear={way!r}{did_you_mean(str(way), known)}; give one of {listing(known)}")
    return {c: v / 2 if way == "engineering" and c in shears else v for c, v in group.items()}


def _tensor(name: str, group: dict[str, np.ndarray]) -> TensorWrapper:
    """A typed tensor from all its components."""
    kind = next((k for k in _KINDS if set(group) == set(k.COMPONENTS)), None)
    if kind is None:
        near = min(_KINDS, key=lambda k: len(set(k.COMPONENTS) ^ set(group)))
        raise ValueError(
            f"'{name}' has the components {listing(group)}; a {near.__name__} needs"
            f" {listing(near.COMPONENTS)}"
        )
    data = np.stack([group[c] for c in kind.COMPONENTS], axis=-1)
    return from_disk(kind, torch.from_numpy(data), 0)


def _header_units(names: Iterable[str]) -> dict[str, str]:
    return {n: u for n in names if (u := from_header(n)) is not None}
