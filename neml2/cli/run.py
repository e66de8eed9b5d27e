"""`neml2-run`: run a driver of an input file, keep its result, and say what came out."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
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
    exit_code_of_stop,
    first_line,
    guarded,
    open_input,
    plural,
    say,
    split_overrides,
)
from neml2.errors import ConvergenceError
from neml2.registry import did_you_mean, listing

if TYPE_CHECKING:
    from neml2.drivers import PrescribedTransient, Trajectory
    from neml2.hit import InputFile

_EPILOG = """\
DRIVER may be left out when the file has a single one. Words with a '=' are overrides of the input.

  neml2-run input.i -o result.h5 --plot result.png
  neml2-run input.i driver Solvers/newton/max_its:=50 --on-failure substep

Exit code 0: done; 1: the run or the comparison failed; 2: the input is wrong, nothing was run."""

_WAYS = ("raise", "freeze", "substep")


@guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Run `neml2-run`; returns the exit code."""
    parser = _parser()
    args = parser.parse_intermixed_args(argv)
    names, overrides = split_overrides(args.words)
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
    parser.add_input()
    parser.add_argument("words", metavar="[DRIVER] [OVERRIDE ...]", nargs="*", help="a driver; overrides")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the trajectory to an HDF5 file")
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
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return parser


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
    from neml2.drivers.hdf5 import check_writable

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
    from neml2.drivers import NotNative

    ways = _ways(args.on_failure)
    progress = False if args.quiet else None
    driver.driver.engine = args.engine
    try:
        trajectory = driver.run(on_failure=ways, progress=progress)
    except NotNative as error:
        return say(f"{error}; run without --engine native", FAILED)
    except ConvergenceError as error:
        say(_in_our_words(str(error)), FAILED)
        return _keep_part(getattr(error, "trajectory", None), args, FAILED)
    except KeyboardInterrupt as stop:
        code = exit_code_of_stop(stop)
        return _keep_part(getattr(stop, "trajectory", None), args, say(str(stop) or "interrupted", code))
    kept = _keep(trajectory, args)
    if driver.save_as:
        kept.insert(0, _place("results", driver.save_as))
    if not args.quiet:
        print("\n".join([trajectory.summary(), "", *kept] if kept else [trajectory.summary()]))
    survivors = trajectory.batch.numel() - len(trajectory.failures)
    return OK if survivors else say("no point got to the end", FAILED)


def _keep(trajectory: Trajectory, args: argparse.Namespace) -> list[str]:
    """Write what was asked for; a line about each file."""
    from neml2.drivers import save

    lines = []
    if args.output:
        _writing(args.output, lambda: save(trajectory, args.output))
        lines.append(_place("results", args.output))
    if args.plot:
        from neml2.cli.picture import draw

        seen = _writing(args.plot, lambda: draw(trajectory, args.plot))
        lines.append(f"{_place('picture', args.plot)}: {seen}")
    return lines


def _writing(path: str, write: Callable[[], Any]) -> Any:
    try:
        return write()
    except OSError as error:  # such as a disk that has become full
        message = f"cannot write {path}: {error.strerror}" if error.strerror else str(error)
        raise Failure(message, FAILED) from None


def _keep_part(trajectory: Trajectory | None, args: argparse.Namespace, code: int) -> int:
    """Save the steps that were done, and say so."""
    if trajectory is not None and len(trajectory) > 1:
        done = plural(len(trajectory) - 1, "step")
        for line in _keep(trajectory, args) or ["they are lost; -o FILE keeps them"]:
            say(f"{done} had been done; {line}", code)
    return code


def _place(what: str, path: str | os.PathLike[str]) -> str:
    return f"{what} in {os.fspath(path)}"


def _in_our_words(message: str) -> str:
    """Keywords of Python as the options that they are here."""
    message = message.replace("('substep', 'freeze')", "--on-failure substep,freeze")
    return re.sub(r"on_failure='(\w+)'", r"--on-failure \1", message)


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
        return say(_in_our_words(str(error)), FAILED)
    except (OSError, ValueError, KeyError) as error:
        where = file.document.section("Drivers").blocks[name].where
        return say(f"{where}: [Drivers/{name}] {error}", WRONG_INPUT)
    if not args.quiet:
        print(verdict)
    return OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
