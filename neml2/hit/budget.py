"""Limits on what the evaluation of one expression may cost, checked before the memory is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

MAX_STEPS = 1_000_000  # syntax nodes evaluated: half a second
MAX_DEPTH = 200  # nested syntax and lambda calls; Python's own recursion limit is 1000 frames
STEPS_PER_OPERATION = 50  # a tensor operation takes as long as that many syntax nodes
MAX_ITEMS = 1_000_000  # of a list, a tuple or a range
MAX_BITS = 8192  # of an integer
MAX_ELEMENTS = 100_000_000  # of all tensors that one expression makes: 0.8 GB, half a second
FREE = 10_000_000  # elements that a single operation may make before they are counted
MAX_WORK = 10_000_000_000  # multiplications in matrix products


class Refused(Exception):
    """The expression asks for more than the limits allow, or for something that is not in the table."""


class Budget:
    """Counts steps and elements during one evaluation."""

    def __init__(self) -> None:
        self.steps = 0
        self.elements = 0
        self.work = 0

    def step(self, count: int = 1) -> None:
        """Count one more piece of syntax, or ``count`` items of a list."""
        self.steps += count
        if self.steps > MAX_STEPS:
            raise Refused(f"takes more than {MAX_STEPS:,} steps; use tensor functions or fewer iterations")

    def tensor(self, elements: int, new: bool) -> None:
        """Count a tensor that is about to be made; a view costs nothing but has the same limit."""
        self.elements += elements if new else 0
        size = max(elements, self.elements)
        if size > MAX_ELEMENTS:
            raise Refused(
                f"would make tensors of {size:,} elements, limit {MAX_ELEMENTS:,}; use fewer points"
            )

    def product(self, multiplications: int) -> None:
        """Count the work of a matrix product."""
        self.work += multiplications
        if self.work > MAX_WORK:
            raise Refused("multiplies matrices that are too large; use smaller ones")

    def sequence(self, count: int) -> None:
        """Count the items of a list, tuple or range that is about to be made."""
        if count > MAX_ITEMS:
            raise Refused(
                f"would make a list of {count:,} items, too many (limit {MAX_ITEMS:,}); use a tensor function"
            )
        self.step(count)


class SizeGuard(TorchDispatchMode):
    """Makes sure of the size of every tensor before it is allocated.

    An operation whose result may be large is run on shapes alone first. Also makes float64 the default dtype,
    for this thread only: an operation that would give torch's default dtype although none of its arguments
    has it is told to give float64.
    """

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return (
            False  # nothing is compiled here, and asking torch to skip it imports its compiler for a second
        )

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        self.budget.step(STEPS_PER_OPERATION)
        kwargs = dict(kwargs or {})
        name = func._schema.name
        if name in _FACTORIES and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float64
        small = _bound(func, args, kwargs) <= FREE
        if not small:
            self._count(func, args, _on_shapes(func, args, kwargs))
        result = func(*args, **kwargs)
        if small:
            self._count(func, args, result)
        default = torch.get_default_dtype()
        if default is torch.float64 or name in _CONDITIONS or not _has(result, default):
            return result
        again = _in_double(args, kwargs, default, "dtype" in _declared(func))
        return func(*again[0], **again[1]) if again else result

    def _count(self, func: Any, args: tuple, result: Any) -> None:
        tensors = _tensors(result)
        for t in tensors:
            self.budget.tensor(t.numel(), new=not _is_view(func))
        given = _tensors(args)
        if func._schema.name in _PRODUCTS and tensors and given and given[0].ndim:
            self.budget.product(tensors[0].numel() * given[0].shape[-1])


_FACTORIES = {
    f"aten::{n}" for n in ("zeros", "ones", "rand", "randn", "linspace", "logspace", "eye", "empty")
}
_CONDITIONS = {
    "aten::where",
    "aten::index",
    "aten::masked_select",
}  # their integers and flags must stay as they are
_PRODUCTS = {"aten::mm", "aten::bmm", "aten::mv", "aten::dot", "aten::addmm", "aten::matmul"}


def _bound(func: Any, args: tuple, kwargs: dict) -> int:
    """A number of elements that the result cannot exceed: the product of all sizes among the arguments."""
    if _is_view(func) and func._schema.name != "aten::expand":
        return 0
    if func._schema.name == "aten::arange":  # its size follows from numbers, not from sizes
        start, end, step = {1: (0, *args, 1), 2: (*args, 1)}.get(len(args), args)
        return int(abs(end - start) / abs(step)) + 1 if step else 0
    declared = {a.name: a for a in func._schema.arguments}
    named = [
        *zip(func._schema.arguments, args),
        *((declared[k], v) for k, v in kwargs.items() if k in declared),
    ]
    size = 1
    for argument, value in named:
        if "number" not in str(argument.type):  # a factor or a summand, not a size
            for leaf in tree_leaves(value):
                if isinstance(leaf, torch.Tensor):
                    size *= leaf.numel() + 1
                elif type(leaf) is int:
                    size *= abs(leaf) + 1
                if size > FREE:
                    return size
    return size


def _on_shapes(func: Any, args: tuple, kwargs: dict) -> Any:
    """The result without its data; its first use costs a second of imports."""
    meta = tree_map(_shape_only, kwargs)
    if "device" in _declared(func):
        meta["device"] = torch.device("meta")
    try:
        return func(*tree_map(_shape_only, args), **meta)
    except (NotImplementedError, RuntimeError) as error:
        if _tensors(args) and (isinstance(error, NotImplementedError) or "meta" in str(error)):
            return None  # the size depends on data (a mask, item) and is at most that of the argument
        raise


def _shape_only(x: Any) -> Any:
    if isinstance(x, torch.Tensor):
        return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")
    if isinstance(x, torch.device):
        return torch.device("meta")
    return None if isinstance(x, torch.Generator) else x


def _in_double(args: tuple, kwargs: dict, default: torch.dtype, factory: bool) -> tuple[tuple, dict] | None:
    """The arguments that give float64, or ``None`` if the default dtype was meant."""
    given = _tensors((args, kwargs))
    if _has(given, default) or kwargs.get("dtype") is not None:
        return None
    if not given and factory:
        return args, {**kwargs, "dtype": torch.float64}
    if any(t.is_floating_point() for t in given):
        return None
    convert: Callable = lambda x: x.double() if isinstance(x, torch.Tensor) else x  # noqa: E731
    return tree_map(convert, args), tree_map(convert, kwargs)


def _declared(func: Any) -> set[str]:
    return {a.name for a in func._schema.arguments}


def _is_view(func: Any) -> bool:
    return bool(getattr(func, "is_view", False))


def _tensors(x: Any) -> list[torch.Tensor]:
    return [t for t in tree_leaves(x) if isinstance(t, torch.Tensor)]


def _has(x: Any, dtype: torch.dtype) -> bool:
    return any(t.dtype is dtype for t in _tensors(x))


def flat_size(x: Any) -> int:
    """How many numbers a nested list holds, assuming that it is rectangular."""
    count = 1
    while isinstance(x, list | tuple):
        count *= len(x)
        if not x:
            return 0
        x = x[0]
    return count
