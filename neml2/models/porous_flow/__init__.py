"""Fluids in the pores of solids: capillary pressure, permeability, and how the flow is moved by stress."""

from neml2.models.porous_flow import advection, capillary_pressure, permeability

__all__ = ["advection", "capillary_pressure", "permeability"]
