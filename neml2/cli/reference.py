"""The reference: a page for every family of types, and an index of them, written from the declarations."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from neml2.cli import facts
from neml2.cli.common import Failure, plural
from neml2.cli.markdown import anchor, cell, markdown
from neml2.registry import SECTIONS, Entry

_COMPOSITION = ("Composition", "Models made of models: joined, differentiated, solved.")
_FAMILIES = {  # title and sentence, where there is no package with both
    "composed": _COMPOSITION,
    "implicit": _COMPOSITION,
    "gradient": _COMPOSITION,
    "predictors": ("Predictors", "Initial guesses of implicit updates; crystals have some of their own."),
    "Tensors": ("Tensors", "Values that have a name in the section `[Tensors]`."),
    "EquationSystems": ("Equation systems", "What an implicit update solves, in `[EquationSystems]`."),
    "Solvers": ("Solvers", "Nonlinear and linear solvers and preconditioners, in `[Solvers]`."),
    "Data": ("Data", "What several models share, in `[Data]`."),
    "Drivers": ("Drivers", "What `neml2-run` runs, in `[Drivers]`."),
}
_BLOCK = re.compile(r"^  \[(\w+)\]\n((?:    .*\n)*?    type = '?(\w+)'?\n(?:    .*\n)*)  \[\]$", re.M)

Examples = dict[str, list[tuple[str, str, str]]]
Links = dict[str, str]


@dataclass(frozen=True)
class Kind:
    """A type, or the types that one generic model makes for several tensor types ``T``."""

    entry: Entry
    heading: str
    names: tuple[str, ...]
    family: str
    sentence: str  # of the family

    @property
    def place(self) -> str:
        """Where it is documented: page and anchor."""
        return f"{anchor(self.family)}.md#{anchor(self.heading)}"


def write(found: Sequence[Entry], folder: str, examples: Sequence[str] = ()) -> int:
    """Write the pages into ``folder``, which is made if it has to be; returns their number.

    ``examples`` are folders with input files, the blocks of which are shown; a type that is in none of them
    has a block to fill in. Raises :class:`Failure` for a folder that does not exist or cannot be written.
    """
    for name in examples:
        if not Path(name).is_dir():
            raise Failure(f"--examples {name}: there is no such folder")
    files = sorted(file for name in examples for file in Path(name).rglob("*.i"))
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        written = pages(found, blocks(files, folder))
        for name, text in written.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failure(f"{folder}: cannot be written: {error.strerror}") from None
    return len(written)


def blocks(files: Iterable[Path], folder: str | Path = ".") -> Examples:
    """By type: blocks of input files, with the name of their file and its place relative to ``folder``."""
    found: Examples = {}
    for file in files:
        for name, body, type_name in _BLOCK.findall(file.read_text(encoding="utf-8")):
            block = f"[{name}]\n{textwrap.indent(textwrap.dedent(body), '  ')}[]"
            title = f"{file.parent.name}/{file.name}"
            where = os.path.relpath(file, folder).replace(os.sep, "/")
            found.setdefault(type_name, []).append((block, title, where))
    return found


def pages(found: Sequence[Entry], examples: Examples | None = None) -> dict[str, str]:
    """The text of every page by the name of its file; ``README.md`` is the index."""
    kinds = _kinds(found)
    links = {name: f"[`{name}`]({kind.place})" for kind in kinds for name in (*kind.names, kind.entry.name)}
    families: dict[str, list[Kind]] = {}
    for kind in kinds:
        families.setdefault(kind.family, []).append(kind)
    text = {f"{anchor(name)}.md": _page(group, links, examples or {}) for name, group in families.items()}
    return {"README.md": _index(families), **text}


# -------------------------------------------------------------------- families


def _kinds(found: Sequence[Entry]) -> list[Kind]:
    """Types of the same generic model as one; by section, family, module and place in the module."""
    together: dict[type, list[Entry]] = {}
    for entry in found:
        generic = entry.cls.__mro__[1] if "KIND" in vars(entry.cls) else entry.cls
        together.setdefault(generic, []).append(entry)
    kinds = []
    for cls, members in together.items():
        family, sentence = _family(members[0])
        names = tuple(e.name for e in members)
        if cls is members[0].cls:
            kinds.append(Kind(members[0], names[0], names, family, sentence))
        else:
            pattern = getattr(cls, "TYPE_NAME", "{T}" + cls.__name__)
            entry = Entry(pattern.format(T="T"), cls, members[0].section, getattr(cls, "FIELDS", {}))
            kinds.append(Kind(entry, pattern.format(T="*T*"), names, family, sentence))
    return sorted(kinds, key=_order)


def _family(entry: Entry) -> tuple[str, str]:
    """The title of the family and its sentence."""
    *packages, module = entry.cls.__module__.split(".")
    key = module if entry.section == "Models" else entry.section
    if key in _FAMILIES:
        return _FAMILIES[key]
    package = sys.modules.get(".".join(packages))
    if packages[:2] == ["neml2", "models"] and package is not None:
        return _title(packages[-1]), _first(package.__doc__)
    return _title(module), _first(sys.modules[entry.cls.__module__].__doc__)


def _order(kind: Kind) -> tuple[int, str, str, int]:
    module = sys.modules[kind.entry.cls.__module__]
    names = list(vars(module))
    name = kind.entry.cls.__name__
    at = names.index(name) if name in names else len(names)
    return SECTIONS.index(kind.entry.section), kind.family, module.__name__, at


def _title(name: str) -> str:
    return name.strip("_").replace("_", " ").capitalize()


def _first(doc: str | None) -> str:
    return markdown(doc).split("\n\n")[0]


# -------------------------------------------------------------------- text


def _index(families: dict[str, list[Kind]]) -> str:
    counts = {family: sum(len(kind.names) for kind in group) for family, group in families.items()}
    count = plural(sum(counts.values()), "type")
    lines = [
        "# Reference",
        "",
        f"The {count} of input files by family: what each of them is, its equation, and what it takes.",
        "A name with *T* in it stands for one type per tensor type. `neml2-syntax NAME` prints the same in a",
        "terminal.",
        "",
        " · ".join(f"[{family}]({anchor(family)}.md)" for family in families),
    ]
    for family, group in families.items():
        sentence = f"{group[0].sentence} {plural(counts[family], 'type')}."
        lines += ["", f"## {family}", "", sentence, "", "| | |", "|---|---|"]
        for kind in group:
            lines.append(f"| [{kind.heading}]({kind.place}) | {cell(_first(kind.entry.cls.__doc__))} |")
    return "\n".join(lines) + "\n"


def _page(group: list[Kind], links: Links, examples: Examples) -> str:
    lines = [f"# {group[0].family}", "", group[0].sentence, "", "All families: [reference](README.md)."]
    module = ""
    for kind in group:
        if kind.entry.cls.__module__ != module:
            module = kind.entry.cls.__module__
            source = facts.source_path(kind.entry.cls)
            title = _title(module.rsplit(".", 1)[-1])
            about = markdown(sys.modules[module].__doc__, lambda name: links.get(name, f"`{name}`"))
            lines += ["", f"## {title}", "", about, "", f"`{source}`"]
        lines += ["", *_kind(kind, links, examples)]
    return "\n".join(lines) + "\n"


def _kind(kind: Kind, links: Links, examples: Examples) -> list[str]:
    lines = [f"### {kind.heading}", ""]
    if len(kind.names) > 1 or kind.names[0] != kind.heading:
        lines += [", ".join(f"`{name}`" for name in kind.names), ""]
    lines += [markdown(kind.entry.cls.__doc__, lambda name: links.get(name, f"`{name}`")), ""]
    table = facts.rows(kind.entry)
    if table:
        lines += ["| | name | type | default | unit | meaning |", "|---|---|---|---|---|---|"]
        before = ""
        for row in table:
            lines.append(_line(row, "" if row.heading == before else row.heading.lower(), links))
            before = row.heading
        lines.append("")
    if facts.tensor_types(kind.entry):
        lines += [f"*T* is one of {', '.join(f'`{t}`' for t in facts.tensor_types(kind.entry))}.", ""]
    if facts.instead(kind.entry):
        given = ", ".join(f"`{name}`" for name in facts.instead(kind.entry))
        lines += [f"The values may also be given one by one, as {given}.", ""]
    return [*lines, *_example(kind, examples)]


def _line(row: facts.Row, heading: str, links: Links) -> str:
    standard = f"`{row.standard[2:]}`" if row.standard.startswith("= ") else row.standard
    if standard.strip("`") in links:
        standard = links[standard.strip("`")]
    meaning = cell(markdown("; ".join((row.doc, *row.notes))))
    columns = heading, f"`{cell(row.name)}`", row.kind, standard, row.unit, meaning
    return f"| {' | '.join(columns)} |"


def _example(kind: Kind, examples: Examples) -> list[str]:
    found = [example for name in kind.names for example in examples.get(name, ())]
    if not found:
        entry = kind.entry if kind.entry.name in kind.names else _named(kind)
        return ["```ini", *facts.template(entry), "```"]
    block, title, where = found[0]
    others = dict.fromkeys((t, w) for _, t, w in found[1:] if w != where)
    also = "".join(f", [{t}]({w})" for t, w in list(others)[:3])
    return ["```ini", block, "```", "", f"from [{title}]({where}){'; also in' + also[1:] if also else ''}"]


def _named(kind: Kind) -> Entry:
    """The generic entry under the name of the first type that it makes."""
    return Entry(kind.names[0], kind.entry.cls, kind.entry.section, kind.entry.fields)
