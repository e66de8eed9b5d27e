"""Facts about single common models: names, orders, derivatives at kinks, tables, and errors."""

from __future__ import annotations

import math

import pytest
import torch

from neml2 import ComposedModel, Scalar, models
from neml2.types import R2, SR2, Vec


def derivative(model, output, variable, **inputs):
    _, blocks = model.jacobian(inputs)
    return blocks[output][variable].data


# --- algebra ------------------------------------------------------------------------------------------------


def test_linear_combination_names_its_parameters_one_by_one():
    model = models.ScalarLinearCombination(**{"from": "u v w"}, weights=[1.0, "c", 2.0], offset=0.5)
    assert [n for n, _ in model.named_parameters()] == ["weight_0", "weight_2", "offset"]
    assert list(model.input_spec) == ["u", "v", "w", "c"]


def test_a_weight_may_come_from_another_model():
    twice = models.ScalarLinearCombination(**{"from": "x", "to": "c"}, weights=2.0, name="twice")
    model = models.ScalarLinearCombination(**{"from": "x", "to": "y"}, weights=twice)
    assert model.providers == [twice]
    square = ComposedModel([model])  # y = (2 x) x
    assert list(square.input_spec) == ["x"]
    _, blocks = square.jacobian({"x": 3.0})
    assert blocks["y"]["x"].data.item() == pytest.approx(12.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.ScalarLinearCombination(**{"from": "u v w"}, weights=[1.0, 2.0]),
         "ScalarLinearCombination: weights needs 1 or 3 entries, one for all or one per variable; got 2"),
        (lambda: models.SR2LinearCombination(**{"from": "u v w"}, weights=[1.0] * 4, name="sum"),
         "SR2LinearCombination 'sum': weights needs 1 or 3 entries, one for all or one per variable; got 4"),
        (lambda: models.ScalarMultiplication(**{"from": "u v w"}, reciprocal=[True, False]),
         "ScalarMultiplication: reciprocal needs 1 or 3 entries, one for all or one per variable; got 2"),
        (lambda: models.ScalarPNorm(**{"from": "u v"}, exponent=2.0, weights=[1.0, 2.0, 3.0]),
         "ScalarPNorm: weights needs 1 or 2 entries, one for all or one per variable; got 3"),
        (lambda: models.ScalarPNorm(**{"from": "u v"}, exponent=0.0),
         "ScalarPNorm: exponent is 0, outside its range (0, inf)"),
        (lambda: models.ScalarPNorm(**{"from": "u v"}, exponent="p"),
         "ScalarPNorm: exponent must be a number or a tensor, not 'p'"),
        (lambda: models.ScalarLinearCombination(**{"from": ""}),
         "ScalarLinearCombination: from is empty; name at least one variable"),
        (lambda: models.VecComponents(to="a b"),
         "VecComponents: to needs 3 names, one per component; got 2"),
        (lambda: models.VecComponents(to="a b a"), "VecComponents has two outputs called 'a'"),
        (lambda: models.FBComplementarity(a_inequality="LT"),
         "FBComplementarity: a_inequality is 'LT', not one of LE, GE"),
        (lambda: models.SR2Invariant(invariant_type="I2"),
         "SR2Invariant: invariant_type is 'I2', not one of I1, VONMISES, EFFECTIVE_STRAIN"),
        (lambda: models.HermiteSmoothStep(lower_bound=2.0, upper_bound=1.0),
         "HermiteSmoothStep: lower_bound must be less than upper_bound"),
        (lambda: models.ScalarLinearInterpolation(abscissa=[1.0, 1.0], ordinate=[0.0, 1.0], name="tab"),
         "ScalarLinearInterpolation 'tab': the entries of abscissa must increase from each to the next"),
        (lambda: models.ScalarLinearInterpolation(abscissa=[1.0, 2.0, 3.0], ordinate=[0.0, 1.0]),
         "ScalarLinearInterpolation: abscissa has 3 entries, but ordinate is a table of shape (2,)"),
        (lambda: models.ScalarLinearInterpolation(abscissa=1.0, ordinate=[0.0, 1.0]),
         "ScalarLinearInterpolation: abscissa needs at least two entries, in increasing order"),
        (lambda: models.ScalarBilinearInterpolation(abscissa1=[0, 1], abscissa2=[0, 1], ordinate=[0, 1]),
         "ScalarBilinearInterpolation: abscissa1 has 2 entries, but ordinate is a table of shape (2,)"),
        (lambda: models.ArrheniusParameter(reference_value=1, activation_energy=1, ideal_gas_constant=0.0),
         "ArrheniusParameter: ideal_gas_constant is 0, outside its range (0, inf)"),
        (lambda: models.SR2IntermediateDiff(dim=0, n=0, reduces="cell"),
         "SR2IntermediateDiff: n is 0, outside its range [1, inf)"),
    ],
)  # fmt: skip
def test_errors_say_what_was_expected(make, message):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("missing", ["from", "to"])
def test_required_names(missing):
    with pytest.raises(TypeError, match=f"needs the option '{missing}'"):
        models.VecComponents() if missing == "to" else models.ScalarLinearCombination()


def test_output_of_a_constant_has_the_batch_of_its_value():
    model = models.ScalarConstantParameter(value=Scalar([1.0, 2.0]), name="mu")
    assert list(model.output_spec) == ["mu"]
    assert model().dynamic_batch_shape == (2,)


# --- derivatives where a choice must be made ----------------------------------------------------------------


def test_macaulay_split_at_zero():
    model = models.MacaulaySplit()
    assert derivative(model, "to_positive", "from", **{"from": 0.0}) == 0.5
    assert derivative(model, "to_negative", "from", **{"from": 0.0}) == 0.5


def test_ties_belong_to_one_side():
    model = models.IrreversibleScalar()
    assert derivative(model, "to", "from", **{"from": 0.4, "to~1": 0.4}) == 0.0
    assert derivative(model, "to", "to~1", **{"from": 0.4, "to~1": 0.4}) == 1.0
    model = models.MinMapComplementarity(a_inequality="GE")
    assert derivative(model, "complementarity", "a", a=0.4, b=0.4) == 0.0
    assert derivative(model, "complementarity", "b", a=0.4, b=0.4) == 1.0


def test_interpolation_at_a_node_takes_the_segment_on_its_right():
    model = models.ScalarLinearInterpolation(
        argument="x", output="y", abscissa=[0.0, 1.0, 3.0], ordinate=[0.0, 2.0, 0.0]
    )
    x = Scalar([-1.0, 0.0, 1.0, 3.0])
    assert model(x).data.tolist() == [-2.0, 0.0, 2.0, 0.0]
    assert derivative(model, "y", "x", x=x).tolist() == [2.0, 2.0, -1.0, -1.0]


def test_smooth_step_ends_flat():
    model = models.HermiteSmoothStep(argument="x", lower_bound=0.0, upper_bound=2.0)
    x = Scalar([-1.0, 0.0, 1.0, 2.0, 3.0])
    torch.testing.assert_close(model(x).data, torch.tensor([0.0, 0.0, 0.5, 1.0, 1.0], dtype=torch.float64))
    expected = torch.tensor([0.0, 0.0, 0.75, 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(derivative(model, "value", "x", x=x), expected, rtol=0, atol=1e-15)


def test_bump_has_unit_area():
    model = models.SymmetricHermiteInterpolation(argument="x", output="y", lower_bound=1.0, upper_bound=4.0)
    x = torch.linspace(0.0, 5.0, 100001, dtype=torch.float64)
    assert torch.trapezoid(model(Scalar(x)).data, x).item() == pytest.approx(1.0, abs=1e-9)


def test_determinant_of_a_singular_tensor_has_its_cofactor_as_derivative():
    F = torch.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.5, -0.3, 0.7]], dtype=torch.float64)
    model = models.R2Determinant(input="F")
    cofactor = torch.stack([torch.linalg.cross(F[(i + 1) % 3], F[(i + 2) % 3]) for i in range(3)])
    torch.testing.assert_close(derivative(model, "determinant", "F", F=R2(F)), cofactor)


# --- tables -------------------------------------------------------------------------------------------------


def test_batched_tables_have_their_own_values_at_each_point():
    X = torch.tensor([[0.0, 1.0, 2.0], [0.0, 2.0, 4.0]], dtype=torch.float64)
    Y = torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64)
    model = models.ScalarLinearInterpolation(argument="x", output="y", abscissa=Scalar(X), ordinate=Scalar(Y))
    assert model(Scalar(1.5)).data.tolist() == [2.5, 0.75]
    assert model.batch_shape(model.typed_inputs({"x": 1.5})) == (2,)
    # a sub-batch of the argument stays apart from the batch of the table
    y = model(Scalar(torch.tensor([1.5, 1.0, -1.0], dtype=torch.float64), sub_batch_ndim=1))
    assert y.sub_batch_ndim == 1
    assert y.data.tolist() == [[2.5, 1.0, -1.0], [0.75, 0.5, -0.5]]
    slopes = derivative(model, "y", "x", x=1.5)
    assert slopes.tolist() == [3.0, 0.5]


def test_derivatives_with_respect_to_a_table():
    model = models.ScalarLinearInterpolation(
        argument="x", output="y", abscissa=[0.0, 1.0, 3.0], ordinate=[0.0, 2.0, 0.0]
    )
    _, blocks = model.param_jacobian({"x": Scalar([0.25, 2.0])})
    assert blocks["y"]["ordinate"].tolist() == [[0.75, 0.25, 0.0], [0.0, 0.5, 0.5]]
    assert blocks["y"]["abscissa"].tolist() == [[-1.5, -0.5, 0.0], [0.0, 0.5, 0.5]]


def test_bilinear_table_reproduces_a_bilinear_function_everywhere():
    X1, X2 = torch.tensor([0.0, 1.0, 2.5]).double(), torch.tensor([-1.0, 0.0, 2.0, 3.0]).double()
    v = torch.tensor([1.0, -2.0, 0.5]).double()
    f = lambda p, q: 2.0 + p - 3.0 * q + 0.5 * p * q  # noqa: E731
    model = models.VecBilinearInterpolation(
        argument1="p", argument2="q", output="y",
        abscissa1=Scalar(X1), abscissa2=Scalar(X2), ordinate=Vec(f(X1[:, None], X2)[..., None] * v),
    )  # fmt: skip
    p, q = torch.tensor([-1.0, 0.3, 2.4, 9.0]).double(), torch.tensor([4.0, -0.5, 0.1, -7.0]).double()
    torch.testing.assert_close(model(Scalar(p), Scalar(q)).data, f(p, q)[..., None] * v)


# --- time integration and reductions ------------------------------------------------------------------------


def test_derived_names_follow_the_variable_and_can_be_overridden():
    model = models.SR2BackwardEulerTimeIntegration(variable="Ee", time="s")
    assert list(model.input_spec) == ["Ee", "Ee~1", "s", "s~1", "Ee_rate"]
    assert list(model.output_spec) == ["Ee_residual"]
    model = models.SR2BackwardEulerTimeIntegration(variable="Ee", rate="D", variable_residual="r")
    assert list(model.input_spec) == ["Ee", "Ee~1", "t", "t~1", "D"]
    assert list(model.output_spec) == ["r"]
    model = models.R2ForwardEulerTimeIntegration(variable="F", old_variable="F0")
    assert list(model.input_spec) == ["F0", "t", "t~1", "F_rate"]
    model = models.VecVariableRate(variable="u", variable_rate="v")
    assert list(model.input_spec) == ["u", "u~1", "t", "t~1"]
    assert list(model.output_spec) == ["v"]


def test_exponential_integrators_turn_by_the_angle_of_the_spin():
    model = models.WR2ExplicitExponentialTimeIntegration(variable="q")
    matrix = models.RotationMatrix(**{"from": "q", "to": "R"})
    q = torch.zeros(3, dtype=torch.float64)
    spin = torch.tensor([0.3, -0.4, 1.2], dtype=torch.float64)  # |spin| = 1.3
    for _ in range(10):  # ten steps of a tenth are one turn by 1.3
        out = model.call_by_name({"q~1": q, "t": 0.1, "t~1": 0.0, "q_rate": spin})["q"]
        q = out.data
    R = matrix(out).data
    assert R.trace().item() == pytest.approx(1 + 2 * math.cos(1.3))
    torch.testing.assert_close(R @ spin, spin)


def test_reductions_remove_their_axis():
    x = torch.arange(4 * 3 * 6, dtype=torch.float64).reshape(4, 3, 6)
    for dim in (0, 1, -1, -2):
        model = models.SR2DynamicSum(dim=dim)
        torch.testing.assert_close(model(SR2(x)).data, x.sum(dim - 1 if dim < 0 else dim))
    for tagged in (0, 1, 2):
        mean = models.SR2IntermediateMean(reduces="grain")(SR2(x, tagged))
        assert mean.sub_batch_ndim == 0
        torch.testing.assert_close(mean.data, x.mean(1))


def test_a_mean_over_the_batch_has_no_jacobian_per_point():
    model = models.SR2DynamicMean(dim=0)
    x = {"from": SR2(torch.ones(4, 6, dtype=torch.float64))}
    with pytest.raises(ValueError, match="combines points and has no Jacobian per point"):
        model.jacobian(x)
    _, along = model.jvp(x, {"from": torch.ones(4, 6, dtype=torch.float64)})
    assert along["to"].data.tolist() == [1.0] * 6


def test_models_are_attributes_by_name():
    assert models.CopySR2.__name__ == "CopySR2"
    assert "CopySR2" in dir(models)
    with pytest.raises(AttributeError, match="did you mean 'CopySR2'"):
        _ = models.CopySr2
