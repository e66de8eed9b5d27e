"""The structure of HIT text, without understanding it: enough to splice includes and to measure nesting."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_NESTING = 64  # of sections, and of ${} within ${}: the parser recurses

_BARE = re.compile(r"[^\s\[#$'\"]*")
_NEXT = re.compile(
    r"(?P<comment>(?:#[^\n]*\s*)+)|(?P<include>!include(?=[\s=]|\Z)[^\n#]*)|(?P<close>\[\s*\])|(?P<open>\[[^\[\]\n]*\])"
    r"|(?P<assign>:(?:override)?\s*=|=)\s*|(?P<word>[^\s\[\]#=:'\"$]+)|(?P<other>\S)"
)


class Places:
    """Turns offsets into line and column, both from 1."""

    def __init__(self, text: str) -> None:
        self.starts = [0] + [m.end() for m in re.finditer("\n", text)]

    def __call__(self, offset: int) -> tuple[int, int]:
        line = bisect.bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1


@dataclass(frozen=True)
class Token:
    """A piece of HIT text: an ``include``, ``open``, ``close``, ``key`` or ``value``."""

    kind: str
    text: str
    start: int
    end: int
    braces: int = 0  # nesting of ${} in a value


def scan(text: str) -> Iterator[Token]:
    """The structure of HIT text, without understanding it: enough to find includes and to measure nesting.

    Stops quietly where the text is not well formed; the parser then says why.
    """
    at = 0
    word: re.Match | None = None
    while found := _NEXT.search(text, at):
        kind = str(found.lastgroup)
        at = found.end()
        if kind == "comment":
            continue
        if word is not None and kind != "assign":
            return
        if kind in ("include", "open", "close"):
            yield Token(kind, found[0], found.start(), at)
        elif kind == "assign" and word is not None:
            yield Token("key", word[0], word.start(), word.end())
            end, braces = _value_end(text, at)
            if end < 0:
                return
            yield Token("value", text[at:end], at, end, braces)
            at = end
        elif kind in ("assign", "other"):
            return
        word = found if kind == "word" else None


def _value_end(text: str, at: int) -> tuple[int, int]:
    """Where the value that begins at ``at`` ends (-1: nowhere), and how deeply its ``${}`` are nested."""
    quote = text[at : at + 3]
    if quote in ("'''", '"""'):
        end = text.find(quote, at + 3)
        return (end + 3 if end >= 0 else -1), _brace_depth(text[at : max(end, at)])
    quote = quote[:1]
    deepest = 0
    if quote in ("'", '"'):
        at += 1
        while hit := re.compile(rf"{quote}|\$\{{").search(text, at):
            if hit[0] == quote:
                return hit.end(), deepest
            at, depth = _brace_end(text, hit.start())
            deepest = max(deepest, depth)
            if at < 0:
                break
        return -1, deepest
    while True:
        at = _BARE.match(text, at).end()  # type: ignore[union-attr]
        if not text.startswith("${", at):
            return at, deepest
        at, depth = _brace_end(text, at)
        deepest = max(deepest, depth)
        if at < 0:
            return -1, deepest


def _brace_end(text: str, at: int) -> tuple[int, int]:
    depth = deepest = 0
    for hit in re.compile(r"\$\{|\}").finditer(text, at):
        depth += 1 if hit[0] == "${" else -1
        deepest = max(deepest, depth)
        if depth == 0:
            return hit.end(), deepest
    return -1, deepest


def _brace_depth(text: str) -> int:
    depth = deepest = 0
    for hit in re.finditer(r"\$\{|\}", text):
        depth = depth + 1 if hit[0] == "${" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest
