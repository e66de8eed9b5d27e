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

from neml2.compiler.graph import BOOLEAN, Graph, Node
from neml2.types import Scalar, pow


class Untraceable(TypeError):
    """A model uses something that has no meaning for one symbolic point; the message completes "it uses"."""


class _NoAttribute(Untraceable, AttributeError):
    """The same for an attribute, so that ``hasattr`` and ``getattr`` with a default work as ever."""


class SymbolicTensor:
    """An array of :class:`~neml2.compiler.graph.Node`, shaped like the tensor of one point.

    Methods that are functions of torch as well (``x.exp()``) are found in ``FUNCTIONS``.
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
        return FUNCTIONS["div"](total, self.numel() / max(total.numel(), 1))

    def diff(self, n: int = 1, dim: int = -1) -> SymbolicTensor:
        return self._like(np.diff(self.nodes, n, dim))

    def diag_embed(self) -> SymbolicTensor:
        return FUNCTIONS["where"](torch.eye(self.shape[-1], dtype=torch.bool), self.unsqueeze(-1), 0.0)

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
        return FUNCTIONS[ufunc.__name__](*args)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise Untraceable(f"numpy.{function.__name__}; use the functions of neml2 or torch")

    def __repr__(self) -> str:
        return f"SymbolicTensor{tuple(self.nodes.shape)}"

    __hash__ = object.__hash__

    def __abs__(self) -> SymbolicTensor:
        return FUNCTIONS["abs"](self)

    def __neg__(self) -> SymbolicTensor:
        return FUNCTIONS["neg"](self)

    def __invert__(self) -> SymbolicTensor:
        return FUNCTIONS["logical_not"](self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(torch.Tensor, name):
            raise AttributeError(f"a tensor has no attribute '{name}'")
        if name in FUNCTIONS and name != "where":  # x.where(condition, y) has another order
            return partial(_called, name, FUNCTIONS[name], self)
        raise _NoAttribute(_refused(name))

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", str(func))
        return _called(name, FUNCTIONS.get(name) or METHODS.get(name), *args, **(kwargs or {}))


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


def _called(name: str, function: Callable[..., Any] | None, *args: Any, **kwargs: Any) -> Any:
    if function is None:
        raise Untraceable(_refused(name))
    try:
        return function(*args, **kwargs)
    except Untraceable:
        raise
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise Untraceable(f"torch.{name} in a way that has no scalar form here ({error})") from error


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


def _graph_of(*values: Any) -> Graph:
    for v in values:
        if isinstance(v, SymbolicTensor):
            return v.graph
        if isinstance(v, list | tuple):
            for w in v:
                if isinstance(w, SymbolicTensor):
                    return w.graph
    raise Untraceable("an operation without a symbolic operand")


def _nodes(x: Any, graph: Graph) -> np.ndarray:
    return x.nodes if isinstance(x, SymbolicTensor) else constant(x, graph).nodes


def _elementwise(op: Callable[..., Node], dtype: torch.dtype | None = None) -> Callable[..., SymbolicTensor]:
    ufuncs: dict[int, Any] = {}

    def apply(*args: Any, **kwargs: Any) -> SymbolicTensor:
        del kwargs
        graph = _graph_of(*args)
        operands = [_nodes(a, graph) for a in args]
        ufunc = ufuncs.setdefault(len(operands), np.frompyfunc(op, len(operands), 1))
        return SymbolicTensor(np.asarray(ufunc(*operands), dtype=object), graph, dtype or torch.float64)

    return apply


def _unary(op: str) -> Callable[[Node], Node]:
    return lambda a: a.graph.unary(op, a)


def _binary(op: str, swap: bool = False) -> Callable[[Node, Node], Node]:
    return (lambda a, b: a.graph.binary(op, b, a)) if swap else (lambda a, b: a.graph.binary(op, a, b))


def _logic(op: str) -> Callable[[Node, Node], Node]:
    def made(a: Node, b: Node) -> Node:
        if op == "and":
            for x, y in ((a, b), (b, a)):
                if x.op == "const":
                    return y if x.value else a.graph.const(0)
        if op == "or":
            for x, y in ((a, b), (b, a)):
                if x.op == "const":
                    return a.graph.const(1) if x.value else y
        return a.graph.binary(op, a, b)

    return made


_add = _elementwise(_binary("add"))
_sub = _elementwise(_binary("sub"))
_mul = _elementwise(_binary("mul"))
_div = _elementwise(_binary("div"))
_equal = _elementwise(_binary("eq"), torch.bool)
_not_equal = _elementwise(lambda a, b: a.graph.unary("not", a.graph.binary("eq", a, b)), torch.bool)
_where = _elementwise(lambda c, a, b: c.graph.where(_truth(c), a, b))


def _truth(c: Node) -> Node:
    return (
        c
        if c.op in BOOLEAN or c.op == "const"
        else c.graph.unary("not", c.graph.binary("eq", c, c.graph.const(0)))
    )


def _stack(tensors: Sequence[Any], dim: int = 0) -> SymbolicTensor:
    graph = _graph_of(tensors)
    return SymbolicTensor(np.stack([_nodes(t, graph) for t in tensors], dim), graph)


def _cat(tensors: Sequence[Any], dim: int = 0) -> SymbolicTensor:
    graph = _graph_of(tensors)
    return SymbolicTensor(np.concatenate([_nodes(t, graph) for t in tensors], dim), graph)


def _clamp(x: SymbolicTensor, min: Any = None, max: Any = None) -> SymbolicTensor:
    if min is not None:
        x = _elementwise(_binary("max"))(x, min)
    return x if max is None else _elementwise(_binary("min"))(x, max)


def _pow(x: Any, n: Any) -> SymbolicTensor:
    """As the typed power, which knows what to do at zero."""
    graph = _graph_of(x, n)
    exponent = n if isinstance(n, int | float) else Scalar._new(_symbolic(n, graph))
    return pow(Scalar._new(_symbolic(x, graph)), exponent).data  # type: ignore[return-value]


def _symbolic(x: Any, graph: Graph) -> Any:
    return x if isinstance(x, SymbolicTensor) else constant(x, graph)


def _matmul(a: Any, b: Any) -> SymbolicTensor:
    graph = _graph_of(a, b)
    return SymbolicTensor(np.asarray(np.matmul(_nodes(a, graph), _nodes(b, graph)), dtype=object), graph)


def _pad(x: SymbolicTensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    if mode != "constant":
        raise Untraceable(f"torch.pad of mode '{mode}'")
    pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]  # torch begins with the last axis
    widths = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    filler: Any = x.graph.const(value or 0.0)
    return x._like(np.pad(x.nodes, widths, constant_values=filler))


def _filled(value: float) -> Callable[..., SymbolicTensor]:
    return lambda x, *a, **k: constant(np.full(x.nodes.shape, value), x.graph)


def _broadcast(*tensors: Any) -> tuple[SymbolicTensor, ...]:
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = tuple(tensors[0])
    graph = _graph_of(tensors)
    return tuple(
        SymbolicTensor(a, graph)
        for a in np.broadcast_arrays(*[_nodes(t, graph) for t in tensors], subok=True)
    )


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{n: _elementwise(_unary(n)) for n in ("abs", "sign", "sqrt", "exp", "log", "expm1", "log1p", "log10")},
    **{
        n: _elementwise(_unary(n))
        for n in ("sin", "cos", "tan", "asin", "acos", "atan", "tanh", "floor", "neg")
    },
    "logical_not": _elementwise(_unary("not"), torch.bool),
    "bitwise_not": _elementwise(_unary("not"), torch.bool),
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "true_divide": _div,
    "divide": _div,
    "subtract": _sub,
    "multiply": _mul,
    "pow": _pow,
    "matmul": _matmul,
    "maximum": _elementwise(_binary("max")),
    "minimum": _elementwise(_binary("min")),
    "remainder": _elementwise(_binary("rem")),
    "lt": _elementwise(_binary("lt"), torch.bool),
    "le": _elementwise(_binary("le"), torch.bool),
    "gt": _elementwise(_binary("lt", True), torch.bool),
    "ge": _elementwise(_binary("le", True), torch.bool),
    "eq": _equal,
    "ne": _not_equal,
    "reciprocal": lambda x: _div(1.0, x),
    "where": _where,
    "stack": _stack,
    "cat": _cat,
    "clamp": _clamp,
    "zeros_like": _filled(0.0),
    "ones_like": _filled(1.0),
    "broadcast_tensors": _broadcast,
    "square": lambda x: _mul(x, x),
    "rsqrt": lambda x: _div(1.0, FUNCTIONS["sqrt"](x)),
    "sigmoid": lambda x: _div(1.0, 1.0 + FUNCTIONS["exp"](-x)),
    "sinh": lambda x: (FUNCTIONS["expm1"](x) - FUNCTIONS["expm1"](-x)) / 2,
    "cosh": lambda x: (FUNCTIONS["exp"](x) + FUNCTIONS["exp"](-x)) / 2,
    "pad": _pad,
}

METHODS: dict[str, Callable[..., Any]] = {  # of a tensor, which are functions as well
    n: getattr(SymbolicTensor, n)
    for n in (
        *("reshape", "squeeze", "unsqueeze", "transpose", "movedim", "permute", "narrow", "select", "split"),
        *("flatten", "unbind", "flip", "clone", "sum", "mean", "diff", "diag_embed", "is_floating_point"),
    )
}


def _operator(name: str, fn: Callable[..., SymbolicTensor], swap: bool = False) -> None:
    setattr(SymbolicTensor, name, (lambda self, o: fn(o, self)) if swap else (lambda self, o: fn(self, o)))


_ARITHMETIC = {"add": _add, "sub": _sub, "mul": _mul, "truediv": _div, "pow": _pow, "matmul": _matmul}
for _name, _fn in _ARITHMETIC.items():
    _operator(f"__{_name}__", _fn)
    _operator(f"__r{_name}__", _fn, swap=True)
    setattr(SymbolicTensor, f"__i{_name}__", SymbolicTensor._written)
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    _operator(f"__{_name}__", FUNCTIONS[_name])
for _name in ("and", "or"):
    _operator(f"__{_name}__", _elementwise(_logic(_name), torch.bool))
    _operator(f"__r{_name}__", _elementwise(_logic(_name), torch.bool), swap=True)
