"""Units of measured tables, as text: what they measure, and numbers from one in another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from neml2.registry import did_you_mean, listing


@dataclass(frozen=True)
class Unit:
    """A unit of a ``quantity``: ``scale * x + offset`` is in the base unit of that quantity."""

    quantity: str
    scale: float
    offset: float = 0.0


_PSI = 4.4482216152605 / 0.0254**2  # pound-force over square inch, in Pa
UNITS: dict[str, Unit] = {
    **dict.fromkeys(("1", "-", "mm/mm", "m/m", "in/in"), Unit("strain", 1.0)),
    "%": Unit("strain", 1e-2),
    **dict.fromkeys(("microstrain", "um/m", "µm/m", "μm/m", "µε", "με"), Unit("strain", 1e-6)),
    "ms": Unit("time", 1e-3),
    **dict.fromkeys(("s", "sec"), Unit("time", 1.0)),
    "min": Unit("time", 60.0),
    **dict.fromkeys(("h", "hr", "hour"), Unit("time", 3600.0)),
    **dict.fromkeys(("d", "day"), Unit("time", 86400.0)),
    "Pa": Unit("stress", 1.0),
    "kPa": Unit("stress", 1e3),
    **dict.fromkeys(("MPa", "N/mm^2", "N/mm²"), Unit("stress", 1e6)),
    "GPa": Unit("stress", 1e9),
    "psi": Unit("stress", _PSI),
    "ksi": Unit("stress", 1e3 * _PSI),
    "K": Unit("temperature", 1.0),
    **dict.fromkeys(("degC", "°C"), Unit("temperature", 1.0, 273.15)),
    **dict.fromkeys(("degF", "°F"), Unit("temperature", 5 / 9, 459.67 * 5 / 9)),
}


def unit(name: str, what: str) -> Unit:
    """The unit of that name; :class:`ValueError` with the nearest spelling if there is none."""
    if name not in UNITS:
        raise ValueError(
            f"{what} has the unknown unit '{name}'{did_you_mean(name, UNITS)}; there are {listing(UNITS, 40)}"
        )
    return UNITS[name]


def convert(values: Any, given: str, wanted: str, what: str) -> Any:
    """Numbers in ``given`` units as numbers in ``wanted`` ones.

    Raises :class:`ValueError` for unknown units, and for units of different quantities.
    """
    a, b = unit(given, what), unit(wanted, what)
    if a.quantity != b.quantity:
        raise ValueError(
            f"{what} is in {given}, a unit of {a.quantity}, but is wanted in {wanted}, a unit of"
            f" {b.quantity}; correct one of them"
        )
    if a == b:
        return values
    return values * (a.scale / b.scale) + (a.offset - b.offset) / b.scale


def from_header(header: str) -> str | None:
    """The unit in brackets at the end of ``"Strain [%]"`` or ``"Time (s)"``, if there is one."""
    found = re.search(r"\[([^\[\]]*)\]\s*$|\(([^()]*)\)\s*$", header)
    return (found[1] if found[1] is not None else found[2]).strip() if found else None
