"""Histories from pandas tables and xarray datasets, by the names of columns and arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neml2.drivers.histories import measured
from neml2.drivers.histories.given import is_a
from neml2.drivers.histories.history import History
from neml2.drivers.results.layout import STEP, Column, component_dim, from_column, from_disk
from neml2.registry import did_you_mean, listing
from neml2.types import R2, SR2, TensorWrapper, Vec

if TYPE_CHECKING:
    import pandas
    import xarray

_PAIRS = frozenset(R2.COMPONENTS)
_AXES = frozenset(Vec.COMPONENTS)


def from_pandas(
    table: pandas.DataFrame,
    time: str,
    batch: str | None,
    scalars: tuple[str, ...],
    map_of_columns: Mapping[str, str] | None,
    reading: Mapping[str, Any],
    start: Mapping[str, Any],
) -> History:
    """See :meth:`History.from_pandas`; ``start`` are its initial and constant values."""
    if map_of_columns is not None:
        found = measured.from_pandas(table)
        return measured.measured(found, map_of_columns, measured.Reading(**reading), **start)
    _no_reading(reading)
    if not is_a(table, "pandas.DataFrame"):
        raise TypeError(f"from_pandas takes a pandas DataFrame, not a {type(table).__name__}")
    columns = [str(c) for c in table.columns]
    for name in (time, *([batch] if batch else []), *scalars):
        if name not in columns:
            given = name != "t"  # else it is the default
            near = did_you_mean(name, columns) if given else "; name that of the time with time='...'"
            raise ValueError(f"the table has no column '{name}'{near} (it has {listing(columns)})")
    twice = next((c for c in columns if columns.count(c) > 1), None)
    if twice is not None:
        raise ValueError(f"the table has two columns '{twice}'; keep one of them")
    values = _by_specimen(table, batch)
    groups, plain = _grouped([c for c in columns if c not in (time, batch)], scalars)
    prescribed: dict[str, Any] = {name: values(name) for name in plain}
    for name, labels in groups.items():
        kind = _kind_of(name, labels)
        order = Vec.COMPONENTS if kind is None else kind.COMPONENTS
        data = np.stack([values(f"{name}_{c}") for c in order], axis=-1)
        # three components may be a vector, a spin or an orientation: the model decides
        prescribed[name] = data if kind is None else from_disk(kind, torch.from_numpy(data), 0)
    return History(values(time), prescribed, **start)


def _no_reading(options: Mapping[str, Any]) -> None:
    """:class:`TypeError` for options that only a measured table has."""
    for name in options:
        raise TypeError(
            f"the option '{name}' is for measured tables; give columns={{'time': ..., ...}} as well"
        )


def _by_specimen(table: pandas.DataFrame, batch: str | None) -> Any:
    if batch is None:
        return lambda name: _numbers(table, name)
    unnamed = table[batch].isna().to_numpy()
    if unnamed.any():
        raise ValueError(f"column '{batch}' names no specimen in row {int(unnamed.argmax())}; fill it in")
    parts = [part for _, part in table.groupby(batch, sort=False)]
    lengths = {len(p) for p in parts}
    if len(lengths) > 1:
        raise ValueError(
            f"the specimens in column '{batch}' have {listing(sorted(lengths))} rows; a batch needs"
            " equally many steps"
        )
    return lambda name: np.stack([_numbers(p, name) for p in parts], axis=1)  # (step, batch)


def _numbers(table: pandas.DataFrame, name: str) -> np.ndarray:
    column = table[name].to_numpy()
    if column.dtype.kind not in "fiu":
        bad = next((v for v in column if not isinstance(v, int | float)), None)
        raise ValueError(f"column '{name}' is not a column of numbers (it holds {bad!r})")
    return column.astype(np.float64) if column.dtype.kind != "f" else column


def _grouped(columns: list[str], scalars: tuple[str, ...]) -> tuple[dict[str, set[str]], list[str]]:
    groups: dict[str, set[str]] = {}
    plain = []
    for column in columns:
        base, _, label = column.rpartition("_")
        if base and column not in scalars and label in _PAIRS | _AXES:
            groups.setdefault(base, set()).add(label)
        else:
            plain.append(column)
    return groups, plain


def _kind_of(name: str, labels: set[str]) -> type[TensorWrapper] | None:
    if labels == set(SR2.COMPONENTS):
        return SR2
    if labels == _PAIRS:
        return R2
    if labels == _AXES:
        return None
    whole = _AXES if labels <= _AXES else SR2.COMPONENTS if labels <= set(SR2.COMPONENTS) else R2.COMPONENTS
    missing = [f"{name}_{c}" for c in sorted(whole) if c not in labels]
    raise ValueError(
        f"the columns of '{name}' lack {listing(missing)}; give all components, or name columns that are"
        " Scalars"
        f" with scalars=('{name}_{sorted(labels)[0]}', ...)"
    )


def from_xarray(
    dataset: xarray.Dataset,
    variables: Iterable[str] | None,
    columns: Mapping[str, str] | None,
    reading: Mapping[str, Any],
    start: Mapping[str, Any],
) -> History:
    """See :meth:`History.from_xarray`; ``start`` are its initial and constant values."""
    if columns is not None:
        found = measured.from_xarray(dataset)
        return measured.measured(found, columns, measured.Reading(**reading), **start)
    _no_reading(reading)
    if not is_a(dataset, "xarray.Dataset"):
        raise TypeError(f"from_xarray takes an xarray Dataset, not a {type(dataset).__name__}")
    if "time" not in dataset.variables:
        raise ValueError(
            f"the dataset has no coordinate 'time'; rename the one that holds the time with"
            f" dataset.rename(...='time') (it has {listing(dataset.variables)})"
        )
    time = dataset["time"]
    if not time.dims:
        raise ValueError("the coordinate 'time' has no dimension; it needs one value per step")
    step = str(STEP if STEP in time.dims else time.dims[0])
    names = _chosen(dataset, variables)
    batch = list(
        dict.fromkeys(
            str(d)
            for array in (time, *[dataset[n] for n in names])
            for d in array.dims
            if d != step and not str(d).startswith(("component", "sub_batch"))
        )
    )
    inner = [d for d in batch if d in time.dims]
    clock = time.transpose(step, *inner).values
    if len(inner) < len(batch) and inner:
        clock = clock.reshape(len(clock), *[dataset.sizes[d] if d in inner else 1 for d in batch])
    prescribed = {}
    for name in names:
        array = dataset[name]
        if step not in array.dims:
            raise ValueError(
                f"'{name}' has dimensions {array.dims}, without '{step}'; pass it as"
                f" constant={{'{name}': ...}}"
            )
        column = _column(array, name, step, batch)
        value = from_column(column, batch, "the dataset")
        prescribed[str(array.attrs.get("variable", name))] = value
    return History(clock, prescribed, **start)


def _chosen(dataset: xarray.Dataset, variables: Iterable[str] | None) -> list[str]:
    known = [str(n) for n in dataset.data_vars]
    if variables is None:
        roles = {n: dataset[n].attrs.get("role") for n in known}
        return [n for n in known if roles[n] == "force"] if any(roles.values()) else known
    names = list(variables)
    for n in names:
        if n not in known:
            raise ValueError(
                f"the dataset has no variable '{n}'{did_you_mean(n, known)}; it has {listing(known)}"
            )
    return names


def _column(array: xarray.DataArray, name: str, step: str, batch: list[str]) -> Column:
    components = [str(d) for d in array.dims if str(d).startswith("component")]
    kind = array.attrs.get("tensor") or _tensor_type(array, name, components)
    sub = [str(d) for d in array.dims if str(d).startswith("sub_batch")]
    order = [step, *[d for d in batch if d in array.dims], *sub, *components]
    array = array.transpose(*order)
    dims = [STEP, *order[1:]]
    if components:
        from neml2.drivers.results.layout import KINDS

        labels = KINDS[kind].COMPONENTS
        if components[0] in array.coords:
            have = [str(c) for c in array.coords[components[0]].values]
            if sorted(have) != sorted(labels):
                raise ValueError(f"'{name}' has components {listing(have)}; a {kind} has {listing(labels)}")
            array = array.isel({components[0]: [have.index(c) for c in labels]})
        dims[-1] = component_dim(KINDS[kind])
    return Column(name, tuple(dims), array.values, {"tensor": kind})


def _tensor_type(array: xarray.DataArray, name: str, components: list[str]) -> str:
    if not components:
        return "Scalar"
    suffix = components[0].removeprefix("component").removeprefix("_")
    by_size = {6: "SR2", 9: "R2", 3: "Vec"}
    kind = suffix or by_size.get(array.sizes[components[0]])
    if kind is None:
        raise ValueError(
            f"'{name}' has {array.sizes[components[0]]} components; say its tensor type in the attribute"
            " 'tensor'"
        )
    return kind
