"""The proper rotations of the crystal classes, as matrices in a fixed order."""

from __future__ import annotations

import math

import torch

from .kinds import R2, Quaternion
from .primitive import Device
from .rotations import quaternion_rotation_matrix
from .wrapper import wrap

_H, _C, _S = 0.5, math.sqrt(0.5), math.sqrt(0.75)

# unit quaternions w, x, y, z; classes pick their rotations by place, so the order is part of the interface
_CUBIC = (
    *((1, 0, 0, 0), (_H, _H, _H, _H), (-_H, _H, _H, _H), (_H, -_H, _H, _H), (_H, _H, -_H, _H)),
    *((-_H, -_H, -_H, _H), (_H, -_H, -_H, _H), (-_H, -_H, _H, _H), (-_H, _H, -_H, _H)),
    *((0, 0, 1, 0), (0, 0, 0, 1), (0, 1, 0, 0), (0, -_C, 0, _C), (0, _C, 0, _C), (_C, 0, _C, 0)),
    *((_C, 0, -_C, 0), (0, 0, -_C, _C), (_C, _C, 0, 0), (_C, -_C, 0, 0), (0, 0, _C, _C)),
    *((0, -_C, _C, 0), (_C, 0, 0, -_C), (0, _C, _C, 0), (_C, 0, 0, _C)),
)
_HEXAGONAL = (
    *((1, 0, 0, 0), (-_H, 0, 0, _S), (_H, 0, 0, _S), (_S, 0, 0, -_H), (0, 0, 0, 1), (_S, 0, 0, _H)),
    *((0, -_H, _S, 0), (0, 1, 0, 0), (0, _H, _S, 0), (0, _S, _H, 0), (0, 0, 1, 0), (0, _S, -_H, 0)),
)
_TETRAGONAL = (
    *((1, 0, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0), (0, 0, 0, 1)),
    *((_C, 0, 0, -_C), (_C, 0, 0, _C), (0, _C, _C, 0), (0, -_C, _C, 0)),
)
_CLASSES = {
    "432": _CUBIC,
    "23": _CUBIC[:12],
    "622": _HEXAGONAL,
    "32": _HEXAGONAL[:3] + _HEXAGONAL[9:],
    "6": _HEXAGONAL[:6],
    "3": _HEXAGONAL[:3],
    "42": _TETRAGONAL,
    "4": _TETRAGONAL[:1] + _TETRAGONAL[3:6],
    "222": _TETRAGONAL[:4],
    "2": _TETRAGONAL[:2],
    "1": _TETRAGONAL[:1],
}


def symmetry(orbifold: str, *, dtype: torch.dtype = torch.float64, device: Device = None) -> R2:
    """The proper rotations of the crystal class ``orbifold``, an `R2` of one sub-batch axis.

    The classes are 432, 23, 622, 32, 6, 3, 42, 4, 222, 2 (the axis is y) and 1, in the setting with z as the
    main axis and x along a direction of the lattice. Raises :class:`ValueError` for another name.
    """
    if orbifold not in _CLASSES:
        raise ValueError(f"there is no crystal class '{orbifold}'; give one of {', '.join(_CLASSES)}")
    quaternions = torch.tensor(_CLASSES[orbifold], dtype=torch.float64)
    matrices = quaternion_rotation_matrix(Quaternion(quaternions, 1)).data
    # entries are multiples of 1/2 or of sqrt(3)/2: exact zeros and ones stay so in what is made of them
    halves = torch.round(2 * matrices) / 2
    matrices = torch.where(torch.abs(matrices - halves) < 1e-12, halves, matrices)
    return wrap(R2, matrices.to(dtype=dtype, device=device), 1)
