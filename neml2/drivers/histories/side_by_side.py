"""Histories of different specimens as one batch: padded to equal lengths, each with its own clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from neml2.drivers.control.control import Control
from neml2.drivers.histories.algebra import data_of, like, rows_of, several, shared
from neml2.drivers.histories.compose import aligned
from neml2.drivers.histories.history import History
from neml2.types import Scalar, TensorWrapper


def batch(histories: Iterable[History]) -> History:
    """See :meth:`History.batch`."""
    parts = several(histories)
    if any(p.lengths is not None for p in parts):
        raise ValueError("one of the histories is a padded batch already; give all histories in one call")
    rank = max(_rank(p) for p in parts)
    counts = torch.tensor([len(p) for p in parts])
    rows = int(counts.max())
    varying, constant = shared(parts)
    fixed = [n for n in varying if all(n in p.constant for p in parts)]
    constant |= {n: _stacked(n, [p.constant[n] for p in parts], rank, 0, lambda x: x) for n in fixed}

    def padded(values: torch.Tensor) -> torch.Tensor:
        return torch.cat([values, values[-1:].expand(rows - len(values), *values.shape[1:])])

    def prescribed(name: str) -> Any:
        return _stacked(name, [rows_of(p, name) for p in parts], rank, 1, padded)

    times = [padded(aligned(p.time, 1 + rank)) for p in parts]
    one_clock = rank == 0 and all(torch.equal(t, times[0]) for t in times)
    return History(
        times[0] if one_clock else torch.stack(torch.broadcast_tensors(*times), dim=1),
        {n: prescribed(n) for n in varying if n not in fixed},
        initial=_initial(parts, rank),
        constant=constant,
        control=_control(parts, rank, padded),
        lengths=None if bool((counts == rows).all()) else counts.reshape(-1, *(1,) * rank),
        cycle=_cycle(parts),
        segments=_segments(parts),
    )


def _rank(history: History) -> int:
    """How many batch axes a history has."""
    typed = [v for v in history.prescribed.values() if isinstance(v, TensorWrapper)]
    ranks = [history.time.ndim - 1, *(len(v.dynamic_batch_shape) - 1 for v in typed)]
    typed = [
        v for v in (*history.constant.values(), *history.initial.values()) if isinstance(v, TensorWrapper)
    ]
    ranks += [len(v.dynamic_batch_shape) for v in typed]
    return max(ranks if history.control is None else [*ranks, len(history.control.batch)])


def _stacked(
    name: str, values: Sequence[Any], rank: int, axis: int, padded: Callable[[torch.Tensor], torch.Tensor]
) -> Any:
    """Values of one variable along a new first batch axis; those with a step axis have it at 0."""
    values = [Scalar(data_of(v, name)) if isinstance(v, int | float) else v for v in values]
    typed = next((v for v in values if isinstance(v, TensorWrapper)), None)
    if any(type(v) is not type(typed) for v in values if isinstance(v, TensorWrapper)):
        raise TypeError(f"'{name}' is of several types in the histories; give one type")
    data = [padded(data_of(v, name)) for v in values]
    if typed is None and (rank or len({d.shape for d in data}) > 1):
        raise ValueError(
            f"'{name}' is a plain array, of which the batch axes are not known; give a typed tensor"
        )
    if typed is not None:
        tail = typed.sub_batch_ndim + typed.BASE_NDIM
        data = [
            d.reshape((*d.shape[:axis], *(1,) * (axis + rank + tail - d.ndim), *d.shape[axis:])) for d in data
        ]
    whole = torch.stack(torch.broadcast_tensors(*data), dim=axis)
    return whole if typed is None else like(typed, whole)


def _initial(parts: Sequence[History], rank: int) -> dict[str, Any]:
    names = dict.fromkeys(n for p in parts for n in p.initial)
    for n in names:
        lacking = next((i for i, p in enumerate(parts) if n not in p.initial), None)
        if lacking is not None:
            raise ValueError(
                f"history {lacking} has no initial value of '{n}', but another one has; give it in all of"
                " them"
            )
    return {n: _stacked(n, [p.initial[n] for p in parts], rank, 0, lambda x: x) for n in names}


def _control(
    parts: Sequence[History], rank: int, padded: Callable[[torch.Tensor], torch.Tensor]
) -> Control | None:
    controls = [p.control for p in parts if p.control is not None]
    if not controls:
        return None
    if len(controls) < len(parts) or len({c.components for c in controls}) > 1:
        raise ValueError(
            "histories with control of strain and stress, of the deformation gradient, and without any cannot"
            " be put together; make them of the same kind"
        )
    anchors = torch.stack([padded(c.anchor) for c in controls])
    moving = torch.stack([padded((c.carry != 0).flatten(1).any(1)) for c in controls])
    first = torch.where(moving, anchors, anchors.max() + 1).min(0).values
    clash = (moving & (anchors != first)).any(0).nonzero()
    if len(clash):
        raise ValueError(
            f"at row {int(clash[0])} the histories start from what was reached at different rows; give their"
            " segments equal numbers of rows, or run them one by one"
        )
    arrays = {}
    for name in controls[0].arrays():
        columns = [padded(aligned(c.arrays()[name], rank + 2)) for c in controls]
        arrays[name] = torch.stack(torch.broadcast_tensors(*columns), dim=1)
    return Control(**arrays, anchor=torch.where(moving.any(0), first, anchors[0]))


def _cycle(parts: Sequence[History]) -> torch.Tensor | None:
    """The cycles of the longest history, if the others agree on all rows that they have."""
    longest = max(parts, key=len).cycle
    if longest is None or any(p.cycle is None or not torch.equal(p.cycle, longest[: len(p)]) for p in parts):
        return None
    return longest


def _segments(parts: Sequence[History]) -> tuple[Any, ...]:
    """The segments of the longest history, if the others have the same as far as they go."""
    longest = max(parts, key=len).segments
    if all(p.segments == longest[: len(p.segments)] for p in parts):
        return longest
    if any(s.until is not None for p in parts for s in p.segments):
        raise ValueError(
            "the histories have different segments, some of which a condition may end; only histories with"
            " the same segments can be batched then"
        )
    return ()
