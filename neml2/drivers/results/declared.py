"""What the models of a composition say about their variables: one sentence and a unit for each name."""

from __future__ import annotations

from dataclasses import dataclass

from neml2.fields import OutputField, Variable
from neml2.model import Model


@dataclass(frozen=True)
class Declared:
    """The sentence and the unit of a variable; its name in words and ``""`` where nobody declares them."""

    doc: str
    unit: str = ""


def declarations(model: Model) -> dict[str, Declared]:
    """The declarations of all variables of ``model`` and the models in it, by variable name.

    A declaration that bears the variable's own name is taken first, an output's before an input's. Those of
    type-generic models (``"The variable to integrate"``) say nothing about the variable.
    """
    found: dict[str, tuple[int, str]] = {}
    units: dict[str, str] = {}
    for module in model.modules():
        if isinstance(module, Model):
            for f in module.FIELDS.values():
                if isinstance(f, Variable):
                    for name in _names(module.__dict__.get("variables", {}).get(f.attr)):
                        own = name in (f.option, f.attr)
                        generic = hasattr(type(module), "KIND")
                        rank = 0 if generic else 1 + 2 * own + isinstance(f, OutputField)
                        if rank > found.get(name, (0, ""))[0]:
                            found[name] = (rank, f.doc)
                        if f.unit:
                            units.setdefault(name, f.unit)
    names = [*found, *units, *model.input_spec, *model.output_spec]
    return {
        n: Declared(found[n][1] if n in found else n.replace("_", " "), units.get(n, ""))
        for n in dict.fromkeys(names)
    }


def _names(value: object) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]
