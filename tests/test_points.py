import pytest
import torch

from neml2.composed import ComposedModel
from neml2.context import Context
from neml2.points import put, put_data, take, take_data, take_parameters
from neml2.types import Scalar, Vec
from tests.small_models import F64, Coupled, Spring

BATCH = torch.Size((2, 3))
INDEX = torch.tensor([4, 0])


@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (3,), (2, 1)])
def test_take_counts_points_of_the_broadcast_batch(shape):
    data = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
    expected = data.expand(BATCH).flatten()[INDEX]
    assert torch.equal(take_data(data, len(shape), BATCH, INDEX), expected)
    assert torch.equal(take(Scalar(data), BATCH, INDEX).data, expected)


def test_what_is_the_same_for_all_points_stays():
    v = Vec(torch.zeros(4, 3), 1)
    assert take(v, BATCH, INDEX).data is v.data


def test_put_is_the_inverse():
    value = Vec(torch.randn(2, 3, 4, 3), 1)
    new = Vec(torch.randn(2, 4, 3), 1)
    found = put(value, BATCH, INDEX, new)
    assert torch.equal(take(found, BATCH, INDEX).data, new.data)
    rest = torch.tensor([1, 2, 3, 5])
    assert torch.equal(take(found, BATCH, rest).data, take(value, BATCH, rest).data)
    assert put_data(torch.zeros(2, 3), INDEX, torch.tensor([7.0, 8.0])).tolist() == [[8, 0, 0], [0, 7, 0]]


def test_taking_and_putting_are_differentiable():
    data = torch.randn(2, 3, dtype=F64, requires_grad=True)

    def function(x):
        few = take(Scalar(x), BATCH, INDEX)
        return put(Scalar(x * 2.0), BATCH, INDEX, few * few).data

    assert torch.autograd.gradcheck(function, [data])


def test_batched_parameters_are_taken_and_others_are_not():
    model = ComposedModel([Spring(k=torch.arange(3.0, dtype=F64), name="spring"), Coupled(name="coupled")])
    context = take_parameters(model, Context(), BATCH, INDEX)
    assert context.value_of(model.spring.k.data).tolist() == [1.0, 0.0]
    assert context.value_of(model.coupled.w.data) is model.coupled.w.data
