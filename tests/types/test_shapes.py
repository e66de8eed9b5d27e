"""Broadcast shapes: those of torch, and its error."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neml2.types.shapes import broadcast_shapes

SHAPES = st.lists(st.lists(st.sampled_from([0, 1, 1, 2, 3]), max_size=4), max_size=4)


@settings(deadline=None)
@given(SHAPES)
def test_as_torch(shapes):
    try:
        expected = torch.broadcast_shapes(*shapes)
    except RuntimeError:
        with pytest.raises(RuntimeError, match="do not broadcast"):
            broadcast_shapes(*shapes)
    else:
        found = broadcast_shapes(*shapes)
        assert found == expected and isinstance(found, torch.Size)


def test_a_run_does_not_import_sympy():
    program = """
import sys, torch
from neml2 import ComposedModel
from neml2.drivers import TransientDriver, laboratory
from neml2.models import LinearIsotropicElasticity
kinds = ["YOUNGS_MODULUS", "POISSONS_RATIO"]
law = LinearIsotropicElasticity(coefficients=[100.0, 0.3], coefficient_types=kinds, name="law")
TransientDriver(law).run(laboratory.monotonic(0.01, rate=1e-3))
print("sympy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"
