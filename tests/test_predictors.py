"""Initial guesses: names, orders, history, and errors."""

from __future__ import annotations

import pytest
import torch

from neml2 import Scalar
from neml2.models import ScalarLinearCombination, ScalarMultiplication, SR2Invariant
from neml2.predictors import (
    ConstantExtrapolationPredictor,
    CoordinateDescentPredictor,
    LinearExtrapolationPredictor,
    RateCondensation,
)


def law(**options):
    return ScalarMultiplication(**{"from": "tau tau tau", "to": "g"}, name="law", **options)


def path():
    return ScalarLinearCombination(**{"from": "x gdot", "to": "f"}, weights=[2.0, -3.0], name="path")


def trace():
    return SR2Invariant(invariant_type="I1")


def test_order_of_variables():
    lists = {"unknowns_Scalar": "g h", "unknowns_SR2": "S", "cold": "h:h0 S:S0"}
    model = ConstantExtrapolationPredictor(**lists)
    assert list(model.input_spec) == ["S~1", "g~1", "h~1", "t", "t~1", "t~2", "S0", "h0"]
    assert list(model.output_spec) == ["S", "g", "h"]
    model = LinearExtrapolationPredictor(**lists, time="s")
    names = ["S~1", "g~1", "h~1", "s", "s~1", "s~2", "S~2", "g~2", "h~2", "S0", "h0"]
    assert list(model.input_spec) == names
    assert list(ConstantExtrapolationPredictor(unknowns_Scalar="g").input_spec) == ["g~1"]


def test_points_with_and_without_history_in_one_batch():
    model = LinearExtrapolationPredictor(unknowns_Scalar=["g", "h"], cold=["h:h0"])
    t_2 = Scalar([2.0, 1.0])  # the first point has no history
    values = {"g~1": 4.0, "h~1": 6.0, "t": 4.0, "t~1": 2.0, "t~2": t_2, "g~2": 3.0, "h~2": 5.0, "h0": 0.5}
    guesses = model.call_by_name(values)
    assert guesses["g"].data.tolist() == [4.0, 6.0]
    assert guesses["h"].data.tolist() == [0.5, 8.0]
    _, blocks = model.jacobian(values)
    assert all(b.data.isfinite().all() for row in blocks.values() for b in row.values())
    assert blocks["g"]["g~1"].data.tolist() == [1.0, 3.0]


def test_rate_condensation_of_several_components():
    model = RateCondensation(model=path(), rate="gdot", driving_force="f")
    x = Scalar(torch.tensor([[0.5, 1.0], [2.0, 3.0]], dtype=torch.float64), sub_batch_ndim=1)
    A, b = model(x)
    assert (A.sub_batch_ndim, b.sub_batch_ndim) == (2, 1)
    assert A.data.tolist() == [[[3.0, 0.0], [0.0, 3.0]]] * 2
    assert b.data.tolist() == [[1.0, 2.0], [4.0, 6.0]]


def test_coordinate_descent_solves_its_equations():
    model = CoordinateDescentPredictor(
        rate_law=law(), driving_force_input="tau", coupling="A", trial_driving_force="b", rate="g0"
    )
    A = torch.tensor([[2.0, 0.3, -0.1], [0.3, 1.5, 0.2], [-0.1, 0.2, 1.1]], dtype=torch.float64)
    b = torch.tensor([[0.4, -0.5, -0.6], [1.0, 2.0, 3.0]], dtype=torch.float64)
    g = model(Scalar(A, 2), Scalar(b, 1))
    assert g.sub_batch_ndim == 1
    w = g.data.sign() * g.data.abs() ** (1 / 3)
    torch.testing.assert_close(w + g.data @ A.T, b, rtol=1e-9, atol=1e-12)
    assert not g.data.requires_grad


def test_pass_throughs_are_sliced_by_component_or_shared():
    scaled = ScalarMultiplication(**{"from": "tau strength", "to": "g"}, reciprocal=[False, True], name="law")
    model = CoordinateDescentPredictor(
        rate_law=scaled, driving_force_input="tau", coupling="A", trial_driving_force="b"
    )
    assert list(model.input_spec) == ["A", "b", "strength"]
    A = Scalar(torch.zeros(2, 2, dtype=torch.float64), 2)
    b = Scalar(torch.tensor([1.0, 2.0], dtype=torch.float64), 1)
    each = Scalar(torch.tensor([2.0, 10.0], dtype=torch.float64), 1)
    torch.testing.assert_close(model(A, b, each).data, torch.tensor([0.5, 0.2], dtype=torch.float64))
    torch.testing.assert_close(model(A, b, Scalar(4.0)).data, torch.tensor([0.25, 0.5], dtype=torch.float64))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConstantExtrapolationPredictor(unknowns_Scalar="g", cold="g"),
         "ConstantExtrapolationPredictor: cold has 'g'; write unknown:variable"),
        (lambda: ConstantExtrapolationPredictor(unknowns_Scalar="gamma", cold="gama:x"),
         "ConstantExtrapolationPredictor: cold names 'gama', which is in no list of unknowns; did you mean"),
        (lambda: LinearExtrapolationPredictor(unknowns_Scalar="g", cold="g:x g:y"),
         "LinearExtrapolationPredictor: cold names 'g' twice"),
        (lambda: LinearExtrapolationPredictor(unknowns_Scalar="g", unknowns_SR2="g"),
         "LinearExtrapolationPredictor: an unknown is listed twice"),
        (lambda: RateCondensation(model=path(), rate="gdt", driving_force="f"),
         "RateCondensation: rate is 'gdt', which is not an input of its model; did you mean 'gdot'?"),
        (lambda: RateCondensation(model=path(), rate="gdot", driving_force="p"),
         "RateCondensation: driving_force is 'p', which is not an output of its model"),
        (lambda: RateCondensation(model=law(), rate="tau", driving_force="g"),
         "RateCondensation: ScalarMultiplication 'law' has no input but the rate"),
        (lambda: RateCondensation(model=trace(), rate="tensor", driving_force="invariant"),
         "RateCondensation: 'tensor' is a SR2; it must be a Scalar"),
        (lambda: CoordinateDescentPredictor(rate_law=law(), driving_force_input="tua"),
         "CoordinateDescentPredictor: driving_force_input is 'tua', which is not an input of its model;"
         " did you mean 'tau'?"),
    ],
)  # fmt: skip
def test_errors_say_what_was_expected(make, message):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value).startswith(message)


def test_layouts_that_do_not_match_are_refused():
    model = CoordinateDescentPredictor(
        rate_law=law(), driving_force_input="tau", coupling="A", trial_driving_force="b"
    )
    with pytest.raises(ValueError, match=r"sub-batch \(3,\) and the coupling \(2, 2\)"):
        model(Scalar(torch.ones(2, 2).double(), 2), Scalar(torch.ones(3).double(), 1))
