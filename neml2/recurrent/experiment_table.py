"""Experiments from measured tables: histories from what was prescribed, responses from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from neml2.drivers.control.control import LABELS
from neml2.drivers.histories.measured import CONTROLLED, Reading, Table, measured
from neml2.registry import did_you_mean, listing

if TYPE_CHECKING:
    from neml2.recurrent.experiment import Experiment

E = TypeVar("E", bound="Experiment")
_OF_READING = ("units", "into", "shear", "prescribed", "resample", "gaps", "backward")
_OF_HISTORY = ("initial", "constant")
_ROW = "number of the row"  # a column that says which rows were left out
_OF_EXPERIMENT = ("sigma", "weight", "weights")


def from_table(
    cls: type[E],
    table: Table,
    time: str,
    control: Mapping[str, str],
    responses: Mapping[str, str],
    name: str,
    options: Mapping[str, Any],
) -> E:
    """See :meth:`Experiment.from_csv`."""
    known = (*_OF_READING, *_OF_HISTORY, *_OF_EXPERIMENT)
    for word in options:
        if word not in known:
            raise TypeError(
                f"an experiment has no option '{word}'{did_you_mean(word, known)}; there are {listing(known)}"
            )
    twice = [n for n in responses if n in control]
    if twice:
        raise ValueError(
            f"'{twice[0]}' is given both in control and in responses; what is prescribed is no response,"
            " leave it out of one"
        )
    reading = Reading(**{n: options[n] for n in _OF_READING if n in options})
    history = measured(table, {"time": time, **control}, reading, *(options.get(n) for n in _OF_HISTORY))
    values, times = {}, {}
    for n, column in responses.items():
        times[n], values[n] = _measured(table, time, n, column, reading)
    own = {n: options[n] for n in _OF_EXPERIMENT if n in options}
    return cls(history, values, times=times, name=name, **own)


def _measured(
    table: Table, time: str, name: str, column: str, reading: Reading
) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of a response in the units of the model, for every row; NaN where one is missing."""
    base, _, component = name.partition(".")
    if column not in table.columns:
        raise ValueError(
            f"the table has no column '{column}' for {name}{did_you_mean(column, table.columns)} (it has"
            f" {listing(table.columns)})"
        )
    count = len(table.columns[column])
    table = replace(table, columns={**table.columns, _ROW: range(count)})
    alone = replace(reading, resample=None, gaps="drop", prescribed=())
    columns = {"time": time, _ROW: _ROW}
    if base in CONTROLLED and component:
        known = LABELS[9 if base == "deformation_gradient" else 6]
        if component not in known:
            raise ValueError(
                f"'{name}' is no component of {base}{did_you_mean(component, known)}; it has {listing(known)}"
            )
        found = measured(table, {**columns, name: column}, alone)
        if found.control is None:
            raise ValueError(f"column '{column}' has one value only; a response needs two at least")
        read = found.control.target[:, known.index(component)].numpy()
    else:  # under a name that is no component, so that one column makes a Scalar
        plain = name.replace(".", " ")
        units, into = (
            {**given, plain: given.get(name) or given[base]} if base in given or name in given else given
            for given in (reading.units, reading.into)
        )
        found = measured(table, {**columns, plain: column}, replace(alone, units=units, into=into))
        read = found.prescribed[plain].data.numpy()
    rows = found.prescribed[_ROW].data.numpy().astype(int)
    times, values = np.full(count, np.nan), np.full(count, np.nan)
    times[rows], values[rows] = found.time.numpy(), read
    return times, values
