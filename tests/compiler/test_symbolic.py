"""Symbolic tensors against torch, on numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from neml2.compiler.functions import FUNCTIONS
from neml2.compiler.graph import Graph
from neml2.compiler.sample import values_at
from neml2.compiler.symbolic import METHODS, SymbolicTensor, Untraceable, constant, inputs
from neml2.types import SR2

X = torch.tensor([[-1.5, 0.0, 2.0], [0.25, -0.75, 3.5]], dtype=torch.float64)
Y = torch.tensor([[2.0, 0.0, -3.0], [0.25, 1.5, 0.5]], dtype=torch.float64)
U = torch.tensor([-0.9, 0.3, 0.7], dtype=torch.float64)  # inside [-1, 1]
P = torch.tensor([0.2, 1.0, 30.0], dtype=torch.float64)  # positive

CALLS: dict[str, list[tuple[Callable[..., Any], list[torch.Tensor]]]] = {
    **{
        n: [(getattr(torch, n), [X])]
        for n in ("abs", "sign", "exp", "expm1", "tanh", "floor", "neg", "square")
    },
    **{n: [(getattr(torch, n), [X])] for n in ("sin", "cos", "tan", "atan", "zeros_like", "ones_like")},
    **{n: [(getattr(torch, n), [P])] for n in ("sqrt", "log", "log1p", "log10", "reciprocal")},
    **{n: [(getattr(torch, n), [U])] for n in ("asin", "acos")},
    **{n: [(getattr(torch, n), [X, Y])] for n in ("add", "sub", "mul", "maximum", "minimum")},
    **{n: [(getattr(torch, n), [X, P])] for n in ("div", "true_divide", "remainder")},
    **{n: [(getattr(torch, n), [X, Y])] for n in ("lt", "le", "gt", "ge", "eq", "ne")},
    "logical_not": [(lambda x, y: torch.logical_not(x < y), [X, Y])],
    "bitwise_not": [(lambda x, y: torch.bitwise_not(x < y), [X, Y])],
    "where": [
        (lambda x, y: torch.where(x < y, x, y), [X, Y]),
        (lambda x, y: torch.where(x > 0, x, 0.0), [X, Y]),
        (lambda x, y: torch.where(X > 0, x, y), [X, Y]),
    ],
    "stack": [(lambda x, y: torch.stack([x, y, X], -1), [X, Y])],
    "cat": [(lambda x, y: torch.cat([x, Y, y], 1), [X, Y])],
    "clamp": [
        (lambda x: torch.clamp(x, min=0.0), [X]),
        (lambda x: torch.clamp(x, -1.0, 1.0), [X]),
        (lambda x: torch.clamp(x, max=0.3), [X]),
    ],
    "broadcast_tensors": [(lambda x, y: torch.stack(torch.broadcast_tensors(x, y)), [X, U])],
    **{n: [(getattr(torch, n), [X, Y])] for n in ("subtract", "multiply")},
    **{n: [(getattr(torch, n), [X])] for n in ("sigmoid", "sinh", "cosh")},
    "divide": [(torch.divide, [X, P])],
    "rsqrt": [(torch.rsqrt, [P])],
    "pow": [
        *((lambda x, n=n: torch.pow(x, n), [X]) for n in (2, 3.0, 0, 5, -2.0)),
        *((lambda x, n=n: x**n, [P]) for n in (0.5, 2.5, -1.5, 1 / 3, 40)),
        (lambda x: x**40, [X]),
        (lambda x, y: x**y, [P, U]),
        (lambda x: 2.0**x, [X]),
        (lambda x: x ** torch.tensor(3.0), [X]),
    ],
    "__and__": [(lambda x, y: (x > 0) & (y > 0), [X, Y]), (lambda x: (X > 0) & (x < 1), [X])],
    "__or__": [(lambda x, y: (x > 0) | (y > 0), [X, Y]), (lambda x: (X > 0) | (x < 1), [X])],
    "matmul": [
        (lambda x, y: torch.matmul(x, y.mT), [X, Y]),
        (lambda x, y: x @ y, [X, U]),
        (lambda x: X @ x, [U]),
        (lambda x, y: x @ y, [U, P]),
    ],
    "pad": [
        (lambda x: torch.nn.functional.pad(x, [1, 2]), [X]),
        (lambda x: torch.nn.functional.pad(x, [0, 0, 1, 0], value=3.0), [X]),
    ],
}
METHOD_CALLS: dict[str, Callable[..., Any]] = {
    "reshape": lambda x: torch.reshape(x, (3, 2)),
    "squeeze": lambda x: torch.squeeze(torch.squeeze(x[None]), 0),
    "unsqueeze": lambda x: torch.unsqueeze(x, -1),
    "transpose": lambda x: torch.transpose(x, dim0=0, dim1=1),
    "movedim": lambda x: torch.movedim(x[None], 0, -1),
    "permute": lambda x: torch.permute(x, (1, 0)),
    "narrow": lambda x: torch.narrow(x, 1, 1, 2),
    "select": lambda x: torch.select(x, 1, -1),
    "split": lambda x: torch.split(x, [1, 2], 1)[1] + torch.split(x, 2, -1)[1],
    "flatten": lambda x: torch.flatten(x[None], 0, 1),
    "unbind": lambda x: torch.unbind(x, 1)[2],
    "flip": lambda x: torch.flip(x, (0, 1)),
    "clone": lambda x: torch.clone(x),
    "sum": lambda x: torch.sum(x, dim=(0, 1)) + torch.sum(x, -1).sum() + torch.sum(x, 0, keepdim=True),
    "mean": lambda x: torch.mean(x, -1, keepdim=True) + torch.mean(x),
    "diff": lambda x: torch.diff(x, dim=0) + torch.diff(x, 2, -1).sum(),
    "diag_embed": lambda x: torch.diag_embed(x),
    "is_floating_point": lambda x: x if torch.is_floating_point(x) else -x,
}

SHAPES: dict[str, Callable[[Any], Any]] = {
    "reshape": lambda x: x.reshape(3, 2),
    "view": lambda x: x.view((6,)),
    "expand": lambda x: x.expand(4, -1, 3),
    "unsqueeze": lambda x: x.unsqueeze(-1),
    "squeeze": lambda x: x.unsqueeze(0).squeeze(0).squeeze(0),
    "transpose": lambda x: x.transpose(0, 1),
    "mT": lambda x: x[None].mT,
    "narrow": lambda x: x.narrow(-1, 1, 2),
    "movedim": lambda x: x[None].movedim(-1, 0),
    "movedim of two": lambda x: x[None].movedim((0, 1), (-1, -2)),
    "permute": lambda x: x.permute(1, 0),
    "flatten": lambda x: x.flatten(),
    "flatten the last": lambda x: x[None].flatten(1),
    "unbind": lambda x: x.unbind(-1)[1],
    "flip": lambda x: x.flip(-1),
    "flatten the first": lambda x: x[None].flatten(0, 1),
    "select": lambda x: x.select(1, 2),
    "split": lambda x: x.split((1, 2), -1)[1],
    "diff": lambda x: x.diff(),
    "a sum over no axes, which is all of them": lambda x: x.sum(()),
    "a sum of nothing": lambda x: x[:0].sum(0) + x,
    "the mean of an axis that stays": lambda x: x.mean(-1, True),
    "methods that are functions": lambda x: x.exp() + x.square().sqrt() - x.clamp(min=0.5),
    "an index from torch": lambda x: x[:, torch.tensor([2, 0])],
    "a mask from torch": lambda x: x[torch.tensor([[True, False, True], [False, True, False]])],
    "to its own type": lambda x: x.to(torch.float64).to(X),
    "a mask as numbers": lambda x: (x > 0).to(torch.float64) * x,
    "sum": lambda x: x.sum((0, 1)),
    "mean": lambda x: x.mean(),
    "mean over an axis": lambda x: x.mean(-1),
    "abs": lambda x: abs(x) + x.abs(),
    "item of a list": lambda x: x[..., [2, 0]],
    "a new axis": lambda x: x[:, None, 1:],
    "negative": lambda x: -x,
}


def symbolic(data: torch.Tensor, name: str, graph: Graph, sample: dict[str, float]) -> SymbolicTensor:
    made = inputs(name, tuple(data.shape), graph)
    sample |= {n.value: v for n, v in zip(made.nodes.flat, data.reshape(-1).tolist(), strict=True)}
    return made


def same(call: Callable[..., Any], arguments: list[torch.Tensor]) -> None:
    graph, sample = Graph(), {}
    found = call(*[symbolic(a, "xyz"[i], graph, sample) for i, a in enumerate(arguments)])
    expected = call(*arguments)
    assert isinstance(found, SymbolicTensor)
    assert found.shape == expected.shape and found.ndim == expected.ndim
    value = values_at([sample])
    numbers = np.array([value(n)[0] for n in found.nodes.flat]).reshape(expected.shape)
    np.testing.assert_allclose(numbers, expected.double().numpy(), rtol=1e-14, atol=1e-15)


def test_every_function_has_a_row() -> None:
    assert set(CALLS) == set(FUNCTIONS)
    assert set(METHOD_CALLS) == set(METHODS)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions(name: str) -> None:
    for call, arguments in CALLS[name]:
        same(call, arguments)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_methods_that_are_functions(name: str) -> None:
    same(METHOD_CALLS[name], [X])


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_shapes(name: str) -> None:
    same(SHAPES[name], [X])


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "lt", "le", "gt", "ge", "eq", "ne"])
def test_operators(name: str) -> None:
    op = getattr(operator, name)
    same(op, [X, P])
    same(lambda x: op(x, P), [X])
    same(lambda x: op(P, x), [X])
    same(lambda x: op(x, 2.5), [X])
    same(lambda x: op(2.5, x), [P])
    same(lambda x: op(x, P[0]), [X])  # a number as a tensor


def test_numpy_on_the_left() -> None:
    number = np.float64(2.0)
    for op in (operator.add, operator.sub, operator.mul, operator.truediv):
        same(lambda x, op=op: op(number, x), [U])


def test_typed_tensors_wrap_symbols() -> None:
    x = inputs("x", (2, 6), Graph())
    assert SR2(x, 1).data is x
    assert SR2(x, 1).with_sub_batch_ndim(0).dynamic_batch_shape == (2,)
    with pytest.raises(ValueError, match="base shape"):
        SR2(x[:, :3], 1)


@pytest.mark.parametrize("name", ["and_", "or_"])
def test_logic(name: str) -> None:
    op = getattr(operator, name)
    same(lambda x, y: op(x < y, x > 0), [X, Y])
    same(lambda x: op(x > 0, Y > 0), [X])
    same(lambda x: op(Y > 0, x > 0), [X])
    same(lambda x, y: ~op(x < y, ~(x == 0)), [X, Y])


def test_dtypes_of_conditions() -> None:
    x = inputs("x", (2,), Graph())
    assert (x < 1).dtype == torch.bool and not (x < 1).is_floating_point()
    assert x.dtype == torch.float64 and x.is_floating_point()
    assert (~(x < 1)).dtype == ((x < 1) & (x > 0)).dtype == torch.bool


def test_constants_are_folded() -> None:
    graph = Graph()
    two = constant(torch.tensor([2.0, 3.0]), graph)
    assert [n.value for n in (two * two + 1).nodes] == [5.0, 10.0]
    assert bool((two[0] < 3).sum() == 1)


def write(x: Any) -> None:
    x[0] = 1.0


def add(x: Any) -> None:
    x += 1.0


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a branch": (lambda x: bool(x[0, 0] > 0), "a Python branch on a value; use where"),
    "min of Python": (lambda x: min(x[0, 0], 1.0), "a Python branch"),
    "item": (lambda x: x[0, 0].item(), "a value as a Python number"),
    "float": (lambda x: float(x[0, 0]), "a value as a Python number"),
    "math": (lambda x: math.exp(x[0, 0]), "a value as a Python number"),
    "range": (lambda x: range(x[0, 0]), "a value as a Python number"),
    "an index": (lambda x: x[x > 0], "an index that depends on values; use where"),
    "an index of numbers": (lambda x: X[x[0, 0] > 0], "an index that depends on values; use where"),
    "a write": (write, "a write into a tensor; make a new one"),
    "a write of torch": (lambda x: x.clamp_(0.0), "a write into a tensor"),
    "a write into numbers": (lambda x: X.clone().add_(x[0]), "a write into a tensor"),
    "adding in place": (add, "a write into a tensor"),
    "an array": (lambda x: np.asarray(x), "a conversion to NumPy"),
    "a function of NumPy": (lambda x: np.exp(x), "numpy.exp; use the functions of neml2 or torch"),
    "a sum of NumPy": (lambda x: np.sum(x), "numpy.sum"),
    "eigenvalues": (lambda x: torch.linalg.eigh(x), r"torch\.linalg_eigh, which has no scalar form here"),
    "a method": (lambda x: x.erfinv(), r"torch\.erfinv, which has no scalar form here"),
    "an odd call": (
        lambda x: torch.sum(x, dtype=torch.float32),
        r"torch\.sum with arguments that do not fit",
    ),
    "a factor beside a sum": (
        lambda x: torch.add(x, x, alpha=2),
        r"torch\.add with arguments that do not fit",
    ),
    "a rounded quotient": (
        lambda x: torch.div(x, 2.0, rounding_mode="floor"),
        r"torch\.div with arguments that do not fit",
    ),
    "an odd padding": (lambda x: torch.nn.functional.pad(x, [1, 1], "reflect"), "mode 'reflect'"),
    "whole numbers": (lambda x: x.to(torch.int64), r"a conversion to torch\.int64"),
    "a parameter": (lambda x: x * torch.nn.Parameter(X), "take it as an argument of forward"),
    "part of a parameter": (lambda x: x * torch.nn.Parameter(X)[0], "take it as an argument of forward"),
    "a gradient": (lambda x: torch.autograd.grad(x, x), "derivatives of its own; use Normality"),
    "a leaf of a graph": (lambda x: x.detach().requires_grad_(True), "derivatives of its own"),
    "whether there is a gradient": (lambda x: x.requires_grad, "derivatives of its own"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_for_a_symbol_is_refused(name: str) -> None:
    call, message = REFUSED[name]
    with pytest.raises(Untraceable, match=message):
        call(inputs("x", (2, 3), Graph()))


def test_attributes_that_no_tensor_has() -> None:
    x = inputs("x", (2,), Graph())
    assert not hasattr(x, "colour") and not hasattr(x, "erfinv")
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        x.colour  # noqa: B018


def test_names_of_inputs() -> None:
    graph = Graph()
    assert [n.value for n in inputs("E", (2,), graph).nodes] == ["E[0]", "E[1]"]
    assert inputs("t", (), graph).nodes.item().value == "t"
    assert inputs("t", (), graph).nodes.item() is graph.input("t")
