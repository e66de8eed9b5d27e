"""Gradients of long histories in little memory: states are kept every some rows, the rest is made again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from neml2.compiler.build import NoCompiler
from neml2.compiler.lower import Unsupported
from neml2.compiler.march import chosen, run_adjoint, run_march
from neml2.derivatives import expand_batch
from neml2.drivers.control.aim import TARGET
from neml2.drivers.engines.native import NativeMarch, NotNative
from neml2.drivers.histories.history import History
from neml2.drivers.trajectory import Trajectory
from neml2.drivers.transient import TransientDriver
from neml2.recurrent.forward_sensitivities import known_outputs
from neml2.solvers.status import Status

if TYPE_CHECKING:
    from neml2.compiler.kernel import Kernel, Tensors

Made = tuple["Tensors", torch.Tensor, torch.Tensor]  # outputs, status, iterations: (rows, points, ...)


def checkpointed(
    driver: TransientDriver,
    history: History | Mapping[str, Any],
    outputs: str | Iterable[str],
    every: int | None = None,
) -> Trajectory:
    """The trajectory of some ``outputs`` along ``history``, whose gradients need little memory.

    It is part of the autograd graph as that of :meth:`~neml2.drivers.TransientDriver.run`, with the same
    values and gradients. That one keeps all unknowns of all rows; this one keeps the outputs that are named,
    the state of every ``every``-th row (by default the square root of their number), and, while it goes back,
    the unknowns of so many rows, which it makes again. The gradient takes one more run for it.

    The native engine does this; runs that it refuses (with ``engine="native"`` they raise
    :class:`~neml2.drivers.NotNative`) and runs with points that fail in the kernel are those of
    :meth:`~neml2.drivers.TransientDriver.run`, and channel ``driver`` says so. Raises what that raises, and
    :class:`ValueError` for ``every`` below 1.
    """
    if every is not None and every < 1:
        raise ValueError(f"every is {every}; give a number of rows, 1 or more")
    given, engine, run = driver.prepare(history)
    names = known_outputs(run.update.outputs, outputs)
    if driver.engine == "eager":
        return driver.run(given, save=names)
    try:
        if any(s.until is not None for s in given.segments):
            raise NotNative("it keeps no states of histories that go on until something happens")
        march = engine.march(run)
        if not march.differentiated:
            return driver.run(given, save=names)
        try:
            march.kernel.launcher("adjoint", march.like).build()
        except (NoCompiler, Unsupported) as error:
            raise NotNative(str(error)) from None
        made = _Checkpointed(march, names, every or math.ceil(math.sqrt(len(run.loading)))).whole()
        if made is not None:
            found = {n: march.typed(n, made[0][n], len(run.loading)) for n in names}
            shape = (len(run.loading), *march.batch)
            return run.block(0, found, made[1].reshape(shape), made[2].reshape(shape))
        engine.say_once("points failed in the kernel, so the whole history is kept for the gradients")
    except NotNative as reason:
        if driver.engine == "native":
            raise NotNative(f"engine='native' cannot run {driver.model}: {reason}") from None
        engine.say_once(str(reason))
    return driver.run(given, save=names)


class _Checkpointed:
    """The history of a march: of points of one length after another, stretch of control after stretch."""

    def __init__(self, march: NativeMarch, names: list[str], every: int) -> None:
        self.march, self.kernel, self.every = march, march.kernel, every
        self.aim = march.run.aim if march.run.aim is not None and march.run.aim.anchors else None
        more = [] if self.aim is None else [self.aim.stress, self.aim.strain]
        self.names = list(dict.fromkeys([*names, *more]))
        self.steps = len(march.run.loading)

    def whole(self) -> Made | None:
        """All points; ``None`` when one fails."""
        lengths = self.march.lengths
        if lengths is None:
            return self._history(self.steps, None)
        parts, order = [], []
        for rows in lengths.unique().tolist():
            order.append((lengths == rows).nonzero().squeeze(-1))
            made = self._history(rows, order[-1])
            if made is None:
                return None
            parts.append(made)
        back = torch.cat(order).argsort()
        outputs = {n: torch.cat([p[0][n] for p in parts], dim=1)[:, back] for n in self.names}
        status = torch.cat([p[1] for p in parts], dim=1)[:, back]
        return outputs, status, torch.cat([p[2] for p in parts], dim=1)[:, back]

    def _history(self, rows: int, index: torch.Tensor | None) -> Made | None:
        """The first ``rows`` rows of some points; those after them repeat the last one."""
        given, starts = self.march.given, {n: self.march.starts[n] for n in self.names}
        points = self.march.points if index is None else len(index)
        if index is not None:
            given, starts = chosen(given, index), chosen(starts, index)
        done: dict[str, list[torch.Tensor]] = {n: [] for n in self.names}
        like = self.march.like
        status = torch.full((self.steps, points), int(Status.ENDED), dtype=torch.int8, device=like.device)
        status[0] = int(Status.NOT_SOLVED)
        iterations = torch.zeros(self.steps, points, dtype=torch.int32, device=like.device)
        for first, last in self._stretches(rows):
            if self.aim is not None:
                given = given | self._targets(given, done, first, last)
            failed: list[bool] = []
            marks = status[first:last], iterations[first:last]
            before = [t.expand(1, points, -1)[: first == 1] for t in starts.values()]  # row 0, or none
            how = self.kernel, first, last, points, self.every, self.names, marks, failed, tuple(given)
            made = Recomputed.apply(*how, *given.values(), *before)
            if failed:
                return None
            for n, t in zip(self.names, made, strict=False):
                done[n].append(t)
            given = given | dict(zip(_states(self.kernel), made[len(self.names) :], strict=True))
        return {n: _joined(parts, self.steps) for n, parts in done.items()}, status, iterations

    def _stretches(self, rows: int) -> list[tuple[int, int]]:
        """First and last row (exclusive) of the parts whose control is known when they begin."""
        anchors = () if self.aim is None else self.aim.anchors
        ends = sorted({1, rows} | {a + 1 for a in anchors if a < rows - 1})
        return list(zip(ends[:-1], ends[1:], strict=True))

    def _targets(self, given: Tensors, done: dict[str, list[torch.Tensor]], first: int, last: int) -> Tensors:
        """The targets of all rows, where those that start from what was reached are filled in."""
        assert self.aim is not None
        rows = list(given[f"force_{TARGET}"])
        for k in range(first, last):
            if self.aim.moving[k]:
                anchor = self.aim.anchor[k]
                reached = {
                    n: self.march.typed(n, _row(done[n], anchor)) for n in (self.aim.stress, self.aim.strain)
                }
                target = expand_batch(self.aim.target(k, reached), self.march.batch)
                rows[k] = target.reshape(self.march.points, -1)
        return {f"force_{TARGET}": torch.stack(rows)}


class Recomputed(torch.autograd.Function):
    """Steps ``first`` to ``last - 1`` as one operation, which keeps the state of every ``every``-th step.

    It gives the outputs ``keep``, ``(rows + last - first, points, size)``, whose first ``rows`` are the last
    of the given tensors, and the state at the end.
    """

    @staticmethod
    def forward(ctx, kernel, first, last, points, every, keep, marks, failed, names, *tensors):
        given = dict(zip(names, tensors, strict=False))
        like = kernel.like(given)
        before = tensors[len(names) :]
        rows = len(before[0])
        outputs = {n: like.new_empty(rows + last - first, points, kernel.sizes[n]) for n in keep}
        for t, start in zip(outputs.values(), before, strict=True):
            t[:rows] = start
        state = {n: given[n].expand(points, -1) for n in _states(kernel)}
        kept = []
        for a, b in _blocks(first, last, every):
            kept.append(state)
            part = {n: t[rows + a - first : rows + b - first] for n, t in outputs.items()}
            here, all_rows = slice(a - first, b - first), torch.arange(b - a, device=like.device)
            into = marks[0][here], marks[1][here]
            done = run_march(kernel, {**given, **state}, a, b, points, part, all_rows, into)
            state = done.end
            if bool(done.stopped.any()):
                failed.append(True)
                break
        ctx.how = kernel, first, last, points, every, keep, names, rows
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*given.values(), *(t for s in kept for t in s.values()))
        return *outputs.values(), *(state[n] for n in _states(kernel))

    @staticmethod
    def backward(ctx, *bars):
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the native engine gives first derivatives; take second ones with engine='eager'"
            )
        kernel, first, last, points, every, keep, names, rows = ctx.how
        saved, states = ctx.saved_tensors, _states(kernel)
        given = dict(zip(names, saved[: len(names)], strict=True))
        like = kernel.like(given)
        wanted = [n for n, need in zip(names, ctx.needs_input_grad[9:], strict=False) if need]
        found = {n: like.new_zeros(*given[n].shape[:-2], points, given[n].shape[-1]) for n in wanted}
        begin = {n: like.new_zeros(points, given[n].shape[-1]) for n in states}
        for n, bar in zip(states, bars[len(keep) :], strict=True):
            if bar is not None:
                begin[n] += bar
        blocks = _blocks(first, last, every)
        for i, (a, b) in reversed(list(enumerate(blocks))):
            at = len(names) + i * len(states)
            state = dict(zip(states, saved[at : at + len(states)], strict=True))
            low = max(a - _overlap(kernel), 0)
            part = {n: t[low:b] if n[:6] == "force_" else t for n, t in given.items()} | state
            tape = _tape(kernel, part, a - low, b - low, points)
            cotangents = {}
            for n, bar in zip(keep, bars, strict=False):
                if bar is not None:
                    cotangents[n] = like.new_zeros(b - low, points, bar.shape[-1])
                    cotangents[n][a - low :] = bar[rows + a - first : rows + b - first]
            done = run_adjoint(kernel, part, tape, cotangents, a - low, points, wanted, begin=begin)
            begin = {n: done[n] for n in states}
            for n in wanted:
                if n[:6] == "force_":
                    found[n][low:b] += done[n]
                elif n not in begin:
                    found[n] += done[n]
        found |= {n: begin[n] for n in wanted if n in begin}
        gradients = [None if n not in found else _own(found[n], given[n]) for n in names]
        before = [None if bar is None else bar[:rows] for bar in bars[: len(keep)]]
        return (None,) * 9 + (*gradients, *before)


def _tape(kernel: Kernel, given: Tensors, first: int, last: int, points: int) -> Tensors:
    """Everything that steps ``first`` to ``last - 1`` leave behind, after the states before them."""
    like = kernel.like(given)
    tape = {n: like.new_zeros(last, points, size) for n, size in kernel.sizes.items()}
    for n, depth in kernel.states:
        for lag in range(1, depth + 1):
            if first >= lag:
                tape[n][first - lag] = given[f"init{lag}_{n}"]
    rows = torch.arange(first, last, device=like.device)
    status = torch.empty(last, points, dtype=torch.int8, device=like.device)
    iterations = torch.empty(last, points, dtype=torch.int32, device=like.device)
    run_march(kernel, given, first, last, points, tape, rows, (status, iterations))
    return tape


def _states(kernel: Kernel) -> list[str]:
    """The names of the states before a step, as a march takes them."""
    return [f"init{lag}_{n}" for n, depth in kernel.states for lag in range(1, depth + 1)]


def _overlap(kernel: Kernel) -> int:
    """How many rows before a step it may look at."""
    lags = [lag for _, lag in (*kernel.step.forces.values(), *kernel.step.states.values())]
    return max([1, *lags])


def _blocks(first: int, last: int, every: int) -> list[tuple[int, int]]:
    return [(a, min(a + every, last)) for a in range(first, last, every)]


def _own(gradient: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """The gradient of a value that all points may share."""
    gradient = gradient.to(value.dtype)
    return gradient.sum(-2, keepdim=True) if value.shape[-2] == 1 else gradient


def _row(parts: list[torch.Tensor], k: int) -> torch.Tensor:
    for part in parts:
        if k < len(part):
            return part[k]
        k -= len(part)
    raise AssertionError(f"row {k} is not done")


def _joined(parts: list[torch.Tensor], rows: int) -> torch.Tensor:
    """Parts of a history as one, whose last row is repeated up to so many ``rows``."""
    more = rows - sum(len(t) for t in parts)
    if not more and len(parts) == 1:
        return parts[0]
    return torch.cat([*parts, parts[-1][-1:].expand(more, *parts[-1].shape[1:])])
