"""The commands by name, for `python -m neml2` and for the completion of shells."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from neml2 import __version__
from neml2.cli.common import OK, WRONG_INPUT, Parser, columns, say
from neml2.registry import did_you_mean, listing

TOOLS = ("run", "inspect", "syntax", "plot")  # each is neml2/cli/<name>.py and the script neml2-<name>
COMMANDS = (*TOOLS, "completion")


def parser_of(command: str) -> Parser:
    """The arguments of a command."""
    parser: Parser = importlib.import_module(f"neml2.cli.{command}")._parser()
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command that ``argv`` starts with, or list them all; returns the exit code."""
    if not argv or argv[0] in ("-h", "--help"):
        print("\n".join(overview()))
        return OK
    command, *rest = argv
    if command == "--version":
        print(f"neml2 {__version__}")
        return OK
    if command not in COMMANDS:
        near = did_you_mean(command, COMMANDS) or f"; there are {listing(COMMANDS)}"
        return say(f"python -m neml2: there is no command '{command}'{near}", WRONG_INPUT)
    return int(importlib.import_module(f"neml2.cli.{command}").main(rest))


def overview() -> list[str]:
    """Every command with its sentence."""
    rows = [(c, parser_of(c).description) for c in COMMANDS]
    return [
        "python -m neml2 COMMAND ...",
        "",
        *columns(rows),
        "",
        f"{listing([f'neml2-{t}' for t in TOOLS])} are the same as scripts; each has --help.",
    ]
