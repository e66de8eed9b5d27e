import sys

import pytest
import torch

from neml2.drivers import History, TransientDriver
from neml2.drivers.engines.memory import result_size
from neml2.errors import ConvergenceError
from neml2.solvers.status import Status
from tests.drivers.materials import Tearing, decay, snap, strain, strainer, times


def test_decay_is_that_of_backward_euler():
    t = times(11)
    trajectory = TransientDriver(decay(k=2.0)).run(History(t, constant={"load": 0.0}, initial={"x": 1.5}))
    expected = 1.5 / (1 + 2.0 * 0.1) ** torch.arange(11, dtype=torch.float64)
    torch.testing.assert_close(trajectory["x"].data, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(trajectory["x_rate"].data, -2.0 * expected, rtol=1e-12, atol=0)
    assert torch.equal(trajectory.time, t)
    assert trajectory.status.tolist() == [Status.NOT_SOLVED] + [Status.CONVERGED] * 10
    assert trajectory.iterations[0] == 0
    assert int(trajectory.iterations[1:].min()) >= 1


def test_first_order_convergence():
    def end(steps):
        history = History(times(steps + 1), constant={"load": 0.0}, initial={"x": 1.0})
        return TransientDriver(decay(k=1.0)).run(history)["x"].data[-1].item()

    exact = torch.tensor(-1.0, dtype=torch.float64).exp().item()
    ratio = (end(20) - exact) / (end(40) - exact)
    assert 1.9 < ratio < 2.1


def test_explicit_state_and_clocks_of_their_own():
    t = times(5)[:, None] * torch.tensor([1.0, 3.0], dtype=torch.float64)
    E = strain(5)
    trajectory = TransientDriver(strainer(c=3.0)).run(History(t, {"E": E}, constant={"T": 2.0}))
    dt = t[1:] - t[:-1]  # (4, 2)
    expected = torch.cumsum(6.0 * dt[..., None] * E[1:, None], 0)
    torch.testing.assert_close(trajectory["S"].data[1:], expected)
    assert trajectory["S"].data[0].abs().max() == 0
    assert trajectory["E"].shape == (5, 2, 6)
    assert trajectory.status.shape == (5, 2)


def test_time_is_a_coordinate_where_the_model_does_not_read_it():
    trajectory = TransientDriver(snap()).run({"t": times(3), "load": [0.0, 0.1, 0.2], "bad": [0.0] * 3})
    assert torch.equal(trajectory["t"].data, times(3))
    assert "t" not in trajectory.forces


def test_a_single_step_is_the_initial_state():
    trajectory = TransientDriver(decay()).run(History([0.0], constant={"load": 1.0}, initial={"x": 3.0}))
    assert trajectory["x"].data.tolist() == [3.0]
    assert trajectory["x_rate"].data.tolist() == [-4.0]


# ---------------------------------------------------------------------- failure


def failing(batch, bad_points, at=3, steps=6):
    """A history of which some points lose their root at one step."""
    generator = torch.Generator().manual_seed(1)
    slope = 0.5 + torch.rand(batch, dtype=torch.float64, generator=generator)
    load = 0.1 * torch.arange(steps, dtype=torch.float64)[:, None] * slope * 0.9
    bad = torch.zeros(steps, batch, dtype=torch.float64)
    bad[at, bad_points] = 4.0
    return load, bad


def test_raise_says_everything_and_keeps_what_is_done():
    load, bad = failing(500, [7, 9, 400])
    with pytest.raises(ConvergenceError) as caught:
        TransientDriver(snap()).run({"t": times(6, 5.0), "load": load, "bad": bad})
    message = str(caught.value)
    for part in (
        "step 3 of 5 (t = 3)",
        "3 of 500 points",
        "worst residual",
        "x_residual",
        "on_failure='substep'",
    ):
        assert part in message
    assert caught.value.step == 3
    assert (caught.value.status != Status.CONVERGED).nonzero().flatten().tolist() == [7, 9, 400]
    done = caught.value.trajectory
    assert len(done) == 3
    torch.testing.assert_close(done["x"].data, load[:3], rtol=1e-9, atol=1e-12)


def test_raise_reports_the_clock_of_the_failed_point():
    load, bad = failing(3, [2])
    t = times(6, 5.0)[:, None] * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    with pytest.raises(ConvergenceError, match=r"\(t = 9\)"):
        TransientDriver(snap()).run({"t": t, "load": load, "bad": bad})


@pytest.mark.parametrize("count", [1, 10, 999])
@pytest.mark.parametrize("grad", [False, True])
def test_survivors_do_not_change_by_a_bit(count, grad):
    points = torch.randperm(1000, generator=torch.Generator().manual_seed(2))
    bad_points, good_points = points[:count], points[count:].sort().values
    load, bad = failing(1000, bad_points)
    driver = TransientDriver(snap(), on_failure="freeze")
    with torch.set_grad_enabled(grad):
        whole = driver.run({"t": times(6), "load": load, "bad": bad})
        alone = driver.run({"t": times(6), "load": load[:, good_points], "bad": bad[:, good_points]})
        single = driver.run({"t": times(6), "load": load[:, good_points[0]], "bad": bad[:, good_points[0]]})
    assert alone.succeeded
    for name in ("x", "y"):
        a, b = whole[name].data[:, good_points], alone[name].data
        assert torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0))
        assert torch.equal(b[:, 0].nan_to_num(7.0), single[name].data.nan_to_num(7.0))
    assert torch.equal(whole.iterations[:, good_points], alone.iterations)
    assert torch.equal(whole.status[:, good_points], alone.status)
    assert [p for p, *_ in whole.failures] == [(int(i),) for i in bad_points.sort().values]
    assert not whole.succeeded


def test_frozen_points_keep_their_last_values():
    load, bad = failing(4, [1])
    bad[4, 3] = 4.0  # another one, a step later
    trajectory = TransientDriver(snap(), on_failure="freeze").run({"t": times(6), "load": load, "bad": bad})
    F, M, C, N = Status.FROZEN, Status.NOT_SOLVED, Status.CONVERGED, Status.MAX_ITERATIONS
    status = trajectory.status[:, 1].tolist()
    assert status[:3] == [M, C, C]
    assert status[3] in (N, Status.NOT_FINITE, Status.SINGULAR)
    assert status[4:] == [F, F]
    assert trajectory.status[5, 3] == F
    assert trajectory.iterations[4:, 1].tolist() == [0, 0]
    for name in ("x", "y"):
        v = trajectory[name].data
        assert v[3, 1] == v[4, 1] == v[5, 1] == v[2, 1]
        assert v[4, 3] == v[5, 3] == v[3, 3]
        assert v[5, 0] != v[4, 0]
    assert [(p, k) for p, k, _ in trajectory.failures] == [((1,), 3), ((3,), 4)]


def test_all_points_may_freeze():
    load, bad = failing(2, [0, 1], at=2)
    trajectory = TransientDriver(snap(), on_failure="freeze").run({"t": times(6), "load": load, "bad": bad})
    assert trajectory.status[3:].unique().tolist() == [Status.FROZEN]
    one = TransientDriver(snap(), on_failure="freeze").run(
        {"t": times(6), "load": load[:, 0], "bad": bad[:, 0]}
    )
    assert one.status[3:].unique().tolist() == [Status.FROZEN]
    assert torch.equal(one["x"].data, trajectory["x"].data[:, 0])


def test_no_nan_reaches_a_gradient_from_a_frozen_point():
    load, bad = failing(3, [1])
    gradients = []
    for points in ([0, 1, 2], [0, 2]):
        model = snap()
        driver = TransientDriver(model, on_failure="freeze")
        trajectory = driver.run({"t": times(6), "load": load[:, points], "bad": bad[:, points]})
        keep = [0, 2] if len(points) == 3 else [0, 1]
        (trajectory["x"].data[1:, keep].sum() + trajectory["y"].data[1:, keep].sum()).backward()
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert a.isfinite().all()
        torch.testing.assert_close(a, b, rtol=1e-13, atol=0)


def test_the_last_values_of_a_frozen_point_have_their_gradient():
    load, bad = failing(2, [1], at=3)
    model = snap(g=0.9)
    trajectory = TransientDriver(model, on_failure="freeze").run({"t": times(6), "load": load, "bad": bad})
    trajectory["x"].data[-1, 1].backward()  # x = g * load of step 2
    gain = dict(model.named_parameters())["update.snap_residual.g"]
    torch.testing.assert_close(gain.grad, load[2, 1], rtol=1e-9, atol=0)


def test_substeps_cut_only_what_fails():
    load = torch.tensor([[0.0, 0.0], [0.1, 0.9], [0.2, 1.0]], dtype=torch.float64)
    history = {"t": times(3), "load": load, "bad": torch.zeros_like(load)}
    with pytest.raises(ConvergenceError, match="1 of 2 points"):
        TransientDriver(snap()).run(history)
    cut = TransientDriver(snap()).run(history, on_failure="substep")
    torch.testing.assert_close(cut["x"].data, load, rtol=1e-9, atol=1e-12)
    assert cut.succeeded
    assert cut.iterations[1, 1] > cut.iterations[1, 0]
    alone = TransientDriver(snap()).run({"t": times(3), "load": load[:, 0], "bad": [0.0] * 3})
    assert torch.equal(alone["x"].data, cut["x"].data[:, 0])


@pytest.mark.parametrize("ways", ["substep", ("substep", "freeze")])
def test_substeps_that_do_not_help(ways):
    load, bad = failing(3, [1])
    load[4:, 2] += 0.5  # too large for a single step, right for several
    driver = TransientDriver(snap(), on_failure=ways, max_substeps=3)
    history = {"t": times(6), "load": load, "bad": bad}
    if ways == "substep":
        with pytest.raises(ConvergenceError, match=r"8 substeps did not help"):
            driver.run(history)
        return
    trajectory = driver.run(history)
    assert [(p, k) for p, k, _ in trajectory.failures] == [((1,), 3)]
    torch.testing.assert_close(trajectory["x"].data[:, 2], load[:, 2], rtol=1e-9, atol=1e-12)


def test_substeps_have_gradients():
    load = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.9, 2.0]], dtype=torch.float64)
    model = snap()
    history = {"t": times(2), "load": load, "bad": torch.zeros_like(load)}
    trajectory = TransientDriver(model, on_failure="substep").run(history)
    trajectory["x"].data[-1].sum().backward()
    gain = dict(model.named_parameters())["update.snap_residual.g"].grad
    torch.testing.assert_close(gain, torch.tensor(3.0, dtype=torch.float64), rtol=1e-9, atol=0)


def test_no_nan_reaches_a_gradient_from_a_step_that_was_cut():
    model = Tearing(h=1.0)
    load = torch.tensor([[0.0, 0.0], [0.1, 0.7]], dtype=torch.float64)
    with pytest.raises(ConvergenceError, match=r"1 of 2 points gave a result that is not finite \(in y\)"):
        TransientDriver(model).run({"t": times(2), "load": load})
    trajectory = TransientDriver(model, on_failure="substep").run({"t": times(2), "load": load})
    pieces = torch.tensor([0.1] + [0.175] * 4, dtype=torch.float64)
    slope = -(pieces**2) / (2 * (0.2 - pieces).sqrt())
    trajectory["y"].data[-1].sum().backward()
    torch.testing.assert_close(model.h.data.grad, slope.sum(), rtol=1e-12, atol=0)


def test_bad_words_are_refused():
    with pytest.raises(ValueError, match="on_failure is 'freez'; did you mean 'freeze'"):
        TransientDriver(snap(), on_failure="freez")
    with pytest.raises(ValueError, match="both raise and freeze"):
        TransientDriver(snap(), on_failure=("raise", "freeze"))
    with pytest.raises(ValueError, match="max_substeps"):
        TransientDriver(snap(), max_substeps=0)


# ---------------------------------------------------------------------- gradients


@pytest.mark.parametrize("build", [decay, strainer])
def test_gradients_of_a_run_agree_with_differences(build):
    model = build()
    t = times(9).requires_grad_()
    E = strain(9, 2).requires_grad_()
    load = torch.sin(3 * times(9)).detach().requires_grad_()
    start = torch.tensor(0.7, dtype=torch.float64).requires_grad_()

    def loss(parameter=None):
        if build is decay:
            history = History(t, {"load": load}, initial={"x": start})
            x = TransientDriver(model).run(history)["x"].data
        else:
            history = History(t, {"E": E}, constant={"T": 2.0})
            x = TransientDriver(model).run(history)["S"].data
        return (x * x * torch.linspace(1, 2, x.numel(), dtype=torch.float64).reshape(x.shape)).sum()

    inputs = [t, load, start] if build is decay else [t, E]
    for p in [*model.parameters(), *inputs]:
        (gradient,) = torch.autograd.grad(loss(), p)
        flat = p.detach().reshape(-1)
        for i in range(0, flat.numel(), 7):
            if p is t and i == 0:
                continue
            values = []
            for sign in (1, -1):
                with torch.no_grad():
                    p.view(-1)[i] += sign * 1e-5
                    values.append(loss().item())
                    p.view(-1)[i] -= sign * 1e-5
            difference = (values[0] - values[1]) / 2e-5
            assert gradient.reshape(-1)[i].item() == pytest.approx(difference, rel=1e-6, abs=1e-8)


def test_no_grad_gives_the_same_values_without_a_graph():
    history = History(times(6), constant={"load": 1.0}, initial={"x": 3.0})
    driver = TransientDriver(decay())
    with torch.no_grad():
        plain = driver.run(history)
    assert not plain["x"].requires_grad
    graph = driver.run(history)
    assert graph["x"].requires_grad
    assert torch.equal(graph["x"].data, plain["x"].data)


# ---------------------------------------------------------------------- comfort


def test_an_interrupt_keeps_what_is_done(monkeypatch):
    driver = TransientDriver(decay())
    calls = []
    update = driver.update
    real = type(update).__call__

    def interrupted(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    monkeypatch.setattr(type(update), "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        driver.run(History(times(9), constant={"load": 1.0}))
    assert len(caught.value.trajectory) == 4
    assert caught.value.trajectory["load"].shape == (4,)


def test_progress_bar_only_where_it_is_wanted(capsys, monkeypatch):
    history = History(times(4), constant={"load": 1.0})
    TransientDriver(decay()).run(history)
    assert capsys.readouterr() == ("", "")
    TransientDriver(decay(), progress=True).run(history)
    assert "3/3" in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    TransientDriver(decay()).run(history)  # at a terminal, but short
    assert capsys.readouterr().err.strip() == ""
    TransientDriver(decay()).run(history, progress=False)
    assert capsys.readouterr().err == ""


def test_float32_stays_float32():
    model = decay().to(torch.float32)
    trajectory = TransientDriver(model).run(History([0, 1, 2], constant={"load": 1}, initial={"x": 2}))
    assert trajectory["x"].dtype == torch.float32
    assert trajectory.time.dtype == torch.float32


def test_the_size_of_the_results_is_known_beforehand():
    driver = TransientDriver(strainer())
    loading = driver.bind(History(times(6), {"E": strain(6, 3)}, constant={"T": 1.0}))
    assert loading.batch == (3,)
    assert result_size(driver.update, loading) == 6 * 3 * (6 + 6 + 6 + 1 + 1) * 8
