"""`TransientDriver`: a model driven along a history."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from neml2.drivers.aim import Aim
from neml2.drivers.binding import Loading
from neml2.drivers.declared import Declared, declarations
from neml2.drivers.eager import EagerMarch
from neml2.drivers.history import History, is_a
from neml2.drivers.native import NativeEngine, NotNative
from neml2.drivers.run import March, Run
from neml2.drivers.sinks import Memory, Sink
from neml2.drivers.trajectory import Origin, Trajectory
from neml2.errors import ConvergenceError
from neml2.model import Model
from neml2.registry import did_you_mean, listing
from neml2.step import StateUpdate

if TYPE_CHECKING:
    from neml2.hit.settings import Settings

_ENGINES = ("eager", "native", "auto")
_WAYS = ("raise", "freeze", "substep")
_MANY_STEPS, _MANY_POINTS = 100, 100_000  # from here on a compilation of 1-3 s pays (points times steps)
_BLOCK = 2**26  # bytes of results that are held where they need not all be


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
    strain, stress
        The variables that a history with control by component is about; found by their names and types
        where they are not given.
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
        *,
        strain: str | None = None,
        stress: str | None = None,
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
        self.strain, self.stress = strain, stress
        self._engine = NativeEngine(self.update)

    @cached_property
    def declared(self) -> dict[str, Declared]:
        """What the models say about their variables."""
        return declarations(self.model)

    @cached_property
    def _controlled(self) -> NativeEngine:
        """The update, and its kernel, whose strain is an unknown."""
        from neml2.drivers.controlled import controlled

        return NativeEngine(StateUpdate(controlled(self.model, self.strain, self.stress)))

    def bind(self, history: History | Mapping[str, Any]) -> Loading:
        """The history as typed values for the model, checked; see :meth:`History.bind`."""
        return self._bind(self._history(history))[1]

    def _history(self, history: Any) -> History:
        if is_a(history, "xarray.Dataset"):
            return History.from_xarray(history)
        if is_a(history, "pandas.DataFrame"):
            return History.from_pandas(history, time=self.time)
        if isinstance(history, Mapping):
            return History.from_dict(history, self.time)
        if not isinstance(history, History):
            raise TypeError(
                f"run takes a History, a dict of values, an xarray Dataset or a pandas DataFrame, not a"
                f" {type(history).__name__}"
            )
        return history

    def _bind(self, history: History) -> tuple[NativeEngine, Loading, Aim | None]:
        """The engine that takes the history, the history as typed values, and its control."""
        if history.control is None:
            return self._engine, history.bind(self.update, self.time, self.settings), None
        from neml2.drivers.controlled import names

        strain, stress = names(self.model, self.strain, self.stress)
        like = next((p for p in self.model.parameters()), history.time)
        control = history.control.to(like.dtype if like.is_floating_point() else torch.float64)
        aim = Aim(control, strain, stress, self.update.forces[strain])
        if aim.strain_only:
            whole = history.replace(prescribed={**history.prescribed, strain: aim.strains()}, control=None)
            return self._engine, whole.bind(self.update, self.time, self.settings), None
        whole = history.replace(prescribed={**history.prescribed, **aim.prescribed()}, control=None)
        engine = self._controlled
        return engine, whole.bind(engine.update, self.time, self.settings), aim

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
        carries ``trajectory`` as well; it waits until a step is complete.
        """
        engine, loading, aim = self._bind(self._history(history))
        run = Run(
            update=engine.update,
            loading=loading,
            ways=self.on_failure if on_failure is None else _ways(on_failure),
            max_substeps=self.max_substeps,
            time_name=self.time,
            origin=self._origin(engine.update, loading),
            aim=aim,
        )
        march = self._march(engine, run)
        return self._drive(
            run, march, Memory(None, len(loading)), self.progress if progress is None else progress
        )

    def _drive(self, run: Run, march: March, sink: Sink, progress: bool | None) -> Trajectory:
        """Take blocks of rows from the march to the sink."""
        with run.patience, run.showing(progress):
            for last in self._ends(run):
                first = march.row + 1
                try:
                    block = march.advance(last)
                except (ConvergenceError, KeyboardInterrupt, SystemExit) as stop:
                    part = stop.trajectory  # type: ignore[union-attr]
                    if len(part):
                        sink.take(part, first, march.checkpoint)
                    stop.trajectory = sink.leave(str(stop))  # type: ignore[union-attr]
                    raise
                sink.take(block, first, march.checkpoint)
            return sink.finish()

    def _ends(self, run: Run) -> Iterator[int]:
        yield len(run.loading)

    def _march(self, engine: NativeEngine, run: Run) -> March:
        """The engine at work that the run gets."""
        rows, points = len(run.loading), run.loading.batch.numel()
        small = rows < _MANY_STEPS and rows * points < _MANY_POINTS
        if self.engine == "eager" or (self.engine == "auto" and small and engine.kernel is None):
            return EagerMarch(run)
        try:
            return engine.march(run)
        except NotNative as reason:
            if self.engine == "native":
                raise NotNative(f"engine='native' cannot run {self.model}: {reason}") from None
            engine.say_once(str(reason))
        return EagerMarch(run)

    def _origin(self, update: StateUpdate, loading: Loading) -> Origin:
        return Origin(
            model=f"{self.model}",
            inputs=tuple(update.model.input_spec),
            states={n: update.depth[n] for n in update.states},
            initial=loading.initial,
            declared=self.declared,
            parameters={n: p.detach().clone() for n, p in self.model.named_parameters()},
            input_text=self.input_text,
        )


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
