from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex

from neml2.cli import picture
from neml2.drivers.pictures import drawing
from neml2.types import Scalar
from tests.drivers.trajectories import made, saw, scalar, uniaxial


def loops(points, **how):
    strain = np.outer(saw(2), 1 + np.arange(points))
    return made(np.arange(17.0), (points,), strain=uniaxial(strain), stress=uniaxial(100 * strain), **how)


def test_a_panel_for_each_point_darkening_with_time():
    figure, seen = picture._loops(loops(2, ended={(1,): 9}), "strain.xx", "stress.xx")
    assert seen == "stress.xx over strain.xx, darker with time"
    assert [axes.get_title() for axes in figure.axes] == ["point 0", "point 1"]
    assert figure.get_supylabel() == "stress$_{\\mathrm{xx}}$ (MPa)"
    first, second = (axes.collections[-1] for axes in figure.axes)
    assert (len(first.get_segments()), len(second.get_segments())) == (16, 8)  # the second has ended
    first.update_scalarmappable()
    shades = [to_hex(c) for c in first.get_edgecolors()]
    assert (shades[0], shades[-1]) == (drawing.INK[0], drawing.INK[-1])
    np.testing.assert_allclose(first.get_segments()[1][1], [1, 100])


def test_every_result_over_time_until_its_end():
    x = np.outer(range(4), [1.0, 2.0])
    figure, seen = picture._courses(made(range(4), (2,), failed={(1,): 2}, x=scalar(x), still=scalar(0 * x)))
    assert seen == "x, still over time"
    assert [axes.get_title() for axes in figure.axes] == ["x", "still"]
    assert [line.get_ydata().tolist() for line in figure.axes[0].lines] == [[0, 1, 2, 3], [0, 2]]
    assert figure.get_supxlabel() == "time (h)"


def test_sites_of_a_point():
    sited = made([0.0, 1.0], (2,), x=Scalar(scalar(np.arange(12.0).reshape(2, 2, 3)).data, 1))
    figure, _ = picture._courses(sited)
    assert [line.get_ydata()[0] for line in figure.axes[0].lines] == list(range(6))


def test_kinds_of_files(tmp_path):
    for kind in ("png", "pdf", "svg"):
        picture.draw(loops(1), tmp_path / f"out.{kind}")
        picture.check_kind(f"out.{kind}")
        assert Path(tmp_path / f"out.{kind}").stat().st_size > 3000
    with pytest.raises(ValueError, match="cannot draw into 'out.xyz'; end its name in .png, .pdf or .svg"):
        picture.check_kind("out.xyz")
