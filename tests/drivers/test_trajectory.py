import pytest
import torch

from neml2.composed import ComposedModel
from neml2.drivers import History, Trajectory, TransientDriver
from neml2.drivers.results.saving import Save
from neml2.drivers.trajectory import concatenate, expanded
from neml2.errors import MissingVariable
from neml2.implicit import ImplicitUpdate
from neml2.predictors import LinearExtrapolationPredictor
from neml2.system import NonlinearSystem
from neml2.types import SR2, Scalar
from tests.drivers.blocks import cut, whole
from tests.drivers.materials import DrivenDecay, decay, strain, strainer, times


def run(steps=5, **initial):
    E = strain(steps, 2)
    history = History(times(steps), {"E": E}, constant={"T": 2.0}, initial=initial)
    return TransientDriver(strainer()).run(history)


def test_values_are_typed_with_the_step_first():
    trajectory = run()
    assert isinstance(trajectory["S"], SR2)
    assert trajectory["S"].shape == (5, 2, 6)
    assert isinstance(trajectory["T"], Scalar)
    assert trajectory["T"].shape == (5, 2)  # the whole batch, although it is the same for all
    assert trajectory["t"].shape == (5, 2)
    torch.testing.assert_close((trajectory["E"] * trajectory["T"] * 3.0).data, trajectory["S_rate"].data)
    assert set(trajectory.names) == {"S_rate", "S", "t", "E", "T"}
    assert list(trajectory) == trajectory.names
    assert "S" in trajectory
    assert "stress" not in trajectory
    assert len(trajectory) == 5
    assert trajectory.batch == (2,)


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(MissingVariable, match="no 'S_rat'; did you mean 'S_rate'"):
        run()["S_rat"]


def test_detach_and_to():
    trajectory = run()
    assert trajectory["S"].requires_grad
    detached = trajectory.detach()
    assert not detached["S"].requires_grad
    assert torch.equal(detached["S"].data, trajectory["S"].data)
    assert trajectory.to(torch.float32)["S"].dtype == torch.float32


def test_final_state_continues_the_run():
    E = strain(9)
    driver = TransientDriver(strainer())
    whole = driver.run(History(times(9), {"E": E}, constant={"T": 2.0}))
    first = driver.run(History(times(9)[:5], {"E": E[:5]}, constant={"T": 2.0}))
    rest = driver.run(History(times(9)[4:], {"E": E[4:]}, constant={"T": 2.0}, initial=first.final_state))
    assert torch.equal(rest["S"].data, whole["S"].data[4:])


def test_to_dict_is_the_flat_form():
    start = torch.ones(6, dtype=torch.float64)
    trajectory = run(4, S=start)
    flat = trajectory.to_dict()
    keys = list(flat)
    assert keys.index("output.0.S") > keys.index("input.3.E")  # inputs of all steps first
    assert {k for k in keys if k.startswith("input.0.")} == {"input.0.t", "input.0.E", "input.0.T"}
    assert {k for k in keys if k.startswith("output.0.")} == {"output.0.S"}
    inputs = {"input.2.t", "input.2.E", "input.2.T", "input.2.S~1", "input.2.t~1"}
    assert {k for k in keys if k.startswith("input.2.")} == inputs
    assert {k for k in keys if k.startswith("output.2.")} == {"output.2.S", "output.2.S_rate"}
    assert torch.equal(flat["output.0.S"], start)
    assert torch.equal(flat["input.1.S~1"], start)
    assert torch.equal(flat["input.3.S~1"], flat["output.2.S"])
    assert torch.equal(flat["input.3.t~1"], flat["input.2.t"])
    assert not any(v.requires_grad for v in flat.values())


def test_to_dict_leaves_out_what_was_filled_with_zeros():
    flat = run(4).to_dict()
    assert "input.1.S~1" not in flat
    assert "output.0.S" not in flat
    assert "input.2.S~1" in flat


def test_to_dict_with_two_old_values():
    from neml2.models.common.time_integration import BackwardEulerTimeIntegration

    rate = DrivenDecay(k=2.0, name="rate")
    step = BackwardEulerTimeIntegration[Scalar](variable="x", name="step")
    system = NonlinearSystem(ComposedModel([rate, step], name="residual"), unknowns="x")
    model = ImplicitUpdate(
        system, predictor=LinearExtrapolationPredictor(unknowns_Scalar=["x"]), name="update"
    )
    assert "x~2" in model.input_spec
    trajectory = TransientDriver(model).run(
        History(times(5) + 7.0, constant={"load": 1.0}, initial={"x": 0.5})
    )
    flat = trajectory.to_dict()
    assert "input.1.x~1" in flat
    assert "input.1.x~2" not in flat
    assert "input.1.t~2" not in flat
    assert torch.equal(flat["input.2.x~2"], flat["input.1.x~1"])
    assert torch.equal(flat["input.2.t~2"], flat["input.0.t"])
    assert torch.equal(flat["input.4.x~2"], flat["output.2.x"])
    plain = TransientDriver(decay()).run(History(times(5), constant={"load": 1.0}, initial={"x": 0.5}))
    torch.testing.assert_close(plain["x"].data, trajectory["x"].data, rtol=1e-9, atol=0)
    assert set(trajectory.final_state) == {"x", "x~1"}


def test_expanded_is_a_view():
    value = Scalar(torch.arange(3.0))
    whole = expanded(value, torch.Size((4, 5)))
    assert whole.shape == (3, 4, 5)
    assert whole.data.data_ptr() == value.data.data_ptr()


def test_looks():
    trajectory = run()
    assert repr(trajectory).startswith("Trajectory(5 steps, batch (2,): ")
    assert not trajectory.failures
    assert trajectory.succeeded


def test_concatenation_of_parts(tmp_path):
    run = whole(9)
    parts = [cut(run, 0, 1), cut(run, 1, 4), cut(run, 4, 4), cut(run, 4, 9)]
    joined = concatenate(parts)
    for name in run.names:
        assert torch.equal(joined[name].data, run[name].data)
    assert torch.equal(joined.status, run.status)
    assert joined.rows is None
    assert joined.names == run.names
    with pytest.raises(ValueError, match="give one at least"):
        concatenate([])
    with pytest.raises(ValueError, match="only some .* have S; keep the same"):
        concatenate([parts[0], Save(("E", "S_rate", "T")).select(parts[1], 1, 9)])


def test_parts_may_lack_a_batch_and_rows():
    batch, generator = torch.ones(2, 3, 4, 6, dtype=torch.float64), torch.Generator().manual_seed(1)
    first = torch.randn(1, 6, dtype=torch.float64, generator=generator)

    def part(data, rank, rows):
        count = data.shape[0]
        status = torch.zeros(count, *data.shape[1 : data.ndim - 1 - rank], dtype=torch.int8)
        time = torch.zeros(count, dtype=torch.float64)
        return Trajectory(time, status, status.int(), {"a": SR2(data, rank)}, {}, rows=rows)

    joined = concatenate([part(first, 0, torch.tensor([0])), part(batch, 1, torch.tensor([4, 8]))])
    assert joined["a"].shape == (3, 3, 4, 6)
    assert joined["a"].sub_batch_ndim == 1
    assert torch.equal(joined["a"].data[0, 2, 3], first[0])
    assert torch.equal(joined["a"].data[1:], batch)
    assert joined.status.shape == (3, 3)
    assert joined.rows.tolist() == [0, 4, 8]
