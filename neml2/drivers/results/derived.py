"""Quantities that follow from results, by name: ``von_mises(stress)``, ``energy(stress, strain)``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from neml2.drivers.results.declared import Declared
from neml2.errors import MissingVariable
from neml2.registry import did_you_mean, listing
from neml2.types import R2, SR2, Scalar, TensorWrapper, Vec, dev, inner, norm, sqrt, tr

Kinds = tuple[type[TensorWrapper], ...]

_TEXT = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*")
_SWEEPS = 5  # Jacobi's method converges quadratically: four sweeps reach round-off for 3 x 3


@dataclass(frozen=True)
class Quantity:
    """A function of typed values, the kinds that it takes, and what it is in words.

    ``accumulates``: the function gives the increment between two rows, ``f(a, a_old, b, b_old)``, and the
    quantity is their sum from the first row on.
    """

    function: Callable[..., TensorWrapper]
    kinds: Kinds
    doc: str
    arguments: int = 1
    accumulates: bool = False
    result: type[TensorWrapper] = Scalar


@dataclass(frozen=True)
class Derived:
    """A quantity of named variables, as a user has written it."""

    text: str
    quantity: Quantity
    variables: tuple[str, ...]

    def declared(self, known: Mapping[str, Declared]) -> Declared:
        """The sentence and the unit of the quantity."""
        units = [known[n].unit if n in known else "" for n in self.variables]
        unit = units[0]
        if self.quantity.accumulates and units[1] not in ("", "strain"):
            unit = f"{units[0]}*{units[1]}" if units[0] else ""
        return Declared(self.quantity.doc.format(*self.variables), unit)

    def check(self, kinds: Mapping[str, type[TensorWrapper]]) -> None:
        """Raise :class:`MissingVariable` for names and :class:`TypeError` for kinds that do not fit."""
        for name in self.variables:
            if name not in kinds:
                raise MissingVariable(
                    f"cannot save {self.text}: there is no '{name}'{did_you_mean(name, kinds)} (there are"
                    f" {listing(kinds, 30)})"
                )
            if kinds[name] not in self.quantity.kinds:
                wanted = listing(k.__name__ for k in self.quantity.kinds)
                raise TypeError(
                    f"cannot save {self.text}: '{name}' is a {kinds[name].__name__}; it takes {wanted}"
                )
        if self.quantity.accumulates and len({kinds[n] for n in self.variables}) > 1:
            names = listing(f"'{n}' is a {kinds[n].__name__}" for n in self.variables)
            raise TypeError(f"cannot save {self.text}: {names}; give two tensors of one type")


def parse(text: str) -> Derived:
    """The quantity that ``text`` names.

    Raises :class:`ValueError` for a text of another form, an unknown quantity, a wrong number of variables.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no derived quantity; write one as von_mises(stress)")
    name, inside = match.groups()
    variables = tuple(v.strip() for v in inside.split(",") if v.strip())
    if name not in QUANTITIES:
        raise ValueError(
            f"'{text}': there is no quantity '{name}'{did_you_mean(name, QUANTITIES)} (there are"
            f" {listing(QUANTITIES)})"
        )
    quantity = QUANTITIES[name]
    if len(variables) != quantity.arguments:
        example = ", ".join(("stress", "strain")[: quantity.arguments])
        raise ValueError(
            f"'{text}' names {len(variables)} variables; {name} takes {quantity.arguments}: {name}({example})"
        )
    return Derived(f"{name}({', '.join(variables)})", quantity, variables)


def is_derived(name: str) -> bool:
    """Whether a name is that of a derived quantity."""
    return "(" in name


def von_mises(stress: SR2) -> Scalar:
    r"""The equivalent stress of von Mises, :math:`\sqrt{3/2\; s : s}` with the deviator :math:`s`."""
    return math.sqrt(1.5) * norm(dev(stress))


def equivalent_strain(strain: SR2) -> Scalar:
    r"""The equivalent strain, :math:`\sqrt{2/3\; e : e}` with the deviator :math:`e`."""
    return math.sqrt(2.0 / 3.0) * norm(dev(strain))


def trace(a: SR2 | R2) -> Scalar:
    """The trace, xx + yy + zz."""
    return (
        tr(a) if isinstance(a, SR2) else Scalar(a.data.diagonal(dim1=-2, dim2=-1).sum(-1), a.sub_batch_ndim)
    )


def hydrostatic(stress: SR2 | R2) -> Scalar:
    """The mean stress, a third of the trace."""
    return trace(stress) / 3.0


def magnitude(a: SR2 | R2 | Vec) -> Scalar:
    r"""The Frobenius norm, :math:`\sqrt{a : a}`."""
    return sqrt(inner(a, a))


def work(a: TensorWrapper, a_old: TensorWrapper, b: TensorWrapper, b_old: TensorWrapper) -> Scalar:
    r"""The work between two rows by the trapezoidal rule, :math:`\frac12 (a + a_n) : (b - b_n)`."""
    kind, rank = type(a), a.sub_batch_ndim
    return inner(kind(0.5 * (a.data + a_old.data), rank), kind(b.data - b_old.data, b.sub_batch_ndim))  # type: ignore[type-var]


def principal(a: SR2) -> Scalar:
    """The principal values, largest first, as a sub-batch of three.

    Jacobi's method: products, quotients and roots alone, so that a value does not depend on its place in
    memory (LAPACK's do), and accurate for values close to one another.
    """
    p = a.physical()
    xx, yy, zz, yz, xz, xy = p.unbind(-1)
    for _ in range(_SWEEPS):
        xx, yy, xy, xz, yz = _rotated(xx, yy, xy, xz, yz)
        xx, zz, xz, xy, yz = _rotated(xx, zz, xz, xy, yz)
        yy, zz, yz, xy, xz = _rotated(yy, zz, yz, xy, xz)
    low, high = torch.minimum(xx, yy), torch.maximum(xx, yy)
    smallest, largest = torch.minimum(low, zz), torch.maximum(high, zz)
    middle = torch.maximum(low, torch.minimum(high, zz))
    return Scalar(torch.stack([largest, middle, smallest], -1), a.sub_batch_ndim + 1)


def _rotated(
    p: torch.Tensor, q: torch.Tensor, pq: torch.Tensor, rp: torch.Tensor, rq: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Two diagonal entries and three others after the rotation that makes ``pq`` zero."""
    zero = pq == 0
    theta = (q - p) / (2 * torch.where(zero, 1.0, pq))
    t = torch.where(theta >= 0, 1.0, -1.0) / (theta.abs() + torch.sqrt(theta * theta + 1))
    t = torch.where(zero, 0.0, t)
    c = 1 / torch.sqrt(t * t + 1)
    s = t * c
    return p - t * pq, q + t * pq, torch.zeros_like(pq), c * rp - s * rq, s * rp + c * rq


QUANTITIES: dict[str, Quantity] = {
    "von_mises": Quantity(von_mises, (SR2,), "Von Mises equivalent of {}"),
    "equivalent_strain": Quantity(equivalent_strain, (SR2,), "Equivalent of the strain {}"),
    "principal": Quantity(principal, (SR2,), "Principal values of {}, largest first"),
    "trace": Quantity(trace, (SR2, R2), "Trace of {}"),
    "hydrostatic": Quantity(hydrostatic, (SR2, R2), "Mean of the normal components of {}"),
    "norm": Quantity(magnitude, (SR2, R2, Vec), "Norm of {}"),
    "energy": Quantity(work, (SR2, R2), "Work of {} on {}", 2, accumulates=True),
    "dissipation": Quantity(work, (SR2, R2), "Work of {} dissipated by {}", 2, accumulates=True),
}
