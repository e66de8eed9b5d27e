"""The contract finds what it is there to find: models with one thing wrong each fail the test for it."""

from __future__ import annotations

import pytest
import torch

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import Scalar
from tests.models import test_contract as contract
from tests.models.cases import Case


class _Sample(Model, abstract=True):
    """The sample y = a x^2."""

    x: Scalar = Input("The argument")
    y: Scalar = Output("The value")
    a: Scalar = Parameter("a", "The factor")


class ContractSample(_Sample):
    """The sample as it should be."""

    def forward(self, x, a):
        return a * x * x


class ForgetsADerivative(_Sample):
    """Does not see that the value depends on the parameter."""

    def forward(self, x, a):
        return Scalar(a.data.detach()) * x * x


class LooksAtTheNeighbours(_Sample):
    """Adds a little of the whole batch to each point."""

    def forward(self, x, a):
        return a * x * x + Scalar(x.data.detach().mean() * 1e-13)


class ForcesDoublePrecision(_Sample):
    """Computes in float64 whatever it is given."""

    def forward(self, x, a):
        return Scalar(a.data.double()) * Scalar(x.data.double()) * x


class DividesByZero(_Sample):
    """Has the right value and no derivative at zero."""

    def forward(self, x, a):
        return a * Scalar(torch.sqrt(x.data * x.data)) * x


class KeepsTheFirstValue(_Sample):
    """Remembers the first parameter that it sees, so that a change of it has no effect."""

    def setup(self):
        self.first = None

    def forward(self, x, a):
        self.first = Scalar(a.data.detach().clone()) if self.first is None else self.first
        return self.first * x * x


def case(cls: type[Model], x: float = 0.7, smooth: bool = True) -> Case:
    return Case(cls.__name__, {"a": 1.3}, {"x": x}, {"y": 1.3 * x * x}, smooth=smooth)


def test_the_sound_sample_passes():
    sound = case(ContractSample)
    contract.test_value(sound)
    for dtype in (torch.float32, torch.float64):
        contract.test_batches_and_dtypes(sound, dtype)
    contract.test_gradcheck_in_inputs_and_parameters(sound)
    contract.test_second_derivatives(sound)
    contract.test_derivative_is_the_limit_of_centred_differences(sound)
    contract.test_jacobian_is_that_of_autograd(sound)
    contract.test_a_point_is_the_same_alone_and_in_a_batch(sound)
    contract.test_copies(sound)


@pytest.mark.parametrize(
    "check",
    [
        contract.test_gradcheck_in_inputs_and_parameters,
        contract.test_derivative_is_the_limit_of_centred_differences,
    ],
)
def test_a_missing_derivative_is_found(check):
    with pytest.raises((AssertionError, RuntimeError)):
        check(case(ForgetsADerivative))


def test_a_point_that_depends_on_its_neighbours_is_found():
    with pytest.raises(AssertionError, match="differs|depends"):
        contract.test_a_point_is_the_same_alone_and_in_a_batch(case(LooksAtTheNeighbours))


def test_a_changed_dtype_is_found():
    with pytest.raises(AssertionError):
        contract.test_batches_and_dtypes(case(ForcesDoublePrecision), torch.float32)


def test_a_derivative_that_is_not_finite_is_found():
    with pytest.raises(AssertionError, match="nan"):
        contract.test_jacobian_is_that_of_autograd(case(DividesByZero, x=0.0, smooth=False))


def test_a_parameter_that_cannot_be_changed_is_found():
    with pytest.raises(AssertionError, match="does not follow"):
        contract.test_copies(case(KeepsTheFirstValue))


def test_a_model_without_a_case_is_found(monkeypatch):
    monkeypatch.setattr(contract, "CASES", [c for c in contract.CASES if c.type != "CopySR2"])
    with pytest.raises(AssertionError, match="CopySR2"):
        contract.test_every_model_of_the_catalogue_has_a_case()
