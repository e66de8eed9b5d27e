"""Cutting the increment of the points that failed into halves, quarters, ... until they converge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from neml2.lags import split
from neml2.points import put, put_data, take_all
from neml2.solvers.status import Status
from neml2.types import TensorWrapper

Values = dict[str, TensorWrapper]


@dataclass(frozen=True)
class Outcome:
    """Outputs by name, and status and iterations of every point."""

    outputs: Values
    status: torch.Tensor
    iterations: torch.Tensor


Evaluate = Callable[[Mapping[str, TensorWrapper], torch.Tensor], Outcome]


def refine(
    evaluate: Evaluate, values: Mapping[str, TensorWrapper], batch: torch.Size, whole: Outcome, levels: int
) -> Outcome:
    """``whole`` with the points that failed advanced anew, in at most ``2**levels`` pieces each.

    ``evaluate(values, which)`` advances the points ``which`` (counted in the flattened ``batch``), for which
    ``values`` have a flat batch or none. An input ``x`` with a partner ``x~1`` is interpolated linearly;
    ``u~1`` of an output ``u`` is chained from piece to piece; everything else is held. Older history than
    that is left out inside a step.
    """
    everyone = torch.arange(whole.status.numel(), device=whole.status.device)

    def cut(bad: torch.Tensor) -> Outcome:
        return _halves(evaluate, take_all(values, batch, bad), bad, 0.0, 1.0, {}, levels)

    return _replaced(evaluate, values, everyone, batch, whole, cut)


def _replaced(
    evaluate: Evaluate,
    values: Mapping[str, TensorWrapper],
    which: torch.Tensor,
    batch: torch.Size,
    whole: Outcome,
    cut: Callable[[torch.Tensor], Outcome],
) -> Outcome:
    """``whole`` with the points that failed replaced by what ``cut`` makes of them."""
    failed = whole.status.flatten() != Status.CONVERGED
    bad, good = failed.nonzero().squeeze(-1), (~failed).nonzero().squeeze(-1)
    outputs = whole.outputs
    if torch.is_grad_enabled() and any(v.data.requires_grad for v in outputs.values()):
        # Points that converged are evaluated once more by themselves, to the same bits: a graph that holds
        # the failed ones turns the gradients of all into NaN where those have an infinite slope (0 * inf).
        outputs = {n: v.detach() for n, v in outputs.items()}
        if good.numel():
            again = evaluate(take_all(values, batch, good), which[good]).outputs
            outputs = {n: put(v, batch, good, again[n]) for n, v in outputs.items()}
    parts = cut(bad)
    return Outcome(
        {n: put(v, batch, bad, parts.outputs[n]) for n, v in outputs.items()},
        put_data(whole.status, bad, parts.status),
        put_data(whole.iterations, bad, whole.iterations.flatten()[bad] + parts.iterations),
    )


def _piece(
    evaluate: Evaluate,
    values: Values,
    which: torch.Tensor,
    start: float,
    end: float,
    state: Values,
    levels: int,
) -> Outcome:
    inputs = _between(values, start, end, state)
    whole = evaluate(inputs, which)
    if levels == 0 or bool((whole.status == Status.CONVERGED).all()):
        return whole
    batch = torch.Size((len(which),))

    def cut(bad: torch.Tensor) -> Outcome:
        part, before = take_all(values, batch, bad), take_all(state, batch, bad)
        return _halves(evaluate, part, which[bad], start, end, before, levels)

    return _replaced(evaluate, inputs, which, batch, whole, cut)


def _halves(
    evaluate: Evaluate,
    values: Values,
    which: torch.Tensor,
    start: float,
    end: float,
    state: Values,
    levels: int,
) -> Outcome:
    middle = (start + end) / 2
    first = _piece(evaluate, values, which, start, middle, state, levels - 1)
    second = _piece(evaluate, values, which, middle, end, first.outputs, levels - 1)
    status = torch.where(first.status == Status.CONVERGED, second.status, first.status)
    return Outcome(second.outputs, status, first.iterations + second.iterations)


def _between(values: Values, start: float, end: float, state: Values) -> Values:
    """The inputs of the piece from ``start`` to ``end`` of an increment whose state so far is ``state``."""
    piece = dict(values)
    value: Any
    for name, value in values.items():
        base, lag = split(name)
        if lag == 1 and base in state:
            piece[name] = state[base]
        elif lag == 0 and f"{name}~1" in values and name not in state:
            old: Any = values[f"{name}~1"]
            new: Any = value
            piece[name] = new if end == 1.0 else old + (new - old) * end
            piece[f"{name}~1"] = old + (new - old) * start if start else old
    for name in values:  # with equal time stamps a predictor sees that there is no history
        base, lag = split(name)
        if lag > 1 and f"{base}~1" in piece:
            piece[name] = piece[f"{base}~1"]
    return piece
