"""Values as models want them: typed tensors from whatever a caller has, and options that were checked."""

from __future__ import annotations

import functools
import math
import numbers
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

import torch

from neml2 import registry
from neml2.fields import (
    DependencyField,
    Field,
    Interval,
    OptionField,
    ParameterField,
    check_number,
    fields_of_dataclass,
)
from neml2.registry import did_you_mean, listing
from neml2.types import Scalar, TensorWrapper


@dataclass(frozen=True)
class Kind:
    """How a stored parameter is to be read: its tensor type, sub-batch rank, table axes, and range."""

    type: type[TensorWrapper]
    sub_batch_ndim: int = 0
    table: int = 0
    within: Interval | None = None

    def check(self, data: torch.Tensor, name: str, owner: str) -> None:
        """Refuse a new value that is not finite, out of range, or of another base shape."""
        self.type(data, self.sub_batch_ndim)
        if not data.is_meta:
            field = ParameterField("", option=name, within=self.within)
            check_number(data.detach().flatten().tolist(), field, owner)

    def wrap(self, data: torch.Tensor) -> TensorWrapper:
        return self.type._new(data, self.sub_batch_ndim)

    def batch_shape(self, shape: torch.Size) -> torch.Size:
        """The dynamic batch of a parameter of that ``shape``."""
        inner = self.type.BASE_NDIM + max(self.sub_batch_ndim, self.table)
        return shape[: len(shape) - inner]


def as_typed(value: Any, kind: type[TensorWrapper], what: str) -> TensorWrapper:
    """``value`` as a ``kind``: typed already, a raw tensor, or (for a Scalar) a number.

    Raises :class:`TypeError` for another tensor type or an object that is no tensor.
    """
    if isinstance(value, TensorWrapper):
        if type(value) is not kind:
            raise TypeError(f"{what} is a {type(value).__name__}, but a {kind.__name__} is expected")
        return value
    if isinstance(value, torch.Tensor):
        try:
            return kind(value)
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None
    if kind is Scalar and isinstance(value, int | float):
        return Scalar(float(value))
    if hasattr(value, "__array__") or isinstance(value, list | tuple):
        return kind(torch.as_tensor(value, dtype=torch.float64))
    raise TypeError(f"{what} is a {type(value).__name__}; give a {kind.__name__} or a torch.Tensor")


def typed_value(value: Any, f: ParameterField, owner: str) -> TensorWrapper:
    """A parameter's value from numbers, a tensor or a typed tensor, checked for its range."""
    kind = f.type
    if isinstance(value, TensorWrapper | torch.Tensor):
        typed = as_typed(value, kind, f"{owner}: {f.option}")
        if not typed.data.is_floating_point():
            typed = typed.to(torch.float64)
    else:
        try:
            data = torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(
                f"{owner}: {f.option} is {value!r}; give numbers, a tensor or the name of a variable"
            ) from None
        if kind.BASE_NDIM and data.ndim <= 1:
            if data.numel() != math.prod(kind.BASE_SHAPE):
                raise ValueError(
                    f"{owner}: {f.option} needs the {math.prod(kind.BASE_SHAPE)} components of a"
                    f" {kind.__name__}, got {data.numel()}"
                )
            data = data.reshape(kind.BASE_SHAPE)
        typed = kind(data)
    check_number(typed.data.detach().flatten().tolist(), f, owner)
    return typed


def checked_option(value: Any, f: OptionField, owner: str) -> Any:
    """A plain option of the declared kind, among its choices and within its range.

    Raises :class:`TypeError` or :class:`ValueError` naming the owner, the option and what would do.
    """
    if f.many:
        value = value.split() if isinstance(value, str) else list(value)
    wanted = (get_args(f.type) or (f.type,))[0] if f.many else f.type
    for item in value if f.many else [value]:
        if wanted in _ACCEPTED and not (
            isinstance(item, _ACCEPTED[wanted]) and (wanted is bool or not isinstance(item, bool))
        ):
            article = "an" if wanted is int else "a"
            raise TypeError(f"{owner}: {f.option} is {item!r}, but {article} {wanted.__name__} is expected")
        if f.choices and item not in f.choices:
            raise ValueError(
                f"{owner}: {f.option} is '{item}', not one of {listing(f.choices)}"
                f"{did_you_mean(str(item), f.choices)}"
            )
        if f.within is not None:
            check_number(item, f, owner)
    return value


_ACCEPTED: dict[Any, type] = {bool: bool, int: numbers.Integral, float: numbers.Real, str: str}


def check_dependency(value: Any, f: DependencyField, owner: str) -> None:
    """Refuse an object that cannot do what it is needed for, such as a linear solver for a nonlinear one.

    Raises :class:`TypeError` that names the owner, the option, and what it takes.
    """
    if value is None and not f.required:
        return
    items = value if f.many and isinstance(value, list | tuple) else [value]
    for item in items:
        if isinstance(item, type) or not hasattr(item, f.needs or "__class__"):
            what = f"'{item}'" if isinstance(item, str) else f"of type {type(item).__name__}"
            if isinstance(item, type):
                what = f"the class {item.__name__}"
            takes = [e.name for e in registry.entries(f.section) if hasattr(e.cls, f.needs)]
            known = "a model" if f.section == "Models" else listing(takes)
            raise TypeError(f"{owner}: {f.option or f.attr} is {what}; it takes {known}")


def check_settings(settings: Any) -> None:
    """Refuse what :func:`~neml2.fields.setting` does not admit: for the ``__post_init__`` of a frozen record.

    Raises :class:`TypeError` for a value of the wrong kind and :class:`ValueError` for a number outside its
    range or a word that is not among the choices.
    """
    owner = type(settings).__name__
    for attr, f in _declared(settings.__class__).items():
        if isinstance(f, OptionField):
            checked_option(getattr(settings, attr), f, owner)
        elif isinstance(f, DependencyField):
            check_dependency(getattr(settings, attr), f, owner)


@functools.cache
def _declared(cls: type) -> dict[str, Field]:
    return fields_of_dataclass(cls, get_type_hints(cls))
