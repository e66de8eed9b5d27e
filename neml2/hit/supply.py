"""Which variables a file can supply, as far as can be told without building anything."""

from __future__ import annotations

import re

from neml2 import registry
from neml2.fields import OptionField, OutputField, Variable
from neml2.hit.document import Block, Document
from neml2.hit.errors import InputError


def supplied_names(document: Document) -> set[str]:
    """Names of outputs and unknowns, and what drivers and settings name, all without lags."""
    found = {base(n) for block in document.section("Settings").walk() for n in block.values}
    for section in ("Models", "EquationSystems", "Drivers"):
        for block in document.section(section).blocks.values():
            found |= {base(n) for n in _words(section, block)}
    return found


def base(name: str) -> str:
    """The name without its lag: ``x`` for ``x~1``."""
    return re.sub(r"~\d+$", "", name)


def _words(section: str, block: Block) -> set[str]:
    """Names of outputs and words of plain options: the variables that a block supplies are among them."""
    try:
        fields = registry.lookup(block.values["type"].text).fields
        texts = {name: value.text for name, value in block.values.items()}
    except (KeyError, InputError):
        return set()
    words = {block.name}
    if section == "Drivers":
        words.update(*(re.split(r"[\s;]+", t) for t in texts.values()))
    names: dict[str, str] = {}
    for field in fields.values():
        text = texts.get(field.option or "") or (field.default if isinstance(field.default, str) else "")
        if isinstance(field, Variable):
            other = names.get(field.of, "") if field.of else field.option
            names[field.attr] = text or f"{other}{field.suffix}"
            if isinstance(field, OutputField):
                words.update(names[field.attr].split())
        elif isinstance(field, OptionField):
            words.update(re.split(r"[\s;]+", text))
    return words
