import os
import subprocess
import sys

import pytest

from neml2.drivers.files.places import locked, partial, replacing, scratch


def test_names():
    assert partial("a/run.h5").as_posix() == "a/run.partial.h5"
    assert partial("a/run.1.nc").as_posix() == "a/run.1.partial.nc"


def test_a_file_is_replaced_at_the_very_end(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["x.txt"]


@pytest.mark.skipif(os.name != "posix", reason="processes are asked as POSIX does it")
def test_what_a_killed_process_has_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "run [1].h5"
    code = "import sys; from neml2.drivers.files.places import scratch; scratch(sys.argv[1]).touch()"
    code = code.replace("scratch(sys.argv[1])", "scratch(__import__('pathlib').Path(sys.argv[1]))")
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    (left,) = tmp_path.iterdir()
    mine = scratch(path)
    assert not left.exists() and mine != left
    mine.touch()
    start = mine.name.removesuffix(f"{os.getpid()}.tmp")
    others = {
        f"{start}{os.getppid()}.tmp",
        f"{start}x.tmp",
        ".run [1].h5.elsewhere.999999999.tmp",
        "run [1].h5",
    }
    others.add(mine.name)
    for name in others:
        (tmp_path / name).touch()
    assert scratch(path) == mine
    assert {
        p.name for p in tmp_path.iterdir()
    } == others  # of the living, of other machines, and no such file


@pytest.mark.skipif(sys.platform != "linux", reason="the lock is that of Linux")
def test_a_lock_is_one_of_an_open_file(tmp_path):
    path = tmp_path / "x"
    path.write_text("text")
    with open(path, "rb+") as mine, open(path, "rb+") as other:
        assert locked(mine)
        assert not locked(other)
        path.read_text()  # opening and closing the file elsewhere does not drop the lock
        assert not locked(other)
        script = (
            "import sys; from neml2.drivers.files.places import *; print(locked(open(sys.argv[1], 'rb+')))"
        )
        done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
        assert done.stdout.strip() == "False", done.stderr
    with open(path, "rb+") as other:
        assert locked(other)
