"""Trajectories made by hand, so that what is drawn of them is known beforehand."""

import numpy as np
import torch

from neml2.drivers.results.declared import Declared
from neml2.drivers.trajectory import Origin, Trajectory
from neml2.solvers import Status
from neml2.types import SR2, Scalar

UNITS = {"t": "h", "stress": "MPa", "strain": "strain"}


def uniaxial(values):
    """A symmetric tensor with the values ``(rows, ...)`` as its component xx."""
    data = torch.zeros(*np.shape(values), 6, dtype=torch.float64)
    data[..., 0] = torch.as_tensor(np.array(values), dtype=torch.float64)
    return SR2(data)


def scalar(values):
    return Scalar(torch.as_tensor(np.array(values), dtype=torch.float64))


def made(time, batch=(), ended=None, failed=None, units=UNITS, **values):
    """A trajectory of typed values; ``ended`` and ``failed`` say from which row on, ``{point: row}``."""
    time = torch.as_tensor(np.array(time), dtype=torch.float64)
    status = torch.full((len(time), *batch), int(Status.CONVERGED))
    status[0] = int(Status.NOT_SOLVED)
    for point, row in (ended or {}).items():
        status[(slice(row, None), *point)] = int(Status.ENDED)
    for point, row in (failed or {}).items():
        status[(slice(row, None), *point)] = int(Status.FROZEN)
        status[(row, *point)] = int(Status.MAX_ITERATIONS)
    declared = {n: Declared(n, u) for n, u in units.items()}
    return Trajectory(time, status, torch.zeros_like(status), values, {}, "t", Origin(declared=declared))


def saw(cycles, rows=8, amplitude=1.0):
    """Triangles from zero: up, down, and back to zero, ``rows`` a cycle: ``(cycles * rows + 1,)``."""
    phase = np.arange(cycles * rows + 1) / rows
    return amplitude * (1 - 4 * np.abs((phase + 0.25) % 1 - 0.5))
