"""Both engines on a GPU; without one these tests are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import neml2
from neml2.compiler import cuda
from neml2.compiler.build import NoCompiler
from neml2.drivers import History, TransientDriver
from tests.drivers.materials import decay, snap, times

DEVICE = "cuda"
SCENARIOS = Path(__file__).parent / "scenarios"
NAMES = sorted(p.parent.name for p in SCENARIOS.glob("*/model.i"))

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(scope="module")
def nvrtc():
    """The tests that need NVRTC skip without it."""
    try:
        cuda._bindings()
    except NoCompiler as missing:
        pytest.skip(str(missing))


def there(history, device=DEVICE):
    return {n: v.to(device) for n, v in history.items()}


def from_file(name, device):
    """A native driver of a scenario, its history, and that history bound."""
    given = neml2.load_input(SCENARIOS / name / "model.i").get_driver("driver").to(device=device)
    driver = TransientDriver(given.driver.model, given.driver.time, engine="native")
    return driver, given.history, driver.bind(given.history)


def same(found, expected, off):
    """Equal to ``off`` of the scale of each output; a last digit may decide about one more iteration."""
    assert torch.equal(found.status.cpu(), expected.status)
    assert (found.iterations.cpu() - expected.iterations).abs().max() <= 1
    for name in expected.outputs:
        a, b = found[name].data, expected[name].data
        assert a.device.type == DEVICE
        scale = float(b.abs().nan_to_num(0.0).max())
        torch.testing.assert_close(a.cpu(), b, rtol=0, atol=off * scale, equal_nan=True, msg=name)


# ---------------------------------------------------------------------- the eager engine


@pytest.mark.parametrize("name", ["vp_voce_rateform", "ri_fb_isokin", "radial_return_ri"])
def test_an_eager_history_equals_the_one_on_the_cpu(name):
    def run(device):
        driver = neml2.load_input(SCENARIOS / name / "model.i").get_driver("driver").to(device=device)
        with torch.no_grad():
            return driver.run()

    same(run(DEVICE), run("cpu"), 1e-7)


def test_eager_gradients():
    driver = neml2.load_input(SCENARIOS / "vp_voce_rateform" / "model.i").get_driver("driver")
    gradients = {}
    for device in ("cpu", DEVICE):
        driver.to(device=device)
        driver.model.zero_grad()
        driver.run()["stress"].data[-1].sum().backward()
        gradients[device] = {n: p.grad.cpu().clone() for n, p in driver.model.named_parameters()}
    for n, g in gradients["cpu"].items():
        assert torch.allclose(gradients[DEVICE][n], g, rtol=1e-6, atol=1e-9 * float(g.abs().max()))


# ---------------------------------------------------------------------- the native engine


@pytest.mark.parametrize("name", NAMES)
def test_a_native_history_equals_the_one_on_the_cpu(name, nvrtc):
    def run(device):
        driver, history, _ = from_file(name, device)
        with torch.no_grad():
            return driver.run(history)

    same(run(DEVICE), run("cpu"), 1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_native_gradients(name, nvrtc):
    """With respect to parameters and prescribed values, of the first steps."""
    gradients = {}
    for device in ("cpu", DEVICE):
        driver, _, bound = from_file(name, device)
        series = {n: v.data[:8].clone().requires_grad_() for n, v in bound.forces.items() if n != driver.time}
        forces = {n: type(bound.forces[n])(v) for n, v in series.items()}
        run = driver.run(History(bound.time[:8], forces, initial=bound.initial))
        loss = torch.zeros((), dtype=torch.float64, device=device)
        for value in run.outputs.values():
            steps = value.data[1:]
            loss = loss + steps.sum() / steps.detach().abs().max().clamp(min=1e-12)
        wanted = {**dict(driver.model.named_parameters()), **series}
        found = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
        assert all(g is None or g.device.type == torch.device(device).type for g in found)
        gradients[device] = {n: g.cpu() for n, g in zip(wanted, found, strict=True) if g is not None}
    assert gradients[DEVICE].keys() == gradients["cpu"].keys()
    for n, expected in gradients["cpu"].items():
        off = 1e-8 * float(expected.abs().max()) + 1e-14
        torch.testing.assert_close(gradients[DEVICE][n], expected, rtol=1e-8, atol=off, msg=n)


def test_one_driver_on_both_devices_in_turn(nvrtc):
    driver, history = (
        TransientDriver(decay(), engine="native"),
        {"t": times(9), "load": torch.rand(9, 5).double()},
    )
    found = []
    with torch.no_grad():
        for device in ("cpu", DEVICE, "cpu", DEVICE):
            driver.model.to(device)
            found.append(driver.run(there(history, device)))
    assert torch.equal(found[0]["x"].data, found[2]["x"].data)
    assert torch.equal(found[1]["x"].data, found[3]["x"].data)
    same(found[1], found[0], 1e-12)


def test_single_precision(nvrtc):
    load = torch.rand(40, 5, dtype=torch.float64)
    with torch.no_grad():
        exact = TransientDriver(decay(), engine="native").run({"t": times(40), "load": load})
        driver = TransientDriver(decay().to(DEVICE, torch.float32), engine="native")
        found = driver.run({"t": times(40).float().to(DEVICE), "load": load.float().to(DEVICE)})
    assert found["x"].data.dtype == torch.float32 and found["x"].data.device.type == DEVICE
    torch.testing.assert_close(found["x"].data.cpu().double(), exact["x"].data, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("way", ["freeze", "substep", ("substep", "freeze")])
def test_points_that_fail(way, nvrtc):
    """The eager engine takes them through their step, on the device."""
    load = torch.zeros(12, 9, dtype=torch.float64)
    for point in range(5):
        load[3 + point :, point] = 0.3  # too large an increment for one step
    bad = torch.zeros(12, 9, dtype=torch.float64)
    bad[6, 7] = 0.0 if way == "substep" else 4.0
    history = {"t": times(12), "load": load, "bad": bad}
    driver = TransientDriver(snap(), max_substeps=2, engine="native")
    with torch.no_grad():
        expected = driver.run(history, on_failure=way)
        driver.model.to(DEVICE)
        found = driver.run(there(history), on_failure=way)
    same(found, expected, 1e-10)
    assert [point for point, *_ in found.failures] == [point for point, *_ in expected.failures]


def many(count):
    """A driver and ``count`` strain histories of 20 steps."""
    driver, _, bound = from_file("vp_voce_rateform", DEVICE)
    (name,) = (n for n, v in bound.forces.items() if v.BASE_SHAPE == (6,))
    pattern = bound.forces[name].data[:20].reshape(20, -1, 6)[:, :1]
    noise = torch.randn(count, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    series = pattern * (1 + 0.3 * noise.to(DEVICE))
    clock = bound.time[:20].reshape(20, -1)[:, 0]
    return driver, lambda points: History(clock, {name: series[:, points]})


def test_ten_thousand_points(nvrtc):
    """A point alone has the bits that it has among others."""
    driver, history = many(10_000)
    with torch.no_grad():
        whole = driver.run(history(slice(None)))
        assert whole.succeeded and whole["stress"].data.shape == (20, 10_000, 6)
        for part in (slice(0, 1), slice(63, 65), slice(9_990, 10_000)):
            alone = driver.run(history(part))
            for name in whole.outputs:
                assert torch.equal(alone[name].data[1:], whole[name].data[1:, part]), name


def test_the_stream_of_the_caller(nvrtc):
    driver, history = many(1000)
    with torch.no_grad():
        expected = driver.run(history(slice(None)))["stress"].data
        torch.cuda.synchronize()
        with torch.cuda.stream(torch.cuda.Stream()):
            found = driver.run(history(slice(None)))["stress"].data
        torch.cuda.synchronize()
    assert torch.equal(found, expected)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_a_device_that_is_not_the_current_one(nvrtc):
    model, history = decay().to("cuda:1"), {"t": times(9), "load": torch.rand(9, 5).double()}
    found = TransientDriver(model, engine="native").run(there(history, "cuda:1"))
    found["x"].data.sum().backward()
    assert found["x"].data.device == torch.device("cuda:1")
    with torch.no_grad():
        same(found, TransientDriver(decay(), engine="native").run(history), 1e-12)


def test_a_kernel_is_read_from_the_cache(nvrtc, monkeypatch):
    text = """extern "C" __global__ void run(double *p) { *p = 42.0; }"""
    first = cuda.machine_code(text, "sm_90")
    monkeypatch.setattr(cuda, "_compiled", lambda *_: pytest.fail("it was compiled again"))
    assert cuda.machine_code(text, "sm_90") == first
