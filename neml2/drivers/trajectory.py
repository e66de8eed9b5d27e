"""`Trajectory`: what a driven history gave, typed, with the status of every point at every step."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from neml2.drivers.results.declared import Declared
from neml2.errors import MissingVariable
from neml2.lags import lagged, split
from neml2.registry import did_you_mean, listing
from neml2.solvers.status import Status
from neml2.types import Scalar, TensorWrapper
from neml2.types.shapes import broadcast_shapes

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

    from neml2.drivers.increments.events import Found

Values = dict[str, TensorWrapper]
Path = str | os.PathLike[str]

_FAILED = (Status.MAX_ITERATIONS, Status.NOT_FINITE, Status.SINGULAR)


@dataclass(frozen=True)
class Origin:
    """Where a trajectory comes from: the model's names, declarations and parameters, and its input text.

    ``inputs`` are the model's inputs, lagged ones included; ``states`` says how many old values are read;
    ``initial`` are the initial values that were given; ``sections`` says where model and driver are in the
    input text, ``{"model": "Models/update", "driver": "Drivers/driver"}``.
    """

    model: str = ""
    inputs: tuple[str, ...] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    initial: Mapping[str, TensorWrapper] = field(default_factory=dict)
    declared: Mapping[str, Declared] = field(default_factory=dict)
    parameters: Mapping[str, torch.Tensor] = field(default_factory=dict)
    input_text: str = ""
    sections: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory:
    """Everything a history gave; ``trajectory["stress"]`` is typed, its leading axis is the step.

    time
        ``(n,)``, or ``(n, *batch)`` where specimens have clocks of their own.
    status, iterations
        :class:`~neml2.Status` and Newton iterations, ``(n, *batch)``; step 0 is the initial state.
    outputs, forces
        Results and prescribed values by name, ``(n, *batch, *sub_batch, *base)``; a batch may be left out or
        have size 1 where a value is the same for all points. ``trajectory[name]`` has the whole batch.
    time_name
        The variable that received the time.
    rows
        The numbers of the steps in the whole run, integers ``(n,)``, where not all are kept; ``None``: 0, 1,
        2, ...
    cycle
        The number of the cycle of every row, integers ``(n,)``, where the history counts them.
    events
        What happened on the way, :class:`~neml2.drivers.increments.events.Found`.
    """

    time: torch.Tensor
    status: torch.Tensor
    iterations: torch.Tensor
    outputs: Mapping[str, TensorWrapper]
    forces: Mapping[str, TensorWrapper]
    time_name: str = "t"
    origin: Origin = field(default_factory=Origin)
    rows: torch.Tensor | None = None
    cycle: torch.Tensor | None = None
    events: tuple[Found, ...] = ()

    def __len__(self) -> int:
        return self.time.shape[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.outputs or name in self.forces or name == self.time_name

    @property
    def names(self) -> list[str]:
        """The names of the results, then those of the prescribed values."""
        return [*self.outputs, *(n for n in self.forces if n not in self.outputs)]

    @property
    def batch(self) -> torch.Size:
        """The shape of the batch of points."""
        return self.status.shape[1:]

    def __getitem__(self, name: str) -> TensorWrapper:
        """A result or a prescribed value, ``(n, *batch, *sub_batch, *base)``."""
        value = self.outputs.get(name, self.forces.get(name))
        if value is None and name == self.time_name:
            value = Scalar(self.time)
        if value is None:
            raise MissingVariable(
                f"the trajectory has no '{name}'{did_you_mean(name, self.names)}; it has"
                f" {listing(self.names, 30)}"
            )
        return expanded(value, self.batch)

    @property
    def succeeded(self) -> bool:
        """Whether every point converged at every step of its history."""
        good = torch.zeros_like(self.status, dtype=torch.bool)
        for code in (Status.CONVERGED, Status.ENDED, Status.NOT_SOLVED):
            good |= self.status == code
        return bool(good.all())

    @property
    def failures(self) -> list[tuple[tuple[int, ...], int, Status]]:
        """The points that failed: index in the batch, step, and why."""
        failed = torch.zeros_like(self.status, dtype=torch.bool)
        for code in _FAILED:
            failed |= self.status == code
        rows = failed.nonzero().tolist()
        return [(tuple(row[1:]), row[0], Status(int(self.status[tuple(row)]))) for row in rows]

    @property
    def final_state(self) -> Values:
        """The state after the last step: ``x``, and ``x~1`` where :class:`~neml2.StateUpdate` needs it."""
        state: Values = {}
        for name, depth in self.origin.states.items():
            value = self[name]
            for lag in range(depth):
                state[lagged(name, lag)] = _step(value, max(len(self) - 1 - lag, 0))
        return state

    def detach(self) -> Trajectory:
        """The same values outside the autograd graph."""
        return replace(
            self,
            time=self.time.detach(),
            outputs={n: v.detach() for n, v in self.outputs.items()},
            forces={n: v.detach() for n, v in self.forces.items()},
            origin=replace(self.origin, initial={n: v.detach() for n, v in self.origin.initial.items()}),
        )

    def to(self, *args: Any, **kwargs: Any) -> Trajectory:
        """As :meth:`torch.Tensor.to`, for the time and all values; the status follows to the device."""
        time = self.time.to(*args, **kwargs)
        return replace(
            self,
            time=time,
            status=self.status.to(time.device),
            iterations=self.iterations.to(time.device),
            outputs={n: v.to(*args, **kwargs) for n, v in self.outputs.items()},
            forces={n: v.to(*args, **kwargs) for n, v in self.forces.items()},
        )

    def to_dict(self) -> dict[str, torch.Tensor]:
        """NEML2's flat form: ``input.<k>.<name>`` of all steps, then ``output.<k>.<name>``; detached tensors.

        Lagged inputs are included as soon as there is a value for them. The initial state (step 0) has
        outputs only where initial values were given.
        """
        inputs, outputs = self.records()
        flat = {f"input.{k}.{n}": v for k, row in enumerate(inputs) for n, v in row.items()}
        flat |= {f"output.{k}.{n}": v for k, row in enumerate(outputs) for n, v in row.items()}
        return {key: v.detach() for key, v in flat.items()}

    def records(self) -> tuple[list[dict[str, torch.Tensor]], list[dict[str, torch.Tensor]]]:
        """The inputs and the outputs of every step by name, as :meth:`to_dict` has them, in the graph."""
        known = self.origin.inputs
        forces = {n: v.data for n, v in self.forces.items()}
        if self.time_name in known:
            forces = {self.time_name: self.time, **forces}
        results = {n: v.data for n, v in self.outputs.items()}
        start = {n: v.data for n, v in self.origin.initial.items()}
        inputs: list[dict[str, torch.Tensor]] = []
        outputs: list[dict[str, torch.Tensor]] = []
        for k in range(len(self)):
            row = {n: v[k] for n, v in forces.items()}
            if k == 0:
                row |= {n: v for n, v in start.items() if n in known}
                outputs.append({n: v for n, v in start.items() if n not in known})
            else:
                for name in known:
                    base, lag = split(name)
                    older = lagged(base, lag - 1)
                    if lag and (older in outputs[-1] or older in inputs[-1]):
                        row[name] = outputs[-1].get(older, inputs[-1].get(older))  # type: ignore[assignment]
                outputs.append({n: v[k] for n, v in results.items()})
            inputs.append(row)
        return inputs, outputs

    # ------------------------------------------------------------------ files and pictures

    def to_xarray(self) -> xarray.Dataset:
        """An :class:`xarray.Dataset` in the layout of the files: named dimensions, physical components."""
        from neml2.drivers.results.xarray_view import to_xarray

        return to_xarray(self)

    def to_hdf5(self, path: Path) -> None:
        """Write an HDF5 file for ``xarray.open_dataset(path)``; an old file is replaced at the very end."""
        from neml2.drivers.files.hdf5 import write

        write(self, path)

    @classmethod
    def from_hdf5(cls, path: Path, lazy: bool = False) -> Trajectory:
        """Read a file of a run, as far as it is complete.

        With ``lazy=True``, values are read from the file whenever they are asked for, and not kept. Raises
        :class:`FileNotFoundError`, or :class:`ValueError` for a file that is something else or damaged. Shear
        components may differ from the original in their last bit, everything else is the same.
        """
        from neml2.drivers.files.reading import read

        return read(path, lazy)

    def plot(self, x: str, y: str, path: Path | None = None, **options: Any) -> Axes:
        """Draw ``y`` over ``x``: ``trajectory.plot("strain.xx", "stress.xx", "loop.png")``; returns the axes.

        Names are Scalars, ``time``, components (``stress.xx`` or ``stress_xx``) and quantities such as
        ``von_mises(stress)``; see :func:`neml2.drivers.pictures.curves.curves`. With ``path`` the picture is
        saved as well. A line ends where its point does; a point that failed ends in a cross.

        points
            Which points: numbers, or indices in the batch; by default all. Of more than 50 lines a band is
            drawn where that makes sense, or else 50 at equal distances.
        band
            The median, and areas that hold half and nine tenths of the points; ``False`` for lines.
        cycles
            Cycle numbers of the rows, ``(n,)``, or ``True`` to take or to count them: a colour for each.
        label, ax
            One text for all lines or one for each; axes to draw into, such as those of another trajectory.
        logx, logy
            Logarithmic axes. All other options are those of a line in matplotlib, such as ``lw``.

        Raises :class:`~neml2.errors.MissingVariable` for names, :class:`ValueError` for what cannot be drawn.
        """
        from neml2.drivers.pictures.plot import plot

        return plot(self, x, y, path, **options)

    # ------------------------------------------------------------------ looks

    def summary(self) -> str:
        """One screen: steps, batch, failures, iterations, and the range of every variable."""
        from neml2.drivers.pictures.summary import summary

        return summary(self)

    def _repr_html_(self) -> str:
        from neml2.drivers.pictures.html_trajectory import html

        return html(self)

    def __repr__(self) -> str:
        points = f", batch {tuple(self.batch)}" if self.batch else ""
        bad = len(self.failures)
        failed = f", {bad} points failed" if bad else ""
        return f"Trajectory({len(self)} steps{points}{failed}: {listing(self.names)})"


def _step(value: TensorWrapper, k: int) -> TensorWrapper:
    return type(value)._new(value.data[k], value.sub_batch_ndim)


def aligned(value: TensorWrapper, rank: int) -> TensorWrapper:
    """``value`` with axes of size 1 after the step until its batch, step apart, has ``rank`` axes."""
    missing = rank + 1 - len(value.dynamic_batch_shape)
    shape = value.data.shape
    data = value.data.reshape(shape[0], *(1,) * missing, *shape[1:]) if missing > 0 else value.data
    return type(value)._new(data, value.sub_batch_ndim)


def expanded(value: TensorWrapper, batch: torch.Size) -> TensorWrapper:
    """``value`` ``(n, *some of batch, ...)`` as a view of the whole ``(n, *batch, ...)``."""
    full = aligned(value, len(batch))
    inner = full.data.shape[1 + len(batch) :]
    return type(value)._new(full.data.expand(full.data.shape[0], *batch, *inner), value.sub_batch_ndim)


def concatenate(parts: Sequence[Trajectory]) -> Trajectory:
    """The rows of ``parts``, which follow one another in one run, as one trajectory.

    A batch or a sub-batch that some parts lack is filled in. Raises :class:`ValueError` for no parts, or for
    parts of different variables.
    """
    if not parts:
        raise ValueError("there are no trajectories to put together; give one at least")
    first = parts[0]
    for part in parts[1:]:
        odd = {*first.outputs, *first.forces} ^ {*part.outputs, *part.forces}
        if odd:
            raise ValueError(
                f"only some of the trajectories have {listing(sorted(odd))}; keep the same of all"
            )
    clock = broadcast_shapes(*[p.time.shape[1:] for p in parts])
    batch = broadcast_shapes(*[p.batch for p in parts])
    rows = torch.zeros(0, dtype=torch.int64)
    for part in parts:
        start = int(rows[-1]) + 1 if len(rows) and part.rows is None else 0  # goes on where the others end
        rows = torch.cat([rows, row_numbers(part) + start])
    return replace(
        first,
        time=torch.cat([_widened(p.time, clock) for p in parts]),
        status=torch.cat([_widened(p.status, batch) for p in parts]),
        iterations=torch.cat([_widened(p.iterations, batch) for p in parts]),
        outputs={n: _joined([p.outputs[n] for p in parts]) for n in first.outputs},
        forces={n: _joined([p.forces[n] for p in parts]) for n in first.forces},
        rows=None if torch.equal(rows, torch.arange(len(rows))) else rows,
        cycle=None if first.cycle is None else torch.cat([p.cycle for p in parts if p.cycle is not None]),
        events=tuple(e for p in parts for e in p.events),
    )


def row_numbers(trajectory: Trajectory) -> torch.Tensor:
    """The numbers of the rows in the whole run, integers ``(n,)`` on the CPU."""
    return torch.arange(len(trajectory)) if trajectory.rows is None else trajectory.rows.cpu()


def _widened(data: torch.Tensor, batch: torch.Size) -> torch.Tensor:
    missing = (1,) * (len(batch) + 1 - data.ndim)
    return data.reshape(data.shape[0], *missing, *data.shape[1:]).expand(data.shape[0], *batch)


def _joined(values: list[TensorWrapper]) -> TensorWrapper:
    """Values along the step in their widest batch and sub-batch."""
    kind, rank = type(values[0]), max(v.sub_batch_ndim for v in values)
    batch = broadcast_shapes(*[v.dynamic_batch_shape[1:] for v in values])
    sub = broadcast_shapes(*[v.sub_batch_shape for v in values])
    parts = []
    for v in values:
        front, middle = v.dynamic_batch_shape[1:], v.sub_batch_shape
        more = (1,) * (len(batch) - len(front)), (1,) * (rank - len(middle))
        full = v.data.reshape(v.shape[0], *more[0], *front, *more[1], *middle, *kind.BASE_SHAPE)
        parts.append(full.expand(v.shape[0], *batch, *sub, *kind.BASE_SHAPE))
    return kind._new(torch.cat(parts), rank)
