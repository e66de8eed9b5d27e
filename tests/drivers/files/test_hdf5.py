import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import xarray

import neml2
from neml2.drivers import History, Trajectory, TransientDriver, save
from neml2.drivers.files import hdf5
from neml2.drivers.files.hdf5 import check_writable
from neml2.types import SR2
from tests.drivers.materials import decay, snap, strain, strainer, times


def run(steps=5, model=None, **initial):
    history = History(times(steps), {"E": strain(steps, 2)}, constant={"T": 2.0}, initial=initial)
    return TransientDriver(model or strainer(), input_text="# text").run(history)


@pytest.fixture
def file(tmp_path):
    trajectory = run()
    path = tmp_path / "result.h5"
    trajectory.to_hdf5(path)
    return trajectory, path


def test_plain_xarray_opens_it(file):
    trajectory, path = file
    with xarray.open_dataset(path) as dataset:
        xarray.testing.assert_equal(dataset.load(), trajectory.to_xarray())
        assert dict(dataset.sizes) == {"step": 5, "batch": 2, "component": 6}
        assert set(dataset.coords) == {"step", "time", "component"}
        assert list(dataset.component.values) == ["xx", "yy", "zz", "yz", "xz", "xy"]
        np.testing.assert_array_equal(dataset.time.values, times(5))
        np.testing.assert_allclose(
            dataset.S.sel(component="yz", batch=1).values,
            trajectory["S"].data[:, 1, 3].detach() / 2**0.5,
            rtol=1e-14,
        )
        assert dataset.E.attrs["units"] == "strain"
        assert dataset.E.attrs["long_name"] == "Strain"
        assert dataset.status.attrs["flag_values"].tolist() == [int(s) for s in neml2.Status]
    for group in ("model", "history", "provenance", "model/parameters"):
        with xarray.open_dataset(path, group=group) as dataset:
            assert dataset is not None


def test_plain_h5py_opens_it(file):
    _, path = file
    with h5py.File(path) as f:
        assert f["S"].shape == (5, 2, 6)
        assert f["S"].dims[2][0].name == "/component"
        assert f["S"].maxshape[0] is None  # steps can be appended
        assert f["S"].chunks[0] == f["E"].chunks[0] == f["status"].chunks[0]
        assert f["model"].attrs["input"] == "# text"
        assert json.loads(f["model"].attrs["inputs"]) == list(strainer().input_spec)
        assert f["model/parameters/rate.c"][()] == 3.0
        assert json.loads(f["history"].attrs["prescribed"]) == ["E", "T"]
        for key in ("neml2_version", "torch_version", "seed", "device", "dtype", "command"):
            assert f["provenance"].attrs[key]
        for item in [f, *[f[n] for n in f]]:
            for value in item.attrs.values():
                assert isinstance(value, str | int | float | np.generic | np.ndarray)


def test_round_trip(tmp_path):
    trajectory = run(6, S=SR2(torch.ones(6, dtype=torch.float64)))
    trajectory.to_hdf5(tmp_path / "a.h5")
    again = Trajectory.from_hdf5(tmp_path / "a.h5")
    assert set(again.names) == set(trajectory.names)
    for name in trajectory.names:
        a, b = trajectory[name].data.detach().numpy(), again[name].data.numpy()
        assert type(again[name]) is type(trajectory[name])
        assert (np.abs(a - b) <= np.spacing(np.abs(a))).all()
    assert torch.equal(again.status, trajectory.status)
    assert torch.equal(again.iterations, trajectory.iterations)
    assert torch.equal(again.time, trajectory.time)
    assert again.time_name == "t"
    assert again.summary() == trajectory.summary()
    flat, before = again.to_dict(), trajectory.to_dict()
    assert flat.keys() == before.keys()
    for key, value in before.items():
        assert flat[key].shape == value.shape
        torch.testing.assert_close(flat[key], value, rtol=1e-15, atol=0)
    assert again.final_state.keys() == trajectory.final_state.keys()
    assert again.origin.input_text == "# text"
    assert again.origin.declared["E"] == trajectory.origin.declared["E"]
    again.to_hdf5(tmp_path / "b.h5")
    last = Trajectory.from_hdf5(tmp_path / "b.h5")
    assert set(last.names) == set(trajectory.names)


def test_scalars_are_the_same_to_the_bit(tmp_path):
    trajectory = TransientDriver(decay()).run(
        History(times(9), constant={"load": 0.3}, initial={"x": [1.0, 2.0]})
    )
    trajectory.to_hdf5(tmp_path / "x.nc")
    again = Trajectory.from_hdf5(tmp_path / "x.nc")
    for name in trajectory.names:
        assert torch.equal(again[name].data, trajectory[name].data)


def test_sub_batches_two_batch_axes_and_float32(tmp_path):
    start = SR2(torch.zeros(4, 6, dtype=torch.float32), 1)
    model = strainer(c=torch.ones(3, 1)).to(torch.float32)
    E = strain(5, 2).to(torch.float32)
    trajectory = TransientDriver(model).run(
        History(list(range(5)), {"E": E}, constant={"T": 1}, initial={"S": start})
    )
    trajectory.to_hdf5(tmp_path / "x.h5")
    with xarray.open_dataset(tmp_path / "x.h5") as dataset:
        assert dataset.S.dims == ("step", "batch_0", "batch_1", "sub_batch_4", "component")
        assert dataset.E.dims == ("step", "batch_1", "component")
        assert dataset.S.dtype == np.float32
    again = Trajectory.from_hdf5(tmp_path / "x.h5")
    assert again["S"].sub_batch_shape == (4,)
    assert again["E"].shape == (5, 3, 2, 6)
    assert again.origin.initial["S"].sub_batch_shape == (4,)
    torch.testing.assert_close(again["S"].data, trajectory["S"].data.detach(), rtol=1e-6, atol=0)


def test_frozen_points_and_nan(tmp_path):
    load, bad = torch.zeros(4, 2, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.float64)
    bad[2, 1] = 4.0
    trajectory = TransientDriver(snap(), on_failure="freeze").run({"t": times(4), "load": load, "bad": bad})
    trajectory.to_hdf5(tmp_path / "x.h5")
    again = Trajectory.from_hdf5(tmp_path / "x.h5")
    assert again.failures == trajectory.failures
    assert "t" not in again.forces
    assert torch.equal(again["t"].data, trajectory["t"].data)


def test_awkward_names(tmp_path):
    from neml2.models.common.algebra import LinearCombination
    from neml2.types import Scalar

    model = LinearCombination[Scalar](**{"from": ["a/b", "status"], "to": "time", "weights": [1.0, 2.0]})
    trajectory = TransientDriver(model).run(History(times(3), {"a/b": [1.0, 2.0, 3.0], "status": [0.5] * 3}))
    trajectory.to_hdf5(tmp_path / "x.h5")
    again = Trajectory.from_hdf5(tmp_path / "x.h5")
    assert set(again.names) == {"a/b", "status", "time"}
    assert again["time"].data.tolist() == [2.0, 3.0, 4.0]
    with xarray.open_dataset(tmp_path / "x.h5") as dataset:
        assert dataset["time_"].attrs["variable"] == "time"


# ---------------------------------------------------------------------- disk


def test_an_old_file_is_replaced_and_nothing_else_is_left(file):
    trajectory, path = file
    old = path.stat().st_ino
    trajectory.to_hdf5(path)
    assert path.stat().st_ino != old
    assert os.listdir(path.parent) == ["result.h5"]


def test_an_error_while_writing_leaves_the_old_file(file, monkeypatch):
    trajectory, path = file
    before = path.read_bytes()
    monkeypatch.setattr("neml2.drivers.files.hdf5._write_provenance", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trajectory.to_hdf5(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["result.h5"]


def test_a_killed_writer_leaves_the_old_file(file):
    _, path = file
    before = path.read_bytes()
    script = f"""
        import os, signal
        import neml2.drivers.files.hdf5 as hdf5
        from neml2.drivers import Trajectory
        trajectory = Trajectory.from_hdf5({str(path)!r})
        hdf5._write_provenance = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
        trajectory.to_hdf5({str(path)!r})
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(neml2.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert len(Trajectory.from_hdf5(path)) == 5


@pytest.mark.parametrize("suffix", [".h5", ".pt"])
@pytest.mark.parametrize("room", [3_000, 100_000])
def test_a_full_disk_is_one_line(tmp_path, suffix, room, capfd):
    path = tmp_path / f"result{suffix}"
    path.write_text("old")
    trajectory = TransientDriver(decay()).run(
        History(times(20), constant={"load": torch.zeros(2000, dtype=torch.float64)})
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))  # as good as a full disk
    try:
        with pytest.raises(OSError, match="cannot write .*; what was there before is unchanged") as caught:
            save(trajectory, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


def test_the_place_is_checked(tmp_path):
    with pytest.raises(OSError, match="needs about .* MB, but .* MB are free"):
        check_writable(tmp_path / "x.h5", 2**60)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        check_writable(tmp_path / "nowhere" / "x.h5")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_writable(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        check_writable(tmp_path / "file" / "x.h5")
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(PermissionError, match="cannot write"):
            check_writable(tmp_path / "closed" / "x.h5")


# ---------------------------------------------------------------------- files from strangers


def test_files_that_are_no_trajectories(file, tmp_path):
    _, path = file
    with pytest.raises(FileNotFoundError, match="there is no file"):
        Trajectory.from_hdf5(tmp_path / "none.h5")
    with pytest.raises(IsADirectoryError):
        Trajectory.from_hdf5(tmp_path)
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(ValueError, match="is not an HDF5 file"):
        Trajectory.from_hdf5(tmp_path / "text.h5")
    (tmp_path / "empty.h5").write_bytes(b"")
    with pytest.raises(ValueError, match="is not an HDF5 file"):
        Trajectory.from_hdf5(tmp_path / "empty.h5")
    data = path.read_bytes()
    for part in (0.3, 0.6, 0.95):
        (tmp_path / "cut.h5").write_bytes(data[: int(part * len(data))])
        with pytest.raises(ValueError, match=r"cut.h5 is damaged|cut.h5 is no complete") as caught:
            Trajectory.from_hdf5(tmp_path / "cut.h5")
        assert "\n" not in str(caught.value)
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["x"] = np.zeros(3)
    with pytest.raises(ValueError, match="no trajectory of this library"):
        Trajectory.from_hdf5(tmp_path / "other.h5")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.__delitem__("status"), "lacks 'status'"),
        (lambda f: f["S"].attrs.__setitem__("tensor", "SR3"), "no tensor type"),
        (lambda f: f["S"].attrs.__setitem__("tensor", "R2"), "dimensions"),
        (lambda f: f.attrs.__setitem__("layout_version", 99), "version 99"),
        (lambda f: f["E"].resize(3, axis=0), "has 3 steps, the file 5"),
        (lambda f: f["model"].attrs.__setitem__("inputs", "[not json"), "no complete trajectory"),
        (lambda f: f.__setitem__("other", h5py.ExternalLink("/etc/passwd", "/x")), "link to elsewhere"),
        (lambda f: f["E"].dims[0].detach_scale(f["step"]), "no name for its dimension 0"),
    ],
)
def test_files_of_the_wrong_layout(file, damage, message):
    _, path = file
    with h5py.File(path, "r+") as f:
        damage(f)
    with pytest.raises(ValueError, match=message) as caught:
        Trajectory.from_hdf5(path)
    assert "\n" not in str(caught.value)


def test_flipped_bytes_never_escape_as_anything_else(file):
    _, path = file
    data = path.read_bytes()
    generator = random.Random(4)
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(8):
            broken[generator.randrange(len(data))] = generator.randrange(256)
        path.write_bytes(broken)
        with contextlib.suppress(ValueError):
            assert len(Trajectory.from_hdf5(path)) == 5


def test_large_steps_are_chunked(tmp_path):
    trajectory = TransientDriver(decay()).run(
        History(times(3), constant={"load": torch.zeros(400_000, dtype=torch.float64)})
    )
    trajectory.detach().to_hdf5(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as f:
        assert f["x"].chunks[0] == 1
        assert np.prod(f["x"].chunks) * 8 <= 2**21
    assert torch.equal(Trajectory.from_hdf5(tmp_path / "x.h5")["x"].data, trajectory["x"].data)


@pytest.mark.parametrize(
    ("points", "rows", "size", "width"),
    [
        (10_000, 16, 48, 1280),  # 15 pages in 61,440 bytes; room for 10,240 points
        (10_000, 16, 8, 5120),
        (10_000, 1024, 8, 128),  # no room for a page
        (300, 16, 48, 300),  # pages would take room for 512 points
        (1, 16, 10**7, 1),
        (3, 1, 4096, 3),
    ],
)
def test_rows_of_a_chunk_are_whole_pages_where_that_takes_little_room(points, rows, size, width):
    assert hdf5._points_per_chunk(points, rows, size) == width


def test_large_chunks_start_at_pages_and_small_ones_anywhere(tmp_path):
    trajectory = TransientDriver(decay()).run(
        History(times(40), constant={"load": torch.zeros(5120, dtype=torch.float64)})
    )
    trajectory.detach().to_hdf5(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as f:
        data = f["x"].id
        places = [data.get_chunk_info(i).byte_offset for i in range(data.get_num_chunks())]
        assert len(places) > 1 and not any(p % 4096 for p in places)
        assert f["step"].id.get_chunk_info(0).byte_offset % 4096
