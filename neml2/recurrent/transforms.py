"""What a fit may change: parameters within bounds, on a scale on which they are all of the order of one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from neml2.model import Model
from neml2.recurrent.free import Entry, entries
from neml2.recurrent.parameter_names import parameter_path, short_names
from neml2.registry import listing


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
            self.entries += entries(model, name, path, spec)
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
