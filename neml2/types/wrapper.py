"""`TensorWrapper`: a torch tensor that knows which of its trailing axes are base and sub-batch axes."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch
from torch.utils import _pytree

if TYPE_CHECKING:
    from typing_extensions import Self

W = TypeVar("W", bound="TensorWrapper")


class TensorWrapper:
    """A typed value: ``data`` of shape ``(*dynamic_batch, *sub_batch, *base)``.

    Instances are immutable, compare and hash by identity, and are pytree nodes with the single leaf ``data``.
    Nothing is copied when a tensor is wrapped; a `torch.nn.Parameter` stays the same object.

    Raises `TypeError` for data of the wrong kind, `ValueError` for a wrong base shape or sub-batch rank.
    """

    __slots__ = ("data", "sub_batch_ndim")
    __array_ufunc__ = None  # numpy arrays on the left of an operator give way to ours

    BASE_SHAPE: ClassVar[tuple[int, ...]]
    BASE_NDIM: ClassVar[int]
    COMPONENTS: ClassVar[tuple[str, ...]]  # labels of the stored components, row-major

    data: torch.Tensor
    sub_batch_ndim: int

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "BASE_SHAPE" in cls.__dict__:
            cls.BASE_NDIM = len(cls.BASE_SHAPE)
            _register_pytree(cls)

    def __new__(
        cls,
        data: Any,
        sub_batch_ndim: int | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Self:
        if not hasattr(cls, "BASE_SHAPE"):
            raise TypeError(f"{cls.__name__} is abstract; use one of its subclasses, such as Scalar or SR2.")
        if isinstance(data, TensorWrapper):
            return _rewrap(cls, data, sub_batch_ndim, dtype, device)
        tensor = as_tensor(data, dtype, device, who=cls.__name__)
        rank = 0 if sub_batch_ndim is None else _checked_rank(cls, sub_batch_ndim)
        batch_ndim = tensor.dim() - cls.BASE_NDIM
        if batch_ndim < 0 or tensor.shape[batch_ndim:] != cls.BASE_SHAPE:
            raise ValueError(
                f"{cls.__name__} got data of shape {tuple(tensor.shape)} but needs the base shape"
                f" {cls.BASE_SHAPE}"
                f" in its last {cls.BASE_NDIM} axes; reshape the data to (*batch, {_commas(cls.BASE_SHAPE)})."
            )
        if rank > batch_ndim:
            raise ValueError(
                f"{cls.__name__} got sub_batch_ndim={rank} but its data of shape"
                f" {tuple(tensor.shape)} has only"
                f" {batch_ndim} batch axes; lower sub_batch_ndim or add axes to the data."
            )
        return wrap(cls, tensor, rank)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"{type(self).__name__} is immutable; make a new one instead of setting {name!r}."
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(
            f"{type(self).__name__} is immutable; {name!r} cannot be deleted, drop the object."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return wrap, (type(self), self.data, self.sub_batch_ndim)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(data={self.data!r}, sub_batch_ndim={self.sub_batch_ndim})"

    @classmethod
    def _new(cls, data: torch.Tensor, sub_batch_ndim: int = 0) -> Self:
        """The unchecked constructor, for results whose shape is known to be right."""
        return wrap(cls, data, sub_batch_ndim)

    # --- shape, dtype, device -------------------------------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        return self.data.dtype

    @property
    def device(self) -> torch.device:
        return self.data.device

    @property
    def requires_grad(self) -> bool:
        return self.data.requires_grad

    @property
    def shape(self) -> torch.Size:
        """Shape of ``data``: ``(*dynamic_batch, *sub_batch, *base)``."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        return self.data.dim()

    @property
    def base_shape(self) -> torch.Size:
        return self.data.shape[self.data.dim() - self.BASE_NDIM :]

    @property
    def batch_shape(self) -> torch.Size:
        """``(*dynamic_batch, *sub_batch)``."""
        return self.data.shape[: self.data.dim() - self.BASE_NDIM]

    @property
    def dynamic_batch_shape(self) -> torch.Size:
        return self.data.shape[: self.data.dim() - self.BASE_NDIM - self.sub_batch_ndim]

    @property
    def sub_batch_shape(self) -> torch.Size:
        stop = self.data.dim() - self.BASE_NDIM
        return self.data.shape[stop - self.sub_batch_ndim : stop]

    # --- the same value, stored otherwise -------------------------------------------------------------------

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """As `torch.Tensor.to`; returns ``self`` when nothing changes."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else wrap(type(self), data, self.sub_batch_ndim)

    def with_sub_batch_ndim(self, n: int) -> Self:
        """The same storage with its last ``n`` batch axes taken as sub-batch axes."""
        return type(self)(self.data, n)

    def materialize(self) -> Self:
        """``self``: every axis is stored at its full extent."""
        return self

    def detach(self) -> Self:
        return wrap(type(self), self.data.detach(), self.sub_batch_ndim)

    def clone(self) -> Self:
        return wrap(type(self), self.data.clone(), self.sub_batch_ndim)


# the slots, past the refusing __setattr__
_set_data = TensorWrapper.__dict__["data"].__set__
_set_sub_batch_ndim = TensorWrapper.__dict__["sub_batch_ndim"].__set__
_allocate = object.__new__


def wrap(cls: type[W], data: torch.Tensor, sub_batch_ndim: int) -> W:
    """The unchecked constructor, for results whose shape is known to be right."""
    self = _allocate(cls)
    _set_data(self, data)
    _set_sub_batch_ndim(self, sub_batch_ndim)
    return self


def aligned(w: TensorWrapper, rank: int) -> torch.Tensor:
    """``w.data`` with size-1 axes inserted at the front of its sub-batch region, up to ``rank`` of them.

    Without dynamic axes nothing is inserted, since broadcasting supplies leading axes of size 1.
    """
    data = w.data
    missing = rank - w.sub_batch_ndim
    if missing:
        front = data.dim() - w.BASE_NDIM - w.sub_batch_ndim
        if front:
            shape = data.shape
            data = data.reshape(shape[:front] + (1,) * missing + shape[front:])
    return data


def aligned_pair(a: TensorWrapper, b: TensorWrapper) -> tuple[torch.Tensor, torch.Tensor, int]:
    """The data of both with equal sub-batch rank, and that rank."""
    n, m = a.sub_batch_ndim, b.sub_batch_ndim
    if n == m:
        return a.data, b.data, n
    rank = n if n > m else m
    return aligned(a, rank), aligned(b, rank), rank


def align_sub_batch(*values: TensorWrapper) -> tuple[tuple[TensorWrapper, ...], int]:
    """``(values, rank)`` with the sub-batch ranks raised to the largest one by size-1 axes at the front."""
    rank = max((w.sub_batch_ndim for w in values), default=0)
    return tuple(_raised(w, rank) for w in values), rank


def _raised(w: TensorWrapper, rank: int) -> TensorWrapper:
    if w.sub_batch_ndim == rank:
        return w
    shape = w.shape
    front = w.ndim - w.BASE_NDIM - w.sub_batch_ndim
    data = w.data.reshape(shape[:front] + (1,) * (rank - w.sub_batch_ndim) + shape[front:])
    return wrap(type(w), data, rank)


def as_tensor(
    data: Any, dtype: torch.dtype | None, device: torch.device | str | None, who: str = "Tensor"
) -> torch.Tensor:
    """A tensor as it is; numbers, nested lists and numpy arrays as float64 unless ``dtype`` is given."""
    if isinstance(data, torch.Tensor) or hasattr(data, "__torch_function__"):  # as torch's is_tensor_like
        return data if dtype is None and device is None else data.to(dtype=dtype, device=device)
    if isinstance(data, (numbers.Real, list, tuple)) or hasattr(data, "__array__"):
        try:
            return torch.tensor(data, dtype=dtype or torch.float64, device=device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"{who} cannot make a tensor of this {type(data).__name__} ({error}); give numbers in"
                " lists of"
                " equal lengths, and join existing tensors with stack."
            ) from None
    raise TypeError(
        f"{who} got a {type(data).__name__}; give a torch.Tensor, a number, nested lists or a numpy array."
    )


def _rewrap(
    cls: type[W],
    inner: TensorWrapper,
    sub_batch_ndim: int | None,
    dtype: torch.dtype | None,
    device: torch.device | str | None,
) -> W:
    if type(inner) is not cls:
        raise TypeError(
            f"Cannot wrap a {type(inner).__name__} as a {cls.__name__}; convert it with a function"
            " (such as sym or r2_from_sr2), or pass its .data if the components really are meant."
        )
    if sub_batch_ndim is not None and sub_batch_ndim != inner.sub_batch_ndim:
        raise ValueError(
            f"{cls.__name__} got sub_batch_ndim={sub_batch_ndim} for a value that has sub_batch_ndim="
            f"{inner.sub_batch_ndim}; use with_sub_batch_ndim({sub_batch_ndim}) to split its axes anew."
        )
    return inner if dtype is None and device is None else inner.to(dtype=dtype, device=device)


def _checked_rank(cls: type, rank: object) -> int:
    if isinstance(rank, bool) or not isinstance(rank, int):
        raise TypeError(f"{cls.__name__} got sub_batch_ndim={rank!r}; give a non-negative int.")
    if rank < 0:
        raise ValueError(f"{cls.__name__} got sub_batch_ndim={rank}; give a non-negative int.")
    return rank


def _commas(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def number_of_components(cls: type[TensorWrapper]) -> int:
    """The number of stored components."""
    return math.prod(cls.BASE_SHAPE)


def _register_pytree(cls: type[TensorWrapper]) -> None:
    def flatten(w: TensorWrapper) -> tuple[list[Any], int]:
        return [w.data], w.sub_batch_ndim

    def flatten_with_keys(w: TensorWrapper) -> tuple[list[tuple[Any, Any]], int]:
        return [(_pytree.GetAttrKey("data"), w.data)], w.sub_batch_ndim

    def unflatten(leaves: Any, sub_batch_ndim: Any) -> TensorWrapper:
        (data,) = leaves
        return wrap(cls, data, sub_batch_ndim)

    _pytree.register_pytree_node(
        cls,
        flatten,
        unflatten,
        serialized_type_name=f"neml2.types.{cls.__name__}",
        flatten_with_keys_fn=flatten_with_keys,
    )
