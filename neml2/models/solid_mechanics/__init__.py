"""Elasticity, viscoelasticity, plasticity and viscoplasticity of solids; interfaces between solids."""

from neml2.models.solid_mechanics import (
    annealing,
    crystal_plasticity,
    elastic_constants,
    elasticity,
    elasticity_tensors,
    flow_rules,
    isotropic_hardening,
    kinematic_hardening,
    kinematics,
    kocks_mecking,
    mixed_mode,
    porous_plasticity,
    radial_return,
    traction_separation,
    viscoelasticity,
    yield_functions,
)

__all__ = [
    "annealing",
    "crystal_plasticity",
    "elastic_constants",
    "elasticity",
    "elasticity_tensors",
    "flow_rules",
    "isotropic_hardening",
    "kinematic_hardening",
    "kinematics",
    "kocks_mecking",
    "mixed_mode",
    "porous_plasticity",
    "radial_return",
    "traction_separation",
    "viscoelasticity",
    "yield_functions",
]
