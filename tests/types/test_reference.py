"""Values of `reference_types.json`: expressions of input files and what they give."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
import torch

import neml2.types as types
from neml2.types import WR2, jvp_exp_map

REFERENCE = json.loads((Path(__file__).parent / "reference_types.json").read_text())
NAMES = {name: getattr(types, name) for name in types.__all__} | {"torch": torch, "math": math}
OTHER_EXPONENTIAL = ("types.exp_map", "types.dexp_map", "types.jvp_exp_map")  # see docs/differences.md


def expression(case):
    return re.search(r'expr = "(.*)"', case["hit"]).group(1)


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda c: c["id"])
def test_expression(case):
    value = eval(expression(case), dict(NAMES))
    expected = case["outputs"]["out"]
    data = torch.tensor(expected["data"], dtype=torch.float64)
    if case["id"].startswith(OTHER_EXPONENTIAL):
        data = exact_exponential(expression(case))
    assert type(value).__name__ == expected["type"]
    assert value.sub_batch_ndim == expected.get("sub_batch_ndim", 0)
    torch.testing.assert_close(value.data, data, rtol=1e-13, atol=1e-14)


def exact_exponential(text):
    """From w tan(|w|/4)/|w| and its automatic derivative."""

    def exact(w):
        angle = torch.sqrt((w * w).sum())
        return w * torch.tan(angle / 4) / angle

    numbers = [float(x) for x in re.findall(r"-?\d+\.\d+", text)]
    w = torch.tensor(numbers[:3], dtype=torch.float64)
    if text.startswith("exp_map"):
        return exact(w)
    jacobian = torch.autograd.functional.jacobian(exact, w)
    return (
        jacobian if text.startswith("dexp_map") else jacobian @ torch.tensor(numbers[3:], dtype=torch.float64)
    )


def test_exponential_is_the_matrix_exponential():
    for w in ([0.3, -0.5, 0.2], [1e-9, 0.0, 2e-9], [2.0, -1.5, 1.0]):
        w = WR2.fill(*w)
        rotation = types.euler_rodrigues(types.exp_map(w)).data
        exact = torch.linalg.matrix_exp(types.r2_from_wr2(w).data)
        torch.testing.assert_close(rotation, exact, rtol=0, atol=1e-14)


def test_exponential_at_and_near_zero():
    for scale in (0.0, 1e-200, 1e-12, 1e-3, 0.3999, 0.4001):
        w = torch.tensor([0.6, -0.48, 0.64], dtype=torch.float64) * scale  # |w| = scale
        w.requires_grad_()
        jacobian = torch.autograd.functional.jacobian(lambda w: types.exp_map(WR2(w)).data, w)
        torch.testing.assert_close(types.dexp_map(WR2(w)).data, jacobian, rtol=0, atol=1e-14)
        torch.testing.assert_close(
            torch.diagonal(jacobian).sum().item(),
            2 * (math.tan(scale / 4) / scale if scale else 0.25) + 0.25 / math.cos(scale / 4) ** 2,
            rtol=1e-12,
            atol=0,
        )
    dw = WR2.fill(1.0, 2.0, 3.0)
    assert torch.equal(jvp_exp_map(WR2.zeros(), dw).data, dw.data / 4)
