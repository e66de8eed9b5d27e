"""Nonlinear and linear solvers: frozen records of tolerances that return a value and a status per point."""

from neml2.solvers.direct import DenseLU
from neml2.solvers.krylov import GMRES, BiCGStab
from neml2.solvers.newton import Newton, NewtonWithLineSearch
from neml2.solvers.preconditioners import (
    BlockJacobiPreconditioner,
    FullPreconditioner,
    JacobiPreconditioner,
    NoPreconditioner,
)
from neml2.solvers.schur import SchurComplement
from neml2.solvers.status import Solution, Status

__all__ = [
    "GMRES",
    "BiCGStab",
    "BlockJacobiPreconditioner",
    "DenseLU",
    "FullPreconditioner",
    "JacobiPreconditioner",
    "Newton",
    "NewtonWithLineSearch",
    "NoPreconditioner",
    "SchurComplement",
    "Solution",
    "Status",
]
