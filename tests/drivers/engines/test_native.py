"""The compiled engine gives what the eager engine gives, for every batch, and refuses what it cannot do."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from neml2 import Scalar, load_input, log
from neml2.composed import ComposedModel
from neml2.drivers import History, TransientDriver
from neml2.drivers.engines.native import NotNative
from neml2.drivers.transient import _MANY_STEPS
from neml2.errors import ConvergenceError
from neml2.implicit import ImplicitUpdate
from neml2.models.common.interpolation import ScalarLinearInterpolation
from neml2.models.common.time_integration import BackwardEulerTimeIntegration
from neml2.predictors import LinearExtrapolationPredictor
from neml2.solvers.krylov import GMRES
from neml2.solvers.newton import Newton, NewtonWithLineSearch
from neml2.solvers.schur import SchurComplement
from neml2.solvers.status import Status
from neml2.system import NonlinearSystem
from tests.compiler.scenarios import LARGE, unrolled
from tests.drivers.materials import DrivenDecay, Tearing, decay, snap, strain, strainer, times

ROOT = Path(__file__).parents[3]
TAYLOR = ROOT / "tests/scenarios/cp_taylor_uniaxial/model.i"
FILES = [*ROOT.glob("tests/scenarios/*/model.i"), ROOT / "examples/chaboche_cyclic/cyclic.i"]
STEPS = 21  # of the longer histories
BRANCHES = {"cp_deformation_gradient"}  # its line search starts at rest, where round-off decides the path


def same(native, eager, off=1e-8, iterations=True):
    assert list(native.outputs) == list(eager.outputs)
    assert torch.equal(native.status, eager.status)
    if iterations:
        assert torch.equal(native.iterations, eager.iterations)
    assert native.status.dtype == eager.status.dtype
    assert native.iterations.dtype == eager.iterations.dtype
    assert torch.equal(native.time, eager.time)
    assert native.batch == eager.batch
    for name in eager.names:
        a, b = native[name], eager[name]
        assert type(a) is type(b)
        scale = float(b.data.abs().nan_to_num(0.0).max())
        torch.testing.assert_close(a.data, b.data, rtol=0, atol=off * scale, equal_nan=True, msg=name)


def both(driver, history, **options):
    """The run of a native driver, after it was seen to be that of the eager engine."""
    with torch.no_grad():
        eager = TransientDriver(driver.model, max_substeps=driver.max_substeps, engine="eager").run(
            history, **options
        )
        native = driver.run(history, **options)
    same(native, eager)
    return native


def equal_bits(a, b):
    return a.shape == b.shape and torch.equal(
        a.contiguous().view(torch.int64), b.contiguous().view(torch.int64)
    )


@pytest.fixture(scope="module")
def leaving():
    """A driver of decays and one of snaps, built once."""
    return TransientDriver(decay(), engine="native")


@pytest.fixture(scope="module")
def snapping():
    return TransientDriver(snap(), max_substeps=2, engine="native")


def loads(*batch, steps=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(steps, *batch, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("path", unrolled(FILES, slow=LARGE - {"cp_coupled_fcc"}))
def test_a_history_of_a_file(path):
    given = load_input(path).get_driver("driver")
    bound = given.driver.bind(given.history)
    steps = slice(0, STEPS)
    series = {n: type(v)._new(v.data[steps], v.sub_batch_ndim) for n, v in bound.forces.items()}
    series.pop(given.driver.time, None)
    history = History(bound.time[steps], series, initial=bound.initial)
    native = TransientDriver(given.driver.model, given.driver.time, engine="native")
    with torch.no_grad():
        same(
            native.run(history),
            TransientDriver(given.driver.model, given.driver.time, engine="eager").run(history),
            iterations=path.parent.name not in BRANCHES,
        )


def test_a_schur_complement_with_an_iterative_solver_is_left_to_the_eager_engine():
    given = load_input(TAYLOR).get_driver("driver")
    (update,) = [m for m in given.driver.model.modules() if isinstance(m, ImplicitUpdate)]
    solver = SchurComplement(primary_solver=GMRES())
    update.solver = replace(update.solver, linear_solver=solver)
    with torch.no_grad(), pytest.raises(NotNative, match="the linear solver of 'update' is not DenseLU"):
        TransientDriver(given.driver.model, given.driver.time, engine="native").run(given.history)


# ---------------------------------------------------------------------- points and batches


@pytest.fixture(scope="module")
def plastic():
    """A viscoplastic material, twenty strain histories of it, and their native run."""
    path = ROOT / "tests/scenarios/vp_chaboche_cyclic/model.i"
    given = load_input(path).get_driver("driver")
    bound = given.driver.bind(given.history)
    (name,) = (n for n, v in bound.forces.items() if v.BASE_SHAPE == (6,))
    pattern = bound.forces[name].data.expand(*bound.forces[name].shape[:1], *bound.batch, 6)[:20, 0]
    noise = torch.randn(20, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    series = pattern[:, None] * (1 + 0.3 * noise)
    clock = bound.time[:20].reshape(20, -1)[:, 0]
    driver = TransientDriver(given.driver.model, given.driver.time, engine="native")

    def run(points):
        with torch.no_grad():
            return driver.run(History(clock, {name: series[:, points]}))

    return run, run(slice(None))


def same_bits(part, whole, points):
    for name in whole.outputs:
        assert equal_bits(part[name].data, whole[name].data[:, points]), name
    assert torch.equal(part.iterations, whole.iterations[:, points])


def test_a_point_alone_has_the_bits_of_the_batch(plastic):
    run, whole = plastic
    assert whole.succeeded
    assert len(whole.iterations[1:].unique()) > 1
    for point in range(20):
        same_bits(run(point), whole, point)


@pytest.mark.parametrize("size", range(1, 20))
def test_a_smaller_batch_has_the_same_bits(plastic, size):
    run, whole = plastic
    same_bits(run(slice(20 - size, 20)), whole, slice(20 - size, 20))


def test_points_in_another_order_have_the_same_bits(plastic):
    run, whole = plastic
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    same_bits(run(order), whole, order)


def test_threads_do_not_change_a_bit(plastic):
    run, whole = plastic
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            same_bits(run(slice(None)), whole, slice(None))
    finally:
        torch.set_num_threads(before)


def test_batches_of_every_shape(leaving):
    for batch in ((), (1,), (3, 2), (1, 4)):
        found = both(leaving, {"t": times(9), "load": loads(*batch)})
        assert found.batch == batch
        assert found["x"].shape == (9, *batch)


def test_values_with_batches_of_their_own(leaving):
    history = History(
        times(9), {"load": loads(3, 1)}, initial={"x": torch.tensor([1.0, 2.0, 3.0, 4.0]).double()}
    )
    assert both(leaving, history).batch == (3, 4)
    history = History(times(9), constant={"load": 0.5}, initial={"x": loads(5, steps=2)[:, :, None][0]})
    assert both(leaving, history).batch == (5, 1)


def test_clocks_of_their_own(leaving):
    clock = times(9)[:, None] * torch.tensor([1.0, 3.0, 10.0], dtype=torch.float64)
    assert both(leaving, {"t": clock, "load": loads()}).batch == (3,)
    assert both(leaving, {"t": clock, "load": loads(2, 1)}).batch == (2, 3)


def test_values_that_do_not_lie_one_after_the_other(leaving):
    history = {"t": times(18)[::2], "load": loads(9, steps=4).T[:, 1::2]}
    assert both(leaving, history).batch == (2,)


def test_lengths_of_a_history(leaving):
    for steps in (1, 2, 3):
        both(leaving, {"t": times(steps), "load": loads(3, steps=steps)})


def test_the_history_is_left_alone(leaving):
    load, clock = loads(3), times(9)
    kept = load.clone(), clock.clone()
    start = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    with torch.no_grad():
        first = leaving.run(History(clock, {"load": load}, initial={"x": start}))
        x = first["x"].data.clone()
        leaving.run(History(clock, {"load": 2 * load}, initial={"x": start}))
    assert torch.equal(load, kept[0]) and torch.equal(clock, kept[1])
    assert start.tolist() == [1.0, 2.0, 3.0]
    assert torch.equal(first["x"].data, x)


# ---------------------------------------------------------------------- parameters


def test_parameters_change_without_a_build():
    driver = TransientDriver(decay(k=2.0), engine="native")
    history = {"t": times(9), "load": loads(4)}
    first = both(driver, history)
    kernel = driver._engine.kernel
    with torch.no_grad():
        (k,) = driver.model.parameters()
        k.fill_(0.5)
    second = both(driver, history)
    assert driver._engine.kernel is kernel
    assert not torch.equal(first["x"].data, second["x"].data)
    assert first.origin.parameters != second.origin.parameters


@pytest.mark.parametrize("shape", [(4,), (3, 1), (1,)])
def test_batched_parameters(shape):
    k = 1.0 + torch.arange(torch.Size(shape).numel(), dtype=torch.float64).reshape(shape)
    driver = TransientDriver(decay(k=Scalar(k)), engine="native")
    found = both(driver, {"t": times(9), "load": loads(4)})
    assert found.batch == torch.broadcast_shapes((4,), shape)
    assert both(driver, {"t": times(9), "load": loads()}).batch == shape


def test_a_driver_is_copied_without_its_kernel(leaving):
    first = both(leaving, {"t": times(9), "load": loads(4)})
    for twin in (copy.deepcopy(leaving), pickle.loads(pickle.dumps(leaving))):
        again = both(twin, {"t": times(9), "load": loads(4)})
        assert equal_bits(again["x"].data, first["x"].data)


# ---------------------------------------------------------------------- models


def test_explicit_models():
    driver = TransientDriver(strainer(), engine="native")
    both(driver, History(times(5), {"E": strain(5, 3)}, constant={"T": 2.0}))
    found = both(driver, History(times(5), {"E": strain(5)}, constant={"T": 2.0}))
    assert found.status.tolist() == [Status.NOT_SOLVED] + [Status.CONVERGED] * 4


def test_explicit_states_and_old_forces():
    driver = TransientDriver(Tearing(h=1.0, name="tearing"), engine="native")
    both(driver, {"t": times(6), "load": 0.1 * torch.cumsum(loads(3, steps=6), 0)})


def test_two_old_values():
    """Linear extrapolation reads two; so the start of a history has its own guesses."""
    rate = DrivenDecay(k=2.0, name="rate")
    step = BackwardEulerTimeIntegration[Scalar](variable="x", name="step")
    system = NonlinearSystem(ComposedModel([rate, step], name="residual"), unknowns="x")
    update = ImplicitUpdate(
        system, predictor=LinearExtrapolationPredictor(unknowns_Scalar=["x"]), name="update"
    )
    driver = TransientDriver(ComposedModel([update, rate], additional_outputs=["x"]), engine="native")
    for steps in (2, 3, 9):
        both(driver, History(times(steps), {"load": loads(3, steps=steps)}, initial={"x": 1.5}))


# ---------------------------------------------------------------------- failure


def failing():
    load = 0.1 * torch.arange(6, dtype=torch.float64)[:, None] * torch.linspace(0.5, 1.0, 11).double()
    bad = torch.zeros(6, 11, dtype=torch.float64)
    bad[3, 9] = 4.0
    return {"t": times(6, 5.0), "load": load, "bad": bad}


def test_an_error_is_that_of_the_eager_engine(snapping):
    told = []
    for driver in (snapping, TransientDriver(snapping.model, engine="eager")):
        with torch.no_grad(), pytest.raises(ConvergenceError) as caught:
            driver.run(failing())
        told.append(caught.value)
    native, eager = told
    assert str(native) == str(eager)
    assert native.step == eager.step == 3
    assert torch.equal(native.status, eager.status)
    assert len(native.trajectory) == 3
    same(native.trajectory, eager.trajectory, 0.0)


@pytest.mark.parametrize("way", ["freeze", ("substep", "freeze")])
def test_what_to_do_on_failure_is_done(snapping, way):
    found = both(snapping, failing(), on_failure=way)
    assert [point for point, *_ in found.failures] == [(9,)]


def test_substeps_rescue(snapping):
    """Newton diverges for increments over 0.139."""
    history = {"t": times(3), "load": [0.0, 0.3, 0.35], "bad": [0.0] * 3}
    found = both(snapping, history, on_failure="substep")
    assert found.succeeded


def test_explicit_results_that_are_not_numbers(snapping):
    """``y`` has no value while ``bad`` is over 1, and reads the old ``x`` only."""
    load = 0.1 * torch.arange(4, dtype=torch.float64)[:, None].repeat(1, 3)
    bad = torch.zeros(4, 3, dtype=torch.float64)
    bad[2, 1] = 1.1
    both(snapping, {"t": times(4), "load": load, "bad": bad}, on_failure="freeze")


def test_explicit_states_that_are_not_numbers():
    driver = TransientDriver(Tearing(h=1.0, name="tearing"), engine="native", on_failure="freeze")
    load = torch.tensor([0.0, 0.1, 0.5, 0.6], dtype=torch.float64)[:, None] * torch.tensor([1.0, 0.1])
    both(driver, {"t": times(4), "load": load.double()}, on_failure="freeze")


def test_one_point_that_fails_leaves_the_others_alone(snapping):
    """To the last bit; and it comes back to the kernel after its substeps."""
    history = failing()
    history["bad"] = torch.zeros(6, 11, dtype=torch.float64)
    history["load"][4:, 7] += 0.3  # too large an increment for one step
    with torch.no_grad():
        found = snapping.run(history, on_failure="substep")
        others = [*range(7), *range(8, 11)]
        alone = snapping.run({n: v[:, others] if v.ndim > 1 else v for n, v in history.items()})
    for name in found.outputs:
        assert equal_bits(found[name].data[:, others], alone[name].data), name
    assert found.succeeded and len(found) == 6
    both(snapping, history, on_failure="substep")


def test_points_that_fail_in_turn(snapping):
    load = torch.zeros(40, 9, dtype=torch.float64)
    for point in range(9):
        load[3 + 4 * point :, point] = 0.3
        load[5 + 3 * point :, point] += 0.2
    history = {"t": times(40), "load": load, "bad": torch.zeros(40, 9, dtype=torch.float64)}
    both(snapping, history, on_failure="substep")
    both(snapping, history, on_failure="freeze")


def test_failures_beyond_a_block_of_steps(snapping, monkeypatch):
    monkeypatch.setattr("neml2.drivers.engines.native_march._A_WHILE", 1)  # 16 steps a block
    test_points_that_fail_in_turn(snapping)


def test_an_interrupt_keeps_what_was_done(leaving, monkeypatch):
    from neml2.compiler import march

    monkeypatch.setattr("neml2.drivers.engines.native_march._A_WHILE", 1)
    blocks = []

    def interrupted(*args):
        blocks.append(args)
        if len(blocks) == 3:
            raise KeyboardInterrupt
        return run_march(*args)

    run_march = march.run_march
    history = {"t": times(60), "load": loads(2, steps=60)}
    with torch.no_grad():
        whole = leaving.run(history)
        monkeypatch.setattr(march, "run_march", interrupted)
        with pytest.raises(KeyboardInterrupt) as caught:
            leaving.run(history)
    done = caught.value.trajectory
    assert len(done) == 33
    assert equal_bits(done["x"].data, whole["x"].data[:33])


# ---------------------------------------------------------------------- gradients, precision, line search


@pytest.mark.parametrize("path", unrolled(FILES))
def test_gradients(path):
    """Of all outputs, with respect to all parameters, prescribed values and the initial state."""
    given = load_input(path).get_driver("driver")
    bound = given.driver.bind(given.history)
    few = slice(0, 8)
    series = {n: v.data[few].clone() for n, v in bound.forces.items() if n != given.driver.time}
    kinds = {n: type(v) for n, v in bound.forces.items()}
    model = given.driver.model
    parameters = dict(model.named_parameters())
    found = {}
    for engine in ("native", "eager"):
        leaves = {n: v.clone().requires_grad_(True) for n, v in series.items()}
        starts = {n: v.data.clone().requires_grad_(True) for n, v in bound.initial.items()}
        history = History(
            bound.time[few],
            {n: kinds[n](v) for n, v in leaves.items()},
            initial={n: type(v)(starts[n], v.sub_batch_ndim) for n, v in bound.initial.items()},
        )
        driver = TransientDriver(model, given.driver.time, engine=engine)
        run = driver.run(history)
        generator = torch.Generator().manual_seed(3)
        loss = torch.zeros((), dtype=torch.float64)
        for value in run.outputs.values():
            steps = value.data[1:]
            weights = torch.randn(steps.shape, dtype=torch.float64, generator=generator)
            loss = loss + (weights * steps).sum() / steps.detach().abs().max().clamp(min=1e-12)
        wanted = {**parameters, **leaves, **starts}
        gradients = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
        found[engine] = {
            n: torch.zeros_like(p) if g is None else g
            for (n, p), g in zip(wanted.items(), gradients, strict=True)
        }
    for name, expected in found["eager"].items():
        size = float(expected.abs().max())
        p = {**parameters, **series}.get(name, expected)
        least = 1e-12 * float((1 / p.detach().abs().clamp(min=1e-3)).max())  # a gradient that is round-off
        torch.testing.assert_close(
            found["native"][name], expected, rtol=1e-7, atol=1e-8 * size + least, msg=name
        )


def test_gradients_of_batched_parameters_and_clocks(leaving):
    k = torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    for engine in ("native", "eager"):
        model = decay(k=Scalar(k))
        clock = (times(9)[:, None] * torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64)).requires_grad_()
        start = torch.full((3,), 1.5, dtype=torch.float64, requires_grad=True)
        history = History(clock, {"load": loads(3)}, initial={"x": start})
        out = TransientDriver(model, engine=engine).run(history)["x"].data
        assert out.shape == (9, 2, 3)
        (out[1:] ** 2).sum().backward()
        got = [*(p.grad for p in model.parameters()), clock.grad, start.grad]
        if engine == "native":
            expected = got
    for a, b in zip(expected, got, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_gradients_through_the_initial_outputs():
    """A loss that contains step 0."""
    start = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    driver = TransientDriver(decay(), engine="native")
    run = driver.run(History(times(4), {"load": loads(steps=4)}, initial={"x": start}))
    run["x"].data[0].sum().backward()
    assert start.grad.tolist() == [1.0, 1.0]


def test_second_derivatives_are_refused(leaving):
    out = leaving.run({"t": times(4), "load": loads(steps=4)})["x"].data.sum()
    (p, *_) = leaving.model.parameters()
    with pytest.raises(RuntimeError, match="gives first derivatives; take second ones with engine='eager'"):
        torch.autograd.grad(out, p, create_graph=True)


def test_gradients_beside_a_point_that_fails(snapping):
    """The eager engine does the whole run then."""
    history = failing()
    found = []
    for driver in (snapping, TransientDriver(snapping.model, engine="eager")):
        run = driver.run(history, on_failure="freeze")
        loss = run["x"].data[1:].sum() + run["y"].data[1:].sum()
        found.append(torch.autograd.grad(loss, list(driver.model.parameters())))
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


def test_single_precision():
    """Arrays in single precision, arithmetic in double: closer to the exact answer than the eager engine."""
    double = TransientDriver(decay(), engine="eager")
    single = TransientDriver(decay().to(torch.float32), engine="native")
    with torch.no_grad():
        exact = double.run({"t": times(40), "load": loads(5, steps=40)})
        found = single.run({"t": times(40).float(), "load": loads(5, steps=40).float()})
    assert found["x"].data.dtype == torch.float32 and found.succeeded
    torch.testing.assert_close(found["x"].data.double(), exact["x"].data, rtol=1e-6, atol=1e-7)
    loss = single.run({"t": times(4).float(), "load": loads(5, steps=4).float()})["x"].data.sum()
    loss.backward()
    assert all(p.grad.dtype == torch.float32 for p in single.model.parameters())


@pytest.mark.parametrize("rule", ["BACKTRACKING", "STRONG_WOLFE"])
def test_line_searches(rule):
    model = snap()
    (update,) = (m for m in model.modules() if isinstance(m, ImplicitUpdate))
    update.solver = NewtonWithLineSearch(linesearch_type=rule)
    driver = TransientDriver(model, engine="native")
    history = {"t": times(3), "load": [0.0, 0.3, 0.35], "bad": [0.0] * 3}
    assert both(driver, history, on_failure="freeze").iterations.max() > 3


# ---------------------------------------------------------------------- refusals


def small(kind=torch.float64, steps=3):
    return {"t": times(steps).to(kind), "load": loads(2, steps=steps).to(kind)}


def enough():
    """A history that is worth a kernel to ``engine="auto"``."""
    return small(steps=_MANY_STEPS)


def krylov():
    model = decay()
    model.get_submodule("update").solver = Newton(linear_solver=GMRES())
    return model


def test_other_solvers_are_refused():
    driver = TransientDriver(krylov(), engine="native")
    with torch.no_grad(), pytest.raises(NotNative, match="linear solver of 'update' is not DenseLU"):
        driver.run(small())


def test_an_engine_that_does_not_exist():
    with pytest.raises(ValueError, match="engine is 'nativ'; did you mean 'native'"):
        TransientDriver(decay(), engine="nativ")


@pytest.fixture
def messages():
    found = []
    log.set_default_level("driver", "info")
    log.set_sink(lambda level, text: found.append(text))
    yield found
    log.reset_sink()
    log.reset_defaults()


def test_auto_says_once_why_it_runs_in_the_eager_engine(messages):
    model = krylov()
    driver, eager = TransientDriver(model, engine="auto"), TransientDriver(model, engine="eager")
    with torch.no_grad():
        for _ in range(2):
            same(driver.run(enough()), eager.run(enough()), 0.0)
    (text,) = [m for m in messages if "runs in the eager engine" in m]
    assert "linear solver of 'update' is not DenseLU" in text


def test_auto_without_a_compiler(messages, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    driver = TransientDriver(decay(), engine="auto")
    with torch.no_grad():
        same(driver.run(enough()), TransientDriver(driver.model, engine="eager").run(enough()), 0.0)
    (text,) = [m for m in messages if "runs in the eager engine" in m]
    assert "CXX is 'no-such-compiler', which is not found" in text


def test_auto_gives_gradients(messages):
    driver = TransientDriver(decay(), engine="auto")
    driver.run(enough())["x"].data.sum().backward()
    assert all(p.grad is not None for p in driver.model.parameters())
    assert driver._engine.kernel is not None


def test_auto_is_native_where_it_can(messages):
    driver = TransientDriver(decay(), engine="auto")
    both(driver, enough())
    assert driver._engine.kernel is not None
    assert not [m for m in messages if "eager" in m]


def test_auto_builds_no_kernel_for_a_short_history():
    driver = TransientDriver(decay(), engine="auto")
    both(driver, small())
    assert driver._engine.kernel is None


def test_a_table_of_another_size_makes_another_kernel():
    law = ScalarLinearInterpolation(
        argument="x", output="y", abscissa=[0.0, 1.0, 2.0], ordinate=[0.0, 1.0, 4.0]
    )
    driver = TransientDriver(law, engine="native")
    time = torch.arange(4.0, dtype=torch.float64)
    history = {"t": time, "x": time / 2}
    abscissa, ordinate = (name for name, _ in law.named_parameters())
    with torch.no_grad():
        assert driver.run(history)["y"].data.tolist() == [0.0, 0.5, 1.0, 2.5]
        kernel = driver._engine.kernel
        law.set_parameter(ordinate, [0.0, 2.0, 8.0])
        assert driver.run(history)["y"].data.tolist() == [0.0, 1.0, 2.0, 5.0]
        assert driver._engine.kernel is kernel
        law.set_parameter(abscissa, [0.0, 1.0, 2.0, 3.0])
        law.set_parameter(ordinate, [0.0, 3.0, 3.0, 3.0])
        assert driver.run(history)["y"].data.tolist() == [0.0, 1.5, 3.0, 3.0]
        assert driver._engine.kernel is not kernel
