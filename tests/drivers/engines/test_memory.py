"""How many rows a block gets, and sizes of memory as people write them."""

import pytest

from neml2.drivers.engines.memory import Pace, as_bytes


def blocks(pace, steps, seconds):
    """The lengths of the blocks of a run whose rows take so many seconds each."""
    found, row = [], 0
    while row < steps:
        last = pace.last(row, steps)
        pace.took(last - row, seconds * (last - row))
        found.append(last - row)
        row = last
    return found


def test_blocks_grow_to_what_may_be_lost():
    assert blocks(Pace(10**6, seconds=5.0), 2000, 0.01) == [2, 8, 32, 128, 500, 500, 500, 330]


def test_slow_rows_are_safe_one_by_one():
    assert blocks(Pace(10**6, seconds=5.0), 5, 60.0) == [2, 1, 1, 1]


def test_blocks_are_never_larger_than_the_memory():
    assert blocks(Pace(7), 30, 0.0) == [2, 7, 7, 7, 7]
    assert max(blocks(Pace(100), 1000, 0.0)) == 100


def test_a_run_in_memory_is_one_block():
    assert blocks(Pace(None), 1000, 10.0) == [1000]


@pytest.mark.parametrize(
    ("given", "size"),
    [("8 GB", 8 * 10**9), ("500MiB", 500 * 2**20), ("1.5 kB", 1500), (10, 10), ("12", 12), (None, None)],
)
def test_sizes_of_memory(given, size):
    assert as_bytes(given) == size


@pytest.mark.parametrize("given", ["much", "8 elephants", "-1", "0 GB", 0, -5, "1.2.3 GB", float("inf")])
def test_what_is_no_size(given):
    with pytest.raises(ValueError, match="give a number of bytes, or a text such as '8 GB'"):
        as_bytes(given)
