"""A parsed input file: blocks and values, each of which knows its place in the text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nmhit

from neml2.hit.errors import CircularReference, InputError, SyntaxProblem, Where, did_you_mean, listing
from neml2.hit.source import MAX_NESTING, Places, Source, check_structure, clean, collect, read_text, scan
from neml2.registry import SECTIONS

KNOWN_SECTIONS = (*SECTIONS, "Settings")
FORMER_SECTIONS = ("Schedulers",)  # files that still have one are read as if they had not
MAX_VALUE = 2**20  # characters of one value after ${} expansion
MAX_EXPANDED = 64 * 2**20  # characters of all values together

_BRACE = re.compile(r"\$\{|\}")


@dataclass(eq=False)
class Value:
    """The text of a field; ``text`` has ``${}`` expanded and quotes removed."""

    name: str
    raw: str
    where: Where
    document: Document = field(repr=False)
    expanded: str | None = None

    @property
    def text(self) -> str:
        """The value as text."""
        if self.expanded is None:
            self.expanded = self.document.expand(self)
        return self.expanded

    @property
    def tokens(self) -> list[str]:
        """The value as words between blanks."""
        return self.text.split()

    @property
    def rows(self) -> list[list[str]]:
        """The value as rows, separated by ``;``, of words."""
        return [row.split() for row in self.text.split(";")]


@dataclass(eq=False)
class Block:
    """A section: its values and its sub-sections by name."""

    name: str
    path: str
    where: Where
    values: dict[str, Value] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)

    def walk(self) -> Iterator[Block]:
        """This block and all below it."""
        yield self
        for block in self.blocks.values():
            yield from block.walk()


@dataclass(eq=False)
class Document:
    """The whole input: sections, merged by name, and top-level values that serve as ``${}`` variables."""

    root: Block
    file: str
    folder: Path
    source: Source
    problems: list[InputError] = field(default_factory=list)  # what is wrong but did not stop the reading
    _used: set[str] = field(default_factory=set)
    _spent: int = 0

    @property
    def text(self) -> str:
        """The input as one text, includes and overrides spliced in."""
        return self.source.text

    def section(self, name: str) -> Block:
        """The top-level section of that name, empty if there is none."""
        return self.root.blocks.get(name) or Block(name, name, Where(self.file))

    def find(self, path: str) -> Value | Block | None:
        """What is at ``path``, looked up from the top."""
        at: Block = self.root
        *above, last = path.split("/")
        for name in above:
            if name not in at.blocks:
                return None
            at = at.blocks[name]
        return at.values.get(last) or at.blocks.get(last)

    def expand(self, value: Value) -> str:
        """The text of ``value`` with ``${}`` replaced; refuses circles and texts that grow without end."""
        return _Expansion(self, value).result()

    def spend(self, amount: int, where: Where) -> None:
        """Count the characters that expansion makes."""
        self._spent += amount
        if amount > MAX_VALUE or self._spent > MAX_EXPANDED:
            raise SyntaxProblem(where, f"${{}} expands to more than {MAX_VALUE >> 20} MB of text; shorten it")

    def stray(self) -> list[InputError]:
        """Sections nobody reads, and values of sections that no ``${}`` uses."""
        for block in self.root.walk():
            for value in block.values.values():
                for name in re.findall(r"\$\{\s*(?:replace\s+)?([^\s{}$]+)\s*\}", value.raw):
                    self._used.add(name)
        found = []
        for name, block in self.root.blocks.items():
            if name in KNOWN_SECTIONS:
                if name != "Settings":
                    found += [
                        self._stray_value(v, name) for v in block.values.values() if self._unused(v, name)
                    ]
            elif name not in FORMER_SECTIONS:
                found += self._stray_section(block)
        return found

    def _unused(self, value: Value, section: str) -> bool:
        return f"{section}/{value.name}" not in self._used

    def _stray_value(self, value: Value, section: str) -> InputError:
        what = f"[{section}] holds blocks, but '{value.name}' is a value; put it into a block '[name] ... []'"
        return InputError(value.where, what)

    def _stray_section(self, block: Block) -> list[InputError]:
        names = {b.path + "/" + v for b in block.walk() for v in b.values}
        near = did_you_mean(block.name, KNOWN_SECTIONS)
        typed = any("type" in b.values for b in block.walk())
        if not typed and (not near or names & self._used):
            return []  # a group of ${} variables
        return [
            InputError(
                block.where, f"no section '{block.name}'{near or f'; sections are {listing(KNOWN_SECTIONS)}'}"
            )
        ]


class _Expansion:
    """Replaces ``${path}``, ``${replace path}``, ``${env NAME}`` and ``${raw a b c}`` in one value."""

    def __init__(self, document: Document, value: Value, path: tuple[Value, ...] = ()) -> None:
        self.document, self.value, self.path = document, value, (*path, value)

    def result(self) -> str:
        raw = self.value.raw
        text = raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] == "'" else raw
        if "${" in text:
            text, _ = self._replace(text, 0, inside=False)
            self.document.spend(len(text), self.value.where)
        return text

    def _replace(self, text: str, at: int, inside: bool) -> tuple[str, int]:
        parts: list[str] = []
        size = 0
        while True:
            hit = _BRACE.search(text, at)
            if hit is None or (hit[0] == "}" and inside):
                end = hit.start() if hit else len(text)
                return "".join([*parts, text[at:end]]), hit.end() if hit else end
            if hit[0] == "}":
                parts.append(text[at : hit.end()])
                at = hit.end()
                continue
            parts.append(text[at : hit.start()])
            command, at = self._replace(text, hit.end(), inside=True)
            parts.append(self._value_of(command))
            size += len(parts[-1])
            if size > MAX_VALUE:
                self.document.spend(size, self.value.where)

    def _value_of(self, command: str) -> str:
        words = command.split()
        if words[:1] == ["raw"]:
            return "".join(words[1:])
        if words[:1] == ["env"] and len(words) == 2:
            return os.environ.get(words[1], "")
        if words[:1] == ["replace"] and len(words) == 2:
            words = words[1:]
        if len(words) != 1:
            ways = "${path}, ${replace path}, ${env NAME} or ${raw a b}"
            raise SyntaxProblem(self.value.where, f"'${{{command}}}' is not understood; use {ways}")
        return self._look_up(words[0])

    def _look_up(self, path: str) -> str:
        found = self.document.find(path)
        if isinstance(found, Block):
            raise SyntaxProblem(self.value.where, f"'${{{path}}}' is a section, not a value")
        if found is None:
            known = [f"{b.path}/{v}".lstrip("/") for b in self.document.root.walk() for v in b.values]
            raise SyntaxProblem(
                self.value.where,
                f"'${{{path}}}': no value '{path}' in this input{did_you_mean(path, known)}"
                " (paths start at the top)",
            )
        if found in self.path:
            names = [v.name for v in self.path[self.path.index(found) :]] + [found.name]
            raise CircularReference(self.value.where, f"${{}} goes in a circle: {' -> '.join(names)}")
        if len(self.path) > MAX_NESTING:
            raise SyntaxProblem(
                self.value.where, f"${{}} refers on more than {MAX_NESTING} times; shorten the chain"
            )
        if found.expanded is None:
            found.expanded = _Expansion(self.document, found, self.path).result()
        return found.expanded


def read_file(path: str | Path, pre: Sequence[str] = (), post: Sequence[str] = ()) -> Document:
    """Read and parse a file; ``pre`` and ``post`` are HIT snippets put before and after its text."""
    text = read_text(path, str(path))
    folder = os.path.dirname(os.path.abspath(path))
    return _parse(collect(text, str(path), folder, str(path), pre, post), str(path), folder)


def read_string(text: str, pre: Sequence[str] = (), post: Sequence[str] = ()) -> Document:
    """Parse ``text``; paths in it are relative to the working directory."""
    folder = os.getcwd()
    return _parse(collect(clean(text, "<string>"), "<string>", folder, None, pre, post), "<string>", folder)


def _parse(source: Source, file: str, folder: str) -> Document:
    check_structure(source)
    try:
        tree = nmhit.parse_text(source.text)
    except nmhit.Error as error:
        raise _syntax_problem(error.messages[0], source) from None
    except UnicodeDecodeError:  # the parser stumbled over half of a character and could not even say so
        raise SyntaxProblem(
            _first_odd_character(source), "only plain ASCII is allowed outside values"
        ) from None
    document = Document(Block("", "", Where(file)), file, Path(folder), source)
    _fill(document, document.root, tree)
    return document


def _syntax_problem(error: nmhit.ErrorMessage, source: Source) -> SyntaxProblem:
    """The parser's complaint, put where the fault is rather than where the parser noticed it."""
    message, text = error.message, source.text
    places = Places(text)
    where = source.where(error.line, error.column, in_bytes=True)
    if "expecting = or :=" in message:
        end = places.starts[min(error.line, len(source.lines)) - 1] + error.column - 1
        words = [m for m in re.finditer(r"[^\s\[\]#=:'\"$]+", text) if m.end() <= end]
        if words:
            where = source.where(*places(words[-1].start()))
            return SyntaxProblem(
                where, f"'{words[-1][0]}' is not followed by '='; a value of several words needs quotes"
            )
    tokens = list(scan(text))
    if tokens and tokens[-1].kind == "key" and re.match(r"\s*:?=\s*['\"]", text[tokens[-1].end :]):
        where = source.where(*places(tokens[-1].start))
        return SyntaxProblem(where, f"the quote of '{tokens[-1].text}' is never closed; add the second quote")
    if "unexpected end of file" in message:
        stack = []
        for token in tokens:
            if token.kind == "open":
                stack.append(token)
            elif token.kind == "close" and stack:
                stack.pop()
        if stack:
            opened = source.where(*places(stack[-1].start))
            return SyntaxProblem(
                where, f"the file ends inside {stack[-1].text}, opened at {opened}; add '[]'"
            )
    return SyntaxProblem(
        where, f"{message}; write 'key = value' in '[section] ... []', with quotes around several words"
    )


def _first_odd_character(source: Source) -> Where:
    text = source.text
    inside = [(t.start, t.end) for t in scan(text) if t.kind in ("value", "open")]
    for hit in re.finditer(r"[^\x00-\x7f]", re.sub(r"#[^\n]*", lambda m: " " * len(m[0]), text)):
        if not any(start <= hit.start() < end for start, end in inside):
            line = text.count("\n", 0, hit.start()) + 1
            return source.where(line, hit.start() - text.rfind("\n", 0, hit.start()))
    return Where(source.origins[0][0])


def _fill(document: Document, block: Block, node: nmhit.Node) -> None:
    for child in node.children(nmhit.NodeType.All):
        kind = child.type()
        if kind not in (nmhit.NodeType.Field, nmhit.NodeType.Section):
            continue
        where = document.source.where(child.line(), child.column(), in_bytes=True)
        if str(child.filename) not in (".", ""):
            raise SyntaxProblem(where, "!include must stand at the start of a line")
        name = child.path()
        if kind == nmhit.NodeType.Field:
            _add_value(document, block, Value(name, child.raw_val(), where, document))
            continue
        path = f"{block.path}/{name}".lstrip("/")
        known = block.blocks.get(name)
        if known is None:
            known = block.blocks[name] = Block(name, path, where)
        elif block.path and not _is_override(where):
            what = f"[{path}] is defined twice, first at {known.where}; remove one or give it another name"
            document.problems.append(InputError(where, what))
            continue
        _fill(document, known, child)


def _add_value(document: Document, block: Block, value: Value) -> None:
    known = block.values.get(value.name)
    if known is not None and not _is_override(value.where):
        what = (
            f"'{value.name}' was given before, at {known.where}; remove one, or replace the value with ':='"
        )
        document.problems.append(InputError(value.where, what))
        return
    block.values[value.name] = value


def _is_override(where: Where) -> bool:
    return where.file.startswith("<override")
