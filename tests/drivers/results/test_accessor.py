import numpy as np
import pytest
import torch
import xarray

import neml2.drivers.results.accessor  # noqa: F401
from neml2.drivers.results.derived import (
    equivalent_strain,
    hydrostatic,
    magnitude,
    principal,
    trace,
    von_mises,
)
from neml2.types import R2, SR2


@pytest.fixture
def stress():
    values = torch.randn(4, 2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    array = xarray.DataArray(
        values.numpy(),
        dims=("step", "batch", "component"),
        coords={"component": list(SR2.COMPONENTS)},
        attrs={"units": "stress"},
        name="stress",
    )
    return array, SR2.from_physical(values)


def test_the_same_as_of_typed_tensors(stress):
    array, typed = stress
    pairs = [
        (array.neml2.von_mises(), von_mises),
        (array.neml2.equivalent_strain(), equivalent_strain),
        (array.neml2.trace(), trace),
        (array.neml2.mean(), hydrostatic),
        (array.neml2.norm(), magnitude),
        (array.neml2.principal(), principal),
    ]
    for found, function in pairs:
        np.testing.assert_allclose(found.values, function(typed).data.numpy(), rtol=1e-12, atol=1e-14)
        assert found.dims[:2] == ("step", "batch")
        assert found.attrs == {"units": "stress"}
    np.testing.assert_allclose(array.neml2.mandel().values, typed.data.numpy(), rtol=1e-15)
    assert array.neml2.principal().principal.values.tolist() == [1, 2, 3]


def test_matrix_deviator_and_components(stress):
    array, _ = stress
    matrix = array.neml2.to_matrix()
    assert matrix.dims == ("step", "batch", "row", "column")
    np.testing.assert_array_equal(matrix, matrix.transpose("step", "batch", "column", "row"))
    np.testing.assert_array_equal(matrix.sel(row="x", column="z"), array.sel(component="xz"))
    np.testing.assert_array_equal(array.neml2.component("zy"), array.sel(component="yz"))
    deviator = array.neml2.deviator()
    assert list(deviator.component.values) == list(SR2.COMPONENTS)
    np.testing.assert_allclose(deviator.neml2.trace(), 0.0, atol=1e-15)
    np.testing.assert_allclose(deviator.neml2.norm() * np.sqrt(1.5), array.neml2.von_mises(), rtol=1e-12)
    part = array.sel(batch=1).to_dataset()
    np.testing.assert_array_equal(part.stress.neml2.trace(), array.neml2.trace()[:, 1])


def test_general_tensors():
    values = np.arange(18.0).reshape(2, 9)
    F = xarray.DataArray(values, dims=("step", "component_R2"), coords={"component_R2": list(R2.COMPONENTS)})
    np.testing.assert_array_equal(F.neml2.to_matrix().values, values.reshape(2, 3, 3))
    np.testing.assert_allclose(F.neml2.norm(), np.linalg.norm(values, axis=1))
    np.testing.assert_array_equal(F.neml2.trace(), values[:, [0, 4, 8]].sum(1))
    np.testing.assert_array_equal(F.neml2.component("yx"), values[:, 3])
    for name in ("principal", "mandel"):
        with pytest.raises(ValueError, match="not symmetric"):
            getattr(F.neml2, name)()


def test_what_is_no_tensor(stress):
    array, _ = stress
    with pytest.raises(ValueError, match="no component 'xq' .xx, yy, zz"):
        array.neml2.component("xq")
    for odd in (array.isel(component=0), array.isel(component=[0, 1]), array.sum("component")):
        with pytest.raises(ValueError, match="no components of a second-order tensor"):
            odd.neml2.trace()
