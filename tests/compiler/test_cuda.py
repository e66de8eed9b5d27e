"""Kernels for GPUs without a GPU: the text through NVRTC where it is installed, the launch in an emulator."""

from __future__ import annotations

import sys

import pytest
import torch

from neml2 import load_input
from neml2.compiler import cuda
from neml2.compiler.build import NoCompiler
from neml2.compiler.condense import condense
from neml2.compiler.kernel import _MAKERS
from neml2.compiler.launch import Launcher, view
from neml2.compiler.program import Program
from neml2.drivers import History, TransientDriver
from tests.compiler.emulator import STREAM, Code, emulate
from tests.compiler.scenarios import HERE, NAMES, scenario
from tests.compiler.test_scalar import every_function
from tests.drivers.materials import snap, times

FEW = {
    "vp_chaboche_cyclic",
    "ri_fb_isokin",
    "gtn_minmap",
    "radial_return_ri",
    "kocks_mecking_full",
    "brittle_at2",
}
STEPS = 10


@pytest.fixture
def gpus(monkeypatch):
    return emulate(monkeypatch)


@pytest.fixture
def driver(gpus):
    return gpus[0]


@pytest.fixture
def nvrtc(gpus):
    return gpus[1]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEML2_CACHE", str(tmp_path))
    return tmp_path


# ---------------------------------------------------------------------- launching


def doubling(views=1):
    """``y += 2 x`` where there is an ``x``; ``mark`` tells whether ``x`` is a number."""
    program = Program("doubling")
    points, mark = program.argument("int64_t", "points"), program.argument("int8_t *", "mark")
    xs = [program.argument("View", f"x{i}") for i in range(views)]
    y = program.argument("Out", "y")
    assert points == "a.points"
    program.text = f"const V x = {xs[-1]}.p ? load({xs[-1]}, 0, p0, n, 0) : bc(0.0);\n"
    program.text += f"increase({y}, 0, p0, n, 0, 2.0 * x);\n"
    program.text += f"if ({mark}) put({mark}, p0, n, eq(x, x));"
    return program


def launch(points, device="cuda:0", dtype=torch.float64, views=1, room=5, **given):
    x = torch.arange(points + room, dtype=dtype)[:, None] + 1
    y = torch.zeros(points + room, 1, dtype=dtype)
    launcher = Launcher(doubling(views), dtype, device)
    launcher.run({f"x{views - 1}": view(x), "y": view(y), "points": points, **given})
    assert torch.equal(y[:points], 2 * x[:points])
    assert not y[points:].any()  # spare threads do nothing


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("points", [1, 63, 64, 65, 1000])
def test_every_point_once(driver, points, dtype):
    launch(points, dtype=dtype)
    (found,) = driver.launches
    assert found[2:] == (-(-points // cuda.THREADS), cuda.THREADS)


def test_no_points_no_launch(driver):
    launch(0)
    assert driver.launches == []


def test_arrays_that_are_left_out_are_null(driver):
    y, mark = torch.ones(3, 1, dtype=torch.float64), torch.zeros(3, dtype=torch.int8)
    Launcher(doubling(), device="cuda:0").run({"y": view(y), "mark": mark, "points": 3})
    assert y.flatten().tolist() == [1.0, 1.0, 1.0]
    assert mark.tolist() == [-1, -1, -1]


def test_a_thousand_views(driver):
    launch(70, views=1000)


@pytest.mark.parametrize(("device", "index"), [("cuda:0", 0), ("cuda:1", 1), ("cuda", 0)])
def test_it_runs_in_the_context_and_stream_of_its_device(driver, device, index):
    launch(3, device)
    assert [found[:2] for found in driver.launches] == [(100 + index, STREAM + index)]
    assert driver.stack == []


def test_a_launch_that_is_refused(driver, monkeypatch):
    monkeypatch.setattr(driver, "cuLaunchKernel", lambda *_: (Code.INVALID_VALUE,))
    with pytest.raises(RuntimeError, match="CUDA answered INVALID_VALUE"):
        launch(3)
    assert driver.stack == []


def test_a_driver_that_does_not_load_it(driver):
    with pytest.raises(
        NoCompiler, match=r"cannot load a kernel on cuda:1 \(CUDA answered INVALID_IMAGE\); upd"
    ):
        cuda.function("no kernel", "cuda:1")
    assert driver.stack == []


# ---------------------------------------------------------------------- compiling


def test_the_cache_keeps_source_and_machine_code(nvrtc, cache):
    assert cuda.machine_code("text", "sm_90") == b"text"
    (source,), (code,) = cache.glob("*.cu"), cache.glob("*.cubin")
    assert source.read_text() == "text"
    assert code.stem.split("-")[0] == source.stem
    assert len(list(cache.iterdir())) == 2


def test_it_is_compiled_once(nvrtc, cache):
    assert [cuda.machine_code("text", "sm_90") for _ in range(3)] == [b"text"] * 3
    assert nvrtc.compiled == [[b"--gpu-architecture=sm_90", b"--std=c++17", b"-w"]]


def test_another_text_architecture_or_nvrtc_is_another_kernel(nvrtc, cache, monkeypatch):
    cuda.machine_code("text", "sm_90")
    cuda.machine_code("other", "sm_90")
    cuda.machine_code("text", "sm_80")
    monkeypatch.setattr(nvrtc, "nvrtcVersion", lambda: (Code.FINE, 13, 6))
    cuda.machine_code("text", "sm_90")
    assert len(nvrtc.compiled) == len(list(cache.glob("*.cubin"))) == 4


@pytest.mark.parametrize("rest", [b"", b"te", b"txet"])
def test_damaged_machine_code_is_made_anew(nvrtc, cache, rest):
    cuda.machine_code("text", "sm_90")
    (code,) = cache.glob("*.cubin")
    code.write_bytes(rest)
    assert cuda.machine_code("text", "sm_90") == b"text"
    assert [p.read_bytes() for p in cache.glob("*.cubin")] == [b"text"]


def test_a_cache_that_is_full(nvrtc, cache, monkeypatch):
    def full(path, content):
        raise OSError("no space left on device")

    monkeypatch.setattr(cuda, "_keep", full)
    assert cuda.machine_code("text", "sm_90") == b"text"
    assert not list(cache.iterdir())


def test_a_source_that_does_not_compile(nvrtc, cache):
    with pytest.raises(NoCompiler) as caught:
        cuda.machine_code("#error no\n", "sm_90")
    reason = 'kernel.cu(1): error: #error directive: "no"'
    assert str(caught.value) == f"NVRTC could not compile a kernel (--gpu-architecture=sm_90): {reason}"
    assert not list(cache.iterdir())


def test_without_bindings(monkeypatch):
    for name in ("cuda", "cuda.bindings", "cuda.bindings.nvrtc"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        NoCompiler, match=r"need NVRTC and cuda-bindings \(.*\); run pip install 'neml2\[cuda\]'"
    ):
        cuda.function("text", "cuda:0")


# ---------------------------------------------------------------------- whole kernels in the emulator


def on_gpu(patch):
    """Kernels of tensors on the CPU are those of a GPU."""

    def launcher(program, dtype, device):
        assert device == "cpu"
        return Launcher(program, dtype, "cuda:0")

    patch.setattr("neml2.compiler.kernel.Launcher", launcher)


def short(name):
    """A driver of a scenario, and the first steps of its history."""
    given = load_input(HERE / name / "model.i").get_driver("driver")
    bound = given.driver.bind(given.history)
    series = {n: type(v)._new(v.data[:STEPS], v.sub_batch_ndim) for n, v in bound.forces.items()}
    series.pop(given.driver.time, None)
    history = History(bound.time[:STEPS], series, initial=bound.initial)
    return TransientDriver(given.driver.model, given.driver.time, engine="native"), history


def outcome(driver, history):
    """The run, and gradients of a sum of its outputs."""
    run = driver.run(history)
    loss = torch.zeros((), dtype=torch.float64)
    for value in run.outputs.values():
        steps = value.data[1:]
        loss = loss + steps.sum() / steps.detach().abs().max().clamp(min=1e-12)
    parameters = dict(driver.model.named_parameters())
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return run, dict(zip(parameters, found, strict=True))


@pytest.mark.parametrize("name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_the_scalar_text_is_the_vector_text(name, driver, monkeypatch):
    """Same status, same iterations; values and gradients differ by what exp and log of two libraries do."""
    lanes, gradients = outcome(*short(name))
    with monkeypatch.context() as patch:
        on_gpu(patch)
        scalar, others = outcome(*short(name))
    assert len(driver.launches) >= 2  # a third one where pivots were not to be trusted
    assert torch.equal(scalar.status, lanes.status)
    assert torch.equal(scalar.iterations, lanes.iterations)
    for n in lanes.outputs:
        expected = lanes[n].data.detach()[1:]
        off = 1e-11 * float(expected.abs().max())
        torch.testing.assert_close(scalar[n].data.detach()[1:], expected, rtol=0, atol=off, msg=n)
    for n, expected in gradients.items():
        assert (expected is None) == (others[n] is None)
        if expected is not None:
            off = 1e-7 * float(expected.abs().max()) + 1e-14
            torch.testing.assert_close(others[n], expected, rtol=0, atol=off, msg=n)


def test_points_that_fail_are_rescued(driver, monkeypatch):
    load = torch.zeros(12, 9, dtype=torch.float64)
    for point in range(5):
        load[3 + point :, point] = 0.3  # too large an increment for one step
    bad = torch.zeros(12, 9, dtype=torch.float64)
    bad[6, 7] = 4.0
    history = {"t": times(12), "load": load, "bad": bad}
    native = TransientDriver(snap(), max_substeps=2, engine="native")
    on_gpu(monkeypatch)
    with torch.no_grad():
        found = native.run(history, on_failure=("substep", "freeze"))
        expected = TransientDriver(native.model, max_substeps=2).run(
            history, on_failure=("substep", "freeze")
        )
    assert len(driver.launches) > 5
    assert torch.equal(found.status, expected.status)
    assert torch.equal(found.iterations, expected.iterations)
    for n in expected.outputs:
        torch.testing.assert_close(found[n].data, expected[n].data, rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------------- the text in NVRTC


@pytest.fixture(scope="module")
def installed():
    try:
        cuda._bindings()
    except NoCompiler as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("kind", sorted(_MAKERS))
@pytest.mark.parametrize("name", NAMES)
def test_nvrtc_compiles_it(name, kind, installed):
    s = scenario(name)
    program = _MAKERS[kind](s.step, [condense(region, s.samples) for region in s.step.regions])
    for dtype, architecture in (("double", "sm_80"), ("float", "sm_90")):
        assert cuda.machine_code(program.for_cuda(dtype), architecture).startswith(b"\x7fELF")


def test_nvrtc_takes_a_thousand_views(installed):
    program = doubling(1000)
    assert cuda.machine_code(program.for_cuda(), "sm_80").startswith(b"\x7fELF")


def test_nvrtc_knows_every_function_of_the_headers(installed):
    text = (
        every_function().for_cuda().replace("extern", "FN void f(V (&s)[2][3]) { solve<2, 1>(s); }\nextern")
    )
    assert cuda.machine_code(text.replace("0.5", "NAN").replace("2.0", "INFINITY"), "sm_80")


def test_the_log_of_nvrtc(installed, cache):
    with pytest.raises(
        NoCompiler, match=r"NVRTC could not compile a kernel \(.*sm_80\): kernel.cu\(1\): error"
    ):
        cuda.machine_code("__device__ int broken = ;\n", "sm_80")
    with pytest.raises(NoCompiler, match="invalid value for --gpu-architecture"):
        cuda.machine_code("__device__ int fine;\n", "sm_11")
