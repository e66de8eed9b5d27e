"""The derivatives of what is compared with measurements, by the parameters that are fitted."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from neml2.drivers.histories.history import History
from neml2.drivers.trajectory import Trajectory
from neml2.drivers.transient import TransientDriver
from neml2.recurrent.forward_sensitivities import Sensitivities, sensitivities
from neml2.recurrent.free import Entry
from neml2.recurrent.predictions import Compared
from neml2.recurrent.transforms import Space


def slopes(
    driver: TransientDriver, history: History, compared: Sequence[Compared], space: Space
) -> torch.Tensor:
    """The derivatives of the residuals of one batch of tests by the parameters, ``(k, p)``."""
    needed = list(dict.fromkeys(n for c in compared for n in c.quantity.names))
    trajectory, found = sensitivities(driver, history, list(space.paths.values()), needed)
    by = {n: torch.stack([_of(e, trajectory, n, found) for e in space.entries], dim=-1) for n in needed}
    return torch.cat([c.slopes(trajectory, by).double() * c.scale[:, None] for c in compared])


def _of(entry: Entry, trajectory: Trajectory, name: str, found: Sensitivities) -> torch.Tensor:
    """The derivatives of a variable by one number, ``(rows, points, *base)``."""
    all_entries, rank = found[name, entry.path], trajectory[name].data.ndim
    return all_entries if all_entries.ndim == rank else all_entries.flatten(rank)[..., entry.index]
