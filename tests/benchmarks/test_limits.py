"""The hand-written C++ gives the stresses of our own engine."""

import pytest
import torch

from benchmarks.limits import LIMITS, LimitEngine, compiler
from benchmarks.race import deviation
from benchmarks.scenario import load
from neml2.drivers import TransientDriver

pytestmark = pytest.mark.skipif(compiler() is None, reason="the limits are built with g++, which is not here")

STEPS, POINTS = 24, 11  # the whole load in larger steps; points that do not fill the lanes
# The source of any number of back stresses is that of two.
SCENARIOS = sorted(set(LIMITS) - {"chaboche_4", "chaboche_6", "chaboche_12"})


@pytest.mark.parametrize("name", SCENARIOS)
def test_final_stress(name):
    case = load(name, POINTS, STEPS)
    with torch.no_grad():
        expected = TransientDriver(case.model).run(case.history)["stress"].data[-1]
    for engine, limit in LIMITS[name].items():
        found = LimitEngine(limit, case, threads=2)
        assert found.run() > 0
        assert deviation(found.stress(), expected) < 1e-6, engine
