"""Nonlinear and linear solvers: frozen records of tolerances that return a value and a status per point."""

from neml2.solvers.direct import DenseLU
from neml2.solvers.newton import Newton, NewtonWithLineSearch
from neml2.solvers.status import Solution, Status

__all__ = ["DenseLU", "Newton", "NewtonWithLineSearch", "Solution", "Status"]
