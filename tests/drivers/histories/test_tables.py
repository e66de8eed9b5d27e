import numpy as np
import pandas
import pytest
import torch
import xarray

from neml2.drivers import History, TransientDriver
from neml2.types import SR2
from tests.drivers.materials import strain, strainer, times

LABELS = ("xx", "yy", "zz", "yz", "xz", "xy")


def table(steps=4, **extra):
    physical = strain(steps)
    columns = {f"E_{c}": physical[:, i].numpy() for i, c in enumerate(LABELS)}
    return physical, pandas.DataFrame({"t": times(steps), **columns, "T": np.ones(steps), **extra})


def test_a_table():
    physical, frame = table()
    by_table = TransientDriver(strainer()).run(History.from_pandas(frame))
    by_hand = TransientDriver(strainer()).run(
        {"t": times(4), "E": SR2.from_physical(physical), "T": np.ones(4)}
    )
    torch.testing.assert_close(by_table["S"].data, by_hand["S"].data, rtol=1e-15, atol=0)


def test_the_order_of_the_columns_does_not_matter():
    _, frame = table()
    shuffled = frame[list(reversed(frame.columns))]
    a, b = History.from_pandas(frame), History.from_pandas(shuffled)
    assert torch.equal(a.prescribed["E"].data, b.prescribed["E"].data)


def test_specimens_one_after_the_other():
    _, one = table()
    two = one.copy()
    two["t"] *= 2
    both = pandas.concat([one.assign(name="a"), two.assign(name="b")])
    history = History.from_pandas(both, batch="name")
    assert history.time.shape == (4, 2)
    assert history.prescribed["E"].shape == (4, 2, 6)
    with pytest.raises(ValueError, match="have 3, 4 rows"):
        History.from_pandas(both.iloc[:-1], batch="name")


def test_vectors_and_tensors_by_their_columns():
    n = 3
    columns = {f"v_{c}": np.arange(n) for c in "xyz"} | {
        f"F_{a}{b}": np.ones(n) for a in "xyz" for b in "xyz"
    }
    history = History.from_pandas(pandas.DataFrame({"time": times(n), **columns}), time="time")
    assert history.prescribed["v"].shape == (n, 3)  # a Vec, a WR2 or an MRP: the model decides
    assert history.prescribed["F"].shape == (n, 3, 3)


def test_tables_with_mistakes():
    _, frame = table()
    with pytest.raises(ValueError, match="no column 'tt'; did you mean 't'"):
        History.from_pandas(frame, time="tt")
    with pytest.raises(ValueError, match=r"columns of 'E' lack E_xy; .*scalars=\('E_xx'"):
        History.from_pandas(frame.drop(columns="E_xy"))
    with pytest.raises(ValueError, match="column 'T' is not a column of numbers"):
        History.from_pandas(frame.assign(T="hot"))
    scalars = History.from_pandas(frame.drop(columns="E_xy"), scalars=[f"E_{c}" for c in LABELS[:5]])
    assert set(scalars.prescribed) == {"T", *[f"E_{c}" for c in LABELS[:5]]}
    frame.loc[2, "E_yz"] = np.nan
    with pytest.raises(ValueError, match="'E' is nan at step 2 .*component yz"):
        TransientDriver(strainer()).run(History.from_pandas(frame))


def test_a_dataset_of_a_trajectory_runs_again(tmp_path):
    t = times(4)[:, None] * torch.tensor([1.0, 2.0], dtype=torch.float64)
    first = TransientDriver(strainer()).run(History(t, {"E": strain(4)}, constant={"T": 2.0}))
    again = TransientDriver(strainer()).run(History.from_xarray(first.to_xarray()))
    torch.testing.assert_close(again["S"].data, first["S"].data, rtol=1e-14, atol=1e-15)
    first.to_hdf5(tmp_path / "x.h5")
    with xarray.open_dataset(tmp_path / "x.h5") as dataset:
        history = History.from_xarray(dataset)
        assert set(history.prescribed) == {"E", "T"}
        with_stress = History.from_xarray(dataset, ["S"])
    torch.testing.assert_close(with_stress.prescribed["S"].data, first["S"].data.detach(), rtol=1e-14, atol=0)
    torch.testing.assert_close(
        TransientDriver(strainer()).run(history)["S"].data, first["S"].data, rtol=1e-14, atol=1e-15
    )


def test_a_dataset_of_ones_own():
    physical = strain(4, 3)
    dataset = xarray.Dataset(
        {
            "E": (("specimen", "component", "time"), physical.permute(1, 2, 0).numpy()[:, ::-1]),
            "T": (("time",), np.ones(4)),
        },
        coords={"time": times(4).numpy(), "component": list(reversed(LABELS))},
    )
    history = History.from_xarray(dataset)
    torch.testing.assert_close(history.prescribed["E"].physical(), physical, rtol=1e-14, atol=0)
    assert TransientDriver(strainer()).run(history)["S"].shape == (4, 3, 6)


def test_datasets_with_mistakes():
    dataset = xarray.Dataset({"T": (("time",), np.ones(4))}, coords={"time": times(4).numpy()})
    with pytest.raises(ValueError, match="no coordinate 'time'"):
        History.from_xarray(dataset.drop_vars("time"))
    with pytest.raises(ValueError, match="no variable 'TT'; did you mean 'T'"):
        History.from_xarray(dataset, ["TT"])
    with pytest.raises(ValueError, match="without 'time'; pass it as constant"):
        History.from_xarray(dataset.assign(c=3.0))
    wrong = dataset.assign(E=(("time", "component"), np.ones((4, 6)))).assign_coords(component=list("abcdef"))
    with pytest.raises(ValueError, match="'E' has components a, b"):
        History.from_xarray(wrong)


def test_the_driver_takes_tables_and_datasets():
    _, frame = table()
    driver = TransientDriver(strainer())
    expected = driver.run(History.from_pandas(frame))
    assert torch.equal(driver.run(frame)["S"].data, expected["S"].data)
    again = driver.run(expected.to_xarray())
    torch.testing.assert_close(again["S"].data, expected["S"].data, rtol=1e-15, atol=0)


def test_tables_with_faults():
    _, frame = table()
    with pytest.raises(ValueError, match="two columns 'E_xx'; keep one"):
        History.from_pandas(pandas.concat([frame, frame[["E_xx"]]], axis=1))
    both = pandas.concat([frame.assign(name="a"), frame.assign(name=None)])
    with pytest.raises(ValueError, match="column 'name' names no specimen in row 4"):
        History.from_pandas(both, batch="name")
    with pytest.raises(ValueError, match=r"no column 't'; name that of the time with time='...'"):
        History.from_pandas(frame.rename(columns={"t": "clock"}))
    with pytest.raises(TypeError, match="takes a pandas DataFrame, not a dict"):
        History.from_pandas({"t": [0.0, 1.0]})
    with pytest.raises(TypeError, match="takes an xarray Dataset, not a DataFrame"):
        History.from_xarray(frame)
