"""Chemical reactions, phase-field fracture and porous flow against values computed with NEML2 3.1.0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import neml2
from tests.reference.test_common import close, matrix, typed

FAMILIES = ("chemical_reactions", "phase_field_fracture", "porous_flow")
CASES = [
    case
    for family in FAMILIES
    for case in json.loads(Path(__file__).with_name(f"{family}.json").read_text())["cases"]
]


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_model(case):
    model = neml2.load_string(case["hit"]).get_model(case["model"])
    assert list(model.input_spec) == list(case["inputs"])
    assert list(model.output_spec) == list(case["outputs"])
    parameters = dict(model.named_parameters())
    assert list(parameters) == list(case["parameters"])
    for name, value in case["parameters"].items():
        close(parameters[name].detach(), value, 1e-15, name)
    inputs = {n: typed(v) for n, v in case["inputs"].items()}
    outputs = model.call_by_name(inputs)
    for name, entry in case["outputs"].items():
        assert type(outputs[name]) is type(typed(entry))
        assert outputs[name].sub_batch_ndim == entry["sub_batch_ndim"]
        close(outputs[name].data.detach(), entry["data"], 1e-8, name)
    if "jacobian" in case:
        values, blocks = model.jacobian(inputs)
        for out, row in case["jacobian"].items():
            for variable, expected in row.items():
                block = matrix(blocks[out][variable].data, values[out], inputs[variable])
                close(block, expected, 1e-7, f"d({out})/d({variable})")
