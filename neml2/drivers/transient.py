"""`TransientDriver`: a model driven along a history, step by step."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from neml2.drivers.binding import Loading
from neml2.drivers.declared import Declared, declarations
from neml2.drivers.history import History, is_a
from neml2.drivers.native import NativeEngine, NotNative
from neml2.drivers.trajectory import Origin, Trajectory
from neml2.errors import ConvergenceError
from neml2.lags import lagged
from neml2.model import Model
from neml2.points import put, put_data
from neml2.registry import did_you_mean, listing
from neml2.solvers.status import Status
from neml2.step import StateUpdate, StepResult
from neml2.types import TensorWrapper

if TYPE_CHECKING:
    from neml2.drivers.native import Native
    from neml2.hit.settings import Settings

Values = dict[str, TensorWrapper]

_ENGINES = ("eager", "native", "auto")
_WAYS = ("raise", "freeze", "substep")
_MANY_STEPS, _MANY_POINTS = 100, 100_000  # from here on a compilation of 1-3 s pays (points times steps)
_QUIET_SECONDS = 2.0  # runs shorter than this show no progress bar


class TransientDriver:
    """Drives ``model`` along a history: ``TransientDriver(model).run(history) -> Trajectory``.

    time
        The variable that receives the time; if the model does not read it, the time is a mere coordinate.
    on_failure
        What to do when a step does not converge at some points. ``"raise"`` stops with a
        :class:`~neml2.ConvergenceError` that carries what was done so far. ``"freeze"`` keeps the last
        converged values of these points from then on and goes on with the others, whose results do not
        change by a bit. ``"substep"`` cuts the increments of these points first, and raises if that does
        not help; ``("substep", "freeze")`` freezes them instead.
    max_substeps
        How many times an increment may be halved: at most ``2**max_substeps`` pieces.
    progress
        A progress bar on stderr: always, never, or (``None``) in long runs at a terminal.
    settings
        The ``[Settings]`` of an input file, for sub-batch shapes.
    engine
        ``"native"`` compiles the step to a kernel (C++, or CUDA for tensors on a GPU) and runs the history in
        it, with gradients, in double precision arithmetic; points that fail there are advanced by the
        eager engine. It raises :class:`NotNative` for what it does not take. ``"eager"`` runs the models as
        they are, step by step; its results can be differentiated more than once. ``"auto"``, the default,
        takes the native engine for runs that are worth a compilation of some seconds, and says once (on
        channel ``driver``) if it cannot.
    """

    def __init__(
        self,
        model: Model,
        time: str = "t",
        on_failure: str | Iterable[str] = "raise",
        max_substeps: int = 8,
        progress: bool | None = None,
        settings: Settings | None = None,
        input_text: str = "",
        engine: str = "auto",
    ) -> None:
        if not isinstance(model, Model):
            raise TypeError(f"TransientDriver drives a model, not a {type(model).__name__}")
        self.model = model
        self.update = StateUpdate(model)
        self.time = time
        self.on_failure = _ways(on_failure)
        if not 1 <= max_substeps <= 20:
            raise ValueError(f"max_substeps is {max_substeps}; give the number of halvings, 1 to 20")
        self.max_substeps = max_substeps
        self.progress = progress
        self.settings = settings
        self.input_text = input_text
        if engine not in _ENGINES:
            raise ValueError(
                f"engine is '{engine}'{did_you_mean(engine, _ENGINES)}; give one of {listing(_ENGINES)}"
            )
        self.engine = engine
        self._engine = NativeEngine(self.update)

    @cached_property
    def declared(self) -> dict[str, Declared]:
        """What the models say about their variables."""
        return declarations(self.model)

    def bind(self, history: History | Mapping[str, Any]) -> Loading:
        """The history as typed values for the model, checked; see :meth:`History.bind`."""
        if is_a(history, "xarray.Dataset"):
            history = History.from_xarray(history)  # type: ignore[arg-type]
        elif is_a(history, "pandas.DataFrame"):
            history = History.from_pandas(history, time=self.time)
        elif isinstance(history, Mapping):
            history = History.from_dict(history, self.time)
        if not isinstance(history, History):
            raise TypeError(
                f"run takes a History, a dict of values, an xarray Dataset or a pandas DataFrame, not a"
                f" {type(history).__name__}"
            )
        return history.bind(self.update, self.time, self.settings)

    def run(
        self,
        history: History | Mapping[str, Any],
        on_failure: str | Iterable[str] | None = None,
        progress: bool | None = None,
    ) -> Trajectory:
        """The trajectory along ``history``: a :class:`History`, or a dict such as ``{"t": t, "E": E}``.

        A dataset or a table is read as by :meth:`History.from_xarray` and :meth:`History.from_pandas`.

        Step 0 is the initial state and is not solved. The result is part of the autograd graph of the
        parameters and of the history, unless gradients are switched off.

        Raises what :meth:`History.bind` raises, before the first step, and
        :class:`~neml2.ConvergenceError`, whose ``trajectory`` holds the steps that were completed, ``step``
        the number of the failed one and ``status`` how it ended at every point. A ``KeyboardInterrupt``
        carries ``trajectory`` as well.
        """
        loading = self.bind(history)
        ways = self.on_failure if on_failure is None else _ways(on_failure)
        run = Run(self, loading, ways, progress if progress is not None else self.progress)
        if self.engine != "eager":
            found = self._native(run)
            if found is not None:
                return found
        try:
            run.advance()
        except (ConvergenceError, KeyboardInterrupt) as stop:
            stop.trajectory = run.trajectory()  # type: ignore[union-attr]
            raise
        return run.trajectory()

    def _native(self, run: Run) -> Trajectory | None:
        """The run in a kernel; ``None`` when the eager engine has to do it."""
        small = len(run.loading) < _MANY_STEPS and len(run.loading) * run.loading.batch.numel() < _MANY_POINTS
        if self.engine == "auto" and small and self._engine.kernel is None:
            return None
        try:
            return self._engine.run(run)
        except NotNative as reason:
            if self.engine == "native":
                raise NotNative(f"engine='native' cannot run {self.model}: {reason}") from None
            self._engine.say_once(str(reason))
        return None


def result_size(update: StateUpdate, loading: Loading) -> int:
    """About how many bytes the results take."""
    kinds = [*update.outputs.values(), *update.forces.values()]
    sites = [v.sub_batch_shape.numel() for v in (*loading.zeros.values(), *loading.initial.values())]
    components = sum(math.prod(k.BASE_SHAPE) for k in kinds) * max(sites, default=1)
    return len(loading) * loading.batch.numel() * components * loading.time.element_size()


def _ways(given: str | Iterable[str]) -> tuple[str, ...]:
    ways = (given,) if isinstance(given, str) else tuple(given)
    for way in ways:
        if way not in _WAYS:
            raise ValueError(f"on_failure is '{way}'{did_you_mean(way, _WAYS)}; give one of {listing(_WAYS)}")
    if set(ways) >= {"raise", "freeze"}:
        raise ValueError("on_failure cannot both raise and freeze; choose one of the two")
    return ways


@dataclass
class Run:
    """The state of a run: what has been computed so far."""

    driver: TransientDriver
    loading: Loading
    ways: tuple[str, ...]
    progress: bool | None
    outputs: list[Values] = field(default_factory=list)
    status: list[torch.Tensor] = field(default_factory=list)
    iterations: list[torch.Tensor] = field(default_factory=list)
    survivors: torch.Tensor | None = None  # indices in the flattened batch; None: all

    def __post_init__(self) -> None:
        model = self.driver.model
        self.origin = Origin(
            model=f"{model}",
            inputs=tuple(model.input_spec),
            states={n: self.driver.update.depth[n] for n in self.driver.update.states},
            initial=self.loading.initial,
            declared=self.driver.declared,
            parameters={n: p.detach().clone() for n, p in model.named_parameters()},
            input_text=self.driver.input_text,
        )

    def advance(self) -> None:
        update, loading = self.driver.update, self.loading
        forces = loading.at(0)
        state, start = self.initial()
        self.outputs.append(start)
        self.status.append(torch.tensor(int(Status.NOT_SOLVED), dtype=torch.int8))
        self.iterations.append(torch.zeros((), dtype=torch.int32))
        old = update.next_old_forces(forces, {})
        steps = range(1, len(loading))
        for k in self.bar(steps) or steps:
            forces = loading.at(k)
            outputs = self._step(k, state, forces, old)
            state = update.next_state(state, outputs)
            old = update.next_old_forces(forces, old)

    def initial(self) -> tuple[Values, Values]:
        """The state and the outputs before the first step."""
        update, loading = self.driver.update, self.loading
        state = update.initial_state({**loading.zeros, **loading.initial}, loading.time)
        start = {**update.initial_outputs(state, loading.at(0))}
        return state, start | {n: v for n, v in loading.initial.items() if n in start}

    def bar(self, steps: Iterable[int] | None = None) -> Any:
        """A progress bar over ``steps``, or to be updated by hand; ``None`` when nobody looks."""
        if self.progress is False or (self.progress is None and not sys.stderr.isatty()):
            return None
        from tqdm import tqdm

        return tqdm(
            steps,
            desc="steps",
            unit="step",
            total=len(self.loading) - 1,
            delay=0.0 if self.progress else _QUIET_SECONDS,
            leave=bool(self.progress),
            file=sys.stderr,
        )

    # ------------------------------------------------------------------ one step

    def _step(self, k: int, state: Values, forces: Values, old: Values) -> Values:
        if self.survivors is not None and not len(self.survivors):
            return self._record(self.outputs[-1], self._all_frozen(), torch.zeros_like(self.iterations[-1]))
        result = self._try(state, forces, old)
        failed = result.status != Status.CONVERGED
        if not bool(failed.any()):
            return self._merge(result)
        if "freeze" not in self.ways:
            raise self._error(k, result)
        return self._freeze(result, state, forces, old)

    def _try(self, state: Values, forces: Values, old: Values) -> StepResult:
        levels = self.driver.max_substeps if "substep" in self.ways else 0
        return self.driver.update(state, forces, old, levels, self.survivors)

    def rescue(self, k: int, native: Native, index: torch.Tensor) -> torch.Tensor:
        """Advance points that the kernel gave up at step ``k``; which of them have converged.

        Raises :class:`~neml2.ConvergenceError` when some have not, unless they are to be frozen.
        """
        update, loading = self.driver.update, self.loading
        state, forces, old = native.state_before(k), loading.at(k), {}
        for n in update.forces:
            for lag in range(max(update.depth.get(n, 1), 1)):
                old[lagged(n, lag)] = loading.at(max(k - 1 - lag, 0))[n]
        levels = self.driver.max_substeps if "substep" in self.ways else 0
        result = update(state, forces, old, levels, index)
        saved = (result.status == Status.CONVERGED).expand(index.shape)
        if not bool(saved.all()) and "freeze" not in self.ways:
            self.status = [native.status[k - 1].reshape(native.batch)]
            error = self._error(k, self._try(state, forces, old))  # of all points, for the message
            error.trajectory = native.trajectory(k)
            raise error
        native.put(k, index, result, saved)
        return saved

    def _record(self, outputs: Values, status: torch.Tensor, iterations: torch.Tensor) -> Values:
        self.outputs.append(outputs)
        self.status.append(status)
        self.iterations.append(iterations)
        return outputs

    def _merge(self, result: StepResult) -> Values:
        """Record a step in which all points that take part have converged."""
        if self.survivors is None:
            return self._record(result.outputs, result.status, result.iterations)
        batch, index = torch.Size(self.status[-1].shape), self.survivors
        outputs = {n: _put(self.outputs[-1][n], batch, index, v) for n, v in result.outputs.items()}
        status = put_data(self._all_frozen(), index, result.status.expand(index.shape))
        counts = torch.zeros_like(self.iterations[-1])
        return self._record(outputs, status, put_data(counts, index, result.iterations.expand(index.shape)))

    def _freeze(self, result: StepResult, state: Values, forces: Values, old: Values) -> Values:
        """Record a step after which the points that failed take no part any more."""
        status, counts = result.status, result.iterations
        if self.survivors is None:
            batch = torch.Size(status.shape)
            everyone = torch.arange(status.numel(), device=status.device)
            whole_status, whole_counts = status, counts
        else:
            batch, everyone = torch.Size(self.status[-1].shape), self.survivors
            whole_status = put_data(self._all_frozen(), everyone, status.expand(everyone.shape))
            whole_counts = put_data(
                torch.zeros_like(self.iterations[-1]), everyone, counts.expand(everyone.shape)
            )
        good = (status.expand(batch) if self.survivors is None else status).flatten() == Status.CONVERGED
        self.survivors = everyone[good]
        outputs = self.outputs[-1]
        if len(self.survivors):
            # Advanced once more by themselves, to the same bits: the graph of this step must not hold the
            # failed points, whose infinite slopes would turn the gradients of all into NaN.
            again = self._try(state, forces, old)
            outputs = {n: _put(outputs[n], batch, self.survivors, v) for n, v in again.outputs.items()}
        return self._record(outputs, whole_status, whole_counts)

    def _all_frozen(self) -> torch.Tensor:
        return torch.full_like(self.status[-1], int(Status.FROZEN))

    def _error(self, k: int, result: StepResult) -> ConvergenceError:
        times = self.loading.time[k].detach()
        if times.ndim:
            times = times.expand(torch.broadcast_shapes(times.shape, result.status.shape))
            failed = (result.status != Status.CONVERGED).expand(times.shape)
            times = times[failed][:1].reshape(())
        if "substep" in self.ways:
            pieces = 2**self.driver.max_substeps
            remedy = f"{pieces} substeps did not help; try a smaller increment, or ('substep', 'freeze')"
        else:
            remedy = "try on_failure='substep', 'freeze' or a smaller increment"
        error = ConvergenceError(
            f"step {k} of {len(self.loading) - 1} (t = {float(times):g}): {result.describe_failure()};"
            f" {remedy}",
            result.solutions[-1] if result.solutions else None,
        )
        error.step, error.status = k, result.status
        return error

    # ------------------------------------------------------------------ what came out

    def trajectory(self) -> Trajectory:
        """The steps done so far."""
        done, loading = len(self.outputs), self.loading
        steps = [s.shape for s in self.status]
        batch = torch.broadcast_shapes(*steps, loading.time.shape[1:])
        for values in (self.outputs[0], self.outputs[-1], loading.at(0)) if done else ():
            batch = torch.broadcast_shapes(batch, *[v.dynamic_batch_shape for v in values.values()])
        device = loading.time.device

        def stacked(parts: list[torch.Tensor]) -> torch.Tensor:
            return torch.stack([p.to(device).expand(batch) for p in parts])

        return Trajectory(
            time=loading.time[:done],
            status=stacked(self.status) if done else torch.zeros(0, *batch, dtype=torch.int8),
            iterations=stacked(self.iterations) if done else torch.zeros(0, *batch, dtype=torch.int32),
            outputs={n: _stacked([o[n] for o in self.outputs]) for n in (self.outputs[0] if done else ())},
            forces={n: type(v)._new(v.data[:done], v.sub_batch_ndim) for n, v in loading.forces.items()},
            time_name=self.driver.time,
            origin=self.origin,
        )


def _put(old: TensorWrapper, batch: torch.Size, index: torch.Tensor, new: TensorWrapper) -> TensorWrapper:
    """``old`` with the points ``index`` replaced; it may lack the sub-batch axes of ``new``."""
    if old.sub_batch_shape != new.sub_batch_shape:
        front, sub, base = old.dynamic_batch_shape, new.sub_batch_shape, new.base_shape
        missing = (1,) * (len(sub) - old.sub_batch_ndim)
        data = old.data.reshape(*front, *missing, *old.sub_batch_shape, *base).expand(*front, *sub, *base)
        old = type(old)._new(data, len(sub))
    return put(old, batch, index, new)


def _stacked(steps: list[TensorWrapper]) -> TensorWrapper:
    """All steps as one value ``(n, *batch, *sub_batch, *base)``, in their widest batch and sub-batch."""
    kind = type(steps[0])
    rank = max(v.sub_batch_ndim for v in steps)
    sub = torch.broadcast_shapes(*[v.sub_batch_shape for v in steps])
    batch = torch.broadcast_shapes(*[v.dynamic_batch_shape for v in steps])
    parts = []
    for v in steps:
        front = (1,) * (len(batch) - len(v.dynamic_batch_shape)) + tuple(v.dynamic_batch_shape)
        middle = (1,) * (rank - v.sub_batch_ndim) + tuple(v.sub_batch_shape)
        shape = (*front, *middle, *kind.BASE_SHAPE)
        parts.append(v.data.reshape(shape).expand((*batch, *sub, *kind.BASE_SHAPE)))
    return kind._new(torch.stack(parts), rank)
