"""Derivatives of measured quantities by parameters, exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from neml2.drivers.history import History

if TYPE_CHECKING:
    from neml2.recurrent.misfit import Group, Misfit


def slopes(misfit: Misfit, group: Group) -> torch.Tensor:
    """The derivatives of a group's differences by the parameters, ``(k, p)``, by the discrete adjoint.

    Every compared value has a copy of its test, with parameters of its own, so that one backward pass gives
    them all.
    """
    driver, space = misfit.driver, misfit.space
    known = dict(driver.model.named_parameters())
    tests = [misfit.experiments[i].history for i in group.numbers]
    copies = [tests[int(i)] for c in group.compared for i in c.point]
    wide = {
        path: known[path].detach().expand(len(copies), *known[path].shape) for path in space.paths.values()
    }
    leaves = {path: torch.nn.Parameter(data.clone()) for path, data in wide.items()}
    _swap(driver.model, {id(known[p]): leaf for p, leaf in leaves.items()})
    try:
        with torch.enable_grad():
            trajectory = driver.run(History.batch(copies), misfit.ways, progress=False)
            total, at = torch.zeros((), dtype=torch.float64), 0
            for c in group.compared:
                own = torch.arange(at, at + len(c))
                at += len(c)
                values = {n: trajectory[n] for n in c.quantity.names}
                rows = c.quantity.value(values)
                predicted = (1 - c.fraction) * rows[c.left, own] + c.fraction * rows[c.left + 1, own]
                predicted = torch.where(c.fraction == 1, rows[c.left + 1, own], predicted)
                total = total + (predicted.double() * c.scale).sum()
            total.backward()
    finally:
        _swap(driver.model, {id(leaf): known[p] for p, leaf in leaves.items()})
    columns = []
    for e in space.entries:
        grad = leaves[e.path].grad
        flat = torch.zeros(len(copies), 1) if grad is None else grad.reshape(len(copies), -1)
        columns.append(flat[:, e.index if grad is not None else 0].double())
    return torch.stack(columns, dim=1)


def _swap(model: torch.nn.Module, new: dict[int, torch.nn.Parameter]) -> None:
    for module in model.modules():
        for name, p in list(module._parameters.items()):
            if id(p) in new:
                module._parameters[name] = new[id(p)]
