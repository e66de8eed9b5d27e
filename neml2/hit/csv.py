"""``[Tensors] type = CSVScalar`` and its like: columns of a CSV file as a typed tensor."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from neml2.hit.errors import FileProblem, InputError, UnknownName, Where, did_you_mean, listing
from neml2.hit.literals import number
from neml2.hit.source import read_text
from neml2.types import SR2, WR2, Scalar, TensorWrapper, Vec

KINDS: dict[str, type[TensorWrapper]] = {"CSVScalar": Scalar, "CSVVec": Vec, "CSVSR2": SR2, "CSVWR2": WR2}
SUFFIXES: dict[type, tuple[str, ...]] = {
    Scalar: ("",),
    Vec: ("_x", "_y", "_z"),
    SR2: ("_xx", "_yy", "_zz", "_yz", "_xz", "_xy"),
    WR2: ("_zy", "_xz", "_yx"),
}


def read_csv(
    kind: type[TensorWrapper],
    path: str | Path,
    *,
    variable: str = "",
    column_names: Sequence[str] = (),
    where: Where | str = "",
) -> TensorWrapper:
    """A ``kind`` with one batch entry per row, from the columns of ``variable`` or from ``column_names``.

    The values are taken as stored components: those of an ``SR2`` are Mandel components, no factor is
    applied.

    Raises :class:`InputError` (a ``ValueError``) for a fault in the table, :class:`UnknownName` (a
    ``KeyError``) for a column that is not there, :class:`MissingFile` (a ``FileNotFoundError``).
    """
    suffixes = SUFFIXES[kind]
    if bool(variable) == bool(column_names):
        raise InputError(where, "give either 'variable' or 'column_names', not both and not neither")
    wanted = list(column_names) or [variable + s for s in suffixes]
    if len(wanted) != len(suffixes):
        raise InputError(
            where, f"column_names has {len(wanted)} columns, a {kind.__name__} needs {len(suffixes)}"
        )
    header, rows = _table(path, where)
    for name in wanted:
        if name not in header:
            raise UnknownName(
                where,
                f"'{path}' has no column '{name}'{did_you_mean(name, header)}"
                f" (its columns: {listing(header)})",
            )
    picked = [header.index(name) for name in wanted]
    data = torch.tensor([[row[i] for i in picked] for row in rows], dtype=torch.float64)
    return kind(data.reshape(-1, *kind.BASE_SHAPE))


def _table(path: str | Path, where: Where | str) -> tuple[list[str], list[list[float]]]:
    lines = csv.reader(read_text(path, where, f"csv_file '{path}'").split("\n"), strict=True)
    shown = os.fspath(path)
    rows: list[list[float]] = []
    header: list[str] = []
    try:
        for cells in lines:
            here = Where(shown, lines.line_num, 1)
            if not cells:
                continue
            if not header:
                header = [c.strip() for c in cells]
                repeated = [c for c in header if header.count(c) > 1]
                if repeated:
                    raise InputError(here, f"the column '{repeated[0]}' appears twice; rename one")
                continue
            if len(cells) != len(header):
                raise InputError(here, f"this row has {len(cells)} cells, the header has {len(header)}")
            rows.append([_number(c, name, here) for c, name in zip(cells, header)])
    except csv.Error as error:
        raise InputError(Where(shown, lines.line_num, 1), f"not a CSV table: {error}") from None
    if not rows:
        raise FileProblem(Where(shown), "the table has no rows; expected a header and rows of numbers")
    return header, rows


def _number(cell: str, column: str, where: Where) -> float:
    value = number(cell.strip())
    if value is None:
        raise InputError(where, f"'{cell}' in column '{column}' is not a finite number")
    return value
