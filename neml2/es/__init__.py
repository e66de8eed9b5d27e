"""Equation systems with a state: the interface that NEML2's scripts use, over :mod:`neml2.system`.

A :class:`~neml2.system.NonlinearSystem` is a record of a model and its unknowns; everything else is a
function of values. :class:`ModelNonlinearSystem` puts values to it, so that a script can set unknowns and
givens one after the other, ask for matrices, and hand the whole to ``Newton().solve(system)``. This is what
:func:`neml2.load_nonlinear_system` returns; its ``system`` is the record, which an
:class:`~neml2.implicit.ImplicitUpdate` takes. Nothing in the library itself needs this module.

Signs: ``b = -r``, ``A = dr/du``, ``B = dr/dg``; so the Newton step is ``du = A^-1 b`` and the derivative of
the solution ``du/dg = -A^-1 B``.

Shapes: a *dense* group is one vector ``(*batch, n)``, with the sub-batch axes of its variables folded in; a
*block* group keeps them, ``(*batch, *sub_batch, n)``. Blocks of matrices are as in
:mod:`neml2.solvers.blocks`.
"""

from neml2.es.arrays import AssembledMatrix, AssembledVector, AxisLayout, SparseMatrix, SparseVector
from neml2.es.system import ModelNonlinearSystem, NonlinearResult, RetCode

__all__ = [
    "AssembledMatrix",
    "AssembledVector",
    "AxisLayout",
    "ModelNonlinearSystem",
    "NonlinearResult",
    "RetCode",
    "SparseMatrix",
    "SparseVector",
]
