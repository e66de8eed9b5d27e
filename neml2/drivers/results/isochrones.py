"""Isochronous curves: stress over strain at given times, read off creep tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neml2.drivers.histories.segments import check_component, positive
from neml2.drivers.results.layout import to_disk
from neml2.drivers.trajectory import Trajectory

if TYPE_CHECKING:
    import pandas


def isochronous_curves(
    trajectory: Trajectory,
    times: Sequence[float],
    *,
    strain: str = "strain",
    stress: str = "stress",
    component: str = "xx",
) -> pandas.DataFrame:
    """A table with one row for every time and test: ``time``, ``stress`` and ``strain`` of one component.

    trajectory
        Creep tests at several stresses, as of :func:`neml2.drivers.histories.laboratory.isochronous`; the
        points of its batch are the tests.
    times
        Times since the tests began; between two rows of the trajectory values lie on a straight line.
    strain, stress, component
        Names of the variables, and which of their components.

    Sorted by time and stress. Raises :class:`ValueError` for times that the trajectory does not reach.
    """
    import pandas

    wanted = positive(times, "times").reshape(-1).numpy()
    clock = trajectory.time.detach().to("cpu").double().numpy().reshape(len(trajectory.time), -1)
    values = {n: _component(trajectory, n, component) for n in (stress, strain)}
    count = max(v.shape[1] for v in values.values())
    rows = []
    for i in range(count):
        t = clock[:, i % clock.shape[1]]
        late = wanted[(wanted > t[-1]) | (wanted < t[0])]
        if len(late):
            raise ValueError(
                f"the test {i} goes from {t[0]:g} to {t[-1]:g}, without the time {late[0]:g}; run it for"
                " longer"
            )
        at = [np.interp(wanted, t, v[:, i % v.shape[1]]) for v in values.values()]
        rows += [{"time": a, "stress": b, "strain": c} for a, b, c in zip(wanted, *at, strict=True)]
    return pandas.DataFrame(rows).sort_values(["time", "stress"], ignore_index=True)


def _component(trajectory: Trajectory, name: str, component: str) -> Any:
    """Numbers ``(n, points)``."""
    value = trajectory[name]
    check_component(component, f"'{name}'", value.COMPONENTS)
    data = to_disk(value)[..., value.COMPONENTS.index(component)]
    return data.cpu().double().numpy().reshape(len(data), -1)
