import math

import numpy as np
import pytest
import torch

from neml2.drivers.results.layout import (
    KINDS,
    Column,
    disk_names,
    from_column,
    from_disk,
    mandel_factors,
    sub_batch_dims,
    to_column,
    to_disk,
)
from neml2.types import R2, SR2, SSR4, Scalar


def random(kind, *batch, dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(*batch, *kind.BASE_SHAPE, dtype=dtype, generator=generator)


@pytest.mark.parametrize("name", sorted(KINDS))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_round_trip_to_one_unit_in_the_last_place(name, dtype):
    kind = KINDS[name]
    value = kind(random(kind, 500, 3, dtype=dtype), 1)
    again = from_disk(kind, to_disk(value), 1)
    assert again.sub_batch_ndim == 1
    a, b = value.data.numpy(), again.data.numpy()
    if mandel_factors(kind, value.data) is None:
        assert np.array_equal(a, b)
    else:
        assert (np.abs(a - b) <= np.spacing(np.abs(a))).all()


def test_components_on_disk_are_physical():
    stress = SR2.fill(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    np.testing.assert_allclose(to_disk(stress).numpy(), [1, 2, 3, 4, 5, 6], rtol=1e-15)
    stiffness = SSR4.identity_sym()
    physical = to_disk(stiffness).reshape(6, 6)
    assert physical[0, 0] == 1.0
    assert physical[3, 3] == 0.5
    assert mandel_factors(SSR4, stiffness.data).reshape(6, 6)[0, 3] == math.sqrt(2.0)


def test_dimensions_where_a_value_changes():
    value = R2(random(R2, 4, 1, 3))
    column = to_column("F", value, (5, 3), {})
    assert column.dims == ("step", "batch_1", "component_R2")
    assert column.data.shape == (4, 3, 9)
    again = from_column(column, ("batch_0", "batch_1"), "test")
    assert again.shape == (4, 3, 3, 3)
    assert torch.equal(again.data, value.data[:, 0])
    outer = R2(random(R2, 4, 5, 1))
    column = to_column("F", outer, (5, 3), {})
    assert column.dims == ("step", "batch_0", "component_R2")
    assert torch.equal(from_column(column, ("batch_0", "batch_1"), "test").data, outer.data)


def test_sub_batch_dimensions_are_named_by_size():
    assert sub_batch_dims((12, 4, 12)) == ("sub_batch_12", "sub_batch_4", "sub_batch_12_again")
    value = Scalar(random(Scalar, 2, 12, 12), 2)
    column = to_column("h", value, (), {})
    assert column.dims == ("step", "sub_batch_12", "sub_batch_12_again")
    assert from_column(column, (), "test").sub_batch_ndim == 2


def test_names_on_disk_are_unique():
    assert disk_names(["a/b", "a.b", "status", "x"], ["status"]) == {
        "a/b": "a.b",
        "a.b": "a.b_",
        "status": "status_",
        "x": "x",
    }


@pytest.mark.parametrize(
    ("dims", "shape", "attrs", "message"),
    [
        (("step",), (3,), {"tensor": "SR3"}, "no tensor type"),
        (("step",), (3,), {"tensor": "SR2"}, "ends in"),
        (("step", "component"), (3, 5), {"tensor": "SR2"}, "5 components"),
        (("batch", "step"), (2, 3), {"tensor": "Scalar"}, "expected"),
        (("step", "foo"), (3, 2), {"tensor": "Scalar"}, "expected"),
    ],
)
def test_columns_that_make_no_value(dims, shape, attrs, message):
    with pytest.raises(ValueError, match=message):
        from_column(Column("v", dims, np.zeros(shape), attrs), ("batch",), "file.h5")
