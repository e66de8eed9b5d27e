"""The types of ``[Tensors]`` as the catalogue lists them; the tensors are made by ``InputFile``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from neml2.fields import Option, setting
from neml2.hit.csv import KINDS, SUFFIXES
from neml2.registry import register


@dataclass(frozen=True)
class Python:
    """A tensor from an expression, such as ``SR2.fill(0.01, -0.005, -0.005)``.

    The tensor types and their functions, ``torch``, ``math``, ``np`` and the other blocks of ``[Tensors]``
    are known by their names. Expressions are interpreted and cannot do anything else.
    """

    SECTION: ClassVar[str] = "Tensors"

    expr: str = setting(Option("The expression, or lines of which one assigns 'result'"))


@dataclass(frozen=True)
class _FromCSV:
    SECTION: ClassVar[str] = "Tensors"

    csv_file: str = setting(Option("Path of the table, relative to the input file"))
    variable: str = setting(Option("Beginning of the names of the columns; or give column_names", default=""))
    column_names: list[str] = setting(
        Option("Names of the columns, one for each component; or give variable", default=(), many=True)
    )


register(Python)
for _name, _kind in KINDS.items():
    _columns = ", ".join(f"<variable>{s}" for s in SUFFIXES[_kind])
    _doc = f"A {_kind.__name__} for every row of a CSV file, stored components in the columns {_columns}."
    register(type(_name, (_FromCSV,), {"__doc__": _doc, "__module__": __name__}), _name)
