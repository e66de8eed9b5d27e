"""State updates: one time step of a model, as a function from old state and forces to new state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from neml2.context import Context
from neml2.derivatives import expand_batch
from neml2.errors import MissingVariable
from neml2.lags import lagged, split
from neml2.model import Model
from neml2.points import take_all, take_parameters
from neml2.registry import did_you_mean, listing
from neml2.solvers.status import Solution, Status
from neml2.substep import Outcome, refine
from neml2.types import TensorWrapper

Values = dict[str, TensorWrapper]


@dataclass(frozen=True)
class StepResult:
    """What one step gives.

    state
        The state to start the next step from.
    outputs
        All outputs of the model at the end of the step, by name.
    status, iterations
        :class:`~neml2.solvers.Status` and Newton iterations of every point, ``(*batch)``.
    solutions
        The solves of the step, for the details of a failure.
    """

    state: Values
    outputs: Values
    status: torch.Tensor
    iterations: torch.Tensor
    solutions: tuple[Solution, ...] = ()

    def describe_failure(self) -> str:
        """One line about the points that failed."""
        for solution in self.solutions:
            if not solution.succeeded:
                return solution.describe()
        failed = self.status != Status.CONVERGED
        broken = [n for n, v in self.outputs.items() if not bool(v.data.isfinite().all())]
        return (
            f"{int(failed.sum())} of {failed.numel()} points gave a result that is not finite"
            f" (in {listing(broken) if broken else 'a substep'})"
        )


class StateUpdate:
    """One time step of ``model``: ``update(state, forces, old_forces) -> StepResult``.

    What a variable is follows from the names: an output ``x`` whose old value ``x~1`` the model reads is
    *state*; any other input is a *force*, and ``x~1`` of a force is an *old force*. ``state["x"]`` is the
    value at the end of the previous step, ``state["x~1"]`` the one before it (where the model reads ``x~2``),
    and likewise for old forces.

    Attributes ``states``, ``forces``, ``outputs``, ``guesses`` map names to tensor types; ``depth`` says how
    many old values of a state or force are read.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.outputs = dict(model.output_spec)
        self.states: dict[str, type[TensorWrapper]] = {}
        self.forces: dict[str, type[TensorWrapper]] = {}
        self.guesses: dict[str, type[TensorWrapper]] = {}
        self.depth: dict[str, int] = {}
        self.optional: set[str] = set()
        for name, kind in model.input_spec.items():
            base, lag = split(name)
            if lag == 0:
                (self.guesses if base in self.outputs else self.forces)[base] = kind
            elif base in self.outputs:
                self._same_type(base, kind)
                self.states[base] = kind
            elif base in model.input_spec or name not in model.optional_inputs:
                self.forces[base] = kind
            else:
                continue  # only a guess starts from it, and nothing computes it
            self.depth[base] = max(self.depth.get(base, 0), lag)
        for base in self.forces:
            readers = [n for n in model.input_spec if split(n)[0] == base]
            if all(n in model.optional_inputs for n in readers):
                self.optional.add(base)

    def _same_type(self, base: str, kind: type[TensorWrapper]) -> None:
        if self.outputs[base] is not kind:
            raise ValueError(
                f"{self.model} computes '{base}' as {self.outputs[base].__name__} but reads '{base}~1' as"
                f" {kind.__name__}"
            )

    def initial_state(self, initial: Mapping[str, TensorWrapper], like: torch.Tensor) -> Values:
        """The state before the first step: what is given, else zero; ``like`` gives dtype and device."""
        state = {n: initial.get(n, kind(like.new_zeros(kind.BASE_SHAPE))) for n, kind in self.states.items()}
        return {**state, **{n: v for n, v in initial.items() if n in self.guesses}}

    def initial_outputs(
        self, state: Mapping[str, TensorWrapper], forces: Mapping[str, TensorWrapper]
    ) -> Values:
        """Outputs of the initial state: implicit updates keep it, explicit models are evaluated.

        What cannot be known without a step (rates, unknowns without history) is NaN, outside the graph.
        """
        values = self._inputs(state, forces, forces)
        try:
            outputs = self.model.evaluate(values, Context(solves=[], initial=True))
        except ValueError as error:
            plain = [n for n, v in state.items() if not v.sub_batch_ndim]
            if not plain:
                raise
            raise ValueError(
                f"{self.model} cannot be evaluated in its initial state: {error} A state that is not given is"
                f" zero, without sub-batch axes; give {listing(plain)} an initial value that has them"
            ) from error
        outputs.update({n: v for n, v in state.items() if n in outputs})
        return {
            n: v if bool(v.data.isfinite().all()) else type(v)._new(v.data.detach(), v.sub_batch_ndim)
            for n, v in outputs.items()
        }

    def __call__(
        self,
        state: Mapping[str, TensorWrapper],
        forces: Mapping[str, TensorWrapper],
        old_forces: Mapping[str, TensorWrapper],
        substeps: int = 0,
        points: torch.Tensor | None = None,
        batch: torch.Size | None = None,
    ) -> StepResult:
        """Advance by one step; failure is a status. With ``substeps`` the increments of failing points are
        cut into at most ``2**substeps`` pieces, over which all forces vary linearly. With ``points``,
        indices into the flattened batch, only those are advanced, and the result has them as its batch.
        With ``batch`` as well the values are those of the points already, and the indices are into that
        batch of the model's parameters.
        """
        values = self._inputs(state, forces, old_forces)
        context = Context(solves=[])
        unread = {
            lagged(n, 1): v for n, v in old_forces.items() if n in values and lagged(n, 1) not in values
        }
        if points is not None:
            everyone = self.model.batch_shape(values) if batch is None else batch
            context = take_parameters(self.model, context, everyone, points)
            if batch is None:
                values, unread = take_all(values, everyone, points), take_all(unread, everyone, points)
                state = take_all(state, everyone, points)
        outcome = self._evaluate(values, context)
        if substeps and bool((outcome.status != Status.CONVERGED).any()):
            outcome = self._cut({**values, **unread}, context, outcome, substeps)
        return StepResult(
            self.next_state(state, outcome.outputs),
            outcome.outputs,
            outcome.status,
            outcome.iterations,
            tuple(context.solves or ()),
        )

    def _evaluate(self, values: Values, context: Context) -> Outcome:
        outputs = self.model.evaluate(values, context)
        batch = self.model.batch_shape(values, context)
        first = next(iter(outputs.values())).data
        status = torch.zeros(batch, dtype=torch.int8, device=first.device)
        iterations = torch.zeros(batch, dtype=torch.int32, device=first.device)
        for solution in context.solves or ():
            status = torch.where(status == Status.CONVERGED, solution.status, status)
            iterations = torch.maximum(iterations, solution.iterations)
        for value in outputs.values():
            if not bool(value.data.isfinite().all()):
                finite = expand_batch(value, batch).isfinite().reshape(*batch, -1).all(-1)
                status = torch.where((status == Status.CONVERGED) & ~finite, int(Status.NOT_FINITE), status)
        return Outcome(outputs, status.to(torch.int8), iterations)

    def _cut(self, values: Values, context: Context, whole: Outcome, levels: int) -> Outcome:
        """``whole`` with the points that failed advanced anew, in pieces."""
        batch = torch.Size(whole.status.shape)

        def advance(piece: Mapping[str, TensorWrapper], which: torch.Tensor) -> Outcome:
            part = take_parameters(self.model, context, batch, which)
            inputs = {n: piece[n] for n in self.model.input_spec if n in piece}
            found = self._evaluate(inputs, replace(part, solves=[]))
            return Outcome(
                found.outputs, found.status.expand(which.shape), found.iterations.expand(which.shape)
            )

        return refine(advance, values, batch, whole, levels)

    def _inputs(
        self,
        state: Mapping[str, TensorWrapper],
        forces: Mapping[str, TensorWrapper],
        old_forces: Mapping[str, TensorWrapper],
    ) -> Values:
        values: Values = {}
        for name in self.model.input_spec:
            base, lag = split(name)
            if base in self.forces:
                found = forces.get(base) if lag == 0 else _newest(old_forces, base, lag - 1)
            elif lag == 0:
                found = state.get(base)  # a guess; the solver takes zero where there is none
            else:
                found = _newest(state, base, lag - 1)
            if found is not None:
                values[name] = found
            elif name not in self.model.optional_inputs:
                raise MissingVariable(
                    f"{self.model} needs '{base}' for its input '{name}'{did_you_mean(base, forces)};"
                    f" got {listing([*forces, *state])}"
                )
        return values

    def next_state(self, state: Mapping[str, TensorWrapper], outputs: Mapping[str, TensorWrapper]) -> Values:
        """The state after a step with these outputs, from the state before it."""
        new: Values = {n: outputs[n] for n in (*self.states, *self.guesses)}
        for n in self.states:
            for lag in range(1, self.depth[n]):
                new[lagged(n, lag)] = _newest(state, n, lag - 1) or outputs[n]
        return new

    def next_old_forces(
        self, forces: Mapping[str, TensorWrapper], old_forces: Mapping[str, TensorWrapper]
    ) -> Values:
        """The old forces of the next step, from the forces and old forces of this one."""
        new: Values = {n: forces[n] for n in self.forces if n in forces}
        for n in self.forces:
            for lag in range(1, self.depth.get(n, 0)):
                older = old_forces.get(lagged(n, lag - 1))
                if older is not None:
                    new[lagged(n, lag)] = older
        return new


def _newest(values: Mapping[str, TensorWrapper], base: str, lag: int) -> TensorWrapper | None:
    """``base`` at that lag or, while the history is shorter than that, the oldest value there is.

    Equal old values (and, for the time, equal time stamps) are how a predictor sees that history is missing.
    """
    for older in range(lag, -1, -1):
        if lagged(base, older) in values:
            return values[lagged(base, older)]
    return None
