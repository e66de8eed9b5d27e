"""Time whole runs of the scenarios: ours, NEML2's and hand-written C++, in turns.

``python -m benchmarks run --engines native,eager --peer PYTHON --out FILE.csv --plot FILE.png`` measures,
``python -m benchmarks report FILE.csv`` prints tables.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import ours, peers, report, rows
from benchmarks.scenario import chosen


def main(argv: list[str] | None = None) -> int:
    """Run a command; 2 when it cannot be understood, 130 when it was interrupted."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        return args.command(args)
    except ValueError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


def run(args: argparse.Namespace) -> int:
    """Measure, and write the rows as they come."""
    from benchmarks.suite import Suite, start_peer

    scenarios = chosen(args.scenarios)
    table = rows.Table(args.out)
    peer = start_peer(args.peer, args.peer_cache) if args.peer else None
    suite = Suite(
        table=table,
        scenarios=scenarios,
        points=args.points,
        threads=args.threads,
        engines=args.engines,
        peer=peer,
        peer_engines=args.peer_engines,
        with_limits=not args.no_limits,
        steps=args.steps,
        seconds=args.seconds,
        longest=args.longest,
        memory=args.memory,
        gradient_points=args.gradient_points,
        with_builds=not args.no_builds,
    )
    stopped = False
    try:
        suite.run()
    except KeyboardInterrupt:
        stopped = True
        print(f"Interrupted; {len(table.rows)} rows were measured", file=sys.stderr)
    finally:
        if peer:
            peer.close()
    print(report.markdown(table.rows))
    if args.plot and table.rows:
        from benchmarks.plot import draw

        draw(table.rows, args.plot)
    return 130 if stopped else 0


def tables(args: argparse.Namespace) -> int:
    """Print the tables of a CSV; draw its plot."""
    found = rows.read(args.csv)
    print(report.markdown(found))
    if args.plot:
        from benchmarks.plot import draw

        draw(found, args.plot)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True)
    add = commands.add_parser("run", help="time the scenarios").add_argument
    add("--scenarios", type=lambda t: t.split(","), help="comma separated; all by default")
    add("--points", type=_list(_positive), default=[1, 100, 1_000, 10_000, 100_000])
    add("--steps", type=_positive, default=100)
    add("--threads", type=_list(_threads), default=[1], help="numbers, or 'all': 1,all")
    add("--engines", type=_list(_one_of(ours.ENGINES)), default=list(ours.ENGINES))
    add("--peer", metavar="PYTHON", help="the Python of an environment with neml2 3.1.0")
    add("--peer-engines", type=_list(_one_of(peers.ENGINES)), default=list(peers.ENGINES))
    cache = Path.home() / ".cache" / "neml2-peer"
    add("--peer-cache", type=Path, default=cache, help="folder of the peer's compiled models")
    add("--no-limits", action="store_true", help="leave out the hand-written C++")
    add("--no-builds", action="store_true", help="leave out the times to a first result")
    add("--gradient-points", type=int, default=1_000, help="batch of the gradients; 0 leaves them out")
    add("--seconds", type=float, default=5.0, help="repeat a run for about this long, in at most 25 turns")
    add("--longest", type=float, default=60.0, help="leave out runs that would take longer, in seconds")
    add("--memory", type=float, default=8.0, help="leave out cases with larger results, in GB")
    add("--out", type=Path, help="CSV file to append to")
    add("--plot", type=Path, help="picture to draw")
    commands.choices["run"].set_defaults(command=run)
    shown = commands.add_parser("report", help="print the tables of a CSV file")
    shown.add_argument("csv", type=Path)
    shown.add_argument("--plot", type=Path, help="picture to draw")
    shown.set_defaults(command=tables)
    return parser


def _list(each: Callable[[str], object]) -> Callable[[str], list]:
    return lambda text: list(dict.fromkeys(each(word) for word in text.split(",")))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of 1 or more")
    return int(text)


def _threads(text: str) -> int:
    return len(os.sched_getaffinity(0)) if text == "all" else _positive(text)


def _one_of(known: tuple[str, ...]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in known:
            near = difflib.get_close_matches(text, known, 1, 0.3)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
            raise argparse.ArgumentTypeError(f"no engine '{text}'; {hint}")
        return text

    return check


if __name__ == "__main__":
    sys.exit(main())
