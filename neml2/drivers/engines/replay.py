"""`Replay`: everything that one failed step depends on, so that the failure can be looked at alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neml2.context import Context
from neml2.drivers.trajectory import Path
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.points import take_all, take_parameters
from neml2.step import StateUpdate, StepResult
from neml2.types import TensorWrapper

if TYPE_CHECKING:
    from neml2.drivers.engines.run import Run

Values = dict[str, TensorWrapper]
_MOST = 16  # points in a replay: one is looked at, more are for comparison
_LAYOUT = "neml2 replay 1"


@dataclass(frozen=True)
class Replay:
    """A step of some points, from the last good state: ``replay.run(model)`` takes it again.

    points
        The points that failed, counted in the flattened batch of the run; at most 16.
    step, time, message
        Where the run was, and what it said.
    state, forces, old_forces
        What :class:`~neml2.StateUpdate` reads, ``(points, *sub_batch, *base)``, or without a batch.
    parameters
        Those of the model, of these points.
    levels
        How many times an increment may be halved.
    control
        The names of strain and stress where the run was controlled by component.
    solvers
        The solvers of the implicit updates and their tolerances, in words.
    """

    points: tuple[int, ...]
    step: int
    time: float
    message: str
    model: str  # its name in the input text
    state: Values = field(repr=False)
    forces: Values = field(repr=False)
    old_forces: Values = field(repr=False)
    parameters: Mapping[str, torch.Tensor] = field(repr=False)
    levels: int = 0
    control: tuple[str, str] | None = None
    solvers: str = ""
    input_text: str = field(default="", repr=False)

    def run(self, model: Model) -> StepResult:
        """The step once more, for these points alone, in the eager engine.

        ``model`` is that of the run, or ``neml2.load_string(replay.input_text).get_model(replay.model)``; its
        parameters are set to those of the run.
        """
        for name, value in self.parameters.items():
            model.set_parameter(name, value)
        if self.control is not None:
            from neml2.drivers.control.controlled import controlled

            model = controlled(model, *self.control)
        with torch.no_grad():
            return StateUpdate(model)(self.state, self.forces, self.old_forces, self.levels)

    def save(self, path: Path) -> None:
        """Write an HDF5 file for :meth:`load` and ``neml2-run --replay``."""
        import h5py

        from neml2.drivers.files.hdf5 import replacing

        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            file.attrs["layout"] = _LAYOUT
            for name in ("message", "model", "solvers", "input_text"):
                file.attrs[name] = getattr(self, name)
            file.attrs["step"], file.attrs["time"], file.attrs["levels"] = self.step, self.time, self.levels
            file.attrs["points"] = json.dumps(self.points)
            file.attrs["control"] = json.dumps(self.control)
            for group in ("state", "forces", "old_forces"):
                made = file.create_group(group, track_order=True)
                for i, (name, v) in enumerate(getattr(self, group).items()):
                    data = made.create_dataset(f"{i}", data=v.data.detach().cpu().numpy())
                    data.attrs["variable"], data.attrs["tensor"] = name, type(v).__name__
                    data.attrs["sub_batch_ndim"] = v.sub_batch_ndim
            made = file.create_group("parameters", track_order=True)
            for i, (name, p) in enumerate(self.parameters.items()):
                made.create_dataset(f"{i}", data=p.detach().cpu().numpy()).attrs["variable"] = name

    @classmethod
    def load(cls, path: Path) -> Replay:
        """Read a file that :meth:`save` has written.

        Raises :class:`FileNotFoundError`, or :class:`ValueError` for a file that is something else.
        """
        import h5py

        from neml2.drivers.results.layout import KINDS

        if not FilePath(path).is_file():
            raise FileNotFoundError(f"there is no file {path}")
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("layout") != _LAYOUT:
                    raise ValueError(f"{path} is no replay bundle; the failure of a run writes one")
                groups: dict[str, Any] = {
                    group: {
                        d.attrs["variable"]: KINDS[d.attrs["tensor"]](
                            torch.from_numpy(np.array(d)), int(d.attrs["sub_batch_ndim"])
                        )
                        for d in file[group].values()
                    }
                    for group in ("state", "forces", "old_forces")
                }
                control = json.loads(file.attrs["control"])
                return cls(
                    points=tuple(json.loads(file.attrs["points"])),
                    step=int(file.attrs["step"]),
                    time=float(file.attrs["time"]),
                    levels=int(file.attrs["levels"]),
                    control=None if control is None else tuple(control),
                    parameters={
                        d.attrs["variable"]: torch.from_numpy(np.array(d))
                        for d in file["parameters"].values()
                    },
                    message=str(file.attrs["message"]),
                    model=str(file.attrs["model"]),
                    solvers=str(file.attrs["solvers"]),
                    input_text=str(file.attrs["input_text"]),
                    **groups,
                )
        except (OSError, KeyError) as error:
            raise ValueError(f"{path} is no replay bundle, or damaged ({error})") from None


def replay_of(
    run: Run, k: int, message: str, time: float, failed: torch.Tensor, values: tuple[Values, Values, Values]
) -> Replay:
    """The step ``k`` of the points ``failed``; ``values`` are state, forces and old forces of all points."""
    index, batch, model = failed[:_MOST], run.loading.batch, run.update.model
    parameters = take_parameters(model, Context(), batch, index)
    state, forces, old = ({n: v.detach() for n, v in take_all(part, batch, index).items()} for part in values)
    updates = [u for u in model.modules() if isinstance(u, ImplicitUpdate)]
    return Replay(
        points=tuple(index.tolist()),
        step=k,
        time=time,
        message=message,
        model=run.origin.sections.get("model", "").rpartition("/")[2],
        state=state,
        forces=forces,
        old_forces=old,
        parameters={n: parameters.value_of(p).detach().clone() for n, p in model.named_parameters()},
        levels=run.levels,
        control=None if run.aim is None else (run.aim.strain, run.aim.stress),
        solvers="; ".join(f"{u.name}: {u.solver}" for u in updates),
        input_text=run.origin.input_text,
    )
