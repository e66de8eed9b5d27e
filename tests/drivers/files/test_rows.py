"""Rows on their way to the disk: around the page cache, through it, or some so and some so."""

import os

import pytest
import torch

from neml2.drivers import Trajectory
from neml2.drivers.files import direct, hdf5
from neml2.drivers.files.writer import Unfinished
from tests.drivers.blocks import MANY, append, new_writer, same, whole


class Ways:
    """Stands for :func:`os.pwrite`: counts, and says that no more than ``most`` bytes were written."""

    def __init__(self, most=2**30):
        self.pwrite, self.most, self.count = os.pwrite, most, 0

    def __call__(self, file, data, offset):
        self.count += 1
        return min(self.pwrite(file, data, offset), self.most)


def stream(path, run):
    """The run in a file, interrupted once; what was to be known of its history on the way."""
    writer = new_writer(path, run)
    append(writer, run, 0, 7)
    writer.leave("interrupted")
    left = Unfinished.read(path)
    writer = left.writer()
    append(writer, run, 7, 20)
    writer.finish()
    return left.history["prescribed"]["E"].data


@pytest.mark.parametrize("most", [2**30, 7 * 4096, 70_000])
def test_large_rows_go_around_the_page_cache_to_the_same_bits(most, tmp_path, monkeypatch):
    run, ways = whole(20, MANY), Ways(most)
    monkeypatch.setattr(direct.os, "pwrite", ways)
    history = stream(tmp_path / "run.h5", run)
    if not ways.count:
        pytest.skip("the system has no way around the page cache")
    assert ways.count > 10
    assert torch.equal(history, run["E"].data)
    monkeypatch.delattr(direct.os, "O_DIRECT")
    count = ways.count
    assert torch.equal(stream(tmp_path / "other.h5", run), run["E"].data)
    assert ways.count == count
    read, other = (Trajectory.from_hdf5(tmp_path / name) for name in ("run.h5", "other.h5"))
    same(read, run)
    for name in run.names:
        assert torch.equal(read[name].data, other[name].data)


def test_a_run_of_few_points_touches_no_second_way(tmp_path, monkeypatch):
    ways = Ways()
    monkeypatch.setattr(direct.os, "pwrite", ways)
    stream(tmp_path / "run.h5", whole())
    assert ways.count == 0


def test_a_file_whose_chunks_are_anywhere_is_gone_on_with(tmp_path, monkeypatch):
    run, path = whole(20, MANY), tmp_path / "run.h5"
    with monkeypatch.context() as patch:  # as they were made before
        patch.setattr(hdf5, "LARGE", 2**40)
        patch.setattr(hdf5, "PAGE", 40)
        writer = new_writer(path, run)
        append(writer, run, 0, 8)
        assert (writer.rows.fields["S"].places % 4096).any()
        writer.leave("interrupted")
    writer = Unfinished.read(path).writer()
    append(writer, run, 8, 20)
    writer.finish()
    same(Trajectory.from_hdf5(path), run)
