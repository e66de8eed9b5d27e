"""Pieces that go around the page cache, and everything that does not."""

import errno
import mmap
import os

import numpy as np
import pytest

from neml2.drivers.files import direct
from neml2.drivers.files.direct import LARGE, PAGE, Direct

SIZE = 3 * 2**20


@pytest.fixture
def path(tmp_path):
    target = tmp_path / "file"
    target.write_bytes(b"\1" * SIZE)
    return target


@pytest.fixture
def way(path):
    """One that works, where the file system has such a way."""
    way = Direct(path)
    if not way.write(0, pages(way, LARGE, 1)):
        pytest.skip("the file system has no way around the page cache")
    yield way
    way.close()


def pages(way, size, value):
    found = way.room((size,), np.dtype(np.uint8))
    found[:] = value
    return memoryview(found)


def odd(values):
    """The bytes of ``values`` at an address that is no page's."""
    memory = mmap.mmap(-1, len(values) + PAGE)
    memory[8 : 8 + len(values)] = values
    return memoryview(memory)[8 : 8 + len(values)]


def test_readers_see_what_goes_around_the_cache_and_what_does_not(path, way):
    with open(path, "r+b", buffering=0) as other, mmap.mmap(other.fileno(), 0) as mapped:
        assert mapped[:] == other.read() == b"\1" * SIZE  # in the cache from now on
        assert way.write(PAGE, pages(way, LARGE, 2)) == LARGE
        wanted = bytearray(b"\1" * SIZE)
        wanted[PAGE : PAGE + LARGE] = b"\2" * LARGE
        assert mapped[:] == path.read_bytes() == wanted
        other.seek(PAGE - 1)  # a page of each kind, not yet on the disk
        other.write(b"\3\3")
        assert way.write(2 * PAGE, pages(way, LARGE, 4)) == LARGE
        wanted[PAGE - 1 : PAGE + 1] = b"\3\3"
        wanted[2 * PAGE : 2 * PAGE + LARGE] = b"\4" * LARGE
        assert mapped[:] == path.read_bytes() == wanted


def test_a_file_grows_by_what_is_written_behind_its_end(path, way):
    assert way.write(SIZE + PAGE, pages(way, LARGE, 7)) == LARGE
    assert path.read_bytes()[SIZE:] == bytes(PAGE) + b"\7" * LARGE


def test_bytes_of_any_address_go_as_far_as_they_are_whole_pages(path, way):
    values = np.random.default_rng(0).bytes(2 * 2**20 + PAGE + 100)
    assert way.write(PAGE, odd(values)) == len(values) - 100
    assert path.read_bytes()[PAGE : PAGE + len(values) - 100] == values[:-100]
    assert path.read_bytes()[PAGE + len(values) - 100 :] == b"\1" * (SIZE - PAGE - len(values) + 100)


@pytest.mark.parametrize(("offset", "size"), [(512, LARGE), (PAGE, LARGE - PAGE), (0, 0)])
def test_what_is_small_or_at_an_odd_place_goes_the_ordinary_way(path, way, offset, size):
    assert way.write(offset, pages(way, size, 2)) == 0
    assert path.read_bytes() == b"\1" * SIZE


def test_memory_is_kept_and_starts_at_a_page(way):
    first = way.room((3, 5), np.dtype(np.float64))
    assert first.shape == (3, 5) and first.dtype == np.float64
    large = way.room((2**18,), np.dtype(np.float32))
    again = way.room((2**17,), np.dtype(np.int64))
    assert all(a.ctypes.data % PAGE == 0 for a in (first, large, again))
    assert large.ctypes.data == again.ctypes.data
    first[...] = 1.0  # still its own
    assert first.sum() == 15.0


def test_a_file_system_that_refuses_is_asked_once(path, monkeypatch):
    asked = []

    def refuse(*given):
        asked.append(given)
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(direct.os, "pwrite", refuse)
    monkeypatch.setattr(direct.os, "O_DIRECT", 0, raising=False)  # whatever this system has
    way = Direct(path)
    assert [way.write(0, pages(way, LARGE, 2)) for _ in range(3)] == [0, 0, 0]
    assert way.write(0, odd(bytes(LARGE))) == 0
    assert len(asked) == 1
    assert path.read_bytes() == b"\1" * SIZE


def test_one_that_refuses_to_open_a_file_so_is_no_error(path, monkeypatch):
    def refuse(*given):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(direct.os, "open", refuse)
    way = Direct(path)
    assert way.write(0, pages(way, LARGE, 2)) == 0


def test_a_system_without_such_a_way(path, monkeypatch):
    monkeypatch.delattr(direct.os, "O_DIRECT", raising=False)
    way = Direct(path)
    assert way.write(0, pages(way, LARGE, 2)) == 0
    way.close()


def test_a_full_disk_is_an_error(path, monkeypatch):
    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(direct.os, "pwrite", full)
    monkeypatch.setattr(direct.os, "O_DIRECT", 0, raising=False)
    way = Direct(path)
    with pytest.raises(OSError, match="No space left"):
        way.write(0, pages(way, LARGE, 2))
    way.close()


@pytest.mark.parametrize(("speed", "kept"), [(2**27, 0), (2**30, LARGE)])
def test_a_disk_that_answers_late_gets_the_cache_back(path, monkeypatch, speed, kept):
    clock = iter(np.arange(100) * LARGE / speed)
    monkeypatch.setattr(direct, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(direct, "_TRIAL", 3 * LARGE)
    monkeypatch.setattr(direct.os, "O_DIRECT", 0, raising=False)
    way = Direct(path)
    assert [way.write(0, pages(way, LARGE, 2)) for _ in range(5)] == [LARGE] * 4 + [kept]
    way.close()


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="the system does not tell its open files")
def test_no_file_stays_open(path):
    before = len(os.listdir("/proc/self/fd"))
    way = Direct(path)
    way.close()
    way.close()
    assert len(os.listdir("/proc/self/fd")) == before
