"""The functions of typed tensors and the symmetry operators, as scripts written for NEML2 import them."""

from neml2.types import *  # noqa: F403
from neml2.types import __all__ as _types
from neml2.types.symmetry import symmetry

__all__ = [*_types, "symmetry"]
