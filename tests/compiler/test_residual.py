"""Residuals and their Jacobian blocks in a kernel, against automatic differentiation of the system."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from neml2 import load_input
from neml2.compiler.residual import ResidualKernel
from neml2.implicit import ImplicitUpdate
from tests.compiler.scenarios import ALIKE, LARGE, unrolled

ROOT = Path(__file__).parents[2]
FILES = unrolled(
    (p for p in ROOT.glob("tests/scenarios/*/model.i") if "ImplicitUpdate" in p.read_text()),
    slow=LARGE | ALIKE,
)
POINTS = (4, 3)


@pytest.fixture(scope="module", params=FILES)
def driver(request):
    return load_input(request.param).get_driver("driver")


@pytest.fixture(scope="module")
def system(driver):
    return next(m for m in driver.driver.model.modules() if isinstance(m, ImplicitUpdate)).equation_system


@pytest.fixture(scope="module")
def sites(driver):
    """Sub-batch shapes, of states that have one."""
    initial = driver.driver.bind(driver.history).initial
    return {n: v.sub_batch_shape for n, v in initial.items() if v.sub_batch_ndim}


def values_for(system, sites, grad=False):
    generator = torch.Generator().manual_seed(1)
    found = {}
    for n, kind in system.model.input_spec.items():
        size = 100.0 if "stress" in n else 300.0 if "temperature" in n or n == "T" else 0.01
        size = 1e-4 if n in ("n", "n~1") else size  # of precipitates, few enough to leave some solute
        size = 1e-4 if n.startswith("elastic_strain") else size  # of crystals, whose rates are powers of it
        own = sites.get(n.removesuffix("~1"), ())
        shape = (*POINTS, *own, *kind.BASE_SHAPE)
        data = size * (0.5 + torch.rand(shape, dtype=torch.float64, generator=generator))
        found[n] = kind(data.requires_grad_(grad), len(own))
    return found


def flat(system, values, names):
    return torch.cat([values[n].data.reshape(*POINTS, -1) for n in names], -1)


def test_values_and_blocks(system, sites):
    kernel = ResidualKernel(system, sites=sites)
    values = values_for(system, sites)
    with torch.no_grad():
        r, jacobian, old = kernel(values)
        expected = system.model.call_by_name(values)
    torch.testing.assert_close(r, flat(system, expected, system.residual_names), rtol=1e-11, atol=1e-11)

    def residual(kind):
        def f(*tensors):
            given = dict(values)
            for n, t in zip(names, tensors, strict=True):
                given[n] = type(values[n])(t, values[n].sub_batch_ndim)
            made = system.model.call_by_name(given)
            return torch.cat([made[n].data.reshape(-1) for n in system.residual_names])

        names = [n + kind for n in system.unknown_names if n + kind in values]
        return f, names

    point = {n: type(v)(v.data[1, 2], v.sub_batch_ndim) for n, v in values.items()}
    values = point
    for kind, found in (("", jacobian), ("~1", old)):
        f, names = residual(kind)
        blocks = torch.autograd.functional.jacobian(f, tuple(values[n].data for n in names)) if names else ()
        made = dict(zip(names, blocks, strict=True))
        columns = []
        for n in system.unknown_names:
            block = made.get(n + kind)
            size = values[n].data.numel()
            columns.append(
                torch.zeros(len(r[1, 2]), size).double()
                if block is None
                else block.reshape(len(r[1, 2]), size)
            )
        dense = torch.cat(columns, -1)
        torch.testing.assert_close(found[1, 2], dense, rtol=1e-9, atol=1e-10 * float(dense.abs().max()))


def test_gradients_of_values_and_blocks(system, sites):
    """Also those of the Jacobian blocks, against differences of them along a random direction."""
    kernel = ResidualKernel(system, sites=sites)
    parameters = list(system.model.parameters())
    values = values_for(system, sites, grad=True)
    leaves = [*parameters, *(v.data for v in values.values())]
    found = kernel(values)
    generator = torch.Generator().manual_seed(2)
    weights = [
        torch.randn(x.shape, dtype=torch.float64, generator=generator) / (1 + x.detach().abs().max())
        for x in found
    ]

    def loss(results):
        return sum((w * x).sum() for w, x in zip(weights, results, strict=True))

    gradients = torch.autograd.grad(loss(found), leaves, allow_unused=True)
    directions = [
        torch.randn(x.shape, dtype=torch.float64, generator=generator) * x.detach().abs() for x in leaves
    ]
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)
    ends = []
    h = 1e-6
    with torch.no_grad():
        for sign in (1, -1):
            for x, d in zip(leaves, directions, strict=True):
                x += sign * h * d
            ends.append(float(loss(kernel(values))))
            for x, d in zip(leaves, directions, strict=True):
                x -= sign * h * d
    size = sum(
        float((g * d).abs().sum()) for g, d in zip(gradients, directions, strict=True) if g is not None
    )
    assert abs(slope - (ends[0] - ends[1]) / (2 * h)) <= 1e-6 * size


def test_residual_alone_has_the_same_gradients(system, sites):
    kernel = ResidualKernel(system, sites=sites)
    parameters = list(system.model.parameters())
    values = values_for(system, sites)
    r, none, _ = kernel(values, jacobians=False)
    assert none is None
    expected = flat(system, system.model.call_by_name(values), system.residual_names)
    torch.manual_seed(0)
    w = torch.randn(r.shape, dtype=torch.float64)
    ours = torch.autograd.grad((w * r).sum(), parameters, allow_unused=True)
    theirs = torch.autograd.grad((w * expected).sum(), parameters, allow_unused=True)
    for a, b in zip(ours, theirs, strict=True):
        if b is not None:
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12 * float(1 + b.abs().max()))
