"""`neml2-plot`: draw results from their HDF5 files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2.cli.common import FAILED, OK, Failure, Parser, columns, guarded

if TYPE_CHECKING:
    from neml2.drivers import Trajectory

_EPILOG = """\
Names are `time`, those of the variables, their components (stress.xx) and quantities: von_mises(stress),
principal(stress).1, equivalent_strain(strain), hydrostatic, trace, norm, energy(stress, strain), and the rate
of any of them, as rate(strain.xx).
Without -y the loop of stress and strain is drawn or, where there is none, every result over time.

  neml2-plot run.h5
  neml2-plot run.h5 -x strain.xx -y stress.xx --cycles -o loop.pdf
  neml2-plot slow.h5 fast.h5 -y 'rate(strain.xx)' --log xy --points 0,3"""


@guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Run `neml2-plot`; returns the exit code."""
    parser = _parser()
    args = parser.parse_intermixed_args(argv)
    if args.x and not args.y:
        parser.error("-x needs -y, what to draw over it")
    target = Path(args.output or Path(args.files[0]).with_suffix(".png"))
    if not args.list:
        _check_target(target)
    try:
        trajectories = {file: _read(file) for file in args.files}
        if args.list:
            print("\n".join(_listing(next(iter(trajectories.values())))))
            return OK
        seen = _draw(trajectories, target, args)
    except OSError as error:  # such as a disk that has become full
        raise Failure(f"cannot write {target}: {error.strerror or error}", FAILED) from None
    except ValueError as error:  # names, points, and files that are something else
        raise Failure(str(error)) from None
    print(f"picture in {target}: {seen}")
    return OK


def _parser() -> Parser:
    parser = Parser("neml2-plot", "Draw results from their HDF5 files.", _EPILOG)
    parser.add_argument("files", metavar="FILE", nargs="+", help="HDF5 files that neml2-run -o has written")
    parser.add_argument("-x", metavar="NAME", help="what is drawn across (default: time)")
    parser.add_argument("-y", metavar="NAME", help="what is drawn upwards")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the picture: .png, .pdf or .svg (default: the first file's name)",
    )
    parser.add_argument("--points", metavar="LIST", help="only these points of the batch, such as 0,3")
    parser.add_argument(
        "--log", metavar="AXES", choices=("x", "y", "xy"), help="logarithmic axes: x, y or xy"
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--band", action="store_true", help="draw the median and where most of the points are")
    kind.add_argument("--lines", action="store_true", help="draw a line for each point, however many")
    kind.add_argument("--cycles", action="store_true", help="draw every cycle in a colour of its own")
    parser.add_argument("--list", action="store_true", help="list what can be drawn, and draw nothing")
    return parser


def _check_target(target: Path) -> None:
    from neml2.cli.picture import check_kind
    from neml2.drivers.files.hdf5 import check_writable

    try:
        check_kind(target)
        check_writable(target)
    except (OSError, ValueError) as error:
        raise Failure(str(error)) from None


def _read(file: str) -> Trajectory:
    from neml2.drivers import Trajectory

    try:
        return Trajectory.from_hdf5(file)
    except OSError as error:
        raise Failure(str(error)) from None


def _draw(trajectories: dict[str, Trajectory], target: Path, args: argparse.Namespace) -> str:
    """Draw into ``target``; what is to be seen, in words."""
    from neml2.cli.picture import draw, write
    from neml2.drivers.pictures import drawing
    from neml2.drivers.pictures.cycles import loop

    first = next(iter(trajectories.values()))
    options = _options(args)
    if args.y is None:
        if len(trajectories) == 1 and not options:
            return draw(first, target)
        pair = loop(first)
        if pair is None:
            raise Failure(
                "there are no strain and stress to draw by themselves; say what with -y (see --list)"
            )
        args.x, args.y = pair
    x, y = args.x or "time", args.y
    figure, (axes,) = drawing.new_axes(shown=False)
    for name, trajectory in _named(trajectories):
        label = name if len(trajectories) > 1 else None
        trajectory.plot(x, y, ax=axes, label=label, **options)
    write(figure, target)
    return f"{y} over {x}" + (f" of {len(trajectories)} runs" if len(trajectories) > 1 else "")


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """What was asked for beyond names, as options of :meth:`Trajectory.plot`."""
    options: dict[str, Any] = {}
    if args.points is not None:
        try:
            options["points"] = [int(p) for p in args.points.split(",")]
        except ValueError:
            raise Failure(
                f"--points {args.points}: give numbers with commas between them, such as 0,3"
            ) from None
    if args.log:
        options |= {"logx": "x" in args.log, "logy": "y" in args.log}
    if args.band or args.lines:
        options["band"] = args.band
    if args.cycles:
        options["cycles"] = True
    return options


def _named(trajectories: dict[str, Trajectory]) -> list[tuple[str, Trajectory]]:
    """The names of the files without their endings, or with their folders where only those differ."""
    stems = [Path(file).stem for file in trajectories]
    names = stems if len(set(stems)) == len(stems) else list(trajectories)
    return list(zip(names, trajectories.values()))


def _listing(trajectory: Trajectory) -> list[str]:
    """A line for every variable: how it is written, its unit and its sentence; then the quantities."""
    from neml2.drivers.pictures.curves import drawable
    from neml2.drivers.results.declared import Declared
    from neml2.types import SR2, Scalar

    rows = []
    for name in dict.fromkeys(["time", *trajectory.names]):
        variable = trajectory.time_name if name == "time" else name
        about = trajectory.origin.declared.get(variable, Declared(""))
        value = trajectory[variable]
        parts = value.COMPONENTS
        if isinstance(value, Scalar):
            written = name
        else:
            written = f"{name}.{parts[0]}, " + ", ".join(f".{p}" for p in parts[1:6])
            written += f", ... .{parts[-1]}" if len(parts) > 6 else ""
        rows.append((written, about.unit, about.doc))
    tensor = next((n for n in trajectory.names if isinstance(trajectory[n], SR2)), None)
    quantities = [n for n in drawable(trajectory) if tensor is not None and f"({tensor})" in n]
    more = ["", f"of every symmetric tensor: {', '.join(quantities)}"] if quantities else []
    return [*columns(rows, indent=""), *more]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
