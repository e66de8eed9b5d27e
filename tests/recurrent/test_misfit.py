"""Residuals and their derivatives, of every kind of test and response, in both engines."""

from pathlib import Path

import numpy as np
import pytest

import neml2
from neml2.drivers import TransientDriver, laboratory
from neml2.drivers.histories.segments import HOLD, Segment
from neml2.errors import MissingVariable
from neml2.models import LinearIsotropicElasticity
from neml2.recurrent import Experiment
from neml2.recurrent.misfit import Misfit
from tests.recurrent.fits import bar

MODEL = Path(__file__).parents[2] / "examples" / "calibrate_viscoplastic" / "model.i"
BOUNDS = {
    "elasticity.E": (50e3, 400e3),
    "yield_function.sy": (10.0, 500.0),
    "flow_rate.n": (1.0, 20.0),
}
PULLED = laboratory.monotonic(0.01, 1e-3, rows=4)
HELD = neml2.History.from_segments(
    [Segment(10.0, 4, strain={"xx": 0.01}), Segment(100.0, 3, stress={"xx": HOLD})]
)
TESTS = {
    "strain": Experiment(PULLED, {"stress.xx": np.full(5, 100.0)}),
    "stress": Experiment(
        laboratory.creep(150.0, 100.0, load_time=1.0, rows=4, load_rows=4), {"strain.xx": np.full(9, 1e-3)}
    ),
    "held stress": Experiment(HELD, {"strain.xx": np.full(8, 1e-3), "stress.xx": np.full(8, 150.0)}),
    "invariants": Experiment(PULLED, {"von_mises(stress)": np.full(5, 90.0), "X.yy": np.full(5, -5.0)}),
    "Scalars": Experiment(PULLED, {"equivalent_plastic_strain": np.full(5, 1e-3)}),
    "other times": Experiment(PULLED, {"stress.xx": [50.0, 80.0, 90.0]}, times=[0.7, 3.3, 10.0]),
}


@pytest.mark.parametrize(
    "kind, engine", [*((kind, "native") for kind in TESTS), ("strain", "eager"), ("held stress", "eager")]
)
def test_derivatives_are_those_of_central_differences(kind, engine):
    driver = TransientDriver(neml2.load_model(MODEL, "model"), engine=engine)
    misfit = Misfit(driver, TESTS[kind], BOUNDS)
    u, h = misfit.space.start + 0.01, 1e-5
    exact = misfit.jacobian(u)
    for i, direction in enumerate(np.eye(len(u))):
        step = h * direction
        slope = (misfit.residuals(u + step) - misfit.residuals(u - step)) / (2 * h)
        np.testing.assert_allclose(exact[:, i], slope, rtol=1e-5, atol=1e-6 * np.abs(exact).max())
    _, gradient = misfit.loss_and_gradient(u)
    np.testing.assert_allclose(gradient, exact.T @ misfit.residuals(u), rtol=1e-6)


def test_tests_of_different_kinds_are_groups():
    named = []
    for kind in ("strain", "stress", "held stress"):
        history, responses = TESTS[kind].history, TESTS[kind].responses
        named.append(Experiment(history, dict.fromkeys(responses, np.ones(len(history))), name=kind))
    misfit = Misfit(neml2.load_model(MODEL, "model"), named, BOUNDS)
    assert [g.numbers for g in misfit.groups] == [(0, 1), (2,)]  # a held stress starts where it is reached
    assert misfit.points == 4 + 8 + 2 * 7
    alone = [Misfit(neml2.load_model(MODEL, "model"), e, BOUNDS) for e in named]
    together = np.square(misfit.residuals(misfit.space.start)).sum()
    units = [np.square(m.residuals(m.space.start)).sum() for m in alone]
    assert together == pytest.approx(sum(units), rel=1e-9)


def test_stress_and_strain_go_by_the_names_of_the_model():
    model = LinearIsotropicElasticity(E=100.0, nu=0.3, strain="E", stress="S", name="elasticity")
    values = {"stress.xx": np.arange(5.0), "strain.yy": np.arange(5.0)}
    test = Experiment(laboratory.monotonic(0.1, 1.0, rows=4), values)
    names = [c.quantity.text for g in Misfit(model, test, {"nu": (0.1, 0.4)}).groups for c in g.compared]
    assert names == ["S.xx", "E.yy"]


@pytest.mark.parametrize(
    "response, error, message",
    [
        ("stress", ValueError, "say which component, such as 'stress.xx'"),
        ("stress.ax", MissingVariable, "no component 'ax'"),
        ("von_mises(stres)", MissingVariable, "did you mean 'stress'"),
        ("vonmises(stress)", ValueError, "did you mean 'von_mises'"),
        ("energy(stress, strain)", ValueError, "not one number of a row"),
        ("t", MissingVariable, "computes no 't'"),
    ],
)
def test_what_is_no_number_of_the_model_is_refused(response, error, message):
    test = Experiment(laboratory.monotonic(0.1, 1.0, rows=4), {response: np.arange(5.0)})
    with pytest.raises(error, match=message):
        Misfit(bar(), test, {"E": (10, 1000)})
