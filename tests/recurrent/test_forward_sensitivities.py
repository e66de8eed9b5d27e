"""Derivatives of driven histories by parameters: closed forms, central differences, reverse mode."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from neml2 import SR2, ComposedModel, ImplicitUpdate, Model, NonlinearSystem, Scalar, load_input, log
from neml2.drivers import History, TransientDriver
from neml2.drivers.engines.native import NotNative
from neml2.drivers.histories.segments import HOLD, Segment
from neml2.errors import ConvergenceError, MissingVariable
from neml2.fields import Input, Output
from neml2.models import LinearIsotropicElasticity, SR2LinearCombination, ThermalEigenstrain
from neml2.recurrent import sensitivities
from neml2.solvers.krylov import GMRES
from neml2.solvers.newton import Newton
from neml2.solvers.status import Status
from tests.drivers.materials import decay, snap, times

SCENARIOS = Path(__file__).parents[1] / "scenarios"
F64 = torch.float64


@pytest.fixture
def messages():
    said = []
    log.set_sink(lambda level, text: said.append(text))
    yield said
    log.set_sink(None)


def drivers(model, **options):
    return [TransientDriver(model, engine=e, **options) for e in ("native", "eager")]


def start(x=1.5, steps=9, **more):
    return History(times(steps), {"load": torch.zeros(steps, dtype=F64)}, initial={"x": x}, **more)


def parameter(model):
    (name,) = dict(model.named_parameters())
    return name


def same(found, expected, rtol=1e-8):
    assert list(found) == list(expected)
    for key, d in expected.items():
        assert found[key].shape == d.shape and found[key].dtype == d.dtype, key
        torch.testing.assert_close(
            found[key], d, rtol=0, atol=rtol * float(d.abs().max()) + 1e-14, msg=str(key)
        )


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_a_decay(engine):
    """Backward Euler gives x_n = x_0 (1 + k dt)^-n; the rate at row 0 is -k x_0."""
    model = decay(k=2.0)
    name = parameter(model)
    run, found = sensitivities(TransientDriver(model, engine=engine), start())
    n, dt = torch.arange(9, dtype=F64), 1 / 8
    exact = -n * dt * 1.5 * (1 + 2.0 * dt) ** (-n - 1)
    assert set(found) == {("x", name), ("x_rate", name)}
    torch.testing.assert_close(found["x", name], exact, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(found["x_rate", name], -run["x"].data - 2.0 * exact, rtol=1e-12, atol=1e-15)
    assert found["x_rate", name][0] == -1.5


def test_every_point_by_its_own_value():
    k = torch.tensor([[0.5], [2.0]], dtype=F64)
    x = torch.tensor([1.0, -1.0, 3.0], dtype=F64)
    model = decay(k=Scalar(k))
    name = parameter(model)
    native, eager = (sensitivities(d, start(x), outputs="x")[1] for d in drivers(model))
    same(native, eager)
    assert native["x", name].shape == (9, 2, 3)
    n = torch.arange(9, dtype=F64)[:, None, None]
    exact = -n / 8 * x * (1 + k / 8) ** (-n - 1)
    torch.testing.assert_close(native["x", name], exact, rtol=1e-12, atol=1e-15)


def test_a_shared_value_has_the_gradient_of_reverse_mode():
    x = torch.tensor([1.0, -1.0, 3.0], dtype=F64)
    model = decay()
    driver = TransientDriver(model, engine="native")
    run, found = sensitivities(driver, start(x))
    loss = sum(
        (w * v.data**2).sum() for w, v in zip((1.0, 0.3), driver.run(start(x)).outputs.values(), strict=True)
    )
    (gradient,) = torch.autograd.grad(loss, list(model.parameters()))
    total = sum(
        (2 * w * run[n].data * found[n, parameter(model)]).sum()
        for w, n in zip((1.0, 0.3), run.outputs, strict=True)
    )
    torch.testing.assert_close(total, gradient, rtol=1e-12, atol=0)


def test_rows_after_the_end_repeat_the_last_one():
    model = decay()
    history = History(
        times(9)[:, None].expand(9, 3),
        {"load": torch.zeros(9, 3, dtype=F64)},
        initial={"x": torch.tensor([1.0, 2.0, 3.0], dtype=F64)},
        lengths=torch.tensor([9, 5, 7]),
    )
    (run, native), (_, eager) = (sensitivities(d, history) for d in drivers(model))
    same(native, eager)
    assert (run.status[:, 1] == Status.ENDED).sum() == 4
    _, alone = sensitivities(TransientDriver(model, engine="native"), start(2.0))
    for key, d in native.items():
        assert torch.equal(d[:5, 1], alone[key][:5])
        assert torch.equal(d[5:, 1], alone[key][4].expand(4))


def test_nothing_is_changed():
    model = decay()
    (p,) = model.parameters()
    before = p.detach().clone()
    run, found = sensitivities(model, start())
    assert p is next(model.parameters()) and torch.equal(p, before) and p.requires_grad and p.grad is None
    assert not any(d.requires_grad for d in found.values())
    assert not any(v.data.requires_grad for v in run.outputs.values())


def test_the_trajectory_is_that_of_the_run():
    model = decay()
    driver = TransientDriver(model, engine="native")
    history = start(torch.tensor([1.0, 2.0], dtype=F64))
    run, _ = sensitivities(driver, history)
    with torch.no_grad():
        plain = driver.run(history)
    assert list(run.outputs) == list(plain.outputs) and torch.equal(run.status, plain.status)
    assert torch.equal(run.iterations, plain.iterations)
    assert all(torch.equal(run[n].data, plain[n].data) for n in plain.outputs)


# ---------------------------------------------------------------------- names, refusals, failures


def test_names_that_do_not_exist():
    model = decay()
    with pytest.raises(MissingVariable, match="no parameter 'rate.ks'; did you mean 'rate.k'"):
        sensitivities(model, start(), "rate.ks")
    assert set(sensitivities(model, start(), "k", "x")[1]) == {("x", "k")}  # the end of a path
    with pytest.raises(MissingVariable, match="no result 'x_rat'; did you mean 'x_rate'"):
        sensitivities(model, start(), outputs=["x", "x_rat"])


def solved_by(linear_solver):
    model = decay()
    update = model.models_in_order[0]
    update.solver = Newton(linear_solver=linear_solver)
    return model


def test_what_the_kernel_does_not_take(messages):
    model = solved_by(GMRES())
    with pytest.raises(NotNative, match="engine='native' cannot run .* linear solver"):
        sensitivities(TransientDriver(model, engine="native"), start())
    driver = TransientDriver(model)
    _, found = sensitivities(driver, start())
    sensitivities(driver, start())
    assert len(messages) == 1 and "linear solver of 'update' is not DenseLU" in messages[0]
    same(found, sensitivities(TransientDriver(decay(), engine="eager"), start())[1])


def test_points_that_fail(messages):
    load = 0.1 * torch.arange(6, dtype=F64)[:, None] * torch.linspace(0.5, 1.0, 3).double()
    bad = torch.zeros(6, 3, dtype=F64)
    bad[3, 1] = 4.0
    history = {"t": times(6, 5.0), "load": load, "bad": bad}
    native, eager = drivers(snap(), on_failure="freeze")
    (run, found), (_, expected) = (sensitivities(d, history, outputs="x") for d in (native, eager))
    assert run.status[3, 1] != Status.CONVERGED and run.status[4, 1] == Status.FROZEN
    same(found, expected)
    assert all(bool(d.isfinite().all()) for d in found.values())
    assert not messages  # the other points stay in the kernel
    with pytest.raises(ConvergenceError):
        sensitivities(drivers(snap())[0], history)


# ---------------------------------------------------------------------- materials


def voce():
    return load_input(SCENARIOS / "vp_voce_rateform" / "model.i").get_model("model")


def test_control_that_starts_from_where_the_material_is():
    """Load in strain, hold the stress, unload to zero force: targets depend on the parameters."""
    model = voce()
    history = History.from_segments(
        [
            Segment(1.0, 4, strain={"xx": torch.tensor([0.004, 0.009], dtype=F64)}),
            Segment(2.0, 2, stress={"xx": HOLD}),
            Segment(1.0, 2, stress={"xx": 0.0}),
        ]
    )
    native, eager = drivers(model, strain="E")
    names = [n for n in dict(model.named_parameters()) if n.split(".")[-1] in ("R", "sy", "eta", "n", "E")]
    assert len(names) == 5
    _, found = sensitivities(native, history, names, ["stress", "E"])
    for n in names:
        value = model.get_parameter(n).detach().clone()
        h = 1e-4 * value
        with torch.no_grad():
            ends = []
            for j in (-2, -1, 1, 2):
                model.set_parameter(n, value + j * h)
                ends.append(native.run(history))
            model.set_parameter(n, value)
        for o in ("stress", "E"):
            a, b, c, d = (end[o].data for end in ends)
            slope = (a - 8 * b + 8 * c - d) / (12 * h)
            assert (found[o, n] - slope).abs().max() <= 1e-7 * slope.abs().max(), (o, n)
    hold = found["stress", names[1]][5:7, :, 0]
    assert (
        torch.equal(hold[0], hold[1]) and hold[0].abs().min() > 0.1
    )  # the stress that is held depends on it
    _, expected = sensitivities(eager, history, names[1:3], "E")
    same({key: found[key] for key in expected}, expected)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*/model.i")), ids=lambda p: p.parent.name)
def test_a_scenario(path):
    """All outputs by all parameters, against reverse mode through the eager engine."""
    given = load_input(path).get_driver("driver")
    bound = given.driver.bind(given.history)
    forces = {
        n: type(v)._new(v.data[:5], v.sub_batch_ndim)
        for n, v in bound.forces.items()
        if n != given.driver.time
    }
    history = History(bound.time[:5], forces, initial=bound.initial)
    model = given.driver.model
    compiled, plain = drivers(model, time=given.driver.time)
    try:
        run, native = sensitivities(compiled, history)
    except NotNative as reason:
        pytest.skip(str(reason))
    _, eager = sensitivities(plain, history)
    values = dict(model.named_parameters())
    for (o, p), d in eager.items():
        found = native[o, p]
        assert found.shape == d.shape
        size = float(run[o].data.abs().nan_to_num(0.0).max()) / max(float(values[p].abs().max()), 1e-3)
        assert (found - d).abs().max() <= 1e-6 * d.abs().max() + 1e-11 * size, (o, p)


def test_a_parameter_that_is_shared_has_every_name():
    """A name that :meth:`named_parameters` leaves out is that of the same tensor."""
    model = copy.deepcopy(decay())
    name = parameter(model)
    names = [n for n, _ in model.named_parameters(remove_duplicate=False)]
    _, found = sensitivities(TransientDriver(model, engine="native"), start(), names, "x")
    assert set(found) == {("x", n) for n in names} and len(names) == 2
    assert torch.equal(found["x", names[0]], found["x", names[1]]) and name in names


class Gathered(Model):
    """Residual of what gathers increments of the lateral strain: it reads the strain of the row before."""

    x: Scalar = Input("What has gathered")
    x_old: Scalar = Input("Before the step", option="x~1")
    strain: SR2 = Input("Strain")
    strain_old: SR2 = Input("Before the step", option="strain~1")
    r: Scalar = Output("Residual", option="x_residual")

    def forward(self, x, x_old, strain, strain_old):
        return x - x_old - Scalar(strain.data[..., 1] - strain_old.data[..., 1])


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_a_start_that_depends_on_parameters(engine):
    """The first strain is alpha (T - T0) and that of the stress; only what comes after it gathers."""
    heat = ThermalEigenstrain(temperature="T", eigenstrain="heat", T0=300.0, alpha=1e-5, name="heat")
    given = {"from": ["strain", "heat"], "to": "elastic", "weights": [1.0, -1.0]}
    apart = SR2LinearCombination(**given, name="apart")
    elastic = LinearIsotropicElasticity(strain="elastic", stress="stress", E=2e5, nu=0.3, name="elasticity")
    update = ImplicitUpdate(NonlinearSystem(Gathered(name="gathered"), unknowns="x"), name="update")
    model = ComposedModel([update, heat, apart, elastic], additional_outputs=["x"], name="model")
    warm = torch.linspace(500, 700, 5, dtype=F64)
    history = History.from_segments([Segment(1.0, 4, stress={"xx": 100.0})])
    history = history.replace(prescribed={"T": Scalar(warm)})
    _, found = sensitivities(TransientDriver(model, engine=engine), history, "heat.alpha", ["x", "strain"])
    torch.testing.assert_close(found["strain", "heat.alpha"][:, 1], warm - 300, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found["x", "heat.alpha"], warm - 500, rtol=1e-9, atol=1e-7)
