"""`Standing`: where every point of a march is: its values, its clock, and its next increment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from neml2.drivers.histories.binding import Loading, Start
from neml2.drivers.increments.attempts import Attempt
from neml2.drivers.increments.flat import chosen, copied, flattened, widened
from neml2.drivers.increments.increments import Gauge
from neml2.lags import lagged
from neml2.points import put
from neml2.step import StateUpdate
from neml2.types import TensorWrapper

Values = dict[str, TensorWrapper]


@dataclass
class Standing:
    """Where the points of a march stand; ``(points, ...)`` all of it.

    state, old, outputs
        The state, the prescribed values and the outputs of the last increment.
    rates
        Those of the variables whose error counts, in the last increment; NaN before there is one.
    scales
        How large these variables have been, for tolerances.
    time, late
        The clock of a point, and how far it is behind that of the history.
    size, wary
        The next increment, in time, and whether the last one was rejected.
    failed, idle, stopped
        The status with which a point has failed, 0 otherwise; the row with which it goes on; whether an
        event has stopped it.
    anchored
        Strain and stress from which targets of the control count.

    ``tracked`` says that results are part of a graph, so that nothing is written to in place.
    """

    state: Values
    old: Values
    outputs: Values
    rates: Values
    scales: dict[str, torch.Tensor]
    time: torch.Tensor
    late: torch.Tensor
    size: torch.Tensor
    wary: torch.Tensor
    failed: torch.Tensor
    idle: torch.Tensor
    stopped: torch.Tensor
    anchored: Values = field(default_factory=dict)
    tracked: bool = False

    @classmethod
    def initial(
        cls,
        update: StateUpdate,
        loading: Loading,
        gauge: Gauge,
        start: Start | None = None,
    ) -> Standing:
        """Before the first step; ``start`` are state and outputs, those of the loading where not given."""
        batch, points = loading.batch, loading.batch.numel()
        state, outputs = start or loading.start(update)
        state = {n: flattened(v, batch) for n, v in state.items()}
        outputs = {n: flattened(v, batch) for n, v in outputs.items()}
        forces = {n: flattened(v, batch) for n, v in loading.at(0).items()}
        for n in update.states:  # equal old values say that there is no history before them
            for lag in range(1, update.depth[n]):
                state.setdefault(lagged(n, lag), state[n])
        old: Values = {}
        for n, v in forces.items():
            for lag in range(max(update.depth.get(n, 1), 1)):
                old[lagged(n, lag)] = v
        like = loading.time.detach()
        zero = torch.zeros(points, dtype=torch.float64, device=like.device)
        scales = {n: zero.to(like.dtype) for n in gauge.partners}
        return cls(
            state,
            old,
            outputs,
            rates={
                n: type(v)._new(torch.full_like(v.data.detach(), torch.nan), v.sub_batch_ndim)
                for n, v in outputs.items()
                if n in gauge.bounds
            },
            scales=gauge.scales({**forces, **outputs}, scales),
            time=like[0].expand(batch).reshape(points),
            late=like.new_zeros(points),
            size=torch.full_like(zero, torch.inf),
            wary=zero.bool(),
            failed=zero.to(torch.int8),
            idle=zero.to(torch.int64),
            stopped=zero.bool(),
        )

    def __len__(self) -> int:
        return len(self.time)

    def part(self, values: Mapping[str, TensorWrapper], index: torch.Tensor) -> Values:
        """The values of some points."""
        return dict(values) if len(index) == len(self) else chosen(values, index)

    def put(self, values: Values, index: torch.Tensor, new: Values) -> Values:
        """``values`` with the points ``index`` replaced; in place where nothing is differentiated."""
        if len(index) == len(self):
            return {**values, **new}
        found = dict(values)
        for n, v in new.items():
            inner = v.data.shape[1:]
            if n not in found:  # a guess, which is zero until there is a value
                found[n] = type(v)._new(v.data.new_zeros(len(self), *inner), v.sub_batch_ndim)
            full = widened(found[n], v)
            if self.tracked:
                found[n] = put(full, torch.Size((len(self),)), index, v)
            else:
                full.data[index] = v.data
                found[n] = full
        return found

    def take(self, index: torch.Tensor, made: Attempt) -> None:
        """The points ``index`` have made an increment."""
        self.outputs = self.put(self.outputs, index, made.outputs)
        self.state = self.put(self.state, index, made.state)
        self.old = self.put(self.old, index, made.old)
        self.rates = self.put(self.rates, index, made.rates)

    def leave(self) -> None:
        """Leave what is held to those who keep rows: from here on copies are written to in place."""
        if not self.tracked:
            self.outputs, self.state, self.old = map(copied, (self.outputs, self.state, self.old))
        self.time = self.time.clone()

    def checkpoint(self) -> dict[str, torch.Tensor]:
        """All of it by name, in memory of its own."""
        found = {f"{part}/{n}": v.data for part in _TYPED for n, v in getattr(self, part).items()}
        found |= {part: getattr(self, part) for part in _PLAIN}
        found |= {f"scales/{n}": x for n, x in self.scales.items()}
        return {n: t.detach().clone() for n, t in found.items()}

    def restore(self, found: Mapping[str, torch.Tensor], kinds: Mapping[str, type[TensorWrapper]]) -> None:
        """What a checkpoint has; ``kinds`` are the types of all variables."""
        for part in _TYPED:
            values: Values = {}
            for key, data in found.items():
                name = key.removeprefix(f"{part}/")
                if name != key:
                    kind = kinds[name.partition("~")[0]]
                    values[name] = kind._new(data.clone(), data.ndim - 1 - kind.BASE_NDIM)
            setattr(self, part, values)
        for part in _PLAIN:
            setattr(self, part, found[part].clone())
        self.scales = {n: found[f"scales/{n}"].clone() for n in self.scales}


_TYPED = ("state", "old", "outputs", "rates", "anchored")
_PLAIN = ("time", "late", "size", "wary", "failed", "idle", "stopped")
