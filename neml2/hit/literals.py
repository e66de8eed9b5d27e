"""Words of an input file as numbers and flags: strictly, so that a slip is an error and not another value."""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_WORDS = {"nan", "inf", "infinity"}


def number(word: str) -> float | None:
    """The finite number that ``word`` is, or ``None``: ``nan``, ``inf``, ``1_000`` and ``1e999`` are none."""
    if not _NUMBER.fullmatch(word):
        return None
    value = float(word)
    return value if math.isfinite(value) else None


def integer(word: str) -> int | None:
    """The integer that ``word`` is, or ``None``."""
    return int(word) if _INTEGER.fullmatch(word) else None


def flag(word: str) -> bool | None:
    """``true`` or ``false``, or ``None`` for anything else."""
    return {"true": True, "false": False}.get(word)


def looks_like_a_number(word: str) -> bool:
    """Whether ``word`` was meant to be a number, although perhaps it is none."""
    return bool(re.match(r"[+-]?\.?\d", word)) or word.lower().lstrip("+-") in _WORDS


def why_no_number(word: str) -> str:
    """What is wrong with a word that was meant to be a number."""
    if word.lower().lstrip("+-") in _WORDS or _NUMBER.fullmatch(word):
        return "is not a finite number"
    mended = word.translate(str.maketrans("OolI", "0011"))
    if number(mended) is not None:
        return f"is not a number; did you mean '{mended}'?"
    start = _NUMBER.match(word)
    if start and re.fullmatch(r"(?![xX]\d)[A-Za-z%/^]+\d*", word[start.end() :]):
        return f"is not a number; write {start[0]} without a unit"
    if "," in word or ";" in word:
        return "is not a number; separate numbers with blanks"
    return "is not a number"
