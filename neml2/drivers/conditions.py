"""Quantities at a point by text: components of variables, invariants, running extremes, comparisons."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from neml2.drivers.layout import mandel_factors
from neml2.errors import MissingVariable
from neml2.registry import did_you_mean, listing
from neml2.types import TensorWrapper

Values = Mapping[str, TensorWrapper]


def component(values: Values, name: str) -> torch.Tensor:
    """A Scalar ``"damage"`` or a physical component ``"stress.xx"``, ``(points, *sub_batch)``.

    Raises :class:`~neml2.errors.MissingVariable` for a name that is not there, :class:`ValueError` for a
    tensor without a component.
    """
    if name in values:
        value = values[name]
        if value.BASE_NDIM:
            raise ValueError(
                f"'{name}' is a {type(value).__name__}; say which component, such as"
                f" '{name}.{value.COMPONENTS[0]}'"
            )
        return value.data
    base, _, label = name.rpartition(".")
    if base not in values:
        near = did_you_mean(base or name, values)
        raise MissingVariable(f"there is no variable '{base or name}'{near}; there are {listing(values, 30)}")
    value = values[base]
    if label not in value.COMPONENTS or not value.BASE_NDIM:
        labels = value.COMPONENTS if value.BASE_NDIM else ()
        raise MissingVariable(
            f"'{base}' is a {type(value).__name__} and has no component '{label}'"
            f"{did_you_mean(label, labels)} (it has {listing(labels)})"
        )
    i = value.COMPONENTS.index(label)
    data = value.data.flatten(-value.BASE_NDIM)[..., i]
    factors = mandel_factors(type(value), data)
    return data if factors is None or float(factors[i]) == 1.0 else data / factors[i]


def norm(value: TensorWrapper, other: TensorWrapper | None = None) -> torch.Tensor:
    """The norm of a value, or of its distance to another one, ``(points,)``; of the worst site."""
    data = value.data if other is None else value.data - other.data
    if value.BASE_NDIM:
        flat = data.flatten(-value.BASE_NDIM)
        size = (flat * flat).sum(-1).sqrt()
    else:
        size = data.abs()
    return size.flatten(1).amax(-1) if size.ndim > 1 else size
