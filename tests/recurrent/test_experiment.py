import math
from dataclasses import replace

import numpy as np
import pandas
import pytest
import torch

from neml2.drivers import History, laboratory
from neml2.recurrent import Experiment

TEXT = """time [s],strain [%],force [N],stress [MPa],T [degC]
0,0.0,0,0.3,20
1,0.1,10,98,30
2,0.2,20,,40
4,0.4,30,121,60
"""
READ = {
    "time": "time [s]",
    "control": {"strain.xx": "strain [%]"},
    "responses": {"stress.xx": "stress [MPa]"},
    "into": {"time": "s", "stress": "Pa"},
}


@pytest.fixture
def file(tmp_path):
    def write(text=TEXT):
        (tmp_path / "tension.csv").write_text(text)
        return tmp_path / "tension.csv"

    return write


def test_a_table_is_a_history_and_its_responses(file):
    test = Experiment.from_csv(file(), **READ, sigma=2.0)
    assert test.name == "tension"
    assert test.history.time.tolist() == [0, 1, 2, 4]
    assert test.history.control.target[:, 0].tolist() == pytest.approx([0, 0.001, 0.002, 0.004])
    assert test.history.control.stress_weight[-1].tolist() == [0, 1, 1, 1, 1, 1]
    response = test.responses["stress.xx"]
    assert response.values.tolist() == [98e6, 121e6]  # neither the initial state nor the missing value
    assert response.left.tolist() == [0, 2] and response.fraction.tolist() == [1, 1]
    assert response.missing == 1 and response.sigma.tolist() == [2, 2]


def test_a_stress_controlled_test_measures_strain(file):
    options = {"control": {"stress.xx": "stress [MPa]"}, "responses": {"strain.xx": "strain [%]"}}
    test = Experiment.from_csv(file(), **{**READ, **options}, gaps="interpolate")
    assert test.history.control.stress_weight[-1].tolist() == [1, 1, 1, 1, 1, 1]
    assert test.responses["strain.xx"].values.tolist() == pytest.approx([0.001, 0.002, 0.004])


def test_another_variable_is_prescribed_or_measured(file):
    options = {"control": {**READ["control"], "T": "T [degC]"}, "into": {**READ["into"], "T": "K"}}
    test = Experiment.from_csv(file(), **{**READ, **options})
    assert test.history.prescribed["T"].data[0].item() == pytest.approx(293.15)
    warm = {"responses": {"T": "T [degC]"}, "into": {**READ["into"], "T": "K"}}
    assert Experiment.from_csv(file(), **{**READ, **warm}).responses["T"].values[-1] == pytest.approx(333.15)


def test_a_test_may_be_computed_at_other_rows_than_it_was_measured(file):
    test = Experiment.from_csv(file(), **READ, resample=9)
    assert test.history.time.tolist() == pytest.approx(np.linspace(0, 4, 9))
    response = test.responses["stress.xx"]
    at = test.history.time.numpy()[response.left] + 0.5 * response.fraction
    assert at.tolist() == pytest.approx([1, 4])


def test_shear_strains_that_are_measured_need_a_convention(file):
    options = {
        "control": {"stress.xy": "force [N]"},
        "responses": {"strain.xy": "strain [%]"},
        "units": {"stress": "MPa"},
    }
    with pytest.raises(ValueError, match="shear='engineering'"):
        Experiment.from_csv(file(), **{**READ, **options})
    test = Experiment.from_csv(file(), **{**READ, **options}, shear="engineering")
    assert test.responses["strain.xy"].values[-1] == pytest.approx(0.002)


def test_a_table_in_memory():
    table = pandas.DataFrame({"t": [0.0, 1.0, 2.0], "e": [0.0, 0.1, 0.2], "s": [0.0, 10.0, math.nan]})
    test = Experiment.from_pandas(table, time="t", control={"strain.xx": "e"}, responses={"stress.xx": "s"})
    assert test.responses["stress.xx"].values.tolist() == [10] and len(test) == 1


def test_text_in_a_number_column_is_refused(file):
    with pytest.raises(
        ValueError, match=r"tension.csv:3: column 'stress \[MPa\]' holds '9o8', which is not a"
    ):
        Experiment.from_csv(file(TEXT.replace("98", "9o8")), **READ)


def test_a_column_that_is_not_there_has_a_nearest_spelling(file):
    with pytest.raises(ValueError, match=r"no column 'stres'.*did you mean 'stress \[MPa\]'"):
        Experiment.from_csv(file(), **{**READ, "responses": {"stress.xx": "stres"}})


def test_missing_control_is_refused_or_interpolated(file):
    holes = file(TEXT.replace("2,0.2,", "2,,"))
    with pytest.raises(ValueError, match=r"tension.csv:4: 'strain.xx' has no value"):
        Experiment.from_csv(holes, **READ)
    test = Experiment.from_csv(holes, **READ, gaps="interpolate")
    assert test.history.control.target[2, 0].item() == pytest.approx(0.002)


def test_what_is_prescribed_is_no_response(file):
    with pytest.raises(ValueError, match="'strain.xx' is given both in control and in responses"):
        Experiment.from_csv(file(), **{**READ, "responses": {"strain.xx": "strain [%]"}})


def test_an_unknown_option_has_a_nearest_spelling(file):
    with pytest.raises(TypeError, match="no option 'weigth'; did you mean 'weight'"):
        Experiment.from_csv(file(), **READ, weigth=2.0)


HISTORY = laboratory.monotonic(0.1, 1.0, rows=4)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"responses": {}}, "no responses"),
        ({"responses": {"x": [1.0, 2.0]}}, "the history has 5 rows"),
        ({"responses": {"x": [math.nan] * 5}}, "no value after the initial state"),
        ({"responses": {"x": [0, 1, 2, 3, math.inf]}}, "infinite at row 4"),
        ({"responses": {"x": [0, 1, 2, 3, 4]}, "sigma": 0.0}, "not positive"),
        ({"responses": {"x": [0, 1, 2, 3, 4]}, "sigma": {"y": 1.0}}, "did you mean|no response"),
        ({"responses": {"x": [0, 1, 2, 3, 4]}, "sigma": {"x": [1.0, 2.0]}}, r"shape \(2,\)"),
        ({"responses": {"x": [0, 1, 2, 3, 4]}, "weight": -1.0}, "zero or more"),
        ({"responses": {"x": [0, 1, 2, 3, 4]}, "weights": {"z": 1.0}}, "weights of 'z'"),
        ({"responses": {"x": [1.0]}, "times": [7.0]}, "measured at time 7"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Experiment(HISTORY, **options)


def test_one_experiment_is_one_specimen():
    with pytest.raises(ValueError, match="one of several specimens"):
        Experiment(laboratory.monotonic([0.1, 0.2], 1.0), {"stress.xx": np.zeros(101)})
    with pytest.raises(ValueError, match="one of several specimens"):
        Experiment(History.batch([HISTORY, HISTORY]), {"stress.xx": np.zeros(5)})


def test_a_load_that_is_not_finite_is_refused():
    target = HISTORY.control.target.clone()
    target[3, 0] = math.nan
    broken = HISTORY.replace(control=replace(HISTORY.control, target=target))
    with pytest.raises(ValueError, match="Experiment 'b': its history prescribes no finite target at row 3"):
        Experiment(broken, {"stress.xx": np.zeros(5)}, name="b")
    forces = History([0.0, 1.0, 2.0], {"load": [0.0, math.inf, 2.0]})
    with pytest.raises(ValueError, match="no finite load at row 1"):
        Experiment(forces, {"x": np.zeros(3)})


def test_no_history_is_refused():
    with pytest.raises(TypeError, match="takes a History, not a dict"):
        Experiment({}, {"x": [1.0]})


def test_its_print_says_what_was_read(file):
    test = Experiment.from_csv(file(), **READ, sigma=2.0, weight=3.0, constant={"T": 300.0})
    assert str(test).splitlines() == [
        "Experiment 'tension': 4 rows, time 0 to 4, weight 3",
        "  prescribed strain.xx: 0 to 0.004; free of stress: yy, zz, yz, xz, xy",
        "  constant T: 300",
        "             values     from        to  missing  sigma",
        "  stress.xx       2  9.8e+07  1.21e+08        1      2",
    ]
    assert "<svg" in test._repr_html_() and "tension" in test._repr_html_()


def test_tensors_and_lists_are_values():
    values = torch.arange(5.0)
    assert Experiment(HISTORY, {"x": values}).responses["x"].values.tolist() == [1, 2, 3, 4]
    assert len(Experiment(HISTORY, {"x": [0.0, 1.0, math.nan, 3.0, 4.0]})) == 3
