"""`History`: prescribed values over time, and its check against a model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from neml2.drivers.control.control import Control
from neml2.drivers.histories.given import as_data, check_time
from neml2.errors import MissingVariable
from neml2.registry import did_you_mean, listing
from neml2.step import StateUpdate
from neml2.types import TensorWrapper

if TYPE_CHECKING:
    import pandas
    import xarray

    from neml2.drivers.histories.binding import Loading
    from neml2.drivers.histories.segments import Segment, Stretch
    from neml2.hit.input_file import InputFile
    from neml2.hit.settings import Settings

Values = dict[str, TensorWrapper]


class History:
    """Prescribed values over time, and where a material starts from.

    time
        The time of every step, ``(n,)``, or ``(n, *batch)`` for specimens with clocks of their own. It
        increases from step to step.
    prescribed
        Values by variable name: typed tensors, torch tensors, numpy arrays or lists of shape
        ``(n, *batch, *sub_batch, *base)``: the step comes first.
    initial
        Values of states before the first step, ``(*batch, *sub_batch, *base)``; zero where not given.
    constant
        Prescribed values that do not change, ``(*batch, *sub_batch, *base)`` or a number: they have no
        step axis, and this is the only way to give them.

    control
        What is prescribed of strain and stress by component, see :class:`Control`; the driver solves for the
        rest.
    lengths
        How many rows count, integers ``(*batch)``, where histories of different lengths are batched together;
        the rows after that repeat the last one.
    cycle
        The number of the cycle of every row, integers ``(n,)``.
    segments
        Which rows belong together, and what may end them early.

    Torch tensors and numpy arrays of a symmetric tensor hold the stored (Mandel) components; see
    ``SR2.from_physical``. Numbers, lists and integers follow the dtype of the model, all else keeps its own.
    Tables and arrays with named components are physical; they go through :meth:`from_pandas` and
    :meth:`from_xarray`.

    Raises :class:`ValueError` when the time does not increase or is not finite. What depends on the model
    (names, types, shapes, dtypes, NaN and infinity) is checked by :meth:`bind`, before the first step.
    """

    def __init__(
        self,
        time: Any,
        prescribed: Mapping[str, Any] | None = None,
        *,
        initial: Mapping[str, Any] | None = None,
        constant: Mapping[str, Any] | None = None,
        control: Control | None = None,
        lengths: torch.Tensor | None = None,
        cycle: torch.Tensor | None = None,
        segments: Iterable[Stretch] = (),
    ) -> None:
        self.control, self.lengths, self.cycle = control, lengths, cycle
        self.segments = tuple(segments)
        self.given_time = time.data if isinstance(time, TensorWrapper) else time
        self.time = as_data(self.given_time, "time")
        self.prescribed = _by_name(prescribed, "prescribed")
        self.initial = _by_name(initial, "initial")
        self.constant = _by_name(constant, "constant")
        for name in self.prescribed:
            if name in self.constant:
                raise ValueError(f"'{name}' is given both in prescribed and in constant; keep one of them")
        check_time(self.time, lengths)

    def __len__(self) -> int:
        return self.time.shape[0]

    def __repr__(self) -> str:
        names = [*self.prescribed, *(f"{n} (constant)" for n in self.constant)]
        start = f", initial {listing(self.initial)}" if self.initial else ""
        return f"History({len(self)} steps of {listing(names)}{start})"

    def __str__(self) -> str:
        from neml2.drivers.pictures.history_looks import table

        return table(self)

    def _repr_html_(self) -> str:
        from neml2.drivers.pictures.history_looks import html

        return html(self)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """A matplotlib figure of everything that is prescribed over time; saved to ``path`` if that is given.

        What is known only in the run is left out.
        """
        from neml2.drivers.pictures.history_looks import plot

        return plot(self, path)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], time: str = "t") -> History:
        """From a dict that holds the time under the name ``time`` among the prescribed values."""
        if time not in values:
            raise MissingVariable(
                f"the history has no time '{time}'{did_you_mean(time, values)}; give it under that name"
                f" (got {listing(values)})"
            )
        return cls(values[time], {n: v for n, v in values.items() if n != time})

    @classmethod
    def from_segments(
        cls,
        segments: Iterable[Segment],
        *,
        start: Mapping[str, Any] | None = None,
        initial: Mapping[str, Any] | None = None,
        constant: Mapping[str, Any] | None = None,
    ) -> History:
        """The history of a test: its :class:`Segment` one after the other, from time 0.

        ``start`` gives values before the first segment by name: of forces (``{"T": 300.0}``) that segments
        move, and of components (``{"stress.xx": 10.0}``) where they are not those of a material at rest.
        Numbers and tensors ``(*batch)`` anywhere make a batch; batched durations give every point a clock of
        its own. Raises :class:`ValueError` for combinations that cannot be.
        """
        from neml2.drivers.histories.compose import compose

        return compose(segments, start=start, initial=initial, constant=constant)

    @classmethod
    def from_csv(
        cls,
        path: str | os.PathLike[str],
        columns: Mapping[str, str],
        *,
        units: Mapping[str, str] | None = None,
        into: Mapping[str, str] | None = None,
        shear: str | Mapping[str, str] | None = None,
        prescribed: Iterable[str] = (),
        resample: Any = None,
        gaps: str = "refuse",
        backward: str = "refuse",
        delimiter: str | None = None,
        decimal: str = ".",
        skip: int = 0,
        initial: Mapping[str, Any] | None = None,
        constant: Mapping[str, Any] | None = None,
    ) -> History:
        """From a measured table with a line of column names.

        columns
            The column of ``"time"``, of controlled components (``"strain.xx"``, ``"stress.yy"``,
            ``"deformation_gradient.xy"``), and of other prescribed variables: ``"T"`` for a Scalar,
            ``"E.xx"`` and so on for a tensor. Components of a control that have no column are free of stress.
        units
            The units of the columns, by these names or for a whole variable (``{"strain": "%"}``); by default
            those in brackets at the end of a column's name, as in ``Strain [%]``.
        into
            The units that the model has, likewise. Columns with units need it, all but strains, which become
            plain numbers.
        shear
            ``"engineering"`` or ``"tensor"``, for shear strains; it must be said where there is one. A dict
            by name says it for other tensors, which are taken as tensor components otherwise.
        prescribed
            ``"strain"`` if it is a variable of that name and no control; all its components are needed then.
        resample
            Times at which to take the values instead, or a number of rows evenly spaced; on straight lines.
        gaps
            What empty cells do: ``"refuse"``, ``"interpolate"`` over time, or ``"drop"`` the row.
        backward
            What times do that do not increase: ``"refuse"``, or ``"drop"`` the row.
        delimiter, decimal, skip
            Between cells (one of ``; , tab`` by default), in numbers, and lines before that of the names.

        Raises :class:`ValueError`, with line and column, for anything in the table that is not as said.
        """
        from neml2.drivers.histories.measured import Reading, from_csv, measured

        reading = Reading(units or {}, into or {}, shear, prescribed, resample, gaps, backward)
        return measured(from_csv(path, delimiter, decimal, skip), columns, reading, initial, constant)

    @classmethod
    def from_pandas(
        cls,
        table: pandas.DataFrame,
        *,
        time: str = "t",
        batch: str | None = None,
        scalars: Iterable[str] = (),
        initial: Mapping[str, Any] | None = None,
        constant: Mapping[str, Any] | None = None,
        columns: Mapping[str, str] | None = None,
        **reading: Any,
    ) -> History:
        """From a table with one row per step.

        Columns ``E_xx``, ``E_yy``, ``E_zz``, ``E_yz``, ``E_xz``, ``E_xy`` make the symmetric tensor ``E``.
        They are tensor components: the shear entries are half the engineering shear strains. Nine columns
        (``F_xx``, ``F_xy``, ...) make a second-order tensor, three (``v_x``, ``v_y``, ``v_z``) a vector; any
        other column is a Scalar of that name. ``scalars`` names columns that are Scalars whatever they look
        like. With ``batch``, a column that numbers or names the specimens, the table holds their histories
        one after the other.

        With ``columns`` the table is a measured one and is read as :meth:`from_csv` reads it, whose other
        options may be given as well.
        """
        from neml2.drivers.histories.tables import from_pandas

        start = {"initial": initial, "constant": constant}
        return from_pandas(table, time, batch, tuple(scalars), columns, reading, start)

    @classmethod
    def from_xarray(
        cls,
        dataset: xarray.Dataset,
        variables: Iterable[str] | None = None,
        *,
        initial: Mapping[str, Any] | None = None,
        constant: Mapping[str, Any] | None = None,
        columns: Mapping[str, str] | None = None,
        **reading: Any,
    ) -> History:
        """From a dataset in the layout of our HDF5 files: the prescribed values of a trajectory, or your own.

        The time is the coordinate ``time``. Arrays have a dimension ``step`` (or ``time``) and, for tensors,
        a dimension ``component`` labelled ``xx``, ``yy``, ... with physical (tensor) components. Any other
        dimension is a batch dimension, or a sub-batch one if its name starts with ``sub_batch``.
        ``variables`` chooses; by default all with the attribute ``role = "force"``, or all if none has a
        role.

        With ``columns`` the one-dimensional arrays are a measured table and are read as :meth:`from_csv`
        reads it, whose other options may be given as well; units are those of the attribute ``units``.
        """
        from neml2.drivers.histories.tables import from_xarray

        return from_xarray(dataset, variables, columns, reading, {"initial": initial, "constant": constant})

    def to_input(self, model: str = "model", driver: str = "driver") -> str:
        """The blocks ``[Tensors]`` and ``[Drivers/driver]`` of an input file that has ``[Models/model]``.

        Every number is read back to the bit. Raises :class:`ValueError` for plain arrays whose type is not
        known, and for what input files cannot say: conditions that end a segment.
        """
        from neml2.drivers.histories.text import to_input

        return to_input(self, model, driver)

    @classmethod
    def from_input(cls, file: InputFile | str | os.PathLike[str], driver: str = "driver") -> History:
        """The history of ``[Drivers/driver]`` of an input file: one that is loaded, or its path.

        Raises :class:`ValueError` when there is no such driver, or it has no history.
        """
        from neml2.drivers.histories.text import from_input

        return from_input(file, driver)

    def replace(self, **changes: Any) -> History:
        """A history with some of its parts replaced, by the names of the arguments."""
        own = {
            "time": self.given_time,
            "prescribed": self.prescribed,
            "initial": self.initial,
            "constant": self.constant,
            "control": self.control,
            "lengths": self.lengths,
            "cycle": self.cycle,
            "segments": self.segments,
        }
        for name in changes:
            if name not in own:
                raise TypeError(
                    f"a history has no part '{name}'{did_you_mean(name, own)}; it has {listing(own)}"
                )
        return History(**{**own, **changes})

    def to(self, *args: Any, **kwargs: Any) -> History:
        """As :meth:`torch.Tensor.to`, for the time and every tensor in the history."""

        def moved(values: Mapping[str, Any]) -> dict[str, Any]:
            return {
                n: (v if isinstance(v, TensorWrapper) else as_data(v, n)).to(*args, **kwargs)
                for n, v in values.items()
            }

        return self.replace(
            time=self.time.to(*args, **kwargs),
            prescribed=moved(self.prescribed),
            initial=moved(self.initial),
            constant={
                n: v if isinstance(v, int | float) else moved({n: v})[n] for n, v in self.constant.items()
            },
            control=self.control and self.control.to(*args, **kwargs),
        )

    @staticmethod
    def concatenate(histories: Iterable[History]) -> History:
        """One history after the other: ``h1 + h2`` for two.

        Clocks go on; the first row of a later history is the last of the one before, and what it says there
        is left out. Strains, stresses and forces are absolute. Where a history made of segments begins with
        a straight line of strain or stress, that line starts from where the one before has ended, so that the
        result is that of all segments in one list. Raises :class:`ValueError` for histories that prescribe
        different variables, or have initial values of their own.
        """
        from neml2.drivers.histories.concatenation import concatenate

        return concatenate(histories)

    def __add__(self, other: History) -> History:
        return History.concatenate([self, other]) if isinstance(other, History) else NotImplemented

    def repeat(self, times: int) -> History:
        """The history so many times, as by :meth:`concatenate`; cycles are numbered on."""
        from neml2.drivers.histories.concatenation import repeat

        return repeat(self, times)

    def scale(self, factor: Any, names: str | Sequence[str] = "strain") -> History:
        """The history with some of its values times ``factor``, ``(*batch)``.

        ``names`` are ``"strain"`` or ``"stress"`` where they are controlled, one of their components such as
        ``"strain.xx"``, prescribed variables by name, or ``"time"``. Of a ``"deformation_gradient"`` it is
        the difference to one that is scaled. Raises :class:`ValueError` for other names.
        """
        from neml2.drivers.histories.algebra import scale

        return scale(self, factor, names)

    def refine(self, k: int) -> History:
        """``k`` rows for every one, on straight lines; the rows that were there keep their values."""
        from neml2.drivers.histories.algebra import refine

        return refine(self, k)

    @staticmethod
    def batch(histories: Iterable[History]) -> History:
        """Histories of different specimens as a batch ``(len(histories), *batch)``, each with its own clock.

        Shorter ones are padded by their last row, time included; ``lengths`` says how many rows count.
        Constants and initial values may differ. Raises :class:`ValueError` for histories that prescribe
        different variables.
        """
        from neml2.drivers.histories.side_by_side import batch

        return batch(histories)

    def bind(self, update: StateUpdate, time: str = "t", settings: Settings | None = None) -> Loading:
        """The history as typed values for ``update``, checked.

        Raises :class:`ValueError` (unknown names, shapes, values that are not finite),
        :class:`~neml2.errors.MissingVariable` (forces that are not prescribed) or :class:`TypeError` (tensor
        types, mixed dtypes); the message names variable, step and point.
        """
        from neml2.drivers.histories.binding import Binding

        return Binding(self, update, time, settings).result()


def _by_name(values: Any, what: str) -> dict[str, Any]:
    if values is not None and not isinstance(values, Mapping):
        raise TypeError(f"{what} is a {type(values).__name__}; give a dict of values by variable name")
    return dict(values or {})
