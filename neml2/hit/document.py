"""A parsed input file: blocks and values, each of which knows its place in the text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nmhit

from neml2.hit.braces import MAX_VALUE, Expansion
from neml2.hit.errors import InputError, SyntaxProblem, Where, did_you_mean, listing
from neml2.hit.source import Source, check_structure, clean, collect, read_text
from neml2.hit.syntax import first_odd_character, syntax_problem
from neml2.registry import SECTIONS

KNOWN_SECTIONS = (*SECTIONS, "Settings")
FORMER_SECTIONS = ("Schedulers",)  # files that still have one are read as if they had not
MAX_EXPANDED = 64 * 2**20  # characters of all values together


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
        return Expansion(self, value).result()

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


def read_file(
    path: str | Path, pre: Sequence[str] = (), post: Sequence[str] = (), trusted: bool = False
) -> Document:
    """Read and parse a file; ``pre`` and ``post`` are HIT snippets put before and after its text.

    A file that is ``trusted`` may include others from anywhere.
    """
    text = read_text(path, str(path))
    folder = os.path.dirname(os.path.abspath(path))
    return _parse(collect(text, str(path), folder, str(path), pre, post, trusted), str(path), folder)


def read_string(
    text: str, pre: Sequence[str] = (), post: Sequence[str] = (), trusted: bool = False
) -> Document:
    """Parse ``text``; paths in it are relative to the working directory."""
    folder, name = os.getcwd(), "<string>"
    return _parse(collect(clean(text, name), name, folder, None, pre, post, trusted), name, folder)


def _parse(source: Source, file: str, folder: str) -> Document:
    check_structure(source)
    try:
        tree = nmhit.parse_text(source.text)
    except nmhit.Error as error:
        raise syntax_problem(error.messages[0], source) from None
    except UnicodeDecodeError:  # the parser stumbled over half of a character and could not even say so
        raise SyntaxProblem(
            first_odd_character(source), "only plain ASCII is allowed outside values"
        ) from None
    document = Document(Block("", "", Where(file)), file, Path(folder), source)
    _fill(document, document.root, tree)
    return document


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
