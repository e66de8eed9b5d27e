"""Fitted values in the text of an input file: the numbers change, everything else stays as it is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2.fields import ParameterField
from neml2.model import Model
from neml2.models.solid_mechanics.elastic_constants import WORDS, WithElasticConstants
from neml2.registry import listing

if TYPE_CHECKING:
    from neml2.hit.document import Block, Document, Value
    from neml2.recurrent.fit_result import FitResult

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_DIGITS = 8  # of a fitted value: more than a fit knows of any


def to_input(result: FitResult, source: str | os.PathLike[str], path: str | os.PathLike[str] | None) -> str:
    """See :meth:`FitResult.to_input`."""
    from neml2.hit.document import read_file, read_string

    given = os.fspath(source)
    is_text = "\n" in given
    text = given if is_text else Path(given).read_text(encoding="utf-8")
    document = read_string(text) if is_text else read_file(given)
    changes: dict[tuple[str, str], dict[int, float]] = {}
    space = result.misfit.space
    for entry, value in zip(space.entries, space.values(result.u).tolist()):
        block, option, word = _place(result.misfit.driver.model, entry.path, document)
        changes.setdefault((block, option), {})[word + entry.index] = value
    lines = text.split("\n")
    for (block, option), words in changes.items():
        value = _value(document, block, option)
        if value.where.file != document.file:
            raise ValueError(f"[Models/{block}] {option} is in {value.where.file}; give that file")
        _replace(lines, value, f"[Models/{block}] {option}", words)
    written = "\n".join(lines)
    if path is not None:
        Path(path).write_text(written, encoding="utf-8")
    return written


def _place(model: Model, path: str, document: Document) -> tuple[str, str, int]:
    """Block, option, and which word of it is the first of the parameter."""
    place, _, attr = path.rpartition(".")
    owner: Any = model.get_submodule(place)
    field = owner.FIELDS.get(attr)
    block = owner.name or place.rpartition(".")[2]
    if isinstance(owner, WithElasticConstants) and "coefficient_types" in _values(document, block):
        types = _value(document, block, "coefficient_types").tokens
        return block, "coefficients", [WORDS[t] for t in types].index(attr)
    weight = re.fullmatch(r"weight_(\d+)", attr)
    if weight is not None:
        return block, "weights", int(weight[1])
    return block, field.option if isinstance(field, ParameterField) and field.option else attr, 0


def _values(document: Document, block: str) -> Mapping[str, Value]:
    found: Block | None = document.section("Models").blocks.get(block)
    if found is None:
        raise ValueError(
            f"the input has no [Models/{block}] to write a fitted value to (it has"
            f" {listing(document.section('Models').blocks)}); give the file that the model is from"
        )
    return found.values


def _value(document: Document, block: str, option: str) -> Value:
    values = _values(document, block)
    if option not in values:
        raise ValueError(
            f"[Models/{block}] has no option '{option}' to write a fitted value to; add one to the file"
        )
    return values[option]


def _replace(lines: list[str], value: Value, what: str, words: Mapping[int, float]) -> None:
    """Put numbers in the places of words of a value, which may go over several lines."""
    first = value.where.line - 1
    at = re.compile(rf"\s*{re.escape(value.name)}\s*:?=\s*").match(lines[first])
    if at is None:
        raise ValueError(f"{what} cannot be found in the text; write it on a line of its own")
    text = "\n".join(lines[first:])
    quote = text[at.end()] if text[at.end()] in "'\"" else ""
    begin = at.end() + len(quote)
    end = text.index(quote, begin) if quote else begin + re.match(r"[^\n#\s]*", text[begin:]).end()  # type: ignore[union-attr]
    old = text[begin:end]
    places = [m.span() for m in re.finditer(r"[^\s;]+", old)]
    new, done = "", 0
    for i, number in sorted(words.items()):
        if i >= len(places) or not _NUMBER.fullmatch(old[slice(*places[i])]):
            raise ValueError(
                f"{what} is '{old}', not a plain number that could be replaced; write the numbers there"
                " themselves"
            )
        new += old[done : places[i][0]] + f"{number:.{_DIGITS}g}"
        done = places[i][1]
    lines[first:] = (text[:begin] + new + old[done:] + text[end:]).split("\n")
