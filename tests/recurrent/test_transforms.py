import math

import numpy as np
import pytest

from neml2.composed import ComposedModel
from neml2.errors import MissingVariable
from neml2.models import ScalarLinearInterpolation, VoceIsotropicHardening
from neml2.recurrent import Free, Prior
from neml2.recurrent.parameter_names import parameter_path, short_names
from neml2.recurrent.transforms import Space
from tests.recurrent.fits import bar


def hardening():
    first = VoceIsotropicHardening(saturated_hardening=100.0, saturation_rate=10.0, name="first")
    second = VoceIsotropicHardening(
        saturated_hardening=50.0, saturation_rate=2.0, isotropic_hardening="k", name="second"
    )
    return ComposedModel([first, second], name="both")


def test_bounds_that_are_a_decade_apart_are_fitted_by_the_logarithm():
    space = Space(hardening(), {"first.R": (10.0, 1000.0), "second.R": (40.0, 60.0)})
    assert space.log.tolist() == [True, False]
    np.testing.assert_allclose(space.lower, 0.0, atol=1e-15)
    np.testing.assert_allclose(space.upper, 1.0)
    np.testing.assert_allclose(space.start, 0.5)  # 100 and 50, the values in the model
    np.testing.assert_allclose(space.values(np.array([0.25, 0.25])), [10**1.5, 45.0])


def test_slopes_are_those_of_the_values():
    space = Space(
        hardening(), {"first.R": (10.0, 1000.0), "first.d": 3.0, "second.R": Free(start=7.0, log=True)}
    )
    u, h = np.array([0.3, 0.8, 0.1]), 1e-6
    np.testing.assert_allclose(
        space.slopes(u), (space.values(u + h) - space.values(u - h)) / (2 * h), rtol=1e-8
    )


def test_values_stay_within_their_bounds():
    space = Space(hardening(), {"first.R": (10.0, 1000.0)})
    assert space.values(np.array([1.0 + 1e-12])) == [1000.0] and space.values(np.array([-1.0])) == [10.0]
    assert space.unbounded(np.array([2.0])) == pytest.approx([1e5])


def test_a_start_is_the_value_in_the_model_or_halfway():
    model = hardening()
    assert Space(model, {"first.R": (50, 1000)}).entries[0].start == 100
    assert Space(model, {"first.R": (200, 300)}).entries[0].start == 250
    assert Space(model, {"first.R": (200, 20_000)}).entries[0].start == pytest.approx(2000)
    assert Space(model, ["first.R"]).entries[0].start == 100
    assert Space(model, {"first.R": Prior(70.0, 5.0)}).entries[0].start == 70


def test_entries_of_a_table_are_fitted_one_by_one():
    table = ScalarLinearInterpolation(
        argument="T", abscissa=[0.0, 1.0, 2.0], ordinate=[3.0, 4.0, 5.0], name="y"
    )
    space = Space(table, {"ordinate": Free(1, 6, start=[2.0, 3.0, 4.0])})
    assert space.labels == ["ordinate[0]", "ordinate[1]", "ordinate[2]"]
    assert space.tensors(space.start, table)[space.entries[0].path].tolist() == pytest.approx([2, 3, 4])
    with pytest.raises(ValueError, match="has 3 entries, its start 2"):
        Space(table, {"ordinate": Free(1, 6, start=[2.0, 3.0])})


def test_further_starts_fill_the_space_and_depend_on_the_seed_alone():
    space = Space(hardening(), {"first.R": (10.0, 1000.0), "second.R": (40.0, 60.0)})
    found = np.array(space.starts(9, seed=3))
    assert (found[0] == space.start).all() and ((found >= 0) & (found <= 1)).all()
    assert len(np.unique(np.floor(found[1:] * 8), axis=0)) == 8  # one in each eighth of an axis
    np.testing.assert_array_equal(found, space.starts(9, seed=3))


def test_names_are_paths_their_ends_or_options():
    model = hardening()
    assert parameter_path(model, "first.R") == parameter_path(model, "first.saturated_hardening")
    assert set(short_names(model).values()) == {"first.R", "first.d", "second.R", "second.d"}
    with pytest.raises(ValueError, match="'R' may be first.R, second.R; say more"):
        parameter_path(model, "R")
    with pytest.raises(MissingVariable, match="did you mean 'second.saturated_hardening'"):
        parameter_path(model, "second.saturated_hardning")


@pytest.mark.parametrize(
    "given, error, message",
    [
        ({}, ValueError, "no parameters to fit; name some of elasticity.E, elasticity.nu|E, nu"),
        ("E", TypeError, "give a dict {'E': "),
        ({"E": (5.0, 1.0)}, ValueError, "between 5 and 1"),
        ({"nu": (0.1, 0.7)}, ValueError, "may become 0.7, outside its range"),
        ({"E": Free(1.0, 9.0, start=10.0)}, ValueError, "starts at 10, outside its bounds 1 to 9"),
        ({"nu": Free(-0.5, 0.4, log=True)}, ValueError, "has no logarithm"),
        ({"E": "much"}, TypeError, "to be fitted with 'much'; give"),
        ({"E": 100.0, "elasticity.E": 100.0}, ValueError, "are the same parameter"),
    ],
)
def test_what_cannot_be_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        Space(bar(), given)


def test_a_prior_is_a_distribution():
    for wrong in ((1.0, 0.0, False), (-1.0, 1.0, True)):
        with pytest.raises(ValueError, match="is no distribution"):
            Prior(*wrong)
    space = Space(bar(), {"E": Prior(100.0, 0.5, log=True)})
    u, h = np.array([0.3]), 1e-6
    value = space.values(u)[0]
    residual, slope = space.prior_residuals(u)
    assert residual[0] == pytest.approx(math.log(value / 100) / 0.5)
    change = (space.prior_residuals(u + h)[0] - space.prior_residuals(u - h)[0]) / (2 * h)
    assert (slope @ space.slopes(u))[0] == pytest.approx(change[0], rel=1e-8)
