"""`PrimitiveTensor`: factories, region views and operators of the fixed types; and `Scalar`."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from .views import BaseView, BatchView, DynamicBatchView, SubBatchView, sizes_of
from .wrapper import TensorWrapper, aligned, aligned_pair, as_tensor, number_of_components, wrap

if TYPE_CHECKING:
    from typing_extensions import Self

Device = torch.device | str | None


class PrimitiveTensor(TensorWrapper):
    """A value of fixed base shape.

    Equal types combine component by component; a `Scalar` operand is applied to every component; numbers
    scale.
    """

    __slots__ = ()

    # --- region views ---------------------------------------------------------------------------------------

    @property
    def dynamic_batch(self) -> DynamicBatchView:
        return DynamicBatchView(self, 0, self.data.dim() - self.BASE_NDIM - self.sub_batch_ndim)

    @property
    def sub_batch(self) -> SubBatchView:
        stop = self.data.dim() - self.BASE_NDIM
        return SubBatchView(self, stop - self.sub_batch_ndim, stop)

    @property
    def batch(self) -> BatchView:
        return BatchView(self, 0, self.data.dim() - self.BASE_NDIM)

    @property
    def base(self) -> BaseView:
        return BaseView(self, self.data.dim() - self.BASE_NDIM, self.data.dim())

    # --- factories ------------------------------------------------------------------------------------------

    @classmethod
    def zeros(cls, *batch: Any, dtype: torch.dtype = torch.float64, device: Device = None) -> Self:
        """Zeros of dynamic batch shape ``batch``."""
        return wrap(cls, torch.zeros(sizes_of(batch) + cls.BASE_SHAPE, dtype=dtype, device=device), 0)

    @classmethod
    def ones(cls, *batch: Any, dtype: torch.dtype = torch.float64, device: Device = None) -> Self:
        """Every stored component 1, of dynamic batch shape ``batch``."""
        return wrap(cls, torch.ones(sizes_of(batch) + cls.BASE_SHAPE, dtype=dtype, device=device), 0)

    @classmethod
    def full(
        cls, *batch: Any, fill_value: float, dtype: torch.dtype = torch.float64, device: Device = None
    ) -> Self:
        """Every stored component ``fill_value``, of dynamic batch shape ``batch``."""
        shape = sizes_of(batch) + cls.BASE_SHAPE
        return wrap(cls, torch.full(shape, fill_value, dtype=dtype, device=device), 0)

    @classmethod
    def empty(cls, *batch: Any, dtype: torch.dtype = torch.float64, device: Device = None) -> Self:
        """Uninitialised, of dynamic batch shape ``batch``."""
        return wrap(cls, torch.empty(sizes_of(batch) + cls.BASE_SHAPE, dtype=dtype, device=device), 0)

    @classmethod
    def zeros_like(cls, template: TensorWrapper, *, sub_batch_shape: tuple[int, ...] | None = None) -> Self:
        """Zeros of this class with the batch layout, dtype and device of ``template`` (of any type)."""
        if not isinstance(template, TensorWrapper):
            raise TypeError(
                f"{cls.__name__}.zeros_like got a {type(template).__name__}; give a typed value,"
                " or use torch.zeros_like."
            )
        sub = tuple(template.sub_batch_shape if sub_batch_shape is None else sub_batch_shape)
        shape = tuple(template.dynamic_batch_shape) + sub + cls.BASE_SHAPE
        return wrap(cls, torch.zeros(shape, dtype=template.dtype, device=template.device), len(sub))

    @classmethod
    def fill(cls, *components: Any, dtype: torch.dtype | None = None, device: Device = None) -> Self:
        """The stored components in row-major order: numbers, or Scalars of a common batch."""
        count = number_of_components(cls)
        if len(components) != count:
            raise ValueError(f"{cls.__name__}.fill got {len(components)} components; give exactly {count}.")
        flat, rank = join_components(components, dtype, device, f"{cls.__name__}.fill")
        return wrap(cls, flat.reshape(flat.shape[:-1] + cls.BASE_SHAPE), rank)

    @classmethod
    def from_physical(cls, components: Any, sub_batch_ndim: int = 0) -> Self:
        """From components without the factors of the stored form, shape ``(..., *base)``."""
        return cls(components, sub_batch_ndim)

    def physical(self) -> torch.Tensor:
        """The components without the factors of the stored form, shape ``(..., *base)``."""
        return self.data

    # --- operators ------------------------------------------------------------------------------------------

    def __neg__(self) -> Self:
        return wrap(self.__class__, -self.data, self.sub_batch_ndim)

    def __pos__(self) -> Self:
        return self

    def __add__(self, other: Any) -> Any:
        n = self.sub_batch_ndim
        if other.__class__ is self.__class__ and n == other.sub_batch_ndim:
            return wrap(self.__class__, self.data + other.data, n)
        return _combine(self, other, operator.add, "+", number=False)

    def __sub__(self, other: Any) -> Any:
        n = self.sub_batch_ndim
        if other.__class__ is self.__class__ and n == other.sub_batch_ndim:
            return wrap(self.__class__, self.data - other.data, n)
        return _combine(self, other, operator.sub, "-", number=False)

    def __mul__(self, other: Any) -> Any:
        n = self.sub_batch_ndim
        if other.__class__ is self.__class__ and n == other.sub_batch_ndim:
            return wrap(self.__class__, self.data * other.data, n)
        return _combine(self, other, operator.mul, "*", number=True)

    def __truediv__(self, other: Any) -> Any:
        n = self.sub_batch_ndim
        if other.__class__ is self.__class__ and n == other.sub_batch_ndim:
            return wrap(self.__class__, self.data / other.data, n)
        return _combine(self, other, operator.truediv, "/", number=True)

    def __rmul__(self, other: Any) -> Any:
        if is_number(other):
            return wrap(self.__class__, other * self.data, self.sub_batch_ndim)
        raise _refused(other, self, "*")

    def __radd__(self, other: Any) -> Any:
        raise _refused(other, self, "+")

    def __rsub__(self, other: Any) -> Any:
        raise _refused(other, self, "-")

    def __rtruediv__(self, other: Any) -> Any:
        raise _refused(other, self, "/")

    def __lt__(self, other: Any) -> Any:
        raise TypeError(f"A {type(self).__name__} has no order; use lt(a, b) or gt(a, b), and where.")

    __gt__ = __le__ = __ge__ = __lt__


class Scalar(PrimitiveTensor):
    """A scalar, base shape ``()``; also operates with numbers."""

    __slots__ = ()
    BASE_SHAPE = ()
    COMPONENTS = ("",)

    @classmethod
    def arange(
        cls,
        start: float,
        end: float | None = None,
        step: float = 1,
        *,
        dtype: torch.dtype = torch.float64,
        device: Device = None,
    ) -> Scalar:
        """``start, start + step, ...`` below ``end`` on a dynamic axis; ``arange(end)`` starts at 0."""
        if end is None:
            start, end = 0, start
        return wrap(cls, torch.arange(start, end, step, dtype=dtype, device=device), 0)

    @classmethod
    def from_value(cls, x: Any, like: TensorWrapper) -> Scalar:
        """``x`` as a Scalar of the dtype and device of ``like``."""
        return cls(x, dtype=like.dtype, device=like.device)

    def __abs__(self) -> Scalar:
        return wrap(Scalar, torch.abs(self.data), self.sub_batch_ndim)

    def __pow__(self, exponent: Any) -> Scalar:
        from .elementwise import pow

        return pow(self, exponent)

    def __radd__(self, other: Any) -> Any:
        if is_number(other):
            return wrap(Scalar, other + self.data, self.sub_batch_ndim)
        raise _refused(other, self, "+")

    def __rsub__(self, other: Any) -> Any:
        if is_number(other):
            return wrap(Scalar, other - self.data, self.sub_batch_ndim)
        raise _refused(other, self, "-")

    def __rtruediv__(self, other: Any) -> Any:
        if is_number(other):
            return wrap(Scalar, other / self.data, self.sub_batch_ndim)
        raise _refused(other, self, "/")


def is_number(x: object) -> bool:
    """Whether ``x`` is a real number, of Python or numpy."""
    return isinstance(x, (float, int, numbers.Real))


def over_base(scalar: torch.Tensor, base_ndim: int) -> torch.Tensor:
    """Scalar data with ``base_ndim`` axes of size 1 appended, so that it applies to every component."""
    if base_ndim and scalar.dim():
        return scalar[..., None] if base_ndim == 1 else scalar.reshape(scalar.shape + (1,) * base_ndim)
    return scalar


def join_components(
    components: Any, dtype: torch.dtype | None, device: Device, who: str
) -> tuple[torch.Tensor, int]:
    """Numbers or Scalars stacked on a new last axis, and their sub-batch rank."""
    if all(map(is_number, components)):
        return torch.tensor(components, dtype=dtype or torch.float64, device=device), 0
    for c in components:
        if not (is_number(c) or isinstance(c, Scalar) or (isinstance(c, torch.Tensor) and c.dim() == 0)):
            raise TypeError(
                f"{who} takes numbers or Scalars, got a {type(c).__name__}; wrap it as Scalar(...)."
            )
    like = next(c for c in components if not is_number(c))
    dtype, device = dtype or like.dtype, device or like.device
    scalars = [c if isinstance(c, Scalar) else Scalar(as_tensor(c, dtype, device)) for c in components]
    rank = max(s.sub_batch_ndim for s in scalars)
    data = torch.broadcast_tensors(*(aligned(s, rank).to(dtype=dtype, device=device) for s in scalars))
    return torch.stack(data, -1), rank


def _combine(
    a: PrimitiveTensor, b: Any, op: Callable[[Any, Any], torch.Tensor], sign: str, number: bool
) -> PrimitiveTensor:
    """``a op b`` for operands that are not simply two values of one class and sub-batch rank."""
    cls = type(a)
    kind = type(b)
    if kind is cls:
        x, y, n = aligned_pair(a, b)
        return wrap(cls, op(x, y), n)
    if kind is Scalar:
        x, y, n = aligned_pair(a, b)
        return wrap(cls, op(x, over_base(y, a.BASE_NDIM)), n)
    if is_number(b):
        if number or cls is Scalar:
            return wrap(cls, op(a.data, b), a.sub_batch_ndim)
    elif cls is Scalar and isinstance(b, PrimitiveTensor) and sign in "+*":
        x, y, n = aligned_pair(a, b)
        return wrap(kind, op(over_base(x, b.BASE_NDIM), y), n)
    raise _refused(a, b, sign)


def _refused(a: Any, b: Any, sign: str) -> TypeError:
    left, right = type(a).__name__, type(b).__name__
    if isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor):
        remedy = "wrap the torch.Tensor in its type, for example Scalar(...)"
    elif is_number(a) or is_number(b):
        kind = right if is_number(a) else left
        remedy = f"a number can only scale a {kind}; use {kind}.full or an identity for the other operand"
    elif sign == "@":
        remedy = "@ joins R2 @ R2, SSR4 @ SR2 and SSR4 @ SSR4; convert with r2_from_sr2 or use rotate"
    else:
        remedy = "convert one of them, or multiply by a Scalar"
    return TypeError(f"{left} {sign} {right} is not defined; {remedy}.")
