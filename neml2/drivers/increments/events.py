"""`Event`: a condition that is met somewhere inside an increment, found there, point by point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from neml2.drivers.increments.conditions import View, parse
from neml2.registry import did_you_mean, listing
from neml2.types import TensorWrapper

_ACTIONS = ("stop", "freeze", "continue")
_MOST_PLACES = 80  # bisection alone reaches the last bit of a double before that
_BEHIND = 8.0  # how much larger than after so many bisections a bracket may be

Condition = Callable[[View], torch.Tensor]


@dataclass(frozen=True)
class Event:
    """Something that happens at a point: a condition begins to hold.

    condition
        A comparison as text, ``"stress.xx < 0.9 * peak(stress.xx)"`` (see
        :func:`neml2.drivers.increments.conditions.parse`), or a function of a
        :class:`~neml2.drivers.increments.conditions.View` whose value, ``(points,)``, changes its sign at the
        event.
    name
        What it is called in results; by default its text.
    action
        ``"freeze"`` keeps the point at the state of the event from then on. ``"stop"`` does so as well, and
        ends the run when every point has stopped. ``"continue"`` records the event and changes nothing.
    direction
        The change of the sign that counts: +1 (to positive, or to zero; the default of a text: the condition
        begins to hold), -1 (it ends), 0 (both; the default of a function).
    times
        How many times the event is recorded at a point; the last of them acts. ``None``: every time.
    tolerance
        How exactly the event is located, as a part of the interval between two rows.

    An event that comes and goes within one increment is not seen: bound the increments by
    ``Increments(limit=...)`` or a tolerance. Raises :class:`ValueError` for texts and options that make no
    sense.
    """

    condition: str | Condition
    name: str = ""
    action: str = "stop"
    direction: int | None = None
    times: int | None = 1
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        text = isinstance(self.condition, str)
        if isinstance(self.condition, str) and not parse(self.condition).condition:
            raise ValueError(f"'{self.condition}' compares nothing; write an event as 'stress.xx > 300'")
        if not text and not callable(self.condition):
            raise TypeError(
                f"the condition of an event is a {type(self.condition).__name__}; give a text or a function"
            )
        if self.action not in _ACTIONS:
            raise ValueError(
                f"the action of an event is '{self.action}'{did_you_mean(self.action, _ACTIONS)};"
                f" give one of {listing(_ACTIONS)}"
            )
        if self.direction not in (None, -1, 0, 1):
            raise ValueError(f"the direction of an event is {self.direction}; give +1, -1 or 0")
        if self.times is not None and self.times < 1:
            raise ValueError(f"an event counts {self.times} times; give 1 or more, or None")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"the tolerance of an event is {self.tolerance:g}; give a part of 1")
        if self.direction is None:
            object.__setattr__(self, "direction", 1 if text else 0)
        if not self.name:
            told = self.condition if text else getattr(self.condition, "__name__", "event")
            object.__setattr__(self, "name", told)

    @property
    def strict(self) -> bool:
        """Whether the condition does not hold at equality."""
        return isinstance(self.condition, str) and parse(self.condition).strict

    def value(self, view: View) -> torch.Tensor:
        """The number whose sign counts, ``(points,)``."""
        if isinstance(self.condition, str):
            return parse(self.condition).value(view).expand(view.index.shape)
        found = self.condition(view)
        found = found.data if isinstance(found, TensorWrapper) else found
        if not isinstance(found, torch.Tensor) or found.shape != view.index.shape:
            shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise ValueError(
                f"the condition of the event '{self.name}' gave {shape} for {len(view.index)} points;"
                f" it must give one number for each"
            )
        return found

    def holds(self, value: torch.Tensor) -> torch.Tensor:
        """Whether the condition holds where it has that value, for the segment of a history that it ends."""
        assert self.direction is not None
        signed = value * (self.direction or 1)
        return signed > 0 if self.strict else signed >= 0


@dataclass(frozen=True)
class Found:
    """An event that has happened.

    point
        Index in the batch.
    row
        The row at or before which it happened; the row before that was earlier.
    state
        All outputs at the event, ``(*sub_batch, *base)``.
    """

    name: str
    point: tuple[int, ...]
    row: int
    time: float
    action: str
    state: Mapping[str, TensorWrapper] = field(repr=False)


def locate(
    value: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    before: torch.Tensor,
    after: torch.Tensor,
    strict: torch.Tensor,
    tolerance: torch.Tensor,
) -> torch.Tensor:
    """Where values become positive, in (0, 1], ``(n,)``: the far end of a bracket smaller than ``tolerance``.

    ``value(which, place)`` gives those of the problems ``which`` at their ``place``; ``before`` and ``after``
    are the values at 0 and 1, of which the first is not positive and the second is. Regula falsi of the
    Illinois type (Dowell and Jarratt 1971), each problem for itself and all in one call; a bracket that is
    much larger than bisection would have left it is bisected.
    """
    low, high = torch.zeros_like(tolerance), torch.ones_like(tolerance)
    g_low, g_high = before.to(low.dtype).clone(), after.to(low.dtype).clone()
    side = torch.zeros_like(low)  # +1 if the high end moved last, -1 for the low one
    for count in range(_MOST_PLACES):
        which = (high - low > tolerance).nonzero().squeeze(-1)
        if not len(which):
            break
        a, b, ga, gb = low[which], high[which], g_low[which], g_high[which]
        place = b - gb * (b - a) / (gb - ga)
        # a little beyond the root, so that the far end comes close to it as well
        place = (place + 0.5 * tolerance[which]).minimum(b - 0.25 * tolerance[which])
        bisected = (b - a > _BEHIND * 0.5**count) | ~(place > a) | ~(place < b)
        place = torch.where(bisected, 0.5 * (a + b), place)
        g = value(which, place).to(ga.dtype)
        over = is_over(g, strict[which])
        last = side[which]
        low[which], high[which] = torch.where(over, a, place), torch.where(over, place, b)
        # an end that stays twice counts half: the other end will move next
        g_low[which] = torch.where(over, torch.where(last > 0, 0.5 * ga, ga), g)
        g_high[which] = torch.where(over, g, torch.where(last < 0, 0.5 * gb, gb))
        side[which] = torch.where(over, 1.0, -1.0).to(side.dtype)
    return high


def is_over(value: torch.Tensor, strict: torch.Tensor) -> torch.Tensor:
    """Whether values are positive; where ``strict`` is not set, zero counts as well."""
    return torch.where(strict, value > 0, value >= 0)
