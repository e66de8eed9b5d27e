import numpy as np

from neml2.drivers import History, TransientDriver
from tests.drivers.materials import decay, strain, strainer, times


def test_dataset():
    trajectory = TransientDriver(strainer()).run(History(times(5), {"E": strain(5, 2)}, constant={"T": 2.0}))
    dataset = trajectory.to_xarray()
    assert dict(dataset.sizes) == {"step": 5, "batch": 2, "component": 6}
    assert dataset.E.dims == ("step", "batch", "component")
    assert dataset["T"].dims == ("step",)
    assert dataset.time.dims == ("step",)
    np.testing.assert_allclose(
        dataset.S.sel(component="xy").values, trajectory["S"].data[..., 5].detach() / 2**0.5, rtol=1e-14
    )
    assert dataset.E.attrs == {"tensor": "SR2", "long_name": "Strain", "role": "force", "units": "strain"}
    assert dataset.S.attrs["role"] == "state"
    assert dataset.S_rate.attrs["role"] == "output"
    assert dataset.status.attrs["flag_meanings"].split()[int(dataset.status[0, 0])] == "not_solved"
    assert dataset.iterations.dtype == np.int32


def test_clocks_of_their_own_and_one_point():
    t = times(4).numpy()[:, None] * np.array([1.0, 2.0])
    clocks = TransientDriver(decay()).run(History(t, constant={"load": 0.0}, initial={"x": 1.0})).to_xarray()
    assert clocks.time.dims == ("step", "batch")
    assert clocks.time.attrs["variable"] == "t"
    point = TransientDriver(decay()).run(History(times(4), constant={"load": 0.0})).to_xarray()
    assert point.x.dims == ("step",)
    assert "batch" not in point.sizes
