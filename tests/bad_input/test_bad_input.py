"""Every bad input gets one line that names place, fault and nearest spelling; nothing is run or written."""

import os
import subprocess
import sys
import time

import pytest

from neml2.cli import inspect, run
from tests.bad_input.table import GOOD, TABLE


def write(folder, text=GOOD, files=None):
    for name, content in {**(files or {}), "input.i": text}.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return sorted(os.listdir(folder))


def check(tool, words, capsys, where, says, near=""):
    """Run ``tool`` on a bad input: exit code 2, nothing on stdout, one line ``where ... says ... near``."""
    start = time.perf_counter()
    assert tool.main([str(w) for w in words]) == 2
    assert time.perf_counter() - start < 5  # it takes some 10 ms; the machine may be busy
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and len(err) < 1000, err
    assert "Traceback" not in err
    assert where in err and says in err, err
    if near:
        assert f"did you mean '{near}'?" in err, err


def test_the_good_input_is_good(tmp_path, capsys):
    write(tmp_path)
    assert inspect.main([str(tmp_path / "input.i")]) == 0
    assert "no errors" in capsys.readouterr().out
    assert run.main([str(tmp_path / "input.i"), "--quiet"]) == 0


def test_enough_of_them():
    assert len(TABLE) == len({b.name for b in TABLE}) >= 100


@pytest.mark.parametrize("bad", TABLE, ids=lambda b: b.name)
def test_bad_input(bad, tmp_path, capsys):
    before = write(tmp_path, bad.text, bad.files)
    where = f"{tmp_path / bad.file}:{bad.line}:"
    check(inspect, [tmp_path / "input.i"], capsys, where, bad.says, bad.near)
    check(run, [tmp_path / "input.i", "-o", tmp_path / "out.h5"], capsys, where, bad.says, bad.near)
    assert sorted(os.listdir(tmp_path)) == before


def test_several_errors_in_one_pass(tmp_path, capsys):
    text = GOOD.replace("exponent = 5", "exponent = fast").replace("'64000.0 0.31'", "'64000.0 0.7'")
    write(tmp_path, text.replace("abs_tol = 1e-9", "abs_tl = 1e-9"))
    assert inspect.main([str(tmp_path / "input.i")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [w in line for w, line in zip(("0.7", "'fast'", "'abs_tol'"), lines, strict=True)] == [True] * 3


def test_at_most_twenty_errors(tmp_path, capsys):
    blocks = "".join(f"  [m{i}]\n    type = YieldFunctoin\n  []\n" for i in range(50))
    write(tmp_path, f"[Models]\n{blocks}[]\n")
    assert inspect.main([str(tmp_path / "input.i")]) == 2
    assert len(capsys.readouterr().err.splitlines()) <= 21


# -------------------------------------------------------------------- files

FILES = {
    "empty": (b"", "nothing in it"),
    "comments": (b"# nothing\n", "nothing in it"),
    "binary": (bytes(range(256)), "input.i"),
    "not_utf8": ("[Models]\n  [gr\xf6\xdfe]\n".encode("latin-1"), "UTF-8"),
    "too_large": (b"#" * (17 * 2**20), "16 MB"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "input.i"),
}


@pytest.mark.parametrize("name", FILES)
def test_bad_file(name, tmp_path, capsys):
    content, says = FILES[name]
    write(tmp_path, files={"input.i": content}, text=content)
    check(inspect, [tmp_path / "input.i"], capsys, "input.i", says)


def test_missing_file(tmp_path, capsys):
    write(tmp_path)
    check(inspect, [tmp_path / "imput.i"], capsys, "imput.i", "no such file", "input.i")


def test_folder(tmp_path, capsys):
    check(inspect, [tmp_path], capsys, str(tmp_path), "")


def test_pipe(tmp_path, capsys):
    os.mkfifo(tmp_path / "input.i")
    check(inspect, [tmp_path / "input.i"], capsys, "input.i", "")


def test_byte_order_mark_and_windows_newlines(tmp_path, capsys):
    write(tmp_path, text=b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert inspect.main([str(tmp_path / "input.i")]) == 0


# -------------------------------------------------------------------- command lines

COMMANDS = {
    "driver": (["drivr"], "no [Drivers/drivr]", "driver"),
    "two_drivers": (["driver", "driver"], "one driver at a time", ""),
    "override_without_colon": (["Solvers/newton/max_its=50"], "was given before", ""),
    "override_of_nothing": (["Solvers/newton/maxits:=50"], "no option 'maxits'", "max_its"),
    "override_out_of_range": (["Solvers/newton/max_its:=0"], "outside its range", ""),
    "override_syntax": (["Solvers/newton/max_its:='50"], "", ""),
    "option": (["--plt", "x.png"], "no option '--plt'", "--plot"),
    "way": (["--on-failure", "subsetp"], "no such way", "substep"),
    "ways": (["--on-failure", "raise,freeze"], "cannot both", ""),
    "save_as": (["Drivers/driver/save_as='nowhere/x.h5'"], "[Drivers/driver] save_as: cannot write", ""),
    "save_as_format": (["Drivers/driver/save_as=x.csv"], "cannot tell the format", ""),
    "dtype": (["--dtype", "float16"], "float16", ""),
    "device": (["--device", "gpu"], "--device gpu", ""),
    "output_format": (["-o", "x.csv"], "cannot tell the format", ""),
    "output_folder": (["-o", "nowhere/x.h5"], "no folder", ""),
    "plot_format": (["--plot", "x.docx"], "cannot draw", ""),
    "plot_folder": (["--plot", "nowhere/x.png"], "no folder", ""),
    "extension": (["--load", "mine.py"], "mine.py", ""),
    "extension_with_an_error": (["--load", "broken.py"], "broken.py", ""),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_bad_command(name, tmp_path, capsys, monkeypatch):
    words, says, near = COMMANDS[name]
    monkeypatch.chdir(tmp_path)
    before = write(tmp_path, files={"broken.py": "import neml2\nclass X(neml2.Modle): pass\n"})
    check(run, ["input.i", *words], capsys, "", says, near)
    assert [f for f in sorted(os.listdir(tmp_path)) if f != "__pycache__"] == before


def test_from_the_shell(tmp_path):
    write(tmp_path, GOOD.replace("exponent = 5", "exponnt = 5"))
    code = "import sys; from neml2.cli.run import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "input.i"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()}, capture_output=True
    )
    assert done.returncode == 2 and done.stdout == b""
    assert done.stderr.decode().startswith(
        "input.i:68:5: [Models/flow_rate] has no option 'exponnt'; did you mean"
    )
    assert os.listdir(tmp_path) == ["input.i"]
