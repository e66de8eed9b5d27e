"""Quantities by text: what they are, and what is refused."""

import math

import pytest
import torch

from neml2.drivers.increments.conditions import Extremes, View, component, norm, parse
from neml2.errors import MissingVariable
from neml2.types import SR2, Scalar, Vec

F64 = torch.float64


def tensor(*values):
    return torch.tensor(values, dtype=F64)


STRESS = SR2.from_physical(tensor([300.0, 100.0, -100.0, 10.0, 20.0, 30.0], [0.0, 0.0, 0.0, 0.0, 0.0, 5.0]))
VALUES = {
    "stress": STRESS,
    "d": Scalar(tensor(0.25, 4.0)),
    "a/b": Scalar(tensor(1.0, 2.0)),
    "slip": Scalar(tensor([1.0, -3.0], [2.0, 6.0]), 1),
    "u": Vec(tensor([3.0, 0.0, 4.0], [1.0, 0.0, 0.0])),
}


def view(values=VALUES, extremes=None, cycle=None):
    n = len(next(iter(values.values())).data)
    return View(values, torch.full((n,), 2.0, dtype=F64), cycle, torch.arange(n), extremes or Extremes(n))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("d", (0.25, 4.0)),
        ("stress.xy", (30.0, 5.0)),
        ("-2 * stress.xx + d / 2", (-599.875, 2.0)),
        ("d ** 0.5", (0.5, 2.0)),
        ("sqrt(d) + log(exp(d)) + abs(-1)", (1.75, 7.0)),
        ("max(d, 1, time)", (2.0, 4.0)),
        ("min(d, 1)", (0.25, 1.0)),
        ("max(slip) - min(slip)", (4.0, 4.0)),
        ("sum(slip) + 10 * mean(slip)", (-12.0, 48.0)),
        ("'a/b' + 1", (2.0, 3.0)),
        ("trace(stress)", (300.0, 0.0)),
        ("norm(u)", (5.0, 1.0)),
        ("von_mises(stress)", (math.sqrt(120000.0 + 3 * 1400.0), 5.0 * math.sqrt(3.0))),
        ("d > 1", (-0.75, 3.0)),
        ("d <= 1 and d < 2", (0.75, -3.0)),
        ("d < 1 or d > 3", (0.75, 1.0)),
    ],
)
def test_values(text, expected):
    assert parse(text).value(view()).tolist() == pytest.approx(list(expected), rel=1e-14)


def test_comparisons_know_about_equality():
    assert parse("d > 1").strict and parse("1 < d").strict and parse("d > 1 and d >= 0").strict
    assert not parse("d >= 1").strict and parse("d >= 1").condition and not parse("d + 1").condition


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("d >", "is no condition"),
        ("d == 1", "compare with <, <=, > or >="),
        ("0 < d < 1", "join comparisons with 'and'"),
        ("(d > 1) + 1", "a comparison is no number here"),
        ("d and d > 1", "'and' and 'or' join comparisons"),
        ("d % 2", r"use \+ - \* / \*\*"),
        ("d[0]", "use numbers, variables"),
        ("lambda: d", "use numbers, variables"),
        ("__import__('os')", "functions are abs"),
        ("d.real.conjugate()", "functions are abs"),
        ("vonmises(stress)", "did you mean 'von_mises'"),
        ("sqrt(d, d)", "sqrt takes one argument"),
        ("max(d, key=d)", "functions are abs"),
        ("von_mises(stress + 1)", "takes the name of a tensor"),
        ("True", "use numbers, variables"),
    ],
)
def test_what_is_no_condition(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stres.xx", "no variable 'stres'; did you mean 'stress'"),
        ("stress.zx", "has no component 'zx'; did you mean 'xz'"),
        ("d.xx", "is a Scalar and has no component 'xx'"),
        ("stress", "is a SR2; say which component, such as 'stress.xx'"),
        ("von_mises(u)", "von_mises is of tensors of type SR2, and .u. is a Vec"),
        ("von_mises(v)", "no variable 'v'"),
        ("cycle", "does not number its cycles"),
    ],
)
def test_what_the_values_do_not_have(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text).value(view())


def test_sub_batches_need_a_choice():
    with pytest.raises(ValueError, match=r"'slip' has the sub-batch \(2,\); take its max"):
        view().component("slip")


def test_views():
    seen = view(cycle=tensor(3.0, 3.0))
    assert seen["stress"] is STRESS and seen.component("stress.yz").tolist() == pytest.approx([10.0, 0.0])
    assert seen.component("a/b").tolist() == [1.0, 2.0] and seen.component("cycle").tolist() == [3.0, 3.0]
    with pytest.raises(MissingVariable, match="did you mean 'stress'"):
        seen["stres"]


def test_extremes_are_remembered_and_what_is_not_there_yet_does_not_count():
    extremes = Extremes(3)

    def at(*d):
        return View({"d": Scalar(tensor(*d))}, tensor(*d), None, torch.arange(3), extremes)

    assert at(1.0, 5.0, math.nan).peak("d").tolist()[:2] == [1.0, 5.0]
    for values in ((1.0, 5.0, math.nan), (3.0, 2.0, 1.0), (2.0, 4.0, 0.5)):
        extremes.take(at(*values))
    assert at(0.0, 6.0, 0.0).peak("d").tolist() == [3.0, 6.0, 1.0]
    assert parse("d < 0.5 * peak(d)").value(at(0.0, 6.0, 0.0)).tolist() == [1.5, -3.0, 0.5]
    assert at(0.0, 6.0, 0.0).trough("d").tolist() == [0.0, 6.0, 0.0]  # asked for only now


def test_components_and_norms():
    assert component(VALUES, "stress.xz").tolist() == pytest.approx([20.0, 0.0])
    assert norm(VALUES["u"]).tolist() == [5.0, 1.0]
    assert norm(STRESS)[1].item() == pytest.approx(5.0 * math.sqrt(2.0))  # both xy and yx
    assert norm(VALUES["slip"]).tolist() == [3.0, 6.0]
    assert norm(VALUES["d"], Scalar(tensor(1.0, 1.0))).tolist() == [0.75, 3.0]
