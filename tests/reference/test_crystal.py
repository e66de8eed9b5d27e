"""Crystal geometry, crystal plasticity and symmetry operators against values computed with NEML2 3.1.0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import neml2
from neml2 import data, ops
from tests.reference.test_common import close, matrix, typed

STORED = json.loads(Path(__file__).with_name("crystal.json").read_text())
MODELS = [c for c in STORED["cases"] if "model" in c]
CRYSTALS = [c for c in STORED["cases"] if "data" in c]
OPERATORS = [f for f in STORED["functions"] if "symmetry" in f["name"]]


@pytest.mark.parametrize("case", MODELS, ids=[c["id"] for c in MODELS])
def test_model(case):
    model = neml2.load_string(case["hit"]).get_model(case["model"])
    assert list(model.input_spec) == case["input_order"]
    assert list(model.output_spec) == case["output_order"]
    parameters = dict(model.named_parameters())
    assert set(parameters) == set(case["parameters"])
    for name, value in case["parameters"].items():
        close(parameters[name].detach(), value, 1e-15, name)
    inputs = {n: typed(v) for n, v in case["inputs"].items()}
    outputs = model.call_by_name(inputs)
    for name, entry in case["outputs"].items():
        assert type(outputs[name]) is type(typed(entry))
        assert outputs[name].sub_batch_ndim == entry.get("sub_batch_ndim", 0)
        close(outputs[name].data.detach(), entry["data"], 1e-8, name)
    if "jacobian" in case:
        values, blocks = model.jacobian(inputs)
        for out, row in case["jacobian"].items():
            for variable, expected in row.items():
                block = matrix(blocks[out][variable].data, values[out], inputs[variable])
                close(block, expected, 1e-7, f"d({out})/d({variable})")


@pytest.mark.parametrize("case", CRYSTALS, ids=[c["id"] for c in CRYSTALS])
def test_crystal(case):
    crystal = neml2.load_string(case["hit"]).get_data(case["data"])
    for name, expected in case["outputs"].items():
        found = getattr(crystal, name)
        close(torch.as_tensor(getattr(found, "data", found)).double(), expected, 1e-12, name)


@pytest.mark.parametrize("case", OPERATORS, ids=[str(f["args"]) for f in OPERATORS])
def test_operators(case):
    function = ops.symmetry if case["name"] == "ops.symmetry" else data.cubic_symmetry_operators
    operators = function(**case["args"])
    assert operators.sub_batch_ndim == 1
    close(operators.data, case["result"], 1e-14, case["name"])
