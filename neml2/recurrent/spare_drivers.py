"""Drivers that are kept with their kernels for the next fit: tracing a model takes longer than many a fit."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import torch

from neml2.drivers.transient import TransientDriver

Structure = tuple[str, tuple[type, ...]]

_MOST = 8  # idle drivers of all models together: a kernel of a large model takes some tens of megabytes
_idle: list[tuple[Structure, TransientDriver]] = []  # the one that was used last is last
_lock = threading.Lock()


def structure(driver: TransientDriver) -> Structure | None:
    """Everything but the values of parameters that makes the kernels of a driver, as a key.

    ``None`` says that the model cannot be pickled, as one whose class is defined in a function, so that
    nothing is kept.
    """
    text = io.BytesIO()
    try:
        _Text(text).dump((driver.model, driver.time, driver.max_substeps, driver.strain, driver.stress))
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    # The classes as well: one that is defined again in a notebook has the same name in the text.
    return hashlib.sha256(text.getvalue()).hexdigest(), tuple(type(m) for m in driver.model.modules())


class _Text(pickle.Pickler):
    """Writes what is compared and never read: tensors by their values, parameters by their shapes."""

    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, torch.Tensor):
            values = "" if isinstance(obj, torch.nn.Parameter) else str(obj.detach().tolist())
            return str, (f"{obj.dtype} {tuple(obj.shape)} {obj.device} {values}",)
        return NotImplemented


@contextlib.contextmanager
def lent(driver: TransientDriver, key: Structure | None) -> Iterator[TransientDriver]:
    """A twin of ``driver``, with its options and parameters, for one user at a time.

    It is one that was used before where there is one with this ``key``, the :func:`structure` of ``driver``.
    """
    twin = _taken(key) or copy.deepcopy(driver)
    twin.engine, twin.on_failure = driver.engine, driver.on_failure
    with torch.no_grad():
        for own, its in zip(driver.model.parameters(), twin.model.parameters(), strict=True):
            its.copy_(own)
            its.requires_grad_(own.requires_grad)
            its.grad = None
    try:
        yield twin
    finally:
        if key is not None:
            with _lock:
                _idle.append((key, twin))
                del _idle[:-_MOST]


def _taken(key: Structure | None) -> TransientDriver | None:
    with _lock:
        for i in reversed(range(len(_idle))):
            if _idle[i][0] == key:
                return _idle.pop(i)[1]
    return None
