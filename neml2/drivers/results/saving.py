"""`Save`: which variables, derived quantities and rows of a run are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from neml2.drivers.results.declared import Declared
from neml2.drivers.results.derived import Derived, is_derived, parse
from neml2.drivers.trajectory import Trajectory, expanded
from neml2.errors import MissingVariable
from neml2.registry import did_you_mean, listing
from neml2.types import Scalar, TensorWrapper

_CLOSE = 1e-9  # of a requested time: two ways of computing the same time differ by less


@dataclass(frozen=True)
class Save:
    """What to keep of a run: ``Save(["stress", "von_mises(stress)"], every=10)``.

    variables
        Names of results and prescribed values, and derived quantities; ``None``: all variables.
    every
        Every n-th row, from the initial state on, and the last one.
    times
        The rows at these times, which must be rows of the history.
    last
        The last row only.
    derived
        Quantities that follow from variables, kept beside them: ``von_mises(stress)``,
        ``equivalent_strain(strain)``, ``principal(stress)``, ``trace(x)``, ``hydrostatic(x)``, ``norm(x)``,
        and, accumulated over all rows, ``energy(stress, strain)``, ``dissipation(stress, plastic_strain)``.

    Raises :class:`ValueError` for what cannot be meant and for unknown quantities.
    """

    variables: tuple[str, ...] | None = None
    every: int = 1
    times: tuple[float, ...] | None = None
    last: bool = False
    derived: tuple[str, ...] = ()
    _memory: dict[str, dict[str, torch.Tensor]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        given = (self.variables,) if isinstance(self.variables, str) else self.variables
        more = (self.derived,) if isinstance(self.derived, str) else tuple(self.derived)
        if given is not None:
            more = (*(n for n in given if is_derived(n)), *more)
            given = tuple(dict.fromkeys(n for n in given if not is_derived(n)))
        times = None if self.times is None else _numbers(self.times)
        object.__setattr__(self, "variables", given)
        object.__setattr__(self, "derived", tuple(dict.fromkeys(parse(n).text for n in more)))
        object.__setattr__(self, "times", times)
        if self.every < 1 or int(self.every) != self.every:
            raise ValueError(f"save has every = {self.every}; give a whole number of rows, 1 or more")
        if (self.every > 1) + (times is not None) + self.last > 1:
            raise ValueError("save has more than one of every, times and last; choose one of them")

    @classmethod
    def of(cls, value: Save | str | Mapping[str, Any] | Iterable[str] | None) -> Save:
        """What a user means: names, ``"last"``, a dict of options, or a :class:`Save`, for one run.

        Raises :class:`ValueError` or :class:`TypeError`.
        """
        if value is None:
            return cls()
        if isinstance(value, Save):
            return replace(value)  # a run has a memory of its own
        if isinstance(value, str):
            return cls(last=True) if value == "last" else cls((value,))
        if isinstance(value, Mapping):
            known = ("variables", "every", "times", "last", "derived")
            for key in value:
                if key not in known:
                    raise ValueError(
                        f"save has no option '{key}'{did_you_mean(key, known)} ({listing(known)})"
                    )
            return cls(**value)
        names = tuple(value) if isinstance(value, Iterable) else (value,)
        if all(isinstance(n, str) for n in names):
            return cls(names)
        raise TypeError(f"save is a {type(value).__name__}; give names, a dict of options, or a Save")

    def options(self) -> dict[str, Any]:
        """The options as plain values, which :meth:`of` takes back."""
        return {
            "variables": self.variables,
            "every": self.every,
            "times": self.times,
            "last": self.last,
            "derived": self.derived,
        }

    # ------------------------------------------------------------------ before a run

    def check(
        self,
        names: Iterable[str],
        kinds: Mapping[str, type[TensorWrapper]],
        time: torch.Tensor | None = None,
    ) -> None:
        """Refuse, before a run, variables that it will not have, and times that are not rows of it.

        Raises :class:`~neml2.errors.MissingVariable` (a ValueError) with the nearest name, :class:`TypeError`
        for quantities of the wrong tensors, :class:`ValueError` for times.
        """
        known = tuple(names)
        for name in self.variables or ():
            if name not in known:
                raise MissingVariable(
                    f"cannot save '{name}'{did_you_mean(name, known)}; there are {listing(known, 30)}"
                )
        for quantity in self._quantities():
            quantity.check(kinds)
        if time is not None and self.times is not None:
            for wanted in self.times:
                if not bool(_at(time.detach(), wanted).any()):
                    near = time.detach().flatten()[(time.detach().flatten() - wanted).abs().argmin()]
                    raise ValueError(
                        f"cannot save the time {wanted:g}: the history has no such row (the nearest is at"
                        f" {float(near):.12g}); give times of the history"
                    )

    def count(self, time: torch.Tensor) -> int:
        """How many rows are kept of a run with these times, ``(n,)`` or ``(n, *batch)``."""
        return len(self._rows(time.detach(), 0, len(time)))

    # ------------------------------------------------------------------ in a run

    def select(self, block: Trajectory, first: int, steps: int) -> Trajectory:
        """The variables, derived quantities and rows of a block that are kept.

        ``first`` is the number of the first row of the block in the run of ``steps`` rows. Blocks come one
        after the other: accumulated quantities go on from the last one.
        """
        self.check(block.names, {n: type(v) for n, v in (*block.forces.items(), *block.outputs.items())})
        if first == 0:
            self._memory.clear()
        rows = self._rows(block.time.detach(), first, steps)
        whole = rows == list(range(len(block)))
        index = torch.tensor(rows, dtype=torch.int64, device=block.time.device)

        def kept(value: TensorWrapper) -> TensorWrapper:
            return value if whole else type(value)._new(value.data[index], value.sub_batch_ndim)

        chosen = block.names if self.variables is None else self.variables
        outputs = {n: kept(v) for n, v in block.outputs.items() if n in chosen}
        forces = {n: kept(v) for n, v in block.forces.items() if n in chosen or n == block.time_name}
        declared: dict[str, Declared] = dict(block.origin.declared)
        for quantity in self._quantities():
            outputs[quantity.text] = self._derive(quantity, block, kept)
            declared[quantity.text] = quantity.declared(block.origin.declared)
        return replace(
            block,
            time=block.time if whole else block.time[index],
            status=block.status if whole else block.status[index],
            iterations=block.iterations if whole else block.iterations[index],
            outputs=outputs,
            forces=forces,
            origin=replace(block.origin, declared=declared),
            rows=(index + first).cpu(),
            cycle=None if block.cycle is None else block.cycle[index.to(block.cycle.device)],
        )

    def memory(self) -> dict[str, torch.Tensor]:
        """What accumulated quantities need to go on, by name; a part of a checkpoint."""
        return {f"{key} {text}": v for text, kept in self._memory.items() for key, v in kept.items()}

    def remember(self, memory: Mapping[str, torch.Tensor]) -> None:
        """Go on from what :meth:`memory` has given."""
        self._memory.clear()
        for name, value in memory.items():
            key, _, text = name.partition(" ")
            self._memory.setdefault(text, {})[key] = value

    def _quantities(self) -> list[Derived]:
        return [parse(text) for text in self.derived]

    def _rows(self, time: torch.Tensor, first: int, steps: int) -> list[int]:
        """The positions in a block of the rows that are kept."""
        numbers = range(first, first + len(time))
        if self.last:
            return [k - first for k in numbers if k == steps - 1]
        if self.times is not None:
            hit = torch.zeros(len(time), dtype=torch.bool, device=time.device)
            for wanted in self.times:
                hit |= _at(time, wanted)
            return [int(k) for k in hit.nonzero().flatten()]
        return [k - first for k in numbers if k % self.every == 0 or k == steps - 1]

    def _derive(self, quantity: Derived, block: Trajectory, kept: Any) -> TensorWrapper:
        values = [expanded(_get(block, n), block.batch) for n in quantity.variables]
        if not quantity.quantity.accumulates:
            return quantity.quantity.function(*(kept(v) for v in values))
        memory = self._memory.get(quantity.text, {})
        a, b = values
        a_old, b_old = (_before(v, memory.get(key)) for key, v in (("a", a), ("b", b)))
        change = quantity.quantity.function(a, a_old, b, b_old).data.double()
        total = memory.get("total", change.new_zeros(change.shape[1:]))
        sums = torch.cumsum(torch.cat([total.unsqueeze(0), change]), 0)[1:]
        self._memory[quantity.text] = {"total": sums[-1], "a": a.data[-1], "b": b.data[-1]}
        return kept(Scalar(sums.to(a.data.dtype), a.sub_batch_ndim))


def _get(block: Trajectory, name: str) -> TensorWrapper:
    value = block.outputs.get(name, block.forces.get(name))
    assert value is not None  # checked
    return value


def _before(value: TensorWrapper, last: torch.Tensor | None) -> TensorWrapper:
    """The values one row earlier; the first row of a run has nothing before it but itself."""
    start = value.data[:1] if last is None else last.unsqueeze(0)
    return type(value)._new(torch.cat([start, value.data[:-1]]), value.sub_batch_ndim)


def _at(time: torch.Tensor, wanted: float) -> torch.Tensor:
    """Which rows are at a time, at some point at least."""
    hit = (time - wanted).abs() <= _CLOSE * abs(wanted)
    return hit.flatten(1).any(1) if hit.ndim > 1 else hit


def _numbers(values: Any) -> tuple[float, ...]:
    data = values.tolist() if hasattr(values, "tolist") else values
    return tuple(float(t) for t in (data if isinstance(data, Iterable) else [data]))
