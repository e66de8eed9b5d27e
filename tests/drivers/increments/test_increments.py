"""The rules by which increments are chosen, and what they measure."""

import math

import pytest
import torch

from neml2.drivers.increments.increments import Gauge, Increments
from neml2.step import StateUpdate
from neml2.types import SR2, Scalar
from tests.drivers.materials import decay, strainer

F64 = torch.float64


def numbers(*values):
    return torch.tensor(values, dtype=F64)


def scalars(**values):
    return {n: Scalar(numbers(*v)) for n, v in values.items()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": {"x": 0.0}}, "limit of 'x' is 0; give a positive number"),
        ({"tolerance": -1e-4}, "tolerance is -0.0001; give a positive"),
        ({"tolerance": {"x": math.nan}}, "tolerance of 'x' is nan"),
        ({"on": ("x",)}, "give tolerance=1e-4, or leave 'on' out"),
        ({"first": 2.0}, r"first is 2; give a part of the first row interval"),
        ({"grow": 0.9}, "grow is 0.9; give a factor of 1 or more"),
        ({"cut": 1.0}, "cut is 1; give a factor between 0 and 1"),
        ({"smallest": 0.0}, "smallest is 0; give a part"),
        ({"most": 0}, "most is 0"),
    ],
)
def test_numbers_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        Increments(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": {"xx": 1.0}}, "limit of 'xx' is of no variable of the model; did you mean 'x'"),
        ({"limit": {"x.yy": 1.0}}, "names no component of a Scalar"),
        ({"tolerance": {"lod": 1.0}}, "tolerance of 'lod' is of no variable"),
        ({"tolerance": 1e-3, "on": ("lod",)}, "tolerance of 'lod' is of no variable"),
    ],
)
def test_names_that_are_not_there(options, message):
    with pytest.raises(ValueError, match=message):
        Gauge(Increments(**options), StateUpdate(decay()))


def test_what_is_left_is_taken_whole_or_in_two_even_pieces():
    rules = Increments(smallest=0.01)
    start = numbers(0.0, 0.0, 0.5, 0.5, 0.5, 0.0)
    size = numbers(math.inf, 0.3, 0.3, 0.5, 0.499999999999, 0.0)
    assert rules.end(start, size).tolist() == [1.0, 0.3, 0.75, 1.0, 1.0, 0.01]


def test_sizes_follow_from_what_was_seen():
    rules = Increments(tolerance=1e-4, grow=2.0, cut=0.25)
    yes, no = torch.tensor([True]), torch.tensor([False])

    def factor(moved, error, solved=yes, rejected=no):
        return float(rules.factor(solved, numbers(moved), numbers(error), rejected))

    assert factor(0.0, 0.0) == 2.0  # nothing is near a bound
    assert factor(0.0, 0.0, rejected=yes) == 1.0  # not at once after a rejection
    assert factor(0.0, 0.0, solved=no) == 0.25
    assert factor(3.0, 0.0) == pytest.approx(0.3)  # movements go with the increment
    assert factor(0.0, 9.0) == pytest.approx(0.3)  # local errors with its square
    assert factor(1e6, 0.0) == 0.1
    assert factor(3.0, 1e-3) == pytest.approx(0.3)


def test_movements_over_their_limits():
    gauge = Gauge(Increments(limit={"S": 2.0, "S.xy": 0.5, "T": 10.0}), StateUpdate(strainer()))
    before = {"S": SR2(torch.zeros(3, 6, dtype=F64)), **scalars(T=[0.0, 0.0, math.nan])}
    stress = torch.zeros(3, 6, dtype=F64)
    stress[0, 0], stress[1, 5] = 6.0, 3.0 * math.sqrt(2.0)
    moved = gauge.moved(before, {"S": SR2(stress), **scalars(T=[15.0, 15.0, 1.0])}, numbers(0.0, 0.0, 0.0))
    assert moved.tolist() == pytest.approx([3.0, 6.0, 0.0])  # nothing can be said against a first value


def test_errors_are_relative_to_variables_of_the_same_unit():
    """Here x has the unit of the load: an error of 0.02 of a load of 4 is half a percent."""
    gauge = Gauge(Increments(tolerance=1e-2), StateUpdate(decay()))
    assert gauge.partners == {"x": ("x", "load")}
    scales = gauge.scales(scalars(load=[4.0], x=[1.0]), {"x": numbers(0.0)})
    over, error = gauge.error(scalars(x=[1.0]), scalars(x=[1.02]), scales, numbers(0.0))
    assert float(error) == pytest.approx(5e-3) and float(over) == pytest.approx(0.5)


def test_errors_in_units_of_each_variable():
    gauge = Gauge(Increments(tolerance={"x": 0.1, "x_rate": 1.0}), StateUpdate(decay()))
    whole, halves = scalars(x=[1.0, 1.0], x_rate=[0.0, 0.0]), scalars(x=[1.2, 1.0], x_rate=[1.0, -3.0])
    over, error = gauge.error(whole, halves, {}, numbers(0.0, 0.0))
    assert over.tolist() == pytest.approx([2.0, 3.0]) and error.tolist() == over.tolist()
