"""Cubic crystals."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from neml2.data.crystal import CrystalGeometry
from neml2.fields import Field, ValueField
from neml2.registry import register
from neml2.types import R2, MillerIndex, Scalar
from neml2.types.symmetry import symmetry


@register
class CubicCrystal(CrystalGeometry):
    r"""Cubic crystal with the slip systems of one or several families of Miller indices.

    The lattice vectors are :math:`a_i = a\, e_i`. The families {111}<110> of face-centred crystals and
    {110}<111>, {112}<111> of body-centred ones have 12 systems each, {123}<111> has 24. Everything is in
    float64; ``.to(...)`` converts.
    """

    SECTION: ClassVar[str] = "Data"
    FIELDS: ClassVar[dict[str, Field]] = {
        name: ValueField(doc, unit=unit).named(name, kind, {})
        for name, doc, kind, unit in (
            ("lattice_parameter", "Edge of the unit cell; of several, the first", Scalar, "length"),
            ("slip_directions", "Slip direction of each family", MillerIndex, ""),
            ("slip_planes", "Slip plane of each family", MillerIndex, ""),
        )
    }

    def __init__(
        self,
        lattice_parameter: float | torch.Tensor | Scalar,
        slip_directions: MillerIndex,
        slip_planes: MillerIndex,
    ) -> None:
        given: Any = lattice_parameter.data if isinstance(lattice_parameter, Scalar) else lattice_parameter
        a = torch.as_tensor(given, dtype=torch.float64).detach().reshape(-1)[0]
        if not bool(a > 0) or not bool(a.isfinite()):
            raise ValueError(f"lattice_parameter is {float(a):g}; it must be positive and finite")
        super().__init__(
            sym_ops=cubic_symmetry_operators(device=a.device),
            lattice_vectors=a * torch.eye(3, dtype=torch.float64, device=a.device),
            slip_directions=slip_directions,
            slip_planes=slip_planes,
        )


def cubic_symmetry_operators(
    *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
) -> R2:
    """The 24 proper rotations of a cube, an `R2` with one sub-batch axis."""
    return symmetry("432", dtype=dtype, device=device)
