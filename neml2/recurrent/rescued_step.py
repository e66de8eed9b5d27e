"""A step that the kernel gave up at some points: the eager engine takes them through it, with derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from neml2.derivatives import expand_batch
from neml2.drivers.engines.run import Run
from neml2.recurrent.reverse_sensitivities import pointwise
from neml2.solvers.status import Status
from neml2.step import StateUpdate
from neml2.types import TensorWrapper

Values = Mapping[str, TensorWrapper]
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Rescued:
    """A step of the points ``index``, counted in the flattened batch.

    ``status`` and ``iterations`` ``(k,)`` are those of all of them, ``outputs`` ``(g, size)`` and ``slopes``
    ``(g, size, columns)`` those of the ones that have converged, ``index[good]``.
    """

    good: torch.Tensor
    status: torch.Tensor
    iterations: torch.Tensor
    outputs: Tensors
    slopes: Tensors


@dataclass(frozen=True)
class Moving:
    """Values that change with the parameters, and by how much: ``(points, size, columns)`` by name."""

    values: Values
    slopes: Tensors

    def leaves(self) -> tuple[dict[str, TensorWrapper], Tensors]:
        """The values, those that change as leaves of a graph; and these leaves."""
        found = dict(self.values)
        leaves = {n: found[n].data.detach().clone().requires_grad_() for n in self.slopes if n in found}
        return found | {n: type(found[n])._new(t, found[n].sub_batch_ndim) for n, t in leaves.items()}, leaves


@torch.enable_grad()
def rescued(
    run: Run,
    row: int,
    state: Moving,
    last: Moving,
    index: torch.Tensor,
    names: Sequence[str],
    wanted: Sequence[str],
) -> Rescued:
    """Row ``row`` of the points ``index``, from the ``state`` and the outputs before it.

    Columns are the components of the parameters ``names``. One backward pass through the step is made for
    every component of the results ``wanted`` and of the state.
    """
    batch = run.loading.batch
    model, own = pointwise(run.update.model, names, batch)
    update, forces = StateUpdate(model), run.forces(row, {})
    before, moving_state = state.leaves()
    outputs_before, moving_last = last.leaves()
    old = run.old_forces(row, outputs_before)
    result = update(before, forces, old, run.levels, index)
    good = result.status.expand(index.shape) == Status.CONVERGED
    marks = result.status.expand(index.shape), result.iterations.expand(index.shape)
    if not bool(good.any()):
        return Rescued(good, *marks, {}, {})
    if not bool(good.all()):  # the slopes of those that failed are not to be in the graph
        result = update(before, forces, old, run.levels, index[good])
    points = index[good]
    known = [(t, state.slopes[n]) for n, t in moving_state.items()]
    known += [(t, last.slopes[n]) for n, t in moving_last.items()]
    leaves = [*own.values(), *(t for t, _ in known)]
    outputs, slopes = {}, {}
    for name, value in result.outputs.items():
        data = expand_batch(value, torch.Size(points.shape)).reshape(len(points), -1)
        outputs[name] = data.detach()
        if name not in wanted and name not in update.states:
            continue
        by = _derivatives(data, leaves, batch.numel(), points)
        slopes[name] = torch.cat(by[: len(own)], dim=-1)
        for d, (_, s) in zip(by[len(own) :], known, strict=True):
            slopes[name] = slopes[name] + d @ s[points].to(d.dtype)
    return Rescued(good, *marks, outputs, slopes)


def _derivatives(
    data: torch.Tensor, leaves: Sequence[torch.Tensor], points: int, index: torch.Tensor
) -> list[torch.Tensor]:
    """The derivatives of ``data`` ``(g, size)`` by every leaf ``(*batch, ...)``, ``(g, size, n)``."""
    made = [data.new_zeros(*data.shape, t.numel() // points) for t in leaves]
    for c in range(data.shape[1] if data.requires_grad else 0):
        # Points have nothing to do with one another, so that the slopes of their sum are those of each.
        found = torch.autograd.grad(data[:, c].sum(), leaves, retain_graph=True, allow_unused=True)
        for t, g in zip(made, found, strict=True):
            if g is not None:
                t[:, c] = g.reshape(points, -1)[index]
    return made
