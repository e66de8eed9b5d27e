"""The rotations of crystal classes are groups of the right order and contain the right axes."""

from __future__ import annotations

import pytest
import torch

from neml2 import ops
from neml2.types.symmetry import symmetry

ORDERS = {"432": 24, "23": 12, "622": 12, "32": 6, "6": 6, "3": 3, "42": 8, "4": 4, "222": 4, "2": 2, "1": 1}


@pytest.mark.parametrize(("orbifold", "order"), ORDERS.items())
def test_operators_are_a_group(orbifold, order):
    operators = symmetry(orbifold).data
    assert operators.shape == (order, 3, 3)
    torch.testing.assert_close(
        operators @ operators.mT, torch.eye(3, dtype=torch.float64).expand(order, 3, 3)
    )
    torch.testing.assert_close(torch.linalg.det(operators), torch.ones(order, dtype=torch.float64))
    assert torch.equal(operators[0], torch.eye(3, dtype=torch.float64))
    products = torch.einsum("aij,bjk->abik", operators, operators)
    same = (products[:, :, None] - operators).abs().amax((-1, -2)) < 1e-12
    assert bool((same.sum(-1) == 1).all()), "every product is one of the operators"
    assert bool((same.any(0).sum(0) == order).all()), "and every operator is met once from each"


@pytest.mark.parametrize(
    ("orbifold", "subgroup"), [("432", "23"), ("432", "222"), ("622", "32"), ("622", "6")]
)
def test_subgroups(orbifold, subgroup):
    whole, part = symmetry(orbifold).data, symmetry(subgroup).data
    assert bool(((part[:, None] - whole).abs().amax((-1, -2)) < 1e-12).any(-1).all())


@pytest.mark.parametrize(
    ("orbifold", "axis", "fold"),
    [
        ("6", "z", 6),
        ("3", "z", 3),
        ("4", "z", 4),
        ("2", "y", 2),
        ("432", "x", 4),
        ("622", "z", 6),
        ("42", "z", 4),
    ],
)
def test_main_axis(orbifold, axis, fold):
    direction = torch.eye(3, dtype=torch.float64)["xyz".index(axis)]
    kept = ((symmetry(orbifold).data @ direction - direction).abs().amax(-1) < 1e-12).sum()
    assert int(kept) == fold


def test_entries_that_are_zero_are_exactly_zero():
    assert set(symmetry("432").data.abs().flatten().tolist()) == {0.0, 1.0}


def test_dtype_and_errors():
    operators = ops.symmetry("432", dtype=torch.float32)
    assert operators.dtype == torch.float32 and operators.sub_batch_ndim == 1
    with pytest.raises(ValueError, match=r"no crystal class '423'; give one of 432, 23"):
        symmetry("423")
