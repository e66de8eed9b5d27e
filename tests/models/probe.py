"""A case's model as a function that tests can vary, differentiate and put into batches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from neml2.context import Context
from neml2.model import Model
from neml2.types import TensorWrapper
from tests.models.cases import Case

Values = dict[str, TensorWrapper]


class Probe:
    """The model of a case with its point, and both as a smooth function of dimensionless variations."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.model: Model = case.build()
        self.point = case.point(self.model)
        self.parameters = dict(self.model.named_parameters())
        self.varied = [n for n in self.point if n not in case.constant]
        self.reference = [self.point[n].data for n in self.varied]
        self.reference += [p.detach() for p in self.parameters.values()]
        self.sizes = [_size(x) for x in self.reference]
        self.out_sizes: list[float] | None = None

    def variations(self) -> list[torch.Tensor]:
        """Zeros that require gradients, one per varied input and per parameter."""
        return [torch.zeros_like(x, requires_grad=True) for x in self.reference]

    def raw(self, *variations: torch.Tensor) -> list[torch.Tensor]:
        """The outputs at the point moved by ``variations``, in units of each variable's size."""
        moved = [x + h * v for x, h, v in zip(self.reference, self.sizes, variations, strict=True)]
        values = dict(self.point)
        for name, x in zip(self.varied, moved, strict=False):
            values[name] = like(self.point[name], x)
        replaced = dict(zip(self.parameters.values(), moved[len(self.varied) :], strict=True))
        return [o.data for o in self.model.evaluate(values, Context(parameters=replaced)).values()]

    def scaled(self, *variations: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs in units of their own size or, if larger, of their variation."""
        if self.out_sizes is None:
            at = self.variations()
            self.out_sizes = [
                max(_size(o, 0.0), *(_size(block, 0.0) for block in dense(o, at)), 0.0) or 1.0
                for o in self.raw(*at)
            ]
        return tuple(o / s for o, s in zip(self.raw(*variations), self.out_sizes, strict=True))

    def jacobian_along(self, direction: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Directional derivatives of the scaled outputs."""
        at = self.variations()
        return [
            torch.stack([b @ d.reshape(-1) for b, d in zip(dense(out, at), direction, strict=True)]).sum(0)
            for out in self.scaled(*at)
        ]

    def batch(self, shape: Sequence[int], dtype: torch.dtype = torch.float64, seed: int = 0) -> Values:
        """The point varied over a batch of that shape; the first point of the batch is the point itself."""
        generator = torch.Generator().manual_seed(seed)
        return {n: self._batched(v, tuple(shape), generator).to(dtype) for n, v in self.point.items()}

    def _batched(
        self, value: TensorWrapper, shape: tuple[int, ...], generator: torch.Generator
    ) -> TensorWrapper:
        noise = torch.rand(*shape, *value.data.shape, dtype=torch.float64, generator=generator) * 2 - 1
        noise.view(math.prod(shape), -1)[:1] = 0.0
        size = torch.where(value.data == 0, _size(value.data, 0.0) * torch.ones_like(value.data), value.data)
        return like(value, value.data + self.case.spread * noise * size)


def like(value: TensorWrapper, data: torch.Tensor) -> TensorWrapper:
    """``data`` as the type of ``value`` and with its sub-batch rank."""
    return type(value)(data, value.sub_batch_ndim)


def take(values: Mapping[str, TensorWrapper], index: torch.Tensor | int) -> Values:
    """The points ``index`` of a batch with one axis."""
    return {n: like(v, v.data[index]) for n, v in values.items()}


def dense(output: torch.Tensor, variables: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Derivatives ``(outputs, variables)`` of one tensor, component by component: slow and plain."""
    rows: list[list[torch.Tensor]] = [[] for _ in variables]
    for component in output.reshape(-1):
        found: Sequence[torch.Tensor | None] = [None] * len(variables)
        if component.requires_grad and variables:
            found = torch.autograd.grad(component, variables, retain_graph=True, allow_unused=True)
        for row, g, v in zip(rows, found, variables, strict=True):
            row.append(torch.zeros(v.numel(), dtype=v.dtype) if g is None else g.reshape(-1))
    return [torch.stack(row) for row in rows]


def _size(x: torch.Tensor, of_zero: float = 1.0) -> float:
    return float(x.detach().abs().max()) or of_zero if x.numel() else of_zero
