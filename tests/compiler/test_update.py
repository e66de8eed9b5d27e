"""One step in a kernel: the same as the eager update, with gradients and the consistent tangent."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from neml2 import Scalar, load_input
from neml2.compiler.update import NativeUpdate
from neml2.composed import ComposedModel
from neml2.implicit import ImplicitUpdate
from neml2.models.common.time_integration import BackwardEulerTimeIntegration
from neml2.predictors import LinearExtrapolationPredictor
from neml2.solvers.status import Status
from neml2.step import StateUpdate
from neml2.system import NonlinearSystem
from tests.compiler.scenarios import ALIKE, LARGE, unrolled
from tests.drivers.materials import DrivenDecay, decay, snap

ROOT = Path(__file__).parents[2]
FILES = unrolled(
    [*ROOT.glob("tests/scenarios/*/model.i"), ROOT / "examples/chaboche_cyclic/cyclic.i"],
    slow=LARGE | ALIKE,
)
STEP = 9  # of the history; most materials flow there


class Case:
    """A step in the middle of a scenario's history."""

    def __init__(self, path: Path) -> None:
        given = load_input(path).get_driver("driver")
        bound = given.driver.bind(given.history)
        self.eager = given.driver.update
        with torch.no_grad():
            run = given.driver.run(given.history)
        self.state = {n: at(run[n], STEP - 1) for n in self.eager.states}
        for n in self.eager.states:
            for lag in range(1, self.eager.depth[n]):
                self.state[f"{n}~{lag}"] = at(run[n], STEP - 1 - lag)
        self.state |= {n: at(run[n], STEP - 1) for n in self.eager.guesses}
        self.forces = bound.at(STEP)
        self.old = {n: v for n, v in bound.at(STEP - 1).items() if n in self.eager.forces}
        for n in list(self.old):
            for lag in range(1, self.eager.depth.get(n, 0)):
                self.old[f"{n}~{lag}"] = bound.at(STEP - 1 - lag)[n]


def at(value, k):
    return type(value)._new(value.data[k], value.sub_batch_ndim)


def close(a, b, off=1e-8):
    size = float(b.abs().max()) if b.numel() else 1.0
    torch.testing.assert_close(a, b, rtol=0, atol=off * max(size, 1e-300))


@pytest.fixture(scope="module", params=FILES)
def case(request):
    return Case(request.param)


def test_a_step(case):
    native = NativeUpdate(case.eager)
    with torch.no_grad():
        found = native(case.state, case.forces, case.old)
        expected = case.eager(case.state, case.forces, case.old)
    assert torch.equal(found.status, expected.status)
    assert list(found.state) == list(expected.state) and list(found.outputs) == list(expected.outputs)
    for n, v in expected.outputs.items():
        close(found.outputs[n].data, v.data.expand(found.outputs[n].shape))


def test_the_consistent_tangent(case):
    """Against reverse mode through the eager step."""
    native = NativeUpdate(case.eager)
    read = [n for n in case.eager.forces if n in case.eager.model.input_spec]
    with torch.no_grad():
        result = native(case.state, case.forces, case.old)
        tangent = native.tangent(case.state, case.forces, case.old, result, read)
    batch = tuple(result.status.shape)
    leaves = {}
    for n in read:
        v = case.forces[n]
        leaves[n] = v.data.expand((*batch, *v.base_shape)).clone().requires_grad_(True)
    forces = {**case.forces, **{n: type(case.forces[n])._new(t, 0) for n, t in leaves.items()}}
    outputs = case.eager(case.state, forces, case.old).outputs
    for n, v in outputs.items():
        inner = (*v.sub_batch_shape, *v.base_shape)
        flat = v.data.expand((*batch, *inner)).reshape(*batch, -1)
        for i in range(flat.shape[-1]):
            if not flat.requires_grad:
                continue
            slopes = torch.autograd.grad(
                flat[..., i].sum(), list(leaves.values()), retain_graph=True, allow_unused=True
            )
            for name, slope in zip(leaves, slopes, strict=True):
                expected = torch.zeros_like(leaves[name]) if slope is None else slope
                found = (
                    tangent[n, name].reshape(*batch, flat.shape[-1], -1)[..., i, :].reshape(expected.shape)
                )
                off = 1e-7 * float(tangent[n, name].abs().max())
                size = float(leaves[name].detach().abs().max()) + 1e-3
                off += 1e-9 * float(v.data.detach().abs().max()) / size  # what is zero but for round-off
                assert bool(((found - expected).abs() <= off).all()), (n, i, name, found, expected, off)


@pytest.mark.parametrize("name", ["vp_chaboche_cyclic", "radial_return_ri", "ri_fb_isokin", "gtn_minmap"])
def test_the_consistent_tangent_against_central_differences(name):
    case = Case(ROOT / f"tests/scenarios/{name}/model.i")
    native = NativeUpdate(case.eager)
    read = [n for n in case.eager.forces if n in case.eager.model.input_spec]
    with torch.no_grad():
        result = native(case.state, case.forces, case.old)
        tangent = native.tangent(case.state, case.forces, case.old, result, read)
        for name in read:
            v = case.forces[name]
            batch, lead = tuple(result.status.shape), v.data.shape[: len(v.dynamic_batch_shape)]
            before = case.old[name].data if name in case.old else 0.0 * v.data
            increment = (v.data - before).reshape(*lead, -1)
            count = increment.shape[-1]
            size = increment.abs().amax(-1)
            h = 1e-3 * torch.where(size > 0, size, v.data.abs().max().clamp(min=1e-6))  # of every point
            for j in range(count):
                change = torch.zeros_like(increment)
                change[..., j] = h
                ends = []
                for k in (-2, -1, 1, 2):
                    moved = type(v)._new(v.data + k * change.reshape(v.data.shape), v.sub_batch_ndim)
                    ends.append(case.eager(case.state, {**case.forces, name: moved}, case.old).outputs)
                for n, out in result.outputs.items():
                    f = [e[n].data.expand(out.shape).reshape(*batch, -1) for e in ends]
                    slope = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h).expand(batch).unsqueeze(-1)
                    column = tangent[n, name].reshape(*batch, slope.shape[-1], count)[..., j]
                    round_off = 1e-13 * out.data.abs().max() / h.expand(batch)
                    off = 2e-5 * slope.abs().amax(-1) + 1e2 * round_off
                    assert bool(((column - slope).abs() <= off.unsqueeze(-1)).all()), (
                        n,
                        name,
                        j,
                        column,
                        slope,
                    )


def test_gradients_of_a_step(case):
    gradients = []
    parameters = list(case.eager.model.parameters())
    for update in (NativeUpdate(case.eager), case.eager):
        state = {
            n: type(v)._new(v.data.clone().requires_grad_(True), v.sub_batch_ndim)
            for n, v in case.state.items()
        }
        forces = {n: type(v)._new(v.data.clone().requires_grad_(True)) for n, v in case.forces.items()}
        old = {n: type(v)._new(v.data.clone().requires_grad_(True)) for n, v in case.old.items()}
        result = update(state, forces, old)
        generator = torch.Generator().manual_seed(0)
        loss = torch.zeros((), dtype=torch.float64)
        for v in result.outputs.values():
            weights = torch.randn(v.shape, dtype=torch.float64, generator=generator)
            loss = loss + (weights * v.data).sum() / v.data.detach().abs().max().clamp(min=1e-12)
        leaves = [*parameters, *(v.data for d in (state, forces, old) for v in d.values())]
        found = torch.autograd.grad(loss, leaves, allow_unused=True)
        gradients.append(
            [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True)]
        )
    sizes = [float(x.detach().abs().max()) for x in leaves]
    for a, b, size in zip(*gradients, sizes, strict=True):
        off = 1e-8 * float(b.abs().max()) + 1e-12 / max(size, 1e-3)
        torch.testing.assert_close(a, b, rtol=0, atol=off)


def test_points_that_fail_are_advanced_by_the_eager_update():
    eager = StateUpdate(snap())
    native = NativeUpdate(eager)
    loads = torch.tensor([0.01, 0.5, 0.02], dtype=torch.float64)  # the second is too much
    zero = Scalar(torch.zeros(3, dtype=torch.float64))
    arguments = ({"x": zero}, {"load": Scalar(loads), "bad": zero}, {})
    with torch.no_grad():
        found, expected = native(*arguments), eager(*arguments)
    assert found.status.tolist() == expected.status.tolist()
    assert found.status.tolist()[1] != Status.CONVERGED
    assert found.describe_failure() == expected.describe_failure().replace("1 of 3 points", "the point")
    close(found.outputs["x"].data, expected.outputs["x"].data, 1e-12)


def test_two_old_values():
    rate = DrivenDecay(k=2.0, name="rate")
    step = BackwardEulerTimeIntegration[Scalar](variable="x", name="step")
    system = NonlinearSystem(ComposedModel([rate, step], name="residual"), unknowns="x")
    predictor = LinearExtrapolationPredictor(unknowns_Scalar=["x"])
    update = ImplicitUpdate(system, predictor=predictor, name="update")
    eager = StateUpdate(ComposedModel([update, rate], additional_outputs=["x"]))
    native = NativeUpdate(eager)

    def number(x):
        return Scalar(torch.tensor(x, dtype=torch.float64))

    state = {"x": number(1.2), "x~1": number(1.5)}
    old = {"t": number(0.3), "t~1": number(0.1), "load": number(0.0)}
    with torch.no_grad():
        found = native(state, {"t": number(0.4), "load": number(0.5)}, old)
        expected = eager(state, {"t": number(0.4), "load": number(0.5)}, old)
    assert torch.equal(found.iterations, expected.iterations)
    close(found.outputs["x"].data, expected.outputs["x"].data, 1e-14)
    assert list(found.state) == list(expected.state)


def test_a_tangent_by_something_else():
    native = NativeUpdate(decay())
    one = Scalar(torch.ones((), dtype=torch.float64))
    arguments = ({"x": one}, {"t": one, "load": one}, {"t": 0.5 * one})
    result = native(*arguments)
    with pytest.raises(ValueError, match="'loda' is no prescribed value of .*did you mean 'load'"):
        native.tangent(*arguments, result, "loda")


def test_no_points():
    native = NativeUpdate(decay())
    none = Scalar(torch.zeros(0, dtype=torch.float64))
    one = Scalar(torch.ones((), dtype=torch.float64))
    step = {"x": none}, {"t": one, "load": none}, {"t": 0.5 * one}
    result = native(*step)
    assert native.tangent(*step, result, "load")["x", "load"].shape == (0,)
    assert result.status.shape == (0,) and result.outputs["x"].shape == (0,)
    assert native({"x": one}, {"t": one, "load": one}, {"t": 0.5 * one}).status.tolist() == 0


def test_some_points_with_the_parameters_of_a_batch():
    """Two points of four, one of which has to be rescued by the eager update."""
    update = NativeUpdate(snap(g=torch.tensor([1.0, 2.0, 3.0, 1.5], dtype=torch.float64)))
    load = torch.tensor([0.05, 0.04, 0.03, 0.9], dtype=torch.float64)
    zero = Scalar(torch.zeros(4, dtype=torch.float64))
    forces = {"load": Scalar(load), "bad": zero}
    whole = update({"x": zero}, forces, {})
    points = torch.tensor([3, 1])
    part = {n: Scalar(v.data[points]) for n, v in forces.items()}
    start = {"x": Scalar(zero.data[points])}
    alone = update(start, part, {}, points=points, batch=torch.Size((4,)))
    assert alone.status.tolist() == whole.status[points].tolist() and int(alone.status[0]) != 0
    assert torch.equal(alone.outputs["x"].data[1], whole.outputs["x"].data[1])
    with pytest.raises(ValueError, match="points together with the batch"):
        update(start, part, {}, points=points)
