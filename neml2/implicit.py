"""Implicit updates: the solution of a nonlinear system as a model, and its derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from neml2 import log
from neml2.context import DEFAULT, Context
from neml2.errors import ConvergenceError
from neml2.fields import Dependency, Option
from neml2.lags import lagged, split
from neml2.model import Model
from neml2.points import take, take_data, take_parameters
from neml2.registry import did_you_mean, listing
from neml2.solvers.blocks import Factor, LinearSolver, Matrix, Vector, joined, parted, wide
from neml2.solvers.direct import EverythingDense
from neml2.solvers.lu import lu
from neml2.solvers.newton import Newton
from neml2.solvers.status import Solution, Status
from neml2.substep import Outcome, refine
from neml2.system import Layout, NonlinearSystem, ResidualProblem, unknown_layout
from neml2.types import TensorWrapper
from neml2.types.shapes import broadcast_shapes


class ImplicitUpdate(Model):
    r"""Solves :math:`r(u, g) = 0` for the unknowns :math:`u` at the given values :math:`g`.

    The derivative of the solution is :math:`\partial u/\partial g = -(\partial r/\partial u)^{-1}\,
    \partial r/\partial g`, for parameters likewise: one factorisation in a backward pass, whatever the number
    of iterations. Derivatives may be taken twice and more. Inputs are the givens, then what the predictor
    needs; an unknown without a predictor is an input too and is its initial guess (zero or the old value
    when left out).
    """

    equation_system: NonlinearSystem = Dependency(
        "EquationSystems", "The system to solve", needs="unknown_names"
    )
    solver: Any = Dependency("Solvers", "The nonlinear solver", default=Newton(), needs="solve")
    predictor: Model | None = Dependency("Models", "A model of initial guesses", default=None)
    input_sensitivity_solver: Any = Dependency(
        "Solvers", "Linear solver of the sensitivities; a direct one by default", default=None, needs="factor"
    )
    param_sensitivity_solver: Any = Dependency(
        "Solvers", "The same for parameters; both are one solve here", default=None, needs="factor"
    )
    max_substepping_level: int = Option(
        "Increments of failing points are cut into at most 2^level pieces", default=0, within="[0, 20]"
    )
    incremental_variables: list[str] = Option(
        "Givens to interpolate in substeps although the system does not read their old values",
        default=[],
        many=True,
    )

    RETURNS_TUPLE = True

    def __init__(self, equation_system: NonlinearSystem, *, name: str = "", **given: Any) -> None:
        if not isinstance(equation_system, NonlinearSystem):  # one with a state, of neml2.es
            equation_system = getattr(equation_system, "system", equation_system)
        super().__init__(equation_system=equation_system, name=name, **given)
        system = self.equation_system
        self._modules.pop("predictor", None)  # it comes after the residual model
        predictor = given.get("predictor")
        inputs = dict(system.model.input_spec)
        needed = {n for n in inputs if n not in {*system.unknown_names, *system.model.optional_inputs}}
        if predictor is not None:
            self._check_predictor(predictor)
            for unknown in predictor.output_spec:
                del inputs[unknown]
            more = {n: k for n, k in predictor.input_spec.items() if n not in inputs}
            inputs.update(more)
            needed |= {n for n in more if not split(n)[1]} - predictor.optional_inputs  # old values may lack
        for n in self.incremental_variables:
            if n not in system.given_names:
                raise ValueError(
                    f"{self._label()}: incremental variable '{n}' is no given of the system"
                    f"{did_you_mean(n, system.given_names)} (givens: {listing(system.given_names)})"
                )
            inputs.setdefault(f"{n}~1", inputs[n])
            needed.add(f"{n}~1")
        self.input_spec = inputs
        self.output_spec = {u: system.model.input_spec[u] for u in system.unknown_names}
        self.optional_inputs = frozenset(n for n in inputs if n not in needed)
        self.priorities = {}
        child = system.model.name
        free = child.isidentifier() and not hasattr(self, child)
        self.add_module(child if free else "_residual_model", system.model)
        if predictor is not None:
            self.add_module("predictor", predictor)
        self.last_solution: Solution | None = None

    def _check_predictor(self, predictor: Model) -> None:
        unknowns = self.equation_system.model.input_spec
        for n, kind in predictor.output_spec.items():
            if n not in self.equation_system.unknown_names:
                raise ValueError(
                    f"{self._label()}: the predictor computes '{n}', which is no unknown"
                    f"{did_you_mean(n, self.equation_system.unknown_names)}"
                )
            if unknowns[n] is not kind:
                raise ValueError(
                    f"{self._label()}: the predictor computes '{n}' as {kind.__name__}, the unknown is"
                    f" {unknowns[n].__name__}"
                )

    @property
    def last_iterations(self) -> int:
        """Largest number of iterations of the last call, for diagnosis only."""
        return int(self.last_solution.iterations.max()) if self.last_solution is not None else 0

    @property
    def last_status(self) -> Status:
        """Worst status of the last call, for diagnosis only."""
        return Status(int(self.last_solution.status.max()) if self.last_solution is not None else 0)

    # ---------------------------------------------------------------- evaluation

    def evaluate(
        self, values: Mapping[str, TensorWrapper], context: Context = DEFAULT
    ) -> dict[str, TensorWrapper]:
        mine = {n: values[n] for n in self.input_spec if n in values}
        if context.initial:
            return self._initial(mine)
        outputs, solution = self._solve(mine, context)
        if self.max_substepping_level and not solution.succeeded:
            if log.enabled("substep", log.INFO):
                failed = int((~solution.converged).sum())
                log.emit("substep", log.INFO, f"cutting the increment of {failed} points that failed")
            outputs, solution = self._substepped(mine, context, outputs, solution)
        self.last_solution = solution
        if context.solves is not None:
            context.solves.append(solution)
        elif not solution.succeeded:
            remedy = "try max_substepping_level, a line search or a smaller increment"
            raise ConvergenceError(f"{self._label()}: {solution.describe()}; {remedy}", solution)
        return outputs

    def _initial(self, values: Mapping[str, TensorWrapper]) -> dict[str, TensorWrapper]:
        like = next(iter(values.values())).data
        found: dict[str, TensorWrapper] = {}
        for u, kind in self.output_spec.items():
            known = values.get(f"{u}~1", values.get(u))
            found[u] = kind(like.new_full(kind.BASE_SHAPE, torch.nan)) if known is None else known
        return found

    def _guess(self, values: Mapping[str, TensorWrapper], context: Context) -> dict[str, TensorWrapper]:
        like = next(iter(values.values())).data if values else next(iter(self.parameters()))
        guess: dict[str, TensorWrapper] = {}
        predictor = self._modules.get("predictor")
        if isinstance(predictor, Model):
            inputs = dict(values)
            for n, kind in predictor.input_spec.items():
                if n not in inputs:
                    inputs[n] = _unavailable(n, kind, inputs, like)
            with torch.no_grad():
                guess.update(predictor.evaluate(inputs, replace(context, solves=None)))
        for u, kind in self.output_spec.items():
            if u not in guess:
                known = values.get(u, values.get(f"{u}~1"))
                guess[u] = kind(like.new_zeros(kind.BASE_SHAPE)) if known is None else known
        return {u: type(g)._new(g.data.detach(), g.sub_batch_ndim) for u, g in guess.items()}

    def _solve(
        self, values: dict[str, TensorWrapper], context: Context
    ) -> tuple[dict[str, TensorWrapper], Solution]:
        system = self.equation_system
        guess = self._guess(values, context)
        givens = {n: values[n] for n in system.given_names if n in values}
        batch = broadcast_shapes(
            system.model.batch_shape(givens, context), *[g.dynamic_batch_shape for g in guess.values()]
        )
        layout = unknown_layout(system, values, guess)
        inputs = _Inputs.of(system.model, givens, context)
        fixed = inputs.problem(system, layout, batch, inputs.detached())
        start = layout.flatten(guess, batch)
        with torch.no_grad():
            solution = self.solver.solve(fixed, start)
            converged = solution.converged
            settled = [  # a failed point keeps its guess, which is finite
                torch.where(wide(converged, v), v, s) for v, s in zip(solution.value, start, strict=True)
            ]
        if torch.is_grad_enabled() and any(t.requires_grad for t in inputs.tensors):
            adjoint = _Adjoint(system, layout, batch, inputs, converged, self._sensitivity_solver())
            packed = _Implicit.apply(adjoint, joined(settled, layout.groups, batch), *inputs.tensors)
            settled = parted(packed, layout.groups, batch)
        return layout.unflatten(settled, batch), solution

    def _sensitivity_solver(self) -> LinearSolver:
        chosen = self.input_sensitivity_solver or self.param_sensitivity_solver
        if chosen is None:
            chosen = self.solver.linear_solver
            if not getattr(chosen, "DIRECT", False):
                chosen = EverythingDense()
        return chosen

    def _substepped(
        self,
        values: dict[str, TensorWrapper],
        context: Context,
        outputs: dict[str, TensorWrapper],
        solution: Solution,
    ) -> tuple[dict[str, TensorWrapper], Solution]:
        batch = torch.Size(solution.status.shape)

        def advance(piece: Mapping[str, TensorWrapper], which: torch.Tensor) -> Outcome:
            found, part = self._solve(dict(piece), take_parameters(self, context, batch, which))
            return Outcome(found, part.status.expand(which.shape), part.iterations.expand(which.shape))

        whole = Outcome(outputs, solution.status, solution.iterations)
        cut = refine(advance, values, batch, whole, self.max_substepping_level)
        return cut.outputs, replace(solution, status=cut.status, iterations=cut.iterations)


def _unavailable(
    name: str, kind: type[TensorWrapper], values: Mapping[str, TensorWrapper], like: torch.Tensor
) -> TensorWrapper:
    """History that does not exist (yet): the newest older value there is, else zero."""
    base, lag = split(name)
    for newer in range(lag - 1, -1, -1):
        if lagged(base, newer) in values:
            return values[lagged(base, newer)]
    return kind(like.new_zeros(kind.BASE_SHAPE))


# -------------------------------------------------------------------- implicit function theorem


@dataclass(frozen=True)
class _Inputs:
    """Everything a residual depends on besides its unknowns, as one flat list of tensors."""

    model: Model
    names: tuple[str, ...]
    kinds: tuple[tuple[type[TensorWrapper], int], ...]
    parameters: tuple[torch.nn.Parameter, ...]
    tensors: tuple[torch.Tensor, ...]

    @staticmethod
    def of(model: Model, givens: Mapping[str, TensorWrapper], context: Context) -> _Inputs:
        parameters = tuple(model.parameters())
        return _Inputs(
            model,
            tuple(givens),
            tuple((type(v), v.sub_batch_ndim) for v in givens.values()),
            parameters,
            (*(v.data for v in givens.values()), *(context.value_of(p) for p in parameters)),
        )

    def detached(self) -> list[torch.Tensor]:
        return [t.detach() for t in self.tensors]

    def split(self, tensors: Sequence[torch.Tensor]) -> tuple[dict[str, TensorWrapper], Context]:
        """``tensors`` as given values by name, and as a context for the parameters."""
        count = len(self.names)
        givens = {
            n: kind._new(t, sub)
            for n, (kind, sub), t in zip(self.names, self.kinds, tensors[:count], strict=True)
        }
        return givens, Context(parameters=dict(zip(self.parameters, tensors[count:], strict=True)))

    def problem(
        self, system: NonlinearSystem, layout: Layout, batch: torch.Size, tensors: Sequence[torch.Tensor]
    ) -> ResidualProblem:
        givens, context = self.split(tensors)
        return ResidualProblem(system, givens, layout, batch, context)


@dataclass(frozen=True)
class _Adjoint:
    """What the backward pass of a solution needs."""

    system: NonlinearSystem
    layout: Layout
    batch: torch.Size
    inputs: _Inputs
    converged: torch.Tensor
    linear_solver: LinearSolver

    def pull_back(
        self, solution: torch.Tensor, tensors: Sequence[torch.Tensor], cotangent: torch.Tensor
    ) -> list[torch.Tensor | None]:
        r"""Gradients for ``tensors``, :math:`-\lambda^T \partial r/\partial g` with :math:`J^T \lambda = c`.

        The residual is evaluated on aliases of the tensors, so that its partial derivatives are taken at
        fixed unknowns; with a graph to be created the aliases stay connected, and the result can be
        differentiated again.
        """
        again = torch.is_grad_enabled()
        groups = self.layout.groups
        with torch.enable_grad():
            aliases = [_alias(t, again) for t in tensors]
            unknowns = _alias(solution, True) if again else solution.detach()
            problem, unknowns, cotangent = self._solved_points(aliases, unknowns, cotangent)
            leaves = [
                u if again else u.detach().requires_grad_(True)
                for u in parted(unknowns, groups, problem.batch)
            ]
            graph = problem.evaluate(leaves)
            jacobian = problem.linearised(leaves, graph).jacobian(create_graph=again)
        if again:
            packed = _solve(jacobian.dense().transpose(-1, -2), cotangent)
            weights = parted(packed, groups, problem.batch)
        else:
            weights = self._solved_transposed(jacobian, parted(cotangent, groups, problem.batch))
        wanted = [i for i, a in enumerate(aliases) if a.requires_grad]
        found = torch.autograd.grad(
            [g for g in graph if g.requires_grad],
            [aliases[i] for i in wanted],
            [-w for w, g in zip(weights, graph, strict=True) if g.requires_grad],
            create_graph=again,
            allow_unused=True,
        )
        gradients: list[torch.Tensor | None] = [None] * len(tensors)
        for i, g in zip(wanted, found, strict=True):
            gradients[i] = g
        return gradients

    def _solved_transposed(self, jacobian: Matrix, right: Vector) -> Vector:
        """One factorisation; a direct solve is done again for what it has left over.

        Rows of stresses in Pa beside rows of strains can cost the first solve all its digits.
        """
        factor = self._factor(jacobian)
        weights = factor.solve_transposed(right)
        if not getattr(self.linear_solver, "DIRECT", False):
            return weights
        sums = jacobian.transposed().times(weights)
        change = factor.solve_transposed([c - s for c, s in zip(right, sums, strict=True)])
        return [w + d for w, d in zip(weights, change, strict=True)]

    def _factor(self, jacobian: Matrix) -> Factor:
        return self.linear_solver.factor(jacobian)

    def _solved_points(
        self, aliases: Sequence[torch.Tensor], unknowns: torch.Tensor, cotangent: torch.Tensor
    ) -> tuple[ResidualProblem, torch.Tensor, torch.Tensor]:
        """The problem restricted to the points that converged: the others have no derivative."""
        if bool(self.converged.all()):
            return self.inputs.problem(self.system, self.layout, self.batch, aliases), unknowns, cotangent
        index = self.converged.flatten().nonzero().squeeze(-1)
        givens, context = self.inputs.split(aliases)
        context = take_parameters(self.system.model, context, self.batch, index)
        givens = {n: take(v, self.batch, index) for n, v in givens.items()}
        few = torch.Size(index.shape)
        problem = ResidualProblem(self.system, givens, self.layout, few, context)
        rank = len(self.batch)
        return (
            problem,
            take_data(unknowns, rank, self.batch, index) if rank else unknowns.expand(0, -1),
            take_data(cotangent, rank, self.batch, index) if rank else cotangent.expand(0, -1),
        )


class _Implicit(torch.autograd.Function):
    """The identity of the solved unknowns, with the gradients of the implicit function theorem."""

    @staticmethod
    def forward(ctx, adjoint: _Adjoint, solution: torch.Tensor, *tensors: torch.Tensor) -> torch.Tensor:
        ctx.adjoint = adjoint
        result = solution.clone()
        ctx.save_for_backward(result, *tensors)
        return result

    @staticmethod
    def backward(ctx, cotangent: torch.Tensor):
        solution, *tensors = ctx.saved_tensors
        needed = [
            t if wanted else t.detach() for t, wanted in zip(tensors, ctx.needs_input_grad[2:], strict=True)
        ]
        return None, None, *ctx.adjoint.pull_back(solution, needed, cotangent)


class _Solve(torch.autograd.Function):
    """``x`` of ``A x = b``, differentiable any number of times."""

    @staticmethod
    def forward(ctx, matrix: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        x = lu(matrix).solve(b)
        ctx.save_for_backward(matrix, x)
        return x

    @staticmethod
    def backward(ctx, cotangent: torch.Tensor):
        matrix, x = ctx.saved_tensors
        y = _solve(matrix.transpose(-1, -2), cotangent)
        return -y.unsqueeze(-1) * x.unsqueeze(-2), y


def _solve(matrix: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return _Solve.apply(matrix, b)


def _alias(t: torch.Tensor, connected: bool) -> torch.Tensor:
    if not t.requires_grad:
        return t
    return t.view_as(t) if connected else t.detach().requires_grad_(True)
