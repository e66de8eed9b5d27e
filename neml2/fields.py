"""Declarations: what a model or another input-file object consists of, said once.

A field sits on a class as ``name: Type = Input("One sentence", ...)``. The constructor, the input-file
reader, ``neml2-syntax`` and the documentation all read it there.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar


class _Sentinel:
    """A named constant that survives copying and pickling as itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return self.name

    def __copy__(self) -> _Sentinel:
        return self

    def __deepcopy__(self, memo: dict) -> _Sentinel:
        return self


REQUIRED = _Sentinel("REQUIRED")  # no default: leaving it out is an error
OPTION_NAME = _Sentinel("OPTION_NAME")  # a variable that is called after its option
BLOCK_NAME = _Sentinel("BLOCK_NAME")  # a variable that is called after its block


@dataclass(frozen=True)
class Interval:
    """A range of admissible numbers, written the usual way: ``(-1, 0.5)``, ``[0, inf)``."""

    text: str
    _pattern: ClassVar[re.Pattern] = re.compile(r"([(\[])\s*([^,]+?)\s*,\s*([^,]+?)\s*([)\]])")

    def bounds(self) -> tuple[float, float, bool, bool]:
        """Lower bound, upper bound, and whether each of them belongs to the interval."""
        match = self._pattern.fullmatch(self.text)
        assert match, f"not an interval: {self.text}"
        return float(match[2]), float(match[3]), match[1] == "[", match[4] == "]"

    def contains(self, values: Iterable[float]) -> bool:
        """Whether every one of ``values`` lies in the interval (NaN does not)."""
        lower, upper, with_lower, with_upper = self.bounds()
        return all(
            (lower < v or (with_lower and v == lower)) and (v < upper or (with_upper and v == upper))
            for v in values
        )


@dataclass(frozen=True)
class Field:
    """What every declaration has: a type, a sentence, and a name in input files.

    ``attr`` is the attribute of the class, ``option`` the name in input files and the constructor's keyword
    (``None`` where a variable's name follows from another one's and cannot be chosen).
    """

    doc: str
    option: str | None = None
    type: Any = None
    attr: str = ""
    default: Any = REQUIRED
    many: bool = False
    unit: str = ""

    @property
    def required(self) -> bool:
        """Whether an error follows when the option is left out."""
        return self.default is REQUIRED

    def named(self, attr: str, type: Any, siblings: dict[str, Field]) -> Field:
        """The same field once its class has told it its attribute and its type."""
        return replace(self, attr=attr, type=type, option=self.option or attr)


@dataclass(frozen=True)
class Variable(Field):
    """A named value that goes in or comes out.

    ``of`` and ``suffix`` make a derived name: ``of="variable", suffix="~1"`` is the name that ``variable``
    resolved to, followed by ``~1``. ``default=None`` means: no such variable unless its option is given.
    """

    default: Any = OPTION_NAME
    of: str | None = None
    suffix: str = ""

    def named(self, attr: str, type: Any, siblings: dict[str, Field]) -> Field:
        if self.of is None:
            return super().named(attr, type, siblings)
        return replace(self, attr=attr, type=type)


@dataclass(frozen=True)
class InputField(Variable):
    """A variable that a model reads."""


@dataclass(frozen=True)
class OutputField(Variable):
    """A variable that a model computes; ``priority`` settles who wins when two models compute it."""

    priority: str | None = None

    def named(self, attr: str, type: Any, siblings: dict[str, Field]) -> Field:
        field = super().named(attr, type, siblings)
        if self.of is not None and self.option is None:
            field = replace(field, option=f"{siblings[self.of].option}{self.suffix}")
        return field


@dataclass(frozen=True)
class ParameterField(Field):
    """A value that a model holds and that can be trained, wired from another model, or made an input."""

    promotable: bool = True
    within: Interval | None = None
    table: int = 0  # axes left of the base that belong to a table, not to the batch
    trainable: ClassVar[bool] = True


@dataclass(frozen=True)
class BufferField(ParameterField):
    """A constant that a model holds: never trained, never wired."""

    promotable: bool = False
    trainable: ClassVar[bool] = False


@dataclass(frozen=True)
class OptionField(Field):
    """A plain value: a number, a word, a flag, or a list of them.

    ``goes_with`` is the option without which this one has no meaning, and which needs it.
    """

    choices: tuple[str, ...] = ()
    within: Interval | None = None
    goes_with: str = ""


@dataclass(frozen=True)
class ValueField(Field):
    """A typed value that is used as data: a number or the name of a ``[Tensors]`` entry."""


@dataclass(frozen=True)
class DependencyField(Field):
    """Another object of the same file, found by name in ``section``.

    ``needs`` is the method by which the object is used, which tells a linear solver from a nonlinear one.
    A default that is a word is the name of the block that an input file means when it names none; in a script
    there are no blocks, so the object has to be given.
    """

    section: str = "Models"
    needs: str = ""


@dataclass(frozen=True)
class FileField(Field):
    """Something of the file itself that the object wants to know: ``settings`` or ``directory``.

    It is no option: the input-file reader passes it under the attribute's name, a script may leave it out.
    """

    default: Any = None


def Input(
    doc: str,
    *,
    option: str | None = None,
    default: Any = OPTION_NAME,
    many: bool = False,
    of: str | None = None,
    suffix: str = "",
    unit: str = "",
) -> Any:
    """Declare a variable that the model reads."""
    return InputField(doc, option=option, default=default, many=many, of=of, suffix=suffix, unit=unit)


def Output(
    doc: str,
    *,
    option: str | None = None,
    default: Any = OPTION_NAME,
    many: bool = False,
    of: str | None = None,
    suffix: str = "",
    priority: str | None = None,
    unit: str = "",
) -> Any:
    """Declare a variable that the model computes."""
    return OutputField(
        doc, option=option, default=default, many=many, of=of, suffix=suffix, priority=priority, unit=unit
    )


def Parameter(
    option: str,
    doc: str,
    *,
    default: Any = REQUIRED,
    many: bool = False,
    promotable: bool = True,
    within: str | None = None,
    table: int = 0,
    unit: str = "",
) -> Any:
    """Declare a value that the model holds; ``within`` is the interval of admissible values."""
    return ParameterField(
        doc,
        option=option,
        default=default,
        many=many,
        promotable=promotable,
        within=Interval(within) if within else None,
        table=table,
        unit=unit,
    )


def Buffer(
    option: str, doc: str, *, default: Any = REQUIRED, many: bool = False, table: int = 0, unit: str = ""
) -> Any:
    """Declare a constant that the model holds."""
    return BufferField(doc, option=option, default=default, many=many, table=table, unit=unit)


def Option(
    doc: str,
    *,
    option: str | None = None,
    default: Any = REQUIRED,
    many: bool = False,
    choices: Iterable[str] = (),
    within: str | None = None,
    goes_with: str = "",
    unit: str = "",
) -> Any:
    """Declare a plain value; its type is the annotation: ``bool``, ``int``, ``float`` or ``str``."""
    return OptionField(
        doc,
        option=option,
        default=default,
        many=many,
        choices=tuple(choices),
        within=Interval(within) if within else None,
        goes_with=goes_with,
        unit=unit,
    )


def Dependency(
    section: str,
    doc: str,
    *,
    option: str | None = None,
    default: Any = REQUIRED,
    many: bool = False,
    needs: str = "",
) -> Any:
    """Declare another object of the same input file, which must have the method ``needs``."""
    return DependencyField(
        doc,
        option=option,
        default=default,
        many=many,
        section=section,
        needs=needs or ("evaluate" if section == "Models" else ""),
    )


def setting(field: Any) -> Any:
    """Put a declaration on a frozen dataclass: ``abs_tol: float = setting(Option("...", default=1e-10))``."""
    return dataclasses.field(
        **({} if field.default is REQUIRED else {"default": field.default}),
        metadata={"neml2": field},
    )


def fields_of_dataclass(cls: type, hints: dict[str, Any]) -> dict[str, Field]:
    """The declarations of a dataclass whose fields were made by :func:`setting`."""
    fields: dict[str, Field] = {}
    for f in dataclasses.fields(cls):
        declared = f.metadata.get("neml2")
        if declared is not None:
            given = hints[f.name] if declared.type is None else declared.type
            fields[f.name] = declared.named(f.name, given, fields)
    return fields


def check_number(value: Any, field: ParameterField | OptionField, owner: str) -> None:
    """Refuse a number outside the declared interval, or one that is not finite.

    Raises :class:`ValueError` that names the owner, the option, the interval and the value.
    """
    numbers = [float(v) for v in (value if isinstance(value, list | tuple) else [value])]
    bad = [v for v in numbers if not math.isfinite(v)]
    if bad:
        raise ValueError(f"{owner}: {field.option} is {bad[0]:g}, which is not a finite number")
    if field.within is not None and not field.within.contains(numbers):
        outside = next(v for v in numbers if not field.within.contains([v]))
        raise ValueError(f"{owner}: {field.option} is {outside:g}, outside its range {field.within.text}")
