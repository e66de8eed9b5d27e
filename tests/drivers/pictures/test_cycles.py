import numpy as np
import pytest

from neml2.drivers.pictures.cycles import counted, cycle_numbers, extremes, loop, rows_of
from tests.drivers.trajectories import made, saw, scalar, uniaxial


def test_cycles_go_from_maximum_to_maximum():
    numbers = counted(saw(3)[:, None])[:, 0]  # maxima at rows 2, 10 and 18
    assert numbers.tolist() == [1] * 11 + [2] * 8 + [3] * 6


def test_holds_and_round_off_do_not_turn():
    held = np.repeat(saw(2), 3)
    held += 1e-13 * np.cos(np.pi * np.arange(len(held)))
    assert counted(held[:, None]).max() == 2
    assert counted(np.linspace(0, 1, 9)[:, None]).max() == 1
    ended = np.where(np.arange(17) < 12, saw(2), np.nan)
    assert counted(ended[:, None]).max() == 2
    assert counted(np.zeros((1, 2))).tolist() == [[1, 1]]


def test_numbers_given_or_counted_where_something_turns():
    saws = made(np.arange(17.0), x=scalar(saw(2)))
    time, signal = np.arange(17.0)[:, None], saw(2)[:, None]
    assert cycle_numbers(saws, True, time, signal).max() == 2
    assert cycle_numbers(saws, np.arange(17), time)[:, 0].tolist() == list(range(17))
    with pytest.raises(ValueError, match=r"cycles have shape \(3,\); give the number of every row, \(17,\)"):
        cycle_numbers(saws, [1, 2, 3], time)


def test_extremes_of_every_cycle():
    signal = np.concatenate([saw(1), saw(1, amplitude=2)[1:]])
    numbers = np.repeat([1, 2], [9, 8])
    found, high, low = extremes(signal[:, None], numbers[:, None])
    assert found.tolist() == [1, 2] and high.T.tolist() == [[1, 2]] and low.T.tolist() == [[-1, -2]]
    assert rows_of(numbers, 1).tolist() == list(range(9))
    assert rows_of(numbers, 2).tolist() == list(range(8, 17))  # from where the first ends


def test_the_loop_is_where_the_work_is():
    worked = made([0.0, 1.0], strain=uniaxial([0, 0.01]), stress=uniaxial([0, 100]))
    assert loop(worked) == ("strain.xx", "stress.xx")
    assert loop(made([0.0, 1.0], strain=uniaxial([0, 0.01]))) is None
    assert loop(made([0.0, 1.0], strain=uniaxial([0, 0.01]), stress=uniaxial([0, 0]))) is None


def test_numbers_that_the_trajectory_knows():
    saws = made(np.arange(17.0), x=scalar(saw(2)))
    object.__setattr__(saws, "cycle", np.repeat([7, 8], [9, 8]))
    assert cycle_numbers(saws, True, saw(2)[:, None])[:, 0].tolist() == [7] * 9 + [8] * 8
