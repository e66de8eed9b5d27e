"""From declarations and keyword values to names, arguments and stored parameters of a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from neml2.fields import (
    BLOCK_NAME,
    OPTION_NAME,
    REQUIRED,
    DependencyField,
    Field,
    InputField,
    OptionField,
    OutputField,
    ParameterField,
    Variable,
)
from neml2.registry import did_you_mean, listing
from neml2.types import TensorWrapper
from neml2.values import check_dependency, checked_option, typed_value

if TYPE_CHECKING:
    from neml2.model import Model

_NAME = re.compile(r"[A-Za-z_][\w./]*(~\d+)?")


@dataclass(frozen=True)
class Wired:
    """A parameter's value that comes from a variable, perhaps computed by the model ``provider``."""

    variable: str
    provider: Model | None = None


@dataclass
class Binding:
    """What the declarations of a model came to for one instance.

    variables
        The name, the list of names, or ``None`` (not there), for every declared variable.
    slots
        How each argument of ``forward`` is found: ``("name", variable)``, ``("names", variables)``,
        ``("parameter", attribute)``, ``("buffer", attribute)``, ``("all", slots)`` or ``("absent", None)``.
    held
        Values to be stored as parameters or buffers, by attribute.
    """

    variables: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, type[TensorWrapper]] = field(default_factory=dict)
    outputs: dict[str, type[TensorWrapper]] = field(default_factory=dict)
    priorities: dict[str, str | None] = field(default_factory=dict)
    slots: list[tuple[str, Any]] = field(default_factory=list)
    held: dict[str, tuple[TensorWrapper, ParameterField]] = field(default_factory=dict)
    providers: list[Model] = field(default_factory=list)


def bind(fields: Mapping[str, Field], values: Mapping[str, Any], owner: str, block: str) -> Binding:
    """Resolve ``fields`` against ``values`` (by option name); inputs come first, wired parameters after them.

    Raises :class:`TypeError` for a missing option and :class:`ValueError` for a value that does not do; both
    name the ``owner``.
    """
    bound = Binding()
    for f in fields.values():
        if isinstance(f, Variable):
            bound.variables[f.attr] = _variable(f, values, bound.variables, owner, block)
    for f in fields.values():
        if isinstance(f, InputField):
            bound.slots.append(_input(f, bound, owner))
    for f in fields.values():
        if isinstance(f, ParameterField):
            bound.slots.append(_parameter(f, values, bound, owner))
    for f in fields.values():
        if isinstance(f, OutputField):
            for name in _names(bound.variables[f.attr]):
                if name in bound.outputs:
                    raise ValueError(f"{owner} has two outputs called '{name}'; rename one of them")
                bound.outputs[name] = f.type
                bound.priorities[name] = f.priority
    return bound


def option_value(f: Field, values: Mapping[str, Any], owner: str) -> Any:
    """The value of a plain option or a dependency, checked, or its default."""
    key = f.option or f.attr
    if key not in values:
        if f.required or (isinstance(f, DependencyField) and isinstance(f.default, str)):
            raise TypeError(f"{owner} needs the option '{key}': {f.doc}")
        return list(f.default) if isinstance(f.default, list) else f.default
    value = values[key]
    if isinstance(f, DependencyField):
        check_dependency(value, f, owner)
    return checked_option(value, f, owner) if isinstance(f, OptionField) and value is not None else value


def _variable(
    f: Variable, values: Mapping[str, Any], known: Mapping[str, Any], owner: str, block: str
) -> Any:
    given = values.get(f.option) if f.option else None
    if given in (None, "") and f.of is not None:
        return f"{known[f.of]}{f.suffix}" if known.get(f.of) else None
    if given is None:
        given = f.option if f.default is OPTION_NAME else f.default
        if given is BLOCK_NAME:
            given = block or f.option
        if given is REQUIRED:
            raise TypeError(f"{owner} needs the option '{f.option}': {f.doc}")
    if f.many:
        given = given.split() if isinstance(given, str) else list(given or [])
    elif given is not None and f.of is None:
        given = f"{given}{f.suffix}"
    for name in _names(given):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"{owner}: {f.option} is {name!r}, which is not a variable name")
    return given


def _input(f: InputField, bound: Binding, owner: str) -> tuple[str, Any]:
    found = bound.variables[f.attr]
    for name in _names(found):
        if bound.inputs.setdefault(name, f.type) is not f.type:
            raise ValueError(
                f"{owner} reads '{name}' as {bound.inputs[name].__name__} and as {f.type.__name__};"
                f" give the two variables different names"
            )
    return ("names" if f.many else "absent" if found is None else "name", found)


def _parameter(f: ParameterField, values: Mapping[str, Any], bound: Binding, owner: str) -> tuple[str, Any]:
    value = values.get(f.option or f.attr, f.default)
    if value is REQUIRED:
        raise TypeError(f"{owner} needs the option '{f.option}': {f.doc}")
    if not f.many:
        return _argument(f.attr, value, f, bound, owner)
    items = value if isinstance(value, list | tuple) else [value]
    return ("all", [_argument(f"{f.attr}_{i}", v, f, bound, owner) for i, v in enumerate(items)])


def _argument(attr: str, value: Any, f: ParameterField, bound: Binding, owner: str) -> tuple[str, Any]:
    wire = Wired(value) if isinstance(value, str) else value
    if isinstance(wire, Wired):
        _wire(wire, f, bound, owner)
        return ("name", wire.variable)
    bound.held[attr] = (typed_value(value, f, owner), f)
    return ("parameter" if f.trainable else "buffer", attr)


def _wire(wire: Wired, f: ParameterField, bound: Binding, owner: str) -> None:
    variable, provider = wire.variable, wire.provider
    if not f.promotable:
        raise ValueError(f"{owner}: {f.option} must be a number or a tensor, not '{variable}'")
    if not _NAME.fullmatch(variable):
        raise ValueError(f"{owner}: {f.option} is '{variable}', neither a number nor a variable name")
    if bound.inputs.setdefault(variable, f.type) is not f.type:
        raise ValueError(
            f"{owner}: {f.option} needs a {f.type.__name__},"
            f" but '{variable}' is read as {bound.inputs[variable].__name__}"
        )
    if provider is not None:
        if variable not in provider.output_spec:
            raise ValueError(
                f"{owner}: {provider} has no output '{variable}'"
                f"{did_you_mean(variable, provider.output_spec)} (outputs: {listing(provider.output_spec)})"
            )
        made = provider.output_spec[variable]
        if made is not f.type:
            raise ValueError(
                f"{owner}: {f.option} needs a {f.type.__name__}, but {provider} computes '{variable}' as"
                f" {made.__name__}"
            )
        bound.providers.append(provider)


def _names(found: Any) -> Iterable[str]:
    return () if found is None else (found,) if isinstance(found, str) else found
