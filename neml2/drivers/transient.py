"""`TransientDriver`: a model driven along a history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from neml2.drivers.control.aim import Aim
from neml2.drivers.engines.eager import EagerMarch
from neml2.drivers.engines.memory import Budget, Pace, as_bytes, budget, result_size
from neml2.drivers.engines.native import NativeEngine, NotNative
from neml2.drivers.engines.plan import Plan, as_events, check_parameters, read_history, record_history
from neml2.drivers.engines.run import March, Run
from neml2.drivers.engines.sinks import File, Memory, Sink
from neml2.drivers.files.formats import check_place
from neml2.drivers.files.writer import Unfinished, Writer
from neml2.drivers.histories.binding import Loading
from neml2.drivers.histories.given import is_a
from neml2.drivers.histories.history import History
from neml2.drivers.increments.events import Event
from neml2.drivers.increments.increments import Increments
from neml2.drivers.increments.stepped import SteppedMarch
from neml2.drivers.increments.stepping import Stepping
from neml2.drivers.results.declared import Declared, declarations
from neml2.drivers.results.saving import Save
from neml2.drivers.trajectory import Origin, Path, Trajectory
from neml2.errors import ConvergenceError
from neml2.model import Model
from neml2.registry import did_you_mean, listing
from neml2.step import StateUpdate
from neml2.types import R2

if TYPE_CHECKING:
    from neml2.hit.settings import Settings

_ENGINES = ("eager", "native", "auto")
_WAYS = ("raise", "freeze", "substep")
_MANY_STEPS, _MANY_POINTS = 100, 100_000  # from here on a compilation of 1-3 s pays (points times steps)


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
        self.sections: dict[str, str] = {}  # of the input text: where model and driver are
        self._engine = NativeEngine(self.update)

    @cached_property
    def declared(self) -> dict[str, Declared]:
        """What the models say about their variables."""
        return declarations(self.model)

    @cached_property
    def _controlled(self) -> NativeEngine:
        """The update, and its kernel, whose strain is an unknown."""
        from neml2.drivers.control.controlled import controlled

        return NativeEngine(StateUpdate(controlled(self.model, self.strain, self.stress)))

    def bind(self, history: History | Mapping[str, Any]) -> Loading:
        """The history as typed values for the model, checked; see :meth:`History.bind`."""
        given = self._history(history)
        return self._bind(given)[1]

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

    def prepare(self, history: History | Mapping[str, Any]) -> tuple[History, NativeEngine, Run]:
        """The history as such, its engine and its run: checked, not begun, and with all results in memory.

        It is for code that goes along histories in a way of its own, as
        :func:`neml2.recurrent.sensitivities` does.
        """
        given = self._history(history)
        plan = Plan(self.on_failure, self.max_substeps, self.time, self.engine, None, ())
        return given, *self._prepared(given, plan, None, True)

    def _bind(self, history: History) -> tuple[NativeEngine, Loading, Aim | None]:
        """The engine that takes the history, the history as typed values, and its control."""
        if history.control is None:
            return self._engine, history.bind(self.update, self.time, self.settings), None
        from neml2.drivers.control.conjugates import chosen_strain, chosen_stress

        strain, stress = chosen_strain(self.model, self.strain), chosen_stress(self.model, self.stress)
        like = next((p for p in self.model.parameters()), history.time)
        control = history.control.to(like.dtype if like.is_floating_point() else torch.float64)
        given = not {strain, stress}.isdisjoint(history.initial)
        aim = Aim(control, strain, stress, self.update.forces[strain], given)
        if aim.strain_only:
            whole = history.replace(prescribed={**history.prescribed, strain: aim.strains()}, control=None)
            return self._engine, whole.bind(self.update, self.time, self.settings), None
        target = control.target
        # at rest a deformation gradient is the identity
        unit = {strain: R2.identity(dtype=target.dtype, device=target.device)} if aim.kind is R2 else {}
        whole = history.replace(
            prescribed={**history.prescribed, **aim.prescribed()},
            initial={**unit, **history.initial},
            control=None,
        )
        engine = self._controlled
        return engine, whole.bind(engine.update, self.time, self.settings), aim

    def run(
        self,
        history: History | Mapping[str, Any],
        on_failure: str | Iterable[str] | None = None,
        progress: bool | None = None,
        *,
        save: Any = None,
        output: Path | None = None,
        overwrite: bool = False,
        increments: Increments | None = None,
        events: Event | str | Iterable[Event | str] = (),
        max_memory: int | float | str | None = None,
        replay: Path | None = None,
    ) -> Trajectory:
        """The trajectory along ``history``: a :class:`History`, or a dict such as ``{"t": t, "E": E}``.

        A dataset or a table is read as by :meth:`History.from_xarray` and :meth:`History.from_pandas`.

        Step 0 is the initial state and is not solved. The result is part of the autograd graph of the
        parameters and of the history, unless gradients are switched off.

        save
            What to keep: names of variables and of derived quantities such as ``"von_mises(stress)"``, or a
            :class:`Save` that also chooses steps. By default everything.
        output
            An HDF5 file that grows with the run, block by block, as ``<name>.partial.h5`` until it is
            complete. Values are read from it when they are asked for; they have no gradients. An interrupted
            run goes on with :meth:`resume`; ``overwrite`` starts it anew.
        increments
            The increments between the steps of the history, chosen by every point: :class:`Increments`. By
            default one increment a step.
        events
            What is looked for on the way, and what it does: :class:`Event`, or texts such as ``"stress.xx >
            300"``. They are in ``trajectory.events``.
        max_memory
            Bytes, or a text such as ``"8 GB"``, that the run may take: it works on as many steps and points
            at once as fit. The results are the same to the bit.
        replay
            A file for the step that failed, if one does, see :class:`Replay`.

        Raises what :meth:`History.bind` raises, before the first step, and
        :class:`~neml2.ConvergenceError`, whose ``trajectory`` holds the steps that were completed, ``step``
        the number of the failed one, ``status`` how it ended at every point, and ``replay`` the failed step
        itself. A ``KeyboardInterrupt`` carries ``trajectory`` as well; it waits until a step is complete.
        """
        given = self._history(history)
        plan = Plan(
            ways=self.on_failure if on_failure is None else _ways(on_failure),
            max_substeps=self.max_substeps,
            time=self.time,
            engine=self.engine,
            increments=increments,
            events=as_events(events),
        )
        chosen = None if save is None else Save.of(save)
        graph = torch.is_grad_enabled() and output is None
        with torch.set_grad_enabled(graph):
            engine, run = self._prepared(given, plan, as_bytes(max_memory), chosen is None and output is None)
            march = self._march(engine, run, given, plan)
            if chosen is not None:
                kinds = run.kinds(stepped=isinstance(march, SteppedMarch))
                chosen.check(kinds, kinds, run.loading.time)
            sink: Sink = Memory(chosen, len(run.loading))
            if output is not None:
                check_place(output, result_size(engine.update, run.loading) if chosen is None else 0)
                sink = File(_writer(output, run, given, plan, march, chosen, overwrite))
            try:
                return self._drive(run, march, sink, self.progress if progress is None else progress)
            except ConvergenceError as error:
                if replay is not None and error.replay is not None:
                    error.replay.save(replay)
                raise

    def resume(
        self, path: Path, progress: bool | None = None, on_failure: str | Iterable[str] | None = None
    ) -> Trajectory:
        """Go on with an interrupted run into the file ``path``, to the same bits as if it had not been.

        The history, the options and the engine are those of the run, but for ``on_failure`` where it is
        given; this driver gives the model, whose parameters must be those of the run. Raises
        :class:`FileNotFoundError` where there is no run, and :class:`ValueError` for one that is complete,
        that was made with another model, or whose events are functions.
        """
        left = Unfinished.read(path)
        plan, given = Plan.read(left.history["plan"]), read_history(left.history)
        if on_failure is not None:
            plan.ways = _ways(on_failure)
        check_parameters(self.model, left.origin.parameters)
        with torch.no_grad():
            engine, run = self._prepared(given, plan, None, False)
            run.rows, run.at_once = left.history["rows"], left.history["at_once"]
            march = self._march(engine, run, given, plan)
            if left.checkpoint:
                march.restore(left.row - 1, left.checkpoint)
            return self._drive(
                run, march, File(left.writer()), self.progress if progress is None else progress
            )

    def _prepared(
        self, history: History, plan: Plan, limit: int | None, whole: bool
    ) -> tuple[NativeEngine, Run]:
        """The engine and the run; ``whole``: all results stay in memory."""
        engine, loading, aim = self._bind(history)
        graph = torch.is_grad_enabled() and not whole  # a graph holds everything anyway
        room = Budget(None, None) if graph else budget(engine.update, loading, limit, whole)
        return engine, Run(
            update=engine.update,
            loading=loading,
            ways=plan.ways,
            max_substeps=plan.max_substeps,
            time_name=plan.time,
            origin=self._origin(engine.update, loading),
            aim=aim,
            cycle=history.cycle,
            rows=room.rows,
            at_once=room.at_once,
        )

    def _drive(self, run: Run, march: March, sink: Sink, progress: bool | None) -> Trajectory:
        """Take blocks of rows from the march to the sink."""
        steps, pace = len(run.loading), Pace(run.rows)
        with run.patience, run.showing(progress):
            try:
                while march.row + 1 < steps and not march.finished:
                    first, start = march.row + 1, perf_counter()
                    block = _advanced(march, pace.last(first, steps), sink)
                    sink.take(block, first, march.checkpoint)
                    pace.took(len(block), perf_counter() - start)
            except BaseException as error:
                error.trajectory = sink.leave(f"{error}" or type(error).__name__)  # type: ignore[attr-defined]
                raise
            return sink.finish()

    def _march(self, engine: NativeEngine, run: Run, history: History, plan: Plan) -> March:
        """The engine at work that the run gets; ``plan`` keeps which one it is, and with which pivots."""
        rows, points = len(run.loading), run.loading.batch.numel()
        small = rows < _MANY_STEPS and rows * points < _MANY_POINTS
        stepped = (
            plan.increments is not None or plan.events or any(s.until is not None for s in history.segments)
        )
        if plan.engine != "eager" and not (plan.engine == "auto" and small and engine.kernel is None):
            if plan.pivots is not None:
                engine.kernel, engine.tried = None, plan.pivots
            try:
                march: March = self._stepped(run, history, plan, engine) if stepped else engine.march(run)
                plan.engine, plan.pivots = "native", engine.pivots
                return march
            except NotNative as reason:
                if plan.engine == "native":
                    raise NotNative(f"engine='native' cannot run {self.model}: {reason}") from None
                engine.say_once(str(reason))
        plan.engine = "eager"
        return self._stepped(run, history, plan) if stepped else EagerMarch(run)

    def _stepped(self, run: Run, history: History, plan: Plan, engine: NativeEngine | None = None) -> March:
        """Increments that points choose, and events; in a kernel with an ``engine``."""
        increments = plan.increments
        if increments is None and run.levels:
            increments = Increments(smallest=2.0**-run.levels)
        stepping = Stepping(
            run.update,
            run.loading,
            None if engine is None else engine.stepper(run),
            increments,
            plan.events,
            stretches=history.segments,
            aim=run.aim,
            cycle=history.cycle,
            time=run.time_name,
            start=run.initial(),
        )
        return SteppedMarch(run, stepping)

    def _origin(self, update: StateUpdate, loading: Loading) -> Origin:
        return Origin(
            model=f"{self.model}",
            inputs=tuple(update.model.input_spec),
            states={n: update.depth[n] for n in update.states},
            initial=loading.initial,
            declared=self.declared,
            parameters={n: p.detach().clone() for n, p in self.model.named_parameters()},
            input_text=self.input_text,
            sections=self.sections,
        )


def _advanced(march: March, last: int, sink: Sink) -> Trajectory:
    """The next block; the rows of one that is not completed are kept as well."""
    first = march.row + 1
    try:
        return march.advance(last)
    except (ConvergenceError, KeyboardInterrupt, SystemExit) as stop:
        part: Trajectory = stop.trajectory  # type: ignore[union-attr]
        if len(part):
            sink.take(part, first, march.checkpoint)
        raise


def _writer(
    path: Path, run: Run, history: History, plan: Plan, march: March, save: Save | None, overwrite: bool
) -> Writer:
    """The file of a run, with what it takes to go on with it."""
    record = {**record_history(history), "plan": plan.record(), "rows": run.rows, "at_once": run.at_once}
    return Writer(
        path,
        run.origin,
        batch=run.loading.batch,
        steps=len(run.loading),
        save=save,
        history=record,
        events=march.events,
        overwrite=overwrite,
    )


def _ways(given: str | Iterable[str]) -> tuple[str, ...]:
    ways = (given,) if isinstance(given, str) else tuple(given)
    for way in ways:
        if way not in _WAYS:
            raise ValueError(f"on_failure is '{way}'{did_you_mean(way, _WAYS)}; give one of {listing(_WAYS)}")
    if set(ways) >= {"raise", "freeze"}:
        raise ValueError("on_failure cannot both raise and freeze; choose one of the two")
    return ways
