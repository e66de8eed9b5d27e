"""What a run is asked to do, for the engines that do it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from neml2.drivers.control.aim import NAMES, TARGET, Aim
from neml2.drivers.control.start import starting_strain
from neml2.drivers.engines.interrupts import Patience
from neml2.drivers.engines.replay import replay_of
from neml2.drivers.histories.binding import Loading
from neml2.drivers.results.declared import Declared
from neml2.drivers.trajectory import Origin, Trajectory
from neml2.errors import ConvergenceError
from neml2.lags import lagged
from neml2.solvers.status import Status
from neml2.step import StateUpdate, StepResult
from neml2.types import Scalar, TensorWrapper

Values = dict[str, TensorWrapper]
Before = tuple[Values, Values, Values]  # state, forces and old forces of a step
COUNTS = {  # results of runs whose increments are chosen, besides those of the model
    "increments": Declared("Increments that the step was made in"),
    "rejected_increments": Declared("Increments that were tried and not accepted"),
    "error_estimate": Declared("Sum of the estimated local errors of the step, relative to their scale"),
}
_QUIET_SECONDS = 2.0  # runs shorter than this show no progress bar


class NotNative(RuntimeError):
    """A run that the compiled engine cannot make; the message says why."""


class March(Protocol):
    """An engine at work: it advances all points, row by row.

    ``row`` is the last row that is done, -1 before the initial state; ``finished`` says that the run has
    ended before its last row. A failure or an interruption carries the rows of the block that were done as
    its ``trajectory``, and leaves the march at the last of them.
    """

    @property
    def row(self) -> int: ...
    @property
    def finished(self) -> bool: ...
    @property
    def events(self) -> Sequence[str]:
        """The names of the events that may happen."""

    def advance(self, last: int) -> Trajectory:
        """The rows after ``row`` up to ``last - 1``."""

    def checkpoint(self) -> dict[str, torch.Tensor]:
        """Everything that the next row depends on, by name."""

    def restore(self, row: int, found: Mapping[str, torch.Tensor]) -> None:
        """Go on after ``row``, from a checkpoint taken there."""


@dataclass
class Run:
    """One run: the update, its loading, and what to do about failures.

    ``ways`` are those of ``on_failure``; ``cycle`` is the number of the cycle of every row; ``rows`` is how
    many rows a block has, ``at_once`` how many points the eager engine may advance together (``None``: all).
    """

    update: StateUpdate
    loading: Loading
    ways: tuple[str, ...]
    max_substeps: int
    time_name: str
    origin: Origin
    aim: Aim | None = None
    cycle: torch.Tensor | None = None
    rows: int | None = None
    at_once: int | None = None
    patience: Patience = field(default_factory=Patience)
    bar: Any = None

    @property
    def levels(self) -> int:
        """How many times an increment may be halved."""
        return self.max_substeps if "substep" in self.ways else 0

    def kinds(self, stepped: bool) -> dict[str, type[TensorWrapper]]:
        """The types of everything that the blocks of the run have, by name."""
        forces = {n: k for n, k in self.update.forces.items() if n not in NAMES}
        return {**forces, **self.update.outputs, **(dict.fromkeys(COUNTS, Scalar) if stepped else {})}

    def initial(self) -> tuple[Values, Values]:
        """The state and the outputs before the first step; a controlled strain is one that meets row 0."""
        update, loading, aim = self.update, self.loading, self.aim
        state, outputs = loading.start(update)
        if aim is not None and not aim.given:
            strain = starting_strain(update, aim, loading.at(0), outputs)
            if strain is not None:
                return loading.start(update, {aim.strain: strain})
        return state, outputs

    def forces(self, k: int, anchored: Mapping[str, TensorWrapper]) -> Values:
        """The prescribed values at row ``k``; ``anchored`` are stress and strain where its control began."""
        forces = self.loading.at(k)
        if self.aim is not None and self.aim.moving[k]:
            forces[TARGET] = self.aim.target(k, anchored)
        return forces

    def old_forces(self, k: int, last: Mapping[str, TensorWrapper]) -> Values:
        """Those of the rows before row ``k``; ``last`` are the outputs of the last one."""
        update, loading, old = self.update, self.loading, {}
        for n in update.forces:
            for lag in range(max(update.depth.get(n, 1), 1)):
                row = loading.at(max(k - 1 - lag, 0))
                if n in row:
                    old[lagged(n, lag)] = row[n]
        return old if self.aim is None else old | self.aim.before(k, last)

    def block(
        self,
        first: int,
        outputs: Values,
        status: torch.Tensor,
        iterations: torch.Tensor,
    ) -> Trajectory:
        """The rows from ``first`` on as a trajectory; ``status`` and ``iterations`` have the whole batch."""
        loading, rows = self.loading, slice(first, first + len(status))
        forces = {n: v for n, v in loading.forces.items() if n not in NAMES}
        return Trajectory(
            time=loading.time[rows],
            status=status,
            iterations=iterations,
            outputs=outputs,
            forces={n: type(v)._new(v.data[rows], v.sub_batch_ndim) for n, v in forces.items()},
            time_name=self.time_name,
            origin=self.origin,
            cycle=None if self.cycle is None else self.cycle[rows],
        )

    def error(
        self, k: int, result: StepResult, index: torch.Tensor | None, before: Before
    ) -> ConvergenceError:
        """The failure of a step of the points ``index`` (``None``: all), from what was ``before`` it."""
        batch = self.loading.batch
        if index is None:
            index = torch.arange(batch.numel(), device=self.loading.time.device)
            failed = (result.status != Status.CONVERGED).expand(batch).flatten()
        else:
            failed = (result.status != Status.CONVERGED).expand(index.shape)
        index = index[failed]
        time = float(self.loading.time[k].detach().expand(batch).flatten()[index[0]])
        if self.levels:
            remedy = (
                f"{2**self.levels} substeps did not help; try a smaller increment, or ('substep', 'freeze')"
            )
        else:
            remedy = "try on_failure='substep', 'freeze' or a smaller increment"
        message = f"step {k} of {len(self.loading) - 1} (t = {time:g}): {result.describe_failure()}"
        error = ConvergenceError(f"{message}; {remedy}", result.solutions[-1] if result.solutions else None)
        error.step, error.status = k, result.status
        error.replay = replay_of(self, k, message, time, index, before)
        return error

    def tick(self, rows: int = 1) -> None:
        """Some rows are done: a held-back Ctrl-C takes effect here."""
        if self.bar is not None:
            self.bar.update(rows)
        self.patience.check()

    @contextlib.contextmanager
    def showing(self, wanted: bool | None) -> Iterator[None]:
        """A progress bar over the steps, always, never, or (``None``) in long runs at a terminal."""
        if wanted is False or (wanted is None and not sys.stderr.isatty()):
            yield
            return
        from tqdm import tqdm

        with tqdm(
            desc="steps",
            unit="step",
            total=len(self.loading) - 1,
            delay=0.0 if wanted else _QUIET_SECONDS,
            leave=bool(wanted),
            file=sys.stderr,
        ) as self.bar:
            yield
