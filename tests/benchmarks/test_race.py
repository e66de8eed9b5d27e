"""Runs in turns, forecasts and the comparison of values."""

import pytest
import torch

from benchmarks.race import MOST, TURN, Forecast, deviation, race

STRESS = torch.tensor([[3.0, 4.0, 0, 0, 0, 0], [0.1, 0, 0, 0, 0, 0]])


class Fake:
    build_s, iterations = 0.5, 2.0

    def __init__(self, log, name, seconds=1.0, stress=STRESS, fails=False):
        self.log, self.name, self.seconds, self.value, self.fails = log, name, seconds, stress, fails

    def run(self):
        self.log.append(self.name)
        if self.fails:
            raise RuntimeError("it did not converge\nat all")
        return self.seconds

    def stress(self):
        return self.value

    def close(self):
        self.log.append(f"{self.name} closed")


def test_engines_take_turns():
    log = []
    results = race({"a": lambda: Fake(log, "a"), "b": lambda: Fake(log, "b", 2.0)}, seconds=4.5)
    assert log == ["a", "b", "a", "b", "a", "a", "a closed", "b closed"]
    assert results["a"].run_s == 1.0 and results["a"].repetitions == 4 and results["b"].repetitions == 2
    assert results["b"].off == 0 and results["b"].build_s == 0.5 and not results["b"].note


def test_a_slow_engine_runs_once_and_a_fast_one_not_for_ever():
    results = race({"slow": lambda: Fake([], "slow", 9.0), "fast": lambda: Fake([], "fast", TURN)}, 1e3)
    assert results["slow"].repetitions == MOST and results["fast"].repetitions == MOST
    results = race({"slow": lambda: Fake([], "slow", 9.0), "fast": lambda: Fake([], "fast", TURN)}, 4.1)
    assert results["slow"].repetitions == 1 and results["fast"].repetitions == 20


def test_a_turn_of_a_short_run_has_many():
    log = []
    makers = {"short": lambda: Fake(log, "s", TURN / 4), "long": lambda: Fake(log, "l", 3 * TURN)}
    results = race(makers, seconds=3 * TURN)
    assert log == [*"ssss", "l", *"ssss", *"ssss", "s closed", "l closed"]
    assert results["short"].repetitions == 12 and results["long"].repetitions == 1


def test_reasons_are_kept():
    def refuse():
        raise ValueError("no such thing")

    results = race({"a": refuse, "b": lambda: Fake([], "b", fails=True), "c": lambda: Fake([], "c")}, 1.0)
    assert results["a"].note == "ValueError: no such thing" and results["a"].run_s is None
    assert results["b"].note == "RuntimeError: it did not converge" and results["b"].run_s is None
    assert results["c"].off == 0


def test_values_that_differ_are_said_loudly(capsys):
    other = STRESS.clone()
    other[1, 0] *= 1 + 1e-4  # of the smallest stress
    results = race({"a": lambda: Fake([], "a"), "b": lambda: Fake([], "b", stress=other)}, 1.0)
    assert results["b"].off == pytest.approx(1e-4, rel=1e-3)
    assert results["b"].note == "values differ from a"
    assert "*** b DIFFERS FROM a: by 1.0e-04 of the stress ***" in capsys.readouterr().err


def test_stresses_that_are_not_finite_differ():
    assert deviation(STRESS * float("nan"), STRESS) == float("inf")


def test_forecast():
    forecast = Forecast()
    assert forecast.of("a", 10) == 0
    forecast.add("a", 1, 5.0)
    assert forecast.of("a", 100) == 5.0
    forecast.add("a", 101, 6.0)
    assert forecast.of("a", 1_101) == pytest.approx(16.0)
    assert forecast.of("b", 1_101) == 0
