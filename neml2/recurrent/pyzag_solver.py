"""Solving histories with pyzag's chunks and Newton methods, and exact gradients of what was solved."""
# mypy: disable-error-code="import-untyped,import-not-found"

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pyzag.chunktime import BidiagonalThomasFactorization, ChunkNewtonRaphsonLineSearch
from pyzag.nonlinear import PreviousStepsPredictor, StepGenerator
from torch.autograd.function import once_differentiable

from neml2.recurrent.pyzag_adjoint import Solved, gradients
from neml2.recurrent.pyzag_model import PyzagModel

BLOCK = 20  # times in a chunk: the fastest for ten unknowns and fifty specimens


class HistorySolver(torch.nn.Module):
    """pyzag's ``RecursiveNonlinearEquationSolver`` for a :class:`PyzagModel`, with a stricter contract.

    Constructor arguments, ``solve``, :func:`solve` and :func:`solve_adjoint` are those of pyzag; defaults are
    made anew for each solver: blocks of 20 times, the solution of the block before as the guess, a line
    search. A chunk that did not converge raises :class:`~neml2.errors.ConvergenceError` with step, specimen
    and variable.
    """

    def __init__(
        self,
        func: PyzagModel,
        step_generator: StepGenerator | None = None,
        predictor: Any = None,
        direct_solve_operator: Callable = BidiagonalThomasFactorization,
        nonlinear_solver: Any = None,
        callbacks: Sequence[Callable[[torch.Tensor], torch.Tensor]] | None = None,
    ) -> None:
        """Raises :class:`TypeError` when ``func`` is no :class:`PyzagModel`."""
        super().__init__()
        if not isinstance(func, PyzagModel):
            raise TypeError(
                f"HistorySolver solves a PyzagModel, not a {type(func).__name__}; use pyzag's solver"
            )
        self.func = func
        self.step_generator = step_generator or StepGenerator(BLOCK)
        self.predictor = predictor or PreviousStepsPredictor()
        self.direct_solve_operator = direct_solve_operator
        self.nonlinear_solver = nonlinear_solver or ChunkNewtonRaphsonLineSearch(rtol=1e-8, atol=1e-10)
        self.callbacks = callbacks
        self._kept: list[_Kept] = []

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As :meth:`solve`."""
        return self.solve(*args, **kwargs)

    def solve(
        self,
        y0: torch.Tensor,
        n: int,
        *forces: torch.Tensor,
        adjoint_params: Sequence[torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """States ``(n, batch, ns)`` from the first one, ``(batch, ns)``, under forces ``(n, batch, nf_i)``.

        ``adjoint_params`` is for ``pyzag.nonlinear.solve_adjoint``: the history is kept for :meth:`rewind`.
        Raises :class:`ValueError` for shapes and numbers that are not finite, and
        :class:`~neml2.errors.ConvergenceError`.
        """
        result, chunks = march(self, y0, n, forces, for_adjoint=adjoint_params is not None)
        if adjoint_params is not None:
            solved = Solved(
                self.func,
                self.direct_solve_operator,
                chunks,
                result.detach().clone(),
                [f.detach().clone() for f in forces],
                {k: v.detach() for k, v in self.func.natural().items()},
            )
            self._kept = [k for k in self._kept if not k.used] + [_Kept(solved, adjoint_params)]
        return result

    def rewind(self, output_grad: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """What ``pyzag.nonlinear.solve_adjoint`` asks for: gradients, and what it subtracts for ``y0``.

        Raises :class:`RuntimeError` when two histories were solved since the last call: which of them is
        meant cannot be known here.
        """
        if len(self._kept) > 1:
            raise RuntimeError(
                f"{len(self._kept)} histories were solved by this solver before a backward pass, and pyzag's"
                f" solve_adjoint cannot tell them apart; use neml2.pyzag.solve_adjoint, or a solver for each"
            )
        kept = self._kept[0]
        kept.used = True
        found = gradients(kept.solved, output_grad, list(kept.solved.parameters))
        with torch.enable_grad():
            natural = {n: t for n, t in self.func.natural().items() if t.requires_grad}
        got: Sequence[torch.Tensor | None] = [None] * len(kept.wanted)
        if natural and kept.wanted:
            weights = [found.parameters[n] for n in natural]
            got = torch.autograd.grad(list(natural.values()), list(kept.wanted), weights, allow_unused=True)
        full = [torch.zeros_like(p) if g is None else g for p, g in zip(kept.wanted, got, strict=True)]
        return tuple(full), output_grad[0] - found.initial


@dataclass
class _Kept:
    """A history for :meth:`HistorySolver.rewind`, with the tensors whose gradients pyzag wants."""

    solved: Solved
    wanted: Sequence[torch.Tensor]
    used: bool = False


def march(
    solver: Any, y0: torch.Tensor, n: int, forces: Sequence[torch.Tensor], for_adjoint: bool = False
) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """The history that ``solver``, ours or pyzag's, computes, and its chunks."""
    model = _model(solver)
    for f in forces:
        if f.shape[:-1] != (n, *y0.shape[:-1]):
            raise ValueError(
                f"a force has the shape {tuple(f.shape)}, but {n} times of {tuple(y0.shape[:-1])} specimens"
                f" need ({n}, {', '.join(map(str, y0.shape[:-1]))}, ...); expand it"
            )
    if n < 2:
        raise ValueError(f"a history of {n} time has nothing to solve; give the initial time and one more")
    result = torch.empty(n, *y0.shape, dtype=y0.dtype, device=y0.device)
    result[0] = y0
    chunks = list(solver.step_generator(n))
    for k1, k2 in chunks:
        before, guess = result[k1 - 1 : k1].clone(), solver.predictor.predict(result, k1, k2 - k1).clone()
        chunk = model.start(before, [f[k1 - 1 : k2] for f in forces], solver.direct_solve_operator, k1)
        solver.nonlinear_solver.solve(chunk, model.wrapper.wrap_vector(guess))
        model.chunk = None
        result[k1:k2] = chunk.finish(solver.nonlinear_solver)
        for change in solver.callbacks or ():
            changed = change(result[k1:k2])
            if for_adjoint and not torch.equal(changed, result[k1:k2]):
                raise ValueError(
                    "a callback has changed the solution, and a gradient would be that of the unchanged one;"
                    " use solve(), or callbacks that return what they get"
                )
            result[k1:k2] = changed
    return result, chunks


def solve(solver: Any, y0: torch.Tensor, n: int, *forces: torch.Tensor) -> torch.Tensor:
    """The history ``(n, batch, ns)`` that ``solver``, ours or pyzag's, finds; failures raise.

    It can be differentiated through the iterations, as pyzag's; prefer :func:`solve_adjoint`.
    """
    return march(solver, y0, n, forces)[0]


def solve_adjoint(solver: Any, y0: torch.Tensor, n: int, *forces: torch.Tensor) -> torch.Tensor:
    """The same, with gradients of parameters, initial state and forces by the adjoint method.

    What the backward pass needs is kept with the result: several histories may be solved before it, with
    one solver. It raises :class:`~neml2.recurrent.checks.GradientError` for a gradient that is not finite,
    and when all gradients are zero although the loss depends on the history.
    """
    natural = _model(solver).natural()
    return _Adjoint.apply(solver, n, tuple(natural), len(forces), y0, *forces, *natural.values())


def _model(solver: Any) -> PyzagModel:
    model = solver.func
    if not isinstance(model, PyzagModel):
        raise TypeError(
            f"the solver is for a {type(model).__name__}, not a PyzagModel; use pyzag's own functions"
        )
    return model


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx, solver, n, names, count, y0, *tensors):
        forces, parameters = tensors[:count], tensors[count:]
        result, chunks = march(solver, y0, n, forces, for_adjoint=True)
        ctx.model, ctx.operator, ctx.chunks = solver.func, solver.direct_solve_operator, chunks
        ctx.names, ctx.count = names, count
        ctx.save_for_backward(result, *forces, *parameters)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        result, *tensors = ctx.saved_tensors
        forces, parameters = tensors[: ctx.count], dict(zip(ctx.names, tensors[ctx.count :], strict=True))
        needs = ctx.needs_input_grad
        solved = Solved(ctx.model, ctx.operator, ctx.chunks, result, forces, parameters)
        wanted = [n for n, need in zip(ctx.names, needs[5 + ctx.count :], strict=True) if need]
        by_forces = any(needs[5 : 5 + ctx.count])
        found = gradients(solved, grad, wanted, by_forces)
        found.expect_some(grad)
        return (
            *(None,) * 4,
            found.initial if needs[4] else None,
            *(g if need else None for g, need in zip(found.by_force(), needs[5:], strict=False)),
            *(found.parameters.get(n) for n in ctx.names),
        )
