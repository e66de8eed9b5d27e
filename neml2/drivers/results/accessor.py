"""Tensor methods of :class:`xarray.DataArray`: ``dataset.stress.neml2.von_mises()``.

For arrays with a dimension of physical components, as files and datasets of this library have: ``component``
(or any name that begins so) with the labels xx, yy, zz, yz, xz, xy of a symmetric tensor, or xx, xy, ..., zz
of a general one. Importing this module makes the methods known to xarray; :func:`~neml2.drivers.open_run` and
``Trajectory.to_xarray`` do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray

from neml2.registry import did_you_mean, listing
from neml2.types import R2, SR2

_SYMMETRIC, _GENERAL = SR2.COMPONENTS, R2.COMPONENTS
_PAIRS = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])  # the places of a symmetric tensor's entries
_TWICE = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])  # how often a component is in the matrix


@xarray.register_dataarray_accessor("neml2")
class TensorAccessor:
    """What follows from the components of a second-order tensor; each result keeps all other dimensions.

    Raises :class:`ValueError` for arrays without components of a second-order tensor.
    """

    def __init__(self, array: xarray.DataArray) -> None:
        self._array = array

    def component(self, name: str) -> xarray.DataArray:
        """One component, ``component("xy")``; either shear component of a symmetric tensor is the same."""
        dim, labels = self._tensor()
        if labels == _SYMMETRIC and name[::-1] in labels:
            name = name[::-1]
        if name not in labels:
            raise ValueError(
                f"{self._name()} has no component '{name}'{did_you_mean(name, labels)} ({listing(labels)})"
            )
        return self._array.isel({dim: labels.index(name)})

    def trace(self) -> xarray.DataArray:
        """The trace, xx + yy + zz."""
        return self._apply(_trace, 0)

    def mean(self) -> xarray.DataArray:
        """The mean of the normal components, a third of the trace: the hydrostatic stress."""
        return self._apply(lambda a: _trace(a) / 3, 0)

    def norm(self) -> xarray.DataArray:
        r"""The Frobenius norm, :math:`\sqrt{a : a}`."""
        return self._apply(_norm, 0)

    def deviator(self) -> xarray.DataArray:
        """The deviator, in the same components."""
        return self._apply(_deviator, 1)

    def von_mises(self) -> xarray.DataArray:
        r"""The equivalent stress of von Mises, :math:`\sqrt{3/2\; s : s}` with the deviator :math:`s`."""
        return self._apply(lambda a: np.sqrt(1.5) * _norm(_deviator(a)), 0)

    def equivalent_strain(self) -> xarray.DataArray:
        r"""The equivalent strain, :math:`\sqrt{2/3\; e : e}` with the deviator :math:`e`."""
        return self._apply(lambda a: np.sqrt(2 / 3) * _norm(_deviator(a)), 0)

    def principal(self) -> xarray.DataArray:
        """The principal values, largest first, along a new dimension ``principal``; of a symmetric tensor."""
        _, labels = self._tensor()
        if labels != _SYMMETRIC:
            raise ValueError(
                f"{self._name()} is not symmetric; principal values are those of symmetric tensors"
            )
        found = self._apply(lambda a: np.linalg.eigvalsh(a[..., _PAIRS])[..., ::-1], ["principal"], [3])
        return found.assign_coords(principal=[1, 2, 3])

    def to_matrix(self) -> xarray.DataArray:
        """The matrix, along new dimensions ``row`` and ``column`` (x, y, z)."""
        found = self._apply(_matrix, ["row", "column"], [3, 3])
        return found.assign_coords(row=list("xyz"), column=list("xyz"))

    def mandel(self) -> xarray.DataArray:
        r"""The components in Mandel notation, xx, yy, zz, and the shear components times :math:`\sqrt2`."""
        _, labels = self._tensor()
        if labels != _SYMMETRIC:
            raise ValueError(f"{self._name()} is not symmetric; Mandel notation is that of symmetric tensors")
        return self._apply(lambda a: a * np.sqrt(_TWICE).astype(a.dtype), 1)

    # ------------------------------------------------------------------ inside

    def _tensor(self) -> tuple[str, tuple[str, ...]]:
        """The dimension of the components and their labels."""
        for dim in self._array.dims:
            if str(dim).startswith("component"):
                coordinate = self._array.coords.get(dim)
                size = self._array.sizes[dim]
                default = _GENERAL if size == 9 else _SYMMETRIC
                labels = default if coordinate is None else tuple(str(c) for c in coordinate.values)
                if size == len(labels) and labels in (_SYMMETRIC, _GENERAL):
                    return str(dim), labels
        raise ValueError(
            f"{self._name()} has no components of a second-order tensor (dimensions"
            f" {listing(self._array.dims)}); keep its whole dimension 'component'"
        )

    def _name(self) -> str:
        return f"'{self._array.name}'" if self._array.name else "the array"

    def _apply(
        self, function: Callable[[np.ndarray], np.ndarray], out: int | list[str], sizes: Any = ()
    ) -> xarray.DataArray:
        """``function`` of the components, which gives none (0), the same (1), or new dimensions."""
        dim, _ = self._tensor()
        dims = ([[], [dim]][out]) if isinstance(out, int) else out
        found = xarray.apply_ufunc(
            function,
            self._array,
            input_core_dims=[[dim]],
            output_core_dims=[dims],
            keep_attrs=False,
            dask="parallelized",
            output_dtypes=[self._array.dtype],
            dask_gufunc_kwargs={"output_sizes": dict(zip(dims, sizes, strict=True))} if sizes else None,
        )
        units = self._array.attrs.get("units")
        return found.assign_attrs(units=units) if units else found


def _trace(a: np.ndarray) -> np.ndarray:
    normal = [0, 1, 2] if a.shape[-1] == 6 else [0, 4, 8]
    return np.asarray(a[..., normal].sum(-1))


def _deviator(a: np.ndarray) -> np.ndarray:
    unit = np.array([1.0, 1, 1, 0, 0, 0] if a.shape[-1] == 6 else np.eye(3).ravel(), dtype=a.dtype)
    return np.asarray(a - _trace(a)[..., None] / 3 * unit)


def _norm(a: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt((a * a * (_TWICE.astype(a.dtype) if a.shape[-1] == 6 else 1)).sum(-1)))


def _matrix(a: np.ndarray) -> np.ndarray:
    return a[..., _PAIRS] if a.shape[-1] == 6 else a.reshape((*a.shape[:-1], 3, 3))
