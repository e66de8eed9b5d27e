"""The place where scripts written for NEML2 find :class:`~neml2.errors.ConvergenceError`."""

from neml2.errors import ConvergenceError

__all__ = ["ConvergenceError"]
