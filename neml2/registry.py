"""The catalogue: which type names input files may use, and what each of them consists of."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, get_type_hints

from neml2.fields import Field, fields_of_dataclass

SECTIONS = ("Models", "Tensors", "EquationSystems", "Solvers", "Data", "Drivers")


@dataclass(frozen=True)
class Entry:
    """One type of the catalogue: its name, class and section, and its declared fields by attribute."""

    name: str
    cls: type
    section: str
    fields: dict[str, Field]


_entries: dict[str, Entry] = {}


def register(cls: type, name: str | None = None) -> type:
    """Put ``cls`` into the catalogue under ``name``, its own by default; a second one replaces the first.

    The class says where it belongs by its attribute ``SECTION``; its fields are those of a model, or of a
    dataclass written with :func:`neml2.fields.setting`.
    """
    section = getattr(cls, "SECTION", None)
    if section not in SECTIONS:
        raise TypeError(f"{cls.__name__} needs a class attribute SECTION, one of {', '.join(SECTIONS)}")
    fields = getattr(cls, "FIELDS", None)
    if fields is None:
        fields = fields_of_dataclass(cls, get_type_hints(cls))
    entry = Entry(name or cls.__name__, cls, section, dict(fields))
    _entries[entry.name] = entry
    return cls


def register_neml2_object(name: str) -> Callable[[type], type]:
    """Class decorator: put the class into the catalogue under ``name``."""
    return lambda cls: register(cls, name)


def lookup(name: str) -> Entry:
    """The entry of that name; :class:`KeyError` with the nearest spelling if there is none."""
    try:
        return _entries[name]
    except KeyError:
        raise KeyError(f"no type '{name}'{did_you_mean(name, _entries)}") from None


def entries(section: str | None = None) -> list[Entry]:
    """All entries (of one section), by name."""
    return [e for _, e in sorted(_entries.items()) if section in (None, e.section)]


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that is spelled most like ``word``, if one is close."""
    pool = list(dict.fromkeys(candidates))
    found = difflib.get_close_matches(word, pool, n=1, cutoff=0.6)
    if not found:
        lower = {c.lower(): c for c in pool}
        found = [lower[m] for m in difflib.get_close_matches(word.lower(), list(lower), n=1, cutoff=0.7)]
    if not found and len(word) > 3:  # a part of a long name
        found = sorted((c for c in pool if word.lower() in c.lower()), key=len)[:1]
    return found[0] if found else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """``"; did you mean 'x'?"``, or nothing when no candidate is close."""
    near = nearest(word, candidates)
    return f"; did you mean '{near}'?" if near else ""


def listing(words: Iterable[Any], most: int = 12) -> str:
    """``a, b, c, ...`` for messages."""
    pool = [str(w) for w in words]
    return ", ".join(pool[:most]) + (", ..." if len(pool) > most else "") if pool else "none"
