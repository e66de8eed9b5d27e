"""`neml2-inspect`: what an input file or one of its models consists of, and whether it is right."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from neml2.cli.common import (
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

if TYPE_CHECKING:
    from neml2.model import Model

_EPILOG = """\
Without MODEL the whole file is checked: every block, every expression, and the load histories of the
drivers against their models. Words with a '=' are overrides of the input.

  neml2-inspect input.i
  neml2-inspect input.i model Models/elasticity/coefficients:='2e5 0.3'"""


@guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Run `neml2-inspect`; returns the exit code."""
    parser = Parser("neml2-inspect", "Check an input file and show what is in it.", _EPILOG)
    parser.add_input()
    parser.add_argument(
        "words", metavar="[MODEL] [OVERRIDE ...]", nargs="*", help="a model's name; overrides"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    args = parser.parse_intermixed_args(argv)
    names, overrides = split_overrides(args.words)
    if len(names) > 1:
        parser.error(f"one model at a time, not {listing(names)}; an override has a '='")
    try:
        file = open_input(args, overrides)
        facts = model_facts(file, names[0]) if names else file_facts(file)
    except (InputError, Failure) as error:
        if not args.json:
            raise
        print(json.dumps({"retcode": WRONG_INPUT, "error": str(error)}))
        return WRONG_INPUT
    if args.json:
        print(json.dumps({**facts, "retcode": OK}))
    else:
        print("\n".join(_model_text(facts, file.get_model(names[0])) if names else _file_text(facts)))
    return OK


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
        batch = torch.broadcast_shapes(loading.time.shape[1:], *shapes)
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
