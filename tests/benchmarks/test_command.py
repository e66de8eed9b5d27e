"""The command line: a small run without a peer, and its errors."""

import pytest

from benchmarks import rows
from benchmarks.__main__ import main
from benchmarks.suite import Suite

SMALL = ["--points", "1,2", "--steps", "3", "--seconds", "0.01", "--no-builds"]


def test_a_small_run(tmp_path, capsys):
    file = tmp_path / "a.csv"
    options = ["--engines", "eager", "--gradient-points", "2", "--no-limits", "--out", str(file)]
    assert main(["run", "--scenarios", "elasticity,radial_return", *SMALL, *options]) == 0
    found = rows.read(file)
    assert [(r["scenario"], r["measure"], r["points"]) for r in found] == [
        ("elasticity", "run", "1"),
        ("elasticity", "run", "2"),
        ("elasticity", "gradient", "2"),
        ("radial_return", "run", "1"),
        ("radial_return", "run", "2"),
        ("radial_return", "gradient", "2"),
    ]
    assert all(float(r["run_s"]) > 0 and r["note"] == "" for r in found)
    assert all(float(r["gradient_ratio"]) > 0 for r in found if r["measure"] == "gradient")
    printed = capsys.readouterr()
    assert "| radial_return | 2 |" in printed.out and "radial_return" in printed.err


def test_runs_that_would_take_too_long_or_too_much_are_rows_with_the_reason(tmp_path):
    file = tmp_path / "a.csv"
    options = ["--engines", "eager", "--gradient-points", "0", "--no-limits", "--out", str(file)]
    assert main(["run", "--scenarios", "elasticity", *SMALL, *options, "--longest", "0"]) == 0
    assert main(["run", "--scenarios", "elasticity", *SMALL, *options, "--memory", "0"]) == 0
    notes = [r["note"] for r in rows.read(file)]
    assert notes[:2] == ["", "left out: a run would take about 0 s"]
    assert notes[2:] == ["left out: the results would take 0.0 GB"] * 2


def test_an_interrupted_run_keeps_its_rows(tmp_path, monkeypatch, capsys):
    file, cases = tmp_path / "a.csv", []
    run = Suite._case

    def second_is_interrupted(self, name, points, threads):
        cases.append(points)
        if len(cases) == 2:
            raise KeyboardInterrupt
        run(self, name, points, threads)

    monkeypatch.setattr(Suite, "_case", second_is_interrupted)
    options = ["--engines", "eager", "--no-limits", "--out", str(file)]
    assert main(["run", "--scenarios", "elasticity", *SMALL, *options]) == 130
    assert len(rows.read(file)) == 1
    assert "Interrupted; 1 rows were measured" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--scenarios", "chaboche2"], "no scenario 'chaboche2'; did you mean 'chaboche_2'?"),
        (["run", "--scenarios", "gtn", "--peer", "/no/python"], "--peer /no/python does not run: "),
        (["report", "/no/such.csv"], "/no/such.csv: No such file or directory; give a file"),
    ],
)
def test_errors_are_one_line(arguments, said, capsys, tmp_path):
    extra = ["--peer-cache", str(tmp_path)] if arguments[0] == "run" else []
    assert main([*arguments, *extra]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"python -m benchmarks: {said}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engines", "nativ"], "no engine 'nativ'; did you mean 'native'?"),
        (["--points", "1,many"], "'many' is not a number of 1 or more"),
        (["--threads", "0"], "'0' is not a number of 1 or more"),
    ],
)
def test_arguments_are_checked(arguments, said, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", *arguments])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err
