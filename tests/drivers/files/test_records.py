import h5py
import pytest
import torch
import xarray

from neml2.drivers.control.control import Control
from neml2.drivers.files.records import read_record, write_record
from neml2.types import R2, SR2, Scalar


@pytest.fixture
def record():
    generator = torch.Generator().manual_seed(2)
    stress = torch.randn(4, 3, 6, dtype=torch.float64, generator=generator)
    return {
        "text": "a line\nand another",
        "none": None,
        "yes": True,
        "numbers": [1, 2.5, float("inf")],
        "tensor": stress,
        "half": torch.ones(3, dtype=torch.float32),
        "counts": torch.arange(5),
        "scalar": torch.tensor(0.1, dtype=torch.float64),
        "mask": torch.tensor([True, False]),
        "typed": {"a/b": SR2(stress), "a.b": Scalar(stress, 1), "size_6": R2(torch.eye(3))},
        "wide": stress[:, :1, :1].expand(4, 1000, 7),
        "control": Control(stress, stress, stress, stress, torch.arange(4)),
        "empty": {},
    }


def same(a, b):
    assert type(a) is type(b), (a, b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif hasattr(a, "sub_batch_ndim"):
        assert a.sub_batch_ndim == b.sub_batch_ndim
        same(a.data, b.data)
    elif isinstance(a, Control):
        same(vars(a), vars(b))
    else:
        assert a == b


def test_back_to_the_same_bits(record, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        write_record(file.create_group("history"), record)
    with h5py.File(tmp_path / "x.h5") as file:
        same(read_record(file["history"]), record)
        assert file["history/wide"].shape == (4, 1, 1)  # what does not vary is there once
        assert file["history/typed/a.b"].attrs["notation"] == "stored"
        with pytest.raises(KeyError):
            file["history/none"]


def test_plain_xarray_opens_records(record, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        write_record(file.create_group("history"), record)
    with xarray.open_dataset(tmp_path / "x.h5", group="history", engine="h5netcdf") as dataset:
        assert dataset["tensor"].shape == (4, 3, 6)
