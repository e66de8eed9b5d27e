"""A history in the kernel as operations of autograd: forward by `march`, backward by its adjoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from neml2.compiler.march import Marched, chosen
from neml2.derivatives import expand_batch
from neml2.drivers.control.aim import TARGET
from neml2.solvers.status import Status

if TYPE_CHECKING:
    from neml2.compiler.kernel import Tensors
    from neml2.drivers.engines.native_march import NativeMarch

Found = tuple["Tensors", torch.Tensor, torch.Tensor]  # outputs, status, iterations: (rows, points, ...)


def differentiated(march: NativeMarch) -> Found | None:
    """The whole history of all points in the autograd graph; ``None`` when a point fails."""
    if march.lengths is None:
        return _history(march, len(march.run.loading), None)
    parts = []
    for rows in march.lengths.unique().tolist():
        index = (march.lengths == rows).nonzero().squeeze(-1)
        found = _history(march, rows, index)
        if found is None:
            return None
        parts.append((index, found))
    return _together(parts, len(march.run.loading))


def _history(march: NativeMarch, rows: int, index: torch.Tensor | None) -> Found | None:
    """The first ``rows`` rows of some points, leg by leg: control may start from where the last leg ended."""
    kernel, overlap = march.kernel, march.overlap
    given, starts = march.given, march.starts
    if index is not None:
        given, starts = chosen(given, index), chosen(starts, index)
    points = march.points if index is None else len(index)
    done: Tensors = {n: t.expand(points, -1)[None] for n, t in starts.items()}  # (rows so far, points, size)
    marks = []
    for first, last in _legs(march, rows):
        base = max(first - overlap, 0)
        leg = {n: t[base:last] if n[:6] == "force_" else t for n, t in given.items()}
        if first > 1:
            for n, depth in kernel.states:
                for lag in range(1, depth + 1):
                    leg[f"init{lag}_{n}"] = done[n][max(first - lag, 0)].double()
        leg |= _targets(march, done, first, last, base)
        before = {n: t[base:first] for n, t in done.items()}
        report: list[torch.Tensor] = []
        tensors = (*leg.values(), *before.values())
        made = Marched.apply(
            kernel, first - base, last - base, points, report, tuple(leg), tuple(before), *tensors
        )
        if bool(report[0].any()):
            return None
        new = dict(zip(kernel.sizes, made, strict=True))
        whole = base == 0 and last == rows
        done = {n: new[n] if whole else torch.cat([t, new[n][first - base :]]) for n, t in done.items()}
        marks.append([m[first - base :] for m in report[1:]])
    start = (torch.full_like(marks[0][0][:1], int(Status.NOT_SOLVED)), torch.zeros_like(marks[0][1][:1]))
    status, iterations = (torch.cat([s, *m]) for s, m in zip(start, zip(*marks, strict=True), strict=True))
    return done, status, iterations


def _legs(march: NativeMarch, rows: int) -> list[tuple[int, int]]:
    """First and last row (exclusive) of every stretch whose control is known when it begins."""
    aim = march.run.aim
    cuts = {1, rows} | ({a + 1 for a in aim.anchors if 0 < a < rows - 1} if aim is not None else set())
    ends = sorted(cuts)
    return list(zip(ends[:-1], ends[1:], strict=True))


def _targets(march: NativeMarch, done: Tensors, first: int, last: int, base: int) -> Tensors:
    """The targets of rows ``base`` to ``last``, where those from ``first`` on start from what was reached."""
    aim = march.run.aim
    if aim is None or not any(aim.moving[first:last]):
        return {}
    anchor = aim.anchor[first]
    anchored = {n: march.typed(n, done[n][anchor]) for n in (aim.stress, aim.strain)}
    static = march.given[f"force_{TARGET}"].expand(-1, march.points, -1)
    rows = [
        expand_batch(aim.target(k, anchored), march.batch).reshape(march.points, -1)
        if k >= first and aim.moving[k]
        else static[k]
        for k in range(base, last)
    ]
    return {f"force_{TARGET}": torch.stack(rows)}


def _together(parts: list[tuple[torch.Tensor, Found]], steps: int) -> Found:
    """Histories of several lengths as one; rows after the end repeat the last one."""
    order = torch.cat([index for index, _ in parts]).argsort()

    def joined(tensors: list[torch.Tensor], fill: int | None = None) -> torch.Tensor:
        padded = []
        for t in tensors:
            more = t[-1:].expand(steps - len(t), *t.shape[1:])
            padded.append(torch.cat([t, more if fill is None else torch.full_like(more, fill)]))
        return torch.cat(padded, dim=1)[:, order]

    outputs = {n: joined([found[0][n] for _, found in parts]) for n in parts[0][1][0]}
    status = joined([found[1] for _, found in parts], int(Status.ENDED))
    return outputs, status, joined([found[2] for _, found in parts], 0)
