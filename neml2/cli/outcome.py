"""What comes of a run of `neml2-run`: results that are kept, a summary, how a stopped run goes on."""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2.cli.common import FAILED, OK, Failure, exit_code_of_stop, plural, say
from neml2.errors import ConvergenceError

if TYPE_CHECKING:
    from neml2.drivers import Trajectory


_REFUSALS = (FileNotFoundError, FileExistsError, IsADirectoryError, BlockingIOError)


def finish(run: Callable[[], Trajectory], args: argparse.Namespace, save_as: Any = "") -> int:
    """Run, and say what came of it."""
    from neml2.drivers import NotNative

    start = time.perf_counter()
    try:
        trajectory = run()
    except NotNative as error:
        return say(f"{error}; run without --engine native", FAILED)
    except ConvergenceError as error:
        say(in_our_words(str(error)), FAILED)
        return _keep_part(error, args, FAILED)
    except KeyboardInterrupt as stop:
        return _keep_part(stop, args, say(str(stop) or "interrupted", exit_code_of_stop(stop)))
    except (*_REFUSALS, ValueError) as error:  # nothing was run
        raise Failure(in_our_words(str(error))) from None
    except OSError as error:  # such as a disk that has become full
        raise Failure(in_our_words(str(error)), FAILED) from None
    kept = _keep(trajectory, args)
    if save_as:
        kept.insert(0, _place("results", save_as))
    if args.json:
        print(json.dumps(_as_json(trajectory, args, time.perf_counter() - start), indent=2))
    elif not args.quiet:
        print("\n".join([trajectory.summary(), "", *kept] if kept else [trajectory.summary()]))
    survivors = trajectory.batch.numel() - len(trajectory.failures)
    return OK if survivors else say("no point got to the end", FAILED)


def streams(output: str | None) -> bool:
    """Whether results grow in a file, rather than being written at the end."""
    from neml2.drivers.files.hdf5 import SUFFIXES

    return bool(output) and Path(output or "").suffix.lower() in SUFFIXES


def bundle(output: str) -> Path:
    """Where the step goes at which a run into ``output`` fails."""
    return Path(output).with_suffix(".replay.h5")


def _as_json(trajectory: Trajectory, args: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """The summary for programs."""
    return {
        "steps": len(trajectory) - 1,
        "points": trajectory.batch.numel(),
        "succeeded": trajectory.succeeded,
        "failures": [
            {"point": list(p), "step": k, "status": s.name.lower()} for p, k, s in trajectory.failures
        ],
        "events": [
            {"name": e.name, "point": list(e.point), "step": e.row, "time": e.time} for e in trajectory.events
        ],
        "time": [float(trajectory.time.min()), float(trajectory.time.max())],
        "iterations": int(trajectory.iterations.sum()),
        "variables": {n: type(trajectory[n]).__name__ for n in trajectory.names},
        "output": args.output,
        "plot": args.plot,
        "seconds": seconds,
    }


def _keep(trajectory: Trajectory, args: argparse.Namespace) -> list[str]:
    """Write what was asked for and is not written yet; a line about each file."""
    from neml2.drivers import save

    lines = []
    if args.output:
        if not streams(args.output):
            _writing(args.output, lambda: save(trajectory, args.output))
        lines.append(_place("results", args.output))
    return lines + _pictures(trajectory, args)


def _pictures(trajectory: Trajectory, args: argparse.Namespace) -> list[str]:
    if not args.plot:
        return []
    from neml2.cli.picture import draw

    seen = _writing(args.plot, lambda: draw(trajectory, args.plot))
    return [f"{_place('picture', args.plot)}: {seen}"]


def _writing(path: str, write: Callable[[], Any]) -> Any:
    try:
        return write()
    except OSError as error:  # such as a disk that has become full
        message = f"cannot write {path}: {error.strerror}" if error.strerror else str(error)
        raise Failure(message, FAILED) from None


def _keep_part(stop: BaseException, args: argparse.Namespace, code: int) -> int:
    """Say where the steps are that were done, and how the run goes on."""
    from neml2.drivers.files.places import partial
    from neml2.drivers.trajectory import row_numbers

    trajectory = getattr(stop, "trajectory", None)
    if trajectory is None or len(trajectory) < 2:
        return code
    done = plural(int(row_numbers(trajectory)[-1]), "step")
    if not streams(args.output):
        for line in _keep(trajectory, args) or ["they are lost; -o FILE keeps them"]:
            say(f"{done} had been done; {line}", code)
        return code
    say(f"{done} had been done; they are in {partial(args.output)}", code)
    for line in _pictures(trajectory, args):
        say(line, code)
    if isinstance(stop, ConvergenceError):
        say(f"neml2-run --replay {bundle(args.output)} takes the step again that failed", code)
        say(f"neml2-run --resume {args.output} --on-failure substep goes on", code)
    else:
        say(f"neml2-run --resume {args.output} goes on", code)
    return code


def _place(what: str, path: str | os.PathLike[str]) -> str:
    return f"{what} in {os.fspath(path)}"


_WORDS = (  # of Python, and what they are here
    (r"\('substep', 'freeze'\)", "--on-failure substep,freeze"),
    (r"on_failure='(\w+)', '(\w+)'", r"--on-failure \1, \2"),
    (r"on_failure='(\w+)'", r"--on-failure \1"),
    (r"\bresume\('([^']*)'\)", r"neml2-run --resume \1"),
    (r"\band resume goes on with them", "and neml2-run --resume goes on with them"),
    (r"\boverwrite=True", "--overwrite"),
    (r"\boutput='([^']*)'", r"-o \1"),
    (r"\bsave=\.\.\.", "--save"),
    (r"\bmax_memory\b", "--max-memory"),
)


def in_our_words(message: str) -> str:
    """Keywords of Python as the options that they are here."""
    for python, ours in _WORDS:
        message = re.sub(python, ours, message)
    return message
