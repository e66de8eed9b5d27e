"""Points that fail in the kernel: derivatives of the steps through which the eager engine takes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from neml2 import load_model, log
from neml2.drivers import History, Segment, TransientDriver
from neml2.errors import ConvergenceError
from neml2.recurrent import native_sensitivities, sensitivities
from neml2.solvers.status import Status
from tests.drivers.materials import snap, times

MODEL = Path(__file__).parents[2] / "examples" / "calibrate_viscoplastic" / "model.i"
F64 = torch.float64


@pytest.fixture
def taken(monkeypatch):
    """The rows and points that the eager engine is given."""
    found, real = [], native_sensitivities.rescued

    def spied(run, row, state, last, index, *more):
        found.append((row, index.tolist()))
        return real(run, row, state, last, index, *more)

    monkeypatch.setattr(native_sensitivities, "rescued", spied)
    return found


def jumps():
    """Four loads: the second one jumps at rows 3 and 5, the third one at row 5."""
    load = 0.05 * torch.arange(8, dtype=F64)[:, None].repeat(1, 4)
    load[3:, 1] += 0.6
    load[5:, 1:3] += 0.7
    return {"t": times(8, 7.0), "load": load, "bad": torch.zeros(8, 4, dtype=F64)}


def pair(model, history, **options):
    ways = [TransientDriver(model, engine=e, **options) for e in ("native", "eager")]
    return [sensitivities(d, history) for d in ways]


def same(found, expected, rtol=1e-9):
    for key, d in expected.items():
        assert found[key].shape == d.shape
        torch.testing.assert_close(found[key], d, rtol=0, atol=rtol * float(d.abs().max()), msg=str(key))


def test_increments_that_are_cut(taken):
    """The derivatives are those of reverse mode through the whole history; others are not touched."""
    model = snap()
    (run, native), (expected, eager) = pair(model, jumps(), on_failure="substep")
    assert taken == [(3, [1]), (5, [1, 2])]
    same(native, eager)
    torch.testing.assert_close(run["x"].data, expected["x"].data, rtol=1e-9, atol=1e-12)
    history = {n: v[:, :1] if v.ndim > 1 else v for n, v in jumps().items()}
    alone = sensitivities(TransientDriver(model, engine="native"), history)[1]
    for key, d in alone.items():
        assert torch.equal(native[key][:, 0], d[:, 0]) and torch.equal(native[key][:, 3], d[:, 0])


def test_points_that_are_frozen(taken):
    """One that has no root is frozen beside one whose increment is cut; a third goes on."""
    history = jumps()
    history["bad"][5, 1] = 4.0
    (run, native), (expected, eager) = pair(snap(), history, on_failure=("substep", "freeze"), max_substeps=4)
    assert taken == [(3, [1]), (5, [1, 2])]
    same(native, eager)
    assert torch.equal(run.status, expected.status) and run.status[6, 1] == Status.FROZEN
    assert all(torch.equal(native[key][5:, 1], native[key][4:7, 1]) for key in native)
    with pytest.raises(ConvergenceError, match="step 3"):
        driver = TransientDriver(snap(), engine="native", on_failure="substep", max_substeps=2)
        sensitivities(driver, history)


def test_histories_of_several_lengths(taken):
    history = jumps()
    clock = history["t"][:, None].expand(8, 4)
    given = {n: history[n] for n in ("load", "bad")}
    (run, native), (expected, eager) = pair(
        snap(), History(clock, given, lengths=torch.tensor([8, 7, 4, 8])), on_failure="substep"
    )
    assert taken == [(3, [1]), (5, [1])]  # row 5 of point 2 is after its end
    same(native, eager)
    assert torch.equal(run.status, expected.status)


def test_one_step_of_all_points(taken):
    """The first row, at which nothing is known of derivatives yet, of every point."""
    history = jumps()
    history["load"][1:] += 0.8
    (_, native), (_, eager) = pair(snap(), history, on_failure="substep")
    assert taken[0] == (1, [0, 1, 2, 3])
    same(native, eager)


def test_control_that_changes_in_the_step_that_is_cut(taken):
    """Where a cut step of control starts from is what was reached, which depends on the parameters."""
    model = load_model(MODEL, "model")
    model.solver = replace(model.solver, max_its=7)
    driver = TransientDriver(model, engine="native", on_failure="substep")
    history = History.from_segments(
        [
            Segment(10.0, 4, strain={"xx": torch.tensor([0.004, 0.03], dtype=F64)}),
            Segment(1.0, 1, stress={"xx": torch.tensor([0.0, -150.0], dtype=F64)}),
            Segment(1.0, 2, stress={"xx": torch.tensor([0.0, -180.0], dtype=F64)}),
        ]
    )
    names = ["yield_function.sy", "X_rate.g"]
    _, found = sensitivities(driver, history, names, ["stress", "strain"])
    assert any(row == 5 for row, _ in taken)
    for n in names:
        path = next(p for p, _ in model.named_parameters() if p.endswith(n))
        value = model.get_parameter(path).detach().clone()
        h = 1e-4 * value
        with torch.no_grad():
            ends = []
            for j in (-2, -1, 1, 2):
                model.set_parameter(path, value + j * h)
                ends.append(driver.run(history))
            model.set_parameter(path, value)
        for o in ("stress", "strain"):
            a, b, c, d = (end[o].data for end in ends)
            slope = (a - 8 * b + 8 * c - d) / (12 * h)
            assert (found[o, n] - slope).abs().max() <= 1e-5 * slope.abs().max(), (o, n)


def test_nothing_is_said(taken):
    said = []
    log.set_sink(lambda level, text: said.append(text))
    try:
        sensitivities(TransientDriver(snap(), engine="native", on_failure="substep"), jumps())
    finally:
        log.set_sink(None)
    assert taken and not said
