import copy
import pickle

import pytest
import torch

import neml2
from neml2.composed import ComposedModel
from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import SR2, Scalar
from tests.small_models import F64, Elastic, Spring, scalar


class Scaled(Model):
    """``y = k x`` with a factor between 0 and 10."""

    x: Scalar = Input("x")
    y: Scalar = Output("y")
    k: Scalar = Parameter("factor", "Factor", default=2.0, within="(0, 10)")

    def forward(self, x, k):
        return k * x


def test_a_misspelt_parameter_is_not_a_new_attribute():
    model = Elastic(youngs_modulus=200e3, poissons_ratio=0.3, name="elasticity")
    with pytest.raises(
        AttributeError, match=r"no parameter 'nuu'; did you mean 'nu'\? \(parameters: E, nu\)"
    ):
        model.nuu = 0.3
    with pytest.raises(AttributeError, match="no parameter 'youngs_modulus'; did you mean 'E'"):
        model.youngs_modulus = torch.nn.Parameter(torch.tensor(1.0, dtype=F64))
    with pytest.raises(AttributeError, match="no parameter 'stiffness'"):
        model.stiffness = Scalar(1.0)
    model.remark = "from the second test"  # whatever is no value
    whole = ComposedModel([model])
    with pytest.raises(AttributeError, match="no parameter 'E'; did you mean 'elasticity.E'"):
        whole.E = 100.0
    again = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    with pytest.raises(AttributeError, match="no parameter 'nuu'"):
        again.nuu = 0.3


def test_a_constructor_of_its_own_may_add_parameters():
    class Network(Model):
        x: Scalar = Input("x")
        y: Scalar = Output("y")

        def __init__(self, **given):
            super().__init__(**given)
            self.weight = torch.nn.Parameter(torch.tensor(2.0, dtype=F64))

        def forward(self, x):
            return x * Scalar(self.weight)

    assert [n for n, _ in Network().named_parameters()] == ["weight"]
    assert float(Network()(3.0).data.detach()) == 6.0


@pytest.mark.parametrize("value", [float("nan"), 11.0, 0.0, torch.tensor([1.0, -1.0], dtype=F64)])
def test_new_values_are_checked_like_the_first(value):
    model = Scaled()
    with pytest.raises(ValueError, match="k is .*, (outside its range|which is not a finite number)"):
        model.set_parameter("k", value)
    with pytest.raises(ValueError, match="k is .*, (outside its range|which is not a finite number)"):
        model.k = value
    assert model.k.data.item() == 2.0


def test_numbers_take_the_dtype_of_the_model():
    model = Scaled().to(torch.float32)
    model.k = 3.0
    assert model.k.data.dtype is torch.float32
    assert model(2.0).data.dtype is torch.float32
    assert model.call_by_name({"x": [1.0, 2.0]})["y"].data.tolist() == [3.0, 6.0]
    spring = Spring(k=1.0).to(torch.float32)
    assert spring(torch.tensor([1.0, 2.0]), 3).data.dtype is torch.float32
    free = neml2.models.ScalarMultiplication(**{"from": "a b", "scaling": "c"})
    out = free.call_by_name({"a": torch.tensor(2.0, dtype=torch.float32), "b": 3, "c": 1.5})
    assert out["to"].data.dtype is torch.float32 and out["to"].data.item() == 9.0


def test_calls_that_cannot_be():
    model = Scaled(factor=torch.tensor([1.0, 2.0, 3.0], dtype=F64))
    with pytest.raises(TypeError, match=r"by position \(x\); to give them by name use call_by_name"):
        model(x=scalar(1.0))
    message = r"batches do not broadcast to a common one: 'x' \(2,\), parameter 'k' \(3,\)"
    for call in (model.call_by_name, model.jacobian, model.param_jacobian):
        with pytest.raises(ValueError, match=message):
            call({"x": scalar(1.0, 2.0)})


def test_forward_takes_the_inputs_and_then_the_parameters():
    class Forgetful(Model):
        stress: SR2 = Input("Stress")
        out: Scalar = Output("Something")
        k: Scalar = Parameter("factor", "Factor")

        def forward(self, stress):
            return stress

    with pytest.raises(TypeError, match=r"forward takes \(stress\); .* forward\(self, stress, k\)"):
        Forgetful(factor=1.0)


def test_nothing_can_be_made_of_nothing():
    with pytest.raises(TypeError, match="factor is None; give numbers, a tensor or the name of a variable"):
        Scaled(factor=None)
