"""What a user says of a parameter that is fitted, as numbers with bounds, a start and a scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neml2.model import Model
from neml2.parameters import HoldsParameters

_DECADE = 10.0  # from this ratio of its bounds on, a positive parameter is fitted by its logarithm


@dataclass(frozen=True)
class Free:
    """A parameter that a fit may change.

    lower, upper
        Its bounds; by default those of its declared range, which may be infinite.
    start
        Where the fit begins: by default at the value in the model if that lies within the bounds, and halfway
        between them otherwise. Numbers apply to all entries of a parameter that has several.
    log
        Whether its logarithm is fitted. By default that of positive parameters is where the bounds are a
        decade or more apart, or where there are none.
    """

    lower: float | None = None
    upper: float | None = None
    start: float | Sequence[float] | None = None
    log: bool | None = None


@dataclass(frozen=True)
class Prior:
    r"""What is known of a parameter before the fit: a normal distribution.

    It adds :math:`\frac12 ((\theta - \mu) / \sigma)^2` to the loss: with standard deviations of the
    measurements the fit finds the largest posterior probability. With ``log`` the logarithm of the parameter
    is normal: ``mean`` is its median and ``sigma`` the standard deviation of the natural logarithm.

    lower, upper, start
        As of :class:`Free`; the fit begins at the mean where nothing is said.
    """

    mean: float
    sigma: float
    log: bool = False
    lower: float | None = None
    upper: float | None = None
    start: float | None = None

    def __post_init__(self) -> None:
        if not self.sigma > 0 or (self.log and not self.mean > 0):
            raise ValueError(
                f"{self} is no distribution; give a positive sigma, and a positive mean with log"
            )


@dataclass(frozen=True)
class Entry:
    """One number that is fitted: the parameter ``path`` of the model, its flat ``index``, and its scale.

    The number is ``offset + span * u``, or the exponential of that with ``log``.
    """

    label: str
    path: str
    index: int
    lower: float
    upper: float
    start: float
    log: bool
    offset: float
    span: float
    prior: Prior | None

    def scaled(self, value: float) -> float:
        """The fit's own coordinate of a value."""
        if not math.isfinite(value) or (self.log and value <= 0):
            return -math.inf if value < 1 else math.inf
        return ((math.log(value) if self.log else value) - self.offset) / self.span


def entries(model: Model, name: str, path: str, spec: Any) -> list[Entry]:
    """The numbers of the parameter ``path``, which the user calls ``name`` and of which ``spec`` was said.

    Raises :class:`ValueError` for bounds and starts that cannot be, :class:`TypeError` for anything else.
    """
    place, _, attr = path.rpartition(".")
    owner = model.get_submodule(place)
    assert isinstance(owner, HoldsParameters)
    data, kind = model.get_parameter(path).detach(), owner._kinds[attr]
    batch = kind.batch_shape(data.shape)
    if batch.numel() != 1:
        raise ValueError(
            f"'{name}' has a value for each of {tuple(batch)} specimens; a fit finds one for all, so give the"
            " model one"
        )
    free, prior = _as_free(name, spec)
    declared = kind.within.bounds() if kind.within is not None else (-math.inf, math.inf, False, False)
    lower, upper = (b if x is None else float(x) for x, b in zip((free.lower, free.upper), declared))
    if free.log and free.lower is None:
        lower = max(lower, 0.0)
    if not lower < upper:
        raise ValueError(f"'{name}' lies between {lower:g} and {upper:g}; give (lower, upper)")
    for value, given in ((lower, free.lower), (upper, free.upper)):
        if given is not None and kind.within is not None and not kind.within.contains([value]):
            raise ValueError(
                f"'{name}' may become {value:g}, outside its range {kind.within.text}; give other bounds"
            )
    current = data.reshape(-1).tolist()
    starts = [free.start] * len(current) if isinstance(free.start, int | float) else free.start
    if starts is not None and len(list(starts)) != len(current):
        raise ValueError(
            f"'{name}' has {len(current)} entries, its start {len(list(starts))}; give one for each"
        )
    log = (
        free.log
        if free.log is not None
        else lower >= 0 and (upper / lower >= _DECADE if lower else not math.isfinite(upper))
    )
    if log and lower < 0:
        raise ValueError(
            f"'{name}' may become {lower:g}, which has no logarithm; give a positive lower bound"
        )
    found = []
    for i, now in enumerate(current):
        label = name if len(current) == 1 else f"{name}[{i}]"
        start = None if starts is None else float(starts[i])
        if start is not None and not lower <= start <= upper:
            raise ValueError(
                f"'{label}' starts at {start:g}, outside its bounds {lower:g} to {upper:g}; move one"
            )
        found.append(_entry(label, path, i, lower, upper, start, now, log, prior))
    return found


def _entry(
    label: str,
    path: str,
    index: int,
    lower: float,
    upper: float,
    start: float | None,
    now: float,
    log: bool,
    prior: Prior | None,
) -> Entry:
    bounded = math.isfinite(lower) and math.isfinite(upper) and not (log and lower == 0)
    if start is None:
        start = _start(lower, upper, now, log, prior)
    if not math.isfinite(start) or (log and start <= 0):
        raise ValueError(
            f"'{label}' is {now:g} in the model, outside its bounds {lower:g} to {upper:g}; give"
            " Free(start=...)"
        )
    if bounded:
        a, b = (math.log(lower), math.log(upper)) if log else (lower, upper)
        return Entry(label, path, index, lower, upper, start, log, a, b - a, prior)
    offset, span = (math.log(start), 1.0) if log else (0.0, abs(start) or 1.0)
    return Entry(label, path, index, lower, upper, start, log, offset, span, prior)


def _start(lower: float, upper: float, now: float, log: bool, prior: Prior | None) -> float:
    """The mean of the prior, the value in the model, or halfway: the first that is within the bounds."""
    if prior is not None and lower <= prior.mean <= upper:
        return prior.mean
    if lower < now < upper:
        return now
    return math.sqrt(lower * upper) if log else (lower + upper) / 2


def _as_free(name: str, spec: Any) -> tuple[Free, Prior | None]:
    if isinstance(spec, Free):
        return spec, None
    if isinstance(spec, Prior):
        return Free(spec.lower, spec.upper, spec.start, True if spec.log else None), spec
    if spec is None:
        return Free(), None
    if isinstance(spec, int | float) and not isinstance(spec, bool):
        return Free(start=float(spec)), None
    if isinstance(spec, tuple | list) and len(spec) == 2 and all(isinstance(x, int | float) for x in spec):
        return Free(float(spec[0]), float(spec[1])), None
    raise TypeError(
        f"'{name}' is to be fitted with {spec!r}; give (lower, upper), a number to start from, Free(...) or"
        " Prior(...)"
    )
