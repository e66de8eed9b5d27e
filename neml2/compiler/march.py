"""Whole histories: calls of the kernels of a march, and the autograd function around two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from neml2.compiler.kernel import Kernel, Tensors
from neml2.compiler.launch import view
from neml2.compiler.sensitivity import COLUMNS

Marks = tuple[torch.Tensor, torch.Tensor]


@dataclass
class March:
    """How a march ended.

    ``stopped`` ``(points)`` is the step at which a point failed, 0 where none did; ``end`` is the state at
    the end (of a failed point: before that step), named ``init*`` as the march takes it.
    """

    stopped: torch.Tensor
    end: Tensors


def run_march(
    kernel: Kernel,
    given: Tensors,
    first: int,
    last: int,
    points: int,
    outputs: Tensors,
    rows: torch.Tensor,
    marks: Marks,
) -> March:
    """Steps ``first`` to ``last - 1`` of all points.

    ``given`` are the :meth:`Kernel.arguments`. Step ``k`` is stored in row ``rows[k - first]`` (nowhere if
    negative) of ``outputs`` ``(rows, points, size)``, of which some may be left out, and of ``marks``,
    status and iterations ``(rows, points)``.
    """
    like = kernel.like(given)
    stopped = torch.zeros(points, dtype=torch.int64, device=like.device)
    end = {
        f"end{lag}_{n}": like.new_empty(points, kernel.sizes[n], dtype=torch.float64)
        for n, depth in kernel.states
        for lag in range(1, depth + 1)
    }
    arguments: dict[str, object] = {n: view(t) for n, t in {**given, **end}.items()}
    arguments |= {f"out_{n}": view(t) for n, t in outputs.items()}
    arguments |= {"points": points, "first": first, "last": last, "row": rows}
    arguments |= {"status": marks[0], "iterations": marks[1], "stopped": stopped, "sites": kernel.sites}
    kernel.launcher("march", like).run(arguments)
    return March(stopped, {f"init{n[3:]}": t for n, t in end.items()})


class Marched(torch.autograd.Function):
    """A history as one operation: outputs of all rows, those before step ``first`` as they are given."""

    @staticmethod
    def forward(ctx, kernel, first, steps, points, report, names, starts, *tensors):
        given = dict(zip(names, tensors[: len(names)], strict=True))
        like = kernel.like(given)
        outputs = {n: like.new_empty(steps, points, size) for n, size in kernel.sizes.items()}
        for n, t in zip(starts, tensors[len(names) :], strict=True):
            outputs[n][:first] = t
        for n in kernel.sizes.keys() - set(starts):
            outputs[n][:first] = 0.0
        rows = torch.arange(first, steps, device=like.device)
        status = torch.zeros(steps, points, dtype=torch.int8, device=like.device)
        iterations = torch.zeros(steps, points, dtype=torch.int32, device=like.device)
        done = run_march(kernel, given, first, steps, points, outputs, rows, (status, iterations))
        report += [done.stopped, status, iterations]
        shapes = {n: t.shape for n, t in zip(starts, tensors[len(names) :], strict=True)}
        ctx.kernel, ctx.first, ctx.points, ctx.names, ctx.starts = kernel, first, points, names, shapes
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors[: len(names)], *outputs.values())
        return tuple(outputs.values())

    @staticmethod
    def backward(ctx, *bars):
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the native engine gives first derivatives; take second ones with engine='eager'"
            )
        kernel, names = ctx.kernel, ctx.names
        saved = ctx.saved_tensors
        given = dict(zip(names, saved[: len(names)], strict=True))
        tape = dict(zip(kernel.sizes, saved[len(names) :], strict=True))
        cotangents = {n: b.contiguous() for n, b in zip(kernel.sizes, bars, strict=True) if b is not None}
        needed = dict(zip((*names, *ctx.starts), ctx.needs_input_grad[7:], strict=True))
        wanted = [n for n in names if needed[n]]
        found = run_adjoint(kernel, given, tape, cotangents, ctx.first, ctx.points, wanted)
        gradients = []
        for n, t in given.items():
            g = found.get(n)
            gradients.append(None if g is None else g.sum(-2, keepdim=True) if t.shape[-2] == 1 else g)
        for n, shape in ctx.starts.items():
            early = cotangents[n][: ctx.first].sum_to_size(shape) if needed[n] and n in cotangents else None
            gradients.append(early)
        return (None,) * 7 + tuple(gradients)


def run_adjoint(
    kernel: Kernel,
    given: Tensors,
    tape: Tensors,
    bars: Tensors,
    first: int,
    points: int,
    wanted: list[str],
    strict: bool = False,
    begin: Tensors | None = None,
) -> Tensors:
    """Gradients, of every point, for the arguments that are ``wanted``, by name.

    ``begin`` are cotangents of the state after the last step, named ``init*`` as that of a march, if later
    steps have read it; the result has those of the state before the first step under the same names. Points
    where the pivots that were chosen ahead are no good are done again with row pivoting.
    """
    like, begin = kernel.like(given), begin or {}
    steps = next(iter(tape.values())).shape[0]
    made: Tensors = {}
    for name, t in kernel.step.parameters.items():
        made[f"gpar_{name}"] = like.new_empty(points, t.nodes.size)
    for name, size in kernel.forces.items():
        if f"force_{name}" in wanted:
            made[f"gforce_{name}"] = like.new_zeros(steps, points, size)
    for name, depth in kernel.states:
        for j in range(depth):
            made[f"end{j}_{name}"] = like.new_empty(points, kernel.sizes[name])
    untrusted = torch.zeros(points, dtype=torch.int8, device=like.device)
    arguments: dict[str, object] = {n: view(t) for n, t in {**given, **made}.items()}
    arguments |= {f"tape_{n}": view(t) for n, t in tape.items()}
    arguments |= {f"bar_{n}": view(t) for n, t in bars.items()}
    for name, depth in kernel.states if begin else ():
        arguments |= {f"begin{j}_{name}": view(begin[f"init{j + 1}_{name}"]) for j in range(depth)}
    arguments |= {"points": points, "first": first, "last": steps, "base": 0, "untrusted": untrusted}
    kernel.launcher("adjoint", like, strict=strict).run(arguments)
    found = {n: made[f"g{n}"] for n in wanted if f"g{n}" in made}
    for name, depth in kernel.states:
        found |= {f"init{j + 1}_{name}": made[f"end{j}_{name}"] for j in range(depth)}
    if not strict and bool(untrusted.any()):
        index = untrusted.nonzero().squeeze(-1)
        few = [chosen(part, index) for part in (given, tape, bars, begin)]
        again = run_adjoint(kernel, few[0], few[1], few[2], first, len(index), wanted, True, few[3])
        for n, g in again.items():
            found[n].index_copy_(-2, index, g)
    return found


def run_tangent(
    kernel: Kernel,
    given: Tensors,
    tape: Tensors,
    by: tuple[str, ...],
    first: int,
    points: int,
    strict: bool = False,
) -> Tensors:
    """Derivatives of the outputs by the prescribed values ``by``: ``(steps - first, points, size, n)``.

    Points where the pivots that were chosen ahead are no good are done again with row pivoting.
    """
    like = kernel.like(given)
    steps = next(iter(tape.values())).shape[0]
    columns = sum(kernel.forces[n] for n in by)
    sizes = {n: t.nodes.size for n, t in kernel.step.outputs.items()}
    made = {n: like.new_empty(steps, points, size * columns) for n, size in sizes.items()}
    untrusted = torch.zeros(points, dtype=torch.int8, device=like.device)
    arguments: dict[str, object] = {n: view(t) for n, t in given.items()}
    arguments |= {f"tape_{n}": view(t) for n, t in tape.items()}
    arguments |= {f"d_{n}": view(t) for n, t in made.items()}
    arguments |= {"points": points, "first": first, "last": steps, "base": 0, "untrusted": untrusted}
    kernel.launcher("tangent", like, by, strict).run(arguments)
    found = {n: t[first:].reshape(steps - first, points, sizes[n], columns) for n, t in made.items()}
    if not strict and bool(untrusted.any()):
        index = untrusted.nonzero().squeeze(-1)
        again = run_tangent(kernel, chosen(given, index), chosen(tape, index), by, first, len(index), True)
        for n, d in again.items():
            found[n].index_copy_(1, index, d)
    return found


def run_sensitivity(
    kernel: Kernel,
    given: Tensors,
    tape: Tensors,
    first: int,
    points: int,
    wanted: Sequence[str],
    outputs: Sequence[str] | None = None,
    along: Tensors | None = None,
    begin: Tensors | None = None,
    strict: bool = False,
) -> tuple[Tensors, Tensors]:
    """Derivatives of ``outputs`` (``None``: all) at steps ``first`` and later by the parameters ``wanted``.

    A column is a component of a parameter, in the order of ``wanted``. The first result has ``(steps, points,
    size, columns)`` by output, zero before ``first``. The second has the derivatives of the last state,
    ``(points, columns, size)``, named ``begin*`` by lag as ``begin`` takes those of the first, zero where
    they are missing. ``along`` says how prescribed values change, ``(steps, points, columns, size)`` by name.
    Points where the pivots that were chosen ahead are no good are done again with row pivoting.
    """
    like, along, begin = kernel.like(given), along or {}, begin or {}
    steps = next(iter(tape.values())).shape[0]
    sizes = {n: t.nodes.size for n, t in kernel.step.outputs.items()}
    seed = _seeds(kernel, wanted, like)
    columns = len(seed)
    made = {
        n: like.new_empty(steps, points, columns, sizes[n]) for n in (sizes if outputs is None else outputs)
    }
    for t in made.values():
        t[:first] = 0.0
    end = {
        f"end{lag}_{n}": like.new_empty(points, columns, sizes[n], dtype=torch.float64)
        for n, depth in kernel.states
        for lag in range(1, depth + 1)
    }
    kept = {f"along_{n}": t for n, t in along.items()} | {f"d_{n}": t for n, t in made.items()} | begin | end
    launcher = kernel.launcher("sensitivity", like, tuple(along), strict)
    untrusted = torch.zeros(points, dtype=torch.int8, device=like.device)
    for start in range(0, columns, COLUMNS):
        part = slice(start, min(start + COLUMNS, columns))
        mark = torch.zeros_like(untrusted)
        arguments: dict[str, object] = {n: view(t) for n, t in given.items()}
        arguments |= {f"tape_{n}": view(t) for n, t in tape.items()}
        arguments |= {n: view(t[..., part, :].flatten(-2)) for n, t in kept.items()}
        arguments |= {"points": points, "first": first, "last": steps, "base": 0, "untrusted": mark}
        launcher.run(arguments | {"columns": part.stop - start, "seed": view(seed[part])})
        untrusted |= mark
    if not strict and bool(untrusted.any()):
        index = untrusted.nonzero().squeeze(-1)
        few_given, few_tape = chosen(given, index), chosen(tape, index)
        few_along, few_begin = ({n: t[..., index, :, :] for n, t in d.items()} for d in (along, begin))
        d, last = run_sensitivity(
            kernel, few_given, few_tape, first, len(index), wanted, outputs, few_along, few_begin, strict=True
        )
        for n, t in d.items():
            made[n][:, index] = t.transpose(-1, -2)
        for n, t in last.items():
            end[f"end{n[5:]}"][index] = t
    found = {n: t.transpose(-1, -2) for n, t in made.items()}
    return found, {f"begin{n[3:]}": t for n, t in end.items()}


def _seeds(kernel: Kernel, wanted: Sequence[str], like: torch.Tensor) -> torch.Tensor:
    """Which component of all parameters changes in which column, ``(columns, 1, components)``."""
    sizes = {n: t.nodes.size for n, t in kernel.step.parameters.items()}
    starts, position = {}, 0
    for n, size in sizes.items():
        starts[n] = position
        position += size
    places = [starts[n] + c for n in wanted for c in range(sizes[n])]
    seed = like.new_zeros(len(places), 1, position)
    seed[range(len(places)), 0, places] = 1.0
    return seed


def chosen(tensors: Tensors, index: torch.Tensor) -> Tensors:
    """The arrays ``([steps,] points or 1, size)`` of some points."""
    return {n: t if t.shape[-2] == 1 else t.index_select(-2, index) for n, t in tensors.items()}
