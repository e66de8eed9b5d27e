import torch

from neml2.drivers import History, TransientDriver
from neml2.drivers.pictures.summary import variables
from tests.drivers.materials import snap, strain, strainer, times
from tests.drivers.trajectories import made, scalar


def test_summary_fits_a_screen_and_has_the_ranges():
    E = strain(5, 2)
    E[..., 3] = 2**0.5 * 7.0  # a physical shear of 7, the largest component
    trajectory = TransientDriver(strainer()).run(History(times(5), {"E": E}, constant={"T": 2.0}))
    text = trajectory.summary()
    lines = text.splitlines()
    assert lines[0] == "5 steps, batch (2,) (2 points), t from 0 to 1"
    assert "nothing had to be solved" in lines[1]
    row = next(line for line in lines if line.startswith("E (prescribed)"))
    assert row.split()[2] == "SR2"
    assert row.split()[4] == "7"
    assert row.split()[-1] == "strain"
    assert max(map(len, lines)) <= 100
    assert len(lines) < 40


def test_failures_are_listed():
    load = 0.05 * torch.arange(4, dtype=torch.float64)[:, None] * torch.ones(10, dtype=torch.float64)
    bad = torch.zeros(4, 10, dtype=torch.float64)
    bad[2, :7] = 4.0
    trajectory = TransientDriver(snap(), on_failure="freeze").run({"t": times(4), "load": load, "bad": bad})
    text = trajectory.summary()
    assert "7 of 10 points failed and were frozen:" in text
    assert "  point 0, step 2: " in text
    assert "  ... and 2 more" in text
    assert "Newton iterations per step: " in text
    assert "7 points failed" in repr(trajectory)


def test_ranges_are_those_of_the_finite_numbers():
    rows = variables(made([0.0, 1.0, 2.0], x=scalar([torch.nan, -2.0, 3.0]), y=scalar([torch.nan] * 3)))
    assert [row[2:4] for row in rows] == [("min", "max"), ("-2", "3"), ("nan", "nan")]
