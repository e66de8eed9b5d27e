"""Functions along the axes of one region: reductions, joining, spacing."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import torch

from .tensor import TensorRegionView
from .views import BatchView, DynamicBatchView, RegionView, SubBatchView
from .wrapper import TensorWrapper, align_sub_batch

_REDUCIBLE = (DynamicBatchView, SubBatchView, TensorRegionView)
_JOINABLE = (DynamicBatchView, SubBatchView, BatchView, TensorRegionView)


def sum(view: Any, dims: int | Sequence[int] | None = 0, keepdim: bool = False) -> Any:  # noqa: A001
    """The sum over axes of a region; reducing a sub-batch axis lowers the sub-batch rank.

    ``dims`` is one axis, several, or ``None`` for all.
    """
    _region(view, _REDUCIBLE, "sum")
    if dims is None:
        dims = range(view.ndim)
    axes = [view.axis(d) for d in ((dims,) if isinstance(dims, int) else dims)]
    if not axes:
        return view.owner
    # the order of a sum follows the strides: one layout, one order
    return view.rebuild(view.owner.data.contiguous().sum(axes, keepdim=keepdim), 0 if keepdim else -len(axes))


def mean(view: Any, dim: int = 0) -> Any:
    """The mean along an axis of a region."""
    _region(view, _REDUCIBLE, "mean")
    at = view.axis(dim)
    data = view.owner.data
    return view.rebuild(data.contiguous().sum(at) / data.shape[at], -1)


def diff(view: Any, n: int = 1, dim: int = 0) -> Any:
    """The ``n``-th difference along an axis, which becomes shorter by ``n``."""
    _region(view, _REDUCIBLE, "diff")
    at = view.axis(dim)
    if n < 0:
        raise ValueError(f"diff got n={n}; give a non-negative int.")
    return view.rebuild(torch.diff(view.owner.data, n, at), 0)


def stack(views: Sequence[Any], dim: int = 0) -> Any:
    """Equal shapes joined along a new axis ``dim`` of their region."""
    first = _alike(views, _JOINABLE, "stack")
    at = first.axis(dim, extra=1)
    shapes = {tuple(v.owner.data.shape) for v in views}
    if len(shapes) > 1:
        raise ValueError(f"stack got the shapes {sorted(shapes)}; expand them to one shape first.")
    return first.rebuild(torch.stack([v.owner.data for v in views], at), 1)


def cat(views: Sequence[Any], dim: int = -1) -> Any:
    """Values joined along the existing axis ``dim`` of their region."""
    first = _alike(views, _JOINABLE, "cat")
    at = first.axis(dim)
    if len({v.start for v in views} | {v.owner.data.dim() - v.stop for v in views}) > 2 or builtins.any(
        v.ndim != first.ndim for v in views
    ):
        raise ValueError("cat got values with different numbers of axes; add axes with unsqueeze first.")
    try:
        return first.rebuild(torch.cat([v.owner.data for v in views], at), 0)
    except RuntimeError:
        shapes = [tuple(v.owner.data.shape) for v in views]
        raise ValueError(
            f"cat along axis {dim} got the shapes {shapes}; all other axes must agree, expand them first."
        ) from None


def linspace(start: Any, end: Any, nstep: int, dim: int = 0) -> Any:
    r"""``nstep`` points from ``start`` to ``end`` along a new axis of their region; the ends broadcast.

    .. math:: x_i = start + \frac{i}{nstep - 1} (end - start)
    """
    if isinstance(nstep, bool) or not isinstance(nstep, int):
        raise TypeError(f"linspace got nstep={nstep!r}; give a positive int.")
    if nstep < 1:
        raise ValueError(f"linspace got nstep={nstep}; give a positive int.")
    view = _alike(
        [start, end], (DynamicBatchView, SubBatchView, TensorRegionView), "linspace", same_rank=False
    )
    a, b = start.owner, end.owner
    if isinstance(a, TensorWrapper):
        (a, b), _ = align_sub_batch(a, b)
    difference = b - a
    a = a + difference * 0.0
    view = getattr(a, view.kind.value)
    at = view.axis(dim, extra=1)
    weights = torch.arange(nstep, dtype=a.data.dtype, device=a.data.device) / builtins.max(nstep - 1, 1)
    weights = weights.reshape((nstep,) + (1,) * (a.data.dim() - at))
    return view.rebuild(a.data.unsqueeze(at) + weights * difference.data.unsqueeze(at), 1)


def logspace(start: Any, end: Any, nstep: int, dim: int = 0, base: float = 10.0) -> Any:
    """``base`` to the powers of `linspace`."""
    if not base > 0:
        raise ValueError(f"logspace got base={base!r}; give a positive number.")
    exponents = linspace(start, end, nstep, dim)
    view = getattr(exponents, start.kind.value)
    return view.rebuild(torch.exp(exponents.data * math.log(base)), 0)


def sum_sub_batch(x: Any) -> Any:
    """The sum over all sub-batch axes."""
    return sum(x.sub_batch, dims=None)


def _region(view: Any, kinds: tuple[type, ...], who: str) -> None:
    if not isinstance(view, kinds):
        got = repr(view) if isinstance(view, RegionView) else f"a {type(view).__name__}"
        raise TypeError(f"{who} got {got}; name the region, as in x.dynamic_batch or x.sub_batch.")


def _alike(views: Sequence[Any], kinds: tuple[type, ...], who: str, same_rank: bool = True) -> Any:
    """The first of the views, all of one region kind, class and sub-batch rank."""
    if isinstance(views, (RegionView, TensorWrapper)):
        raise TypeError(f"{who} got one {type(views).__name__}; give a list of region views.")
    if not len(views):
        raise ValueError(f"{who} got an empty list; give at least one value.")
    first = views[0]
    for v in views:
        _region(v, kinds, who)
        if type(v) is not type(first) or type(v.owner) is not type(first.owner):
            raise TypeError(f"{who} got {first!r} and {v!r}; give one region of one type.")
        if same_rank and v.owner.sub_batch_ndim != first.owner.sub_batch_ndim:
            raise ValueError(
                f"{who} got sub-batch ranks {first.owner.sub_batch_ndim} and"
                f" {v.owner.sub_batch_ndim}; make them equal"
                " with .sub_batch.unsqueeze."
            )
    return first
