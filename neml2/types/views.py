"""Region views: the axes of one region of a value, numbered within that region."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from .wrapper import wrap

if TYPE_CHECKING:
    pass

T = TypeVar("T")


class AxisKind(enum.Enum):
    """The regions of a value's axes; ``BATCH`` is the dynamic batch and the sub-batch together."""

    DYNAMIC_BATCH = "dynamic_batch"
    SUB_BATCH = "sub_batch"
    BATCH = "batch"
    BASE = "base"


class RegionView(Generic[T]):
    """Axes ``start`` to ``stop`` of ``owner.data``.

    Axes are numbered from 0 within the region, negative ones from its end; one out of range is an
    `IndexError`.
    """

    __slots__ = ("owner", "start", "stop")
    kind: AxisKind

    def __init__(self, owner: T, start: int, stop: int):
        self.owner = owner
        self.start = start
        self.stop = stop

    @property
    def _data(self) -> torch.Tensor:
        return self.owner.data  # type: ignore[attr-defined]

    @property
    def shape(self) -> torch.Size:
        return self._data.shape[self.start : self.stop]

    @property
    def ndim(self) -> int:
        return self.stop - self.start

    def __repr__(self) -> str:
        return f"<{self.kind.value} of {type(self.owner).__name__}, shape={tuple(self.shape)}>"

    def rebuild(self, data: torch.Tensor, change: int) -> T:
        """The owner with new data, in which this region has ``change`` more axes."""
        raise NotImplementedError

    def axis(self, dim: int, extra: int = 0) -> int:
        """The axis of ``data`` for axis ``dim`` of the region, which may have ``extra`` more axes to come."""
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise TypeError(f"An axis of {self!r} is an int, got {dim!r}.")
        n = self.ndim + extra
        if not -n <= dim < n:
            raise IndexError(f"Axis {dim} is out of range for {self!r}; it has {n} places for an axis.")
        return self.start + dim % n

    def __getitem__(self, key: Any) -> T:
        """Index this region: ints drop an axis, slices, one ``...``, ``None`` adds an axis.

        A single boolean mask or integer tensor selects entries (without ints beside it).
        """
        full_key, change = _full_key(self, key)
        return self.rebuild(self._data[(slice(None),) * self.start + full_key], change)

    def __iter__(self) -> Any:
        raise TypeError(f"{self!r} cannot be iterated over; index it, as in x.{self.kind.value}[0].")


class ShapedView(RegionView[T]):
    """A region whose axes can be added, dropped and expanded."""

    __slots__ = ()

    def unsqueeze(self, dim: int = -1, n: int = 1) -> T:
        """``n`` axes of size 1 inserted before axis ``dim`` (-1: at the end)."""
        at = self.axis(dim, extra=1)
        shape = self._data.shape
        return self.rebuild(self._data.reshape(shape[:at] + (1,) * n + shape[at:]), n)

    def squeeze(self, dim: int = -1) -> T:
        """Axis ``dim``, of size 1, dropped."""
        at = self.axis(dim)
        if self._data.shape[at] != 1:
            raise ValueError(
                f"Axis {dim} of {self!r} has size {self._data.shape[at]}; only an axis of size 1 can"
                " be squeezed,"
                " use an index to pick one entry."
            )
        return self.rebuild(self._data.squeeze(at), -1)

    def expand(self, *shape: Any) -> T:
        """Broadcast to ``shape``, with new axes on the left; -1 keeps the size of an axis."""
        sizes = sizes_of(shape)
        extra = len(sizes) - self.ndim
        if extra < 0:
            raise ValueError(
                f"{self!r} cannot be expanded to {sizes}, which has fewer axes; give at least"
                f" {self.ndim} sizes."
            )
        data = self._data
        old = data.shape
        data = data.reshape(old[: self.start] + (1,) * extra + old[self.start :])
        target = old[: self.start] + tuple(sizes) + old[self.stop :]
        try:
            return self.rebuild(data.expand(target), extra)
        except RuntimeError:
            raise ValueError(
                f"{self!r} cannot be expanded to {sizes}; only axes of size 1 change their size."
            ) from None


class DynamicBatchView(ShapedView[Any]):
    """The leading axes, of any number."""

    __slots__ = ()
    kind = AxisKind.DYNAMIC_BATCH

    def rebuild(self, data: torch.Tensor, change: int) -> Any:
        return wrap(type(self.owner), data, self.owner.sub_batch_ndim)


class SubBatchView(ShapedView[Any]):
    """The axes just left of the base, part of the variable's layout."""

    __slots__ = ()
    kind = AxisKind.SUB_BATCH

    def rebuild(self, data: torch.Tensor, change: int) -> Any:
        return wrap(type(self.owner), data, self.owner.sub_batch_ndim + change)

    def expand_at(self, size: int, dim: int = 0) -> Any:
        """A new sub-batch axis ``dim`` of ``size`` equal entries."""
        at = self.axis(dim, extra=1)
        shape = self._data.shape
        data = self._data.unsqueeze(at).expand(shape[:at] + (size,) + shape[at:])
        return self.rebuild(data, 1)

    def diagonalize(self) -> Any:
        """The last sub-batch axis n as the diagonal of an (n, n) matrix, zero elsewhere; Scalars only."""
        if self.owner.BASE_NDIM:
            raise TypeError(f"diagonalize is defined for Scalar only, got a {type(self.owner).__name__}.")
        self.axis(-1)
        return self.rebuild(torch.diag_embed(self._data), 1)

    def retag(self, ndim: int) -> Any:
        """The same value with its last ``ndim`` batch axes taken as sub-batch axes."""
        return self.owner.with_sub_batch_ndim(ndim)

    def flatten(self) -> Any:
        """``retag(0)``: all batch axes become dynamic."""
        return self.retag(0)


class BatchView(RegionView[Any]):
    """Dynamic batch and sub-batch together; index it, or use one of the two parts for everything else."""

    __slots__ = ()
    kind = AxisKind.BATCH

    def rebuild(self, data: torch.Tensor, change: int) -> Any:
        w = self.owner
        if data.dim() - w.BASE_NDIM < w.sub_batch_ndim:
            raise IndexError(
                f"Indexing {self!r} would drop one of its {w.sub_batch_ndim} sub-batch axes; use"
                " .sub_batch[...]."
            )
        return wrap(type(w), data, w.sub_batch_ndim)

    def _ambiguous(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"The shape of {self!r} is ambiguous; use .dynamic_batch or .sub_batch instead.")

    unsqueeze = squeeze = expand = _ambiguous


class BaseView(RegionView[Any]):
    """The axes fixed by the type."""

    __slots__ = ()
    kind = AxisKind.BASE

    def transpose(self, dim0: int = -2, dim1: int = -1) -> Any:
        """Two base axes exchanged (R2, SSR4)."""
        w = self.owner
        if w.BASE_NDIM < 2:
            raise TypeError(f"A {type(w).__name__} has no two base axes to transpose; R2 and SSR4 have.")
        return wrap(type(w), self._data.transpose(self.axis(dim0), self.axis(dim1)), w.sub_batch_ndim)

    def __getitem__(self, key: Any) -> Any:
        raise TypeError(
            f"The base of a {type(self.owner).__name__} cannot be indexed, as the result has no type;"
            " use .data[..., i]."
        )


def sizes_of(shape: Sequence[Any]) -> tuple[int, ...]:
    """The sizes given as separate ints or as one sequence."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list, torch.Size)):
        shape = shape[0]
    for size in shape:
        if isinstance(size, bool) or not isinstance(size, (int, torch.SymInt)):
            raise TypeError(f"Sizes are ints, got {size!r}; give them as separate arguments or as one tuple.")
    return tuple(shape)


def _full_key(view: RegionView[Any], key: Any) -> tuple[tuple[Any, ...], int]:
    """The key with ``...`` written out over the region, and the number of axes that it adds."""
    keys = list(key) if isinstance(key, tuple) else [key]
    keys = [torch.as_tensor(k) if isinstance(k, list) else k for k in keys]
    used = change = ellipses = 0
    for k in keys:
        if k is Ellipsis:
            ellipses += 1
        elif k is None:
            change += 1
        elif isinstance(k, slice):
            used += 1
        elif isinstance(k, torch.Tensor):
            consumed, produced = (k.dim(), 1) if k.dtype == torch.bool else (1, k.dim())
            used += consumed
            change += produced - consumed
        elif isinstance(k, int) and not isinstance(k, bool):
            used += 1
            change -= 1
        else:
            raise TypeError(f"{view!r} got the index {k!r}; use ints, slices, ... and None.")
    picks = [k for k in keys if isinstance(k, torch.Tensor)]
    if len(picks) > 1 or (picks and any(isinstance(k, int) for k in keys)):
        raise TypeError(f"{view!r} takes one index tensor without ints beside it; index it in two steps.")
    if ellipses > 1:
        raise IndexError(f"{view!r} got more than one '...' in its index; write it once.")
    if used > view.ndim:
        raise IndexError(f"{view!r} got {used} indices; it has only {view.ndim} axes.")
    if ellipses:
        at = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (view.ndim - used)
    _check_ints(view, keys)
    return tuple(keys), change


def _check_ints(view: RegionView[Any], keys: list[Any]) -> None:
    axis = 0
    for k in keys:
        if isinstance(k, int):
            size = view.shape[axis]
            if not -size <= k < size:
                raise IndexError(
                    f"Index {k} is out of range for axis {axis} of {view!r}, which has size {size}."
                )
        if k is not None:
            axis += k.dim() if isinstance(k, torch.Tensor) and k.dtype == torch.bool else 1
