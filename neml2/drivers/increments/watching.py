"""Watching the increments of a march for events: which happen, where, and which of them act."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from neml2.drivers.histories.segments import Stretch
from neml2.drivers.increments.attempts import Attempt, Places
from neml2.drivers.increments.conditions import Extremes, View
from neml2.drivers.increments.events import Event, Found, is_over, locate
from neml2.drivers.increments.flat import unravelled
from neml2.solvers.status import Status
from neml2.types import TensorWrapper

Values = dict[str, TensorWrapper]


@dataclass(frozen=True)
class Sighting:
    """Events within increments, ``(events,)``: which, at which points (of those seen, and of all), where.

    ``here`` are the increments up to them; ``acting`` says which of the events act, one at most of a point.
    """

    event: torch.Tensor
    row: torch.Tensor
    index: torch.Tensor
    s: torch.Tensor
    here: Attempt
    acting: torch.Tensor


class Watch:
    """The events of a march, and the conditions ``until`` of its segments: what has been found of them.

    Those of the segments come last; they act in the rows of their segment, every time. ``cycle`` numbers the
    rows, ``(n,)``.
    """

    def __init__(
        self,
        events: Sequence[Event],
        stretches: Iterable[Stretch],
        batch: torch.Size,
        device: torch.device,
        cycle: torch.Tensor | None = None,
    ) -> None:
        ends = [(s, _until(s)) for s in stretches if s.until is not None]
        self.events = (*events, *(e for _, e in ends))
        self.stretches = (*[None] * len(events), *(s for s, _ in ends))
        self.batch, self.cycle, points = batch, cycle, batch.numel()
        self.extremes = Extremes(points)
        self.counts = torch.zeros(len(self.events), points, dtype=torch.int64, device=device)
        self._most = torch.tensor([e.times or 2**62 for e in self.events], device=device)
        self._strict = torch.tensor([e.strict for e in self.events], dtype=torch.bool, device=device)
        self._way = torch.tensor([e.direction or 0 for e in self.events], device=device)
        self._passes = torch.tensor([e.action == "continue" for e in self.events], device=device).bool()
        self._ends = torch.tensor([s is not None for s in self.stretches], device=device).bool()
        self._tolerance = torch.tensor([e.tolerance for e in self.events], device=device).double()

    def view(self, k: int, values: Values, time: torch.Tensor, index: torch.Tensor) -> View:
        """What the points ``index`` show on their way to row ``k``."""
        cycle = None if self.cycle is None else self.cycle[k].to(time).expand(index.shape)
        return View(values, time, cycle, index, self.extremes)

    def values(self, view: View, row: int | None = None) -> torch.Tensor:
        """The number of every event, ``(events, points)``; NaN for those not watched before ``row``."""
        found = view.time.new_full((len(self.events), len(view.index)), torch.nan)
        for i, (e, s) in enumerate(zip(self.events, self.stretches, strict=True)):
            if s is None or row is None or s.first <= row <= s.last:
                found[i] = e.value(view)
        return found

    def acts(self, event: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Which of these events, if found once more at these points, act on them."""
        return self._ends[event] | (
            (self.counts[event, index] + 1 >= self._most[event]) & ~self._passes[event]
        )

    def crossed(self, before: torch.Tensor, after: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """+1 or -1 where an event lies between the two values, 0 elsewhere; ``(events, points)``."""
        strict = self._strict[:, None]
        up = ~is_over(before, strict) & is_over(after, strict)
        down = ~(before <= 0) & (after <= 0)
        sign = up.long() * (self._way >= 0)[:, None] - down.long() * (self._way <= 0)[:, None]
        return sign * (self.counts[:, index] < self._most[:, None])

    def begun(self, row: int) -> list[int]:
        """The events that end the segment that begins with ``row``, if they tell when they hold."""
        return [
            i
            for i, (e, s) in enumerate(zip(self.events, self.stretches, strict=True))
            if s is not None and s.first == row and e.direction
        ]

    def look(
        self,
        at: Places,
        b: torch.Tensor,
        before: torch.Tensor,
        after: torch.Tensor,
        taken: torch.Tensor,
        attempt: Callable[[Places, torch.Tensor], tuple[Attempt, torch.Tensor]],
    ) -> Sighting | None:
        """What happens within increments that are about to be taken, found by making them shorter.

        ``before`` and ``after`` are the values at their ends, ``attempt(places, s)`` gives an increment to
        ``s`` and the values there.
        """
        sign = self.crossed(before, after, at.index) * taken
        event, row = sign.nonzero(as_tuple=True)
        if not len(event):
            return None
        sign = sign[event, row]
        places, length, far = at.some(row), (b - at.a)[row], b[row]

        def end(which: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
            return torch.where(part == 1, far[which], places.a[which] + part * length[which])

        def value(which: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
            tried, values = attempt(places.some(which), end(which, part))
            found = values[event[which], torch.arange(len(which), device=which.device)] * sign[which]
            return torch.where(tried.status == Status.CONVERGED, found, torch.nan)

        part = locate(
            value,
            before[event, row] * sign,
            after[event, row] * sign,
            self._strict[event] & (sign > 0),
            (self._tolerance[event] / length).clamp(max=0.5),
        )
        s = end(torch.arange(len(event), device=event.device), part)
        acts = self.acts(event, places.index)
        first = torch.full_like(b, 2.0).scatter_reduce(0, row[acts], part[acts], "amin")
        seen = (part <= first[row]).nonzero().squeeze(-1)
        here, _ = attempt(places.some(seen), s[seen])
        acting = acts[seen].nonzero().squeeze(-1)
        # of two events at the same place the one that was given first acts
        one = {int(row[seen[i]]): int(i) for i in reversed(acting.tolist())}
        chosen = torch.tensor(sorted(one.values()), dtype=torch.int64, device=b.device)
        return Sighting(event[seen], row[seen], places.index[seen], s[seen], here, chosen)

    def record(
        self, k: int, event: torch.Tensor, index: torch.Tensor, outputs: Values, time: torch.Tensor
    ) -> list[Found]:
        """Events at the points ``index`` on their way to row ``k``, with the outputs and the time there."""
        self.counts[event, index] += 1
        found = []
        for i, (e, p, t) in enumerate(zip(event.tolist(), index.tolist(), time.tolist(), strict=True)):
            state = {
                n: type(v)._new(v.data[i].detach().clone(), v.sub_batch_ndim) for n, v in outputs.items()
            }
            kind, action = self.events[e], "until" if self.stretches[e] else self.events[e].action
            found.append(Found(kind.name, unravelled(p, self.batch), k, t, action, state))
        return found


def _until(stretch: Stretch) -> Event:
    """The condition that ends a segment, as an event."""
    name = stretch.name or (stretch.until if isinstance(stretch.until, str) else "")
    if isinstance(stretch.until, Event):
        return replace(stretch.until, action="freeze", times=None)
    return Event(stretch.until, name, "freeze", times=None)
