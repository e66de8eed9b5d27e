"""The pyzag interface under the names that scripts written for NEML2 import."""

from neml2.recurrent import HistorySolver, solve, solve_adjoint
from neml2.recurrent import PyzagModel as NEML2PyzagModel

__all__ = ["HistorySolver", "NEML2PyzagModel", "solve", "solve_adjoint"]
