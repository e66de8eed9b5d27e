"""How a model looks in a notebook: its variables and parameters in tables, the models in it as a tree."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence

import torch

from neml2.composed import ComposedModel
from neml2.drivers.results.declared import Declared, declarations
from neml2.fields import ParameterField
from neml2.html import Markup, card, details, element, table
from neml2.implicit import ImplicitUpdate
from neml2.lags import split
from neml2.model import Model
from neml2.registry import listing
from neml2.types import TensorWrapper

_MOST = 30  # rows of a table


def html(model: Model) -> Markup:
    """See :meth:`Model._repr_html_`."""
    known = declarations(model)
    parts = _inside(model)
    return card(
        element("div", *_title(model)),
        element("div", _sentence(type(model)), class_="quiet"),
        *_titled("inputs", _variables(model.input_spec, known)),
        *_titled("outputs", _variables(model.output_spec, known)),
        *_titled("parameters", _parameters(model)),
        *([element("b", "models"), *map(_node, parts)] if parts else []),
    )


def _titled(title: str, rows: Sequence[Sequence[str]]) -> list[Markup]:
    """A table with ``title`` above its first column; nothing without rows."""
    more = len(rows) - _MOST
    head = (title, "", "", "")
    made = table(rows[:_MOST], head)
    return ([made] if rows else []) + (
        [element("div", f"... and {more} more", class_="quiet")] if more > 0 else []
    )


def _variables(
    spec: Mapping[str, type[TensorWrapper]], known: Mapping[str, Declared]
) -> list[tuple[str, ...]]:
    """Name, type, unit and sentence of each."""
    rows: list[tuple[str, ...]] = []
    for name, kind in spec.items():
        base, lag = split(name)
        about = known.get(base if lag else name, Declared(""))
        plain = about.doc.lower() == base.replace("_", " ").lower()  # says no more than the name
        words = ("" if plain else about.doc) + (f", {lag} step{'s' * (lag > 1)} before" if lag else "")
        rows.append((name, kind.__name__, about.unit, words.removeprefix(", ")))
    return rows


def _parameters(model: Model, recurse: bool = True) -> list[tuple[str, ...]]:
    """Name, value, unit and sentence of each."""
    rows: list[tuple[str, ...]] = []
    for path, data in model.named_parameters(recurse=recurse):
        owner, _, attr = path.rpartition(".")
        holder = model.get_submodule(owner)
        field = holder.FIELDS.get(attr) if isinstance(holder, Model) else None
        about = (field.unit, field.doc) if isinstance(field, ParameterField) else ("", "")
        rows.append((path, _value(data), *about))
    return rows


def _value(data: torch.Tensor) -> str:
    return f"{data.item():g}" if data.numel() == 1 else f"tensor {tuple(data.shape)}"


def _node(model: Model) -> Markup:
    """A line that opens: what the model is, its own parameters, the models in it."""
    system = (
        f"solves for {listing(model.equation_system.unknown_names)}"
        if isinstance(model, ImplicitUpdate)
        else ""
    )
    flow = system or f"{listing(model.input_spec, 4)} \N{RIGHTWARDS ARROW} {listing(model.output_spec, 4)}"
    return details(
        element("span", *_title(model), " ", element("span", flow, class_="quiet")),
        element("div", _sentence(type(model)), class_="quiet"),
        *_titled("parameters", _parameters(model, recurse=False)),
        *map(_node, _inside(model)),
    )


def _title(model: Model) -> list[Markup | str]:
    kind = type(model).__name__
    return [element("b", model.name), " ", kind] if model.name else [element("b", kind)]


def _inside(model: Model) -> list[Model]:
    """The models in a model, in the order in which they run."""
    if isinstance(model, ImplicitUpdate):
        return [model.equation_system.model]
    if isinstance(model, ComposedModel):
        return list(model.models_in_order)
    return [m for m in model.children() if isinstance(m, Model)]


def _sentence(cls: type) -> str:
    """The first sentence of the docstring, without the marks of reStructuredText."""
    first = " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())
    first = re.sub(r":\w+:`~?([^`]*)`", r"\1", first).replace("`", "")
    return re.split(r"(?<=[.!?]) (?=[A-Z])", first)[0]
