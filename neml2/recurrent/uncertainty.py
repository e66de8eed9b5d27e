"""How well measurements determine parameters: covariance, correlation, and what they cannot tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neml2.recurrent.transforms import Space
from neml2.registry import listing

_SINGULAR = (
    1e-7  # of the largest singular value, columns scaled to one: below it is what derivatives cannot tell
)
_AT_BOUND = 1e-6  # of the distance between the bounds
_SHARE = 0.3  # of a parameter in a direction, from which on it is named
_CLOSE = 0.98  # a correlation that is told


@dataclass(frozen=True, eq=False)
class Uncertainty:
    r"""The covariance of fitted parameters, linearised at the fit.

    With the Jacobian :math:`J` of the weighted residuals, the weights :math:`W`, and :math:`s^2` the variance
    of a residual of weight one,

    .. math:: C = s^2 (J^T J)^{-1} (J^T W J) (J^T J)^{-1}

    which is :math:`s^2 (J^T J)^{-1}` where all weights are one. (Seber and Wild, *Nonlinear Regression*,
    1989, sections 2.1 and 2.8.)

    covariance
        ``(p, p)``, of the parameters in their own units; infinite where nothing determines them, zero where a
        parameter stays at its bound.
    scaled
        The same in the coordinates of the fit: of logarithms where these are fitted.
    variance
        :math:`s^2`: one where standard deviations were given.
    freedom
        Measured values less fitted parameters.
    warnings
        Sentences that name parameters which the measurements do not determine.
    """

    covariance: np.ndarray
    scaled: np.ndarray
    variance: float
    freedom: int
    warnings: tuple[str, ...]

    @property
    def errors(self) -> np.ndarray:
        """The standard errors of the parameters, ``(p,)``."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> np.ndarray:
        """The correlation of the coordinates of the fit, ``(p, p)``; NaN where there is none."""
        sizes = np.sqrt(np.diag(self.scaled))
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.scaled / np.outer(sizes, sizes)


def uncertainty(
    space: Space,
    u: np.ndarray,
    residuals: np.ndarray,
    jacobian: np.ndarray,
    weights: np.ndarray,
    absolute: bool,
) -> Uncertainty:
    """The uncertainty of a fit that ended at ``u``.

    ``residuals`` ``(m,)`` and ``jacobian`` ``(m, p)`` are those of the fit's coordinates, ``weights``
    ``(m,)`` the weights of squares; ``absolute`` says that standard deviations were given.
    """
    labels, p = space.labels, len(space)
    slopes = space.slopes(u)
    distance = np.minimum(np.abs(u - space.lower), np.abs(space.upper - u))
    held = distance <= _AT_BOUND * np.where(
        np.isfinite(space.upper - space.lower), space.upper - space.lower, 1
    )
    size = np.linalg.norm(jacobian, axis=0)
    dead = size <= 1e-12 * max(size.max(initial=0.0), 1e-300)
    free = ~held & ~dead
    counted = weights > 0
    freedom = int(counted.sum()) - int(free.sum())
    plain = residuals[counted] / np.sqrt(weights[counted])
    variance = 1.0 if absolute else float(plain @ plain) / freedom if freedom > 0 else math.inf
    warnings = [*_without_influence(labels, dead & ~held), *_at_bounds(space, u, held)]
    if freedom <= 0:
        warnings.append(
            f"there are {int(counted.sum())} measured values for {int(free.sum())} parameters, so nothing is"
            " known of their errors"
        )
    elif absolute and not 0.5 < (ratio := float(plain @ plain) / freedom) < 2.0:
        warnings.append(
            f"the squared differences are {ratio:.3g} times what the standard deviations ask for; the model,"
            " or sigma, is not right"
        )
    scaled = np.zeros((p, p))
    scaled[dead & ~held, dead & ~held] = np.inf
    if free.any():
        own, lost = _inverse(jacobian[:, free], weights)
        warnings += _combinations([n for n, f in zip(labels, free) if f], lost)
        scaled[np.ix_(free, free)] = variance * own
    warnings += _wide(space, u, scaled, freedom, free)
    covariance = scaled * np.outer(slopes, slopes)
    made = Uncertainty(covariance, scaled, variance, freedom, ())
    warnings += _correlated(labels, made.correlation)
    return Uncertainty(covariance, scaled, variance, freedom, tuple(warnings))


def _inverse(jacobian: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The covariance for residuals of variance one, and directions that nothing determines, ``(k, p)``."""
    size = np.linalg.norm(jacobian, axis=0)
    left, s, right = np.linalg.svd(jacobian / size, full_matrices=False)
    bad = s <= _SINGULAR * s[0]
    kept = ~bad
    spread = (
        (right[kept].T / s[kept]) @ left[:, kept].T * np.sqrt(weights)
    )  # of a residual into the parameters
    found = spread @ spread.T / np.outer(size, size)
    lost = right[bad]
    named = (np.abs(lost) > _SHARE).any(axis=0)
    found[named, :] = found[:, named] = 0.0
    found[named, named] = np.inf
    return found, lost


def _without_influence(labels: Sequence[str], dead: np.ndarray) -> list[str]:
    names = [n for n, d in zip(labels, dead) if d]
    return (
        [f"{listing(names)}: nothing that was measured depends on it; leave it out or measure more"]
        if names
        else []
    )


def _at_bounds(space: Space, u: np.ndarray, held: np.ndarray) -> list[str]:
    found = []
    for i, (label, h) in enumerate(zip(space.labels, held)):
        if h:
            side = "lower" if abs(u[i] - space.lower[i]) < abs(space.upper[i] - u[i]) else "upper"
            found.append(
                f"{label} is at its {side} bound {space.values(u)[i]:g}; its error is not known there"
            )
    return found


def _combinations(labels: Sequence[str], lost: np.ndarray) -> list[str]:
    found = []
    for direction in lost:
        names = [n for n, share in zip(labels, direction) if abs(share) > _SHARE]
        found.append(
            f"{listing(names)}: only a combination of them is determined, and they are not identifiable one"
            " by one; fix one of them, or measure what tells them apart"
        )
    return found


def _wide(space: Space, u: np.ndarray, scaled: np.ndarray, freedom: int, free: np.ndarray) -> list[str]:
    """Parameters whose interval is wider than their bounds, or than a factor of ten."""
    found = []
    half = quantile(0.95, freedom) * np.sqrt(np.diag(scaled))
    for i, label in enumerate(space.labels):
        bounded = np.isfinite(space.upper[i] - space.lower[i])
        room = (space.upper[i] - space.lower[i]) / 2 if bounded else math.log(10) if space.log[i] else 1.0
        if free[i] and np.isfinite(half[i]) and half[i] > room:
            found.append(
                f"{label} is not identifiable: its 95 % interval is wider than"
                f" {'its bounds' if bounded else 'its value'}"
            )
    return found


def _correlated(labels: Sequence[str], correlation: np.ndarray) -> list[str]:
    """Sets of parameters, each of which is closely correlated with another one of its set."""
    close = np.nan_to_num(np.abs(correlation), nan=0.0) > _CLOSE
    found, left = [], list(range(len(labels)))
    while left:
        members = {left[0]}
        while (more := {j for i in members for j in left if close[i, j]} | members) != members:
            members = more
        left = [i for i in left if i not in members]
        if len(members) > 1:
            own = correlation[np.ix_(sorted(members), sorted(members))]
            size = np.abs(own[~np.eye(len(own), dtype=bool)]).max()
            names = listing([labels[i] for i in sorted(members)], 30)
            found.append(f"{names} are known together rather than one by one (correlation up to {size:.3f})")
    return found


def quantile(level: float, freedom: int) -> float:
    """The half width of a two-sided interval in standard errors, by Student's distribution."""
    from scipy.stats import t

    return float(t.ppf((1 + level) / 2, freedom)) if freedom > 0 else math.inf
