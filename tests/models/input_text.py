"""Writes the input text of a case."""

from __future__ import annotations

from typing import Any

import torch

from neml2.registry import lookup
from neml2.types import TensorWrapper
from tests.models.cases import Case, Part


def input_text(case: Case) -> str:
    """The whole input file whose model ``model`` is that of the case."""
    blocks: dict[str, dict[str, str]] = {}
    _add(blocks, case.type, case.options, "model")
    lines = []
    for section, objects in blocks.items():
        lines.append(f"[{section}]")
        for name, body in objects.items():
            lines += [f"  [{name}]", body, "  []"]
        lines.append("[]")
    return "\n".join(lines) + "\n"


def _add(blocks: dict[str, dict[str, str]], type_name: str, options: dict[str, Any], name: str) -> None:
    entry = lookup(type_name)
    by_attr = {f.attr: f.option or f.attr for f in entry.fields.values()}
    rows = [f"    type = {type_name}"]
    for key, value in options.items():
        option = by_attr.get(key, key)
        rows.append(f"    {option} = {_text(blocks, value, f'{name}_{option}')}")
    blocks.setdefault(entry.section, {})[name] = "\n".join(rows)


def _text(blocks: dict[str, dict[str, str]], value: Any, path: str) -> str:
    if isinstance(value, Part):
        _add(blocks, value.type, value.options, value.name)
        return value.name
    if isinstance(value, TensorWrapper | torch.Tensor):
        blocks.setdefault("Tensors", {})[path] = f"    type = Python\n    expr = '{_expression(value)}'"
        return path
    if isinstance(value, list | tuple):
        words = [_text(blocks, v, f"{path}_{i}").strip("'") for i, v in enumerate(value)]
        return f"'{' '.join(words)}'"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else f"'{value}'"


def _expression(value: TensorWrapper | torch.Tensor) -> str:
    data = value if isinstance(value, torch.Tensor) else value.data
    numbers = f"torch.tensor({data.tolist()}, dtype=torch.float64)"
    if isinstance(value, torch.Tensor):
        return numbers
    rank = f", sub_batch_ndim={value.sub_batch_ndim}" if value.sub_batch_ndim else ""
    return f"{type(value).__name__}({numbers}{rank})"
