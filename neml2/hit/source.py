"""Input text before it is parsed: read safely, includes spliced in, every line remembering its file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from neml2.hit.errors import FileProblem, MissingFile, SyntaxProblem, Where, did_you_mean
from neml2.hit.scan import MAX_NESTING, Places, Token, scan

MAX_BYTES = 16 * 2**20  # of one input with all its includes
MAX_INCLUDE_DEPTH = 16
MAX_INCLUDES = 1000
MAX_ENTRIES = 50_000  # sections and fields: the parser needs a second for that many in one section

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass
class Source:
    """Text to be parsed as one document, and where each of its lines came from.

    With ``trusted`` it may include files from anywhere, else from the folder of its file and below.
    """

    trusted: bool = False
    lines: list[str] = field(default_factory=list)
    origins: list[tuple[str, int, int]] = field(default_factory=list)  # file, line, columns cut off before it
    includes: int = 0
    size: int = 0

    @property
    def text(self) -> str:
        """All lines, for the parser."""
        return "\n".join(self.lines) + "\n"

    def where(self, line: int, col: int = 1, in_bytes: bool = False) -> Where:
        """The place that line ``line``, column ``col`` of the text (both from 1) came from."""
        if not 1 <= line <= len(self.lines):
            line, col = len(self.lines), 1
        if in_bytes:  # the parser counts bytes, people count characters
            col = len(self.lines[line - 1].encode()[: max(col - 1, 0)].decode(errors="ignore")) + 1
        file, number, cut = self.origins[line - 1]
        return Where(file, number, cut + col)

    def add(self, text: str, file: str, folder: str, stack: tuple[str, ...] = ()) -> None:
        """Append ``text``, which came from ``file``, with its includes, relative to ``folder``."""
        self.size += len(text)
        if self.size > MAX_BYTES:
            raise FileProblem(file, f"more than {MAX_BYTES >> 20} MB with its includes; split it")
        places = Places(text)
        start = 0
        for token in scan(text):
            if token.kind == "include":
                line, col = places(token.start)
                self._lines(text[start : token.start], *places(start), file)
                self._include(token.text, Where(file, line, col), folder, stack)
                start = token.end
        self._lines(text[start:], *places(start), file)

    def _lines(self, text: str, line: int, col: int, file: str) -> None:
        for i, content in enumerate(text.split("\n")):
            self.lines.append(content)
            self.origins.append((file, line + i, 0 if i else col - 1))

    def _include(self, statement: str, where: Where, folder: str, stack: tuple[str, ...]) -> None:
        name = statement.removeprefix("!include").strip()
        here = os.path.dirname(stack[-1]) if len(stack) > 1 else folder
        path = os.path.realpath(os.path.join(here, name))
        if not name:
            raise SyntaxProblem(where, "!include needs a path")
        top = os.path.realpath(folder)
        if not self.trusted and os.path.commonpath([path, top]) != top:
            raise FileProblem(
                where,
                f"!include '{name}' lies outside the folder of the input file; move it below that folder, or"
                " load a file that you trust with trust_input=True (--trust-input)",
            )
        if path in stack:
            cycle = [*stack[stack.index(path) :], path]
            raise FileProblem(
                where,
                f"!include goes in a circle: {' -> '.join(os.path.relpath(p, folder) for p in cycle)};"
                " remove one of these lines",
            )
        self.includes += 1
        if len(stack) > MAX_INCLUDE_DEPTH or self.includes > MAX_INCLUDES:
            raise FileProblem(
                where,
                f"!include is nested deeper than {MAX_INCLUDE_DEPTH} or used more than {MAX_INCLUDES} times",
            )
        shown = os.path.join(os.path.dirname(where.file), name)
        self.add(read_text(path, where, f"!include '{name}'", shown), shown, folder, (*stack, path))


def collect(
    text: str,
    file: str,
    folder: str,
    path: str | None = None,
    pre: Sequence[str] = (),
    post: Sequence[str] = (),
    trusted: bool = False,
) -> Source:
    """One document from the snippets ``pre``, the text of ``file``, and the snippets ``post``."""
    source = Source(trusted)
    cwd = os.getcwd()
    for i, snippet in enumerate(pre):
        name = f"<pre {i + 1}>"
        source.add(clean(snippet, name), name, cwd)
    source.add(text, file, folder, (os.path.realpath(path),) if path else ())
    for i, snippet in enumerate(post):
        name = f"<override {i + 1}>"
        source.add(clean(snippet, name), name, cwd)
    return source


def read_text(path: str | Path, where: Where | str, what: str = "", shown: str = "") -> str:
    """The text of a regular file, checked and with plain newlines.

    Raises :class:`MissingFile` or :class:`FileProblem` at ``where``; ``what`` is how messages call the file
    and ``shown`` the name under which its own lines are reported.
    """
    path = str(path)
    what = what or f"input file '{path}'"
    if "\0" in path:
        raise FileProblem(where, "a path must not contain NUL")
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode):
            kind = "a directory" if stat.S_ISDIR(info.st_mode) else "a pipe or a device"
            raise FileProblem(where, f"{what} is {kind}; give a regular file")
        if info.st_size > MAX_BYTES:
            raise FileProblem(
                where, f"{what} has {info.st_size >> 20} MB, more than the limit of {MAX_BYTES >> 20} MB"
            )
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise MissingFile(where, f"cannot open {what}: no such file{_similar_file(path)}") from None
    except FileProblem:
        raise
    except OSError as error:
        raise FileProblem(where, f"cannot open {what}: {error.strerror}") from None
    return clean(data, shown or path)


def clean(data: bytes | str, file: str) -> str:
    """UTF-8 text without BOM, with plain newlines; other control characters than tabs are refused."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        col = error.start - raw.rfind(b"\n", 0, error.start)
        raise FileProblem(Where(file, line, col), "not UTF-8 text; save the file as UTF-8") from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if bad := _CONTROL.search(text):
        where = Where(file, *Places(text)(bad.start()))
        name = f"U+{ord(bad[0]):04X}" + (" (NUL)" if bad[0] == "\0" else "")
        raise FileProblem(where, f"control character {name}; remove it (is this a text file?)")
    return text


def check_structure(source: Source) -> None:
    """Refuse what would overwhelm the parser: deep nesting, too many entries; and fields given twice.

    Raises :class:`SyntaxProblem` at the place.
    """
    text = source.text
    places = Places(text)
    depths: list[int] = []
    entries = 0
    seen: dict[tuple[int, str], Token] = {}  # fields of the innermost section
    sections = [0]
    for token in scan(text):
        entries += token.kind in ("open", "key")
        if token.kind == "open":
            depths.append(token.text.count("/") + 1)
            sections.append(entries)
        elif token.kind == "close" and depths:
            depths.pop()
            sections.pop()
        nesting = sum(depths) if token.kind == "open" else 0
        if token.kind == "key":
            nesting = sum(depths) + token.text.count("/")
            first = seen.get((sections[-1], token.text))
            if first and text.startswith("=", _blank_end(text, token.end)):
                raise SyntaxProblem(
                    source.where(*places(token.start)),
                    f"'{token.text}' was given before, at {source.where(*places(first.start))};"
                    " remove one, or replace the value with ':='",
                )
            seen.setdefault((sections[-1], token.text), token)
        if nesting > MAX_NESTING or token.braces > MAX_NESTING:
            raise SyntaxProblem(
                source.where(*places(token.start)), f"nested more than {MAX_NESTING} deep; flatten it"
            )
        if entries > MAX_ENTRIES:
            raise SyntaxProblem(
                source.where(*places(token.start)),
                f"more than {MAX_ENTRIES} sections and values; put tables into a CSV file",
            )


def _blank_end(text: str, at: int) -> int:
    return re.compile(r"\s*").match(text, at).end()  # type: ignore[union-attr]


def _similar_file(path: str) -> str:
    folder, name = os.path.split(path)
    try:
        return did_you_mean(name, sorted(os.listdir(folder or "."))[:1000])
    except OSError:
        return ""
