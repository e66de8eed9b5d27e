import numpy as np
import pandas
import pytest
import torch
import xarray

from neml2.drivers import History
from neml2.types import SR2, Scalar

TEXT = """# a comment
Time [min],Strain [%],Lateral stress [MPa],Temperature [degC],Note
0,0,0,20,start
1,0.5,1.0,30,
2,1.0,2.0,40,

4,0.2,3.0,50,end
"""
COLUMNS = {
    "time": "Time [min]",
    "strain.xx": "Strain [%]",
    "stress.yy": "Lateral stress [MPa]",
    "T": "Temperature [degC]",
}
INTO = {"time": "s", "stress": "Pa", "T": "K"}


@pytest.fixture
def file(tmp_path):
    def write(text=TEXT):
        (tmp_path / "test.csv").write_text(text, encoding="utf-8")
        return tmp_path / "test.csv"

    return write


def test_a_table_with_units_in_its_headers(file):
    history = History.from_csv(file(), COLUMNS, into=INTO)
    assert history.time.tolist() == [0, 60, 120, 240]
    control = history.control
    assert control.target[:, 0].tolist() == pytest.approx([0, 0.005, 0.01, 0.002])
    assert control.target[:, 1].tolist() == [0, 1e6, 2e6, 3e6]
    assert control.strain_weight[0].tolist() == [1, 0, 0, 0, 0, 0]
    assert control.stress_weight[-1].tolist() == [0, 1, 1, 1, 1, 1]
    assert not control.carry.any()
    assert isinstance(history.prescribed["T"], Scalar)
    assert history.prescribed["T"].data.tolist() == pytest.approx([293.15, 303.15, 313.15, 323.15])


def test_units_may_be_said(file):
    path = file("t;e\n0;0\n1,5;2,5\n")
    history = History.from_csv(
        path,
        {"time": "t", "strain.xx": "e"},
        units={"time": "h", "strain.xx": "%"},
        into={"time": "min"},
        decimal=",",
    )
    assert history.time.tolist() == [0, 90]
    assert history.control.target[1, 0].item() == pytest.approx(0.025)
    own = History.from_csv(path, {"time": "t", "strain.xx": "e"}, decimal=",")
    assert own.control.target[1, 0].item() == 2.5  # no unit said: numbers as they are


def test_a_table_that_starts_anywhere(file):
    history = History.from_csv(file("t,e\n5,0.01\n6,0.03\n"), {"time": "t", "strain.xx": "e"})
    assert history.time.tolist() == [5, 6]
    assert history.control.target[:, 0].tolist() == [0.01, 0.03]


def test_engineering_shear_is_halved(file):
    path = file("t,e,g\n0,0,0\n1,0.1,0.2\n")
    columns = {"time": "t", "strain.xx": "e", "strain.xy": "g"}
    with pytest.raises(ValueError, match="'strain.xy' is a shear strain; say shear='engineering'"):
        History.from_csv(path, columns)
    assert History.from_csv(path, columns, shear="engineering").control.target[1].tolist() == [
        0.1,
        0,
        0,
        0,
        0,
        0.1,
    ]
    assert History.from_csv(path, columns, shear="tensor").control.target[1, 5].item() == 0.2
    stress = {"time": "t", "stress.xx": "e", "stress.xy": "g"}
    assert History.from_csv(path, stress).control.target[1, 5].item() == 0.2  # a shear stress is itself
    with pytest.raises(ValueError, match="shear='tensorial'; did you mean 'tensor'"):
        History.from_csv(path, columns, shear="tensorial")


def test_tensors_of_their_own(file):
    labels = SR2.COMPONENTS
    path = file("t," + ",".join(labels) + "\n0" + ",0" * 6 + "\n1,1,2,3,4,5,6\n")
    columns = {"time": "t", **{f"strain.{c}": c for c in labels}}
    history = History.from_csv(path, columns, prescribed=["strain"], shear="engineering")
    assert history.control is None
    assert history.prescribed["strain"].physical()[1].tolist() == pytest.approx([1, 2, 3, 2, 2.5, 3])
    named = {"time": "t", **{f"E.{c}": c for c in labels}}
    assert History.from_csv(path, named).prescribed["E"].physical()[1].tolist() == pytest.approx(
        [1, 2, 3, 4, 5, 6]
    )
    halved = History.from_csv(path, named, shear={"E": "engineering"}).prescribed["E"]
    assert halved.physical()[1].tolist() == pytest.approx([1, 2, 3, 2, 2.5, 3])
    with pytest.raises(ValueError, match="'E' has the components xx, yy; a SR2 needs"):
        History.from_csv(path, {"time": "t", "E.xx": "xx", "E.yy": "yy"})


def test_deformation_gradients(file):
    path = file("t,F\n0,1\n1,1.1\n")
    control = History.from_csv(path, {"time": "t", "deformation_gradient.xx": "F"}).control
    assert control.target[1].tolist() == [1.1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert control.strain_weight[1].tolist() == [1, 0, 0, 1, 0, 0, 1, 1, 0]


GAPS = "t,e,T\n0,0,1\n1,,2\n3,0.3,\n4,0.4,5\n"
GAP_COLUMNS = {"time": "t", "strain.xx": "e", "T": "T"}


def test_gaps(file):
    with pytest.raises(ValueError, match=r"test.csv:3: 'strain.xx' has no value \(2 rows with gaps\)"):
        History.from_csv(file(GAPS), GAP_COLUMNS)
    filled = History.from_csv(file(GAPS), GAP_COLUMNS, gaps="interpolate")
    assert filled.control.target[:, 0].tolist() == pytest.approx([0, 0.1, 0.3, 0.4])
    assert filled.prescribed["T"].data.tolist() == pytest.approx([1, 2, 4, 5])
    dropped = History.from_csv(file(GAPS), GAP_COLUMNS, gaps="drop")
    assert dropped.time.tolist() == [0, 4]
    with pytest.raises(ValueError, match="test.csv:4: 'T' has no value .* gaps='drop'"):  # nothing beyond it
        History.from_csv(file("t,e,T\n0,0,1\n1,2,2\n3,0.3,\n"), GAP_COLUMNS, gaps="interpolate")
    with pytest.raises(ValueError, match="gaps='fill'; give one of refuse, interpolate, drop"):
        History.from_csv(file(GAPS), GAP_COLUMNS, gaps="fill")


def test_times_that_do_not_increase(file):
    path = file("t,e\n0,0\n2,1\n1,2\n2,3\n3,4\n")
    columns = {"time": "t", "strain.xx": "e"}
    with pytest.raises(
        ValueError, match=r"test.csv:4: the time 1 does not increase after 2; .*csv:4, .*csv:5\)"
    ):
        History.from_csv(path, columns)
    dropped = History.from_csv(path, columns, backward="drop")
    assert dropped.time.tolist() == [0, 2, 3]
    assert dropped.control.target[:, 0].tolist() == [0, 1, 4]


def test_resampling(file):
    columns = {"time": "t", "strain.xx": "e"}
    path = file("t,e\n0,0\n1,1\n4,0\n")
    even = History.from_csv(path, columns, resample=5)
    assert even.time.tolist() == [0, 1, 2, 3, 4]
    assert even.control.target[:, 0].tolist() == pytest.approx([0, 1, 2 / 3, 1 / 3, 0])
    at = History.from_csv(path, columns, resample=[0.5, 2.5])
    assert at.control.target[:, 0].tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="it goes from 0 to 4"):
        History.from_csv(path, columns, resample=[5.0])
    with pytest.raises(ValueError, match="resample=1 rows"):
        History.from_csv(path, columns, resample=1)


@pytest.mark.parametrize(
    ("text", "columns", "options", "message"),
    [
        (TEXT, COLUMNS, {}, r"'Time \[min\]' is in min; say in which unit .* into=\{'time': 'min'\}"),
        (TEXT, COLUMNS, {"into": INTO | {"time": "MPa"}}, "a unit of time, but is wanted in MPa"),
        (
            TEXT,
            COLUMNS,
            {"into": INTO, "units": {"time": "%"}},
            "is in %, a unit of strain, but 'time' is a time",
        ),
        (
            TEXT,
            {**COLUMNS, "x": "Tempratur"},
            {"into": INTO},
            r"no column 'Tempratur' for x; did you mean 'Temper",
        ),
        (
            TEXT,
            {**COLUMNS, "n": "Note"},
            {"into": INTO},
            r"csv:3: column 'Note' holds 'start', which is not a number",
        ),
        (TEXT, {"T": "T"}, {}, "which one is the time"),
        (
            "t,e\n0,0\n1,inf\n",
            {"time": "t", "x": "e"},
            {},
            "csv:3: column 'e' holds 'inf'; it must be a finite",
        ),
        ("t,e\n0,0\n1\n", {"time": "t", "x": "e"}, {}, r"csv:3: the row has 1 cells but there are 2 columns"),
        ("t,t\n0,0\n", {"time": "t"}, {}, "two columns 't'"),
        ("", {"time": "t"}, {}, "the table is empty"),
        ("t,e\n", {"time": "t"}, {}, "has no rows"),
        ("t,e\n0,0\n1,1\n", {"time": "t", "strain.yx": "e"}, {}, "did you mean 'xy'"),
        ("t,e [furlong]\n0,0\n", {"time": "t", "x": "e [furlong]"}, {}, "unknown unit 'furlong'"),
        ("t,e\n0,0\n", {"time": "t", "x": "e"}, {"into": {"x": "K"}}, "'e' has no unit, but is wanted in K"),
    ],
)
def test_mistakes_are_told(file, text, columns, options, message):
    with pytest.raises(ValueError, match=message):
        History.from_csv(file(text), columns, **options)


def test_tables_of_pandas_and_datasets():
    frame = pandas.DataFrame({"Time [min]": [0, 1.0], "e": [0.0, np.nan], "T": [1, 2]}, index=[7, 8])
    columns = {"time": "Time [min]", "strain.xx": "e", "T": "T"}
    with pytest.raises(ValueError, match="row 8: 'strain.xx' has no value"):
        History.from_pandas(frame, columns=columns, into={"time": "s"})
    frame["e"] = [0.0, 0.02]
    history = History.from_pandas(frame, columns=columns, into={"time": "s"}, constant={"c": 1.0})
    assert history.time.tolist() == [0, 60]
    assert history.constant == {"c": 1.0}
    dataset = xarray.Dataset(
        {"e": (("time",), [0.0, 2.0], {"units": "%"})}, coords={"time": ("time", [0.0, 1.0], {"units": "h"})}
    )
    history = History.from_xarray(dataset, columns={"time": "time", "strain.xx": "e"}, into={"time": "s"})
    assert history.time.tolist() == [0, 3600]
    assert history.control.target[1, 0].item() == 0.02
    with pytest.raises(TypeError, match="the option 'into' is for measured tables; give columns"):
        History.from_pandas(frame, into={"time": "s"})
    with pytest.raises(TypeError, match="unexpected keyword argument 'gap'"):
        History.from_pandas(frame, columns=columns, gap="drop")


def test_measured_histories_are_absolute_when_they_go_on(file):
    path = file("t,e\n0,0\n1,0.01\n2,0.02\n")
    history = History.from_csv(path, {"time": "t", "strain.xx": "e"})
    twice = history + history
    assert twice.control.target[:, 0].tolist() == [0, 0.01, 0.02, 0.01, 0.02]
    assert torch.equal(twice.time, torch.arange(5, dtype=torch.float64))
