"""Trajectories as columns with named dimensions, and as xarray datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neml2.drivers.results.layout import STEP, Column, batch_dims, component_labels, disk_names, to_column
from neml2.drivers.trajectory import Trajectory, aligned, row_numbers
from neml2.solvers.status import Status
from neml2.types import Scalar, TensorWrapper

if TYPE_CHECKING:
    import xarray

_RESERVED = (STEP, "time", "status", "iterations")
GROUPS = ("model", "history", "provenance", "events")
LAYOUT = "neml2 trajectory"
LAYOUT_VERSION = 2  # 2: exact values in /history, rows of a longer run, derived quantities; 1 is still read


def columns(trajectory: Trajectory, physical: bool = True) -> list[Column]:
    """The time, the results, the prescribed values, the status and the iterations of a trajectory.

    ``physical=False`` leaves symmetric tensors in their stored components.
    """
    batch = trajectory.batch
    attrs = {"long_name": "Time", "units": _unit(trajectory, trajectory.time_name) or "time"}
    attrs |= {"role": "time", "variable": trajectory.time_name}
    found = [to_column("time", aligned(Scalar(trajectory.time), len(batch)), batch, attrs)]
    disk = names_on_disk(trajectory)
    for name in trajectory.names:
        if name != trajectory.time_name:
            value = trajectory.outputs.get(name, trajectory.forces.get(name))
            assert value is not None
            found.append(
                to_column(
                    disk[name],
                    aligned(value, len(batch)),
                    batch,
                    _attrs(trajectory, name, disk[name]),
                    physical=physical,
                )
            )
    dims = (STEP, *batch_dims(len(batch)))
    codes = [int(s) for s in Status]
    flags: dict[str, Any] = {
        "long_name": "How the step of a point ended",
        "flag_values": np.array(codes, dtype=np.int8),
        "flag_meanings": " ".join(s.name.lower() for s in Status),
    }
    found.append(Column("status", dims, trajectory.status.cpu().numpy(), flags))
    counts = {"long_name": "Newton iterations of a point in the step"}
    found.append(Column("iterations", dims, trajectory.iterations.cpu().numpy(), counts))
    return found


def names_on_disk(trajectory: Trajectory) -> dict[str, str]:
    """The name of every variable on disk."""
    kinds: list[TensorWrapper] = [*trajectory.outputs.values(), *trajectory.forces.values()]
    dims = [f"sub_batch_{n}" for v in kinds for n in v.sub_batch_shape]
    taken = [
        *_RESERVED,
        *batch_dims(len(trajectory.batch)),
        *dims,
        "component",
        *GROUPS,
    ]
    return disk_names(trajectory.names, taken)


def _unit(trajectory: Trajectory, name: str) -> str:
    declared = trajectory.origin.declared.get(name)
    return declared.unit if declared else ""


def _attrs(trajectory: Trajectory, name: str, disk: str) -> dict[str, Any]:
    declared = trajectory.origin.declared.get(name)
    if name not in trajectory.outputs:
        role = "force"
    elif "(" in name:
        role = "derived"
    else:
        role = "state" if name in trajectory.origin.states else "output"
    attrs: dict[str, Any] = {"long_name": declared.doc if declared else name.replace("_", " "), "role": role}
    if declared and declared.unit:
        attrs["units"] = declared.unit
    if disk != name:
        attrs["variable"] = name
    return attrs


def coordinates(found: Sequence[Column]) -> dict[str, np.ndarray]:
    """The labels along the components."""
    return {d: np.array(c, dtype=object) for d, c in component_labels(found).items()}


def to_xarray(trajectory: Trajectory) -> xarray.Dataset:
    """See :meth:`Trajectory.to_xarray`."""
    import xarray

    import neml2.drivers.results.accessor  # noqa: F401  tensors get methods: dataset.stress.neml2.von_mises()

    found = columns(trajectory)
    time, *rest = found
    labels: dict[str, Any] = {STEP: (STEP, row_numbers(trajectory).numpy())}
    labels |= {d: (d, v) for d, v in coordinates(found).items()}
    return xarray.Dataset(
        {c.name: (c.dims, c.data, dict(c.attrs)) for c in rest},
        coords={**labels, "time": (time.dims, time.data, dict(time.attrs))},
        attrs={"layout": LAYOUT, "layout_version": LAYOUT_VERSION},
    )
