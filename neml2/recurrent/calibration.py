"""`calibrate`: the parameters with which a model comes closest to measurements."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from neml2.drivers.transient import TransientDriver
from neml2.errors import ConvergenceError
from neml2.model import Model
from neml2.recurrent.checks import GradientError
from neml2.recurrent.course import Course, Progress
from neml2.recurrent.experiment import Experiment
from neml2.recurrent.fit_result import FitResult
from neml2.recurrent.misfit import Failed, Misfit
from neml2.recurrent.uncertainty import uncertainty
from neml2.registry import did_you_mean, listing

_OWN = ("least_squares", "lbfgs")
_FAR = 10.0  # times the largest loss so far is that of parameters with which the model cannot be evaluated
_NOTHING = 1e-12  # of the measurements: a change that is round-off

Stop = tuple[bool, str]  # whether it has converged, and why it ended


def calibrate(
    model: Model | TransientDriver,
    experiments: Experiment | Iterable[Experiment],
    parameters: Mapping[str, Any] | Iterable[str],
    *,
    method: str = "least_squares",
    starts: int = 1,
    seed: int = 0,
    tolerance: float = 1e-8,
    max_evaluations: int = 200,
    progress: Progress = None,
    **options: Any,
) -> FitResult:
    r"""Fit parameters of a model to measurements.

    The loss is half the sum of the squares of :math:`\sqrt{w}\,(y - \hat y) / \sigma`; without standard
    deviations every response is divided by its root mean square over all tests.

    model
        A model, or a driver for its options (engine, ``on_failure="substep"``, the names of stress and
        strain). It is copied and keeps its parameters; the fitted model is ``result.model``.
    parameters
        What may change, by name: ``(lower, upper)``, a number to start from, :class:`Free`, or
        :class:`Prior`. A name is the path of a parameter, the end of one (``"flow_rate.eta"``), or block and
        option (``"flow_rate.reference_stress"``). Positive ones whose bounds are a decade or more apart are
        fitted by their logarithms.
    method
        ``"least_squares"``, a trust region with exact sensitivities (Branch, Coleman and Li, *SIAM J. Sci.
        Comput.* 21, 1999, in scipy); ``"lbfgs"``, L-BFGS-B with the discrete adjoint; or the name of an
        optimiser of ``torch.optim``, such as ``"Adam"``, on parameters that their bounds scale to 0 ... 1.
    starts, seed
        From how many places to start: that of ``parameters``, then a scrambled Sobol sequence between the
        bounds. The best fit is returned.
    tolerance
        By what part the loss changes at the end; ``max_evaluations`` of a start stop it earlier.
    progress
        ``True`` for a line per evaluation on stderr, or a function of an :class:`Evaluation`.
    options
        Those of the optimiser, such as ``lr`` of ``torch.optim``.

    Parameters with which the model stops or is not finite are told and not taken. Raises
    :class:`~neml2.ConvergenceError`, with test and row, when that is so at the start; :class:`GradientError`
    when the loss depends on no parameter, or has no derivative; :class:`ValueError`, with the nearest
    spelling, for names, bounds and methods.
    """
    search = _searcher(method, options)
    misfit = Misfit(model, experiments, parameters)
    course = Course(misfit.space, progress)
    ended: list[tuple[float, np.ndarray, Stop, int]] = []
    for number, u in enumerate(misfit.space.starts(starts, seed)):
        course.begin(number)
        try:
            _expect_start(misfit, course, u)
        except ConvergenceError:
            if number == 0:
                raise
            continue
        stop = search(misfit, course, u, tolerance, max_evaluations)
        best, loss = course.best(number)
        ended.append((loss, best, stop, number))
    loss, u, stop, number = min(ended, key=lambda e: e[0])
    residuals, jacobian = misfit.residuals(u), misfit.jacobian(u)
    known = uncertainty(misfit.space, u, residuals, jacobian, misfit.weights(), misfit.absolute)
    return FitResult(
        misfit=misfit,
        u=u,
        loss=0.5 * float(residuals @ residuals),
        converged=stop[0],
        message=stop[1],
        method=method,
        start=number,
        history=tuple(course.evaluations),
        uncertainty=known,
        residuals=residuals,
        jacobian=jacobian,
    )


def _searcher(method: str, options: Mapping[str, Any]) -> Callable[..., Stop]:
    optimisers = [n for n, v in vars(torch.optim).items() if inspect.isclass(v) and n != "Optimizer"]
    known = [*_OWN, *optimisers]
    if method not in known:
        raise ValueError(
            f"method is '{method}'{did_you_mean(method, known)}; give one of {listing(known, 30)}"
        )
    if method == "least_squares":
        return lambda *args: _least_squares(*args, **options)
    if method == "lbfgs":
        return lambda *args: _lbfgs(*args, **options)
    kind = getattr(torch.optim, method)
    return lambda *args: _by_torch(kind, options, *args)


def _expect_start(misfit: Misfit, course: Course, u: np.ndarray) -> None:
    """The model can be evaluated at ``u``, and something depends on the parameters there."""
    try:
        residuals = misfit.residuals(u)
    except Failed as reason:
        course.failed(u, str(reason))
        raise ConvergenceError(
            f"the model cannot be evaluated where the fit starts ({_values(misfit, u)}): {reason};"
            " start from other values, or give a TransientDriver(model, on_failure='substep')"
        ) from None
    course.took(u, 0.5 * float(residuals @ residuals))
    slopes = np.linalg.norm(misfit.jacobian(u), axis=0)
    if (slopes <= _NOTHING * misfit.size()).all():
        raise GradientError(
            f"nothing that was measured depends on {listing(misfit.space.labels)} at the start"
            f" ({_values(misfit, u)}), so the gradient is zero; start from values with which they matter, or"
            " fit other parameters"
        )


def _least_squares(
    misfit: Misfit, course: Course, u: np.ndarray, tolerance: float, most: int, **options: Any
) -> Stop:
    from scipy.optimize import least_squares

    size = len(misfit.weights())

    def residuals(at: np.ndarray) -> np.ndarray:
        try:
            found = misfit.residuals(at)
        except Failed as reason:
            course.failed(at, str(reason))
            return np.full(size, np.inf)  # scipy takes a shorter step then
        course.took(at, 0.5 * float(found @ found))
        return found

    settings = {
        "ftol": tolerance,
        "xtol": tolerance,
        "gtol": max(1e-2 * tolerance, 1e-15),
        "max_nfev": most,
        "x_scale": "jac",
    }
    done = least_squares(
        residuals,
        u,
        jac=misfit.jacobian,
        bounds=(misfit.space.lower, misfit.space.upper),
        **{**settings, **options},
    )
    return done.status > 0, done.message


def _lbfgs(
    misfit: Misfit, course: Course, u: np.ndarray, tolerance: float, most: int, **options: Any
) -> Stop:
    from scipy.optimize import minimize

    unit, highest = 0.0, 0.0

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal unit, highest
        try:
            found, slope = misfit.loss_and_gradient(at)
        except Failed as reason:
            course.failed(at, str(reason))
            return _FAR * highest, np.zeros_like(at)  # the line search goes back from there
        course.took(at, found)
        unit = unit or found or 1.0
        highest = max(highest, found / unit)
        return found / unit, slope / unit

    bounds = list(zip(misfit.space.lower, misfit.space.upper))
    settings = {
        "ftol": tolerance,
        "gtol": max(1e-2 * tolerance, 1e-15),
        "maxfun": most,
        "maxiter": most,
        **options,
    }
    done = minimize(loss, u, jac=True, bounds=bounds, method="L-BFGS-B", options=settings)
    return bool(done.success), str(done.message)


def _by_torch(
    kind: type[torch.optim.Optimizer],
    options: Mapping[str, Any],
    misfit: Misfit,
    course: Course,
    u: np.ndarray,
    tolerance: float,
    most: int,
) -> Stop:
    """An optimiser of torch; after a failure it goes on from the best point with half the learning rate."""
    low, high = torch.from_numpy(misfit.space.lower), torch.from_numpy(misfit.space.upper)
    at = torch.nn.Parameter(torch.from_numpy(u.copy()))
    optimiser = kind([at], **{"lr": 0.02, **options})
    losses: list[float] = []
    count = 0

    def closure() -> float:
        nonlocal count
        count += 1
        with torch.no_grad():
            at.clamp_(low, high)
        found, slope = misfit.loss_and_gradient(at.detach().numpy())
        course.took(at.detach().numpy(), found)
        losses.append(found)
        at.grad = torch.from_numpy(slope)
        return found

    while count < most:
        try:
            optimiser.step(closure)
        except Failed as reason:
            course.failed(at.detach().numpy(), str(reason))
            with torch.no_grad():
                at.copy_(torch.from_numpy(course.best()[0]))
            for group in optimiser.param_groups:
                group["lr"] = group["lr"] / 2
        window = losses[-20:]
        if len(window) == 20 and max(window) - min(window) <= tolerance * max(window):
            return True, "the loss has not changed for 20 evaluations"
    return False, f"{most} evaluations are used up"


def _values(misfit: Misfit, u: np.ndarray) -> str:
    return listing(f"{n} = {x:.6g}" for n, x in misfit.space.named(u).items())
