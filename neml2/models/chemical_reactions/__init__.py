"""Rates of reactions of solids, the geometry that limits them, and the volume of what they leave behind."""

from neml2.models.chemical_reactions import composite, infiltration, kinetics

__all__ = ["composite", "infiltration", "kinetics"]
