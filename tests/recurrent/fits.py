"""Models with known fits: a bar whose fit is linear regression, and a decay."""

import copy

import numpy as np
import torch

from neml2.drivers import History, laboratory
from neml2.models import LinearIsotropicElasticity
from neml2.recurrent import Experiment
from tests.drivers.materials import decay

F64 = torch.float64


def bar(E=100.0):
    """Linear elasticity; pulled along x, its stress is E times its strain."""
    return LinearIsotropicElasticity(E=E, nu=0.3, strain="strain", stress="stress", name="elasticity")


def pulled(stress, rows=None, **more):
    """A tension test to a strain of 0.1 with this axial stress at its rows; the first does not count."""
    history = laboratory.monotonic(0.1, 1.0, rows=len(stress) - 1 if rows is None else rows)
    return Experiment(history, {"stress.xx": stress}, **more)


def decaying(k=2.0, rows=21, load=1.0, end=1.0, noise=0.0, seed=0, **more):
    """A decay towards ``load``, measured with noise, and the values without."""
    dt = end / (rows - 1)
    exact = load * (1 - (1 + k * dt) ** -np.arange(rows))  # backward Euler
    values = exact + noise * np.random.default_rng(seed).normal(size=rows)
    time = torch.linspace(0, end, rows, dtype=F64)
    history = History(time, {"load": torch.full((rows,), load, dtype=F64)})
    return Experiment(history, {"x": values}, **more)


def started(k=1.0):
    """A decay with a rate constant to start from."""
    return copy.deepcopy(decay(k))
