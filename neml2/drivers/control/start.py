"""Where a test under control starts: at the strain with which the initial state meets the first row."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from neml2 import log
from neml2.context import Context
from neml2.drivers.control.aim import TARGET, Aim
from neml2.drivers.control.controlled import strain_at_rest
from neml2.lags import split
from neml2.solvers.status import Solution, Status
from neml2.step import StateUpdate
from neml2.types import TensorWrapper

Values = Mapping[str, TensorWrapper]


def starting_strain(update: StateUpdate, aim: Aim, forces: Values, outputs: Values) -> TensorWrapper | None:
    """The strain with which the ``outputs`` of an initial state meet the control at ``forces``.

    Nothing flows: all states are kept, and explicit models alone give the stress, such as an elastic law of
    the strain less those of heat and of plasticity. The answer is ``None`` where the outputs meet the control
    to the bit, where row 0 has no target of its own, and where the stress does not follow explicitly from the
    strain: it is a state then. Points at which Newton's method fails keep the strain that they have, and
    channel ``driver`` says so. The strain is part of the graph, if there is one.
    """
    off = aim.reached(0, outputs) - forces[TARGET].data
    if aim.moving[0] or not bool(off.isfinite().all()) or not bool(off.any()):
        return None
    rest = strain_at_rest(update.model, aim.strain, aim.stress)
    known = {**outputs, **forces}
    if rest is None or any(split(n)[0] not in known for n in rest.input_spec):
        return None
    solves: list[Solution] = []
    inputs = {n: known[split(n)[0]] for n in rest.input_spec}
    found = rest.evaluate(inputs, Context(solves=solves))[aim.strain]
    solved = solves[0].status == Status.CONVERGED
    if bool(solved.all()):
        return found
    log.emit(
        "driver",
        log.WARNING,
        f"the first row does not meet its control at {int((~solved).sum())} of {solved.numel()} points; give"
        f" '{aim.strain}' an initial value",
    )
    inner = found.data.ndim - solved.ndim
    data = torch.where(solved.reshape(*solved.shape, *(1,) * inner), found.data, outputs[aim.strain].data)
    return type(found)._new(data, found.sub_batch_ndim)
