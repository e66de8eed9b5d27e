"""Constants and limits in derivatives."""

from __future__ import annotations

import math

import pytest
import torch

from neml2.models.common._held import held, limited
from neml2.types import Scalar

EPS = torch.finfo(torch.float64).eps


def at(function, x):
    """Value and slope, in float64."""
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    y = function(Scalar(x)).data
    (slope,) = torch.autograd.grad(y.sum(), x)
    return y.detach(), slope


def test_held_values_do_not_change_and_have_no_slope():
    x = [-2.7, -1.0, -1 / 3, 0.0, EPS, 1 / 3, 1 - EPS, 1.0, 1e5 / 7]
    value, slope = at(held, x)
    assert value.tolist() == x
    assert not slope.any()


def test_small_held_values_are_right_to_1e_18():
    x = [1e-3 / 7, -1e-9 / 3, 1e-20]
    assert at(held, x)[0].tolist() == pytest.approx(x, rel=0, abs=1e-18)


def test_limits_keep_the_slope():
    x = [-0.2, 0.0, EPS / 2, EPS, 1 / 3, 1 - EPS, 1.0, 1.2]
    value, slope = at(lambda x: limited(x, EPS, 1 - EPS), x)
    assert value.tolist() == [EPS, EPS, EPS, EPS, 1 / 3, 1 - EPS, 1 - EPS, 1 - EPS]
    assert slope.tolist() == [1.0] * len(x)


def test_values_within_the_limits_are_untouched():
    x = torch.rand(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) ** 9
    value, _ = at(lambda x: limited(x, hi=1 - EPS), x.tolist())
    torch.testing.assert_close(value, x, rtol=1e-15, atol=1e-300)


def test_a_nan_is_seen():
    assert math.isnan(held(Scalar(math.nan)).data)
    assert math.isnan(limited(Scalar(math.nan), 0.0, 1.0).data)
