"""Tables and plots from a stored CSV."""

import csv

import pytest

from benchmarks import rows
from benchmarks.__main__ import main
from benchmarks.report import markdown


def stored(file, **changes):
    table = rows.Table(file)
    for points in (1, 1000):
        for engine, seconds in (("native", 0.1), ("peer-compiled", 2.5), ("limit", 0.02)):
            table.add(
                engine=engine,
                scenario="perzyna",
                measure="run",
                threads=1,
                points=points,
                steps=100,
                run_s=seconds,
                us_per_point_and_step=seconds / points * 1e4,
                off=changes.get(engine, 0.0),
            )
    rest = {"scenario": "perzyna", "threads": 1}
    table.add(engine="eager", measure="gradient", gradient_ratio=2.35, **rest)
    table.add(engine="native", measure="build", cold_build_s=2.0, warm_build_s=0.5, **rest)
    return file


def test_ratios(tmp_path, capsys):
    assert main(["report", str(stored(tmp_path / "a.csv"))]) == 0
    printed = capsys.readouterr().out
    columns = ["scenario", "points", "native", "peer-compiled", "limit"]
    assert f"| {' | '.join(columns)} | peer-compiled / native | native / limit |" in printed
    assert "| perzyna | 1,000 | 1 | 25 | 0.2 | 25 | 5 |" in printed
    assert "| perzyna | 2.35 |" in printed
    assert "| perzyna | 2 / 0.5 |" in printed


def test_no_ratio_where_values_differ(tmp_path):
    text = markdown(rows.read(stored(tmp_path / "a.csv", limit=1e-3)))
    assert "| perzyna | 1,000 | 1 | 25 | 0.2 | 25 | values differ |" in text


def test_a_later_row_replaces_an_earlier_one(tmp_path):
    file = stored(tmp_path / "a.csv")
    rows.Table(file).add(
        engine="native", scenario="perzyna", measure="run", threads=1, points=1, steps=100, run_s=0.5,
        us_per_point_and_step=5e3, off=0.0,
    )  # fmt: skip
    assert "| perzyna | 1 | 5,000 | 25,000 | 200 | 5 | 25 |" in markdown(rows.read(file))


def test_plot(tmp_path):
    picture = tmp_path / "a.png"
    assert main(["report", str(stored(tmp_path / "a.csv")), "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 10_000


def test_rows_are_appended_as_they_come(tmp_path):
    file = tmp_path / "results" / "a.csv"
    table = rows.Table(file)
    table.add(engine="native", scenario="gtn", run_s=0.25)
    assert len(rows.read(file)) == 1
    rows.Table(file).add(engine="eager", scenario="gtn")
    found = rows.read(file)
    assert [r["engine"] for r in found] == ["native", "eager"]
    assert found[0]["run_s"] == "0.25" and found[1]["run_s"] == "" and found[1]["neml2"]


@pytest.mark.parametrize("header", [["a", "b"], rows.COLUMNS[:-1]])
def test_a_file_with_other_columns_is_left_alone(tmp_path, header):
    file = tmp_path / "a.csv"
    with file.open("w", newline="") as text:
        csv.writer(text).writerow(header)
    before = file.read_text()
    with pytest.raises(ValueError, match="has other columns; give another file"):
        rows.Table(file)
    assert file.read_text() == before
