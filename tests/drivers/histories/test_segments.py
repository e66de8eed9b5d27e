import pytest
import torch

from neml2.drivers import History
from neml2.drivers.histories.segments import HOLD, Along, FollowUp, Segment, logarithmic
from neml2.types import Vec

XX, YY = 0, 1


def column(control, name, component=XX, point=0):
    values = getattr(control, name)[..., component]
    values = values.reshape(len(values), -1)
    return values[:, point % values.shape[1]].tolist()


def near(values):
    return pytest.approx(values, rel=1e-14, abs=1e-16)


def test_a_ramp_goes_from_where_it_is_to_its_value():
    history = History.from_segments(
        [Segment(10.0, 5, strain={"xx": 0.01}), Segment(2.0, 2, strain={"xx": 0.0})]
    )
    assert history.time.tolist() == near([0, 2, 4, 6, 8, 10, 11, 12])
    control = history.control
    assert column(control, "target") == near([0, 0.002, 0.004, 0.006, 0.008, 0.01, 0.005, 0])
    assert column(control, "strain_weight") == [1.0] * 8
    assert column(control, "stress_weight") == [0.0] * 8
    assert column(control, "carry") == [0.0] * 8
    assert column(control, "stress_weight", YY) == [1.0] * 8  # what nothing is said about is free of stress
    assert column(control, "strain_weight", YY) == [0.0] * 8
    assert column(control, "target", YY) == [0.0] * 8
    assert control.target[5, ..., XX].item() == 0.01  # the end of a ramp is exact
    assert history.control.anchor.tolist() == [0, 0, 0, 0, 0, 0, 5, 5]
    assert history.control.anchor.dtype == torch.int64


def test_a_change_of_control_carries_what_was_reached():
    history = History.from_segments(
        [
            Segment(1.0, 2, strain={"xx": 0.01}),
            Segment(1.0, 3, stress={"xx": HOLD}),
            Segment(1.0, 4, stress={"xx": 0.0}),
            Segment(1.0, 2, stress={"xx": 8.0}),
            Segment(1.0, 2, strain={"xx": 0.02}),
        ]
    )
    control = history.control
    assert column(control, "carry") == [0, 0, 0, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0, 0, 0.5, 0]
    assert column(control, "target") == near([0, 0.005, 0.01, 0, 0, 0, 0, 0, 0, 0, 4, 8, 0.01, 0.02])
    assert column(control, "stress_weight") == [0] * 3 + [1] * 9 + [0] * 2
    assert control.anchor.tolist() == [0, 0, 0, 2, 2, 2, 5, 5, 5, 5, 9, 9, 11, 11]
    before = torch.arange(1, len(control))
    assert (control.anchor[1:] < before).all()


def test_what_is_not_mentioned_stays_as_it_is():
    history = History.from_segments(
        [Segment(1.0, 1, stress={"xx": 100.0}), Segment(5.0, 2, forces={"T": 900.0})], start={"T": 300.0}
    )
    assert column(history.control, "target") == [0, 100, 100, 100]
    assert history.prescribed["T"].data.tolist() == [300, 300, 600, 900]


def test_a_held_component_that_moves_on_starts_from_its_known_value():
    history = History.from_segments(
        [
            Segment(1.0, 1, strain={"xx": 0.01}),
            Segment(1.0, 1, strain={"xx": HOLD}),
            Segment(1.0, 2, strain={"xx": 0.03}),
        ]
    )
    assert column(history.control, "target") == near([0, 0.01, 0.01, 0.02, 0.03])
    assert column(history.control, "carry") == [0] * 5


def test_follow_up_keeps_a_sum_of_stress_and_strain():
    history = History.from_segments(
        [
            Segment(1.0, 1, strain={"xx": 0.01}),
            Segment(9.0, 2, follow_up={"xx": 50.0}),
            Segment(1.0, 1, follow_up={"xx": FollowUp(50.0, 0.03)}),
        ]
    )
    control = history.control
    assert column(control, "stress_weight") == [0, 0, 0.02, 0.02, 0.02]
    assert column(control, "strain_weight") == [1] * 5
    assert column(control, "target") == [0, 0.01, 0, 0, 0.03]
    assert column(control, "carry") == [0, 0, 1, 1, 0]
    from_rest = History.from_segments([Segment(1.0, 2, follow_up={"xx": FollowUp(50.0, 0.04)})]).control
    assert column(from_rest, "target") == near([0, 0.02, 0.04])
    assert column(from_rest, "carry") == [0] * 3
    rigid = History.from_segments([Segment(1.0, 1, follow_up={"xx": float("inf")})]).control
    assert column(rigid, "stress_weight") == [0.0, 0.0]


def test_rates_give_durations():
    history = History.from_segments(
        [
            Segment(rows=2, strain={"xx": 0.01}, rate={"xx": 1e-3}),
            Segment(rows=1, strain={"xx": -0.01}, rate={"xx": 1e-3}),
            Segment(rows=1, forces={"T": 350.0}, rate={"T": -5.0}),
        ],
        start={"T": 300},
    )
    assert history.time.tolist() == near([0, 5, 10, 30, 40])


def test_a_batch_has_values_and_clocks_of_its_own():
    rates = torch.tensor([1e-3, 1e-2])
    history = History.from_segments(
        [Segment(rows=2, strain={"xx": 0.01}, rate={"xx": rates}), Segment(1.0, 1, stress={"xx": [5.0, 7.0]})]
    )
    assert history.time.shape == (4, 2)
    assert history.time[:, 1].tolist() == pytest.approx([0, 0.5, 1, 2])
    assert history.control.batch == (2,)
    assert history.control.target.shape == (4, 2, 6)
    assert column(history.control, "target", XX, 1) == near([0, 0.005, 0.01, 7])
    assert history.control.strain_weight.shape == (4, 1, 6)  # the same for all points
    same_clock = History.from_segments([Segment(1.0, 1, strain={"xx": [[0.1], [0.2]]})])
    assert same_clock.time.shape == (2,)
    assert same_clock.control.target.shape == (2, 2, 1, 6)


def test_courses_and_spacing():
    swing = Along(lambda x: 0.01 * torch.sin(2 * torch.pi * x))
    history = History.from_segments(
        [Segment(4.0, 4, strain={"xx": swing}), Segment(1.0, 2, strain={"xx": Along([0.5, 0.7])})]
    )
    assert column(history.control, "target") == near([0, 0.01, 0, -0.01, 0, 0.5, 0.7])
    log = History.from_segments([Segment(100.0, 3, stress={"xx": 1.0}, spacing=logarithmic(3, 2.0))])
    assert log.time.tolist() == near([0, 1, 10, 100])
    assert column(log.control, "target") == near([0, 0.01, 0.1, 1])


def test_deformation_gradients():
    control = History.from_segments(
        [Segment(1.0, 1, deformation_gradient={"xx": 1.2}), Segment(1.0, 1, deformation_gradient={"xy": 0.3})]
    ).control
    assert control.labels == ("xx", "xy", "xz", "yx", "yy", "yz", "zx", "zy", "zz")
    assert control.target[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0]  # xx starts from 1, free stresses from 0
    assert control.target[1].tolist() == [1.2, 0, 0, 0, 0, 0, 0, 0, 0]
    assert control.strain_weight[1].tolist() == [
        1,
        0,
        0,
        1,
        0,
        0,
        1,
        1,
        0,
    ]  # no rotation: yx, zx, zy are held
    assert control.strain_weight[2].tolist() == [1, 1, 0, 1, 0, 0, 1, 1, 0]  # simple shear
    assert control.carry[2].tolist() == [0] * 9
    lower = History.from_segments([Segment(1.0, 1, deformation_gradient={"yx": 0.3})]).control
    assert lower.strain_weight[1].tolist() == [0, 1, 0, 1, 0, 0, 1, 1, 0]
    with pytest.raises(ValueError, match="xy and yx are one and the same"):
        History.from_segments([Segment(1.0, deformation_gradient={"xx": 1.1}, stress={"xy": 1.0, "yx": 1.0})])


def test_conditions_that_end_a_segment_early():
    history = History.from_segments(
        [
            Segment(10.0, 5, strain={"xx": 0.1}, until="stress.xx > 300", name="load"),
            Segment(1.0, 2, strain={"xx": 0.0}),
            Segment(1.0, 1, strain={"xx": HOLD}, until="time > 3"),
            Segment(1.0, 2, strain={"xx": 0.02}),
        ]
    )
    first, second, *_ = history.segments
    assert (first.first, first.last, first.name, first.until) == (1, 5, "load", "stress.xx > 300")
    assert (second.first, second.last, second.until) == (6, 7, None)
    carry = column(history.control, "carry")
    assert carry[6:8] == [0.5, 0]  # how far it came is known only in the run
    assert carry[8:] == [0, 0, 0]  # what stands still is known even if it ends early
    with pytest.raises(ValueError, match="'T' moves in a segment that may end early"):
        History.from_segments(
            [Segment(1.0, 1, forces={"T": 2.0}, until="x > 1"), Segment(1.0, 1)], start={"T": 1.0}
        )


def test_forces_keep_their_type():
    one = Vec(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    history = History.from_segments([Segment(1.0, 2, forces={"v": one})], start={"v": Vec(torch.zeros(3))})
    assert isinstance(history.prescribed["v"], Vec)
    assert history.prescribed["v"].data[1].tolist() == [0.5, 1.0, 1.5]
    assert history.control is None


def test_cycles_are_numbered():
    history = History.from_segments([Segment(1.0, 2, strain={"xx": 0.1}, cycle=c) for c in (1, 2)])
    assert history.cycle.tolist() == [1, 1, 1, 2, 2]
    assert History.from_segments([Segment(1.0, 2)]).cycle is None


def test_starts_and_gradients():
    start = History.from_segments([Segment(1.0, 2, strain={"xx": 0.03})], start={"strain.xx": 0.01})
    assert column(start.control, "target") == near([0.01, 0.02, 0.03])
    amplitude = torch.tensor(0.01, dtype=torch.float64, requires_grad=True)
    control = History.from_segments([Segment(1.0, 2, strain={"xx": amplitude})]).control
    (slope,) = torch.autograd.grad(control.target.sum(), amplitude)
    assert slope.item() == 1.5


def test_conversion_keeps_everything():
    history = History.from_segments([Segment(1.0, 2, strain={"xx": 0.1}, cycle=1, name="a")])
    single = history.to(torch.float32)
    assert single.control.target.dtype == torch.float32
    assert single.control.anchor.dtype == torch.int64
    assert single.segments == history.segments
    assert single.cycle.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Segment(1.0, strain={"yx": 1.0}), "strain has no component 'yx'; did you mean 'xy'"),
        (lambda: Segment(1.0, strain={"xx": 1.0}, stress={"xx": 1.0}), "xx has both strain and stress"),
        (lambda: Segment(1.0, 0), "rows=0; give a whole number"),
        (lambda: Segment(strain={"xx": 1.0}), "needs a duration or a rate"),
        (lambda: Segment(1.0, rate={"xx": 1.0}), "needs a duration or a rate"),
        (lambda: Segment(-1.0), "the duration of a segment is -1; it must be positive"),
        (lambda: Segment(float("nan")), "the duration of a segment is not finite"),
        (lambda: Segment(1.0, 2, spacing=[0.5, 0.4]), "spacing goes from 0.5 to 0.4"),
        (lambda: Segment(1.0, 3, spacing=[0.5, 1.0]), r"spacing has shape \(2,\) in a segment of 3 rows"),
        (
            lambda: Segment(1.0, strain={"xx": 1}, deformation_gradient={"xx": 1}),
            "strain and deformation_gradient",
        ),
        (lambda: Segment(1.0, strain={"xx": 1}, rate={"xx": 1, "yy": 1}), "needs a duration or a rate"),
        (lambda: Segment(strain={"xx": 1}, rate={"xx": 1, "yy": 1}), "rates of xx, yy"),
        (lambda: logarithmic(3, -1.0), "decades=-1.0 is not positive"),
        (lambda: History.from_segments([Segment(1.0, stress={"yx": 1.0})]), "stress has no component 'yx'"),
        (
            lambda: History.from_segments([Segment(1.0, forces={"T": 1.0})]),
            r"'T' has no value to start from; give start",
        ),
        (lambda: History.from_segments([Segment(1.0)], start={"strian.xx": 1}), "did you mean 'strain'"),
        (lambda: History.from_segments([Segment(rate={"xx": 1.0})]), "says not where it goes"),
        (lambda: History.from_segments([Segment(rate={"xx": 1.0}, strain={"xx": 0})]), "does not move"),
        (lambda: History.from_segments([Segment(rate={"x": 1.0})]), "rate of 'x'; did you mean 'x[xyz]'"),
        (
            lambda: History.from_segments(
                [Segment(1.0, stress={"xx": 1.0}), Segment(strain={"xx": 1.0}, rate={"xx": 1.0})]
            ),
            "known only in the run; give a duration",
        ),
        (
            lambda: History.from_segments([Segment(1.0, 2, strain={"xx": Along([1.0])})]),
            r"strain xx follows a course of shape \(1,\) in a segment of 2 rows",
        ),
        (
            lambda: History.from_segments([Segment(1.0, follow_up={"xx": -2.0})]),
            "stiffness -2; it must be positive",
        ),
    ],
)
def test_mistakes_are_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_kinds_are_told():
    with pytest.raises(TypeError, match="strain of a segment is a float; give a dict"):
        Segment(1.0, strain=0.1)
    with pytest.raises(TypeError, match="no segments; give a list of Segment"):
        History.from_segments([])
    with pytest.raises(TypeError, match="strain xx is '1%'; give a number"):
        History.from_segments([Segment(1.0, strain={"xx": "1%"})])
