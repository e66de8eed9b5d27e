"""The pyzag interface under the names that scripts written for NEML2 import."""

from neml2.recurrent.pyzag_model import PyzagModel as NEML2PyzagModel
from neml2.recurrent.pyzag_solver import HistorySolver, solve, solve_adjoint

__all__ = ["HistorySolver", "NEML2PyzagModel", "solve", "solve_adjoint"]
