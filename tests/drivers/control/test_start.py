"""Row 0 under control: the initial state with the strain that meets what the first row prescribes."""

from pathlib import Path

import pytest
import torch

import neml2
from neml2 import log
from neml2.composed import ComposedModel
from neml2.drivers import HOLD, History, Increments, Segment, TransientDriver, laboratory
from neml2.drivers.control.controlled import controlled, strain_at_rest
from neml2.fields import Input, Output, Parameter
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.models import LinearIsotropicElasticity, ThermalEigenstrain
from neml2.models.common.time_integration import BackwardEulerTimeIntegration
from neml2.recurrent import sensitivities
from neml2.system import NonlinearSystem
from neml2.types import SR2, Scalar, dev, tanh

E, NU, CTE, T0 = 200e3, 0.3, 1e-5, 300.0
F64 = torch.float64
FREE = History.from_segments([Segment(10.0, stress={"xx": 0.0}, rows=4)])
HELD = History.from_segments([Segment(1.0, strain={"xx": HOLD}, rows=4)])


class Apart(Model):
    """Strain less those of heat and of flow."""

    strain: SR2 = Input("Strain")
    heat: SR2 = Input("Thermal strain")
    flow: SR2 = Input("Strain of flow")
    elastic: SR2 = Output("Elastic strain")

    def forward(self, strain, heat, flow):
        return strain - heat - flow


class Viscous(Model):
    """Linear flow by the stress deviator."""

    stress: SR2 = Input("Stress", unit="stress")
    flow_rate: SR2 = Output("Its rate")
    eta: Scalar = Parameter("eta", "Viscosity", unit="stress*time")

    def forward(self, stress, eta):
        return dev(stress) / eta


def maxwell(eta=1e6):
    """Elasticity, thermal expansion and a linear flow whose strain ``flow`` is the state."""
    heat = ThermalEigenstrain(temperature="T", eigenstrain="heat", T0=T0, alpha=CTE, name="heat")
    apart = Apart(name="apart")
    elastic = LinearIsotropicElasticity(strain="elastic", stress="stress", E=E, nu=NU, name="elasticity")
    step = BackwardEulerTimeIntegration[SR2](variable="flow", name="step")
    system = NonlinearSystem(
        ComposedModel([heat, apart, elastic, Viscous(eta=eta, name="viscous"), step], name="residual"),
        unknowns="flow",
    )
    update = ImplicitUpdate(system, name="update")
    return ComposedModel([update, heat, apart, elastic], additional_outputs=["flow"], name="maxwell")


def warm(history, *temperatures):
    return history.replace(constant={"T": torch.tensor(temperatures, dtype=F64)})


def first(trajectory, name):
    return trajectory[name].physical()[0]


ENGINES = [("eager", None), ("native", None), ("eager", Increments()), ("native", Increments())]


@torch.no_grad()
@pytest.mark.parametrize(("engine", "increments"), ENGINES)
def test_a_body_free_of_stress_starts_with_its_thermal_strain(engine, increments):
    history = warm(FREE, 300.0, 500.0)
    found = TransientDriver(maxwell(), engine=engine).run(history, increments=increments)
    ones = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=F64)
    for row in found["strain"].physical():
        torch.testing.assert_close(row, CTE * torch.tensor([0.0, 200.0], dtype=F64)[:, None] * ones)
    assert found["stress"].data.abs().max() < 1e-9


@torch.no_grad()
@pytest.mark.parametrize(("engine", "increments"), ENGINES)
def test_a_component_that_is_held_starts_with_its_thermal_stress(engine, increments):
    """Fixed along x, free across: -E alpha dT, and before anything has flown."""
    history = warm(HELD, 500.0)
    found = TransientDriver(maxwell(), engine=engine).run(history, increments=increments)
    stress, strain = first(found, "stress")[0], first(found, "strain")[0]
    torch.testing.assert_close(
        stress, torch.tensor([-400.0, 0, 0, 0, 0, 0], dtype=F64), rtol=1e-12, atol=1e-9
    )
    torch.testing.assert_close(strain[:3], torch.tensor([0.0, 0.0026, 0.0026], dtype=F64), rtol=1e-10, atol=0)
    assert not first(found, "flow").any() and found["stress"].physical()[1, 0, 0] > -400


@torch.no_grad()
def test_a_test_that_starts_from_a_stress_has_its_elastic_strain():
    history = History.from_segments(
        [Segment(1.0, stress={"xx": 200.0}, rows=4)], start={"stress.xx": 100.0}, constant={"T": T0}
    )
    found = TransientDriver(maxwell()).run(history)
    assert float(first(found, "strain")[0]) == pytest.approx(100 / E, rel=1e-12)
    assert float(first(found, "strain")[1]) == pytest.approx(-NU * 100 / E, rel=1e-12)


@torch.no_grad()
def test_a_strain_that_is_given_is_kept_and_so_is_one_that_meets_the_row():
    history = warm(FREE, 500.0)
    given = SR2.fill(1e-3, dtype=F64)
    found = TransientDriver(maxwell()).run(history.replace(initial={"strain": given}))
    assert torch.equal(found["strain"].data[0, 0], given.data)
    cold = TransientDriver(maxwell()).run(warm(history, T0))
    assert not cold["strain"].data[0].any() and not cold["stress"].data[0].any()


@torch.no_grad()
def test_a_point_starts_alone_as_in_a_batch():
    temperatures = (300.0, 412.3, 577.7)
    history = laboratory.monotonic(0.001, 1e-3, rows=2)
    batch = TransientDriver(maxwell()).run(warm(history, *temperatures))
    for i, t in enumerate(temperatures):
        alone = TransientDriver(maxwell()).run(warm(history, t))
        for name in ("strain", "stress"):
            assert torch.equal(alone[name].data[:, 0], batch[name].data[:, i])


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_the_start_is_differentiated(engine):
    model = maxwell()
    history = warm(HELD, 500.0)
    found = TransientDriver(model, engine=engine).run(history)
    first(found, "stress")[0, 0].backward(retain_graph=True)
    by = {n.rpartition(".")[2]: p for n, p in model.named_parameters()}
    assert float(by["alpha"].grad) == pytest.approx(-E * 200.0, rel=1e-10)
    assert float(by["E"].grad) == pytest.approx(-CTE * 200.0, rel=1e-10)
    by["alpha"].grad = None
    first(found, "strain")[0, 1].backward()
    assert float(by["alpha"].grad) == pytest.approx(200 * (1 + NU), rel=1e-10)


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_sensitivities_see_the_start(engine):
    model = maxwell()
    name = next(n for n, _ in model.named_parameters() if n.endswith("alpha"))
    _, slopes = sensitivities(TransientDriver(model, engine=engine), warm(HELD, 500.0), name, "stress")
    assert float(slopes["stress", name][0, 0, 0]) == pytest.approx(-E * 200.0, rel=1e-10)
    assert -E * 200 < float(slopes["stress", name][1, 0, 0]) < 0


@torch.no_grad()
def test_a_stress_that_is_a_state_starts_as_it_is():
    text = (Path(__file__).parents[2] / "scenarios/vp_chaboche_cyclic/model.i").read_text()
    model = neml2.load_string(text).get_model("model")
    assert strain_at_rest(controlled(model), "E", "stress") is None
    history = History.from_segments([Segment(1.0, stress={"xx": 60.0}, rows=2)], start={"stress.xx": 50.0})
    found = TransientDriver(model).run(history)
    assert not first(found, "E").any() and float(first(found, "stress")[0]) == 0.0
    assert float(found["stress"].physical()[1, 0]) == pytest.approx(55.0, rel=1e-6)


class Saturating(Model):
    """A stress that never passes 100."""

    strain: SR2 = Input("Strain")
    stress: SR2 = Output("Stress", unit="stress")
    C: Scalar = Parameter("C", "Stiffness", unit="stress")

    def forward(self, strain, C):
        data = 100.0 * tanh(Scalar(strain.data * (C.data / 100.0))).data
        return SR2(data)


@torch.no_grad()
def test_points_that_cannot_meet_the_row_keep_their_strain_and_it_is_told():
    stress = torch.tensor([50.0, 150.0], dtype=F64)
    history = History.from_segments([Segment(1.0, stress={"xx": 10.0}, rows=2)], start={"stress.xx": stress})
    seen = []
    log.set_sink(lambda level, line: seen.append(line))
    try:
        found = TransientDriver(Saturating(C=1e4), on_failure="freeze").run(history)
    finally:
        log.reset_sink()
    assert float(first(found, "stress")[0, 0]) == pytest.approx(50.0, rel=1e-9)
    assert not first(found, "strain")[1].any()
    assert "the first row does not meet its control at 1 of 2 points; give 'strain' an initial" in seen[0]
