"""`FitResult`: fitted parameters, how well they are known, and what the model makes of the tests."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from neml2.drivers.trajectory import Trajectory
from neml2.model import Model
from neml2.recurrent.course import Evaluation, told
from neml2.recurrent.misfit import Misfit
from neml2.recurrent.uncertainty import Uncertainty, quantile
from neml2.registry import did_you_mean, listing

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

Path = str | os.PathLike[str]


@dataclass(frozen=True, eq=False, repr=False)
class FitResult:
    """The end of a fit; ``result["flow_rate.eta"]`` is a fitted value.

    u
        The coordinates of the fit, ``(p,)``.
    residuals, jacobian
        Those at ``u``, ``(m,)`` and ``(m, p)``.
    loss
        Half the sum of the squares of the residuals.
    converged, message
        Whether the optimiser ended by its tolerances, and what it said.
    start
        Which of the starts has led here.
    history
        Every evaluation of the loss, in order.
    uncertainty
        Covariance, correlation, and warnings about parameters that the tests do not determine.
    """

    misfit: Misfit
    u: np.ndarray
    loss: float
    converged: bool
    message: str
    method: str
    start: int
    history: tuple[Evaluation, ...]
    uncertainty: Uncertainty
    residuals: np.ndarray
    jacobian: np.ndarray

    @property
    def names(self) -> list[str]:
        """What was fitted, as the user called it; ``name[i]`` where a parameter has several entries."""
        return self.misfit.space.labels

    @property
    def values(self) -> dict[str, float]:
        """The fitted values by name."""
        return self.misfit.space.named(self.u)

    def __getitem__(self, name: str) -> float:
        if name not in self.values:
            raise KeyError(f"'{name}' was not fitted{did_you_mean(name, self.names)} ({listing(self.names)})")
        return self.values[name]

    @property
    def errors(self) -> dict[str, float]:
        """The standard errors by name; infinite where nothing determines a value, zero at bounds."""
        return dict(zip(self.names, self.uncertainty.errors.tolist()))

    @property
    def covariance(self) -> np.ndarray:
        """The covariance of the values, ``(p, p)``."""
        return self.uncertainty.covariance

    @property
    def correlation(self) -> np.ndarray:
        """The correlation of the values (of their logarithms where these were fitted), ``(p, p)``."""
        return self.uncertainty.correlation

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before the values are used, a sentence each."""
        ended = () if self.converged else (f"the fit has not converged: {self.message}",)
        return (*ended, *self.uncertainty.warnings, *told(self.history, self.start))

    def intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Confidence intervals by name, linearised at the fit, by Student's distribution.

        Those of parameters that are fitted by their logarithms are symmetric in the logarithm.
        """
        if not 0 < level < 1:
            raise ValueError(f"level is {level:g}; give a probability between 0 and 1")
        known, space = self.uncertainty, self.misfit.space
        half = quantile(level, known.freedom) * np.sqrt(np.diag(known.scaled))
        low, high = (space.unbounded(self.u + sign * half) for sign in (-1, 1))
        return dict(zip(self.names, zip(low.tolist(), high.tolist())))

    @cached_property
    def model(self) -> Model:
        """A copy of the model with the fitted values."""
        return copy.deepcopy(self.misfit.at(self.u).model).requires_grad_(True)

    @cached_property
    def predictions(self) -> dict[str, Trajectory]:
        """What the fitted model makes of every test, by its name or number."""
        return self.misfit.trajectories(self.u)

    # ------------------------------------------------------------------ looks and files

    def summary(self, level: float = 0.95) -> str:
        """One screen: the values with their intervals, the loss, and warnings."""
        from neml2.recurrent.fit_looks import summary

        return summary(self, level)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        values = listing(f"{n} = {x:.6g}" for n, x in self.values.items())
        return f"FitResult({values}; loss {self.loss:.4g}, {len(self.history)} evaluations)"

    def _repr_html_(self) -> str:
        from neml2.recurrent.fit_looks import html

        return html(self)

    def plot(self, path: Path | None = None, x: str | None = None) -> Figure:
        """Measurements and the fitted model, a panel for every response; saved to ``path`` if that is given.

        ``x`` is what they are drawn over: by default the prescribed component of strain, or else the time.
        """
        from neml2.recurrent.fit_plot import plot

        return plot(self, path, x)

    def to_xarray(self) -> xarray.Dataset:
        """Values, errors, intervals, covariance, the course of the loss, measured and predicted points."""
        from neml2.recurrent.fit_looks import to_xarray

        return to_xarray(self)

    def to_input(self, source: Path, path: Path | None = None) -> str:
        """The text of an input file with the fitted values in place of its own, and nothing else changed.

        ``source`` is the file that the model is from, or its text; ``path`` is where to write the result.
        Raises :class:`ValueError` for values that are not plain numbers in that text.
        """
        from neml2.recurrent.written_back import to_input

        return to_input(self, source, path)

    def __getstate__(self) -> dict[str, Any]:
        return {n: v for n, v in vars(self).items() if n not in ("model", "predictions")}
