"""Elasticity and plasticity against the reference values: outputs, parameters and Jacobians."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import neml2
from neml2 import types

CASES = json.loads(Path(__file__).with_name("solid_mechanics.json").read_text())["cases"]


def _typed(entry):
    data = torch.as_tensor(entry["data"], dtype=torch.float64)
    return getattr(types, entry["type"])(data, entry.get("sub_batch_ndim", 0))


def _close(actual, expected, tolerance, what):
    expected = torch.as_tensor(expected, dtype=torch.float64)
    assert actual.shape == expected.shape, what
    scale = expected.abs().max().clamp(min=1e-300)
    worst = (actual - expected).abs().max() / scale
    assert worst <= tolerance or torch.equal(actual, expected), f"{what} is off by {worst:.1e} of its size"


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_reference(case):
    model = neml2.load_string(case["hit"]).get_model(case["model"])
    assert list(model.input_spec) == case["input_order"]
    assert list(model.output_spec) == case["output_order"]
    parameters = dict(model.named_parameters())
    assert set(parameters) == set(case["parameters"])
    for name, value in case["parameters"].items():
        _close(parameters[name].detach(), value, 1e-15, name)

    inputs = {n: _typed(v) for n, v in case["inputs"].items()}
    outputs = model.call_by_name(inputs)
    for name, entry in case["outputs"].items():
        expected = _typed(entry)
        assert type(outputs[name]) is type(expected)
        assert outputs[name].sub_batch_ndim == expected.sub_batch_ndim
        _close(outputs[name].data.detach(), entry["data"], 1e-8, name)

    if "jacobian" in case:
        _, blocks = model.jacobian(inputs)
        for out, row in case["jacobian"].items():
            for variable, expected in row.items():
                block = blocks[out][variable].data.reshape(len(expected), -1)
                _close(block, expected, 1e-7, f"d{out}/d{variable}")
