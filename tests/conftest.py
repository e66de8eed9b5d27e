"""What all tests share: a folder for compiled kernels, and one thread of torch for each worker."""

from __future__ import annotations

import os

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory):
    """Kernels of the tests go to a folder of their own, and are built once for all workers."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers
        torch.set_num_threads(1)
    folder = folder / "kernels"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEML2_CACHE", str(folder))
        yield folder
