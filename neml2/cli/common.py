"""What the tools share: arguments, errors of input as lines on standard error, exit codes."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from neml2 import __version__
from neml2.registry import did_you_mean

if TYPE_CHECKING:
    from neml2.hit import InputFile

OK, FAILED, WRONG_INPUT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


class Parser(argparse.ArgumentParser):
    """Arguments of one tool; a wrong one is a line with the nearest spelling."""

    def __init__(self, prog: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_argument("--version", action="version", version=f"neml2 {__version__}")

    def add_load(self) -> None:
        """``--load``, as all tools have it."""
        self.add_argument(
            "--load",
            metavar="PATH",
            action="append",
            default=[],
            help="Python file, package folder or module with types of your own (repeatable)",
        )

    def add_input(self, optional: bool = False) -> None:
        """What the tools that read an input file have in common."""
        self.add_argument("input", metavar="INPUT", help="input file", nargs="?" if optional else None)
        self.add_argument(
            "--trust-input",
            action="store_true",
            help="run expressions as ordinary Python, include files from anywhere: only for files you trust",
        )
        self.add_load()

    def error(self, message: str) -> NoReturn:
        """One line on standard error, exit code 2."""
        known = [o for a in self._actions for o in a.option_strings if o.startswith("--")]
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            message = f"no option '{unknown.split()[0]}'{did_you_mean(unknown.split()[0], known)}"
        self.exit(WRONG_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


class Terminated(KeyboardInterrupt):
    """SIGTERM, such as from a batch system that is out of time: ends a tool as Ctrl-C does."""


def exit_code_of_stop(stop: KeyboardInterrupt) -> int:
    """What a shell expects after SIGINT or SIGTERM."""
    return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


@contextlib.contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """SIGTERM raises :class:`Terminated`; only the main thread may ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> NoReturn:
        del number, frame
        raise Terminated("terminated")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Failure(Exception):
    """Ends a tool with this line on standard error and this exit code."""

    def __init__(self, message: str, code: int = WRONG_INPUT) -> None:
        super().__init__(message)
        self.code = code


def guarded(tool: Callable[[Sequence[str] | None], int]) -> Callable[[Sequence[str] | None], int]:
    """``main`` that turns errors of input into lines on standard error and everything into an exit code."""

    @functools.wraps(tool)
    def main(argv: Sequence[str] | None = None) -> int:
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)  # for --trust-input; the interpreter does not need it
        try:
            with stopping_on_sigterm():
                code = tool(argv)
            sys.stdout.flush()
            return code
        except SystemExit as stop:  # from argparse, after --help or a wrong argument
            return stop.code if isinstance(stop.code, int) else OK
        except KeyboardInterrupt as stop:
            return say(str(stop) or "interrupted", exit_code_of_stop(stop))
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return OK
        except Exception as error:
            code_of_error = exit_code(error)
            if code_of_error is None:
                raise
            return say(str(error), code_of_error)
        finally:
            torch.set_default_dtype(default)

    return main


def exit_code(error: Exception) -> int | None:
    """The exit code for an error that is the input's or the run's; ``None`` for one that is ours."""
    if isinstance(error, Failure):
        return error.code
    from neml2.hit import InputError

    return WRONG_INPUT if isinstance(error, InputError) else None


def say(message: str, code: int) -> int:
    """Print on standard error, and hand the exit code on."""
    print(message, file=sys.stderr)
    return code


def load_extensions(paths: Sequence[str]) -> None:
    """Import what ``--load`` names, in order; a fault in it is told with the line that it is in."""
    from neml2.hit import load_extension

    for path in paths:
        try:
            load_extension(path)
        except Exception as error:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if not _is_ours(f.filename)]
            if isinstance(error, SyntaxError) and error.filename:
                place = f"{os.path.relpath(error.filename)}:{error.lineno}: "
            else:
                place = f"{os.path.relpath(frames[-1].filename)}:{frames[-1].lineno}: " if frames else ""
            kind = "" if place == "" else f"{type(error).__name__}: "
            raise Failure(f"--load {path}: {place}{kind}{first_line(error)}") from None


def first_line(error: Exception) -> str:
    """The first line of a message that may have several, or none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _is_ours(file: str) -> bool:
    """Whether a frame belongs to this package or to Python's import system."""
    return file.startswith(
        ("<frozen", os.path.dirname(os.path.dirname(__file__)), os.path.dirname(os.__file__))
    )


def open_input(args: argparse.Namespace, overrides: Sequence[str]) -> InputFile:
    """The input file of the command line, with its overrides."""
    from neml2.hit import load_input

    load_extensions(args.load)
    return load_input(args.input, additional_args=list(overrides), trust_input=args.trust_input)


def check_file(file: InputFile) -> None:
    """Build everything that the file defines, and look for the files that it refers to.

    Raises :class:`~neml2.hit.InputErrors` with up to 20 errors.
    """
    from neml2.hit import InputErrors
    from neml2.hit.errors import MissingFile

    file.check()
    missing = []
    for name in file.names("Drivers"):
        reference = getattr(file.get_driver(name), "reference", None)
        if reference is not None and not reference.is_file():
            value = file.document.section("Drivers").blocks[name].values["reference"]
            what = f"[Drivers/{name}] reference: there is no file '{value.text}'"
            missing.append(MissingFile(value.where, what))
    if missing:
        raise InputErrors(missing)


def split_overrides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names and overrides: what has a ``=`` in it is HIT text."""
    return [w for w in words if "=" not in w], [_whole(w) for w in words if "=" in w]


def quoted(value: str) -> str:
    """The value of an option as HIT text: a shell has taken the quotes off those of several words."""
    if not any(c.isspace() for c in value) or value[0] in "'\"":
        return value
    return f'"{value}"' if "'" in value else f"'{value}'"


def _whole(override: str) -> str:
    """``a/b:=1 2`` with quotes; text with several ``=`` is left as it is."""
    path, _, value = override.partition("=")
    return override if "=" in value else f"{path}={quoted(value)}"


def plural(count: int, noun: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def columns(rows: Sequence[Sequence[Any]], indent: str = "  ", gap: str = "  ") -> list[str]:
    """Rows as lines with aligned columns."""
    texts = [[str(c) for c in row] for row in rows]
    count = max((len(r) for r in texts), default=0)
    widths = [max(len(r[i]) for r in texts if i < len(r)) for i in range(count)]
    return [(indent + gap.join(c.ljust(w) for c, w in zip(r, widths))).rstrip() for r in texts]
