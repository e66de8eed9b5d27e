"""Values as users give them, as tensors; the time, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from neml2.types import TensorWrapper


def as_data(value: Any, what: str) -> torch.Tensor:
    """A tensor from a tensor (itself), a numpy array (in its dtype), a number or nested lists (float64)."""
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, TensorWrapper):
        return value.data
    _refuse_labels(value, what)
    if isinstance(value, np.ma.MaskedArray):  # what is masked is missing, whatever number lies below
        value = np.ma.filled(value.astype(np.result_type(value.dtype, np.float32)), np.nan)
    try:
        array = np.array(value)
        if array.dtype == object or array.dtype.kind not in "fiub":
            raise TypeError(f"an array of {array.dtype}")
        if array.dtype.kind == "u" or array.dtype.itemsize > 8:  # kinds that torch has not, or hardly
            array = array.astype(np.float64)
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{what} is a {type(value).__name__} ({error}); give a typed tensor, a torch tensor, a numpy"
            " array or"
            f" numbers in lists of equal lengths"
        ) from None


def is_a(value: Any, name: str) -> bool:
    """Whether ``value`` is a ``"package.Class"``, without importing the package."""
    return any(f"{c.__module__.partition('.')[0]}.{c.__name__}" == name for c in type(value).__mro__)


def _refuse_labels(value: Any, what: str) -> None:
    """:class:`TypeError` for components that carry names: they are physical, and raw arrays are not."""
    if is_a(value, "pandas.DataFrame"):
        kind, way, raw = "a pandas DataFrame", "the whole table to History.from_pandas", ".to_numpy()"
    elif is_a(value, "xarray.DataArray") and any(str(d).startswith("component") for d in value.dims):
        kind, way, raw = "an xarray DataArray of components", "its dataset to History.from_xarray", ".values"
    else:
        return
    raise TypeError(f"{what} is {kind}; give {way}, or {raw} if it holds stored (Mandel) components")


def check_time(time: torch.Tensor, lengths: torch.Tensor | None = None) -> None:
    """:class:`ValueError` unless the time is finite and increases from step to step, in rows that count."""
    if time.ndim == 0 or time.shape[0] == 0:
        raise ValueError(
            f"the time has shape {tuple(time.shape)}; give the time of every step, (n,) or (n, *batch)"
        )
    broken = (~time.isfinite()).nonzero()
    if len(broken):
        i = tuple(broken[0].tolist())
        raise ValueError(f"the time is {float(time[i]):g} at step {i[0]}{point(i[1:])}; it must be finite")
    stuck = time[1:] <= time[:-1]
    if lengths is not None:
        row = torch.arange(1, len(time)).reshape(-1, *(1,) * lengths.ndim)
        missing = (1,) * (lengths.ndim + 1 - stuck.ndim)  # of a clock that all specimens share
        stuck = stuck.reshape((*stuck.shape[:1], *missing, *stuck.shape[1:])) & (row < lengths)
    stuck = stuck.nonzero()
    if len(stuck):
        i = tuple(stuck[0].tolist())
        own = i[1 : time.ndim] if lengths is None or lengths.ndim < time.ndim else i[len(i) - time.ndim + 1 :]
        before, after = float(time[(i[0], *own)]), float(time[(i[0] + 1, *own)])
        raise ValueError(
            f"the time does not increase at step {i[0] + 1}{point(i[1:])}: {after:.12g} after {before:.12g};"
            f" every step needs a positive time increment"
        )


def point(index: tuple[int, ...], what: str = "point") -> str:
    """``", point 3"`` or ``", point (1, 2)"`` for messages; nothing without a batch."""
    return f", {what} {index[0] if len(index) == 1 else index}" if index else ""
