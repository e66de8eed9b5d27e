r"""The tensile part of a strain by its principal values, with two derivatives at repeated ones as well.

Principal directions have no derivative where principal strains coincide, but functions of all of them do. So
the directions are held at their values, the strain is written in their frame, and what it does off the
diagonal is added to second order: for a function :math:`g` of the principal strains :math:`\varepsilon_a`,

.. math:: \sum_a g(\varepsilon_a) = \sum_a g(M_{aa})
          + \frac12 \sum_{a \ne b} \frac{g'(M_{aa}) - g'(M_{bb})}{M_{aa} - M_{bb}} M_{ab}^2 + \ldots

where :math:`M = V^T \varepsilon V` is diagonal, so that value and two derivatives are exact.
"""

from __future__ import annotations

import math

from neml2.models.common._held import held
from neml2.types import SR2, Scalar, abs, gt, heaviside, lt, macaulay, sqrt, where

Matrix = list[list[Scalar]]  # by rows

_SWEEPS = 5  # of three rotations; from the third on the error is squared each time
_PAIRS = ((0, 1, 2), (0, 2, 1), (1, 2, 0))  # two axes, and the third one


def squares(strain: SR2) -> tuple[Scalar, Scalar]:
    r"""The sum of the squares of the principal strains above zero, and that of those below.

    Twice differentiable; at a principal strain of zero, the second derivative is the mean of both sides.
    """
    E, V = _components(strain), _principal_directions(_components(strain.detach()))
    EV = [[_dot(E[i], [V[j][a] for j in range(3)]) for a in range(3)] for i in range(3)]
    M = [
        [_dot([V[i][a] for i in range(3)], [EV[i][b] for i in range(3)]) for b in range(3)] for a in range(3)
    ]
    tension = compression = 0 * M[0][0]
    for a in range(3):
        above = macaulay(M[a][a])
        tension = tension + M[a][a] * above
        compression = compression + M[a][a] * (M[a][a] - above)
    for a, b, _ in _PAIRS:
        share, off = _share(M[a][a], M[b][b]), 2 * M[a][b] * M[a][b]
        tension, compression = tension + share * off, compression + (1 - share) * off
    return tension, compression


def _share(x: Scalar, y: Scalar) -> Scalar:
    """Of the way from one principal strain to the other, how much is tensile, as a constant."""
    apart = gt((x - y) * (x - y), 0.0)
    distance = where(apart, x - y, 1 + 0 * x)
    return held(where(apart, (macaulay(x) - macaulay(y)) / distance, heaviside(x)))


def _components(strain: SR2) -> Matrix:
    """The nine components, from Mandel's six."""
    x = [Scalar(strain.data[..., k], strain.sub_batch_ndim) for k in range(6)]
    yz, xz, xy = (v / math.sqrt(2) for v in x[3:])
    return [[x[0], xy, xz], [xy, x[1], yz], [xz, yz, x[2]]]


def _principal_directions(A: Matrix) -> Matrix:
    """Orthonormal columns by Jacobi's rotations: the same operations at every point, and none of LAPACK's."""
    zero = 0 * A[0][0]
    V = [[zero + float(i == j) for j in range(3)] for i in range(3)]
    A = [list(row) for row in A]
    for _ in range(_SWEEPS):
        for p, q, r in _PAIRS:
            difference, off = A[q][q] - A[p][p], 2 * A[p][q]
            size = abs(difference) + sqrt(difference * difference + off * off)
            t = off / where(gt(size, 0.0), size, 1 + 0 * size)
            t = where(lt(difference, 0.0), -t, t)  # the tangent of the smaller angle
            c = 1 / sqrt(t * t + 1)
            s = t * c
            A[p][p], A[q][q] = A[p][p] - t * A[p][q], A[q][q] + t * A[p][q]
            A[p][q] = A[q][p] = zero
            A[r][p], A[r][q] = c * A[r][p] - s * A[r][q], s * A[r][p] + c * A[r][q]
            A[p][r], A[q][r] = A[r][p], A[r][q]
            for row in V:
                row[p], row[q] = c * row[p] - s * row[q], s * row[p] + c * row[q]
    return [[held(v) for v in row] for row in V]


def _dot(a: list[Scalar], b: list[Scalar]) -> Scalar:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
