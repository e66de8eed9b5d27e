"""Histories as recurrences, solved and differentiated by pyzag.

:class:`PyzagModel` is the residual of a history; it needs ``pip install 'neml2[recurrent]'``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neml2.registry import did_you_mean

if TYPE_CHECKING:
    from neml2.recurrent.pyzag_model import PyzagModel

__all__ = ["PyzagModel"]

_HOME = {"PyzagModel": "neml2.recurrent.pyzag_model"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"neml2.recurrent has no '{name}'{did_you_mean(name, __all__)}")
