"""Parameters of a model by the names that people call them."""

from __future__ import annotations

from neml2.errors import MissingVariable
from neml2.fields import ParameterField
from neml2.model import Model
from neml2.registry import did_you_mean, listing


def short_names(model: Model) -> dict[str, str]:
    """The shortest name of every parameter that no other one has, by path: ``flow_rate.eta``."""
    paths = [n for n, _ in model.named_parameters()]
    found = {}
    for path in paths:
        words = path.split(".")
        tails = [".".join(words[-k:]) for k in range(min(2, len(words)), len(words) + 1)]
        found[path] = next(t for t in tails if sum(p == t or p.endswith("." + t) for p in paths) == 1)
    return found


def parameter_path(model: Model, name: str) -> str:
    """The path of a parameter in ``model`` that goes by ``name``.

    That is its path, an end of it (``flow_rate.eta``), or block and option of the input file
    (``flow_rate.reference_stress``). Raises :class:`~neml2.errors.MissingVariable`, or :class:`ValueError` if
    there are several.
    """
    paths = [n for n, _ in model.named_parameters()]
    if name in paths:
        return name
    options = {p: _option(model, p) for p in paths}
    found = [p for p in paths if p.endswith("." + name) or options[p] == name]
    if len(found) == 1:
        return found[0]
    known = list(short_names(model).values())
    if found:
        raise ValueError(f"'{name}' may be {listing(found)}; say more of the one that is meant")
    every = [*known, *(o for o in options.values() if o)]
    raise MissingVariable(
        f"the model has no parameter '{name}'{did_you_mean(name, every)} (parameters: {listing(known, 30)})"
    )


def _option(model: Model, path: str) -> str:
    """Block and option of a parameter, ``flow_rate.reference_stress``."""
    place, _, attr = path.rpartition(".")
    owner = model.get_submodule(place)
    field = getattr(owner, "FIELDS", {}).get(attr)
    option = field.option if isinstance(field, ParameterField) else attr
    return f"{getattr(owner, 'name', '') or place.rpartition('.')[2]}.{option}"
