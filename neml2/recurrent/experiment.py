"""`Experiment`: a load history, and what was measured along it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neml2.drivers.histories.given import as_data
from neml2.drivers.histories.history import History
from neml2.registry import did_you_mean, listing
from neml2.types import TensorWrapper

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Response:
    """Measured values of one quantity of a test, ``(k,)`` each; those that are missing are left out.

    left, fraction
        Where they were measured: between the rows ``left`` and ``left + 1`` of the history, so far on.
    sigma
        Standard deviations of the measurements; ``None`` where they are not known.
    weight
        How much each of them matters to the fit, zero or more.
    """

    name: str
    values: np.ndarray
    left: np.ndarray
    fraction: np.ndarray
    sigma: np.ndarray | None
    weight: np.ndarray
    missing: int = 0

    def __len__(self) -> int:
        return len(self.values)


class Experiment:
    """A test: its load history, and responses that a model is to reproduce.

    history
        One specimen's :class:`~neml2.drivers.History`, as from ``neml2.drivers.laboratory`` or a table.
    responses
        Measured values by name, ``(n,)``: one for every row of the history, or for every one of ``times``.
        A name is a Scalar of the model, a physical component such as ``"stress.xx"``, or a quantity such as
        ``"von_mises(stress)"``; ``stress`` and ``strain`` are those that the driver controls, whatever the
        model calls them. NaN is a missing value.
    times
        When the values were measured, ``(n,)``, if not at the rows; the model is interpolated on straight
        lines. What lies at the first row, the initial state, does not count: it is given and not computed.
    sigma
        The standard deviation of the measurements: a number, or numbers or arrays ``(n,)`` by response.
    weight, weights
        How much the test matters, and its responses or points: a number, and numbers or arrays ``(n,)`` by
        response. They are factors of squares in the loss. They choose what a fit attends to; how accurate
        data are is said by ``sigma``.
    name
        What the test is called in messages, tables and pictures.

    Raises :class:`ValueError` for shapes and numbers that do not fit; what depends on the model is checked by
    :func:`~neml2.recurrent.calibrate`.
    """

    def __init__(
        self,
        history: History,
        responses: Mapping[str, Any],
        *,
        times: Any = None,
        sigma: Any = None,
        weight: float = 1.0,
        weights: Mapping[str, Any] | None = None,
        name: str = "",
    ) -> None:
        if not isinstance(history, History):
            raise TypeError(f"an Experiment takes a History, not a {type(history).__name__}")
        self.history, self.name = history, name
        self._check_history()
        self.weight = _not_negative(weight, f"{self!r}: the weight of the test")
        if not responses:
            raise ValueError(f"{self!r} has no responses; give responses={{'stress.xx': values}}")
        for given, what in ((weights, "weights"), (sigma if isinstance(sigma, Mapping) else None, "sigma")):
            for n in given or {}:
                if n not in responses:
                    raise ValueError(
                        f"{self!r} has {what} of '{n}', which is no response{did_you_mean(n, responses)}"
                        f" (responses: {listing(responses)})"
                    )
        self.responses: dict[str, Response] = {}
        for n, values in responses.items():
            own = (sigma.get(n) if isinstance(sigma, Mapping) else sigma, (weights or {}).get(n, 1.0))
            at = times.get(n) if isinstance(times, Mapping) else times
            self.responses[n] = self._response(n, values, at, *own)

    # ------------------------------------------------------------------ from tables

    @classmethod
    def from_csv(
        cls,
        path: str | os.PathLike[str],
        *,
        time: str,
        control: Mapping[str, str],
        responses: Mapping[str, str],
        delimiter: str | None = None,
        decimal: str = ".",
        skip: int = 0,
        name: str = "",
        **options: Any,
    ) -> Experiment:
        """From a measured table with a line of column names.

        time
            The column of the time.
        control, responses
            The columns of what was prescribed (``{"strain.xx": "strain [%]"}``; all other stresses are zero,
            and ``{"T": ...}`` is another prescribed variable) and of what was measured
            (``{"stress.xx": "stress [MPa]"}``). Empty cells of responses are missing values.
        options
            ``units``, ``into``, ``shear``, ``prescribed``, ``resample``, ``gaps``, ``backward``, ``initial``,
            ``constant`` as for :meth:`History.from_csv <neml2.drivers.History.from_csv>`; the last six are
            about what is prescribed: with ``resample=200`` the test is computed at 200 rows and compared at
            all measured times. ``sigma``, ``weight`` and ``weights`` as for :class:`Experiment`.

        Raises :class:`ValueError`, with line and column, for anything in the table that is not as said.
        """
        from neml2.drivers.histories.measured import from_csv
        from neml2.recurrent.experiment_table import from_table

        table = from_csv(path, delimiter, decimal, skip)
        stem = os.path.splitext(os.path.basename(os.fspath(path)))[0]
        return from_table(cls, table, time, control, responses, name or stem, options)

    @classmethod
    def from_pandas(
        cls,
        table: pandas.DataFrame,
        *,
        time: str,
        control: Mapping[str, str],
        responses: Mapping[str, str],
        name: str = "",
        **options: Any,
    ) -> Experiment:
        """From a measured table in memory; see :meth:`from_csv`."""
        from neml2.drivers.histories.measured import from_pandas
        from neml2.recurrent.experiment_table import from_table

        return from_table(cls, from_pandas(table), time, control, responses, name, options)

    # ------------------------------------------------------------------ looks

    def __len__(self) -> int:
        """How many measured values count."""
        return sum(len(r) for r in self.responses.values())

    def __repr__(self) -> str:
        return f"Experiment '{self.name}'" if self.name else "Experiment"

    def __str__(self) -> str:
        from neml2.recurrent.experiment_looks import lines

        return "\n".join(lines(self))

    def _repr_html_(self) -> str:
        from neml2.recurrent.experiment_looks import html

        return html(self)

    # ------------------------------------------------------------------ checks

    def _check_history(self) -> None:
        h = self.history
        batch = h.time.shape[1:] if h.control is None else (*h.time.shape[1:], *h.control.batch)
        for value in (*h.prescribed.values(), *h.constant.values()):
            if isinstance(value, TensorWrapper):
                lead = 1 if any(value is v for v in h.prescribed.values()) else 0
                batch = (*batch, *value.dynamic_batch_shape[lead:])
        if any(size != 1 for size in batch) or h.lengths is not None:
            raise ValueError(f"{self!r}: its history is one of several specimens; make an experiment of each")
        if len(h) < 2:
            raise ValueError(f"{self!r}: its history has {len(h)} row; give two at least")
        if any(s.until is not None for s in h.segments):
            raise ValueError(
                f"{self!r}: its history has a segment that a condition ends, so that its rows are not known"
                " beforehand; take that condition out"
            )
        given = {n: as_data(v, n) for n, v in h.prescribed.items()}
        for n, data in (given | ({} if h.control is None else h.control.arrays())).items():
            bad = (~data.reshape(len(data), -1).isfinite()).any(1).nonzero()
            if len(bad):
                raise ValueError(
                    f"{self!r}: its history prescribes no finite {n} at row {int(bad[0])}; fill it in, or"
                    " leave the row out"
                )

    def _response(self, name: str, values: Any, times: Any, sigma: Any, weight: Any) -> Response:
        what = f"{self!r}: response '{name}'"
        found = _numbers(values, what)
        rows = self.history.time.detach().double().cpu().numpy().reshape(len(self.history))
        at = rows if times is None else _numbers(times, f"{what}: its times")
        if found.shape != at.shape:
            whose = f"the history has {len(rows)} rows" if times is None else f"there are {at.size} times"
            raise ValueError(
                f"{what} has the shape {found.shape}, but {whose}; give one number for each, NaN where"
                " nothing was measured, or the times at which it was"
            )
        if np.isinf(found).any():
            raise ValueError(f"{what} is infinite at row {int(np.isinf(found).argmax())}; NaN says missing")
        weights = np.broadcast_to(_not_negative(weight, f"{what}: its weight"), found.shape)
        sigmas = None if sigma is None else _shaped(sigma, found, f"{what}: its standard deviation")
        known = ~np.isnan(found)
        if sigmas is not None and not (sigmas[known] > 0).all():
            raise ValueError(f"{what} has a standard deviation that is not positive; give positive numbers")
        room = 1e-9 * (rows[-1] - rows[0])
        outside = known & ~((at >= rows[0] - room) & (at <= rows[-1] + room))
        if outside.any():
            raise ValueError(
                f"{what} is measured at time {at[outside][0]:g}, but the history goes from {rows[0]:g} to"
                f" {rows[-1]:g}; leave it out, or prescribe more"
            )
        counts = known & (at > rows[0] + room)
        if not counts.any():
            raise ValueError(f"{what} has no value after the initial state; leave it out")
        left = np.clip(np.searchsorted(rows, at[counts], side="left") - 1, 0, len(rows) - 2)
        fraction = np.clip((at[counts] - rows[left]) / (rows[left + 1] - rows[left]), 0.0, 1.0)
        missing = int((~known).sum())
        sigmas = None if sigmas is None else sigmas[counts]
        return Response(name, found[counts], left, fraction, sigmas, weights[counts], missing)


def _numbers(values: Any, what: str) -> np.ndarray:
    """A copy in double precision, ``(n,)``; a history's rows come first and there is no batch."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    elif isinstance(values, TensorWrapper):
        values = values.data.detach().cpu().numpy()
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} holds something else than numbers ({error}); correct it") from None
    return found.reshape(found.shape[:1]) if found.ndim and found.size == found.shape[0] else found


def _not_negative(given: Any, what: str) -> np.ndarray:
    found = _numbers(given, what)
    if not (found >= 0).all() or not np.isfinite(found).all():
        raise ValueError(f"{what} is {float(found.min()):g}; give a number of zero or more")
    return found


def _shaped(given: Any, like: np.ndarray, what: str) -> np.ndarray:
    found = _numbers(given, what)
    if found.ndim and found.shape != like.shape:
        raise ValueError(f"{what} has the shape {found.shape}, its values {like.shape}; give one for each")
    return np.broadcast_to(found, like.shape)
