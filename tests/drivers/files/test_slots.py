import pytest
import torch

from neml2.drivers.files.rows import Rows
from neml2.drivers.files.slots import _STRIDE, Slots
from tests.drivers.blocks import append, new_writer, whole


@pytest.fixture
def rows(tmp_path):
    run = whole(8)
    writer = new_writer(tmp_path / "run.h5", run)
    append(writer, run, 0, 4)
    writer.leave("test")
    with Rows(tmp_path / "run.partial.h5") as rows:
        rows.file.truncate(rows.end)
        yield rows


def state(k, size=10):
    return {
        "a": torch.full((size,), float(k), dtype=torch.float64),
        "empty": torch.zeros(0, 3),
        "n": torch.tensor(k),
    }


def check(slots, row, k):
    found, count, tensors = slots.read()
    assert found == row
    assert count <= slots.rows.count
    assert list(tensors) == ["a", "empty", "n"]
    assert torch.equal(tensors["a"], state(k, len(tensors["a"]))["a"])
    assert tensors["empty"].shape == (0, 3)
    assert int(tensors["n"]) == k


def test_the_newest_counts_once_its_rows_are_there(rows):
    slots = Slots(rows)
    assert slots.read() == (0, 0, {})
    slots.write(3, 3, state(3))
    check(slots, 3, 3)
    slots.write(4, 4, state(4))
    check(slots, 4, 4)
    slots.write(6, 6, state(6))  # the rows 4 and 5 are not committed
    check(slots, 4, 4)
    again = Slots(rows)
    check(again, 4, 4)
    again.write(5, 4, state(5))  # takes the place of what does not count
    check(Slots(rows), 5, 5)
    again.write(7, 4, state(7))
    check(Slots(rows), 7, 7)


def test_a_larger_one_finds_a_place_that_the_other_does_not_need(rows):
    slots = Slots(rows)
    sizes = [10, 1000, 20, 30_000, 30_000, 5, 70_000]
    for k, size in enumerate(sizes, 1):
        slots.write(k, 1, state(k, size))
        check(slots, k, k)
        check(Slots(rows), k, k)
        if k > 1:  # and the one before is still whole
            entry = rows.get(slots.start + (1 - slots.next) * _STRIDE, _STRIDE)
            place = slots.start + (1 - slots.next) * _STRIDE
            rows.put(place, b"torn")
            check(Slots(rows), k - 1, k - 1)
            rows.put(place, entry)


@pytest.mark.parametrize("part", ["entry", "data"])
def test_a_torn_one_does_not_count(rows, part):
    slots = Slots(rows)
    slots.write(3, 3, state(3))
    slots.write(4, 4, state(4))
    where = slots.start + _STRIDE + 12 if part == "entry" else slots.place[1] + 100
    rows.put(where, b"\xff\xfe")
    check(Slots(rows), 3, 3)
    again = Slots(rows)
    again.write(4, 4, state(5))
    check(Slots(rows), 4, 5)
    assert again.next == 0
