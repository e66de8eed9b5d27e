"""`Increments`: how large the increments between two rows of a history may be, and how that is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from neml2.drivers.increments.conditions import component, norm
from neml2.drivers.results.declared import declarations
from neml2.registry import did_you_mean, listing
from neml2.step import StateUpdate
from neml2.types import TensorWrapper

Values = Mapping[str, TensorWrapper]
_SAFETY = 0.9  # of the increment that would just be accepted, so that few are rejected
_SHARPEST = 0.1  # an estimate from far away says little: no increment shrinks faster than to a tenth
_ORDER = 1  # of backward Euler, with which nearly all materials are integrated


@dataclass(frozen=True)
class Increments:
    r"""The increments between the rows of a history, chosen for every point by itself.

    An increment is cut where Newton does not converge, where a variable moves more than its ``limit``, or
    where the estimated local error is over ``tolerance``; after success the next one is larger. Its size, in
    time, is carried over from row to row. Rows are met exactly.

    limit
        The largest movement of variables within an increment, in their units: ``{"stress.xx": 20.0}`` of a
        component, ``{"plastic_strain": 1e-3}`` of the norm of the change.
    tolerance
        The local error of an increment. A number is relative to the largest norm that the variable, or
        another variable of the same unit (a strain counts as a number), has had at the point so far; a dict
        has a bound for each variable, in its units. ``math.inf`` estimates the error without choosing by it.
        The estimate is that of step doubling, :math:`|y_{h/2,h/2} - y_h| / (2^p - 1)` with :math:`p = 1`; the
        two halves are kept (Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, section
        II.4). Flow that ends within an increment is in neither solution; so a third of the error of
        the first half by the change of the rate, :math:`\frac{h}{4} |\dot y_1 - \dot y_0|`, counts where it
        is larger.
    on
        The variables whose error counts; by default the states that are no rates, or those of a dict.
    first
        The first increment as a part of the first row interval; all of it by default.
    grow, cut
        Factors of the size after success (at most) and where Newton has failed.
    smallest
        The smallest increment, as a part of the row interval. Where Newton fails over it the point fails; it
        is taken whatever limits and tolerance say.
    most
        The increments of a point in a row interval, rejected ones included; a point that needs more fails.

    Raises :class:`ValueError` for numbers that make no sense.
    """

    limit: Mapping[str, float] = field(default_factory=dict)
    tolerance: float | Mapping[str, float] | None = None
    on: tuple[str, ...] = ()
    first: float | None = None
    grow: float = 1.5
    cut: float = 0.5
    smallest: float = 2.0**-20
    most: int = 10_000

    def __post_init__(self) -> None:
        bounds = {f"limit of '{n}'": x for n, x in self.limit.items()}
        if isinstance(self.tolerance, Mapping):
            bounds |= {f"tolerance of '{n}'": x for n, x in self.tolerance.items()}
        elif self.tolerance is not None:
            bounds["tolerance"] = self.tolerance
        for what, x in bounds.items():
            if not x > 0:
                raise ValueError(f"the {what} is {x:g}; give a positive number")
        if isinstance(self.on, str):
            object.__setattr__(self, "on", (self.on,))
        if self.on and (self.tolerance is None or isinstance(self.tolerance, Mapping)):
            raise ValueError(
                "'on' chooses the variables of one tolerance for all; give tolerance=1e-4, or leave 'on' out"
            )
        if self.first is not None and not 0 < self.first <= 1:
            raise ValueError(f"first is {self.first:g}; give a part of the first row interval, in (0, 1]")
        if not self.grow >= 1:
            raise ValueError(f"grow is {self.grow:g}; give a factor of 1 or more")
        if not 0 < self.cut < 1:
            raise ValueError(f"cut is {self.cut:g}; give a factor between 0 and 1")
        if not 0 < self.smallest <= 1:
            raise ValueError(f"smallest is {self.smallest:g}; give a part of the row interval, in (0, 1]")
        if self.most < 1:
            raise ValueError(f"most is {self.most}; give a number of increments, 1 or more")

    @property
    def doubles(self) -> bool:
        """Whether every increment is made twice, in one piece and in two halves."""
        return self.tolerance is not None

    def end(self, start: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        """Where increments of that size from ``start`` end, ``(points,)`` in parts of the row interval.

        What is left is taken in one piece or in two even ones, so that no sliver remains.
        """
        left = 1.0 - start
        size = torch.maximum(size, torch.full_like(size, self.smallest))
        end = torch.where(size > 0.5 * left, start + 0.5 * left, start + size)
        return torch.where(size >= left * (1 - 1e-9), torch.ones_like(end), end)

    def factor(
        self, solved: torch.Tensor, moved: torch.Tensor, error: torch.Tensor, rejected: torch.Tensor
    ) -> torch.Tensor:
        """The next size over the present one, ``(points,)``.

        ``moved`` and ``error`` are over what is allowed; ``rejected`` says whose last increment was too large
        as well: it does not grow at once.
        """
        best = torch.minimum(1 / moved, error ** (-1 / (_ORDER + 1)) if self.doubles else 1 / error)
        most = torch.where(rejected, 1.0, self.grow)
        return torch.where(solved, (_SAFETY * best).clamp(min=_SHARPEST).minimum(most), self.cut)


class Gauge:
    """Measures the increments of a model: movements over limits, and errors over tolerances.

    Raises :class:`ValueError` for names that the model does not have.
    """

    def __init__(self, increments: Increments, update: StateUpdate) -> None:
        self.limits = dict(increments.limit)
        kinds = {**update.forces, **update.outputs}
        for n in self.limits:
            base = n if n in kinds else n.rpartition(".")[0]
            _known(base or n, kinds, "limit")
            if base != n and n.rpartition(".")[2] not in kinds[base].COMPONENTS:
                raise ValueError(
                    f"the limit of '{n}' names no component of a {kinds[base].__name__}"
                    f" (they are {listing(kinds[base].COMPONENTS)})"
                )
        tolerance = increments.tolerance
        self.bounds: dict[str, float] = {}
        self.partners: dict[str, tuple[str, ...]] = {}
        if isinstance(tolerance, Mapping):
            self.bounds = dict(tolerance)
        elif tolerance is not None:
            # a strain is a number, as are variables of which nobody declares the unit
            units = {n: d.unit.replace("strain", "") for n, d in declarations(update.model).items()}
            lasting = [n for n in update.states if not units.get(n, "").endswith("/time")]
            for n in increments.on or lasting or tuple(update.states):
                self.bounds[n] = tolerance
                self.partners[n] = (n, *(m for m in kinds if m != n and units.get(m, "") == units.get(n, "")))
            if not self.bounds:
                raise ValueError(
                    f"{update.model} has no state whose error could be estimated; name variables with on=..."
                )
        for n in self.bounds:
            _known(n, update.outputs, "tolerance")

    def moved(self, before: Values, after: Values, like: torch.Tensor) -> torch.Tensor:
        """The largest movement over its limit, ``(points,)``."""
        worst = torch.zeros_like(like)
        for name, bound in self.limits.items():
            if name in after:
                change = norm(after[name], before[name])
            else:
                change = (
                    (component(after, name) - component(before, name)).abs().reshape(len(like), -1).amax(-1)
                )
            worst = torch.fmax(worst, change / bound)  # NaN: what has no value before the first step
        return worst

    def scales(self, values: Values, scales: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What errors are relative to, ``(points,)`` by variable: ``scales``, made larger by ``values``."""
        found = dict(scales)
        for name, partners in self.partners.items():
            for partner in partners:
                if partner in values:
                    found[name] = torch.fmax(found[name], norm(values[partner]))
        return found

    def error(
        self,
        whole: Values,
        halves: Values,
        scales: Mapping[str, torch.Tensor],
        like: torch.Tensor,
        jumps: Mapping[str, torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The local error of the two halves, ``(points,)``: over the tolerance, and as it is reported.

        That is relative to the scale or, where each variable has a bound, in parts of the bound. ``jumps``
        are the errors that the change of the rates tells; they count where they are larger.
        """
        over, told = torch.zeros_like(like), torch.zeros_like(like)
        for name, bound in self.bounds.items():
            error = norm(halves[name], whole[name]) / (2**_ORDER - 1)
            if jumps is not None:
                error = torch.fmax(error, jumps[name])  # NaN: there is no increment before
            if name in scales:
                scale = torch.fmax(scales[name], norm(whole[name]))
                error = error / scale.clamp(min=torch.finfo(like.dtype).tiny)
                over, told = torch.fmax(over, error / bound), torch.fmax(told, error)
            else:
                over = told = torch.fmax(over, error / bound)
        return over, told


def _known(name: str, known: Mapping[str, type[TensorWrapper]], what: str) -> None:
    if name not in known:
        raise ValueError(
            f"the {what} of '{name}' is of no variable of the model{did_you_mean(name, known)};"
            f" there are {listing(known)}"
        )
