"""Construction, conversion, immutability, copying, factories."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch.utils import _pytree

from neml2.types import (
    MRP,
    R2,
    SR2,
    SSR4,
    WR2,
    MillerIndex,
    PrimitiveTensor,
    Quaternion,
    Scalar,
    TensorWrapper,
    Vec,
    align_sub_batch,
)

TYPES = (Scalar, Vec, R2, SR2, WR2, SSR4, MRP, Quaternion, MillerIndex)
each_type = pytest.mark.parametrize("cls", TYPES)


@each_type
def test_shapes(cls):
    x = cls(torch.zeros(4, 2, 3, *cls.BASE_SHAPE), 1)
    assert (x.batch_shape, x.dynamic_batch_shape, x.sub_batch_shape) == ((4, 2, 3), (4, 2), (3,))
    assert x.base_shape == cls.BASE_SHAPE
    assert len(cls.BASE_SHAPE) == cls.BASE_NDIM
    assert x.ndim == 3 + cls.BASE_NDIM
    assert len(cls.COMPONENTS) == torch.Size(cls.BASE_SHAPE).numel()
    assert issubclass(cls, PrimitiveTensor)
    assert x.materialize() is x


@each_type
def test_numbers_lists_and_arrays_become_float64(cls):
    array = np.ones((2, *cls.BASE_SHAPE), dtype=np.float32)
    for data in (array, array.tolist()):
        assert cls(data).dtype == torch.float64
        assert cls(data, dtype=torch.float32).dtype == torch.float32
    assert Scalar(3).dtype == torch.float64
    assert Scalar(torch.ones(2, dtype=torch.int64)).dtype == torch.int64


def test_an_array_is_copied():
    array = np.zeros(3)
    v = Vec(array)
    array[0] = 1.0
    assert v.data[0] == 0.0


@each_type
def test_factories_are_float64(cls):
    for x in (cls.zeros(2), cls.ones(2), cls.full(2, fill_value=3.0), cls.empty(2), cls.zeros((2,))):
        assert x.dtype == torch.float64
        assert x.batch_shape == (2,)
    assert cls.zeros().batch_shape == ()
    assert cls.zeros(dtype=torch.float32).dtype == torch.float32
    n = len(cls.COMPONENTS)
    assert torch.equal(cls.__mro__[0].ones().data.flatten(), torch.ones(n, dtype=torch.float64))
    template = SR2(torch.zeros(5, 3, 6, dtype=torch.float32), 1)
    like = cls.zeros_like(template)
    assert (like.dynamic_batch_shape, like.sub_batch_shape, like.dtype) == ((5,), (3,), torch.float32)
    assert cls.zeros_like(template, sub_batch_shape=(7, 2)).sub_batch_shape == (7, 2)


def test_fill():
    assert R2.fill(*range(9)).data.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert SR2.fill(2.0).data.tolist() == [2, 2, 2, 0, 0, 0]
    assert SR2.fill(1, 2, 3).data.tolist() == [1, 2, 3, 0, 0, 0]
    assert SR2.fill(1, 2, 3, 4, 5, 6).physical().tolist() == pytest.approx([1, 2, 3, 4, 5, 6])
    assert Vec.fill(1, 2, 3, dtype=torch.float32).dtype == torch.float32
    assert Vec.fill(1.0, Scalar([1.0, 2.0], 1), 3).sub_batch_shape == (2,)
    for cls, count in ((SR2, 2), (Vec, 2), (R2, 3), (SSR4, 6)):
        with pytest.raises(ValueError, match="components; give"):
            cls.fill(*[0.0] * count)
    with pytest.raises(TypeError, match=r"wrap it as Scalar"):
        Vec.fill("1", 2, 3)


def test_identities():
    a = SR2.fill(1, 2, 3, 4, 5, 6)
    assert torch.equal((SSR4.identity() @ a).data, SR2.fill(6.0).data)
    assert torch.equal((SSR4.identity_sym() @ a).data, a.data)
    assert torch.allclose((SSR4.identity_vol() @ a).data, SR2.fill(2.0).data)
    assert torch.allclose((SSR4.identity_dev() @ a).data, (a - SR2.fill(2.0)).data)
    total = SSR4.identity_C1() + SSR4.identity_C2()
    assert torch.equal(total.data, SSR4.identity().data)
    assert torch.equal((SSR4.identity_C1() + SSR4.identity_C3()).data, torch.eye(6, dtype=torch.float64))
    assert SR2.identity().data.tolist() == [1, 1, 1, 0, 0, 0]
    assert R2.identity().data.tolist() == torch.eye(3).tolist()
    assert WR2.identity().data.tolist() == MRP.identity().data.tolist() == [0, 0, 0]
    assert Quaternion.identity().data.tolist() == [1, 0, 0, 0]


def test_scalar_factories():
    assert Scalar.arange(3).data.tolist() == [0, 1, 2]
    assert Scalar.arange(1, 2, 0.5).data.tolist() == [1, 1.5]
    assert Scalar.from_value(2, like=SR2.zeros(dtype=torch.float32)).dtype == torch.float32


@each_type
def test_physical_components_round_trip(cls):
    x = torch.rand(2, *cls.BASE_SHAPE, dtype=torch.float64)
    assert torch.allclose(cls.from_physical(x).physical(), x)
    assert cls.from_physical(x, 1).sub_batch_ndim == 1


def test_physical_stiffness_acts_on_physical_strain():
    C, e = torch.rand(6, 6, dtype=torch.float64), torch.rand(6, dtype=torch.float64)
    double = torch.tensor([1.0, 1, 1, 2, 2, 2], dtype=torch.float64)
    stress = SSR4.from_physical(C) @ SR2.from_physical(e)
    assert torch.allclose(stress.physical(), C @ (double * e))


def test_labels_agree_with_full_tensors():
    assert SR2.COMPONENTS == ("xx", "yy", "zz", "yz", "xz", "xy")
    assert R2.COMPONENTS[1] == "xy"
    assert SSR4.COMPONENTS[1] == "xxyy"
    assert Scalar.COMPONENTS == ("",)


@each_type
def test_repr(cls):
    assert repr(cls.zeros()).startswith(f"{cls.__name__}(data=tensor(")
    assert repr(Scalar(2.5)) == "Scalar(data=tensor(2.5000, dtype=torch.float64), sub_batch_ndim=0)"


def test_wrapping_again():
    x = Scalar([1.0, 2.0], 1)
    assert Scalar(x) is x
    assert Scalar(x, 1) is x
    assert Scalar(x, dtype=torch.float32).sub_batch_ndim == 1
    with pytest.raises(ValueError, match="with_sub_batch_ndim"):
        Scalar(x, 0)
    with pytest.raises(TypeError, match="Cannot wrap a SR2 as a Scalar"):
        Scalar(SR2.zeros())
    assert x.with_sub_batch_ndim(0).dynamic_batch_shape == (2,)


def test_a_parameter_stays_itself():
    p = torch.nn.Parameter(torch.ones(3))
    assert Vec(p).data is p
    assert Vec(p).requires_grad
    assert not Vec(p).detach().requires_grad


def test_identity_and_immutability():
    a, b = Scalar(1.0), Scalar(1.0)
    assert a != b and a == a and len({a, b}) == 2
    with pytest.raises(AttributeError, match="immutable"):
        a.data = torch.ones(())
    with pytest.raises(AttributeError, match="immutable"):
        a.other = 1
    with pytest.raises(AttributeError, match="immutable"):
        del a.data
    for action in (lambda: a[0], lambda: len(a), lambda: float(a), lambda: a < b, lambda: a >= b):
        with pytest.raises(TypeError):
            action()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: SR2(torch.zeros(5)), ValueError, r"shape \(5,\).*base shape \(6,\)"),
        (lambda: R2(torch.zeros(3)), ValueError, r"base shape \(3, 3\)"),
        (lambda: Scalar(torch.zeros(2), 2), ValueError, "only 1 batch axes"),
        (lambda: Scalar(1.0, -1), ValueError, "non-negative"),
        (lambda: Scalar(1.0, 1.5), TypeError, "non-negative int"),
        (lambda: Scalar("1"), TypeError, "got a str"),
        (lambda: Scalar(None), TypeError, "got a NoneType"),
        (lambda: Scalar([[1.0], [1.0, 2.0]]), ValueError, "equal lengths"),
        (lambda: TensorWrapper(torch.zeros(3)), TypeError, "abstract"),
        (lambda: Vec.zeros(2.0), TypeError, "Sizes are ints"),
        (lambda: Vec.zeros_like(torch.zeros(3)), TypeError, "typed value"),
    ],
)
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()


@each_type
def test_pytree_and_copies(cls):
    x = cls.zeros_like(Scalar(torch.zeros(4, 2, dtype=torch.float64), 1))
    leaves, spec = _pytree.tree_flatten({"x": x})
    assert len(leaves) == 1 and leaves[0] is x.data
    y = _pytree.tree_unflatten([leaves[0] + 1], spec)["x"]
    assert type(y) is cls and y.sub_batch_ndim == 1
    assert _pytree.tree_structure(cls.zeros()) != _pytree.tree_structure(x if x.sub_batch_ndim else y)
    for z in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), copy.copy(x), x.clone()):
        assert type(z) is cls and z.sub_batch_ndim == 1 and torch.equal(z.data, x.data)


def test_vmap_over_a_typed_value():
    out = torch.func.vmap(lambda s: (s * s).data)(Scalar([1.0, 2.0, 3.0]))
    assert out.tolist() == [1, 4, 9]


def test_to():
    x = SR2.zeros(2)
    assert x.to(torch.float64) is x
    assert x.to(dtype=torch.float32).dtype == torch.float32
    assert x.device == torch.device("cpu")


def test_align_sub_batch():
    a, b = Scalar(torch.zeros(5, 3), 1), SR2(torch.zeros(5, 2, 3, 6), 2)
    (x, y), rank = align_sub_batch(a, b)
    assert rank == x.sub_batch_ndim == y.sub_batch_ndim == 2
    assert x.shape == (5, 1, 3)
    assert y is b
