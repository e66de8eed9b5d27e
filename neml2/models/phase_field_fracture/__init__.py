"""Fracture by a phase field: 0 where the solid is intact, 1 where it is broken."""

from neml2.models.phase_field_fracture import phase_functions, strain_energy

__all__ = ["phase_functions", "strain_energy"]
