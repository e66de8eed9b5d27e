"""Names of earlier values: ``x~1`` is ``x`` one step ago."""

from __future__ import annotations


def split(name: str) -> tuple[str, int]:
    """``"x~2"`` -> ``("x", 2)``, ``"x"`` -> ``("x", 0)``; :class:`ValueError` for a malformed lag."""
    base, mark, lag = name.partition("~")
    if not mark:
        return name, 0
    if not lag.isdigit():
        raise ValueError(f"'{name}' is not a variable name: '~' is followed by one whole number, as in 'x~1'")
    return base, int(lag)


def lagged(base: str, lag: int) -> str:
    """``("x", 2)`` -> ``"x~2"``; lag 0 is the variable itself."""
    return f"{base}~{lag}" if lag else base
