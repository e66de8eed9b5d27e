"""Symbolic tensors against torch, on numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from neml2.compiler.graph import Graph
from neml2.compiler.sample import values_at
from neml2.compiler.symbolic import FUNCTIONS, SymbolicTensor, Untraceable, constant, inputs

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
    "sum": [
        (torch.sum, [X]),
        (lambda x: torch.sum(x, -1), [X]),
        (lambda x: torch.sum(x, dim=(0, 1)), [X]),
        (lambda x: torch.sum(x, 0, keepdim=True), [X]),
    ],
    "unbind": [(lambda x: torch.unbind(x, 1)[2], [X])],
    "reshape": [(lambda x: torch.reshape(x, (3, 2)), [X])],
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


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions(name: str) -> None:
    for call, arguments in CALLS[name]:
        same(call, arguments)


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


def test_a_numpy_number_on_the_left() -> None:
    graph = Graph()
    assert isinstance(np.float64(2.0) * inputs("x", (3,), graph), SymbolicTensor)


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


def test_what_has_no_meaning_for_a_symbol_is_refused() -> None:
    x = inputs("x", (2, 2), Graph())
    with pytest.raises(Untraceable, match="use where"):
        bool(x[0, 0] > 0)
    with pytest.raises(Untraceable, match="item"):
        x[0, 0].item()
    with pytest.raises(Untraceable, match="item"):
        float(x[0, 0])
    with pytest.raises(Untraceable, match="NumPy"):
        np.asarray(x)
    with pytest.raises(Untraceable, match=r"torch\.linalg_eigh|eigh"):
        torch.linalg.eigh(x)


def test_names_of_inputs() -> None:
    graph = Graph()
    assert [n.value for n in inputs("E", (2,), graph).nodes] == ["E[0]", "E[1]"]
    assert inputs("t", (), graph).nodes.item().value == "t"
    assert inputs("t", (), graph).nodes.item() is graph.input("t")
