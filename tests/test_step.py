import pytest
import torch

from neml2.composed import ComposedModel
from neml2.fields import Input, Output
from neml2.model import Model
from neml2.predictors import LinearExtrapolationPredictor
from neml2.solvers import Newton, Status
from neml2.step import StateUpdate
from neml2.types import Scalar, Vec, sum
from tests.small_models import F64, decay, scalar


class Energy(Model):
    """An output that is no state."""

    x: Scalar = Input("x")
    e: Scalar = Output("e")

    def forward(self, x):
        return x * x


def model(**options):
    return ComposedModel([decay(**options), Energy(name="energy")], additional_outputs=["x"], name="model")


def forces(t, f=0.0):
    return {"t": scalar(t), "f": scalar(f)}


def test_roles_follow_from_the_names():
    update = StateUpdate(model())
    assert set(update.states) == {"x"} and set(update.forces) == {"t", "f"} and set(update.guesses) == {"x"}
    assert set(update.outputs) == {"e", "x"} and update.depth["x"] == 1 and update.depth["t"] == 1


def test_one_step():
    update = StateUpdate(model())
    state = {"x": scalar(1.0, 0.5)}
    result = update(state, forces(1.0), forces(0.0))
    x = result.outputs["x"].data
    torch.testing.assert_close(x + x**3, torch.tensor([1.0, 0.5], dtype=F64))
    torch.testing.assert_close(result.outputs["e"].data, x * x)
    assert torch.equal(result.state["x"].data, x) and set(result.state) == {"x"}
    assert result.status.tolist() == [0, 0] and int(result.iterations.min()) > 1


def test_the_initial_state():
    update = StateUpdate(model())
    state = update.initial_state({}, torch.zeros((), dtype=torch.float32))
    assert state["x"].data == 0.0 and state["x"].data.dtype == torch.float32
    given = update.initial_state({"x": scalar(2.0)}, torch.zeros((), dtype=F64))
    outputs = update.initial_outputs(given, forces(0.0))
    assert float(outputs["x"].data) == 2.0 and float(outputs["e"].data.detach()) == 4.0


def test_failure_is_a_status_and_spoils_nothing():
    update = StateUpdate(model(solver=Newton(max_its=4)))
    state = {"x": scalar(0.3, torch.nan, 1e9, 0.1)}
    result = update(state, forces(1.0), forces(0.0))
    assert result.status.tolist() == [0, int(Status.NOT_FINITE), int(Status.MAX_ITERATIONS), 0]
    assert "2 of 4 points" in result.describe_failure()
    healthy = update({"x": scalar(0.3, 0.1)}, forces(1.0), forces(0.0))
    assert torch.equal(healthy.outputs["x"].data, result.outputs["x"].data[[0, 3]])


def test_missing_forces_are_named():
    update = StateUpdate(model())
    with pytest.raises(KeyError, match="needs 'f' for its input 'f'.*got t"):
        update({"x": scalar(1.0)}, {"t": scalar(1.0)}, {"t": scalar(0.0)})


def test_substeps():
    """Four Newton steps are not enough from far away; halves of the increment are nearer."""
    update = StateUpdate(model(solver=Newton(max_its=5)))
    state = {"x": scalar(0.3, 8.0)}
    assert update(state, forces(1.0), forces(0.0)).status.tolist() == [0, int(Status.MAX_ITERATIONS)]
    result = update(state, forces(1.0), forces(0.0), substeps=8)
    assert result.status.tolist() == [0, 0]
    x = float(result.outputs["x"].data[1].detach())
    assert 0.5 < x < 0.75  # exact: x' = -x^3 from 8 gives 0.704 at t = 1


def test_states_of_other_types():
    class Wrong(Model):
        x_n: Vec = Input("old", option="x~1")
        x: Scalar = Output("x")

        def forward(self, x_n):
            return Scalar(x_n.data[..., 0])

    with pytest.raises(ValueError, match="computes 'x' as Scalar but reads 'x~1' as Vec"):
        StateUpdate(Wrong())


def test_older_history():
    """A linear predictor reads two old values; while there is one only, it is repeated."""
    predictor = LinearExtrapolationPredictor(unknowns_Scalar=["x"], name="predictor")
    update = StateUpdate(decay(c=0.0, predictor=predictor))
    assert update.depth["x"] == 2 and update.depth["t"] == 2 and not update.guesses
    state, old = {"x": scalar(0.0)}, forces(0.0, 1.0)
    iterations = []
    for step in range(1, 5):
        now = forces(float(step), 1.0)
        result = update(state, now, old)
        old = update.next_old_forces(now, old)
        state = result.state
        iterations.append(int(result.iterations))
    assert float(state["x"].data.detach()) == pytest.approx(4.0) and float(
        state["x~1"].data.detach()
    ) == pytest.approx(3.0)
    assert float(old["t~1"].data) == 3.0
    assert iterations == [1, 0, 0, 0]  # after one step there is a slope, and it is exact


def test_gradients_through_steps():
    update = StateUpdate(model())

    def function(start):
        state, old = {"x": Scalar(start)}, forces(0.0, 0.1)
        for k in (1.0, 2.0, 3.0):
            now = forces(k, 0.1)
            result = update(state, now, old)
            state, old = result.state, update.next_old_forces(now, old)
        return result.outputs["e"].data

    start = torch.tensor([1.0, 0.5], dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(function, [start])
    name, h = "update.decay.c", 1e-6
    (slope,) = torch.autograd.grad(function(start).sum(), update.model.get_parameter(name))
    sums = []
    for c in (1.0 + h, 1.0 - h):
        update.model.set_parameter(name, c)
        sums.append(float(function(start).sum().detach()))
    assert float(slope) == pytest.approx((sums[0] - sums[1]) / (2 * h), rel=1e-6)


class Total(Model):
    """A sum over sites."""

    x: Scalar = Input("x")
    total: Scalar = Output("total")

    def forward(self, x):
        return sum(x.with_sub_batch_ndim(1).sub_batch, 0)


def test_a_state_that_lacks_its_sites_is_named():
    update = StateUpdate(
        ComposedModel([decay(), Total(name="total")], additional_outputs=["x"], name="model")
    )
    state = update.initial_state({}, torch.zeros((), dtype=F64))
    with pytest.raises(ValueError, match=r"'model' cannot be evaluated in its initial state: .*give x an"):
        update.initial_outputs(state, forces(0.0))
    given = update.initial_state({"x": Scalar(torch.ones(3, dtype=F64), 1)}, torch.zeros((), dtype=F64))
    assert float(update.initial_outputs(given, forces(0.0))["total"].data.detach()) == 3.0


def test_some_points_given_by_themselves():
    """Values of two points of four, and the parameters of the batch that they are from."""
    update = StateUpdate(model(c=torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=F64)))
    state = {"x": scalar(1.0, 0.5, 0.3, 0.8)}
    points = torch.tensor([3, 1])
    among = update(state, forces(1.0), forces(0.0), points=points)
    part = {"x": Scalar(state["x"].data[points])}
    alone = update(part, forces(1.0), forces(0.0), points=points, batch=torch.Size((4,)))
    assert torch.equal(alone.outputs["x"].data, among.outputs["x"].data)
    assert torch.equal(
        alone.outputs["x"].data, update(state, forces(1.0), forces(0.0)).outputs["x"].data[points]
    )
