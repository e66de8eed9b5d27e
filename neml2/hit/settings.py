"""``[Settings]``: file-wide declarations, foremost the sub-batch extents of variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from neml2.hit.document import Block, Value
from neml2.hit.errors import InputError, UnknownName, Where, did_you_mean, listing

Shape = tuple[int, ...]
UNIFORM = "*"  # the entry for all variables

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")
_SIZES = re.compile(r"\s*(\d{1,9}\s*(,\s*\d{1,9}\s*)*,?\s*)?")


@dataclass(frozen=True)
class Settings:
    """What ``[Settings]`` declares.

    ``example_batch_shape`` is the text for each variable, under ``'*'`` for all of them: ``'(2,)'`` or
    ``'(2; 12)'``. What stands behind a semicolon is the variable's sub-batch shape.
    """

    example_batch_shape: Mapping[str, str] = field(default_factory=dict)
    dynamic_batch: bool = True
    places: Mapping[str, Where] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        families: dict[str, tuple[str, Shape]] = {}
        for name in self.example_batch_shape:
            shape = self._parsed(name)
            if name == UNIFORM or shape is None:
                continue
            first, known = families.setdefault(_base(name), (name, shape))
            if known != shape:
                raise InputError(
                    self._where(name),
                    f"'{name}' is declared with sub-batch {shape}, but '{first}' with {known};"
                    " a variable and its history share one sub-batch shape",
                )

    def sub_batch_shape(self, name: str) -> Shape | None:
        """The declared sub-batch shape of ``name``, of its other lags, or of all; ``None``: undeclared."""
        family = [
            n for n in self.example_batch_shape if n != name and n != UNIFORM and _base(n) == _base(name)
        ]
        for entry in (name, _base(name), *family, UNIFORM):
            if entry in self.example_batch_shape:
                shape = self._parsed(entry)
                if shape is not None:
                    return shape
        return None

    def sub_batch_ndim(self, name: str) -> int | None:
        """The number of declared sub-batch axes; ``None``: undeclared."""
        shape = self.sub_batch_shape(name)
        return None if shape is None else len(shape)

    def resolve(self, names: Iterable[str], known: Iterable[str] | None = None) -> dict[str, Shape]:
        """The declared sub-batch shapes of ``names``.

        Raises :class:`UnknownName` (a ``ValueError``) for a declaration of a variable that is neither in
        ``known`` (default: ``names``) nor a lag of one of them.
        """
        names = list(names)
        pool = list(dict.fromkeys(names if known is None else known))
        families = {_base(n) for n in pool}
        for name in self.example_batch_shape:
            if name != UNIFORM and _base(name) not in families:
                raise UnknownName(
                    self._where(name),
                    f"[Settings] declares '{name}', which is no variable here{did_you_mean(name, pool)}"
                    f" (variables: {listing(pool)})",
                )
        found = {name: self.sub_batch_shape(name) for name in names}
        return {name: shape for name, shape in found.items() if shape is not None}

    def dynamic_shape(self, name: str) -> Shape:
        """The dynamic part of the entry for ``name``, a hint for ahead-of-time compilation."""
        for entry in (name, _base(name), UNIFORM):
            if entry in self.example_batch_shape:
                return _split(self.example_batch_shape[entry], self._where(entry))[0]
        return (2,)

    def _parsed(self, entry: str) -> Shape | None:
        return _split(self.example_batch_shape[entry], self._where(entry))[1]

    def _where(self, entry: str) -> Where:
        return self.places.get(entry, Where("[Settings]"))


def read_settings(block: Block) -> Settings:
    """The settings that a ``[Settings]`` section declares; fields it does not know are left alone."""
    near = {
        n: did_you_mean(n, ("example_batch_shape", "dynamic_batch")) for n in (*block.values, *block.blocks)
    }
    for name, hint in near.items():
        if hint and name not in ("example_batch_shape", "dynamic_batch"):
            where = (block.values.get(name) or block.blocks[name]).where
            raise InputError(where, f"[Settings] has no option '{name}'{hint}")
    uniform = block.values.get("example_batch_shape")
    each = block.blocks.get("example_batch_shape")
    if uniform and each:
        raise InputError(
            uniform.where,
            f"example_batch_shape is given for all variables here and per variable at {each.where}; keep one",
        )
    values = {UNIFORM: uniform} if uniform else dict(each.values) if each else {}
    return Settings(
        {n: v.text for n, v in values.items()},
        _flag(block.values.get("dynamic_batch")),
        {n: v.where for n, v in values.items()},
    )


def _flag(value: Value | None) -> bool:
    if value is None or value.text.lower() in _TRUE:
        return True
    if value.text.lower() in _FALSE:
        return False
    raise InputError(value.where, f"dynamic_batch is '{value.text}'; give true or false")


def _split(text: str, where: Where) -> tuple[Shape, Shape | None]:
    inside = " ".join(text.split())
    if not (inside.startswith("(") and inside.endswith(")")):
        raise InputError(where, f"example_batch_shape '{text}' needs parentheses, as in '(2,)' or '(2; 12)'")
    parts = inside[1:-1].split(";")
    if len(parts) > 2 or not all(_SIZES.fullmatch(p) for p in parts):
        raise InputError(
            where,
            f"example_batch_shape '{text}' is not '(sizes)' or '(sizes; sub-batch sizes)', as in '(2; 12)'",
        )
    shapes = [tuple(int(n) for n in p.split(",") if n.strip()) for p in parts]
    return shapes[0], shapes[1] if len(shapes) == 2 else None


def _base(name: str) -> str:
    return re.sub(r"~\d+$", "", name)
