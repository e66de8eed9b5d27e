"""pyzag, which is an extra: imported before anything of it, so that a message says what to install."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from neml2 import log

KNOWN = "2.0."  # how its solver combines multipliers and initial gradients was read off this version


def check() -> None:
    """Raise :class:`ImportError` without pyzag, and warn of a version whose adjoint is not known."""
    try:
        found = version("pyzag")
    except PackageNotFoundError:
        raise ImportError("this needs the package pyzag; run pip install 'neml2[recurrent]'") from None
    if not found.startswith(KNOWN):
        log.emit(
            "driver",
            log.WARNING,
            f"pyzag {found} is installed, but its solve_adjoint is known up to {KNOWN}x only; take that of"
            f" neml2.pyzag for gradients by initial states",
        )


check()
