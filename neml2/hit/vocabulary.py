"""What ``[Tensors]`` expressions may name: a table, and nothing outside it."""

from __future__ import annotations

import builtins
import difflib
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

import neml2.types
from neml2.hit import allowed
from neml2.hit.budget import MAX_BITS, Budget, Refused, flat_size
from neml2.types import Tensor, TensorWrapper

TRUST = "to run it as ordinary Python, load the file with trust_input=True (--trust-input)"


class Function:
    """Something that an expression may call."""

    def __init__(self, name: str, call: Callable, budget: Budget) -> None:
        self.name, self._call, self._budget = name, call, budget

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "out" in kwargs:
            raise Refused(f"'{self.name}' must not write into 'out'; use its result")
        for x in (*args, *kwargs.values()):
            if isinstance(x, list | tuple):
                self._budget.tensor(flat_size(x), new=True)
        return self._call(*args, **kwargs)

    def __repr__(self) -> str:
        return self.name


class Namespace:
    """A module as seen from an expression: a fixed table."""

    def __init__(self, name: str, table: Mapping[str, Any]) -> None:
        self.name, self.table = name, table

    def __repr__(self) -> str:
        return self.name


def names(budget: Budget) -> dict[str, Any]:
    """Every name that is known without the file's own ``[Tensors]``; later groups win."""
    known: dict[str, Any] = {}
    for name, call in _builtins(budget).items():
        known[name] = Function(name, call, budget)
    for name in neml2.types.__all__:
        thing = getattr(neml2.types, name)
        if isinstance(thing, type):
            known[name] = thing
        elif callable(thing):
            known[name] = Function(name, _either(thing, known.get(name)), budget)
    known["torch"] = _torch(budget)
    known["math"] = Namespace("math", _table("math", math, allowed.MATH, budget))
    known["np"] = known["numpy"] = _numpy(budget)
    return known


def attribute(x: Any, name: str, budget: Budget) -> Any:
    """``x.name``, if the table has it.

    Raises :class:`AttributeError` with the nearest spelling for anything else.
    """
    if isinstance(x, Namespace):
        if name in x.table:
            return x.table[name]
        raise _unavailable(f"{x.name}.{name}", name, x.table)
    kind = x.__name__ if isinstance(x, type) else type(x).__name__
    values, methods = _members(x)
    if name in values:
        return getattr(x, name)
    if name in methods and hasattr(x, name):
        return Function(f"{kind}.{name}", _method(x, name, budget), budget)
    raise _unavailable(f"{kind}.{name}", name, [*values, *methods])


def _members(x: Any) -> tuple[list[str], list[str]]:
    if is_kind(x):
        return allowed.CLASS_VALUES, allowed.FACTORIES
    if isinstance(x, torch.Tensor):
        return allowed.TENSOR_VALUES, allowed.TENSOR_METHODS
    if isinstance(x, TensorWrapper | Tensor):
        return [n for n in allowed.TYPED_VALUES if hasattr(x, n)], allowed.TYPED_METHODS
    if type(x).__module__.startswith("neml2.types."):
        return ["shape", "ndim"], allowed.VIEW_METHODS
    if isinstance(x, torch.Generator):
        return [], ["manual_seed"]
    if isinstance(x, torch.Size):
        return [], ["numel"]
    if isinstance(x, list):
        return [], ["append"]
    return [], []


def is_kind(x: Any) -> bool:
    """Whether ``x`` is a tensor type, such as ``SR2``."""
    return isinstance(x, type) and issubclass(x, TensorWrapper | Tensor)


def _unavailable(full: str, name: str, known: Any) -> AttributeError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)  # a short name is near to too many
    return AttributeError(
        f"'{full}' is not available in input files; {f'did you mean {near[0]!r}?' if near else TRUST}"
    )


def _method(x: Any, name: str, budget: Budget) -> Callable:
    if name == "tolist":

        def listed() -> Any:
            budget.sequence(x.numel())
            return x.tolist()

        return listed
    return getattr(x, name)


def _torch(budget: Budget) -> Namespace:
    table = _table("torch", torch, [*allowed.TORCH, *allowed.TORCH_VALUES], budget)
    table["tensor"] = Function("torch.tensor", _tensor, budget)
    table["where"] = Function("torch.where", _where, budget)
    functional = Namespace(
        "torch.nn.functional", _table("functional", torch.nn.functional, allowed.FUNCTIONAL, budget)
    )
    table["nn"] = Namespace("torch.nn", {"functional": functional})
    table["linalg"] = Namespace("torch.linalg", _table("torch.linalg", torch.linalg, allowed.LINALG, budget))
    return Namespace("torch", table)


def _table(prefix: str, module: Any, listed: list[str], budget: Budget) -> dict[str, Any]:
    table = {}
    for name in listed:
        if hasattr(module, name):  # a few are newer than the oldest supported version
            thing = getattr(module, name)
            table[name] = Function(f"{prefix}.{name}", thing, budget) if callable(thing) else thing
    return table


def _tensor(data: Any, *, dtype: torch.dtype | None = None, **kwargs: Any) -> torch.Tensor:
    """``torch.tensor`` with float64 for numbers with a decimal point, whatever torch's default dtype is."""
    if isinstance(data, torch.Tensor):
        return data.clone().to(dtype or data.dtype)
    made = torch.tensor(data, dtype=dtype, **kwargs)
    if dtype is None and made.is_floating_point() and made.dtype is not torch.float64:
        return torch.tensor(data, dtype=torch.float64, **kwargs)
    return made


def _where(condition: torch.Tensor, *values: Any) -> Any:
    doubles = [torch.tensor(v, dtype=torch.float64) if isinstance(v, float) else v for v in values]
    return torch.where(condition, *doubles)


def _numpy(budget: Budget) -> Namespace:
    """The usual numpy functions; they give torch tensors, so that the same limits hold for them."""
    table = _table("np", torch, allowed.NUMPY, budget)
    shaped = {
        "zeros": lambda shape, dtype=torch.float64: torch.zeros(shape, dtype=dtype),
        "ones": lambda shape, dtype=torch.float64: torch.ones(shape, dtype=dtype),
        "full": lambda shape, fill_value, dtype=torch.float64: torch.full(
            _shape(shape), fill_value, dtype=dtype
        ),
        "array": lambda data, dtype=None: _tensor(data, dtype=dtype),
        "linspace": lambda start, stop, num=50: torch.linspace(start, stop, num, dtype=torch.float64),
        "logspace": lambda start, stop, num=50, base=10.0: torch.logspace(
            start, stop, num, base=base, dtype=torch.float64
        ),
        "power": torch.pow,
        "newaxis": None,
    }
    for name, call in shaped.items():
        table[name] = Function(f"np.{name}", call, budget) if call else None
    table["asarray"] = table["array"]
    table["arctan"], table["arcsin"], table["arccos"] = (
        Function(f"np.{n}", f, budget)
        for n, f in (("arctan", torch.atan), ("arcsin", torch.asin), ("arccos", torch.acos))
    )
    return Namespace("np", table)


def _shape(shape: Any) -> Any:
    return (shape,) if isinstance(shape, builtins.int) else shape


def _builtins(budget: Budget) -> dict[str, Callable]:
    def counted(make: Callable) -> Callable:
        @functools.wraps(make, updated=())
        def made(*args: Any) -> Any:
            return make(*[items(a, budget) if i == 0 or make is zip else a for i, a in enumerate(args)])

        return made

    def range_(*args: int) -> range:
        made = range(*args)
        try:
            count = len(made)
        except OverflowError:
            count = 2**63
        if count:
            budget.sequence(count)
            budget.steps -= count  # they are counted when they are used
        return made

    return {
        "range": range_,
        "len": len,
        "float": float,
        "int": int,
        "bool": bool,
        "list": counted(list),
        "tuple": counted(tuple),
        "sorted": counted(sorted),
        "reversed": counted(lambda x: x[::-1]),
        "enumerate": counted(lambda x, start=0: list(enumerate(x, start))),
        "zip": counted(lambda *x: list(zip(*x))),
        "any": counted(any),
        "all": counted(all),
        "max": lambda *x: max(items(x[0], budget) if len(x) == 1 else x),
        "min": lambda *x: min(items(x[0], budget) if len(x) == 1 else x),
        "round": round,
        "abs": abs,
        "sum": lambda x: functools.reduce(lambda a, b: a + b, items(x, budget), 0),
        "pow": lambda a, b: power(a, b),
    }


def items(x: Any, budget: Budget) -> list:
    """The items of something to be iterated over, counted."""
    if isinstance(x, torch.Tensor):
        budget.sequence(x.shape[0] if x.ndim else 0)
        return list(x)
    if not isinstance(x, list | tuple | range):
        raise TypeError(f"cannot iterate over a {type(x).__name__}")
    budget.sequence(len(x))
    return list(x)


def power(a: Any, b: Any) -> Any:
    """``a ** b``, unless that is an integer beyond all measure."""
    if isinstance(a, int) and isinstance(b, int) and max(a.bit_length(), 1) * abs(b) > MAX_BITS:
        raise Refused("makes an integer that is too large; write it as a decimal number, such as 1e30")
    return a**b


def _either(typed: Callable, plain: Function | None) -> Callable:
    """The function on typed tensors, and Python's on plain numbers where it has one of that name."""
    if plain is None:
        return typed

    def call(*args: Any, **kwargs: Any) -> Any:
        first = args[0] if args else None
        is_typed = isinstance(first, TensorWrapper) or type(first).__module__.startswith("neml2.types.")
        return (typed if is_typed else plain)(*args, **kwargs)

    return call
