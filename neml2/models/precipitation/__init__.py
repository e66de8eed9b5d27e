"""Nucleation and growth of precipitates in classes of size (Kampmann and Wagner, 1984)."""

from neml2.models.precipitation import driving_force, growth, nucleation, solute

__all__ = ["driving_force", "growth", "nucleation", "solute"]
