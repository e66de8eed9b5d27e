import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from neml2.drivers.pictures import drawing, plot
from neml2.errors import MissingVariable
from neml2.types import Scalar
from tests.drivers.trajectories import made, saw, scalar, uniaxial

INDEX = "$_{\\mathrm{xx}}$"


@pytest.fixture(autouse=True)
def no_window():
    matplotlib.use("Agg", force=True)
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture
def ax():
    return Figure().subplots()


def tension(points, rows=5, **how):
    """Stress 100, 200, ... times the same strain."""
    strain = np.repeat(np.linspace(0, 0.01, rows)[:, None], points, 1)
    stress = strain * 100 * (1 + np.arange(points))
    return made(np.arange(float(rows)), (points,), strain=uniaxial(strain), stress=uniaxial(stress), **how)


def cyclic(count, **how):
    return made(np.arange(8.0 * count + 1), strain=uniaxial(saw(count)), stress=uniaxial(saw(count)), **how)


def legend_of(axes):
    return [t.get_text() for t in axes.get_legend().get_texts()] if axes.get_legend() else []


def colors_of(axes):
    return [to_hex(line.get_color()) for line in axes.lines]


# -------------------------------------------------------------------- lines


def test_a_picture_has_a_line_for_each_point(tmp_path):
    trajectory = tension(3)
    axes = trajectory.plot("strain.xx", "stress.xx", tmp_path / "loop.png")
    assert (tmp_path / "loop.png").read_bytes().startswith(b"\x89PNG")
    np.testing.assert_array_equal(axes.lines[2].get_ydata(), 300 * np.asarray(axes.lines[2].get_xdata()))
    assert axes.get_xlabel() == f"strain{INDEX}" and axes.get_ylabel() == f"stress{INDEX} (MPa)"
    assert legend_of(axes) == ["point 0", "point 1", "point 2"]
    assert colors_of(axes) == [c.lower() for c in drawing.PALETTE[:3]]
    assert len(trajectory.plot("time", "strain_xx").lines) == 3  # shown by pyplot


def test_chosen_points(ax):
    grid = made([0.0, 1.0], (2, 3), x=scalar(np.arange(12.0).reshape(2, 2, 3)))
    grid.plot("t", "x", ax=ax, points=[5, (0, 1)])
    assert [line.get_ydata()[0] for line in ax.lines] == [5, 1]
    assert legend_of(ax) == ["point 1, 2", "point 0, 1"]
    for wrong in (6, -1, (2, 0), (1,)):
        with pytest.raises(ValueError, match=r"there is no point .*; the batch is \(2, 3\), .* 0 to 5"):
            grid.plot("t", "x", ax=ax, points=[wrong])


def test_every_site_is_a_line(ax):
    sites = made([0.0, 1.0], (2,), x=Scalar(scalar(np.arange(12.0).reshape(2, 2, 3)).data, 1))
    sites.plot("time", "x", ax=ax)
    assert [line.get_ydata()[0] for line in ax.lines] == list(range(6))
    assert legend_of(ax)[4] == "point 1, site 1"
    other = made([0.0], x=Scalar(scalar([[1.0, 2.0]]).data, 1), y=Scalar(scalar([[1.0, 2.0, 3.0]]).data, 1))
    with pytest.raises(ValueError, match="'x' has 2 sites and 'y' 3; draw each over the time"):
        other.plot("x", "y", ax=ax)


def test_a_line_ends_where_its_point_does(ax):
    tension(3, ended={(1,): 3}, failed={(2,): 4}).plot("strain.xx", "stress.xx", ax=ax)
    assert [int(np.isfinite(line.get_ydata()).sum()) for line in ax.lines] == [5, 3, 4, 1]
    cross = ax.lines[3]
    assert cross.get_marker() == "x" and cross.get_label() == "failed"
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == (0.0075, 2.25)


def test_clocks_of_their_own(ax):
    time = np.outer(np.arange(4.0), [1, 10])
    made(time, (2,), x=scalar(time)).plot("time", "x", ax=ax)
    assert [max(line.get_xdata()) for line in ax.lines] == [3, 30]


def test_many_lines_go_from_pale_to_dark(ax):
    tension(12).plot("strain.xx", "stress.xx", ax=ax, band=False)
    assert len(set(colors_of(ax))) == 12
    assert (colors_of(ax)[0], colors_of(ax)[-1]) == (drawing.INK[0], drawing.INK[-1])
    assert [a.get_ylabel() for a in ax.figure.axes[1:]] == ["point"] and not legend_of(ax)


def test_several_runs_in_one_picture(ax):
    for points, label in ((2, "coarse"), (3, "fine")):
        tension(points).plot("strain.xx", "stress.xx", ax=ax, label=label, ls="--")
    assert colors_of(ax) == [c.lower() for c in [drawing.PALETTE[0]] * 2 + [drawing.PALETTE[1]] * 3]
    assert legend_of(ax) == ["coarse", "fine"] and ax.lines[0].get_linestyle() == "--"


def test_labels_and_colors_of_ones_own(ax):
    tension(2).plot("strain.xx", "stress.xx", ax=ax, label=["steel", "copper"])
    assert legend_of(ax) == ["steel", "copper"]
    with pytest.raises(ValueError, match="there are 3 labels for 2 lines; give one for each, or one for all"):
        tension(2).plot("strain.xx", "stress.xx", ax=ax, label=["a", "b", "c"])
    tension(2).plot("strain.xx", "stress.xx", ax=ax, color="#123456")
    assert colors_of(ax)[2:] == ["#123456"] * 2


def test_logarithmic_axes(ax):
    tension(1).plot("time", "stress.xx", ax=ax, logx=True, logy=True)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    with pytest.raises(ValueError, match="'strain.*' is nowhere positive; draw it on a linear axis"):
        made([0.0, 1.0], strain=uniaxial([0, -1])).plot("time", "strain.xx", ax=ax, logy=True)


def test_bad_names():
    with pytest.raises(MissingVariable, match="no 'strain.xk' to draw; did you mean 'strain.x"):
        tension(1).plot("time", "strain.xk")
    with pytest.raises(ValueError, match="'strain' is a SR2; say which component, such as 'strain.xx'"):
        tension(1).plot("time", "strain")


# -------------------------------------------------------------------- bands


def test_a_band_of_many_points(ax):
    tension(101, failed={(7,): 3}).plot("strain.xx", "stress.xx", ax=ax)
    (median,) = ax.lines
    assert median.get_ydata()[1] == pytest.approx(0.0025 * 100 * 51)
    outer = ax.collections[-2].get_paths()[0].vertices
    assert outer[:, 1].max() == pytest.approx(0.01 * 100 * np.quantile(np.delete(np.arange(1, 102), 7), 0.95))
    assert legend_of(ax) == ["90 % of the points", "half of the points", "median"]
    assert ax.get_title() == "1 of 101 points failed"


def test_points_that_have_ended_leave_the_band(ax):
    tension(3, ended={(2,): 4, (1,): 4, (0,): 5}).plot("strain.xx", "stress.xx", ax=ax, band=True)
    assert ax.lines[0].get_ydata()[-1] == pytest.approx(1.0)  # of point 0 alone
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tension(3, ended={(i,): 3 for i in range(3)}).plot("strain.xx", "stress.xx", ax=ax, band=True)
    assert np.isnan(ax.lines[1].get_ydata()[3:]).all()


def test_a_band_over_clocks_of_their_own(ax):
    time = np.outer(np.linspace(0, 1, 50), [1.0, 2.0, 4.0])
    made(time, (3,), x=scalar(time**2)).plot("time", "x", ax=ax, band=True, label="run")
    x, y = ax.lines[0].get_xdata(), ax.lines[0].get_ydata()
    assert (x[0], x[-1]) == (0, 4) and legend_of(ax) == ["run: median"]
    np.testing.assert_allclose(y, x**2, atol=4e-3)  # all points lie on one parabola


def test_no_band_over_loops_that_differ(ax):
    loops = saw(2)[:, None] * np.linspace(1, 2, 60)
    various = made(np.arange(17.0), (60,), strain=uniaxial(loops), stress=uniaxial(loops))
    with pytest.raises(ValueError, match="goes up and down and differs .* no band; draw lines"):
        various.plot("strain.xx", "stress.xx", ax=ax, band=True)
    various.plot("strain.xx", "stress.xx", ax=ax)
    assert len(ax.lines) == 50 and ax.get_title() == "50 of 60 points"
    assert max(ax.lines[-1].get_xdata()) == 2


# -------------------------------------------------------------------- cycles


def test_few_cycles_have_a_legend(ax):
    cyclic(3).plot("strain.xx", "stress.xx", ax=ax, cycles=True)
    assert legend_of(ax) == ["cycle 1", "cycle 2", "cycle 3"]
    assert [len(line.get_xdata()) for line in ax.lines] == [11, 9, 7]
    for before, after in zip(ax.lines, ax.lines[1:]):  # no gap between cycles
        assert before.get_xdata()[-1] == after.get_xdata()[0]
    assert colors_of(ax)[0] == drawing.INK[0] and colors_of(ax)[-1] == drawing.INK[-1]


def test_many_cycles_have_a_bar(ax):
    cyclic(20).plot("strain.xx", "stress.xx", ax=ax, cycles=np.repeat(np.arange(1, 21), 8).tolist() + [20])
    assert len(ax.lines) == 20 and not legend_of(ax)
    assert [a.get_ylabel() for a in ax.figure.axes[1:]] == ["cycle"]


def test_of_very_many_cycles_the_telling_ones(ax):
    plot.hysteresis(cyclic(120), ax=ax)
    assert ax.get_title() == "8 of 120 cycles"  # 1, 2, 5, 10, 20, 50, 100 and the last
    assert ax.figure.axes[1].get_yscale() == "log"
    assert ax.get_xlabel() == f"strain{INDEX}"


def test_hysteresis_needs_strain_and_stress():
    with pytest.raises(ValueError, match="which are strain and stress"):
        plot.hysteresis(made([0.0, 1.0], x=scalar([0, 1])))


# -------------------------------------------------------------------- pictures of a test


def test_a_creep_curve_and_its_rate(tmp_path):
    time = np.concatenate([[0], np.geomspace(0.1, 10, 20)])
    strain = np.outer(time, [1e-3, 2e-3])
    crept = made(time, (2,), strain=uniaxial(strain))
    above, below = plot.creep_curve(crept, "strain.xx", tmp_path / "creep.pdf", label=["low", "high"])
    assert (tmp_path / "creep.pdf").stat().st_size > 1000
    assert legend_of(above) == ["low", "high"] and not legend_of(below)
    np.testing.assert_allclose(below.lines[1].get_ydata()[1:], 2e-3)
    assert (below.get_xscale(), below.get_yscale()) == ("log", "log")
    assert below.get_ylabel() == f"strain{INDEX} rate (1/h)"


def test_relaxation_starts_at_the_peak(ax):
    time = np.array([0.0, 1.0, 2.0, 4.0])
    relaxing = made(time, (2,), stress=uniaxial([[0, 0], [-100, 50], [-80, 100], [-70, 70]]))
    plot.relaxation(relaxing, "stress.xx", ax=ax)
    (first, second) = ax.lines
    np.testing.assert_array_equal(first.get_xdata(), [np.nan, np.nan, 1, 3])
    np.testing.assert_array_equal(second.get_xdata(), [np.nan, np.nan, np.nan, 2])
    assert ax.get_xlabel() == "time since the peak (h)" and ax.get_xscale() == "log"
    held = plot.relaxation(relaxing, "stress.xx", since=1, points=[1], ax=Figure().subplots())
    np.testing.assert_array_equal(held.lines[0].get_xdata()[2:], [1, 3])


def test_the_range_of_each_cycle(ax):
    growing = np.concatenate([[0], np.repeat([1.0, 2.0, 3.0], 8)]) * saw(3)
    ranged = made(np.arange(25.0), stress=uniaxial(growing))
    plot.stress_range_per_cycle(ranged, "stress.xx", cycles=[1] * 9 + [2] * 8 + [3] * 8, ax=ax)
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(line.get_ydata(), [2, 4, 6])
    assert ax.get_xlabel() == "cycle" and ax.get_ylabel() == f"range of stress{INDEX} (MPa)"
