"""Data that several models share: the geometry of crystals and their slip systems."""

from neml2.data.crystal import CrystalGeometry
from neml2.data.cubic import CubicCrystal, cubic_symmetry_operators

__all__ = ["CrystalGeometry", "CubicCrystal", "cubic_symmetry_operators"]
