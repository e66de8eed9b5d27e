"""The functions of torch that symbolic tensors have, scalar by scalar, by their names in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from neml2.compiler.graph import BOOLEAN, Graph, Node
from neml2.compiler.symbolic import SymbolicTensor, Untraceable, constant
from neml2.types import Scalar, pow


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

    def apply(*args: Any) -> SymbolicTensor:
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
    "__and__": _elementwise(_logic("and"), torch.bool),
    "__or__": _elementwise(_logic("or"), torch.bool),
    "square": lambda x: _mul(x, x),
    "rsqrt": lambda x: _div(1.0, FUNCTIONS["sqrt"](x)),
    "sigmoid": lambda x: _div(1.0, 1.0 + FUNCTIONS["exp"](-x)),
    "sinh": lambda x: (FUNCTIONS["expm1"](x) - FUNCTIONS["expm1"](-x)) / 2,
    "cosh": lambda x: (FUNCTIONS["exp"](x) + FUNCTIONS["exp"](-x)) / 2,
    "pad": _pad,
}
