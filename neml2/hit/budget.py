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
            raise Refused(f"would make a list of {count:,} items, limit {MAX_ITEMS:,}; use a tensor function")
        self.step(count)


class SizeGuard(TorchDispatchMode):
    """Runs every tensor operation on shapes alone first, so that a size is known before it is allocated.

    Also makes float64 the default dtype, for this thread only: an operation that would give torch's default
    dtype although none of its arguments has it is told to give float64.
    """

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        self.budget.step(STEPS_PER_OPERATION)
        kwargs = dict(kwargs or {})
        declared = {a.name for a in func._schema.arguments}
        result = self._on_shapes(func, args, kwargs, declared)
        tensors = [t for t in tree_leaves(result) if isinstance(t, torch.Tensor)]
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        default = torch.get_default_dtype()
        by_default = default is not torch.float64 and any(t.dtype is default for t in tensors)
        if by_default and func._schema.name not in _CONDITIONS:
            args, kwargs = _in_double(args, kwargs, given, declared, default)
        new = not getattr(func, "is_view", False)
        for t in tensors:
            self.budget.tensor(t.numel(), new)
        if func._schema.name in _PRODUCTS and given and tensors:
            self.budget.product(tensors[0].numel() * (given[0].shape[-1] if given[0].ndim else 1))
        return func(*args, **kwargs)

    def _on_shapes(self, func: Any, args: tuple, kwargs: dict, declared: set[str]) -> Any:
        meta = tree_map(_shape_only, kwargs)
        if "device" in declared:
            meta["device"] = torch.device("meta")
        try:
            return func(*tree_map(_shape_only, args), **meta)
        except (NotImplementedError, RuntimeError) as error:
            bounded = any(isinstance(x, torch.Tensor) for x in tree_leaves(args))
            if bounded and (isinstance(error, NotImplementedError) or "meta" in str(error)):
                return None  # the size depends on data (a mask, item) and is at most that of the argument
            raise


_CONDITIONS = {
    "aten::where",
    "aten::index",
    "aten::masked_select",
}  # their integers and flags must stay as they are
_PRODUCTS = {"aten::mm", "aten::bmm", "aten::mv", "aten::dot", "aten::addmm", "aten::matmul"}


def _shape_only(x: Any) -> Any:
    if isinstance(x, torch.Tensor):
        return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")
    if isinstance(x, torch.device):
        return torch.device("meta")
    return None if isinstance(x, torch.Generator) else x


def _in_double(
    args: tuple, kwargs: dict, given: list[torch.Tensor], declared: set[str], default: torch.dtype
) -> tuple[tuple, dict]:
    if any(t.dtype is default for t in given) or kwargs.get("dtype") is not None:
        return args, kwargs
    if not given and "dtype" in declared:
        return args, {**kwargs, "dtype": torch.float64}
    if all(not t.is_floating_point() for t in given):
        convert: Callable = lambda x: x.double() if isinstance(x, torch.Tensor) else x  # noqa: E731
        return tree_map(convert, args), tree_map(convert, kwargs)
    return args, kwargs


def flat_size(x: Any) -> int:
    """How many numbers a nested list holds, assuming that it is rectangular."""
    count = 1
    while isinstance(x, list | tuple):
        count *= len(x)
        if not x:
            return 0
        x = x[0]
    return count
