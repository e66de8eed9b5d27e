"""What all tests share: a folder for compiled kernels, one thread of torch for each worker, and Ctrl-C."""

from __future__ import annotations

import os
import signal

import pytest
import torch


def pytest_configure():
    """A shell lets jobs in the background ignore Ctrl-C, which is what some tests send."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
