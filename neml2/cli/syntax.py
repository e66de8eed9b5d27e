"""`neml2-syntax`: which types input files may use, and what each of them takes."""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import neml2
from neml2.cli.common import FAILED, OK, Failure, Parser, columns, guarded, load_extensions, plural, say
from neml2.fields import (
    BLOCK_NAME,
    OPTION_NAME,
    REQUIRED,
    DependencyField,
    Field,
    FileField,
    InputField,
    OptionField,
    OutputField,
    ParameterField,
    Variable,
)
from neml2.model import Model
from neml2.registry import SECTIONS, Entry, did_you_mean, entries

_EPILOG = """\
Without flags the types are listed with their first sentence; --type gives the page of one type.

  neml2-syntax --section Solvers
  neml2-syntax --type VoceIsotropicHardening
  neml2-syntax --json catalogue.json"""


@guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Run `neml2-syntax`; returns the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.server and (args.section or args.type or args.summary or args.json):
        return say("--server cannot be combined with --section, --type, --summary or --json", FAILED)
    from neml2.hit.input_file import load_catalogue

    load_catalogue()
    load_extensions(args.load)
    if args.server:
        serve(sys.stdin, sys.stdout)
        return OK
    found = select(args.section, args.type)
    if args.json:
        _write_json(found, args.json)
    else:
        print(_text(found, args))
    return OK


def _parser() -> Parser:
    parser = Parser("neml2-syntax", "Show the types of input files and their options.", _EPILOG)
    parser.add_argument("--section", metavar="S", help=f"only this section: {', '.join(SECTIONS)}")
    parser.add_argument("--type", metavar="T", help="only this type")
    parser.add_argument("--summary", action="store_true", help="only count the types of each section")
    parser.add_argument(
        "--json",
        metavar="FILE",
        nargs="?",
        const="syntax.json",
        help="write everything as JSON to FILE (default syntax.json; '-' is standard output)",
    )
    parser.add_argument(
        "--server", action="store_true", help="answer JSON requests, one per line, on standard input"
    )
    parser.add_load()
    return parser


def select(section: str | None = None, type_name: str | None = None) -> list[Entry]:
    """The types of a section, or the one of that name, sorted by name."""
    if section is not None and section not in SECTIONS:
        raise Failure(
            f"no section '{section}'{did_you_mean(section, SECTIONS)} (sections: {', '.join(SECTIONS)})"
        )
    found = entries(section)
    if type_name is None:
        return found
    chosen = [e for e in found if e.name == type_name]
    if not chosen:
        where = f" in section {section}" if section else ""
        elsewhere = [e.section for e in entries() if e.name == type_name]
        hint = (
            f"; it is one of {elsewhere[0]}"
            if elsewhere
            else did_you_mean(type_name, [e.name for e in found])
        )
        raise Failure(f"no type '{type_name}'{where}{hint}")
    return chosen


# -------------------------------------------------------------------- JSON


def described(entry: Entry) -> dict[str, Any]:
    """One type as a JSON object."""
    return {
        "type": entry.name,
        "section": entry.section,
        "doc": inspect.getdoc(entry.cls) or "",
        "source_path": source_path(entry.cls),
        "class_name": "",
        "options": options(entry),
    }


def options(entry: Entry) -> list[dict[str, Any]]:
    """The options of a type as JSON objects; unit, range and choices where they are declared."""
    return [_option(f, entry) for f in _fields(entry) if f.option]


def _fields(entry: Entry) -> list[Field]:
    return [f for f in entry.fields.values() if not isinstance(f, FileField)]


def _option(f: Field, entry: Entry) -> dict[str, Any]:
    described = {
        "name": f.option,
        "doc": f.doc,
        "ftype": _role(f),
        "required": _needed(f, entry),
        "type": _type_name(f),
        "value": _default(f, entry),
    }
    within = getattr(f, "within", None)
    extra = {"unit": f.unit, "range": within.text if within else "", "choices": getattr(f, "choices", ())}
    return {**described, **{k: list(v) if k == "choices" else v for k, v in extra.items() if v}}


def _needed(f: Field, entry: Entry) -> bool:
    """Whether a block has to have the option, by itself or along with another one that it has to have."""
    if not isinstance(f, OptionField) or not f.goes_with:
        return f.required
    return any(other.required for other in entry.fields.values() if other.option == f.goes_with)


def _role(f: Field) -> str:
    if isinstance(f, InputField):
        return "INPUT"
    if isinstance(f, OutputField):
        return "OUTPUT"
    if isinstance(f, ParameterField) and f.promotable:
        return "PARAMETER"
    return "NONE"


def _type_name(f: Field) -> str:
    name = f.section if isinstance(f, DependencyField) else getattr(f.type, "__name__", str(f.type))
    if hasattr(f.type, "__args__") and not isinstance(f, DependencyField):
        name = ", ".join(a.__name__ for a in f.type.__args__)
    return f"list[{name}]" if f.many else name


def _default(f: Field, entry: Entry) -> str:
    """The value of an option that is left out, as input text; ``<x>`` is the name that ``x`` stands for."""
    if isinstance(f, Variable) and f.of:
        return f"<{entry.fields[f.of].option}>{f.suffix}"
    if f.default is OPTION_NAME:
        return f.option or ""
    if f.default is BLOCK_NAME:
        return "<block name>"
    if f.default is REQUIRED or f.default is None:
        return ""
    if isinstance(f.default, bool):
        return str(f.default).lower()
    if isinstance(f.default, list | tuple):
        return " ".join(str(v) for v in f.default)
    if isinstance(f, DependencyField) and not isinstance(f.default, str):
        return type(f.default).__name__
    return str(f.default)


def source_path(cls: type) -> str:
    """Where the class is written: below the package, or the bare name of a file of the user's."""
    module = sys.modules.get(cls.__module__)
    file = Path(getattr(module, "__file__", None) or "")
    root = Path(neml2.__file__).parent
    return file.relative_to(root.parent).as_posix() if root in file.parents else file.name


def _write_json(found: list[Entry], target: str) -> None:
    text = json.dumps([described(e) for e in found], indent=2)
    if target == "-":
        print(text)
        return
    try:
        Path(target).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise Failure(f"{target}: cannot be written: {error.strerror}") from None
    print(f"{target}: {plural(len(found), 'type')}")


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answer one JSON request per line until the input ends."""
    for line in requests:
        if line.strip():
            replies.write(json.dumps(_reply(line)) + "\n")
            replies.flush()


def _reply(line: str) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {"id": None, "error": "parse error"}
    if not isinstance(request, dict):
        return {"id": None, "error": "parse error"}
    given = request.get("params")
    argument = {**request, **given} if isinstance(given, dict) else request
    number, method = request.get("id"), request.get("method")
    if method == "list_sections":
        return {"id": number, "result": sorted({e.section for e in entries()})}
    if method == "list_types":
        section = argument.get("section")
        return {"id": number, "result": [e.name for e in entries() if section in (None, e.section)]}
    if method == "get_options":
        named = [e for e in entries() if e.name == argument.get("type")]
        return {"id": number, "result": options(named[0]) if named else None}
    return {"id": number, "error": "unknown method"}


# -------------------------------------------------------------------- text


def _text(found: list[Entry], args: argparse.Namespace) -> str:
    if args.summary:
        counts = {s: sum(e.section == s for e in found) for s in SECTIONS}
        rows = [(s, n) for s, n in counts.items() if n]
        return "\n".join(columns([*rows, ("total", len(found))], indent=""))
    if args.type:
        return page(found[0])
    return "\n\n".join(_listed(s, found) for s in SECTIONS if any(e.section == s for e in found))


def _listed(section: str, found: list[Entry]) -> str:
    rows = [(e.name, _first_sentence(e)) for e in found if e.section == section]
    return "\n".join([f"[{section}]", *columns(rows)])


def _first_sentence(entry: Entry) -> str:
    first = (inspect.getdoc(entry.cls) or "").split("\n\n")[0]
    return " ".join(first.split())


def page(entry: Entry) -> str:
    """The page of one type: what it is, what it takes, and a block to start from."""
    lines = [f"{entry.name}    [{entry.section}]    {source_path(entry.cls)}", ""]
    lines += [textwrap.indent(inspect.getdoc(entry.cls) or "", "  "), ""]
    fields = sorted(_fields(entry), key=lambda f: _HEADINGS.index(_heading(f)))
    rows = columns([_row(f, entry) for f in fields], indent="    ")
    for heading, group in itertools.groupby(zip(fields, rows), key=lambda pair: _heading(pair[0])):
        lines += [f"  {heading}", *(row for _, row in group), ""]
    instead = entry.cls.extra_options() if issubclass(entry.cls, Model) else ()
    if instead:
        lines += [f"  The values may also be given one by one, as {', '.join(instead)}.", ""]
    return "\n".join([*lines, *_template(entry)])


_HEADINGS = ("Inputs", "Outputs", "Parameters", "Constants", "Options", "Other objects")


def _heading(f: Field) -> str:
    if isinstance(f, Variable):
        return "Inputs" if isinstance(f, InputField) else "Outputs"
    if isinstance(f, ParameterField):
        return "Parameters" if f.promotable else "Constants"
    return "Other objects" if isinstance(f, DependencyField) else "Options"


def _row(f: Field, entry: Entry) -> tuple[str, ...]:
    """Name, type, what it is when left out, and the sentence with unit, range and choices."""
    default = _default(f, entry)
    if f.option is None:
        return default, _type_name(f), "", f.doc
    standard = "required" if _needed(f, entry) else f"= {default}" if default else "optional"
    if isinstance(f, Variable) and not f.of and default == f.option:
        standard = ""  # named after its option, as most are
    notes = [f"unit: {f.unit}"] if f.unit else []
    if isinstance(f, ParameterField | OptionField) and f.within:
        notes.append(f"in {f.within.text}")
    if isinstance(f, OptionField) and f.choices:
        notes.append("one of " + ", ".join(f.choices))
    return f.option, _type_name(f), standard, f.doc + (f" ({'; '.join(notes)})" if notes else "")


def _template(entry: Entry) -> list[str]:
    needed = [f.option for f in entry.fields.values() if _needed(f, entry) and f.option]
    body = [f"      {name} = ..." for name in needed]
    return [f"  [{entry.section}]", "    [name]", f"      type = {entry.name}", *body, "    []", "  []"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
