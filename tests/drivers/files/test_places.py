import os
import subprocess
import sys

import pytest

from neml2.drivers.files.places import locked, partial, replacing


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
