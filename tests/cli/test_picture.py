"""Pictures of what runs give: loops, courses over time, kinds of files."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex

from neml2 import Trajectory
from neml2.cli import picture, run
from neml2.drivers.pictures import drawing
from neml2.types import Scalar
from tests.cli.inputs import OSCILLATOR, variant
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


# -------------------------------------------------------------------- of runs


def trajectory_of(path, folder):
    assert run.main([str(path), "-o", "out.h5", "--quiet"]) == 0
    return Trajectory.from_hdf5("out.h5")


def test_loops_of_many_points(folder):
    many = (
        "* torch.tensor([1.0, -0.5, -0.5, 0.0, 0.0, 0.0])",
        ".unsqueeze(1) * torch.linspace(0.1, 1, 20).reshape(20, 1) * torch.tensor([0, 0, 0, 0, 0, 1.0])",
    )
    trajectory = trajectory_of(variant(folder, many), folder)
    assert picture.loop(trajectory) == ("strain.xy", "stress.xy")
    seen = picture.draw(trajectory, "out.png")
    assert seen == "stress.xy over strain.xy, 9 of 20 points, darker with time"


def test_results_over_time(folder):
    (folder / "input.i").write_text(OSCILLATOR)
    trajectory = trajectory_of("input.i", folder)
    assert picture.loop(trajectory) is None
    assert picture.draw(trajectory, "out.svg") == "x over time, 9 of 12 points"
    assert os.path.getsize("out.svg") > 10_000
    figure, _ = picture._courses(trajectory)
    assert to_hex(figure.axes[0].lines[-1].get_color()) == drawing.INK[-1]  # one line is not a pale one


def test_an_old_picture_outlives_a_full_disk(folder, monkeypatch):
    from matplotlib.figure import Figure

    (folder / "input.i").write_text(OSCILLATOR)
    trajectory = trajectory_of("input.i", folder)
    picture.draw(trajectory, "out.png")
    old = Path("out.png").read_bytes()

    def full(self, path, **kwargs):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="No space left"):
        picture.draw(trajectory, "out.png")
    assert Path("out.png").read_bytes() == old
    assert sorted(p.name for p in folder.iterdir()) == ["input.i", "out.h5", "out.png"]


def test_clocks_of_different_speed(folder):
    fast_and_slow = OSCILLATOR.replace(
        "Scalar(torch.linspace(0, 10, 51))",
        "Scalar(torch.linspace(0, 10, 51).unsqueeze(-1) * torch.logspace(0, 3, 12))",
    )
    (folder / "input.i").write_text(fast_and_slow)
    figure, _ = picture._courses(trajectory_of("input.i", folder))
    assert figure.get_supxlabel() == "time, from its start to its end"
    assert max(max(line.get_xdata()) for line in figure.axes[0].lines) == 1
