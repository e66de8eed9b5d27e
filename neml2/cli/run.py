"""`neml2-run`: run a driver of an input file, keep its result, and say what came out."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from neml2.cli.common import (
    FAILED,
    OK,
    WRONG_INPUT,
    Failure,
    Parser,
    check_file,
    first_line,
    guarded,
    load_extensions,
    open_input,
    plural,
    quoted,
    say,
    split_overrides,
)
from neml2.cli.outcome import bundle, finish, in_our_words, streams
from neml2.errors import ConvergenceError
from neml2.registry import did_you_mean, listing

if TYPE_CHECKING:
    from neml2.drivers import PrescribedTransient, Trajectory
    from neml2.hit import InputFile

_EPILOG = """\
DRIVER may be left out when the file has a single one. Words with a '=' are overrides of the input.

  neml2-run input.i -o result.h5 --plot result.png
  neml2-run input.i driver --set Solvers/newton/max_its=50 --on-failure substep
  neml2-run --resume result.h5

Exit code 0: done; 1: the run or the comparison failed; 2: the input is wrong, nothing was run."""

_WAYS = ("raise", "freeze", "substep")


@guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Run `neml2-run`; returns the exit code."""
    parser = _parser()
    args = parser.parse_intermixed_args(argv)
    if args.completion:
        from neml2.cli.completion import script

        print(script(args.completion))
        return OK
    if args.input == "replay" and len(args.words) == 1:  # as a word, too
        args.replay, args.input, args.words = args.words[0], None, []
    if args.resume or args.replay:
        if args.input or args.words:
            parser.error(
                "--resume and --replay take the input from their file; leave INPUT and overrides out"
            )
        return _resume(args) if args.resume else _replay(args)
    if not args.input:
        parser.error("the following arguments are required: INPUT")
    names, overrides = split_overrides(args.words)
    overrides += [_override(parser, text) for text in args.set]
    if len(names) > 1:
        parser.error(f"one driver at a time, not {listing(names)}; an override has a '='")
    device = _device(args.device)
    _check_places(args)
    file = open_input(args, overrides)
    name = names[0] if names else _only_driver(file)
    if not file.has("Drivers", name):
        near = did_you_mean(name, file.names("Drivers")) or f"; there are {listing(file.names('Drivers'))}"
        raise Failure(f"{args.input}: there is no [Drivers/{name}]{near}")
    check_file(file)
    driver = file.get_driver(name)
    _convert(driver, device, getattr(torch, args.dtype))
    from neml2.drivers import PrescribedTransient

    with torch.no_grad():
        if isinstance(driver, PrescribedTransient):
            _check_save_as(file, name, driver)
            return _transient(driver, args)
        return _comparison(file, name, driver, args)


def _parser() -> Parser:
    parser = Parser("neml2-run", "Run a driver of an input file.", _EPILOG)
    parser.add_input(optional=True)
    parser.add_argument("words", metavar="[DRIVER] [OVERRIDE ...]", nargs="*", help="a driver; overrides")
    parser.add_argument(
        "--set", metavar="PATH=VALUE", action="append", default=[], help="Models/x/option=value (repeatable)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="HDF5 file that grows with the run")
    parser.add_argument(
        "--overwrite", action="store_true", help="start anew where an interrupted run is left"
    )
    parser.add_argument("--save", metavar="NAMES", help="what to keep: stress,von_mises(stress) ... or last")
    parser.add_argument("--max-memory", metavar="SIZE", help="such as 8GB; results are the same")
    parser.add_argument("--resume", metavar="FILE", help="go on with the interrupted run into FILE")
    parser.add_argument("--replay", metavar="FILE", help="take the failed step in FILE again")
    parser.add_argument("--plot", metavar="FILE", help="draw the result: .png, .pdf or .svg")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (default %(default)s)")
    parser.add_argument("--dtype", default="float64", choices=("float64", "float32"))
    parser.add_argument(
        "--on-failure",
        metavar="WAY",
        help="what to do when points do not converge: raise, freeze, substep or substep,freeze",
    )
    parser.add_argument(
        "--engine",
        default="auto",
        choices=("auto", "native", "eager"),
        help="compile long runs to native code where that is possible (auto, the default), always, or never",
    )
    parser.add_argument("--progress", action="store_true", help="show a progress bar, also of short runs")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument(
        "--completion", choices=("bash", "zsh", "fish"), help="print the shell's script and exit"
    )
    return parser


def _override(parser: Parser, text: str) -> str:
    path, equals, value = text.partition("=")
    if not equals or "/" not in path:
        parser.error(f"--set {text}: write Section/block/option=value")
    return f"{path.removesuffix(':')}:={quoted(value)}"


# -------------------------------------------------------------------- before the run


def _only_driver(file: InputFile) -> str:
    names = file.names("Drivers")
    if len(names) != 1:
        what = (
            f"has {plural(len(names), 'driver')}: {listing(names)}; say which"
            if names
            else "has no [Drivers]"
        )
        raise Failure(f"{file.document.file}: the input {what}")
    return names[0]


def _device(name: str) -> torch.device:
    try:
        torch.zeros(1, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        why = first_line(error)
        if "device string" in why:
            why = "no such device; give cpu, cuda, cuda:1 or mps"
        raise Failure(f"--device {name}: {why}") from None


def _check_places(args: argparse.Namespace) -> None:
    """Refuse what cannot be written later, before hours of work."""
    from neml2.drivers import check_place
    from neml2.drivers.files.hdf5 import check_writable

    ways = _ways(args.on_failure) or []
    for way in ways:
        if way not in _WAYS:
            raise Failure(f"--on-failure {way}: no such way{did_you_mean(way, _WAYS)} ({listing(_WAYS)})")
    if {"raise", "freeze"} <= set(ways):
        raise Failure("--on-failure cannot both raise and freeze; choose one of the two")
    try:
        if args.output:
            check_place(args.output)
        if args.plot:
            from matplotlib.backend_bases import FigureCanvasBase

            kinds = FigureCanvasBase.get_supported_filetypes()
            if Path(args.plot).suffix.lstrip(".").lower() not in kinds:
                raise ValueError(f"cannot draw into '{args.plot}'; end its name in .png, .pdf or .svg")
            check_writable(args.plot)
    except (OSError, ValueError) as error:
        raise Failure(str(error)) from None


def _check_save_as(file: InputFile, name: str, driver: PrescribedTransient) -> None:
    from neml2.drivers import check_place

    if driver.save_as:
        try:
            check_place(driver.save_as)
        except (OSError, ValueError) as error:
            where = file.document.section("Drivers").blocks[name].values["save_as"].where
            raise Failure(f"{where}: [Drivers/{name}] save_as: {error}") from None


def _ways(given: str | None) -> list[str] | None:
    return given.split(",") if given else None


def _convert(driver: Any, device: torch.device, dtype: torch.dtype) -> None:
    """The driver's model and history on ``device`` in ``dtype``."""
    transient = driver if hasattr(driver, "history") else getattr(driver, "driver", None)  # of a comparison
    if transient is not None and (device.type != "cpu" or dtype != torch.float64):
        transient.to(dtype=dtype, device=device)


# -------------------------------------------------------------------- the run


def _transient(driver: PrescribedTransient, args: argparse.Namespace) -> int:
    driver.driver.engine = args.engine
    options: dict[str, Any] = {"max_memory": args.max_memory}
    if args.save:
        options["save"] = args.save if args.save == "last" else _names(args.save)
    if streams(args.output):
        options |= {"output": args.output, "overwrite": args.overwrite, "replay": bundle(args.output)}

    def run() -> Trajectory:
        return driver.run(on_failure=_ways(args.on_failure), progress=_progress(args), **options)

    return finish(run, args, driver.save_as)


def _resume(args: argparse.Namespace) -> int:
    """Go on with an interrupted run."""
    from neml2.hit.resuming import resume

    load_extensions(args.load)
    args.output = args.resume

    def run() -> Trajectory:
        ways = _ways(args.on_failure)
        return resume(args.resume, trust_input=args.trust_input, progress=_progress(args), on_failure=ways)

    return finish(run, args)


def _replay(args: argparse.Namespace) -> int:
    """Take the step again that a run has failed at."""
    from neml2.drivers.engines.replay import Replay
    from neml2.hit.resuming import replay
    from neml2.solvers.status import Status

    load_extensions(args.load)
    try:
        bundle = Replay.load(args.replay)
        result = replay(bundle, trust_input=args.trust_input)
    except (OSError, ValueError) as error:
        raise Failure(str(error)) from None
    print(f"{plural(len(bundle.points), 'point')} of the run: {bundle.message}\n{bundle.solvers}")
    status = result.status.expand(len(bundle.points)).tolist()
    its = result.iterations.expand(len(bundle.points)).tolist()
    for point, code, count in zip(bundle.points, status, its, strict=True):
        print(f"  point {point}: {Status(code).meaning} ({plural(count, 'iteration')})")
    return OK if all(code == Status.CONVERGED for code in status) else say(result.describe_failure(), FAILED)


def _progress(args: argparse.Namespace) -> bool | None:
    return True if args.progress else False if args.quiet else None


def _names(text: str) -> list[str]:
    """Names at commas, but not at those inside of parentheses."""
    return [n.strip() for n in re.split(r",(?![^(]*\))", text) if n.strip()]


def _comparison(file: InputFile, name: str, driver: Any, args: argparse.Namespace) -> int:
    if args.output or args.plot:
        kind = file.document.section("Drivers").blocks[name].values["type"].text
        raise Failure(
            f"[Drivers/{name}] is a {kind}, which has no trajectory to write; run its driver instead"
        )
    try:
        verdict = driver.run()
    except AssertionError as error:  # the comparison went wrong: that is what it is for
        return say(str(error), FAILED)
    except ConvergenceError as error:
        return say(in_our_words(str(error)), FAILED)
    except (OSError, ValueError, KeyError) as error:
        where = file.document.section("Drivers").blocks[name].where
        return say(f"{where}: [Drivers/{name}] {error}", WRONG_INPUT)
    if not args.quiet:
        print(verdict)
    return OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
