"""Runs into files, within a memory budget, interrupted and resumed: always the bits of the plain run."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest
import torch

from neml2 import load_input
from neml2.drivers import History, TransientDriver
from neml2.drivers import laboratory as lab
from neml2.drivers.engines.eager import EagerMarch
from neml2.drivers.engines.run import Run
from neml2.drivers.histories.segments import HOLD, Segment
from neml2.drivers.increments.increments import Increments
from neml2.drivers.results.saving import Save
from neml2.errors import ConvergenceError
from neml2.solvers.status import Status
from neml2.types import SR2
from tests.drivers.materials import decay, snap, times

ROOT = Path(__file__).parents[2]
ENGINES = ("eager", "native")
SCENARIOS = sorted(ROOT.glob("tests/scenarios/*/model.i"))
NATIVE = ("gtn_minmap", "kocks_mecking_full", "radial_return_ri", "stress_control")  # seconds to build, each
ROWS = 9  # of the scenarios' histories


def chaboche():
    return load_input(ROOT / "tests/scenarios/vp_chaboche_cyclic/model.i").get_model("model")


def material(time="t"):
    """A strain-driven viscoplastic material."""
    return load_input(
        ROOT / "benchmarks/scenarios/chaboche_2/model.i", additional_args=["points:=1"]
    ).get_model("model")


def changing():
    """Control that changes from strain to stress and starts from where the material is, for three points."""
    end = torch.tensor([0.004, 0.006, 0.01], dtype=torch.float64)
    return History.from_segments(
        [
            Segment(1.0, 4, strain={"xx": end}),
            Segment(1.0, 3, stress={"xx": 0.0}),
            Segment(1.0, 3, strain={"xx": 0.012}),
            Segment(5.0, 3, stress={"xx": HOLD}),
        ]
    )


def decaying(points=3, steps=13):
    load = torch.rand(steps, points, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return History(
        times(steps), {"load": load}, initial={"x": torch.linspace(0, 1, points, dtype=torch.float64)}
    )


def padded():
    """Three points whose histories have different lengths."""
    parts = [lab.monotonic(0.01 * (1 + i), 0.01, rows=4 + 3 * i) for i in range(3)]
    return History.batch(parts)


CASES = {
    "decay": (decay, decaying, {}),
    "control": (material, changing, {}),
    "lengths": (material, padded, {}),
    "increments": (decay, decaying, {"increments": Increments(tolerance={"x": 1e-3})}),
    "events": (decay, decaying, {"events": ["x < 0.6"]}),
}


def same(a, b):
    """The same bits in everything."""
    assert list(a.outputs) == list(b.outputs)
    assert torch.equal(a.status, b.status)
    assert torch.equal(a.iterations, b.iterations)
    assert a.time.shape == b.time.shape
    assert torch.equal(a.time, b.time)
    for name in a.outputs:
        x, y = a[name].data, b[name].data
        assert x.shape == y.shape
        assert torch.equal(x.nan_to_num(7.0), y.nan_to_num(7.0)), name
    assert [(e.name, e.point, e.row, e.time) for e in a.events] == [
        (e.name, e.point, e.row, e.time) for e in b.events
    ]


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def interrupted_at(monkeypatch):
    """Interrupts runs after a row."""

    def at(row):
        tick = Run.tick

        def stopping(self, rows=1):
            tick(self, rows)
            self.seen = getattr(self, "seen", 0) + rows
            if self.seen >= row:
                monkeypatch.setattr(Run, "tick", tick)
                raise KeyboardInterrupt

        monkeypatch.setattr(Run, "tick", stopping)

    return at


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("row", [2, 7])
def test_an_interrupted_run_goes_on_to_the_same_bits(case, row, engine, tmp_path, interrupted_at):
    build, history, options = CASES[case]
    model, path = build(), tmp_path / "run.h5"
    with torch.no_grad():
        whole = TransientDriver(model, engine=engine).run(history(), **options)
    interrupted_at(row)
    with pytest.raises(KeyboardInterrupt) as stop:
        TransientDriver(model, engine=engine).run(history(), output=path, max_memory="20 kB", **options)
    assert not path.exists()
    assert len(stop.value.trajectory) >= row
    found = TransientDriver(model).resume(path)  # with the engine of the run
    assert path.exists()
    assert not path.with_name("run.partial.h5").exists()
    same(found, whole)


def beginning(path):
    """The model of a scenario, the name of its time, and the first rows of its history."""
    given = load_input(path).get_driver("driver")
    bound = given.driver.bind(given.history)
    series = {n: type(v)._new(v.data[:ROWS], v.sub_batch_ndim) for n, v in bound.forces.items()}
    series.pop(given.driver.time, None)
    return given.model, given.driver.time, History(bound.time[:ROWS], series, initial=bound.initial)


def scenarios():
    """All of them in both engines; natively most take seconds to build."""
    for path in SCENARIOS:
        yield pytest.param(path, "eager", id=f"{path.parent.name}-eager")
        marks = () if path.parent.name in NATIVE else pytest.mark.slow
        yield pytest.param(path, "native", id=f"{path.parent.name}-native", marks=marks)


@pytest.mark.parametrize(("path", "engine"), list(scenarios()))
def test_a_scenario_goes_on_to_the_same_bits(path, engine, tmp_path, interrupted_at):
    model, time, history = beginning(path)
    row = random.Random(path.parent.name).randrange(1, ROWS - 1)
    whole = TransientDriver(model, time, engine=engine).run(history, output=tmp_path / "whole.h5")
    interrupted_at(row)
    small = {"max_memory": "1 kB"} if engine == "native" else {}  # it ticks once a block
    with pytest.raises(KeyboardInterrupt) as stop:
        TransientDriver(model, time, engine=engine).run(history, output=tmp_path / "run.h5", **small)
    assert row <= len(stop.value.trajectory) < ROWS
    same(TransientDriver(model, time).resume(tmp_path / "run.h5"), whole)


def pulled(duration):
    """Chaboche steel, pulled within a time."""
    strain = torch.zeros(9, 2, 6, dtype=torch.float64)
    strain[..., 0] = torch.linspace(0, 0.01, 9, dtype=torch.float64)[:, None]
    return History(times(9, duration), {"E": SR2(strain)})


def test_a_driver_that_has_run_another_history_is_resumed_to_the_same_bits(tmp_path, interrupted_at):
    """Its kernel has the pivots of the first history; that of a new driver would have others."""
    driver = TransientDriver(material(), engine="native")
    fresh = TransientDriver(material(), engine="native")
    with torch.no_grad():
        driver.run(pulled(1e-6))
        whole = driver.run(pulled(1.0))
        other = fresh.run(pulled(1.0))
    assert not torch.equal(whole["stress"].data, other["stress"].data)  # or this is no test
    interrupted_at(4)
    with pytest.raises(KeyboardInterrupt):
        driver.run(pulled(1.0), output=tmp_path / "run.h5", max_memory="5 kB")
    same(fresh.resume(tmp_path / "run.h5"), whole)


@pytest.mark.parametrize("case", CASES)
def test_a_run_within_little_memory_has_the_bits_of_the_whole(case, engine, tmp_path):
    build, history, options = CASES[case]
    driver = TransientDriver(build(), engine=engine)
    with torch.no_grad():
        whole = driver.run(history(), **options)
        names = list(whole.outputs)
        parts = driver.run(history(), save=names, max_memory="20 kB", **options)
    same(parts, whole)


def test_what_does_not_fit_is_refused_before_the_first_step():
    with pytest.raises(
        ValueError, match=r"results take about .* more than max_memory = 1e-07 GB; write them"
    ):
        TransientDriver(decay()).run(decaying(), max_memory=100)
    with pytest.raises(ValueError, match="max_memory is no size"):
        TransientDriver(decay()).run(decaying(), max_memory="8 bytes please")


def test_saving_rows_and_derived_quantities(engine):
    driver = TransientDriver(material(), engine=engine)
    with torch.no_grad():
        whole = driver.run(changing())
        some = driver.run(changing(), save=Save(["stress", "von_mises(stress)"], every=5))
        last = driver.run(changing(), save="last")
        with pytest.raises(ValueError, match="cannot save 'stres'; did you mean 'stress'"):
            driver.run(changing(), save=["stres"])
    assert some.rows.tolist() == [0, 5, 10, 13]
    assert torch.equal(some["stress"].data, whole["stress"].data[[0, 5, 10, 13]])
    xx = whole["stress"].data[[0, 5, 10, 13], :, 0]
    torch.testing.assert_close(some["von_mises(stress)"].data, xx.abs(), rtol=1e-9, atol=1e-9)
    assert len(last) == 1
    assert torch.equal(last["stress"].data[0], whole["stress"].data[-1])


def test_a_failed_run_keeps_its_rows_and_the_step_that_failed(engine, tmp_path):
    load = torch.linspace(0, 0.5, 6, dtype=torch.float64)[:, None] * torch.ones(4, dtype=torch.float64)
    bad = torch.zeros_like(load)
    bad[3:, 1] = 4.0
    history = History(times(6), {"load": load, "bad": bad})
    driver = TransientDriver(snap(), engine=engine)
    path = tmp_path / "run.h5"
    path.write_text("an older result")
    with pytest.raises(ConvergenceError, match="step 3 of 5") as stop:
        driver.run(history, output=path, replay=tmp_path / "step.h5")
    assert path.read_text() == "an older result"
    assert (tmp_path / "step.h5").exists()
    assert stop.value.trajectory["x"].data[:, 0].tolist() == pytest.approx([0.0, 0.1, 0.2])
    with pytest.raises(FileExistsError, match="3 of 6 steps of an interrupted run"):
        driver.run(history, output=path)
    frozen = driver.run(history, on_failure="freeze", output=path, overwrite=True)
    assert frozen.status[:, 1].tolist()[4:] == [Status.FROZEN] * 2


def test_signals_wait_until_the_step_is_complete(monkeypatch):
    step = EagerMarch._step

    def signalled(self, k):
        if k == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, k)

    monkeypatch.setattr(EagerMarch, "_step", signalled)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as stop:
        TransientDriver(decay(), engine="eager").run(decaying())
    assert len(stop.value.trajectory) == 4  # rows 0 to 3
    assert signal.getsignal(signal.SIGINT) is before


def test_termination_of_a_script_without_a_handler(monkeypatch, tmp_path):
    step = EagerMarch._step

    def signalled(self, k):
        if k == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, k)

    monkeypatch.setattr(EagerMarch, "_step", signalled)
    with pytest.raises(SystemExit) as stop:
        TransientDriver(decay(), engine="eager").run(decaying(), output=tmp_path / "run.h5")
    assert stop.value.code == 143
    monkeypatch.setattr(EagerMarch, "_step", step)
    whole = TransientDriver(decay(), engine="eager").run(decaying())
    found = TransientDriver(decay()).resume(tmp_path / "run.h5")
    assert torch.equal(found["x"].data, whole["x"].data)


def test_a_run_goes_on_with_the_same_model_only(tmp_path, interrupted_at):
    interrupted_at(4)
    with pytest.raises(KeyboardInterrupt):
        TransientDriver(decay()).run(decaying(), output=tmp_path / "run.h5")
    with pytest.raises(ValueError, match=r"the parameter '.*k' is not what it was"):
        TransientDriver(decay(k=3.0)).resume(tmp_path / "run.h5")
    with pytest.raises(ValueError, match="another model"):
        TransientDriver(snap()).resume(tmp_path / "run.h5")
    TransientDriver(decay()).resume(tmp_path / "run.h5")
    with pytest.raises(ValueError, match="is complete"):
        TransientDriver(decay()).resume(tmp_path / "run.h5")


def test_batched_lengths_are_the_histories_alone(engine):
    parts = [lab.monotonic(0.01 * (1 + i), 0.01, rows=4 + 3 * i) for i in range(3)]
    driver = TransientDriver(material(), engine=engine)
    with torch.no_grad():
        together = driver.run(History.batch(parts))
        for i, part in enumerate(parts):
            alone = driver.run(part)
            assert torch.equal(together["stress"].data[: len(part), i], alone["stress"].data)
            assert (together.status[len(part) :, i] == Status.ENDED).all()
            assert torch.equal(together["stress"].data[-1, i], alone["stress"].data[-1])


def test_gradients_of_batched_lengths(engine):
    parts = [lab.monotonic(0.01 * (1 + i), 0.01, rows=4 + 3 * i) for i in range(2)]
    model = material()
    parameters = [p for p in model.parameters() if p.requires_grad]

    def gradients(history):
        stress = TransientDriver(model, engine=engine).run(history)["stress"].data[1:, ..., 0]
        return torch.autograd.grad(stress.square().sum(), parameters, allow_unused=True)

    together = gradients(History.batch(parts))
    last = [TransientDriver(model, engine=engine).run(p)["stress"].data[-1, 0] for p in parts]
    extra = 3 * last[0].square()  # the rows after the end of the first repeat its last stress
    more = torch.autograd.grad(extra, parameters, allow_unused=True)
    for whole, a, b, c in zip(together, gradients(parts[0]), gradients(parts[1]), more, strict=True):
        if whole is not None:
            torch.testing.assert_close(whole, a + b + c, rtol=1e-9, atol=1e-7)


def test_gradients_through_control_that_starts_from_where_the_material_is():
    model = material()
    found = []
    for engine in ENGINES:
        driver = TransientDriver(model, engine=engine)
        trajectory = driver.run(changing())
        loss = (
            trajectory["E"].data[-1, :, 0].sum() * 1e4 + trajectory["stress"].data[4:, :, 0].square().mean()
        )
        found.append(
            torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad], allow_unused=True)
        )
    for native, eager in zip(*found, strict=True):
        if eager is not None:
            torch.testing.assert_close(native, eager, rtol=1e-7, atol=1e-8)


def test_a_failed_run_goes_on_another_way(engine, tmp_path):
    load = torch.tensor([0.0, 0.1, 0.9, 1.0], dtype=torch.float64)
    history = History(times(4), {"load": load, "bad": torch.zeros_like(load)})
    driver = TransientDriver(snap(), engine=engine)
    with pytest.raises(ConvergenceError, match="step 2 of 3"):
        driver.run(history, output=tmp_path / "run.h5")
    found = driver.resume(tmp_path / "run.h5", on_failure="substep")
    with torch.no_grad():
        whole = driver.run(history, on_failure="substep")
    same(found, whole)


def test_gradients_of_a_native_run_of_which_a_point_fails():
    load = torch.tensor([[0.0, 0.0], [0.1, 0.9], [0.2, 1.0]], dtype=torch.float64)
    history = {"t": times(3), "load": load, "bad": torch.zeros_like(load)}
    found = []
    for engine in ENGINES:
        model = snap()
        TransientDriver(model, engine=engine).run(history, on_failure="substep")["x"].data.sum().backward()
        found.append([p.grad for p in model.parameters() if p.grad is not None])
    for native, eager in zip(*found, strict=True):
        torch.testing.assert_close(native, eager)


def test_a_component_without_any_condition_is_refused():
    history = lab.monotonic(0.01, 0.01, rows=4)
    control = history.control.map(lambda x: x.clone())
    control.stress_weight[2, 3] = control.strain_weight[2, 3] = 0.0
    with pytest.raises(ValueError, match="at step 2 neither stress nor strain of component yz is prescribed"):
        TransientDriver(material()).run(history.replace(control=control))


def test_ended_histories_have_succeeded():
    assert TransientDriver(material()).run(padded()).succeeded
