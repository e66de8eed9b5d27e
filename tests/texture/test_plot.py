"""What is drawn is what was computed, on axes that end where the hemisphere does."""

from __future__ import annotations

import math

import matplotlib
import pytest
import torch
from matplotlib.figure import Figure

from neml2 import texture
from neml2.texture import KDEODF, DeLaValleePoussinKernel, IPFReduction
from tests.texture.test_odf import Uniform, rotations


def polar():
    return Figure(figsize=(3, 3)).add_subplot(projection="polar")


@pytest.fixture
def pyplot():
    backend = matplotlib.get_backend()
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")
    matplotlib.use(backend)


@pytest.mark.parametrize(("projection", "limit"), [("stereographic", 1.0), ("lambert", math.sqrt(2))])
def test_points(projection, limit):
    axes = polar()
    texture.pretty_plot_pole_figure_points(
        rotations(8), [1, 0, 0], projection, "432", "2", point_size=3.0, axes=axes
    )
    expected = texture.pole_figure_points(rotations(8), [1, 0, 0], projection, "432", "2")
    (drawn,) = axes.collections
    angle, radius = torch.as_tensor(drawn.get_offsets().data).unbind(-1)
    torch.testing.assert_close(
        torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], -1), expected
    )
    assert drawn.get_sizes().tolist() == [3.0]
    assert axes.get_rmax() == pytest.approx(limit)
    assert [t.get_text() for t in axes.get_xticklabels()] == ["x", "y"]


def test_density():
    axes = polar()
    odf = KDEODF(rotations(4), DeLaValleePoussinKernel(0.5))
    texture.pretty_plot_pole_figure_odf(odf, [1, 1, 1], axes=axes, nradial=6, ntheta=8, nquad=None)
    bar = axes.figure.axes[-1]
    assert bar.get_ylabel() == "MRD"
    values, _ = texture.pole_figure_odf(odf, [1, 1, 1], nradial=6, ntheta=8, nquad=None)
    low, high = bar.get_ylim()
    assert low <= float(values.min()) and float(values.max()) <= high


def test_limits_make_pictures_comparable():
    bars = []
    for n in (2, 9):
        axes = polar()
        odf = KDEODF(rotations(n), DeLaValleePoussinKernel(0.5))
        texture.pretty_plot_pole_figure_odf(
            odf, [1, 1, 1], axes=axes, limits=(0.0, 3.0), nradial=4, ntheta=6, nquad=None
        )
        bars.append(axes.figure.axes[-1].get_ylim())
    assert bars[0] == bars[1]


def test_a_uniform_density_can_be_drawn(tmp_path):
    axes = polar()
    texture.pretty_plot_pole_figure_odf(
        Uniform(rotations(1)), [1, 0, 0], axes=axes, nradial=3, ntheta=6, nquad=2
    )
    axes.figure.savefig(tmp_path / "uniform.png")
    assert (tmp_path / "uniform.png").stat().st_size > 0


def test_inverse_pole_figure():
    axes = Figure().add_subplot()
    texture.pretty_plot_inverse_pole_figure(rotations(30), [0, 0, 1], "lambert", nline=20, axes=axes)
    (drawn,) = axes.collections
    expected = texture.inverse_pole_figure_points(rotations(30), [0, 0, 1], "lambert", "432")
    torch.testing.assert_close(torch.as_tensor(drawn.get_offsets().data), expected)
    (outline,) = axes.lines
    assert len(outline.get_xdata()) == 60
    project = texture.LambertProjection()
    corners = project(IPFReduction().v)
    torch.testing.assert_close(torch.as_tensor(outline.get_xydata())[::20], corners)
    assert [t.get_text() for t in axes.texts] == ["100", "110", "111"]


def test_pyplot_is_used_without_axes(pyplot):
    texture.pretty_plot_pole_figure_points(rotations(3), [1, 0, 0])
    texture.pretty_plot_pole_figure_odf(
        KDEODF(rotations(3), DeLaValleePoussinKernel(0.5)), [1, 0, 0], nradial=3, ntheta=6, nquad=None
    )
    pyplot.figure()
    texture.pretty_plot_inverse_pole_figure(rotations(3), [0, 0, 1])
    assert len(pyplot.get_fignums()) == 2
