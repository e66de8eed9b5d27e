"""Histories to and from the text of input files, to the last bit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from neml2.drivers.control.control import Control
from neml2.drivers.histories.given import as_data
from neml2.drivers.histories.history import History
from neml2.drivers.results.layout import KINDS
from neml2.registry import did_you_mean, listing
from neml2.types import Scalar, TensorWrapper

if TYPE_CHECKING:
    from neml2.hit.input_file import InputFile

CONTROL = ("stress_weight", "strain_weight", "target", "carry", "anchor")
ROWS = ("lengths", "cycle")
_MOST = 200_000  # numbers: what the evaluation of one expression may cost
_PER_LINE = 8  # numbers


def to_input(history: History, model: str, driver: str) -> str:
    """See :meth:`History.to_input`."""
    if any(s.until is not None for s in history.segments):
        raise ValueError(
            "a segment of the history ends with a condition, which input files cannot say; run it in Python,"
            " or leave the condition out"
        )
    tensors: dict[str, str] = {}

    def block(name: str, value: Any) -> str:
        key = re.sub(r"\W", "_", f"{driver}_{name}")
        while key in tensors:
            key += "_"
        tensors[key] = _expression(value, name)
        return key

    options = {
        "type": "TransientDriver",
        "model": model,
        "prescribed_time": block("time", Scalar(history.time)),
    }
    varying = dict(history.prescribed)
    for n, v in history.constant.items():
        varying[n] = v if isinstance(v, int | float) else _repeated(v, n, len(history))
    options |= _listed("prescribed_", _typed(varying, 1), block)
    options |= _listed("ic_", _typed(history.initial, 0), block)
    if history.control is not None:
        options |= {f"control_{n}": block(f"control_{n}", getattr(history.control, n)) for n in CONTROL}
    options |= {n: block(n, getattr(history, n)) for n in ROWS if getattr(history, n) is not None}
    lines = ["[Tensors]"]
    for name, text in tensors.items():
        lines += [f"  [{name}]", "    type = Python", f"    expr = '{text}'", "  []"]
    lines += [
        "[]",
        "[Drivers]",
        f"  [{driver}]",
        *(f"    {n} = '{v}'" for n, v in options.items()),
        "  []",
        "[]",
    ]
    return "\n".join(lines) + "\n"


def from_input(file: InputFile | str | os.PathLike[str], driver: str) -> History:
    """See :meth:`History.from_input`."""
    if isinstance(file, str | os.PathLike):
        from neml2.hit import load_input

        file = load_input(os.fspath(file))
    blocks = file.document.section("Drivers").blocks
    if driver not in blocks:
        raise ValueError(
            f"{file.document.file} has no [Drivers/{driver}]{did_you_mean(driver, blocks)} (there are"
            f" {listing(blocks)})"
        )
    words = {n: v.tokens for n, v in blocks[driver].values.items()}
    if "prescribed_time" not in words:
        raise ValueError(f"[Drivers/{driver}] has no prescribed_time; name the driver that has the history")

    def value(word: str) -> Any:
        return file.get_tensor(word) if file.has_tensor(word) else float(word)

    values = _read("prescribed_", words, value)
    numbers = {n: v for n, v in values.items() if isinstance(v, float)}
    control = {n: value(words[f"control_{n}"][0]) for n in CONTROL if f"control_{n}" in words}
    return History(
        value(words["prescribed_time"][0]),
        {n: v for n, v in values.items() if n not in numbers},
        initial=_read("ic_", words, value),
        constant=numbers,
        control=Control(**control) if control else None,
        **{n: value(words[n][0]) for n in ROWS if n in words},
    )


def _read(prefix: str, words: Mapping[str, list[str]], value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in KINDS.values():
        names = words.get(f"{prefix}{kind.__name__}_names", [])
        given = [value(w) for w in words.get(f"{prefix}{kind.__name__}_values", [])]
        if len(names) != len(given):
            raise ValueError(f"{prefix}{kind.__name__}_values has {len(given)} values for {len(names)} names")
        found |= {n: kind(v) if isinstance(v, torch.Tensor) else v for n, v in zip(names, given, strict=True)}
    return found


def _typed(values: Mapping[str, Any], lead: int) -> Iterator[tuple[str, Any]]:
    """Numbers as they are, the rest as typed tensors; a plain array without base axes is a Scalar."""
    for name, value in values.items():
        if isinstance(value, TensorWrapper | int | float):
            yield name, value
        elif as_data(value, name).ndim == lead:
            yield name, Scalar(as_data(value, name))
        else:
            raise ValueError(
                f"'{name}' is a plain array, of which the type is not known; give a typed tensor, such as"
                " SR2(...)"
            )


def _repeated(value: Any, name: str, rows: int) -> Any:
    data = value.data if isinstance(value, TensorWrapper) else as_data(value, name)
    data = data.expand(rows, *data.shape)
    return type(value)._new(data, value.sub_batch_ndim) if isinstance(value, TensorWrapper) else data


def _listed(prefix: str, values: Iterator[tuple[str, Any]], block: Any) -> dict[str, str]:
    """The options ``<prefix><T>_names`` and ``<prefix><T>_values``."""
    names: dict[str, list[str]] = {}
    words: dict[str, list[str]] = {}
    for name, value in values:
        number = isinstance(value, int | float)
        kind = "Scalar" if number else type(value).__name__
        names.setdefault(kind, []).append(name)
        words.setdefault(kind, []).append(repr(float(value)) if number else block(name, value))
    found: dict[str, str] = {}
    for kind in names:
        found |= {
            f"{prefix}{kind}_names": " ".join(names[kind]),
            f"{prefix}{kind}_values": " ".join(words[kind]),
        }
    return found


def _expression(value: Any, name: str) -> str:
    """An expression of ``[Tensors]`` with every number written so that it is read back as it is."""
    data = value.data if isinstance(value, TensorWrapper) else value
    data = data.detach().cpu()
    if data.numel() > _MOST:
        raise ValueError(
            f"'{name}' has {data.numel():,} numbers, more than an input file can hold; keep the history in"
            " an HDF5 file"
        )
    words = [repr(x) for x in data.flatten().tolist()]
    rows = [", ".join(words[i : i + _PER_LINE]) for i in range(0, len(words), _PER_LINE)]
    numbers = f"[{(',' + chr(10) + ' ' * 12).join(rows)}]"
    text = f"torch.tensor({numbers}, dtype={data.dtype}).reshape({tuple(data.shape)})"
    if not isinstance(value, TensorWrapper):
        return text
    sub = f", {value.sub_batch_ndim}" if value.sub_batch_ndim else ""
    return f"{type(value).__name__}({text}{sub})"
