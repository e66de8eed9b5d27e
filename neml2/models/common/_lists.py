"""Lists that an option may give once for all terms or once for each."""

from __future__ import annotations

from typing import Any, TypeVar

V = TypeVar("V")


def check_list(owner: str, option: str, given: Any, terms: Any, of: str = "from") -> None:
    """Refuse a list of neither one nor as many entries as there are ``terms``, the names in ``of``.

    Raises :class:`ValueError` that names the owner, the accepted lengths and the actual one.
    """
    n = len(terms.split() if isinstance(terms, str) else terms)
    if n == 0:
        raise ValueError(f"{owner}: {of} is empty; name at least one variable")
    found = len(given) if isinstance(given, list | tuple) else 1
    if found not in (1, n):
        raise ValueError(
            f"{owner}: {option} needs 1 or {n} entries, one for all or one per variable; got {found}"
        )


def for_each(entries: tuple[V, ...] | list[V], n: int) -> list[V]:
    """The ``n`` entries, when there may be a single one that holds for all."""
    return list(entries) * n if len(entries) == 1 else list(entries)
