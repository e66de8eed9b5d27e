"""Names that scripts written for NEML2 use and that have nothing to do here."""

from __future__ import annotations

import contextlib


class _Allowed(contextlib.ContextDecorator):
    """A context manager and decorator without effect, which insists on a reason as NEML2's does."""

    def __init__(self, reason: str) -> None:
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError(f"give the reason as a sentence, not {reason!r}")
        self.reason = reason

    def __enter__(self) -> _Allowed:
        return self

    def __exit__(self, *error: object) -> None:
        return None


class allow_autograd(_Allowed):
    """Marks code of a model that calls autograd, which is always allowed here."""


class allow_einsum(_Allowed):
    """Marks code of a model that calls einsum, which is always allowed here."""
