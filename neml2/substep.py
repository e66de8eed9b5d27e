"""Cutting the increment of the points that failed into halves, quarters, ... until they converge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

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


def bisect(evaluate: Evaluate, values: Mapping[str, TensorWrapper], points: int, levels: int) -> Outcome:
    """Advance ``points`` points, whose whole increment has failed, in at most ``2**levels`` pieces each.

    ``evaluate(values, which)`` advances the points ``which`` of the ``points``; ``values`` have a flat batch
    or none. An input ``x`` with a partner ``x~1`` is interpolated linearly; ``u~1`` of an output ``u`` is
    chained from piece to piece; everything else is held. Older history than that is left out inside a step.
    """
    everyone = torch.arange(points)
    return _halves(evaluate, dict(values), everyone, 0.0, 1.0, {}, levels)


def _piece(
    evaluate: Evaluate,
    values: Values,
    which: torch.Tensor,
    start: float,
    end: float,
    state: Values,
    levels: int,
) -> Outcome:
    whole = evaluate(_between(values, start, end, state), which)
    bad = (whole.status != Status.CONVERGED).nonzero().squeeze(-1)
    if levels == 0 or bad.numel() == 0:
        return whole
    batch = torch.Size((len(which),))
    cut = _halves(
        evaluate, take_all(values, batch, bad), which[bad], start, end, take_all(state, batch, bad), levels
    )
    outputs = {n: put(v, batch, bad, cut.outputs[n]) for n, v in whole.outputs.items()}
    return Outcome(
        outputs,
        put_data(whole.status, bad, cut.status),
        put_data(whole.iterations, bad, cut.iterations),
    )


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
    for name, value in values.items():
        base, lag = split(name)
        if lag == 1 and base in state:
            piece[name] = state[base]
        elif lag == 0 and f"{name}~1" in values and name not in state:
            old = values[f"{name}~1"]
            piece[name] = value if end == 1.0 else old + (value - old) * end
            piece[f"{name}~1"] = old + (value - old) * start if start else old
    for name in values:  # with equal time stamps a predictor sees that there is no history
        base, lag = split(name)
        if lag > 1 and f"{base}~1" in piece:
            piece[name] = piece[f"{base}~1"]
    return piece
