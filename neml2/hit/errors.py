"""Errors in input files: one line each, ``path:line:col: what; did you mean 'x'?``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import nmhit

from neml2 import registry
from neml2.registry import listing

__all__ = [
    "CircularReference",
    "FileProblem",
    "Impossible",
    "InputError",
    "InputErrors",
    "MissingFile",
    "SyntaxProblem",
    "UnknownName",
    "Where",
    "WrongKind",
    "did_you_mean",
    "listing",
    "nearest",
]

MOST = 20  # errors reported in one pass: enough to work through, few enough to read
LONGEST = 1000  # characters of a message, which may quote the file


@dataclass(frozen=True)
class Where:
    """A place in a file; ``str()`` is what editors jump to: ``file:line:col``."""

    file: str
    line: int = 0
    col: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}" if self.line else self.file


@dataclass(frozen=True)
class Message:
    """One of the ``messages`` of an ``nmhit.Error``."""

    filename: str
    line: int
    column: int
    message: str


class InputError(ValueError):
    """Something in an input file that cannot be used: ``where`` it is, and ``what``, with the remedy."""

    def __init__(self, where: Where | str, what: str) -> None:
        self.where = Where(where) if isinstance(where, str) else where
        what = " ".join(what.split())  # one error is one line, whatever a library's message looked like
        self.what = what if len(what) <= LONGEST else what[:LONGEST] + " ..."
        super().__init__(f"{self.where}: {self.what}")

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"

    def __reduce__(self) -> tuple:
        return type(self), (self.where, self.what)


class UnknownName(InputError, KeyError):
    """A block or a type that does not exist."""


class WrongKind(InputError, TypeError):
    """A value of one kind where another one is needed."""


class Impossible(InputError, RuntimeError):
    """Options that are right one by one and cannot be met together."""


class CircularReference(InputError, RecursionError):
    """A block that, directly or not, refers to itself."""


class SyntaxProblem(InputError, nmhit.Error):
    """Text that is not in the HIT format, or a block that lacks an option it needs."""

    @property
    def messages(self) -> list[Message]:
        """The error as an ``nmhit.Error`` has it."""
        return [Message(self.where.file, self.where.line, self.where.col, self.what)]


class FileProblem(SyntaxProblem, OSError):
    """A file that must not or cannot be read."""


class MissingFile(FileProblem, FileNotFoundError):
    """A file that does not exist."""


class InputErrors(InputError):
    """All that is wrong with an input file, up to 20 errors; ``str()`` has one line for each."""

    def __init__(self, errors: Sequence[InputError]) -> None:
        distinct = {str(e): e for e in errors}
        self.errors = list(distinct.values())[:MOST]
        self.more = len(distinct) - len(self.errors)
        super().__init__(self.errors[0].where, self.errors[0].what)

    def __str__(self) -> str:
        lines = [str(e) for e in self.errors]
        return "\n".join(lines + ([f"... and {self.more} more"] if self.more else []))

    def __reduce__(self) -> tuple:
        return type(self), (self.errors,)


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that is spelled most like ``word``; none for words and lists that no person wrote."""
    pool = [c for c in dict.fromkeys(candidates) if len(c) <= 80]
    return registry.nearest(word, pool[:2000]) if len(word) <= 80 else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """``"; did you mean 'x'?"``, or nothing when no candidate is close."""
    near = nearest(word, candidates)
    return f"; did you mean '{near}'?" if near else ""
