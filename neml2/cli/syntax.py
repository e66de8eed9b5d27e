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

from neml2.cli.common import FAILED, OK, Failure, Parser, columns, guarded, load_extensions, plural, say
from neml2.cli.facts import (
    Row,
    described,
    first_sentence,
    instead,
    options,
    rows,
    source_path,
    template,
    tensor_types,
)
from neml2.cli.reference import write
from neml2.registry import SECTIONS, Entry, did_you_mean, entries

_EPILOG = """\
Without arguments the types are listed with their first sentence; with the name of a type its page is printed.

  neml2-syntax VoceIsotropicHardening
  neml2-syntax --section Solvers
  neml2-syntax --json catalogue.json
  neml2-syntax --markdown docs/reference --examples examples/recipes"""


@guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Run `neml2-syntax`; returns the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.server and (args.name or args.section or args.type or args.summary or args.json or args.markdown):
        return say(
            "--server cannot be combined with a type, --section, --summary, --json or --markdown", FAILED
        )
    from neml2.hit.input_file import load_catalogue

    load_catalogue()
    load_extensions(args.load)
    if args.server:
        serve(sys.stdin, sys.stdout)
        return OK
    args.type = args.type or args.name
    found = select(args.section, args.type)
    if args.json:
        _write_json(found, args.json)
    elif args.markdown:
        print(f"{args.markdown}: {plural(write(found, args.markdown, args.examples), 'page')}")
    else:
        print(_text(found, args))
    return OK


def _parser() -> Parser:
    parser = Parser("neml2-syntax", "Show the types of input files and their options.", _EPILOG)
    parser.add_argument("name", metavar="TYPE", nargs="?", help="only this type")
    parser.add_argument("--section", metavar="S", help=f"only this section: {', '.join(SECTIONS)}")
    parser.add_argument("--type", metavar="T", help="the same as TYPE")
    parser.add_argument("--summary", action="store_true", help="only count the types of each section")
    parser.add_argument(
        "--json",
        metavar="FILE",
        nargs="?",
        const="syntax.json",
        help="write everything as JSON to FILE (default syntax.json; '-' is standard output)",
    )
    parser.add_argument(
        "--markdown", metavar="FOLDER", help="write a page for every family of types, and an index"
    )
    parser.add_argument(
        "--examples",
        metavar="FOLDER",
        action="append",
        default=[],
        help="input files whose blocks the pages show (repeatable)",
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
    rows = [(e.name, first_sentence(e)) for e in found if e.section == section]
    return "\n".join([f"[{section}]", *columns(rows)])


def page(entry: Entry) -> str:
    """The page of one type: what it is, what it takes, and a block to start from."""
    lines = [f"{entry.name}    [{entry.section}]    {source_path(entry.cls)}", ""]
    lines += [textwrap.indent(inspect.getdoc(entry.cls) or "", "  "), ""]
    found = rows(entry)
    shown = columns([_shown(row) for row in found], indent="    ")
    for heading, group in itertools.groupby(zip(found, shown), key=lambda pair: pair[0].heading):
        lines += [f"  {heading}", *(text for _, text in group), ""]
    if tensor_types(entry):
        lines += [f"  T is one of {', '.join(tensor_types(entry))}.", ""]
    if instead(entry):
        lines += [f"  The values may also be given one by one, as {', '.join(instead(entry))}.", ""]
    block = textwrap.indent("\n".join(template(entry)), "    ")
    return "\n".join([*lines, f"  [{entry.section}]", block, "  []"])


def _shown(row: Row) -> tuple[str, ...]:
    notes = [f"unit: {row.unit}"] * bool(row.unit) + list(row.notes)
    return row.name, row.kind, row.standard, row.doc + (f" ({'; '.join(notes)})" if notes else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
