import json

import h5py
import pytest
import torch

from neml2.drivers import Trajectory
from neml2.drivers.results.layout import to_column
from neml2.types import SR2
from tests.drivers.blocks import append, new_writer, whole


@pytest.fixture
def run():
    return whole(6)


def test_lazy_values_are_read_when_they_are_asked_for(run, tmp_path):
    path = tmp_path / "run.h5"
    run.to_hdf5(path)
    lazy, eager = Trajectory.from_hdf5(path, lazy=True), Trajectory.from_hdf5(path)
    assert lazy.names == eager.names
    assert len(lazy.outputs) == len(eager.outputs)
    assert "S" in lazy
    assert "Q" not in lazy
    assert lazy.summary() == eager.summary()
    for name in eager.names:
        assert type(lazy[name]) is type(eager[name])
        assert torch.equal(lazy[name].data, eager[name].data)
    assert lazy["S"] is not lazy["S"]  # nothing is kept
    assert torch.equal(lazy.final_state["S"].data, eager.final_state["S"].data)
    with h5py.File(path, "r+") as file:
        file["S"][5, 0, 0] = 77.0
    assert float(lazy["S"].data[5, 0, 0]) == 77.0
    assert torch.equal(lazy["t"].data, eager["t"].data)
    lazy.to_hdf5(tmp_path / "copy.h5")
    assert float(Trajectory.from_hdf5(tmp_path / "copy.h5")["S"].data[5, 0, 0]) == 77.0


def test_everything_is_cut_to_the_steps_that_are_complete(run, tmp_path):
    writer = new_writer(tmp_path / "run.h5", run)
    append(writer, run, 0, 4)
    for field in writer.rows.fields.values():  # as if it were killed in the next commit
        writer.rows.put(field.length, (6).to_bytes(8, "little"))
    for lazy in (False, True):
        read = Trajectory.from_hdf5(tmp_path / "run.partial.h5", lazy)
        assert len(read) == 4
        assert read.status.shape == read.iterations.shape == (4, 3)
        assert read["S"].shape == (4, 3, 6)
        torch.testing.assert_close(read["S"].data, run["S"].data[:4], rtol=1e-15, atol=0.0)


def test_files_of_layout_1_are_read(tmp_path):
    from neml2.drivers import History, TransientDriver
    from tests.drivers.materials import strain, strainer, times

    start = SR2(torch.arange(6.0, dtype=torch.float64))
    history = History(times(5), {"E": strain(5, 2)}, constant={"T": 2.0}, initial={"S": start})
    run = TransientDriver(strainer()).run(history).detach()
    run.to_hdf5(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:  # what the two versions differ in
        file.attrs["layout_version"] = 1
        group = file["history"]
        for name in list(group):
            del group[name]
        column = to_column("initial_0", start, (), {"batch_ndim": 0}, steps=False)
        data = group.create_dataset("initial_0", data=column.data)
        data.dims[0].attach_scale(file["component"])
        for key, value in {**column.attrs, "variable": "S", "role": "initial"}.items():
            data.attrs[key] = value
        group.attrs["initial"] = json.dumps(["S"])
        for name in ("complete", "ended"):
            del file["provenance"].attrs[name]
    read = Trajectory.from_hdf5(tmp_path / "run.h5")
    assert set(read.names) == set(run.names)
    torch.testing.assert_close(read["S"].data, run["S"].data, rtol=1e-15, atol=0.0)
    torch.testing.assert_close(read.origin.initial["S"].data, start.data, rtol=1e-15, atol=0.0)
    assert read.to_dict().keys() == run.to_dict().keys()


def test_initial_values_are_exact(run, tmp_path):
    generator = torch.Generator().manual_seed(5)
    start = SR2(torch.randn(500, 6, dtype=torch.float64, generator=generator))
    trajectory = whole(2, 500)
    trajectory.origin.initial.update({"S": start})
    trajectory.to_hdf5(tmp_path / "run.h5")
    assert torch.equal(Trajectory.from_hdf5(tmp_path / "run.h5").origin.initial["S"].data, start.data)


def test_a_damaged_length_is_told(run, tmp_path):
    run.to_hdf5(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["S"].resize(3, axis=0)
    with pytest.raises(ValueError, match="'S' has 3 steps, the file 6"):
        Trajectory.from_hdf5(tmp_path / "run.h5")
