"""The catalogue of models; every one of them is an attribute of this package, by its name in input files."""

from __future__ import annotations

from typing import Any

import neml2.gradient  # noqa: F401 - Normality belongs to the catalogue
from neml2 import registry
from neml2.models import (
    chemical_reactions,
    common,
    finite_volume,
    phase_field_fracture,
    porous_flow,
    precipitation,
    solid_mechanics,
)

__all__ = [
    "chemical_reactions",
    "common",
    "finite_volume",
    "phase_field_fracture",
    "porous_flow",
    "precipitation",
    "solid_mechanics",
]


def __getattr__(name: str) -> Any:
    try:
        entry = registry.lookup(name)
    except KeyError as error:
        raise AttributeError(error.args[0]) from None
    if entry.section != "Models":
        raise AttributeError(f"'{name}' is no model; it belongs to the section {entry.section}")
    return entry.cls


def __dir__() -> list[str]:
    return sorted({*globals(), *(entry.name for entry in registry.entries("Models"))})
