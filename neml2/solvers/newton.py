"""Newton's method for many points at once, each of which converges, fails and stops on its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from neml2 import log
from neml2.fields import Dependency, Option, setting
from neml2.registry import register
from neml2.solvers.blocks import Factor, LinearSolver, Matrix, Problem, Vector, squared_norm, wide
from neml2.solvers.direct import DenseLU
from neml2.solvers.status import Solution, Status
from neml2.values import check_settings

Globalise = Callable[[Problem, Vector, Vector, torch.Tensor, torch.Tensor], Vector]


@dataclass(frozen=True)
class _Tolerances:
    """The settings that every Newton method has."""

    SECTION: ClassVar[str] = "Solvers"

    linear_solver: LinearSolver = setting(
        Dependency("Solvers", "Solver of the linear systems", default=DenseLU(), needs="factor")
    )
    abs_tol: float = setting(
        Option("Norm of the residual below which a point has converged", default=1e-10, within="[0, 1e6]")
    )
    rel_tol: float = setting(
        Option("Norm relative to that of the first residual", default=1e-8, within="[0, 1)")
    )
    max_its: int = setting(Option("Largest number of steps", default=25, within="[1, 100000]"))
    substep_del_tol: float = setting(
        Option("Accepted for NEML2 files; substeps use the same test", default=1e-6, within="[0, 1)")
    )

    def __post_init__(self) -> None:
        check_settings(self)


@register
@dataclass(frozen=True)
class Newton(_Tolerances):
    r"""Newton's method with full steps.

    A point has converged when :math:`|r| <` ``abs_tol``. A point with :math:`|r| <` ``rel_tol``
    :math:`|r_0|` has converged once a further step no longer halves its residual: the residual at the guess
    says nothing about the size of the error, and the answer would depend on the guess otherwise.

    A residual that is no longer halved is also accepted at the level of round-off, where every
    :math:`|r_i| \le 16 \epsilon\, (|J|\,|u|)_i` (the componentwise backward error; Oettli and Prager, 1964).
    That is how single precision, and stresses counted in Pa, converge with the tolerances above.

    Converged points are frozen, so that a point's answer does not depend on its neighbours.
    """

    def solve(self, problem: Any, guess: Vector | None = None) -> Any:
        """Solve a :class:`~neml2.solvers.blocks.Problem` from ``guess`` and return a :class:`Solution`.

        Failure is a status of the solution, not an exception. A stateful system
        (:class:`~neml2.es.ModelNonlinearSystem`) knows its guess itself and says what is returned.
        """
        if guess is None:
            return problem.solved_by(self)
        return _newton(problem, guess, self, lambda _p, u, du, _n, _a: _plus(u, du, 1.0))


@register
@dataclass(frozen=True)
class NewtonWithLineSearch(_Tolerances):
    r"""Newton's method whose step is cut back until the residual has decreased enough.

    With :math:`g(\alpha) = |r(u + \alpha\,\Delta u)|^2`, a step is accepted when

    .. math:: g(\alpha) \le (1 - 2 c \alpha)\, g(0)

    (BACKTRACKING: Armijo's rule with the exact slope) or :math:`g(\alpha) \le (1 - c \alpha)\, g(0)`
    (STRONG_WOLFE), or when it meets ``abs_tol``. Nocedal and Wright, Numerical Optimization, sections 3.1 and
    11.2. When no trial is accepted the last one is used.
    """

    linesearch_type: str = setting(
        Option("Rule of acceptance", default="BACKTRACKING", choices=("BACKTRACKING", "STRONG_WOLFE"))
    )
    max_linesearch_iterations: int = setting(
        Option("Largest number of trials, less one", default=10, within="[1, 1000]")
    )
    linesearch_cutback: float = setting(
        Option("Factor by which a rejected step is divided", default=2.0, within="(1, inf)")
    )
    linesearch_stopping_criteria: float = setting(
        Option("The constant c of the rule", default=1e-3, within="[0, 1)")
    )
    check_negative_criterion: bool = setting(
        Option("Accepted for NEML2 files; the exact slope is never positive", default=False)
    )

    def solve(self, problem: Any, guess: Vector | None = None) -> Any:
        """As :meth:`Newton.solve`."""
        if guess is None:
            return problem.solved_by(self)
        return _newton(problem, guess, self, self._search)

    def _search(
        self, problem: Problem, u: Vector, du: Vector, norm: torch.Tensor, active: torch.Tensor
    ) -> Vector:
        slope = 2.0 if self.linesearch_type == "BACKTRACKING" else 1.0
        step = torch.ones_like(norm)
        trial = _plus(u, du, 1.0)
        for k in range(1, self.max_linesearch_iterations):
            square = squared_norm(problem.residual(trial), problem.batch)
            enough = (1 - slope * self.linesearch_stopping_criteria * step) * norm * norm
            accepted = (square <= enough) | (square <= self.abs_tol**2) | ~active
            if log.enabled("newton", log.DEBUG):
                log.emit(
                    "newton",
                    log.DEBUG,
                    f"  LS ITERATION {k:3d}, min(alpha) = {float(step.min()):.6e},"
                    f" max(||R||) = {float(square.max().sqrt()):.6e},"
                    f" min(||Rc||) = {float(enough.min().sqrt()):.6e}",
                )
            if bool(accepted.all()):
                break
            step = torch.where(accepted, step, step / self.linesearch_cutback)
            trial = _plus(u, du, step)
        return trial


def _newton(
    problem: Problem, guess: Vector, settings: Newton | NewtonWithLineSearch, globalise: Globalise
) -> Solution:
    batch = problem.batch
    u = [v.expand((*batch, *v.shape[len(batch) :])) for v in guess]
    here = problem.linearise(u)
    norm = squared_norm(here.residual, batch).sqrt()  # (*batch)
    first = norm
    iterations = torch.zeros(batch, dtype=torch.int32, device=norm.device)
    failed = ~norm.isfinite()
    small = norm < settings.abs_tol
    singular, settled, relative = (torch.zeros_like(small) for _ in range(3))
    active = ~(failed | small)
    stalled = torch.zeros_like(small)
    last = norm
    factor: Factor | None = None
    _say("---- begin newton solve ----")
    _trace(0, norm, first)
    for iteration in range(1, settings.max_its + 1):
        if not bool(active.any()):
            break
        jacobian = here.jacobian()
        if bool(stalled.any()):
            settled = settled | (stalled & _at_round_off(jacobian, u, here.residual))
            active = active & ~settled
        factor = settings.linear_solver.factor(jacobian, factor)
        singular = singular | (active & factor.singular)
        step = factor.solve([torch.where(wide(active, r), -r, 0.0) for r in here.residual])
        step = [torch.where(wide(active, s), s, 0.0) for s in step]  # frozen points do not move
        u = [
            torch.where(wide(active, old), new, old)
            for old, new in zip(u, globalise(problem, u, step, norm, active), strict=True)
        ]
        here = problem.linearise(u)
        last, norm = norm, torch.where(active, squared_norm(here.residual, batch).sqrt(), norm)
        iterations = iterations + active
        failed = failed | (active & ~norm.isfinite())
        small = norm < settings.abs_tol
        before, relative = relative, norm < settings.rel_tol * first
        stalled = active & (norm >= _STALLED * last)
        settled = settled | (stalled & before & relative)
        active = active & ~(failed | small | settled)
        stalled = stalled & active
        _trace(iteration, norm, first)
    in_time = active & relative & (norm <= _QUADRATIC * last)  # out of steps, but nearly there
    converged = ~failed & (small | settled | in_time)
    _conclude(converged, failed, small, relative, iterations, norm, first)
    status = torch.full(batch, Status.MAX_ITERATIONS, dtype=torch.int8, device=norm.device)
    status = torch.where(failed, int(Status.NOT_FINITE), status)
    status = torch.where(singular & ~converged, int(Status.SINGULAR), status)
    status = torch.where(converged, int(Status.CONVERGED), status)
    return Solution(
        u,
        status.to(torch.int8),
        iterations,
        norm,
        first,
        problem.worst(here.residual),
        problem.residual_names,
    )


_STALLED = 0.5  # far from a solution Newton reduces a residual by more than this, and near one by much more
_QUADRATIC = 1e-2


def _at_round_off(jacobian: Matrix, u: Vector, residual: Vector) -> torch.Tensor:
    """Which points have a residual that is nothing but round-off, ``(*batch)``."""
    terms = jacobian.absolute().times([v.abs() for v in u])
    eps = 16 * torch.finfo(u[0].dtype).eps
    small = [
        (r.abs() <= eps * t).flatten(len(jacobian.batch)).all(-1)
        for r, t in zip(residual, terms, strict=True)
    ]
    return torch.stack(small).all(0)


def _say(message: str, level: int = log.INFO) -> None:
    log.emit("newton", level, message)


def _trace(iteration: int, norm: torch.Tensor, first: torch.Tensor) -> None:
    if log.enabled("newton", log.DEBUG):
        sizes = f"|R| = {float(norm.max()):.6e}, |R0| = {float(first.max()):.6e}"
        _say(f"ITERATION {iteration:3d}, {sizes}", log.DEBUG)


def _conclude(
    converged: torch.Tensor,
    failed: torch.Tensor,
    small: torch.Tensor,
    relative: torch.Tensor,
    iterations: torch.Tensor,
    norm: torch.Tensor,
    first: torch.Tensor,
) -> None:
    """Say how the solve ended, if anybody listens."""
    if not log.enabled("newton", log.INFO):
        return
    last = int(iterations.max()) if iterations.numel() else 0
    if bool(converged.all()):
        absolutely, relatively = bool(small.all()), bool(relative.all())
        reason = "both" if absolutely and relatively else "abs_tol" if absolutely else "rel_tol"
        reason = reason if absolutely or relatively else "mixed"
        where = f"(iters={last}, reason={reason})"
        _say(f"converged {where}" if last else f"converged at predictor {where}")
    elif bool(failed.any()):
        _say(f"diverged at iter {last} (non-finite residual)")
    else:
        sizes = f"|R|={float(norm.max()):.6e}, |R0|={float(first.max()):.6e}"
        _say(f"NOT converged (max_iters={last}, {sizes})")
    _say("---- end newton solve ----")


def _plus(u: Vector, du: Vector, step: torch.Tensor | float) -> Vector:
    if isinstance(step, float):
        return [a + b for a, b in zip(u, du, strict=True)]
    return [a + wide(step, b) * b for a, b in zip(u, du, strict=True)]
