from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import torch

from neml2.drivers import History
from neml2.drivers import laboratory as lab
from neml2.drivers.histories.segments import HOLD, Segment
from neml2.drivers.pictures.history_looks import series
from neml2.types import SR2

TEST = [
    Segment(10.0, 5, strain={"xx": 0.01}, name="load", until="stress.xx > 300"),
    Segment(100.0, 4, stress={"xx": HOLD}),
    Segment(5.0, 3, stress={"xx": 0.0, "yy": 2.0}),
]


def test_the_table():
    text = str(History.from_segments(TEST, constant={"T": 300.0}))
    assert text.splitlines() == [
        "History: 13 rows, time 0..115",
        "  rows   duration  name  control",
        "  1-5    10        load  strain.xx to 0.01, until stress.xx > 300",
        "  6-9    100             stress.xx held",
        "  10-12  5               stress.xx to 0, stress.yy to 2",
        "  T: 300 (constant)",
    ]


def test_long_tables_are_cut():
    text = str(lab.cyclic([0.01, 0.02], 20, rate=0.01))
    assert "48 more segments" in text
    assert len(text.splitlines()) == 2 + 12 + 1
    assert text.splitlines()[0] == "History: 801 rows, time 0..160, batch (2,)"
    assert "  1-10     1..2      up    strain.xx to 0.01..0.02" in text.splitlines()


def test_courses_show_their_range():
    text = str(lab.cyclic(0.01, 1, period=4.0, wave="sine"))
    assert text.splitlines()[-1] == "  1-40  4         cycle  strain.xx within -0.01..0.01"


def test_histories_without_control():
    history = History([0.0, 1.0], {"E": SR2(torch.ones(2, 6)), "T": [1, 2]}, initial={"S": 1.0})
    assert str(history).splitlines()[:2] == ["History: 2 rows, time 0..1", "  E.xx: 1"]
    assert str(history).splitlines()[-2:] == ["  T: 1..2", "  initial values of S"]


def test_series():
    shown = {s.name: s.values[:, 0] for s in series(History.from_segments(TEST))}
    assert list(shown) == ["strain.xx", "stress.xx", "stress.yy"]  # stresses that are zero are left out
    nan = np.nan
    np.testing.assert_allclose(shown["strain.xx"], [0, 0.002, 0.004, 0.006, 0.008, 0.01, *[nan] * 7])
    np.testing.assert_allclose(shown["stress.xx"], [*[nan] * 12, 0])  # the rest is known only in the run
    np.testing.assert_allclose(shown["stress.yy"][-2:], [4 / 3, 2])


def test_html_is_escaped():
    history = History([0.0, 1.0], {"<b>x": [1, 2]}, constant={"&": 1.0})
    text = history._repr_html_()
    assert "<b>x" not in text
    assert "&lt;b&gt;x" in text
    assert text.count("<svg") == 1
    ElementTree.fromstring(f"<div>{text}</div>")


def test_the_figure(tmp_path):
    history = lab.cyclic([0.01, 0.02], 2, period=4.0, rows=4)
    figure = history.plot(tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000
    (axes,) = figure.axes
    assert axes.get_ylabel() == "strain.xx"
    assert [line.get_ydata().max() for line in axes.lines] == [0.01, 0.02]
    matplotlib.use("agg")
    assert len(History.from_segments(TEST).plot().axes) == 3
    with pytest.raises(ValueError, match="nothing to draw"):
        History([0.0, 1.0]).plot()
