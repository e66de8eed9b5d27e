"""Sums over species and phases, each of which has an entry in several lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

from neml2.types import Scalar


def total(terms: Sequence[Scalar]) -> Scalar:
    """Their sum, from left to right."""
    return reduce(add, terms)


def check_one_each(owner: str, given: Mapping[str, Any], first: str, *others: str) -> None:
    """Refuse lists among the options ``given`` that are not as long as the ``first``, or an empty one.

    Lists that were left out are refused elsewhere. Raises :class:`ValueError` that names the lengths.
    """
    n = _length(given.get(first, "x"))
    if n == 0:
        raise ValueError(f"{owner}: {first} is empty; name at least one variable")
    for option in others:
        found = _length(given[option]) if option in given and first in given else n
        if found != n:
            raise ValueError(f"{owner}: {first} has {n} entries and {option} has {found}; give one for each")


def _length(given: Any) -> int:
    if isinstance(given, str):
        given = given.split()
    return len(given) if isinstance(given, list | tuple) else 1
