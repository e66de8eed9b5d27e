import numpy as np
import pytest
import torch

from neml2.drivers import History, TransientDriver, check_place, save
from neml2.drivers.files.formats import load_flat
from tests.drivers.materials import decay, times


@pytest.fixture
def trajectory():
    return TransientDriver(decay()).run(History(times(4), constant={"load": 0.0}, initial={"x": 1.0}))


@pytest.mark.parametrize("name", ["x.pt", "x.h5", "x.hdf5", "x.nc"])
def test_save_and_load(trajectory, tmp_path, name):
    save(trajectory, tmp_path / name)
    flat = load_flat(tmp_path / name)
    expected = trajectory.to_dict()
    assert flat.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(flat[key], value)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_files_are_never_unpickled(tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "made"), "w")

    torch.save({"a": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match="no plain dict of tensors"):
        load_flat(tmp_path / "evil.pt")
    assert not (tmp_path / "made").exists()
    torch.save([torch.zeros(3)], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="holds a list"):
        load_flat(tmp_path / "list.pt")
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(ValueError, match="no plain dict"):
        load_flat(tmp_path / "x.npy")
    with pytest.raises(FileNotFoundError, match="no reference file"):
        load_flat(tmp_path / "none.pt")


def test_places(tmp_path):
    with pytest.raises(ValueError, match="cannot tell the format"):
        check_place(tmp_path / "x.csv")
    with pytest.raises(FileNotFoundError):
        check_place(tmp_path / "no" / "x.h5")
    check_place(tmp_path / "x.pt")
