"""Gradients with checkpoints: the same as without, whatever is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from neml2 import Scalar, load_input, log
from neml2.composed import ComposedModel
from neml2.drivers import History, TransientDriver
from neml2.drivers.engines.native import NotNative
from neml2.drivers.histories.segments import HOLD, Segment
from neml2.errors import MissingVariable
from neml2.implicit import ImplicitUpdate
from neml2.models.common.time_integration import BackwardEulerTimeIntegration
from neml2.predictors import LinearExtrapolationPredictor
from neml2.recurrent import checkpointed
from neml2.solvers.newton import Newton
from neml2.solvers.status import Status
from neml2.system import NonlinearSystem
from tests.drivers.materials import DrivenDecay, decay, snap, strain, strainer, times
from tests.recurrent.problems import PROBLEMS, load, loss_of, tensors

SCENARIOS = Path(__file__).parents[1] / "scenarios"
F64 = torch.float64
STEPS = 13


@pytest.fixture
def messages():
    said = []
    log.set_sink(lambda level, text: said.append(text))
    yield said
    log.set_sink(None)


@pytest.fixture(scope="module")
def driver():
    return TransientDriver(decay(k=Scalar(torch.tensor([[0.5], [2.0]], dtype=F64))), engine="native")


class Inputs:
    """A decay of (2, 3) points, whose load, clock and initial state are leaves."""

    def __init__(self, **more):
        generator = torch.Generator().manual_seed(2)
        self.load = torch.rand(STEPS, 3, dtype=F64, generator=generator).requires_grad_()
        self.start = torch.tensor([1.5, -1.0, 0.2], dtype=F64, requires_grad=True)
        self.clock = (times(STEPS)[:, None] * torch.tensor([1.0, 2.0, 5.0], dtype=F64)).requires_grad_()
        self.history = History(self.clock, {"load": self.load}, initial={"x": self.start}, **more)

    def gradients(self, run, model):
        loss = sum((i + 1.5) * (v.data**3).sum() for i, v in enumerate(run.outputs.values()))
        leaves = [*model.parameters(), self.load, self.start, self.clock]
        return torch.autograd.grad(loss, leaves)


def same_run(run, expected, names):
    assert list(run.outputs) == names
    for n in names:
        assert type(run[n]) is type(expected[n]) and torch.equal(run[n].data, expected[n].data)
    assert torch.equal(run.status, expected.status) and torch.equal(run.iterations, expected.iterations)
    assert torch.equal(run.time, expected.time)


def same_gradients(found, expected):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("every", [1, 4, 12, 100, None])
def test_gradients_by_everything(driver, every):
    given, names = Inputs(), ["x_rate", "x"]
    expected = driver.run(given.history, save=names)
    run = checkpointed(driver, given.history, names, every)
    same_run(run, expected, list(expected.outputs))
    same_gradients(given.gradients(run, driver.model), given.gradients(expected, driver.model))


def test_a_result_that_is_not_kept_has_no_part(driver):
    given = Inputs()
    run = checkpointed(driver, given.history, "x", 5)
    assert list(run.outputs) == ["x"]
    expected = driver.run(given.history)["x"].data.sum()
    found = torch.autograd.grad(run["x"].data.sum(), given.load)
    same_gradients(found, torch.autograd.grad(expected, given.load))


def test_histories_of_several_lengths(driver):
    given = Inputs(lengths=torch.tensor([STEPS, 5, 8]))
    expected = driver.run(given.history, save=["x"])
    run = checkpointed(driver, given.history, "x", 3)
    same_run(run, expected, ["x"])
    assert (run.status[:, :, 1] == Status.ENDED).sum() == 2 * (STEPS - 5)
    same_gradients(given.gradients(run, driver.model), given.gradients(expected, driver.model))


def test_two_old_values_and_old_forces():
    """Linear extrapolation reads two rows back; forward Euler reads old strains."""
    rate = DrivenDecay(k=2.0, name="rate")
    step = BackwardEulerTimeIntegration[Scalar](variable="x", name="step")
    system = NonlinearSystem(ComposedModel([rate, step], name="residual"), unknowns="x")
    guess = LinearExtrapolationPredictor(unknowns_Scalar=["x"])
    update = ImplicitUpdate(system, predictor=guess, name="update")
    load = torch.rand(STEPS, 3, dtype=F64, generator=torch.Generator().manual_seed(0))
    for model, history, name in (
        (ComposedModel([update, rate], additional_outputs=["x"]), {"t": times(STEPS), "load": load}, "x"),
        (strainer(), History(times(STEPS), {"E": strain(STEPS, 3)}, constant={"T": 2.0}), "S"),
    ):
        driver = TransientDriver(model, engine="native")
        found = [
            torch.autograd.grad((run[name].data ** 2).sum(), list(model.parameters()))
            for run in (checkpointed(driver, history, name, 2), driver.run(history))
        ]
        same_gradients(*found)


def test_what_is_kept(driver):
    """A state for every block of rows, and nothing else that grows with them."""
    given = Inputs()

    def kept(make):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            run = make()
        return sum(sizes), run

    one, four, twelve = (kept(lambda k=k: checkpointed(driver, given.history, "x", k))[0] for k in (1, 4, 12))
    points = 6
    assert one - twelve == 11 * points and four - twelve == 2 * points
    everything = kept(lambda: driver.run(given.history, save=["x"]))[0]
    assert everything - twelve >= 2 * STEPS * points - points  # x and x_rate of all rows


@pytest.mark.slow
def test_control_that_starts_from_where_the_material_is():
    model = load_input(SCENARIOS / "vp_voce_rateform" / "model.i").get_model("model")
    driver = TransientDriver(model, engine="native", strain="E")
    history = History.from_segments(
        [
            Segment(1.0, 4, strain={"xx": torch.tensor([0.004, 0.009], dtype=F64)}),
            Segment(2.0, 2, stress={"xx": HOLD}),
            Segment(1.0, 3, stress={"xx": 0.0}),
        ]
    )
    leaves = [p for n, p in model.named_parameters() if not n.endswith("nu")]
    found = []
    for run in (checkpointed(driver, history, ["stress", "E"], 3), driver.run(history, save=["stress", "E"])):
        loss = (run["stress"].data ** 2).sum() + 1e5 * run["E"].data[:, :, 0].sum()
        found.append((run, torch.autograd.grad(loss, leaves)))
    same_run(found[0][0], found[1][0], list(found[1][0].outputs))
    for a, b in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=0)


# ---------------------------------------------------------------------- refusals, failures


def test_without_gradients_it_is_a_run(driver):
    given = Inputs()
    with torch.no_grad():
        run, expected = checkpointed(driver, given.history, "x"), driver.run(given.history, save=["x"])
    same_run(run, expected, ["x"])
    assert not run["x"].data.requires_grad


def test_the_eager_engine(driver):
    given = Inputs()
    eager = TransientDriver(driver.model, engine="eager")
    run = checkpointed(eager, given.history, ["x"])
    same_gradients(
        given.gradients(run, driver.model),
        given.gradients(eager.run(given.history, save=["x"]), driver.model),
    )


def test_points_that_fail_are_taken_by_the_eager_engine(messages):
    load = 0.1 * torch.arange(6, dtype=F64)[:, None] * torch.linspace(0.5, 1.0, 3).double()
    bad = torch.zeros(6, 3, dtype=F64)
    bad[3, 1] = 4.0
    history = {"t": times(6, 5.0), "load": load, "bad": bad}
    driver = TransientDriver(snap(), on_failure="freeze", engine="native")
    found = [
        torch.autograd.grad(run["x"].data.sum(), list(driver.model.parameters())[:1])
        for run in (checkpointed(driver, history, "x", 2), driver.run(history))
    ]
    same_gradients(*found)
    assert len(messages) == 2  # once from each of the two
    assert "points failed in the kernel, so the whole history is kept" in messages[0]
    assert "points failed in the kernel, and a run with gradients is made in one piece" in messages[1]


def test_second_derivatives_are_refused(driver):
    given = Inputs()
    run = checkpointed(driver, given.history, "x", 3)
    with pytest.raises(RuntimeError, match="gives first derivatives"):
        torch.autograd.grad(run["x"].data.sum(), given.load, create_graph=True)


def test_what_cannot_be_asked_for(driver):
    given = Inputs()
    with pytest.raises(ValueError, match="every is 0; give a number of rows, 1 or more"):
        checkpointed(driver, given.history, "x", 0)
    with pytest.raises(MissingVariable, match="no result 'x_rat'; did you mean 'x_rate'"):
        checkpointed(driver, given.history, "x_rat")


def test_what_the_kernel_does_not_take(driver, messages):
    log.set_default_level("newton", "info")  # messages that no kernel has
    try:
        with pytest.raises(NotNative, match="engine='native' cannot run .*messages of Newton's method"):
            checkpointed(driver, Inputs().history, "x")
    finally:
        log.reset_defaults()


# ---------------------------------------------------------------------- reference problems


@pytest.mark.parametrize("engine", ["native", "eager"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_losses_and_gradients_are_those_of_the_reference(name, engine):
    """With a run and with checkpoints, by parameters and by the initial state."""
    problem = PROBLEMS[name]
    model = ImplicitUpdate(load(name), solver=Newton(abs_tol=1e-13, rel_tol=1e-13), name="update")
    driver = TransientDriver(model, engine=engine)
    states = problem["state_variables"]
    for how in (driver.run, lambda h: checkpointed(driver, h, states, 4)):
        start = {n: v.requires_grad_() for n, v in tensors(problem["initial_state"]).items()}
        forces = tensors(problem["forces"])
        run = how(History(forces.pop("t"), forces, initial=start))
        whole = torch.cat([run[n].data.reshape(*run.status.shape, -1) for n in states], dim=-1)
        loss = loss_of(name, whole)
        assert loss.item() == pytest.approx(problem["loss"]["value"], rel=1e-8)
        model.zero_grad()
        loss.backward()
        found = {"_".join(n.split(".")[-2:]): p.grad for n, p in model.named_parameters()}
        for n, value in problem["gradients"].items():
            assert found[n].item() == pytest.approx(value, rel=1e-6), n
        by_start = torch.cat([start[n].grad.reshape(run.status.shape[1], -1) for n in states], dim=-1)
        exact = torch.tensor(problem["initial_state_gradient"], dtype=F64)
        torch.testing.assert_close(by_start, exact, rtol=1e-6, atol=1e-6 * float(exact.abs().max()))


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_two_runs_before_one_backward_pass(engine):
    """The gradient of a sum is the sum of those of its parts; a parameter stepped in between is refused."""
    model = decay()
    (p,) = model.parameters()
    driver = TransientDriver(model, engine=engine)
    ways = (driver.run, lambda h: checkpointed(driver, h, "x", 3))
    for how in ways:

        def loss(load, how=how):
            history = {"t": times(STEPS), "load": torch.full((STEPS,), load, dtype=F64)}
            return how(history)["x"].data.square().sum()

        parts = [torch.autograd.grad(loss(load), p)[0] for load in (1.0, -2.0)]
        torch.testing.assert_close(torch.autograd.grad(loss(1.0) + loss(-2.0), p)[0], sum(parts))
        first = loss(1.0)
        with torch.no_grad():
            p.mul_(1.5)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            (first + loss(-2.0)).backward()
