"""Finite volumes and precipitation against values computed with NEML2 3.1.0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import neml2
from tests.reference.test_common import close, matrix, typed

FAMILIES = ("finite_volume", "precipitation")
CASES: list[dict[str, Any]] = [
    case
    for family in FAMILIES
    for case in json.loads(Path(__file__).with_name(f"{family}.json").read_text())["cases"]
]


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_reference(case: dict[str, Any]) -> None:
    model = neml2.load_string(case["hit"]).get_model(case["model"])
    assert list(model.input_spec) == list(case["inputs"])
    assert list(model.output_spec) == list(case["outputs"])
    parameters = dict(model.named_parameters())
    assert set(parameters) == set(case["parameters"])
    for name, value in case["parameters"].items():
        close(parameters[name].detach(), value, 1e-15, name)

    inputs = {n: typed(v) for n, v in case["inputs"].items()}
    values, blocks = model.jacobian(inputs)
    for name, entry in case["outputs"].items():
        assert type(values[name]) is type(typed(entry))
        assert values[name].sub_batch_ndim == entry["sub_batch_ndim"]
        close(values[name].data.detach(), entry["data"], 1e-8, name)
    for out, row in case.get("jacobian", {}).items():
        for variable, expected in row.items():
            block = matrix(blocks[out][variable].data, values[out], inputs[variable])
            close(block, expected, 1e-7, f"d({out})/d({variable})")
