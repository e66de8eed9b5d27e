"""How the text of a parameter becomes a value: numbers, a ``[Tensors]`` entry, or a variable to be wired."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import torch

from neml2.binding import Wired
from neml2.fields import Field, ParameterField
from neml2.hit.document import Value
from neml2.hit.errors import InputError, UnknownName, WrongKind, did_you_mean, listing
from neml2.hit.literals import looks_like_a_number, number, why_no_number
from neml2.types import Scalar, TensorWrapper

if TYPE_CHECKING:
    from neml2.hit.input_file import InputFile

VARIABLE = re.compile(r"[A-Za-z_][\w/]*(~\d+)?")


def resolve(file: InputFile, label: str, value: Value, field: Field) -> Any:
    """The value of a parameter, a buffer or a typed value, as the constructor takes it.

    Numbers, else the name of a ``[Tensors]`` entry, else (where ``field`` is promotable) the name of a model
    with one output, ``model.variable``, or the name of a variable that something can supply.
    """
    words = value.tokens
    if not words:
        raise InputError(value.where, f"{label} {value.name} is empty; give {_expected(field)}")
    if field.many:
        return [_one(file, label, value, w, field) for w in words]
    numbers = [number(w) for w in words]
    if len(words) == 1 and numbers[0] is None:
        return _one(file, label, value, words[0], field)
    for word, found in zip(words, numbers):
        if found is None:
            raise InputError(value.where, f"{label} {value.name}: '{word}' {why_no_number(word)}")
    return _literal(label, value, [n for n in numbers if n is not None], field)


def as_kind(data: Any, kind: type[TensorWrapper], what: str, value: Value) -> TensorWrapper:
    """A ``[Tensors]`` entry as a ``kind``; a raw tensor is wrapped, in float64."""
    if isinstance(data, TensorWrapper):
        if type(data) is not kind:
            raise WrongKind(
                value.where, f"{what} is a {type(data).__name__}, but a {kind.__name__} is expected"
            )
        return data
    try:
        return kind(data.to(torch.float64))
    except ValueError as error:
        raise InputError(value.where, f"{what}: {error}") from None


def _one(file: InputFile, label: str, value: Value, word: str, field: Field) -> Any:
    """The value of a single word."""
    found = number(word)
    if found is not None:
        return _literal(label, value, [found], field)
    if looks_like_a_number(word):
        raise InputError(value.where, f"{label} {value.name}: '{word}' {why_no_number(word)}")
    if file.has_tensor(word):
        return as_kind(file.get_tensor(word), field.type, f"{label} {value.name}: [Tensors/{word}]", value)
    if isinstance(field, ParameterField) and field.promotable:
        return _wired(file, label, value, word, field)
    hint = did_you_mean(word, file.names("Tensors")) or f"; give {_expected(field)}"
    raise UnknownName(
        value.where, f"{label} {value.name} is '{word}', neither a number nor one of [Tensors]{hint}"
    )


def _literal(label: str, value: Value, numbers: list[float], field: Field) -> Any:
    kind = field.type
    if kind is Scalar:
        return numbers[0] if len(numbers) == 1 else numbers
    size = math.prod(kind.BASE_SHAPE)
    if not isinstance(field, ParameterField):
        raise UnknownName(
            value.where,
            f"{label} {value.name} needs the name of a {kind.__name__} in [Tensors], not a number",
        )
    if len(numbers) != size:
        raise InputError(
            value.where,
            f"{label} {value.name} has {len(numbers)} numbers; a {kind.__name__} has {size} components",
        )
    return kind(torch.tensor(numbers, dtype=torch.float64).reshape(kind.BASE_SHAPE))


def _wired(file: InputFile, label: str, value: Value, word: str, field: Field) -> Wired:
    what = f"{label} {value.name} is '{word}'"
    model, dot, variable = word.partition(".")
    if "." in variable:
        raise InputError(value.where, f"{what}; write model.variable with a single dot")
    if dot and not file.has_model(model):
        near = did_you_mean(model, file.names("Models"))
        raise InputError(value.where, f"{what}, but there is no [Models/{model}]{near}")
    if dot or file.has_model(word):
        provider = file.get_model(model)
        outputs = provider.output_spec
        if not dot:
            if len(outputs) != 1:
                raise InputError(
                    value.where,
                    f"{what}, a model with the outputs {listing(outputs)}; say which, as in"
                    f" '{word}.{next(iter(outputs), 'variable')}'",
                )
            variable = next(iter(outputs))
        if variable not in outputs:
            near = did_you_mean(variable, outputs)
            raise InputError(
                value.where,
                f"{what}, but [Models/{model}] has no '{variable}'{near} ({listing(outputs)})",
            )
        if outputs[variable] is not field.type:
            raise WrongKind(
                value.where,
                f"{what}, which is a {outputs[variable].__name__}, but a {field.type.__name__} is expected",
            )
        return Wired(variable, provider)
    if not VARIABLE.fullmatch(word):
        raise unresolved(file, label, value, word)
    file.expect_supplied(word, unresolved, label, value)
    return Wired(word)


def unresolved(file: InputFile, label: str, value: Value, word: str) -> InputError:
    """The error for a word that is no number and that nothing provides."""
    known = [*file.names("Tensors"), *file.names("Models"), *file.supplied_names()]
    what = f"{label} {value.name} is '{word}': not a number, and nothing provides a variable of that name"
    return InputError(value.where, what + (did_you_mean(word, known) or f"; give {_EXPECTED}"))


_EXPECTED = "a number, a [Tensors] name, a model, or a variable of the file"


def _expected(field: Field) -> str:
    if isinstance(field, ParameterField) and field.promotable:
        return _EXPECTED
    size = math.prod(field.type.BASE_SHAPE)
    if isinstance(field, ParameterField):
        return f"{'numbers' if size == 1 else f'{size} numbers'} or a [Tensors] name"
    return "a [Tensors] name"
