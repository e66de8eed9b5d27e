"""Saying where in a history a number is not finite, and refusing to go on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from neml2.recurrent.assembly import Assembly


class GradientError(RuntimeError):
    """A gradient is not finite, or all of it is zero; nothing is replaced by numbers."""


@dataclass(frozen=True)
class Place:
    """Where a block of times lies: the step of its first row, and the time at its rows ``(m, batch)``.

    Either may be unknown (``None``).
    """

    first: int | None = None
    time: torch.Tensor | None = None

    def rows(self, start: int, stop: int) -> Place:
        """The place of some of its rows."""
        first = None if self.first is None else self.first + start
        return Place(first, None if self.time is None else self.time[start:stop])

    def describe(self, row: int, specimen: int) -> str:
        """``step 12 (t = 3.5), specimen 7``; without the step it is a row of a block."""
        at = "" if self.time is None else f"t = {float(self.time[row, specimen]):g}"
        if self.first is not None:
            when = f"step {self.first + row}" + (f" ({at})" if at else "")
        else:
            rank = f"row {row + 1} of a block"
            when = f"{at} ({rank})" if at else rank
        return f"{when}, specimen {specimen}"


def first_bad(values: torch.Tensor) -> tuple[int, int, int] | None:
    """Row, specimen and column of the first entry of ``(m, batch, n)`` that is not finite."""
    if bool(values.isfinite().all()):
        return None
    row, specimen, column = (~values.isfinite()).nonzero()[0].tolist()
    return row, specimen, column


def expect_finite(
    values: torch.Tensor, what: str, names: Assembly, place: Place, remedy: str, error: type[Exception]
) -> None:
    """Raise ``error`` when an entry of ``values`` ``(m, batch, n)`` is not finite; say step, specimen and
    variable.
    """
    bad = first_bad(values)
    if bad is not None:
        row, specimen, column = bad
        count = int((~values.isfinite()).any(-1).any(0).sum())
        others = f" (and {count - 1} more specimens)" if count > 1 else ""
        raise error(
            f"{what} '{names.variable(column)}' is not finite at {place.describe(row, specimen)}{others};"
            f" {remedy}"
        )


class _Watched(torch.autograd.Function):
    """The identity; its gradient must be finite."""

    @staticmethod
    def forward(ctx, value: torch.Tensor, name: str):
        ctx.name = name
        return value.view_as(value)

    @staticmethod
    def backward(ctx, grad):
        if not bool(grad.isfinite().all()):
            where = ""
            if grad.ndim:
                rows = (~grad.isfinite()).reshape(grad.shape[0], -1).any(-1)
                where = f", specimen {int(rows.nonzero()[0])}"
            raise GradientError(
                f"the gradient of '{ctx.name}' is not finite{where}; its derivative does not exist at this"
                f" state (a power or a norm of zero, for instance): exclude it, or start from another value"
            )
        return grad, None


def watched(value: torch.Tensor, name: str) -> torch.Tensor:
    """``value``, whose gradient raises :class:`GradientError` where it is not finite."""
    return _Watched.apply(value, name) if torch.is_grad_enabled() and value.requires_grad else value
