import math

import numpy as np
import pytest
import torch
from scipy import stats

from neml2.drivers import History, TransientDriver
from neml2.errors import ConvergenceError, MissingVariable
from neml2.recurrent import Experiment, Free, GradientError, Prior, calibrate
from neml2.recurrent.misfit import Misfit
from neml2.recurrent.transforms import Space
from neml2.recurrent.uncertainty import uncertainty
from tests.drivers.materials import decay, snap
from tests.recurrent.fits import bar, decaying, pulled

STRESS = np.array([0.0, 2.2, 3.8, 6.1, 8.2, 9.7])
STRAIN = np.linspace(0, 0.1, 6)


def regression():
    """Estimate, standard error and interval of a line through the origin."""
    e, s = STRAIN[1:], STRESS[1:]
    E = (e @ s) / (e @ e)
    variance = ((s - E * e) ** 2).sum() / (len(e) - 1)
    error = math.sqrt(variance / (e @ e))
    half = stats.t.ppf(0.975, len(e) - 1) * error
    return E, error, (E - half, E + half)


@pytest.mark.parametrize("method", ["least_squares", "lbfgs"])
def test_a_linear_fit_is_linear_regression(method):
    result = calibrate(
        bar(80.0), pulled(STRESS), {"E": Free(start=80.0, log=False)}, method=method, tolerance=1e-14
    )
    E, error, interval = regression()
    assert result["E"] == pytest.approx(E, rel=1e-7)
    assert result.errors["E"] == pytest.approx(error, rel=1e-6)
    assert result.intervals()["E"] == pytest.approx(interval, rel=1e-6)
    assert result.converged and len(result.history) < 40


def test_standard_deviations_that_are_given_are_taken():
    result = calibrate(bar(80.0), pulled(STRESS, sigma=0.5), {"E": Free(start=80.0, log=False)})
    e = STRAIN[1:]
    assert result.errors["E"] == pytest.approx(0.5 / math.sqrt(e @ e), rel=1e-6)
    assert result.uncertainty.variance == 1.0
    few = calibrate(bar(80.0), pulled(STRESS, sigma=5.0), {"E": Free(start=80.0)})
    assert "sigma" in " ".join(few.warnings)


def test_weights_choose_what_the_fit_attends_to():
    first, second = pulled(STRAIN * 100, name="a"), pulled(STRAIN * 200, name="b")
    alike = calibrate(bar(), [first, second], {"E": (10, 1000)})
    assert alike["E"] == pytest.approx(150, rel=1e-6)
    heavy = calibrate(bar(), [first, pulled(STRAIN * 200, name="b", weight=3.0)], {"E": (10, 1000)})
    assert heavy["E"] == pytest.approx(175, rel=1e-6)
    response = pulled(STRAIN * 200, name="b", weight=2.0, weights={"stress.xx": 1.5})
    assert calibrate(bar(), [first, response], {"E": (10, 1000)})["E"] == pytest.approx(175, rel=1e-6)
    points = pulled(STRAIN * 200, name="b", weights={"stress.xx": [1, 0, 0, 0, 0, 0]})
    assert calibrate(bar(), [first, points], {"E": (10, 1000)})["E"] == pytest.approx(100, rel=1e-6)


def test_a_missing_value_is_as_one_that_was_never_measured():
    values = STRESS.copy()
    values[3] = math.nan
    e, s = np.delete(STRAIN, [0, 3]), np.delete(STRESS, [0, 3])
    result = calibrate(bar(), pulled(values), {"E": (10, 1000)})
    assert result["E"] == pytest.approx((e @ s) / (e @ e), rel=1e-7)
    assert result.misfit.points == 4


def test_a_prior_counts_like_a_measurement():
    result = calibrate(bar(), pulled(STRESS, sigma=0.5), {"E": Prior(200.0, 10.0)})
    e, s = STRAIN[1:], STRESS[1:]
    precision, pull = (e @ e) / 0.25 + 1 / 100, (e @ s) / 0.25 + 200 / 100
    assert result["E"] == pytest.approx(pull / precision, rel=1e-7)
    assert result.errors["E"] == pytest.approx(precision**-0.5, rel=1e-6)


def test_tests_of_several_lengths_and_kinds_are_fitted_together():
    tests = [decaying(rows=21, name="long"), decaying(rows=11, load=3.0, end=0.5, name="short")]
    result = calibrate(decay(0.5), tests, {"k": (0.1, 50.0)})
    assert result["k"] == pytest.approx(2.0, rel=1e-8)
    assert len(result.misfit.groups) == 1
    assert set(result.predictions) == {"long", "short"}
    assert len(result.predictions["short"]) == 11


def test_derivatives_are_those_of_central_differences():
    tests = [decaying(rows=21, noise=0.1, name="long"), decaying(rows=11, load=3.0, noise=0.1, name="short")]
    misfit = Misfit(decay(0.5), tests, {"k": Prior(1.0, 0.5, log=True)})
    u, h = np.array([0.3]), 1e-5
    slopes = (misfit.residuals(u + h) - misfit.residuals(u - h)) / (2 * h)
    np.testing.assert_allclose(misfit.jacobian(u)[:, 0], slopes, rtol=1e-6, atol=1e-9)
    loss, gradient = misfit.loss_and_gradient(u)
    assert loss == pytest.approx(misfit.loss(u), rel=1e-13)
    np.testing.assert_allclose(gradient, misfit.jacobian(u).T @ misfit.residuals(u), rtol=1e-10)


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_engines_give_the_same_fit(engine):
    driver = TransientDriver(decay(0.5), engine=engine)
    result = calibrate(driver, decaying(noise=0.05), {"k": (0.1, 50.0)})
    assert result["k"] == pytest.approx(2.0, rel=0.2)
    assert driver.model.rate.k.data.item() == 0.5  # a copy is fitted
    assert result.model.rate.k.data.item() == pytest.approx(result["k"], rel=1e-15)


@pytest.mark.parametrize("method, options", [("Adam", {"lr": 0.05}), ("LBFGS", {"lr": 0.5})])
def test_optimisers_of_torch(method, options):
    result = calibrate(decay(0.5), decaying(), {"k": (0.1, 50.0)}, method=method, **options)
    assert result["k"] == pytest.approx(2.0, rel=1e-3)


def test_from_several_starts_the_best_is_taken():
    result = calibrate(decay(0.5), decaying(), {"k": (0.1, 50.0)}, starts=3, seed=1)
    assert result["k"] == pytest.approx(2.0, rel=1e-6)
    assert {e.start for e in result.history} == {0, 1, 2}
    assert result.loss <= min(e.loss for e in result.history) * (1 + 1e-9)


def test_intervals_cover_the_truth_as_often_as_they_say():
    inside = []
    for seed in range(40):
        result = calibrate(decay(1.0), decaying(noise=0.02, seed=seed), {"k": (0.1, 50.0)})
        low, high = result.intervals(0.5)["k"]
        inside.append(low <= 2.0 <= high)
    assert 10 <= sum(inside) <= 30  # 20 expected; beyond that once in 1,000


# ---------------------------------------------------------------------- what cannot be determined


def test_parameters_that_nothing_depends_on_are_named():
    result = calibrate(bar(), pulled(STRESS), {"E": (10, 1000), "nu": (0.1, 0.4)})
    assert any("nu: nothing that was measured depends on it" in w for w in result.warnings)
    assert result.errors["nu"] == math.inf and math.isfinite(result.errors["E"])


def test_a_gradient_that_is_zero_is_refused():
    with pytest.raises(GradientError, match="nothing that was measured depends on nu at the start"):
        calibrate(bar(), pulled(STRESS), {"nu": (0.1, 0.4)})


def test_parameters_that_only_act_together_are_named():
    tests = pulled(np.linspace(0, 10, 6))
    model = bar()
    again = Misfit(model, tests, {"E": (10, 1000)})
    space = Space(model, {"E": (10, 1000), "nu": (0.1, 0.4)})
    column = again.jacobian(again.space.start)
    both = np.hstack([column, 2 * column])
    known = uncertainty(space, space.start, np.full(len(column), 0.1), both, np.ones(len(column)), False)
    assert "only a combination of them is determined" in known.warnings[0]
    assert known.warnings[0].startswith("E, nu:") and np.isinf(known.errors).all()


def test_a_value_at_its_bound_is_told():
    result = calibrate(bar(), pulled(STRESS), {"E": (10, 50)})
    assert result["E"] == pytest.approx(50, rel=1e-4)
    assert "E is at its upper bound 50" in result.warnings[0]


# ---------------------------------------------------------------------- what users see


def test_an_unknown_parameter_has_a_nearest_spelling():
    with pytest.raises(MissingVariable, match="no parameter 'elasticity.EE'; did you mean"):
        calibrate(bar(), pulled(STRESS), {"elasticity.EE": (10, 1000)})


def test_an_unknown_response_has_a_nearest_spelling():
    test = Experiment(pulled(STRESS).history, {"stres.xx": STRESS})
    with pytest.raises(MissingVariable, match="did you mean 'stress'"):
        calibrate(bar(), test, {"E": (10, 1000)})


def test_an_unknown_method_has_a_nearest_spelling():
    with pytest.raises(ValueError, match="method is 'adam'; did you mean 'Adam'"):
        calibrate(bar(), pulled(STRESS), {"E": (10, 1000)}, method="adam")


def test_a_specimen_that_fails_at_the_start_is_named():
    n = 11
    time = torch.linspace(0, 1, n, dtype=torch.float64)
    load = torch.linspace(0, 1, n, dtype=torch.float64)
    good = History(time, {"load": load, "bad": torch.zeros(n, dtype=torch.float64)})
    bad = History(time, {"load": load, "bad": torch.where(torch.arange(n) == 7, 2.0, 0.0).double()})
    tests = [Experiment(h, {"x": load}, name=name) for name, h in (("good", good), ("odd", bad))]
    with pytest.raises(ConvergenceError, match=r"where the fit starts \(g = 1\): test 'odd' stops at row 7"):
        calibrate(snap(), tests, {"g": (0.5, 1.2)})


def test_a_start_that_fails_on_the_way_is_told_and_not_taken():
    n = 9  # increments of 0.125 converge for gains up to 1.1
    time = torch.linspace(0, 1, n, dtype=torch.float64)
    history = History(time, {"load": time, "bad": torch.zeros(n, dtype=torch.float64)})
    test = Experiment(history, {"x": 1.05 * time})
    result = calibrate(snap(0.6), test, {"g": (0.5, 3.0)}, starts=4, seed=0)
    assert result["g"] == pytest.approx(1.05, rel=1e-6)
    assert any(e.failure for e in result.history) and "were not taken" in result.warnings[-1]


@pytest.mark.parametrize("method, options", [("lbfgs", {}), ("SGD", {"lr": 3.0})])
def test_a_step_into_failure_is_taken_back(method, options):
    time = torch.linspace(0, 1, 9, dtype=torch.float64)
    history = History(time, {"load": time, "bad": torch.zeros(9, dtype=torch.float64)})
    bounds = {"g": Free(0.5, 3.0, log=False)}  # over 1.11 the model fails
    result = calibrate(snap(0.6), Experiment(history, {"x": 1.08 * time}), bounds, method=method, **options)
    assert result["g"] == pytest.approx(1.08, rel=1e-5)
    assert "test 0 stops at row 1" in result.warnings[-1] and len(result.history) < 60


def test_a_fit_that_ends_beside_failure_says_so():
    time = torch.linspace(0, 1, 9, dtype=torch.float64)
    history = History(time, {"load": time, "bad": torch.zeros(9, dtype=torch.float64)})
    bounds = {"g": Free(0.5, 3.0, log=False)}
    result = calibrate(snap(0.6), Experiment(history, {"x": 1.3 * time}), bounds)
    assert 1.08 < result["g"] < 1.13 and "not at a minimum" in result.warnings[-1]


def test_progress_shows_loss_and_parameters(capsys):
    seen = []
    calibrate(bar(), pulled(STRESS), {"E": (10, 1000)}, progress=seen.append)
    assert seen[0].values == pytest.approx({"E": 100.0}) and seen[-1].loss <= seen[0].loss
    calibrate(bar(), pulled(STRESS), {"E": (10, 1000)}, progress=True)
    assert "evaluation 0: loss" in capsys.readouterr().err


def test_one_way_of_noise_for_all():
    with pytest.raises(ValueError, match="'stress.xx' of test 'b' has no standard deviation"):
        calibrate(bar(), [pulled(STRESS, name="a", sigma=1.0), pulled(STRESS, name="b")], {"E": (10, 1000)})
