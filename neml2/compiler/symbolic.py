"""Symbolic tensors: what the models see instead of ``torch.Tensor`` while they are traced.

A :class:`SymbolicTensor` is an array of scalar nodes with the part of torch's interface that models and typed
tensors use. Torch functions reach it through ``__torch_function__``; so the very same ``forward`` that runs
eagerly builds the graph of one material point, without torch's dispatcher.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from neml2.compiler.graph import Graph


class Untraceable(TypeError):
    """A model uses something that has no meaning for one symbolic point; the message completes "it uses"."""


class _NoAttribute(Untraceable, AttributeError):
    """The same for an attribute, so that ``hasattr`` and ``getattr`` with a default work as ever."""


class SymbolicTensor:
    """An array of :class:`~neml2.compiler.graph.Node`, shaped like the tensor of one point.

    Methods that are functions of torch as well (``x.exp()``) are those of ``functions.py``.
    """

    is_cuda = False
    device = torch.device("cpu")

    def __init__(self, nodes: np.ndarray, graph: Graph, dtype: torch.dtype = torch.float64) -> None:
        self.nodes, self.graph, self.dtype = nodes, graph, dtype

    def _like(self, nodes: Any, dtype: torch.dtype | None = None) -> SymbolicTensor:
        return SymbolicTensor(np.asarray(nodes, dtype=object), self.graph, dtype or self.dtype)

    # ------------------------------------------------------------------ shape

    @property
    def shape(self) -> torch.Size:
        return torch.Size(self.nodes.shape)

    @property
    def ndim(self) -> int:
        return self.nodes.ndim

    def dim(self) -> int:
        return self.nodes.ndim

    def size(self, i: int | None = None) -> Any:
        return self.shape if i is None else self.nodes.shape[i]

    def numel(self) -> int:
        return self.nodes.size

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def __len__(self) -> int:
        return len(self.nodes) if self.ndim else self.item()

    def __getitem__(self, key: Any) -> SymbolicTensor:
        keys = key if isinstance(key, tuple) else (key,)
        if any(isinstance(k, SymbolicTensor) for k in keys):
            raise Untraceable(MEANING["__getitem__"])
        return self._like(self.nodes[tuple(k.numpy() if isinstance(k, torch.Tensor) else k for k in keys)])

    def _written(self, *args: Any) -> Any:
        raise Untraceable(MEANING["__setitem__"])

    __setitem__ = _written

    def reshape(self, *shape: Any) -> SymbolicTensor:
        return self._like(self.nodes.reshape(_sizes(shape)))

    view = reshape

    def expand(self, *shape: Any) -> SymbolicTensor:
        sizes = _sizes(shape)
        own = (1,) * (len(sizes) - self.ndim) + self.nodes.shape
        return self._like(np.broadcast_to(self.nodes, [o if s == -1 else s for s, o in zip(sizes, own)]))

    def unsqueeze(self, dim: int) -> SymbolicTensor:
        return self._like(np.expand_dims(self.nodes, dim))

    def squeeze(self, dim: int | None = None) -> SymbolicTensor:
        return self._like(np.squeeze(self.nodes, dim)) if dim is None or self.shape[dim] == 1 else self

    def transpose(self, dim0: int, dim1: int) -> SymbolicTensor:
        return self._like(np.swapaxes(self.nodes, dim0, dim1))

    def movedim(self, source: Any, destination: Any) -> SymbolicTensor:
        return self._like(np.moveaxis(self.nodes, source, destination))

    def permute(self, *dims: Any) -> SymbolicTensor:
        return self._like(np.transpose(self.nodes, _sizes(dims)))

    @property
    def mT(self) -> SymbolicTensor:
        return self.transpose(-2, -1)

    def narrow(self, dim: int, start: int, length: int) -> SymbolicTensor:
        return self._like(np.take(self.nodes, range(start, start + length), axis=dim))

    def select(self, dim: int, index: int) -> SymbolicTensor:
        return self._like(np.moveaxis(self.nodes, dim, 0)[index])

    def split(self, sizes: Any, dim: int = 0) -> tuple[SymbolicTensor, ...]:
        n = self.nodes.shape[dim]
        cuts = list(range(sizes, n, sizes)) if isinstance(sizes, int) else np.cumsum(sizes)[:-1].tolist()
        return tuple(self._like(part) for part in np.split(self.nodes, cuts, dim))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> SymbolicTensor:
        end = end_dim % max(self.ndim, 1) + 1
        return self._like(self.nodes.reshape(*self.shape[:start_dim], -1, *self.shape[end:]))

    def unbind(self, dim: int = 0) -> tuple[SymbolicTensor, ...]:
        return tuple(self._like(part) for part in np.moveaxis(self.nodes, dim, 0))

    def flip(self, *dims: Any) -> SymbolicTensor:
        return self._like(np.flip(self.nodes, _sizes(dims)))

    def _same(self, *args: Any, **kwargs: Any) -> SymbolicTensor:
        return self

    contiguous = clone = detach = double = _same

    def to(self, *args: Any, **kwargs: Any) -> SymbolicTensor:
        given = [*args, *kwargs.values()]
        wanted = [d for a in given if isinstance(d := getattr(a, "dtype", a), torch.dtype)]
        if any(d not in (self.dtype, torch.float64) for d in wanted):
            raise Untraceable(f"a conversion to {wanted[0]}; values are float64")
        return self._like(self.nodes, wanted[0] if wanted else None)

    # ------------------------------------------------------------------ values

    def sum(self, dim: Any = None, keepdim: bool = False) -> SymbolicTensor:
        zero: Any = self.graph.const(0)  # the sum of nothing
        return self._like(np.sum(self.nodes, axis=_axis(dim), keepdims=keepdim, initial=zero))

    def mean(self, dim: Any = None, keepdim: bool = False) -> SymbolicTensor:
        total = self.sum(dim, keepdim)
        return _called("div", total, self.numel() / max(total.numel(), 1))

    def diff(self, n: int = 1, dim: int = -1) -> SymbolicTensor:
        return self._like(np.diff(self.nodes, n, dim))

    def diag_embed(self) -> SymbolicTensor:
        return _called("where", torch.eye(self.shape[-1], dtype=torch.bool), self.unsqueeze(-1), 0.0)

    def new_zeros(self, *shape: Any) -> SymbolicTensor:
        return constant(np.zeros(_sizes(shape)), self.graph)

    def __bool__(self) -> bool:
        if self.nodes.size == 1 and self.nodes.item().op == "const":
            return bool(self.nodes.item().value)
        raise Untraceable("a Python branch on a value; use where")

    def item(self) -> Any:
        raise Untraceable("a value as a Python number, as by .item() or float(); keep values as tensors")

    tolist = __float__ = __int__ = __index__ = item

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise Untraceable("a conversion to NumPy; keep values as tensors")

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> SymbolicTensor:
        """NumPy numbers on the left of an operator; nothing else of NumPy."""
        if ufunc.__name__ not in ("add", "subtract", "multiply", "divide") or method != "__call__" or kwargs:
            raise Untraceable(f"numpy.{ufunc.__name__}; use the functions of neml2 or torch")
        return _called(ufunc.__name__, *args)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise Untraceable(f"numpy.{function.__name__}; use the functions of neml2 or torch")

    def __repr__(self) -> str:
        return f"SymbolicTensor{tuple(self.nodes.shape)}"

    __hash__ = object.__hash__

    def __abs__(self) -> SymbolicTensor:
        return _called("abs", self)

    def __neg__(self) -> SymbolicTensor:
        return _called("neg", self)

    def __invert__(self) -> SymbolicTensor:
        return _called("logical_not", self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(torch.Tensor, name):
            raise AttributeError(f"a tensor has no attribute '{name}'")
        if name != "where" and _function(name):  # x.where(condition, y) has another order
            return partial(_called, name, self)
        raise _NoAttribute(_refused(name))

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", str(func))
        return _called(name, *args, **(kwargs or {}))


METHODS = {  # that are functions as well
    *("reshape", "squeeze", "unsqueeze", "transpose", "movedim", "permute", "narrow", "select", "split"),
    *("flatten", "unbind", "flip", "clone", "sum", "mean", "diff", "diag_embed", "is_floating_point"),
}
MEANING = {
    "__getitem__": "an index that depends on values; use where",
    "__setitem__": "a write into a tensor; make a new one with stack, cat or where",
    **dict.fromkeys(
        ("__contains__", "all", "any", "equal", "allclose"), "a Python branch on a value; use where"
    ),
    **dict.fromkeys(
        ("requires_grad", "requires_grad_", "grad", "grad_fn", "backward"),
        "derivatives of its own; use Normality",
    ),
}


def _refused(name: str) -> str:
    """What a function or method of torch that is not known here means for the model."""
    if name in MEANING:
        return MEANING[name]
    if name.endswith("_") or name.startswith("__i"):
        return MEANING["__setitem__"]
    return f"torch.{name}, which has no scalar form here"


def _function(name: str) -> Callable[..., Any] | None:
    from neml2.compiler.functions import FUNCTIONS  # which are made of symbolic tensors

    return FUNCTIONS.get(name) or (getattr(SymbolicTensor, name) if name in METHODS else None)


def _called(name: str, *args: Any, **kwargs: Any) -> Any:
    """The function of torch of that name."""
    function = _function(name)
    if function is None:
        raise Untraceable(_refused(name))
    try:
        return function(*args, **kwargs)
    except Untraceable:
        raise
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise Untraceable(f"torch.{name} with arguments that do not fit ({str(error).strip()})") from error


def constant(value: Any, graph: Graph) -> SymbolicTensor:
    """Numbers as constants of the graph; parameters are none, as the graph outlives their values."""
    if isinstance(value, torch.Tensor):
        if value.requires_grad or isinstance(value, torch.nn.Parameter):
            raise Untraceable("a parameter of its own; take it as an argument of forward")
        value = value.detach().double().cpu().numpy()
    array = np.asarray(value, dtype=float)
    nodes = np.empty(array.shape, dtype=object)
    for i in np.ndindex(array.shape):
        nodes[i] = graph.const(float(array[i]))
    return SymbolicTensor(nodes, graph)


def inputs(name: str, shape: Sequence[int], graph: Graph) -> SymbolicTensor:
    """A tensor of inputs called ``name[0]``, ``name[1]``, ... in row-major order (``name`` for a scalar)."""
    nodes = np.empty(tuple(shape), dtype=object)
    for k, i in enumerate(np.ndindex(tuple(shape))):
        nodes[i] = graph.input(f"{name}[{k}]" if shape else name)
    return SymbolicTensor(nodes, graph)


def _sizes(shape: Any) -> tuple[int, ...]:
    return (
        tuple(shape[0])
        if len(shape) == 1 and isinstance(shape[0], tuple | list | torch.Size)
        else tuple(shape)
    )


def _axis(dim: Any) -> Any:
    """The axes of a sum for NumPy; none means all of them, as in torch."""
    return (tuple(dim) or None) if isinstance(dim, list | tuple) else dim


def _operator(operator: str, name: str) -> None:
    setattr(SymbolicTensor, f"__{operator}__", lambda a, b: _called(name, a, b))
    setattr(SymbolicTensor, f"__r{operator}__", lambda a, b: _called(name, b, a))
    setattr(SymbolicTensor, f"__i{operator}__", SymbolicTensor._written)


for _name in ("add", "sub", "mul", "pow", "matmul"):
    _operator(_name, _name)
for _name, _torch in {"truediv": "div", "and": "__and__", "or": "__or__"}.items():
    _operator(_name, _torch)
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(SymbolicTensor, f"__{_name}__", lambda a, b, name=_name: _called(name, a, b))
