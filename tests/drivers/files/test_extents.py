import struct

import h5py
import numpy as np
import pytest

from neml2.drivers.files.extents import address, attribute_offset, end_of_data, length_offset


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        data = file.create_dataset("a", data=np.arange(24.0).reshape(4, 6), maxshape=(None, 6), chunks=(2, 6))
        group = file.create_group("g")
        for i in range(40):  # more than the first block of the header holds
            data.attrs[f"attribute {i}"] = "text" * i
            group.attrs[f"long name of number {i}"] = i
        group.attrs["größe"] = 5
    return path


def test_the_length_of_a_dataset(file):
    with h5py.File(file) as f, open(file, "rb") as raw:
        at = length_offset(raw, address(f["a"]))
    with open(file, "r+b") as raw:
        raw.seek(at)
        assert raw.read(16) == struct.pack("<qq", 4, 6)
        raw.seek(at)
        raw.write(struct.pack("<q", 3))
    with h5py.File(file) as f:
        assert f["a"].shape == (3, 6)
        np.testing.assert_array_equal(f["a"][...], np.arange(18.0).reshape(3, 6))


@pytest.mark.parametrize("name", ["long name of number 0", "long name of number 39", "größe"])
def test_the_value_of_an_attribute(file, name):
    with h5py.File(file) as f, open(file, "rb") as raw:
        at = attribute_offset(raw, address(f["g"]), name)
        value = f["g"].attrs[name]
        with pytest.raises(RuntimeError, match="no attribute 'other'"):
            attribute_offset(raw, address(f["g"]), "other")
    with open(file, "r+b") as raw:
        raw.seek(at)
        assert raw.read(8) == struct.pack("<q", value)
        raw.seek(at)
        raw.write(struct.pack("<q", -7))
    with h5py.File(file) as f:
        assert f["g"].attrs[name] == -7
        assert f["g"].attrs["long name of number 20"] == 20


def test_what_lies_behind_the_data_is_not_of_the_library(file):
    with open(file, "r+b") as raw:
        end = end_of_data(raw)
        assert end == file.stat().st_size
        raw.seek(end)
        raw.write(b"more" * 1000)
        assert end_of_data(raw) == end
    with h5py.File(file) as f:
        assert f["a"].shape == (4, 6)


def test_other_formats_are_refused(tmp_path):
    path = tmp_path / "new.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["a"] = np.zeros(3)
    with h5py.File(path) as file, open(path, "rb") as raw:
        with pytest.raises(RuntimeError, match="superblock of version 0"):
            end_of_data(raw)
        with pytest.raises(RuntimeError, match="header of version"):
            length_offset(raw, address(file["a"]))
