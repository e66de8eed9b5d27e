"""`Tensor`: batch, sub-batch and base axes of any number, for Jacobian blocks and the like."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from .elimination import solve_small
from .primitive import Device, is_number
from .views import AxisKind, ShapedView, sizes_of
from .wrapper import TensorWrapper, as_tensor

W = TypeVar("W", bound=TensorWrapper)


class Tensor:
    """A tensor of shape ``(*batch, *sub_batch, *base)`` whose three ranks are given with the data.

    Raises `ValueError` if a rank is negative or the ranks exceed the number of axes.
    """

    __slots__ = ("data", "batch_ndim", "sub_batch_ndim")
    __array_ufunc__ = None

    data: torch.Tensor
    batch_ndim: int
    sub_batch_ndim: int

    def __init__(self, data: Any, batch_ndim: int = 0, sub_batch_ndim: int = 0):
        if isinstance(data, (TensorWrapper, Tensor)):
            raise TypeError(
                f"Cannot wrap a {type(data).__name__} as a Tensor; use Tensor.from_typed or its .data."
            )
        tensor = as_tensor(data, None, None)
        if batch_ndim < 0 or sub_batch_ndim < 0 or batch_ndim + sub_batch_ndim > tensor.dim():
            raise ValueError(
                f"Tensor got batch_ndim={batch_ndim} and sub_batch_ndim={sub_batch_ndim} for data"
                f" with {tensor.dim()}"
                " axes; give non-negative ranks whose sum does not exceed it."
            )
        object.__setattr__(self, "data", tensor)
        object.__setattr__(self, "batch_ndim", batch_ndim)
        object.__setattr__(self, "sub_batch_ndim", sub_batch_ndim)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Tensor is immutable; make a new one instead of setting {name!r}.")

    def __reduce__(self) -> tuple[Any, ...]:
        return Tensor, (self.data, self.batch_ndim, self.sub_batch_ndim)

    def __repr__(self) -> str:
        return (
            f"Tensor(batch_shape={tuple(self.batch_shape)}, sub_batch_shape={tuple(self.sub_batch_shape)},"
            f" base_shape={tuple(self.base_shape)}, dtype={self.dtype}, device={self.device})"
        )

    # --- shape ----------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        return self.data.dtype

    @property
    def device(self) -> torch.device:
        return self.data.device

    @property
    def shape(self) -> torch.Size:
        return self.data.shape

    @property
    def ndim(self) -> int:
        return self.data.dim()

    @property
    def base_ndim(self) -> int:
        return self.data.dim() - self.batch_ndim - self.sub_batch_ndim

    @property
    def batch_shape(self) -> torch.Size:
        return self.data.shape[: self.batch_ndim]

    @property
    def sub_batch_shape(self) -> torch.Size:
        return self.data.shape[self.batch_ndim : self.batch_ndim + self.sub_batch_ndim]

    @property
    def base_shape(self) -> torch.Size:
        return self.data.shape[self.batch_ndim + self.sub_batch_ndim :]

    @property
    def batch(self) -> TensorBatchView:
        return TensorBatchView(self, 0, self.batch_ndim)

    @property
    def sub_batch(self) -> TensorSubBatchView:
        return TensorSubBatchView(self, self.batch_ndim, self.batch_ndim + self.sub_batch_ndim)

    @property
    def base(self) -> TensorBaseView:
        return TensorBaseView(self, self.batch_ndim + self.sub_batch_ndim, self.data.dim())

    # --- making and converting ------------------------------------------------------------------------------

    @classmethod
    def zeros(
        cls,
        *,
        batch_shape: Sequence[int] = (),
        sub_batch_shape: Sequence[int] = (),
        base_shape: Sequence[int] = (),
        dtype: torch.dtype = torch.float64,
        device: Device = None,
    ) -> Tensor:
        shape = (*batch_shape, *sub_batch_shape, *base_shape)
        return cls(torch.zeros(shape, dtype=dtype, device=device), len(batch_shape), len(sub_batch_shape))

    @classmethod
    def zeros_like(cls, t: Tensor) -> Tensor:
        return t._with(torch.zeros_like(t.data))

    def new_zeros(
        self,
        *,
        batch_shape: Sequence[int] | None = None,
        sub_batch_shape: Sequence[int] | None = None,
        base_shape: Sequence[int] | None = None,
    ) -> Tensor:
        """Zeros of this dtype and device; a shape left out is this tensor's own."""
        return Tensor.zeros(
            batch_shape=self.batch_shape if batch_shape is None else batch_shape,
            sub_batch_shape=self.sub_batch_shape if sub_batch_shape is None else sub_batch_shape,
            base_shape=self.base_shape if base_shape is None else base_shape,
            dtype=self.dtype,
            device=self.device,
        )

    @classmethod
    def from_typed(cls, w: TensorWrapper, batch_ndim: int | None = None) -> Tensor:
        """The same data; ``batch_ndim`` (default: all dynamic axes) leaves the rest of these to the base."""
        if not isinstance(w, TensorWrapper):
            raise TypeError(f"Tensor.from_typed got a {type(w).__name__}; give a typed value such as SR2.")
        dynamic = len(w.dynamic_batch_shape)
        if batch_ndim is None or batch_ndim == dynamic:
            return cls(w.data, dynamic, w.sub_batch_ndim)
        if w.sub_batch_ndim:
            raise ValueError(
                f"Tensor.from_typed got batch_ndim={batch_ndim} for a {type(w).__name__} with"
                f" {dynamic} dynamic axes"
                " left of its sub-batch axes; leave batch_ndim out."
            )
        return cls(w.data, batch_ndim, 0)

    def as_typed(self, cls: type[W]) -> W:
        """This data as a value of type ``cls``, whose base shape it must have."""
        if tuple(self.base_shape) != cls.BASE_SHAPE:
            raise ValueError(
                f"A Tensor of base shape {tuple(self.base_shape)} is no {cls.__name__}, which has"
                f" {cls.BASE_SHAPE};"
                " reshape its base with unflatten_base first."
            )
        return cls(self.data, self.sub_batch_ndim)

    def clone(self) -> Tensor:
        return self._with(self.data.clone())

    def detach(self) -> Tensor:
        return self._with(self.data.detach())

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else self._with(data)

    def _with(self, data: torch.Tensor) -> Tensor:
        return Tensor(data, self.batch_ndim, self.sub_batch_ndim)

    # --- the base as a vector -------------------------------------------------------------------------------

    def flatten_base(self) -> Tensor:
        """All base axes as one."""
        front = self.data.shape[: self.batch_ndim + self.sub_batch_ndim]
        return self._with(self.data.reshape(front + (math.prod(self.base_shape),)))

    def unflatten_base(self, *shape: Any) -> Tensor:
        """The base reshaped to ``shape``."""
        sizes = sizes_of(shape)
        if math.prod(sizes) != math.prod(self.base_shape):
            raise ValueError(
                f"The base shape {tuple(self.base_shape)} cannot become {sizes}; give sizes of the"
                " same product."
            )
        return self._with(self.data.reshape(self.batch_shape + self.sub_batch_shape + sizes))

    def flatten_sub_batch(self) -> Tensor:
        """The sub-batch axes as one new leading base axis."""
        shape = self.batch_shape + (math.prod(self.sub_batch_shape),) + self.base_shape
        return Tensor(self.data.reshape(shape), self.batch_ndim, 0)

    def flatten_sub_batch_into_first_base_axis(self) -> Tensor:
        """The sub-batch axes folded into the first base axis."""
        return self._fold(self.sub_batch_ndim)

    def _fold(self, n: int) -> Tensor:
        """The last ``n`` sub-batch axes folded into the first base axis."""
        if not self.base_ndim:
            raise ValueError(f"{self!r} has no base axis to fold into; use flatten_sub_batch.")
        sub, base = self.sub_batch_shape, self.base_shape
        kept, folded = sub[: len(sub) - n], sub[len(sub) - n :]
        shape = self.batch_shape + kept + (math.prod(folded) * base[0],) + base[1:]
        return Tensor(self.data.reshape(shape), self.batch_ndim, self.sub_batch_ndim - n)

    # --- arithmetic -----------------------------------------------------------------------------------------

    def __neg__(self) -> Tensor:
        return self._with(-self.data)

    def __add__(self, other: Any) -> Tensor:
        return _arithmetic(self, other, operator.add)

    def __sub__(self, other: Any) -> Tensor:
        return _arithmetic(self, other, operator.sub)

    def __mul__(self, other: Any) -> Tensor:
        return _arithmetic(self, other, operator.mul)

    def __truediv__(self, other: Any) -> Tensor:
        return _arithmetic(self, other, operator.truediv)

    def __radd__(self, other: Any) -> Tensor:
        return _arithmetic(self, other, lambda x, y: y + x)

    def __rsub__(self, other: Any) -> Tensor:
        return _arithmetic(self, other, lambda x, y: y - x)

    def __rmul__(self, other: Any) -> Tensor:
        return _arithmetic(self, other, lambda x, y: y * x)

    def __rtruediv__(self, other: Any) -> Tensor:
        return _arithmetic(self, other, lambda x, y: y / x)

    def __matmul__(self, other: Tensor) -> Tensor:
        """Matrix times vector or matrix; surplus sub-batch axes of ``other`` are folded into its base."""
        a, b, vector = _contraction(self, other, "@", self.base_shape[-1:])
        x, y, batch, sub = _ranks_equalised(a, b)
        product = (x[..., :, None, :] * y.mT[..., None, :, :]).contiguous().sum(-1)
        return Tensor(product[..., 0] if vector else product, batch, sub)

    def solve(self, other: Tensor) -> Tensor:
        """X with self @ X = other, by elimination with row pivoting; NaN or inf if singular."""
        if self.base_ndim == 2 and self.base_shape[0] != self.base_shape[1]:
            raise ValueError(f"solve needs a square matrix, got the base shape {tuple(self.base_shape)}.")
        a, b, vector = _contraction(self, other, "solve", self.base_shape[:1])
        x, y, batch, sub = _ranks_equalised(a, b)
        solution = solve_small(x, y)
        return Tensor(solution[..., 0] if vector else solution, batch, sub)


# --- views --------------------------------------------------------------------------------------------------


class TensorRegionView(ShapedView[Tensor]):
    """A region of a `Tensor`; more can be done with it than with that of a fixed type."""

    __slots__ = ()

    def broadcast_to(self, *shape: Any) -> Tensor:
        """As `expand`."""
        return self.expand(*shape)

    def flip(self, dim: int = 0) -> Tensor:
        """The entries along an axis in reverse order."""
        return self.rebuild(self._data.flip(self.axis(dim)), 0)

    def pad(self, dim: int = 0, *, before: int = 0, after: int = 0) -> Tensor:
        """Zeros added along an axis."""
        at = self.axis(dim)
        pads = [0, 0] * (self._data.dim() - 1 - at) + [before, after]
        return self.rebuild(torch.nn.functional.pad(self._data, pads), 0)

    def set(self, key: Any, other: Tensor | torch.Tensor | float) -> Tensor:
        """A copy in which the entries at ``key`` of this region are ``other``."""
        data = self._data.clone()
        value = other.data if isinstance(other, Tensor) else other
        data[(slice(None),) * self.start + (key if isinstance(key, tuple) else (key,))] = value
        return self.rebuild(data, 0)


class TensorBatchView(TensorRegionView):
    """The leading axes."""

    __slots__ = ()
    kind = AxisKind.BATCH

    def rebuild(self, data: torch.Tensor, change: int) -> Tensor:
        return Tensor(data, self.owner.batch_ndim + change, self.owner.sub_batch_ndim)


class TensorSubBatchView(TensorRegionView):
    """The axes between batch and base."""

    __slots__ = ()
    kind = AxisKind.SUB_BATCH

    def rebuild(self, data: torch.Tensor, change: int) -> Tensor:
        return Tensor(data, self.owner.batch_ndim, self.owner.sub_batch_ndim + change)


class TensorBaseView(TensorRegionView):
    """The trailing axes."""

    __slots__ = ()
    kind = AxisKind.BASE

    def rebuild(self, data: torch.Tensor, change: int) -> Tensor:
        return Tensor(data, self.owner.batch_ndim, self.owner.sub_batch_ndim)

    def transpose(self, dim0: int = -2, dim1: int = -1) -> Tensor:
        """Two base axes exchanged."""
        return self.rebuild(self._data.transpose(self.axis(dim0), self.axis(dim1)), 0)

    def norm(self, eps: float = 0.0) -> Tensor:
        """The root of the sum of squares (plus ``eps``) over all base axes, of zero derivative at zero."""
        x = self.owner.flatten_base().data
        square = (x * x).contiguous().sum(-1)
        if eps:
            return self.rebuild(torch.sqrt(square + eps), -self.ndim)
        zero = square == 0
        root = torch.where(zero, 0.0, torch.sqrt(torch.where(zero, 1.0, square)))
        return self.rebuild(root, -self.ndim)


# --- helpers ------------------------------------------------------------------------------------------------


def _arithmetic(a: Tensor, b: Any, op: Callable[[Any, Any], torch.Tensor]) -> Tensor:
    if isinstance(b, Tensor):
        x, y, batch, sub = _ranks_equalised(a, b)
        return Tensor(op(x, y), batch, sub)
    if is_number(b):
        return a._with(op(a.data, b))
    raise TypeError(
        f"A Tensor combines with a Tensor or a number, got a {type(b).__name__}; use Tensor.from_typed."
    )


def _ranks_equalised(a: Tensor, b: Tensor) -> tuple[torch.Tensor, torch.Tensor, int, int]:
    """The data of both with size-1 axes at the front of each region, and the common ranks."""
    batch, sub = max(a.batch_ndim, b.batch_ndim), max(a.sub_batch_ndim, b.sub_batch_ndim)
    base = max(a.base_ndim, b.base_ndim)

    def raised(t: Tensor) -> torch.Tensor:
        regions = ((t.batch_shape, batch), (t.sub_batch_shape, sub), (t.base_shape, base))
        return t.data.reshape(
            [n for shape, rank in regions for n in (1,) * (rank - len(shape)) + tuple(shape)]
        )

    return raised(a), raised(b), batch, sub


def _contraction(a: Tensor, b: Any, who: str, size: Sequence[int]) -> tuple[Tensor, Tensor, bool]:
    """The operands with ``b`` as a matrix, and whether it was a vector."""
    if not isinstance(b, Tensor):
        raise TypeError(f"Tensor {who} needs a Tensor, got a {type(b).__name__}; use Tensor.from_typed.")
    if a.base_ndim != 2 or b.base_ndim not in (1, 2):
        raise ValueError(
            f"Tensor {who} got base shapes {tuple(a.base_shape)} and {tuple(b.base_shape)}; give a"
            " matrix and a"
            " vector or matrix."
        )
    n = size[0]
    if b.base_shape[0] != n:
        for extra in range(1, b.sub_batch_ndim - a.sub_batch_ndim + 1):
            folded = b._fold(extra)
            if folded.base_shape[0] == n:
                b = folded
                break
        else:
            raise ValueError(
                f"Tensor {who} got base shapes {tuple(a.base_shape)} and {tuple(b.base_shape)}, whose"
                " contracted sizes"
                " differ; flatten the base or the sub-batch first."
            )
    vector = b.base_ndim == 1
    return a, (b.base.unsqueeze(-1) if vector else b), vector
