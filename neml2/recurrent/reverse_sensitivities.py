"""Sensitivities by reverse mode through the eager engine, from one component of one row after another."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace

import torch

from neml2.derivatives import expand_batch
from neml2.drivers.engines.run import Run
from neml2.drivers.histories.history import History
from neml2.drivers.trajectory import Trajectory
from neml2.drivers.transient import TransientDriver
from neml2.model import Model
from neml2.step import StateUpdate

Tensors = dict[str, torch.Tensor]
Slopes = dict[tuple[str, str], torch.Tensor]


def by_reverse_mode(
    driver: TransientDriver,
    history: History,
    batch: torch.Size,
    parameters: Mapping[str, str],
    outputs: Iterable[str],
) -> tuple[Trajectory, Slopes]:
    """The trajectory and ``{(output, parameter): (n, *batch, *output, *parameter)}``.

    ``parameters`` are the names to return, with those of ``named_parameters()``.
    """
    model, leaves = pointwise(driver.model, parameters.values(), batch)
    eager = TransientDriver(
        model,
        driver.time,
        driver.on_failure,
        driver.max_substeps,
        driver.progress,
        driver.settings,
        driver.input_text,
        engine="eager",
        strain=driver.strain,
        stress=driver.stress,
    )
    with torch.enable_grad():
        trajectory = eager.run(history)
    found: Slopes = {}
    for output in outputs:
        slopes = _slopes(trajectory[output].data, batch, leaves)
        found |= {(output, n): slopes[own] for n, own in parameters.items()}
    return trajectory.detach(), found


def pointwise(model: Model, names: Iterable[str], batch: torch.Size) -> tuple[Model, Tensors]:
    """A copy of ``model`` in which every point has a value of its own of the parameters ``names``."""
    twin = deepcopy(model).requires_grad_(False)
    leaves: Tensors = {}
    of_old: dict[int, torch.nn.Parameter] = {}
    for n in names:
        owner, attr = twin._owner(n)
        old = owner._parameters[attr]
        assert old is not None
        rank = len(owner._kinds[attr].batch_shape(old.shape))
        data = old.detach().reshape((*(1,) * (len(batch) - rank), *old.shape))
        leaves[n] = of_old[id(old)] = torch.nn.Parameter(data.expand((*batch, *old.shape[rank:])).clone())
    for module in twin.modules():
        for attr, p in module._parameters.items():
            if p is not None and id(p) in of_old:
                module._parameters[attr] = of_old[id(p)]
    return twin, leaves


def initial_slopes(run: Run, names: Iterable[str], outputs: Iterable[str]) -> Slopes:
    """The derivatives of the initial state by parameters, ``(*batch, *output, *parameter)``."""
    batch = run.loading.batch
    model, leaves = pointwise(run.update.model, names, batch)
    with torch.enable_grad():
        start = replace(run, update=StateUpdate(model)).initial()[1]
        data = {n: expand_batch(start[n], batch).unsqueeze(0) for n in outputs}
    found: Slopes = {}
    for output, values in data.items():
        slopes = _slopes(values, batch, leaves)
        found |= {(output, n): d[0] for n, d in slopes.items()}
    return found


@torch.enable_grad()
def _slopes(data: torch.Tensor, batch: torch.Size, leaves: Mapping[str, torch.Tensor]) -> Tensors:
    """The derivatives of ``data``, ``(n, *batch, *inner)``, by the values that every point has."""
    inner = data.shape[1 + len(batch) :]
    own = {n: p.shape[len(batch) :] for n, p in leaves.items()}
    made = {n: data.new_zeros(len(data), inner.numel(), *batch, *own[n]) for n in leaves}
    if data.requires_grad and leaves:
        sums = data.reshape(len(data), batch.numel(), -1).sum(1)  # points have nothing to do with one another
        for k, c in itertools.product(*map(range, sums.shape)):
            found = torch.autograd.grad(
                sums[k, c], list(leaves.values()), retain_graph=True, allow_unused=True
            )
            for n, g in zip(leaves, found, strict=True):
                if g is not None:
                    made[n][k, c] = g
    return {
        n: t.movedim(1, len(batch) + 1).reshape(len(data), *batch, *inner, *own[n]) for n, t in made.items()
    }
