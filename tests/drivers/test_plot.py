import matplotlib
import numpy as np
import pytest

from neml2.drivers import History, TransientDriver
from neml2.drivers.plot import series
from neml2.errors import MissingVariable
from tests.drivers.materials import strain, strainer, times


@pytest.fixture
def trajectory():
    return TransientDriver(strainer()).run(History(times(5), {"E": strain(5, 2)}, constant={"T": 2.0}))


def test_components_are_physical(trajectory):
    shear = series(trajectory, "S_xy")
    assert shear.shape == (5, 2)
    np.testing.assert_allclose(shear, trajectory["S"].data[..., 5].detach() / 2**0.5, rtol=1e-14)
    np.testing.assert_array_equal(series(trajectory, "time"), series(trajectory, "t"))


def test_a_picture(trajectory, tmp_path):
    axes = trajectory.plot("E_xx", "S_xx", tmp_path / "loop.png")
    assert (tmp_path / "loop.png").read_bytes().startswith(b"\x89PNG")
    assert len(axes.lines) == 2
    assert axes.get_xlabel() == "E_xx (strain)"
    matplotlib.use("Agg", force=True)
    assert len(trajectory.plot("t", "T").lines) == 2


def test_bad_names(trajectory):
    with pytest.raises(MissingVariable, match="no 'S_xk' to draw; did you mean 'S_x"):
        trajectory.plot("t", "S_xk")
    with pytest.raises(ValueError, match="'S' is a SR2; say which component, such as 'S_xx'"):
        trajectory.plot("t", "S")
