"""Texture against values computed with NEML2 3.1.0, whose figures show the lower hemisphere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from neml2 import texture, types
from neml2.types import MRP
from tests.reference.test_common import close

STORED = json.loads(Path(__file__).with_name("crystal.json").read_text())["functions"]
CASES = [f for f in STORED if f["name"].startswith(("texture", "types"))]


def _pole_figure(X: MRP, h: float, ntheta: int, **arguments: Any) -> torch.Tensor:
    """As NEML2 shows it: by its opposite each direction, which is half a turn for a symmetric pole."""
    values, meshes = texture.pole_figure_odf(_density(X, h), ntheta=ntheta, **arguments)
    turned = values[:, :-1].roll(ntheta // 2, -1)
    return torch.stack([torch.cat([turned, turned[:, :1]], -1), *meshes])


def _inverse(projection: str, p: torch.Tensor) -> torch.Tensor:
    return texture.available_projections[projection].inverse(p) * torch.tensor([1.0, 1.0, -1.0])


def _density(X: MRP, h: float) -> texture.KDEODF:
    return texture.KDEODF(X, texture.DeLaValleePoussinKernel(h))


FUNCTIONS = {
    "types.dist": lambda a, b: types.dist(MRP(a), MRP(b)),
    "types.dV": lambda r: types.dV(MRP(r)),
    "texture.DeLaValleePoussinKernel": lambda h, x: texture.DeLaValleePoussinKernel(h)(x),
    "texture.KDEODF": lambda X, h, Y: _density(X, h)(MRP(Y)),
    "texture.KDEODF.texture_index": lambda X, h, deg: _density(X, h).texture_index(deg),
    "texture.KDEODF.leave_out": lambda X, h, i: _density(X, h).leave_out(i),
    "texture.pole_figure_odf": _pole_figure,
    "texture.gauss_points": lambda deg: torch.stack(texture.gauss_points(deg)),
    "texture.spherical_quadrature": lambda deg: _table(*texture.spherical_quadrature(deg)),
    "texture.rotation_quadrature": lambda deg: _table(*texture.rotation_quadrature(deg)),
    "texture.projection": lambda projection, v: texture.available_projections[projection](v),
    "texture.projection.inverse": _inverse,
    "texture.projection.limit": lambda projection: texture.available_projections[projection].limit,
    "texture.cart2polar": lambda v: torch.stack(texture.cart2polar(v), -1),
}


def _table(points: Any, weights: Any) -> torch.Tensor:
    return torch.cat([_raw(points), _raw(weights)[:, None]], -1)


def _raw(value: Any) -> torch.Tensor:
    return torch.as_tensor(getattr(value, "data", value), dtype=torch.float64).detach()


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{c['name']}" for i, c in enumerate(CASES)])
def test_function(case: dict[str, Any]) -> None:
    function = FUNCTIONS.get(case["name"]) or getattr(texture, case["name"].removeprefix("texture."))
    arguments = {
        n: torch.tensor(v, dtype=torch.float64) if isinstance(v, list) else v
        for n, v in case["args"].items()
        if n != "returns"
    }
    for n in ("X", "orientations"):
        if n in arguments:
            arguments[n] = MRP(arguments[n])
    expected = torch.tensor(case["result"], dtype=torch.float64)
    found = _raw(function(**arguments))
    if expected.numel() == 0:
        assert found.numel() == 0
    else:
        close(found, expected, 1e-8, case["name"])
