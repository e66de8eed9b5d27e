"""Common models, composition, solvers and drivers against values computed with NEML2 3.1.0."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import neml2
from neml2 import types

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("common.json").read_text())["cases"]
MODELS = [c for c in CASES if c["kind"] == "model"]
DRIVERS = [c for c in CASES if c["kind"] == "driver"]


def quaternion_of_spin(w: torch.Tensor) -> torch.Tensor:
    """Unit quaternion (scalar first) of the rotation by the angle |w| about w."""
    angle = (w * w).sum(-1, keepdim=True).sqrt()
    return torch.cat([torch.cos(angle / 2), torch.sin(angle / 2) * w / angle], -1)


def turned(q_n: torch.Tensor, t: torch.Tensor, t_n: torch.Tensor, spin: torch.Tensor) -> torch.Tensor:
    """exp(spin (t - t_n)) after q_n, through the product of quaternions."""
    square = (q_n * q_n).sum(-1, keepdim=True)
    b = torch.cat([1 - square, 2 * q_n], -1) / (1 + square)
    a = quaternion_of_spin((t - t_n)[..., None] * spin)
    w = a[..., :1] * b[..., :1] - (a[..., 1:] * b[..., 1:]).sum(-1, keepdim=True)
    v = (
        a[..., :1] * b[..., 1:]
        + b[..., :1] * a[..., 1:]
        + torch.linalg.cross(a[..., 1:], b[..., 1:].expand_as(a[..., 1:]))
    )
    return v / (1 + w)


# NEML2's exponential map is right to first order only (it has |w|^2 where |w| belongs). These three cases
# were computed with it, so the exact rotation takes the place of the recorded numbers.
WRONG_EXPONENTIAL_MAP: dict[str, Callable[..., torch.Tensor]] = {
    "WR2ExplicitExponentialTimeIntegration/1": turned,
    "WR2ExplicitExponentialTimeIntegration/2": turned,
    "WR2ImplicitExponentialTimeIntegration/1": lambda q, *history: q - turned(*history),
}


@pytest.fixture
def input_file(request, tmp_path, monkeypatch):
    case = request.getfixturevalue("case")
    for name, text in case.get("files", {}).items():
        (tmp_path / name).write_text(text)
    path = tmp_path / "input.i"
    path.write_text(case["hit"])
    monkeypatch.chdir(tmp_path)  # where drivers save their results
    return neml2.load_input(path)


@pytest.mark.parametrize("case", MODELS, ids=[c["id"] for c in MODELS])
def test_model(case, input_file):
    model = input_file.get_model(case["model"])
    assert list(model.input_spec) == list(case["inputs"])
    assert list(model.output_spec) == list(case["outputs"])
    parameters = dict(model.named_parameters())
    assert set(parameters) == set(case["parameters"])
    for name, value in case["parameters"].items():
        close(parameters[name].detach(), value, 1e-15, name)

    expected_outputs, expected_jacobian = case["outputs"], case.get("jacobian", {})
    if case["id"] in WRONG_EXPONENTIAL_MAP:
        expected_outputs, expected_jacobian = exact(case)
    tolerance = max(case.get("tol", 0.0), 1e-8)
    inputs = {n: typed(v) for n, v in case["inputs"].items()}
    outputs = model.call_by_name(inputs)
    for name, entry in expected_outputs.items():
        expected = typed(entry)
        assert type(outputs[name]) is type(expected)
        assert outputs[name].sub_batch_ndim == expected.sub_batch_ndim
        close(outputs[name].data.detach(), entry["data"], tolerance, name)
    if expected_jacobian:
        values, blocks = model.jacobian(inputs)
        for out, row in expected_jacobian.items():
            for variable, expected in row.items():
                block = matrix(blocks[out][variable].data, values[out], inputs[variable])
                close(block, expected, max(10 * tolerance, 1e-7), f"d({out})/d({variable})")


@pytest.mark.parametrize("case", DRIVERS, ids=[c["id"] for c in DRIVERS])
def test_driver(case, input_file):
    if "pre_driver" in case:
        assert input_file.get_driver(case["pre_driver"]).run()
    result = input_file.get_driver(case["driver"]).run()
    assert bool(result) is case["run_returns"]
    if "result" in case:
        found = result.to_dict()
        assert set(found) == set(case["result"])
        for name, value in case["result"].items():
            close(found[name], value, 1e-8, name)


def typed(entry: dict[str, Any]) -> types.TensorWrapper:
    data = torch.as_tensor(entry["data"], dtype=torch.float64)
    return getattr(types, entry["type"])(data, entry.get("sub_batch_ndim", 0))


def close(actual: torch.Tensor, expected: Any, tolerance: float, what: str) -> None:
    """The largest difference is at most ``tolerance`` times the largest value."""
    expected = torch.as_tensor(expected, dtype=torch.float64)
    assert actual.shape == expected.shape, what
    if expected.numel() and not torch.equal(actual, expected):
        error, scale = (actual - expected).abs().max(), expected.abs().max()
        assert error <= tolerance * scale, f"{what} is off by {error:.1e}, its size is {scale:.1e}"


def matrix(block: torch.Tensor, out: types.TensorWrapper, variable: types.TensorWrapper) -> torch.Tensor:
    """A Jacobian block as a matrix: sub-batch and base of the output, those of the input."""
    o, v, b = out.sub_batch_ndim, variable.sub_batch_ndim, out.BASE_NDIM
    order = [*range(o), *range(o + v, o + v + b), *range(o, o + v), *range(o + v + b, block.ndim)]
    return block.permute(order).reshape(out.data.numel(), variable.data.numel())


def exact(case: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The outputs and the Jacobian of a case in ``WRONG_EXPONENTIAL_MAP``."""
    function = WRONG_EXPONENTIAL_MAP[case["id"]]
    inputs = {n: typed(v).data for n, v in case["inputs"].items()}
    ((name, entry),) = case["outputs"].items()
    outputs = {name: {**entry, "data": function(*inputs.values())}}
    if "jacobian" not in case:
        return outputs, {}
    found = torch.autograd.functional.jacobian(function, tuple(inputs.values()))
    return outputs, {name: {n: j.reshape(3, -1) for n, j in zip(inputs, found, strict=True)}}
