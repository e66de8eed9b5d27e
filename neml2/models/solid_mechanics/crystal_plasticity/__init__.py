"""Crystal plasticity: slip, its hardening, the kinematics of the lattice, and initial guesses."""

from neml2.models.solid_mechanics.crystal_plasticity import hardening, kinematics, predictors, slip

__all__ = ["hardening", "kinematics", "predictors", "slip"]
