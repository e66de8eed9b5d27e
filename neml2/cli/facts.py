"""What a type of the catalogue consists of, field by field: for the terminal, for programs and for pages."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import neml2
from neml2 import types
from neml2.fields import (
    BLOCK_NAME,
    OPTION_NAME,
    REQUIRED,
    DependencyField,
    Field,
    FileField,
    InputField,
    OptionField,
    OutputField,
    ParameterField,
    Variable,
)
from neml2.model import Model
from neml2.registry import Entry

HEADINGS = ("Inputs", "Outputs", "Parameters", "Constants", "Options", "Other objects")


@dataclass(frozen=True)
class Row:
    """One field as people read it; ``standard`` is ``required``, ``optional``, ``= 1.0`` or empty.

    Nothing is said where a variable is called after its option, as most are.
    """

    heading: str
    name: str
    kind: str
    standard: str
    doc: str
    unit: str
    notes: tuple[str, ...]  # the range and the choices


def rows(entry: Entry) -> list[Row]:
    """The fields of a type by heading; those that differ by a tensor type alone are one, with ``T``."""
    found: dict[Row, Row] = {}
    for f in sorted(_fields(entry), key=lambda f: HEADINGS.index(_heading(f))):
        row = _row(f, entry)
        alike = _without_type(row)
        found[alike] = alike if alike in found else row
    return list(found.values())


def tensor_types(entry: Entry) -> list[str]:
    """The tensor types that ``T`` stands for in :func:`rows`."""
    kept = {row.name for row in rows(entry)}
    gone = [f for f in _fields(entry) if f.option and f.option not in kept]
    return list(dict.fromkeys(k for f in gone for k in str(f.option).split("_") if k in _KINDS))


_KINDS = {n for n, t in vars(types).items() if isinstance(t, type) and issubclass(t, types.TensorWrapper)}


def _without_type(row: Row) -> Row:
    """The row with ``T`` for the tensor type that its name has in it."""
    kind = next((k for k in row.name.split("_") if k in _KINDS), None)
    if kind is None:
        return row
    name, doc, kinds = (text.replace(kind, "T") for text in (row.name, row.doc, row.kind))
    return replace(row, name=name, doc=doc, kind=kinds)


def first_sentence(entry: Entry) -> str:
    """The first paragraph of the type's documentation, on one line."""
    first = (inspect.getdoc(entry.cls) or "").split("\n\n")[0]
    return " ".join(first.split())


def instead(entry: Entry) -> tuple[str, ...]:
    """Options by which the values of a list may be given one by one, such as ``E`` and ``nu``."""
    return tuple(entry.cls.extra_options()) if issubclass(entry.cls, Model) else ()


def template(entry: Entry) -> list[str]:
    """A block with everything that has to be in it, to be filled in."""
    needed = [f.option for f in entry.fields.values() if _needed(f, entry) and f.option]
    return ["[name]", f"  type = {entry.name}", *(f"  {option} = ..." for option in needed), "[]"]


def source_path(cls: type) -> str:
    """Where the class is written: below the package, or the bare name of a file of the user's."""
    module = sys.modules.get(cls.__module__)
    file = Path(getattr(module, "__file__", None) or "")
    root = Path(neml2.__file__).parent
    return file.relative_to(root.parent).as_posix() if root in file.parents else file.name


def described(entry: Entry) -> dict[str, Any]:
    """One type as a JSON object."""
    return {
        "type": entry.name,
        "section": entry.section,
        "doc": inspect.getdoc(entry.cls) or "",
        "source_path": source_path(entry.cls),
        "class_name": "",
        "options": options(entry),
    }


def options(entry: Entry) -> list[dict[str, Any]]:
    """The options of a type as JSON objects; unit, range and choices where they are declared."""
    return [_option(f, entry) for f in _fields(entry) if f.option]


def _fields(entry: Entry) -> list[Field]:
    return [f for f in entry.fields.values() if not isinstance(f, FileField)]


def _option(f: Field, entry: Entry) -> dict[str, Any]:
    described = {
        "name": f.option,
        "doc": f.doc,
        "ftype": _role(f),
        "required": _needed(f, entry),
        "type": _type_name(f),
        "value": _default(f, entry),
    }
    within = getattr(f, "within", None)
    extra = {"unit": f.unit, "range": within.text if within else "", "choices": getattr(f, "choices", ())}
    return {**described, **{k: list(v) if k == "choices" else v for k, v in extra.items() if v}}


def _needed(f: Field, entry: Entry) -> bool:
    """Whether a block has to have the option, by itself or along with another one that it has to have."""
    if not isinstance(f, OptionField) or not f.goes_with:
        return f.required
    return any(other.required for other in entry.fields.values() if other.option == f.goes_with)


def _role(f: Field) -> str:
    if isinstance(f, InputField):
        return "INPUT"
    if isinstance(f, OutputField):
        return "OUTPUT"
    if isinstance(f, ParameterField) and f.promotable:
        return "PARAMETER"
    return "NONE"


def _heading(f: Field) -> str:
    if isinstance(f, Variable):
        return "Inputs" if isinstance(f, InputField) else "Outputs"
    if isinstance(f, ParameterField):
        return "Parameters" if f.promotable else "Constants"
    return "Other objects" if isinstance(f, DependencyField) else "Options"


def _row(f: Field, entry: Entry) -> Row:
    default = _default(f, entry)
    standard = "required" if _needed(f, entry) else f"= {default}" if default else "optional"
    if isinstance(f, Variable) and not f.of and default == f.option:
        standard = ""
    notes = []
    if isinstance(f, ParameterField | OptionField) and f.within:
        notes.append(f"in {f.within.text}")
    if isinstance(f, OptionField) and f.choices:
        notes.append("one of " + ", ".join(f.choices))
    name = f.option or default
    return Row(_heading(f), name, _type_name(f), standard if f.option else "", f.doc, f.unit, tuple(notes))


def _type_name(f: Field) -> str:
    name = f.section if isinstance(f, DependencyField) else getattr(f.type, "__name__", str(f.type))
    if hasattr(f.type, "__args__") and not isinstance(f, DependencyField):
        name = ", ".join(a.__name__ for a in f.type.__args__)
    return f"list[{name}]" if f.many else name


def _default(f: Field, entry: Entry) -> str:
    """The value of an option that is left out, as input text; ``<x>`` is the name that ``x`` stands for."""
    if isinstance(f, Variable) and f.of:
        return f"<{entry.fields[f.of].option}>{f.suffix}"
    if f.default is OPTION_NAME:
        return f.option or ""
    if f.default is BLOCK_NAME:
        return "<block name>"
    if f.default is REQUIRED or f.default is None:
        return ""
    if isinstance(f.default, bool):
        return str(f.default).lower()
    if isinstance(f.default, list | tuple):
        return " ".join(str(v) for v in f.default)
    if isinstance(f, DependencyField) and not isinstance(f.default, str):
        return type(f.default).__name__
    return str(f.default)
