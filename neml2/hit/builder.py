"""From a block of an input file to the keywords of a constructor, with every slip located."""

from __future__ import annotations

import difflib
import inspect
import re
import types
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from neml2.errors import MissingVariable
from neml2.fields import (
    BufferField,
    DependencyField,
    Field,
    FileField,
    OptionField,
    Parameter,
    ParameterField,
    ValueField,
    Variable,
    check_number,
)
from neml2.hit import parameters
from neml2.hit.document import Block, Value
from neml2.hit.errors import (
    Impossible,
    InputError,
    InputErrors,
    SyntaxProblem,
    UnknownName,
    Where,
    WrongKind,
    did_you_mean,
    listing,
)
from neml2.hit.literals import flag, integer, number, why_no_number
from neml2.lags import split
from neml2.model import Model
from neml2.registry import Entry
from neml2.types import Scalar

if TYPE_CHECKING:
    from neml2.hit.input_file import InputFile


def build(file: InputFile, entry: Entry, block: Block) -> Any:
    """The object that ``block`` describes.

    Raises :class:`InputError` for the first, or :class:`InputErrors` for several, things wrong with it.
    """
    label = f"[{block.path}]"
    options = accepted(entry)
    tolerated = getattr(entry.cls, "IGNORED_OPTIONS", ())
    errors: list[InputError] = list(unknown_options(block, entry.name, options, tolerated))
    keywords: dict[str, Any] = {}
    as_model = issubclass(entry.cls, Model)
    for field in entry.fields.values():
        if isinstance(field, FileField):
            keywords[field.attr] = file.fact(field.attr)
    for name, value in {**_understood(file, options, block), **block.values}.items():
        if name not in options:
            continue
        field = options[name]
        try:
            found = convert(file, label, value, field)
        except InputErrors as several:
            errors += several.errors
        except InputError as error:
            errors.append(error)
        else:
            keywords[name if as_model or not field.attr else field.attr] = found
    extra = set(options) - {f.option for f in entry.fields.values()}
    if not extra & set(block.values):  # the other way to say it may make these superfluous
        errors += missing(block, entry, errors)
    if errors:
        raise errors[0] if len(errors) == 1 else InputErrors(errors)
    if as_model or "name" in inspect.signature(entry.cls).parameters:
        keywords["name"] = block.name
    try:
        return entry.cls(**keywords)
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise _dangling(file, error) or located(error, block, entry) from error


def _understood(file: InputFile, options: dict[str, Field], block: Block) -> dict[str, Value]:
    """The blocks that are meant where an option names none."""
    return {
        name: Value(name, field.default, block.where, file.document, expanded=field.default)
        for name, field in options.items()
        if isinstance(field, DependencyField) and isinstance(field.default, str)
    }


def accepted(entry: Entry) -> dict[str, Field]:
    """The options of a type by name, those that it understands beyond its declarations included."""
    options = {f.option: f for f in entry.fields.values() if f.option and not isinstance(f, FileField)}
    if issubclass(entry.cls, Model):
        for name in entry.cls.extra_options():
            options.setdefault(name, Parameter(name, "").named("", Scalar, {}))
    return options


def unknown_options(
    block: Block, kind: str, options: typing.Iterable[str], tolerated: typing.Sequence[str] = ()
) -> list[InputError]:
    """An error for each field and each sub-block that is no option and does not begin as a tolerated one."""
    known = sorted(options)
    found: list[InputError] = []
    items: dict[str, Value | Block] = {**block.values, **block.blocks}
    for name, item in items.items():
        if name in known and isinstance(item, Block):
            found.append(
                InputError(
                    item.where, f"[{block.path}] {name} is an option, not a block; write '{name} = ...'"
                )
            )
        elif name not in known and name != "type" and not name.startswith(tuple(tolerated)):
            near = did_you_mean(name, known)
            noun = "block" if isinstance(item, Block) else "option"
            found.append(
                InputError(
                    item.where,
                    f"[{block.path}] has no {noun} '{name}'{near} ({kind}: {listing(known)})",
                )
            )
    return found


def missing(block: Block, entry: Entry, errors: list[InputError]) -> list[InputError]:
    """An error for each required option that is not there; none when a misspelt one explains it."""
    found: list[InputError] = []
    for field in entry.fields.values():
        given = {*block.values, *block.blocks}
        if field.required and field.option and field.option not in given:
            if any(f"did you mean '{field.option}'?" in str(e) for e in errors):
                continue
            what = f"[{block.path}] needs the option '{field.option}' ({entry.name}): {field.doc}"
            found.append(SyntaxProblem(block.where, what))
    return found


def convert(file: InputFile, label: str, value: Value, field: Field) -> Any:
    """The text of an option as what the constructor takes."""
    if isinstance(field, Variable):
        return value.tokens if field.many else _single(label, value)
    if isinstance(field, ParameterField | BufferField | ValueField):
        return parameters.resolve(file, label, value, field)
    if isinstance(field, DependencyField):
        return _dependency(file, label, value, field)
    assert isinstance(field, OptionField), field
    return _option(label, value, field)


def _single(label: str, value: Value) -> str:
    words = value.tokens
    if len(words) > 1:
        raise InputError(value.where, f"{label} {value.name} is '{value.text}'; give a single name")
    return words[0] if words else ""


def _dependency(file: InputFile, label: str, value: Value, field: DependencyField) -> Any:
    names = value.tokens
    if not field.many and len(names) != 1:
        raise InputError(
            value.where, f"{label} {value.name} is '{value.text}'; name one block of [{field.section}]"
        )
    for name in names:
        if not file.has(field.section, name):
            near = did_you_mean(name, file.names(field.section))
            known = "" if near else f" (there are {listing(file.names(field.section))})"
            raise UnknownName(
                value.where, f"{label} {value.name}: there is no [{field.section}/{name}]{near}{known}"
            )
    found = [file.get(field.section, name) for name in names]
    return found if field.many else found[0]


def _option(label: str, value: Value, field: OptionField) -> Any:
    kind = _item_type(field)
    read: Callable[[str], Any] = {bool: flag, int: integer, float: number}.get(kind, str)
    words = value.tokens if field.many else [value.text.strip()]
    items = []
    for word in words:
        item = read(word)
        what = f"{label} {value.name} is '{word}'"
        if item is None:
            raise InputError(value.where, what + _needed(kind, word))
        if field.choices and item not in field.choices:
            near = did_you_mean(str(item), [str(c) for c in field.choices])
            raise InputError(value.where, f"{what}, not one of {listing(field.choices)}{near}")
        if field.within is not None and kind in (int, float):
            try:
                check_number(item, field, label)
            except ValueError:
                where = value.where
                raise InputError(where, f"{what}, outside its range {field.within.text}") from None
        items.append(item)
    return items if field.many else items[0]


def _needed(kind: Any, word: str) -> str:
    if kind is bool:
        return "; give true or false"
    if kind is int:
        return "; give an integer"
    return f", which {why_no_number(word)}"


def _item_type(field: Field) -> Any:
    """``float`` for ``float``, ``float | None`` and ``list[float]``."""
    kind = field.type
    while True:
        origin = typing.get_origin(kind)
        if origin not in (list, tuple, types.UnionType, typing.Union):
            return kind
        inner = [a for a in typing.get_args(kind) if a not in (type(None), ...)]
        kind = inner[0] if inner else str


def located(error: Exception, block: Block, entry: Entry) -> InputError:
    """A constructor's complaint, at the option that it mentions."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = re.sub(rf"^(\w+ '{re.escape(block.name)}'|{re.escape(entry.name)}(?=\W))(: )?", "", text).strip()
    where = _mentioned(text, block)
    kind = {TypeError: WrongKind, KeyError: UnknownName}.get(type(error), InputError)
    if isinstance(error, KeyError):
        kind = UnknownName
    elif isinstance(error, RuntimeError) and not isinstance(error, NotImplementedError):
        kind = Impossible
    return kind(where, f"[{block.path}] {text}")


def _mentioned(text: str, block: Block) -> Where:
    """The place of the option that a message is about: one that it names, or whose value it quotes."""
    options = {n: v for n, v in block.values.items() if n != "type"}
    first = re.match(r"[\w~]+", text)
    if first and first[0] in options:
        return options[first[0]].where
    about = text.partition("did you mean")[0]
    quoted = list(re.finditer(r"'([^']+)'", about))
    of_objects = [
        m for m in quoted if re.search(r"\b[A-Z]\w+ $", about[: m.start()])
    ]  # "Newton 'x'" is an object
    for found in (*(m for m in quoted if m not in of_objects), *of_objects):
        for value in options.values():
            if found[1] in value.tokens:
                return value.where
    for word in re.findall(r"[\w~]+", text):
        if word in options:
            return options[word].where
    for word in re.findall(r"-?\d[\d.]*(?:e[+-]?\d+)?", text):
        for value in options.values():
            if number(word) in [n for n in map(number, value.tokens) if n is not None]:
                return value.where
    return block.where


def _dangling(file: InputFile, error: Exception) -> InputError | None:
    """The error about an input that nothing supplies, at the model that reads it, if it looks misspelt."""
    missing = re.search(r"needs '([^']+)'", str(error)) if isinstance(error, MissingVariable) else None
    if missing is None:
        return None
    name = missing[1]
    known = [n for n in file.supplied_names() if n != name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)  # less alike: rather a value left out
    for block in file.document.section("Models").blocks.values() if near else ():
        model = file.get_model(block.name)
        parts = [m for m in model.children() if isinstance(m, Model)]
        if name in {split(n)[0] for n in model.input_spec} and not parts:
            what = f"[{block.path}] reads '{name}', which nothing computes or prescribes"
            return UnknownName(_mentioned(f"'{name}'", block), f"{what}; did you mean '{near[0]}'?")
    return None
