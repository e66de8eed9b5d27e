import h5py
import numpy as np
import pytest
import xarray

from neml2.drivers.files.opening import open_run, open_runs
from tests.drivers.blocks import append, cut, new_writer, whole


@pytest.fixture
def run():
    return whole(8)


def test_a_run_is_read_when_it_is_needed(run, tmp_path):
    run.to_hdf5(tmp_path / "run.h5")
    with open_run(tmp_path / "run.h5") as dataset:
        assert not dataset.S.variable._in_memory
        np.testing.assert_allclose(
            dataset.S.neml2.trace().values, run["S"].data[..., :3].sum(-1), rtol=1e-13, atol=1e-14
        )
        assert dataset.attrs["complete"] == 1
        assert dataset.attrs["ended"] == "complete"
        xarray.testing.assert_equal(dataset.load(), run.to_xarray())


def test_runs_that_are_not_complete(run, tmp_path):
    writer = new_writer(tmp_path / "run.h5", run)
    append(writer, run, 0, 5)
    with open_run(tmp_path / "run.partial.h5") as dataset:
        assert dataset.attrs["complete"] == 0
        assert dataset.attrs["ended"] == "running"
        assert dataset.sizes["step"] == 5
        for field in writer.rows.fields.values():  # as if it were killed in the next commit
            writer.rows.put(field.length, (7).to_bytes(8, "little"))
    with open_run(tmp_path / "run.partial.h5") as dataset:
        xarray.testing.assert_equal(dataset.load(), cut(run, 0, 5).to_xarray())
    writer.leave("SIGINT")
    with open_run(tmp_path / "run.partial.h5") as dataset:
        assert dataset.attrs["ended"] == "SIGINT"
    with pytest.raises(FileNotFoundError, match=r"no file .*run.h5; .*run.partial.h5 is that of a run"):
        open_run(tmp_path / "run.h5")


def test_what_is_no_run(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = 1.0
    with pytest.raises(ValueError, match="no trajectory of this library"):
        open_run(tmp_path / "x.h5")


def test_many_runs_side_by_side(run, tmp_path):
    other = whole(8)
    for name, trajectory in (("a", run), ("b", other)):
        trajectory.to_hdf5(tmp_path / f"{name}.h5")
    together = open_runs(f"{tmp_path}/*.h5")
    assert together.run.values.tolist() == ["a", "b"]
    assert together.S.dims == ("run", "step", "batch", "component")
    assert together.time.dims == ("step",)
    xarray.testing.assert_equal(together.S.sel(run="b").drop_vars("run"), other.to_xarray().S)
    assert together.E.neml2.von_mises().dims == ("run", "step", "batch")
    listed = open_runs([tmp_path / "b.h5", tmp_path / "a.h5"], along="specimen")
    assert listed.specimen.values.tolist() == ["b", "a"]


def test_runs_of_different_shapes_are_a_tree(run, tmp_path):
    (tmp_path / "more").mkdir()
    run.to_hdf5(tmp_path / "a.h5")
    whole(5).to_hdf5(tmp_path / "more" / "a.h5")
    tree = open_runs([tmp_path / "a.h5", tmp_path / "more" / "a.h5"])
    assert isinstance(tree, xarray.DataTree)
    assert [n.sizes["step"] for n in tree.children.values()] == [8, 5]
    assert len(set(tree.children)) == 2
    with pytest.raises(FileNotFoundError, match="no file fits"):
        open_runs(f"{tmp_path}/*.nc")
    with pytest.raises(FileNotFoundError, match="no files to open"):
        open_runs([])
