import errno
from pathlib import Path

import numpy as np
import pytest

from neml2.cli import plot
from neml2.drivers.pictures import drawing
from tests.drivers.trajectories import made, saw, scalar, uniaxial


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, stress in (("run", 100.0), ("other", 200.0)):
        strain = np.outer(saw(3), [1.0, 2.0, 3.0]) * 1e-2
        trajectory = made(
            np.arange(25.0), (3,), strain=uniaxial(strain), stress=uniaxial(stress * strain), x=scalar(strain)
        )
        trajectory.to_hdf5(f"{name}.h5")
    made([0.0, 1.0, 2.0], x=scalar([0.0, 1.0, 4.0])).to_hdf5("scalar.h5")
    return tmp_path


@pytest.fixture
def drawn(monkeypatch):
    """The axes of the last picture."""
    seen = []

    def new_axes(shown, _new=drawing.new_axes, **options):
        assert not shown  # no window
        figure, axes = _new(shown, **options)
        seen.extend(axes)
        return figure, axes

    monkeypatch.setattr(drawing, "new_axes", new_axes)
    return seen


def test_a_quantity_over_another(folder, drawn, capsys):
    assert plot.main(["run.h5", "-x", "strain.xx", "-y", "stress.xx", "-o", "out.pdf"]) == 0
    assert capsys.readouterr().out == "picture in out.pdf: stress.xx over strain.xx\n"
    assert Path("out.pdf").read_bytes().startswith(b"%PDF")
    np.testing.assert_allclose(drawn[0].lines[2].get_ydata(), 100 * 3e-2 * saw(3), atol=1e-12)


def test_the_picture_is_beside_the_file_and_chosen_by_itself(folder, capsys):
    assert plot.main(["run.h5"]) == 0
    assert capsys.readouterr().out == "picture in run.png: stress.xx over strain.xx, darker with time\n"
    assert plot.main(["scalar.h5"]) == 0
    assert capsys.readouterr().out == "picture in scalar.png: x over time\n"
    assert Path("run.png").stat().st_size > 10_000 and Path("scalar.png").stat().st_size > 5_000


def test_options_between_files(folder, drawn, capsys):
    assert plot.main(["run.h5", "-y", "rate(x)", "--points", "0,2", "other.h5", "--log", "y"]) == 0
    assert capsys.readouterr().out == "picture in run.png: rate(x) over time of 2 runs\n"
    (axes,) = drawn
    assert len(axes.lines) == 4 and (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["run", "other"]


def test_cycles_and_bands(folder, drawn):
    assert plot.main(["run.h5", "--cycles", "--points", "1"]) == 0
    assert plot.main(["run.h5", "-y", "stress.xx", "--band"]) == 0
    cycles, band = drawn
    assert len(cycles.lines) == 3 and len(band.lines) == 1
    assert cycles.get_xlabel().startswith("strain")


def test_what_can_be_drawn(folder, capsys):
    assert plot.main(["run.h5", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["time", "h", "Time"]
    assert any(line.startswith("stress.xx, .yy, .zz, .yz, .xz, .xy") and "MPa" in line for line in lines)
    assert "von_mises(strain)" in lines[-1]
    assert not Path("run.png").exists()


def test_equal_names_in_two_folders(folder, drawn):
    Path("a").mkdir()
    Path("run.h5").rename("a/run.h5")
    Path("other.h5").rename("run.h5")
    assert plot.main(["a/run.h5", "run.h5", "-y", "x"]) == 0
    assert [t.get_text() for t in drawn[0].get_legend().get_texts()] == ["a/run.h5", "run.h5"]
    assert Path("a/run.png").exists()


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["-y", "stres.xx"], "there is no 'stres.xx' to draw; did you mean 'stress.xx'"),
        (["-y", "stress"], "'stress' is a SR2; say which component, such as 'stress.xx'"),
        (["-x", "x"], "-x needs -y, what to draw over it"),
        (["-o", "out.h5"], "cannot draw into 'out.h5'; end its name in .png, .pdf or .svg"),
        (["-o", "nowhere/out.png"], "there is no folder nowhere"),
        (["--points", "7", "-y", "x"], "there is no point 7; the batch is (3,), so give numbers from 0 to 2"),
        (["--points", "one", "-y", "x"], "--points one: give numbers with commas between them, such as 0,3"),
        (["missing.h5"], "there is no file missing.h5"),
        (["--cycels"], "no option '--cycels'; did you mean '--cycles'"),
        (["--log", "z"], "--log"),
        (["--band", "--cycles"], "not allowed with"),
    ],
)
def test_what_is_wrong_is_one_line(folder, capsys, arguments, told):
    assert plot.main(["run.h5", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and told in err and err.count("\n") == 1
    assert not Path("run.png").exists()


def test_files_without_a_loop_and_files_of_others(folder, capsys):
    assert plot.main(["scalar.h5", "run.h5"]) == 2
    assert "say what with -y" in capsys.readouterr().err
    Path("text.h5").write_text("no HDF5")
    assert plot.main(["text.h5"]) == 2
    assert "text.h5 is not an HDF5 file" in capsys.readouterr().err


def test_an_old_picture_outlives_a_full_disk(folder, capsys, monkeypatch):
    from matplotlib.figure import Figure

    Path("run.png").write_text("old")

    def full(self, path, **kwargs):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    assert plot.main(["run.h5", "-y", "x"]) == 1
    assert capsys.readouterr().err == "cannot write run.png: No space left on device\n"
    assert Path("run.png").read_text() == "old"
