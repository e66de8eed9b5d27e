"""`neml2-inspect`: what an input file or one of its models consists of, and whether it is right."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from neml2.cli.common import (
    FAILED,
    OK,
    WRONG_INPUT,
    Failure,
    Parser,
    check_file,
    columns,
    guarded,
    open_input,
    plural,
    split_overrides,
)
from neml2.hit import InputError, InputFile
from neml2.registry import SECTIONS, listing
from neml2.types.shapes import broadcast_shapes

if TYPE_CHECKING:
    from neml2.compiler.describe import KernelReport
    from neml2.model import Model

_EPILOG = """\
Without MODEL the whole file is checked: every block, every expression, and the load histories of the
drivers against their models. Words with a '=' are overrides of the input.

With --compiled the kernel is shown that a model, or the one of a driver, is compiled to: operations of
one point, unknowns, the linear system of Newton's method, and where source and library are kept. Pivots are
chosen along the history of the driver that drives the model; without one, at values made up. Nothing is
built.

  neml2-inspect input.i
  neml2-inspect input.i model Models/elasticity/coefficients:='2e5 0.3'
  neml2-inspect input.i driver --compiled
  neml2-inspect input.i model --compiled --graph"""


@guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Run `neml2-inspect`; returns the exit code."""
    parser = _parser()
    args = parser.parse_intermixed_args(argv)
    names, overrides = split_overrides(args.words)
    if len(names) > 1:
        parser.error(f"one model at a time, not {listing(names)}; an override has a '='")
    if (args.graph or args.source) and not args.compiled:
        parser.error(f"{'--graph' if args.graph else '--source'} needs --compiled")
    try:
        file = open_input(args, overrides)
        if args.compiled:
            return _show_kernel(_kernel(file, names), args)
        facts = model_facts(file, names[0]) if names else file_facts(file)
    except (InputError, Failure) as error:
        if not args.json:
            raise
        code = error.code if isinstance(error, Failure) else WRONG_INPUT
        print(json.dumps({"retcode": code, "error": str(error)}))
        return code
    if args.json:
        print(json.dumps({**facts, "retcode": OK}))
    else:
        print("\n".join(_model_text(facts, file.get_model(names[0])) if names else _file_text(facts)))
    return OK


def _parser() -> Parser:
    parser = Parser("neml2-inspect", "Check an input file and show what is in it.", _EPILOG)
    parser.add_input()
    parser.add_argument(
        "words", metavar="[MODEL] [OVERRIDE ...]", nargs="*", help="a model's name; overrides"
    )
    parser.add_argument("--compiled", action="store_true", help="show the kernel of a model or a driver")
    parser.add_argument("--graph", action="store_true", help="with --compiled: print every operation")
    parser.add_argument("--source", action="store_true", help="with --compiled: print the C++ of the march")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    return parser


# -------------------------------------------------------------------- one model


def model_facts(file: InputFile, name: str) -> dict[str, Any]:
    """Inputs, outputs, parameters and buffers of a model, in words and numbers."""
    model = file.get_model(name)
    return {
        "name": name,
        "type": type(model).__name__,
        "inputs": {n: _variable(file, n, k) for n, k in model.input_spec.items()},
        "outputs": {n: _variable(file, n, k) for n, k in model.output_spec.items()},
        "parameters": {n: _stored(p) for n, p in model.named_parameters()},
        "buffers": {n: _stored(b) for n, b in model.named_buffers()},
    }


def _variable(file: InputFile, name: str, kind: type) -> dict[str, Any]:
    extent = file.settings.sub_batch_shape(name)
    return {"type": kind.__name__, **({"sub_batch": list(extent)} if extent is not None else {})}


def _stored(data: Any) -> dict[str, Any]:
    return {"dtype": str(data.dtype), "device": str(data.device), "shape": list(data.shape)}


def _model_text(facts: dict[str, Any], model: Model) -> list[str]:
    lines = [f"Model: {facts['type']}"]
    for title in ("inputs", "outputs", "parameters", "buffers"):
        lines += ["", f"{title.capitalize()} ({len(facts[title])}):"]
        lines += [
            f"  {name}: " + ", ".join(f"{k}={v}" for k, v in about.items())
            for name, about in facts[title].items()
        ]
    steps = list(_execution(model, ""))
    return lines + (["", "Order of execution:", *columns(steps)] if steps else [])


def _execution(model: Model, indent: str) -> Iterator[tuple[str, str, str]]:
    """A row for every model inside, in the order in which they run: name, type, what it makes of what."""
    from neml2.composed import ComposedModel
    from neml2.implicit import ImplicitUpdate

    if isinstance(model, ImplicitUpdate):
        yield from _row(model.equation_system.model, indent)
    elif isinstance(model, ComposedModel):
        for child in model.models_in_order:
            yield from _row(child, indent)


def _row(model: Model, indent: str) -> Iterator[tuple[str, str, str]]:
    inside = list(_execution(model, indent + "  "))
    flow = f"{listing(model.input_spec)} -> {listing(model.output_spec)}"
    if inside:  # what it reads and makes is there in full, line by line
        system = getattr(model, "equation_system", None)
        flow = f"solves for {listing(system.unknown_names)}" if system is not None else ""
    yield (indent + model.name, type(model).__name__, flow)
    yield from inside


# -------------------------------------------------------------------- the kernel of a model


def _kernel(file: InputFile, names: Sequence[str]) -> KernelReport:
    """The kernel of the model or the driver of that name; without one, of the only driver."""
    from neml2.compiler.describe import kernel_report
    from neml2.compiler.lower import Unsupported
    from neml2.drivers import PrescribedTransient

    drivers = {
        n: d for n in file.names("Drivers") if isinstance(d := file.get_driver(n), PrescribedTransient)
    }
    if not names and len(drivers) != 1:
        raise Failure(f"--compiled needs the name of a model or a driver: {listing(file.names('Models'))}")
    name = names[0] if names else next(iter(drivers))
    if name in drivers and not file.has("Models", name):
        model = drivers[name].model
    else:
        model = file.get_model(name)
        name = next((n for n, d in drivers.items() if d.model is model), "")
    try:
        if name:
            driver = drivers[name].driver
            loading = driver.bind(drivers[name].history)
            state = driver.update.initial_state({**loading.zeros, **loading.initial}, loading.time)
            shapes = {n: v.sub_batch_shape for n, v in {**loading.forces, **state}.items()}
            return kernel_report(driver.update, loading.forces, shapes, f"the history of '{name}'")
        sites = {n: file.settings.sub_batch_shape(n) for n in (*model.input_spec, *model.output_spec)}
        return kernel_report(model, shapes={n: torch.Size(s) for n, s in sites.items() if s is not None})
    except Unsupported as error:
        raise Failure(f"{model} cannot be compiled: {error}", FAILED) from None


def _show_kernel(report: KernelReport, args: argparse.Namespace) -> int:
    if args.json:
        extra = {"graph": report.graph()} if args.graph else {}
        extra |= {"source": report.source()} if args.source else {}
        print(json.dumps({**report.facts(), **extra, "retcode": OK}))
        return OK
    print(report)
    if args.graph:
        print(f"\n{report.graph()}")
    if args.source:
        print(f"\n{report.source()}", end="")
    return OK


# -------------------------------------------------------------------- the whole file


def file_facts(file: InputFile) -> dict[str, Any]:
    """Everything that the file defines, once all of it has been built and checked."""
    blocks = {s: file.names(s) for s in SECTIONS if file.names(s)}
    if not blocks:
        raise InputError(file.document.file, f"there is nothing in it; expected {listing(SECTIONS)}")
    check_file(file)
    sections = {
        s: {n: {"type": _type(file, s, n), "about": _about(file.get(s, n))} for n in names}
        for s, names in blocks.items()
    }
    return {"file": file.document.file, "sections": sections}


def _type(file: InputFile, section: str, name: str) -> str:
    return file.document.section(section).blocks[name].values["type"].text


def _about(thing: Any) -> str:
    """A few words: what a model reads and makes, the shape of a tensor, the steps of a driver."""
    from neml2.drivers import PrescribedTransient
    from neml2.model import Model
    from neml2.types import TensorWrapper

    if isinstance(thing, Model):
        return f"{listing(thing.input_spec, 6)} -> {listing(thing.output_spec, 6)}"
    if isinstance(thing, TensorWrapper | torch.Tensor):
        data = thing.data if isinstance(thing, TensorWrapper) else thing
        kind = type(thing).__name__ if isinstance(thing, TensorWrapper) else "tensor"
        return f"{kind} {tuple(data.shape)}"
    if isinstance(thing, PrescribedTransient):
        loading = thing.driver.bind(thing.history)
        shapes = [v.dynamic_batch_shape[1:] for v in loading.forces.values()]
        batch = broadcast_shapes(loading.time.shape[1:], *shapes)
        points = f", batch {tuple(batch)}" if batch else ""
        span = f"{float(loading.time.min()):g} to {float(loading.time.max()):g}"
        return (
            f"{plural(len(loading), 'step')}{points}, {thing.driver.time} from {span}; drives {thing.model}"
        )
    return ""


def _file_text(facts: dict[str, Any]) -> list[str]:
    lines = []
    for section, blocks in facts["sections"].items():
        lines += [f"[{section}]", *columns([(n, *about.values()) for n, about in blocks.items()]), ""]
    counts = [f"{plural(len(blocks), 'block')} in [{s}]" for s, blocks in facts["sections"].items()]
    return [*lines, f"{facts['file']}: no errors ({', '.join(counts)})"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
