import numpy as np
import pytest
import torch

from neml2.drivers.pictures.curves import curves, drawable, point_name, rows_that_count
from neml2.errors import MissingVariable
from neml2.solvers.status import Status
from neml2.types import R2, SR2, Scalar
from tests.drivers.trajectories import made, scalar, uniaxial


@pytest.fixture
def shear():
    """Uniaxial stress and a shear, over two hours, for two points."""
    physical = torch.zeros(3, 2, 6, dtype=torch.float64)
    physical[1:, 0, 0] = torch.tensor([10.0, 20.0])
    physical[1:, 1, 5] = torch.tensor([3.0, 4.0])
    full = R2(torch.eye(3, dtype=torch.float64).expand(3, 2, 3, 3).contiguous())
    return made(
        [0.0, 0.5, 2.0],
        (2,),
        stress=SR2.from_physical(physical),
        F=full,
        wear_rate=scalar(np.arange(6.0).reshape(3, 2)),
    )


def values(trajectory, name):
    return curves(trajectory, name).values[..., 0]


def test_components_are_physical_under_three_spellings(shear):
    expected = [[0, 0], [0, 3], [0, 4]]
    for name in ("stress.xy", "stress_xy", "stress.yx"):
        np.testing.assert_allclose(values(shear, name), expected, rtol=1e-15)
    np.testing.assert_array_equal(values(shear, "F.yy"), np.ones((3, 2)))
    np.testing.assert_array_equal(values(shear, "time"), [[0, 0], [0.5, 0.5], [2, 2]])
    np.testing.assert_array_equal(values(shear, "wear_rate"), values(shear, " wear_rate "))


def test_quantities_of_tension_and_shear(shear):
    at_end = {
        "von_mises(stress)": (20, 4 * 3**0.5),
        "principal(stress).1": (20, 4),
        "principal(stress).2": (0, 0),
        "principal(stress).3": (0, -4),
        "hydrostatic(stress)": (20 / 3, 0),
        "trace(stress)": (20, 0),
        "norm(stress)": (20, 4 * 2**0.5),
        "equivalent_strain(stress)": (40 / 3, 8 / 3**0.5),
    }
    for name, expected in at_end.items():
        np.testing.assert_allclose(values(shear, name)[-1], expected, rtol=1e-14, atol=1e-14, err_msg=name)


def test_a_rate_is_the_change_over_that_of_the_time(shear):
    rate = values(shear, "rate(stress.xx)")
    assert np.isnan(rate[0]).all()
    np.testing.assert_allclose(rate[1:, 0], [20, 20 / 3], rtol=1e-15)
    clocks = made([[0.0, 0.0], [1.0, 2.0], [3.0, 2.0]], (2,), x=scalar([[0.0, 0.0], [1.0, 1.0], [2.0, 1.0]]))
    rate = values(clocks, "rate(x)")
    np.testing.assert_array_equal(rate[1], [1, 0.5])
    assert rate[2, 0] == 0.5 and np.isnan(rate[2, 1])  # no time passes


def test_the_energy_adds_up():
    pulled = made([0.0, 1.0, 2.0], stress=uniaxial([0, 10, 20]), strain=uniaxial([0, 0.1, 0.2]))
    energy = curves(pulled, "energy(stress, strain)")
    np.testing.assert_allclose(energy.values[:, 0, 0], [0, 0.5, 2], rtol=1e-15)
    assert energy.label == "energy of stress and strain (MPa)"


def test_quantities_of_sites():
    sites = SR2(uniaxial(np.arange(6.0).reshape(2, 1, 3)).data, 1)
    several = made([0.0, 1.0], (1,), s=sites)
    np.testing.assert_allclose(
        curves(several, "von_mises(s)").values[:, 0], [[0, 1, 2], [3, 4, 5]], rtol=1e-15
    )
    np.testing.assert_allclose(
        curves(several, "principal(s).1").values[:, 0], [[0, 1, 2], [3, 4, 5]], rtol=1e-15
    )


def test_labels_have_words_indices_and_units(shear):
    index = "$_{{\\mathrm{{{}}}}}$".format
    assert curves(shear, "stress.xy").label == f"stress{index('xy')} (MPa)"
    assert curves(shear, "wear_rate").label == "wear rate"
    assert curves(shear, "time").label == "time (h)"
    assert curves(shear, "von_mises(stress)").label == "von Mises stress (MPa)"
    assert curves(shear, "principal(stress).1").label == f"principal stress{index('1')} (MPa)"
    assert curves(shear, "rate(stress.xx)").label == f"stress{index('xx')} rate (MPa/h)"
    strained = made([0.0, 1.0], strain=uniaxial([0, 1]))
    assert curves(strained, "strain.xx").label == f"strain{index('xx')}"  # not "strain (strain)"
    assert curves(strained, "rate(strain.xx)").label == f"strain{index('xx')} rate (1/h)"


def test_everything_that_is_listed_can_be_drawn(shear):
    names = drawable(shear)
    assert names[0] == "time" and {"stress.yz", "principal(stress).3", "F.zx", "wear_rate"} <= set(names)
    for name in names:
        assert curves(shear, name).values.shape == (3, 2, 1), name


def test_sites_are_an_axis_of_their_own():
    sites = made([0.0, 1.0], (2,), x=Scalar(torch.arange(12.0).reshape(2, 2, 3), 1))
    assert curves(sites, "x").values.shape == (2, 2, 3)
    assert curves(sites, "time").values.shape == (2, 2, 1)


def test_nothing_counts_after_an_end_or_a_failure():
    some = made(range(4), (3,), ended={(1,): 2}, failed={(2,): 3}, x=scalar(np.zeros((4, 3))))
    assert rows_that_count(some).T.tolist() == [
        [True, True, True, True],
        [True, True, False, False],
        [True, True, True, False],
    ]


def test_a_line_goes_on_after_a_segment_that_has_ended_early():
    some = made(range(5), (1,), ended={(0,): 2}, x=scalar(np.zeros((5, 1))))
    some.status[3] = Status.CONVERGED
    assert rows_that_count(some).T.tolist() == [[True, True, True, True, False]]


def test_points_by_their_place():
    grid = made([0.0, 1.0], (2, 3), x=scalar(np.zeros((2, 2, 3))))
    assert point_name(grid, 5) == "point 1, 2"


@pytest.mark.parametrize(
    "name, error, message",
    [
        ("stress.xk", MissingVariable, "no 'stress.xk' to draw; did you mean 'stress.x"),
        ("stres_xx", MissingVariable, "no 'stres_xx' to draw; did you mean"),
        ("stress", ValueError, "'stress' is a SR2; say which component, such as 'stress.xx'"),
        ("von_misses(stress)", MissingVariable, "no quantity 'von_misses'; did you mean 'von_mises'"),
        ("von_mises(stres)", MissingVariable, "no 'stres'; did you mean 'stress'"),
        ("von_mises(F)", ValueError, "'F' is a R2; it has to be one of SR2"),
        ("energy(stress)", ValueError, r"energy takes 2: energy\(stress, strain\)"),
        ("von_mises(stress).1", ValueError, r"write von_mises\(stress\)"),
        ("principal(stress)", ValueError, r"not one number; write principal\(stress\).1,"),
        ("rate(stress)", ValueError, "say which component"),
    ],
)
def test_bad_names(shear, name, error, message):
    with pytest.raises(error, match=message):
        curves(shear, name)
