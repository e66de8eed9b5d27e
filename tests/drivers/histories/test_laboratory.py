import math

import pytest
import torch

from neml2.drivers import laboratory as lab

LABELS = ("xx", "yy", "zz", "yz", "xz", "xy")


def target(history, component="xx", point=0):
    values = history.control.target[..., LABELS.index(component)].reshape(len(history), -1)
    return values[:, point]


def weights(history, component="xx"):
    i = LABELS.index(component)
    pair = (history.control.stress_weight, history.control.strain_weight)
    return [w[..., i].reshape(len(history), -1)[:, 0].tolist() for w in pair]


def near(values):
    return pytest.approx(values, rel=1e-13, abs=1e-15)


def test_monotonic():
    history = lab.monotonic(-0.02, 1e-3, rows=4)
    assert history.time.tolist() == near([0, 5, 10, 15, 20])
    assert target(history).tolist() == near([0, -0.005, -0.01, -0.015, -0.02])
    assert weights(history) == [[0.0] * 5, [1.0] * 5]
    shear = lab.monotonic(60.0, [1.0, 2.0], component="xy", control="stress", rows=2)
    assert shear.time.tolist() == [[0, 0], [30, 15], [60, 30]]
    assert weights(shear, "xy") == [[1.0] * 3, [0.0] * 3]
    assert weights(shear, "xx") == [[1.0] * 3, [0.0] * 3]
    assert len(lab.monotonic(0.1, 1.0)) == 101


def test_triangles():
    history = lab.cyclic(0.01, 3, rate=1e-3, rows=8)
    assert len(history) == 25
    assert float(history.time[-1]) == pytest.approx(3 * 4 * 0.01 / 1e-3)
    one = [0.005, 0.01, 0.005, 0, -0.005, -0.01, -0.005, 0]
    assert target(history).tolist() == near([0, *one * 3])
    assert history.cycle.tolist() == [1] * 9 + [2] * 8 + [3] * 8
    steps = history.time.diff()
    torch.testing.assert_close(target(history).diff().abs() / steps, torch.full_like(steps, 1e-3))


def test_ratio_and_mean():
    for R in (-1.0, 0.0, 0.5, -3.0):
        values = target(lab.cyclic(0.01, 2, period=4.0, R=R, rows=4))
        peak, valley = values[-4:].max(), values[-4:].min()
        assert float(valley) == pytest.approx(R * float(peak), abs=1e-16)
        assert float(peak - valley) == pytest.approx(0.02)
    history = lab.cyclic([50.0, 100.0], 1, period=8.0, mean=100.0, control="stress", rows=4)
    assert target(history, point=0).tolist() == near([0, 100, 150, 100, 50, 100])
    assert target(history, point=1).tolist() == near([0, 100, 200, 100, 0, 100])
    assert history.time[:2].tolist() == [[0, 0], [4, 2]]  # the mean is gone to at the speed of the cycles
    assert weights(history)[0] == [1.0] * 6
    some = lab.cyclic(0.01, 1, rate=1e-3, mean=[0.0, 0.01], rows=4)
    assert bool((some.time.diff(dim=0) > 0).all())


def test_a_sine():
    history = lab.cyclic(0.02, 2, period=10.0, wave="sine", mean=0.01, rows=20)
    x = (history.time[5:] - history.time[5]) / 10.0
    torch.testing.assert_close(target(history)[5:], 0.01 + 0.02 * torch.sin(2 * math.pi * x))
    assert float(target(history).max()) == pytest.approx(0.03, rel=1e-15)
    fast = lab.cyclic(0.02, 1, rate=1e-2, wave="sine")  # on average
    assert float(fast.time[-1]) == pytest.approx(8.0)


def test_holds():
    history = lab.cyclic(0.01, 2, rate=0.01, wave="trapezoid", hold=60.0, rows=4, hold_rows=3)
    assert len(history) == 1 + 2 * (4 + 3)
    assert target(history)[1:5].tolist() == [0.01] * 4
    assert float(history.time[4] - history.time[1]) == pytest.approx(60.0)
    both = lab.cyclic(0.01, 1, rate=0.01, wave="trapezoid", hold=60.0, hold_valley=30.0, rows=4, hold_rows=1)
    assert float(both.time[-1]) == pytest.approx(94.0)
    creeping = lab.cyclic(
        0.01, 1, rate=0.01, wave="trapezoid", hold=60.0, hold_control="stress", rows=4, hold_rows=2
    )
    assert weights(creeping) == [[0, 0, 1, 1, 0, 0, 0], [1, 1, 0, 0, 1, 1, 1]]
    assert creeping.control.carry[..., 0].tolist() == [0, 0, 1, 1, 0.5, 0, 0]


def test_pulsating():
    history = lab.pulsating(0.01, 2, period=10.0, rows=4)
    assert history.time.tolist() == near([0, 2.5, 5, 7.5, 10, 12.5, 15, 17.5, 20])
    assert weights(history)[0] == [0, 0, 0, 1, 1, 0, 0, 1, 1]
    assert history.control.carry[..., 0].tolist() == [0, 0, 0, 0.5, 0, 0.5, 0, 0.5, 0]


def test_creep_and_relaxation():
    history = lab.creep(100.0, 1000.0, load_time=10.0, rows=4, load_rows=2, decades=3)
    assert history.time.tolist() == near([0, 5, 10, 11, 20, 110, 1010])
    assert target(history).tolist() == [0, 50, 100, 100, 100, 100, 100]
    assert weights(history)[0] == [1.0] * 7
    assert [s.name for s in history.segments] == ["load", "creep"]
    even = lab.relaxation(0.01, 100.0, rate=1e-3, rows=2, load_rows=1, decades=0)
    assert even.time.tolist() == near([0, 10, 60, 110])
    assert target(even).tolist() == [0, 0.01, 0.01, 0.01]
    assert weights(even)[1] == [1.0] * 4


def test_the_line_of_an_elastic_follow_up():
    E, Z = 2e5, 3.0
    history = lab.follow_up(0.01, 100.0, factor=[1.0, Z], modulus=E, load_time=1.0, rows=2, load_rows=1)
    i = history.control
    assert i.stress_weight[-1, :, 0].tolist() == near([0.0, (Z - 1) / E])
    assert i.strain_weight[-1, :, 0].tolist() == [1.0]
    assert (i.target[-1, :, 0] == 0).all() and (i.carry[-1, :, 0] == 1).all()
    assert i.anchor.tolist() == [0, 0, 1, 1]
    drop = -1e-4  # an elastic strain that is lost, at constant sigma/K + eps
    total = -float(i.stress_weight[-1, 1, 0]) * E * drop
    assert total - drop == pytest.approx(-Z * drop)  # the inelastic strain that is gained


def test_rate_jumps():
    history = lab.rate_jumps([(0.01, 1e-3), (0.02, 1e-2), (0.0, 1e-2)], rows=1)
    assert history.time.tolist() == near([0, 10, 11, 13])
    assert target(history).tolist() == near([0, 0.01, 0.02, 0.0])


@pytest.mark.parametrize("wave", ["triangle", "sine"])
@pytest.mark.parametrize(("phase", "hottest"), [(0, 1), (180, 3), (90, 2), (-90, 4)])
def test_thermomechanical(wave, phase, hottest):
    history = lab.thermomechanical(
        0.005, (600.0, 800.0), 2, period=100.0, phase=phase, wave=wave, rows=4, constant={"x": 1.0}
    )
    T = history.prescribed["T"].data
    assert target(history).tolist() == near([0, *[0.005, 0, -0.005, 0] * 2])
    assert float(T[hottest]) == pytest.approx(800.0)
    assert float(T[1:].max()) == pytest.approx(800.0)
    assert float(T.min()) == pytest.approx(600.0)
    torch.testing.assert_close(T[:5], T[4:])
    assert history.constant == {"x": 1.0}


def test_thermomechanical_with_a_mean():
    history = lab.thermomechanical(0.005, (600.0, 800.0), 1, period=100.0, R=0.0, rows=4)
    assert target(history).tolist() == near([0, 0.005, 0.01, 0.005, 0, 0.005])
    assert history.prescribed["T"].data.tolist() == near([700, 700, 800, 700, 600, 700])


def test_isochronous_rows():
    history = lab.isochronous([100.0, 150.0], [10.0, 100.0], load_time=1.0, rows=5, load_rows=2)
    assert {1.0, 10.0, 100.0} <= {round(t, 12) for t in history.time.tolist()}
    assert history.control.target[-1, :, 0].tolist() == [100.0, 150.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lab.monotonic(0.1, 0.0), "the rate of 'xx' is 0; it must be positive"),
        (lambda: lab.monotonic(0.1, 1.0, control="strian"), "did you mean 'strain'"),
        (lambda: lab.cyclic(0.1, 1), "give either rate or period"),
        (lambda: lab.cyclic(0.1, 1, rate=1.0, period=1.0), "give either rate or period"),
        (lambda: lab.cyclic(0.1, 0, rate=1.0), "cycles=0"),
        (lambda: lab.cyclic(0.1, 1, rate=1.0, rows=6), "multiple of 4"),
        (lambda: lab.cyclic(-0.1, 1, rate=1.0), "amplitude is -0.1; it must be positive"),
        (lambda: lab.cyclic(0.1, 1, rate=1.0, R=0, mean=0), "give one of them"),
        (lambda: lab.cyclic(0.1, 1, rate=1.0, R=1.0), "give one below 1"),
        (lambda: lab.cyclic(0.1, 1, rate=1.0, hold=3.0), "holds make a trapezoid"),
        (lambda: lab.cyclic(0.1, 1, rate=1.0, wave="trapezoid"), "holds make a trapezoid"),
        (lambda: lab.cyclic(0.1, 1, rate=1.0, wave="sinus"), "did you mean 'sine'"),
        (lambda: lab.creep(1.0, 1.0), "either load_time or rate"),
        (lambda: lab.follow_up(0.1, 1.0, factor=0.5, modulus=1.0, rate=1.0), "factor is 0.5"),
        (lambda: lab.isochronous([1.0], [1.0], load_time=2.0), "lies within the loading"),
    ],
)
def test_mistakes_are_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()
