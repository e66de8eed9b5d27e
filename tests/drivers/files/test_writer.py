import os
import resource
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import xarray

import neml2
from neml2.drivers import Trajectory
from neml2.drivers.control.control import Control
from neml2.drivers.files.rows import Rows
from neml2.drivers.files.writer import Unfinished, Writer
from neml2.drivers.results.saving import Save
from neml2.drivers.trajectory import Origin
from neml2.types import SR2, Scalar
from tests.drivers.blocks import MANY, append, cut, new_writer, same, whole


@pytest.fixture
def run():
    return whole()


@pytest.mark.parametrize("points", [3, MANY])
def test_a_run_grows_beside_its_name_and_everybody_can_look(points, tmp_path):
    run = whole(20, points)
    path, growing = tmp_path / "run.h5", tmp_path / "run.partial.h5"
    path.write_text("the old result")
    writer = new_writer(path, run)
    for k in range(0, 20, 5):
        append(writer, run, k, k + 5)
        assert path.read_text() == "the old result"
        with xarray.open_dataset(growing) as dataset:
            assert dataset.step.values.tolist() == list(range(k + 5))
            np.testing.assert_array_equal(dataset.E[:, 1, 0], run["E"].data[: k + 5, 1, 0])
        same(Trajectory.from_hdf5(growing), cut(run, 0, k + 5))
    writer.finish()
    assert os.listdir(tmp_path) == ["run.h5"]
    same(Trajectory.from_hdf5(path), run)
    with h5py.File(path) as file:
        assert file["provenance"].attrs["complete"] == 1
        assert file["S"].shape == (20, points, 6)
    run.to_hdf5(tmp_path / "once.h5")
    with xarray.open_dataset(path) as a, xarray.open_dataset(tmp_path / "once.h5") as b:
        xarray.testing.assert_identical(a.load(), b.load())


@pytest.mark.parametrize("points", [3, MANY])
def test_netcdf_xarray_and_h5py_read_the_same_numbers(points, tmp_path):
    netcdf = pytest.importorskip("netCDF4")
    run = whole(20, points)
    writer = new_writer(tmp_path / "run.h5", run, Save.of(["S", "E", "von_mises(S)"]))
    append(writer, run, 0, 20)
    writer.leave("interrupted")
    path = tmp_path / "run.partial.h5"
    with (
        xarray.open_dataset(path, engine="h5netcdf") as x,
        xarray.open_dataset(path, engine="netcdf4") as y,
        netcdf.Dataset(path) as n,
        h5py.File(path) as h,
    ):
        xarray.testing.assert_equal(x.load(), y.load())
        assert x.sizes["step"] == 20
        for name in ("S", "E", "von_mises_S", "time", "status", "step"):
            np.testing.assert_array_equal(np.asarray(n[name][...]), h[name][...])
            np.testing.assert_array_equal(x[name].values, h[name][...])


def test_streaming_touches_nothing_but_rows_and_their_number(run, tmp_path):
    writer = new_writer(tmp_path / "run.h5", run)
    append(writer, run, 0, 4)
    before = (tmp_path / "run.partial.h5").read_bytes()
    append(writer, run, 4, 20)
    after = (tmp_path / "run.partial.h5").read_bytes()
    with Rows(tmp_path / "run.partial.h5") as rows:
        free = np.zeros(rows.end, dtype=bool)
        for field in (*rows.fields.values(), rows.step):
            free[field.length : field.length + 8] = True
            for place in field.places.flat:
                free[place : place + int(np.prod(field.chunk)) * field.dtype.itemsize] = True
        a, b = (np.frombuffer(x[: rows.end], dtype=np.uint8) for x in (before, after))
        assert (a != b)[free].any()
        assert not (a != b)[~free].any()


def test_an_interrupted_run_is_not_overwritten(run, tmp_path):
    path = tmp_path / "run.h5"
    writer = new_writer(path, run)
    append(writer, run, 0, 8)
    with pytest.raises(BlockingIOError, match="being written by another run"):
        new_writer(path, run, overwrite=True)
    writer.leave("SIGTERM")
    with pytest.raises(FileExistsError, match=r"8 of 20 steps of an interrupted run \(SIGTERM\); resume"):
        new_writer(path, run)
    writer = new_writer(path, run, overwrite=True)
    assert Unfinished.read(path).row == 8  # until the new run has something
    append(writer, run, 0, 4)
    assert Unfinished.read(path).row == 4
    writer.leave("SIGTERM")
    (tmp_path / "other.partial.h5").write_text("mine")
    with pytest.raises(FileExistsError, match="in the way"):
        new_writer(tmp_path / "other.h5", run)


def test_what_a_run_is_resumed_from(run, tmp_path):
    path = tmp_path / "run.h5"
    numbers = torch.rand(20, 3, 6, dtype=torch.float64)
    control = Control(numbers, 2 * numbers, 3 * numbers, 0 * numbers, torch.arange(20))
    history = {
        "control": control,
        "options": {"on_failure": ["substep", "freeze"], "limit": 1.5e-3, "none": None},
        "initial": {"S": SR2(numbers[0, 0])},
        "constant": {"a/b": Scalar(numbers[0, 0, 0]).data.expand(20, 3)},
    }
    save = Save.of({"derived": "energy(S, E)"})
    writer = new_writer(path, run, save, history=history, events=("necking", "end"))
    writer.events([2], [3], [0.25], [1])
    append(writer, run, 0, 12)
    del writer  # as good as killed
    left = Unfinished.read(path)
    assert (left.row, left.rows, left.steps, left.batch) == (12, 12, 20, (3,))
    assert left.save == save
    assert left.events == ("necking", "end")
    assert left.origin.states == run.origin.states
    assert left.origin.input_text == "# text"
    assert torch.equal(left.origin.parameters["rate.c"], run.origin.parameters["rate.c"])
    assert torch.equal(left.checkpoint["S"], run["S"].data[11])
    assert torch.equal(left.history["time"], run.time)
    assert torch.equal(left.history["prescribed"]["E"].data, run["E"].data)  # shear components too
    assert isinstance(left.history["initial"]["S"], SR2)
    assert torch.equal(left.history["initial"]["S"].data, numbers[0, 0])
    assert left.history["options"] == history["options"]
    assert left.history["constant"]["a/b"].shape == (20, 3)
    for name, value in vars(control).items():
        assert torch.equal(getattr(left.history["control"], name), value)
    with h5py.File(tmp_path / "run.partial.h5") as file:
        assert file["history/constant/a.b"].size == 1  # the same for all rows and points
    writer = left.writer()
    with pytest.raises(BlockingIOError, match="another run"):
        left.writer()
    append(writer, run, 12, 20)
    writer.finish()
    assert os.listdir(tmp_path) == ["run.h5"]
    at_once = save.select(run, 0, 20)
    same(Trajectory.from_hdf5(path), at_once)
    assert torch.equal(Trajectory.from_hdf5(path)["energy(S, E)"].data, at_once["energy(S, E)"].data)
    with h5py.File(path) as file:
        assert [int(file["events"][n][0]) for n in ("point", "row", "event")] == [2, 3, 1]
        assert len(file["events/row"]) == 1
    with pytest.raises(ValueError, match="is complete; there is nothing to resume"):
        Unfinished.read(path)


def test_what_is_no_run_is_named_when_it_is_to_be_resumed(run, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        Unfinished.read(tmp_path / "none.h5")
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of the result, such as run.h5"):
        Unfinished.read(tmp_path)
    (tmp_path / "run.i").write_text("[Models]\n[]\n")
    with pytest.raises(ValueError, match=r"run.i is not the result of a run; give its name, such as run.h5"):
        Unfinished.read(tmp_path / "run.i")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(ValueError, match=r"text.h5 is not an HDF5 file"):
        Unfinished.read(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1.0
    with pytest.raises(ValueError, match=r"other.h5 is an HDF5 file but no trajectory"):
        Unfinished.read(tmp_path / "other.h5")


def test_a_run_killed_while_it_is_finished(run, tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    writer = new_writer(path, run)
    append(writer, run, 0, 20)
    monkeypatch.setattr("neml2.drivers.files.writer.os.replace", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        writer.finish()
    monkeypatch.undo()
    writer.rows.close()
    left = Unfinished.read(path)
    assert (left.row, left.rows) == (20, 20)
    assert torch.equal(left.checkpoint["S"], run["S"].data[-1])
    left.writer().finish()
    same(Trajectory.from_hdf5(path), run)


def test_a_run_that_ends_early_takes_no_more_room_than_its_rows(run, tmp_path):
    path = tmp_path / "run.h5"
    writer = new_writer(path, run, events=("end",))
    writer.events([1], [6], [0.5], [0])
    append(writer, run, 0, 7)
    writer.finish()
    assert os.listdir(tmp_path) == ["run.h5"]
    same(Trajectory.from_hdf5(path), cut(run, 0, 7))
    with h5py.File(path) as file:
        assert file["S"].id.get_num_chunks() == 1
        assert file["S"].chunks[0] <= 7
        assert file["events/row"][...].tolist() == [6]


@pytest.mark.parametrize(
    ("options", "rows"),
    [({"every": 6}, [0, 6, 12, 18, 19]), ({"last": True}, [19]), ({"times": [3 / 19, 1.0]}, [3, 19])],
)
def test_rows_keep_their_numbers(run, tmp_path, options, rows):
    writer = new_writer(tmp_path / "run.h5", run, Save.of(options))
    append(writer, run, 0, 20, size=7)
    writer.finish()
    read = Trajectory.from_hdf5(tmp_path / "run.h5")
    assert read.rows.tolist() == rows
    torch.testing.assert_close(read["S"].data, run["S"].data[rows], rtol=1e-15, atol=0.0)
    with xarray.open_dataset(tmp_path / "run.h5") as dataset:
        assert dataset.step.values.tolist() == rows
    with pytest.raises(ValueError, match="needs done="):
        append_without_done(new_writer(tmp_path / "other.h5", run, Save(every=2)), run)


def append_without_done(writer, run):
    writer.append(writer.save.select(cut(run, 0, 8), 0, 20), 0, {})


def test_blocks_that_do_not_fit_are_refused(run, tmp_path):
    writer = new_writer(tmp_path / "run.h5", run)
    append(writer, run, 0, 4)
    other = Save(("S",)).select(cut(run, 4, 8), 4, 20)
    with pytest.raises(ValueError, match="does not fit"):
        writer.append(other, 4, {})
    with pytest.raises(ValueError, match="all blocks need the same"):
        writer.append(cut(run, 4, 8).to(torch.float32), 4, {})
    writer.leave("failed")
    same(Trajectory.from_hdf5(tmp_path / "run.partial.h5"), cut(run, 0, 4))


@pytest.mark.parametrize("points", [2000, MANY])
def test_a_full_disk_is_one_line_and_the_run_goes_on_later(points, tmp_path, capfd):
    run = whole(20, points)
    path = tmp_path / "run.h5"
    writer = new_writer(path, run)
    append(writer, run, 0, 8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = (tmp_path / "run.partial.h5").stat().st_size // 2
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(
            OSError, match="cannot write .*; the 8 rows before are safe in .*resume"
        ) as caught:
            append(writer, run, 8, 20)
        writer.leave("the disk is full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    same(Trajectory.from_hdf5(tmp_path / "run.partial.h5"), cut(run, 0, 8))
    left = Unfinished.read(path)
    assert left.row == 8
    writer = left.writer()
    append(writer, run, 8, 20)
    writer.finish()
    same(Trajectory.from_hdf5(path), run)


def test_a_disk_that_is_full_before_the_first_row(tmp_path, capfd):
    run = whole(20, MANY)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))  # less than the history
    try:
        with new_writer(tmp_path / "run.h5", run) as writer, pytest.raises(OSError, match="cannot write"):
            append(writer, run, 0, 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert capfd.readouterr().err == ""
    assert os.listdir(tmp_path) == []


def test_a_small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "none", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    run = whole(20, 3000)
    try:
        with new_writer(disk / "run.h5", run) as writer:
            append(writer, run, 0, 4)
            (disk / "other").write_bytes(bytes(shutil.disk_usage(disk).free - 2**20))
            with pytest.raises(OSError, match="No space left on device"):
                append(writer, run, 4, 20, size=1)
            count = writer.rows.count
        assert 4 <= count < 20
        same(Trajectory.from_hdf5(disk / "run.partial.h5"), cut(run, 0, count))
        assert Unfinished.read(disk / "run.h5").row == count
        with (
            pytest.raises(OSError, match="cannot write .*second.*: No space left on device"),
            new_writer(disk / "second.h5", run) as writer,
        ):
            append(writer, run, 0, 1)
        os.truncate(disk / "other", (disk / "other").stat().st_size - 4 * 2**20)  # enough for /history
        with (
            pytest.raises(OSError, match="needs about .* MB, but .* MB are free"),
            new_writer(disk / "second.h5", run) as writer,
        ):
            append(writer, run, 0, 1)
        assert sorted(os.listdir(disk)) == ["other", "run.partial.h5"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_no_file_without_rows(run, tmp_path):
    with pytest.raises(ValueError, match="no row of the run was kept"):
        new_writer(tmp_path / "run.h5", run).finish()
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        new_writer(tmp_path / "nowhere" / "run.h5", run)
    assert os.listdir(tmp_path) == []


def test_memory_stays_flat(tmp_path):
    steps, points, size = 300, 2000, 10
    values = SR2(torch.randn(size, points, 6, dtype=torch.float64))
    block = Trajectory(
        time=torch.zeros(size),
        status=torch.zeros(size, points, dtype=torch.int8),
        iterations=torch.zeros(size, points, dtype=torch.int32),
        outputs={"a": values, "b": values},
        forces={},
    )
    writer = Writer(tmp_path / "run.h5", Origin(), batch=(points,), steps=steps)
    writer.append(block, 0, {"a": values.data[-1]})
    tracemalloc.start()
    for k in range(size, steps, size):
        writer.append(block, k, {"a": values.data[-1]})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    writer.finish()
    assert (tmp_path / "run.h5").stat().st_size > 50 * 2**20
    assert peak < 4 * 2**20  # a few chunks


def test_kills_at_random_moments(tmp_path):
    script = Path(__file__).parents[1] / "killing.py"
    environment = {**os.environ, "PYTHONPATH": str(Path(neml2.__file__).parents[1]), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(script), "40"], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "40 kills" in done.stdout
