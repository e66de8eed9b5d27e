"""What a fit may change: parameters within bounds, on a scale on which they are all of the order of one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neml2.errors import MissingVariable
from neml2.fields import ParameterField
from neml2.model import Model
from neml2.parameters import HoldsParameters
from neml2.registry import did_you_mean, listing

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


class Space:
    """The numbers that are fitted, ``(p,)``, in their own units and on the scale of the fit.

    Raises :class:`~neml2.errors.MissingVariable` for parameters that the model has not, with the nearest
    spelling, and :class:`ValueError` for bounds and starts that cannot be.
    """

    def __init__(self, model: Model, parameters: Mapping[str, Any] | Iterable[str]) -> None:
        if isinstance(parameters, str):
            raise TypeError(
                f"parameters is the text '{parameters}'; give a dict {{'{parameters}': (lower, upper)}}"
            )
        given = dict(parameters) if isinstance(parameters, Mapping) else dict.fromkeys(parameters)
        if not given:
            raise ValueError(
                f"there are no parameters to fit; name some of {listing(short_names(model).values(), 30)}"
            )
        self.paths: dict[str, str] = {}
        self.entries: list[Entry] = []
        for name, spec in given.items():
            path = parameter_path(model, name)
            if path in self.paths.values():
                other = next(n for n, p in self.paths.items() if p == path)
                raise ValueError(f"'{name}' and '{other}' are the same parameter, {path}; keep one of them")
            self.paths[name] = path
            self.entries += _entries(model, name, path, spec)
        self.labels = [e.label for e in self.entries]
        self.log = np.array([e.log for e in self.entries])
        self._offset, self._span = (
            np.array([getattr(e, n) for e in self.entries]) for n in ("offset", "span")
        )
        self.lower, self.upper = (
            np.array([e.scaled(getattr(e, n)) for e in self.entries]) for n in ("lower", "upper")
        )
        self.start = np.array([e.scaled(e.start) for e in self.entries])

    def __len__(self) -> int:
        return len(self.entries)

    def values(self, u: np.ndarray) -> np.ndarray:
        """The parameters in their own units, within their bounds to the bit."""
        return np.clip(self.unbounded(u), [e.lower for e in self.entries], [e.upper for e in self.entries])

    def unbounded(self, u: np.ndarray) -> np.ndarray:
        """As :meth:`values`, but beyond the bounds as well: for ends of intervals."""
        x = self._offset + self._span * np.asarray(u)
        return np.where(self.log, np.exp(np.where(self.log, x, 0.0)), x)

    def slopes(self, u: np.ndarray) -> np.ndarray:
        """The derivatives of the parameters by the coordinates of the fit."""
        return self._span * np.where(self.log, self.values(u), 1.0)

    def named(self, u: np.ndarray) -> dict[str, float]:
        """The parameters in their own units by label."""
        return dict(zip(self.labels, self.values(u).tolist()))

    def tensors(self, u: np.ndarray, model: Model) -> dict[str, torch.Tensor]:
        """The whole parameters of ``model`` by path."""
        known = dict(model.named_parameters())
        found = {path: known[path].detach().clone() for path in self.paths.values()}
        for entry, value in zip(self.entries, self.values(u).tolist()):
            found[entry.path].view(-1)[entry.index] = value
        return found

    def starts(self, count: int, seed: int) -> list[np.ndarray]:
        """The start, and further ones that fill the space between the bounds evenly (Sobol's sequence).

        Without bounds they lie within a factor of two, or a distance of half, of the start.
        """
        found = [self.start]
        if count > 1:
            low = np.where(
                np.isfinite(self.lower), self.lower, self.start - np.where(self.log, np.log(2), 0.5)
            )
            high = np.where(
                np.isfinite(self.upper), self.upper, self.start + np.where(self.log, np.log(2), 0.5)
            )
            engine = torch.quasirandom.SobolEngine(len(self), scramble=True, seed=seed)
            unit = engine.draw(count - 1, dtype=torch.float64).numpy()
            found += list(low + unit * (high - low))
        return found

    def prior_residuals(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What priors add to the residuals, ``(k,)``, and their derivatives by the parameters, ``(k, p)``."""
        x = self.values(u)
        rows, slopes = [], []
        for i, e in enumerate(self.entries):
            if e.prior is not None:
                mean, value = (
                    (math.log(e.prior.mean), math.log(x[i])) if e.prior.log else (e.prior.mean, x[i])
                )
                rows.append((value - mean) / e.prior.sigma)
                slopes.append(np.eye(len(self))[i] / e.prior.sigma / (x[i] if e.prior.log else 1.0))
        return np.array(rows), np.array(slopes).reshape(len(rows), len(self))


def short_names(model: Model) -> dict[str, str]:
    """The shortest name of every parameter that no other one has, by path: ``flow_rate.eta``."""
    paths = [n for n, _ in model.named_parameters()]
    found = {}
    for path in paths:
        words = path.split(".")
        tails = [".".join(words[-k:]) for k in range(min(2, len(words)), len(words) + 1)]
        found[path] = next(t for t in tails if sum(p == t or p.endswith("." + t) for p in paths) == 1)
    return found


def parameter_path(model: Model, name: str) -> str:
    """The path of a parameter in ``model`` that goes by ``name``.

    That is its path, an end of it (``flow_rate.eta``), or block and option of the input file
    (``flow_rate.reference_stress``). Raises :class:`~neml2.errors.MissingVariable`, or :class:`ValueError` if
    there are several.
    """
    paths = [n for n, _ in model.named_parameters()]
    if name in paths:
        return name
    options = {p: _option(model, p) for p in paths}
    found = [p for p in paths if p.endswith("." + name) or options[p] == name]
    if len(found) == 1:
        return found[0]
    known = list(short_names(model).values())
    if found:
        raise ValueError(f"'{name}' may be {listing(found)}; say more of the one that is meant")
    every = [*known, *(o for o in options.values() if o)]
    raise MissingVariable(
        f"the model has no parameter '{name}'{did_you_mean(name, every)} (parameters: {listing(known, 30)})"
    )


def _option(model: Model, path: str) -> str:
    """Block and option of a parameter, ``flow_rate.reference_stress``."""
    place, _, attr = path.rpartition(".")
    owner = model.get_submodule(place)
    field = getattr(owner, "FIELDS", {}).get(attr)
    option = field.option if isinstance(field, ParameterField) else attr
    return f"{getattr(owner, 'name', '') or place.rpartition('.')[2]}.{option}"


def _entries(model: Model, name: str, path: str, spec: Any) -> list[Entry]:
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
        inside = lower < now < upper
        middle = math.sqrt(lower * upper) if log else (lower + upper) / 2
        start = (
            prior.mean
            if prior is not None and lower <= prior.mean <= upper
            else now
            if inside
            else middle
            if bounded
            else None
        )
    if start is None or (log and start <= 0):
        raise ValueError(
            f"'{label}' is {now:g} in the model, outside its bounds {lower:g} to {upper:g}; give"
            " Free(start=...)"
        )
    if bounded:
        a, b = (math.log(lower), math.log(upper)) if log else (lower, upper)
        return Entry(label, path, index, lower, upper, start, log, a, b - a, prior)
    offset, span = (math.log(start), 1.0) if log else (0.0, abs(start) or 1.0)
    return Entry(label, path, index, lower, upper, start, log, offset, span, prior)


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
