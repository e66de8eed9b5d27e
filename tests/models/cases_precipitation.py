"""Solute, driving forces, nucleation and growth of precipitates."""

from __future__ import annotations

import math

import torch

from neml2.types import Scalar
from tests.models.cases import Case


def over(*values: float) -> Scalar:
    """Values per size class."""
    return Scalar(torch.tensor(values, dtype=torch.float64), 1)


RADII = over(0.2, 0.3, 0.5, 0.9)
NUMBERS = over(0.02, 0.05, 0.03, 0.01)
SPHERES = 4 / 3 * math.pi * (0.02 * 0.008 + 0.05 * 0.027 + 0.03 * 0.125 + 0.01 * 0.729)
GRAINS = Scalar(torch.stack([NUMBERS.data, 2 * NUMBERS.data]), 2)  # (grains, classes)
METRES = {"molar_volume": 7.1e-6, "avogadro_number": 6.02214076e23}

SOLUTE = [
    Case(
        "PrecipitateVolumeFraction",
        {"radius": RADII},
        {"number_density": NUMBERS},
        {"volume_fraction": SPHERES},
    ),
    Case(
        "PrecipitateVolumeFraction",
        {"radius": [0.2, 0.3, 0.5, 0.9]},
        {"number_density": GRAINS},
        {"volume_fraction": over(SPHERES, 2 * SPHERES)},
        tag="list, grains",
    ),
    Case(
        "PrecipitateVolumeFraction",
        {"radius": 0.5},
        {"number_density": NUMBERS},
        {"volume_fraction": 4 / 3 * math.pi * 0.125 * 0.11},
        tag="one size",
    ),
    Case(
        "PrecipitateVolumeFraction",
        {"radius": "R"},
        {"number_density": NUMBERS, "R": RADII},
        tag="wired",
    ),
    Case(
        "CurrentConcentration",
        {
            "precipitate_volume_fractions": ["f1", "f2"],
            "initial_concentration": 0.2,
            "precipitate_concentrations": [0.55, 0.0],
        },
        {"f1": 0.12, "f2": 0.08},
        {"current_concentration": (0.2 - 0.12 * 0.55) / 0.8},
    ),
    Case(
        "CurrentConcentration",
        {
            "precipitate_volume_fractions": ["f1", "f2"],
            "initial_concentration": "x0",
            "precipitate_concentrations": ["xp", "xp"],
        },
        {"f1": 0.12, "f2": 0.08, "x0": 0.2, "xp": 0.55},
        {"current_concentration": (0.2 - 0.2 * 0.55) / 0.8},
        tag="the same twice",
    ),
]

DRIVING_FORCES = [
    Case(
        "ChemicalGibbsFreeEnergyDifference",
        {
            "concentration_differences": ["d1", "d2"],
            "chemical_potentials": [3.0, 1.5],
            "equilibrium_potentials": [2.2, 1.9],
        },
        {"d1": 0.4, "d2": -0.3},
        {"chemical_gibbs_free_energy": 0.4 * 0.8 + 0.3 * 0.4},
    ),
    Case(
        "ChemicalGibbsFreeEnergyDifference",
        {
            "concentration_differences": ["d", "d"],
            "chemical_potentials": ["mu", 1.5],
            "equilibrium_potentials": [2.2, "mu"],
        },
        {"d": 0.4, "mu": 3.0},
        {"chemical_gibbs_free_energy": 0.4 * (1.5 - 2.2)},
        tag="the same twice",
    ),
    Case(
        "IdealSolutionVolumetricDrivingForce",
        {
            "current_concentrations": ["a", "b"],
            "equilibrium_concentrations": [0.1, 0.2],
            "gas_constant": 8.314,
        },
        {"temperature": 700.0, "a": 0.15, "b": 0.24},
        {"driving_force": 8.314 * 700 * math.log(1.5 * 1.2)},
    ),
    Case(
        "IdealSolutionVolumetricDrivingForce",
        {
            "current_concentrations": ["a", "b"],
            "equilibrium_concentrations": ["e", "e"],
            "gas_constant": 8.314,
            "weights": [0.75, 0.25],
        },
        {"temperature": 700.0, "a": 0.15, "b": 0.04, "e": 0.1},
        {"driving_force": 8.314 * 700 * (0.75 * math.log(1.5) + 0.25 * math.log(0.4))},
        tag="weights",
    ),
    Case(
        "ProjectedDiffusivitySum",
        {
            "far_field_concentrations": ["a", "b"],
            "concentration_differences": [0.4, -0.2],
            "diffusivities": [2.0, 0.5],
        },
        {"a": 0.1, "b": 0.3},
        {"projected_diffusivity_sum": 0.16 / 0.2 + 0.04 / 0.15},
    ),
    Case(
        "ProjectedDiffusivitySum",
        {
            "far_field_concentrations": ["a", "a"],
            "concentration_differences": ["d", "a"],
            "diffusivities": ["D", "D"],
        },
        {"a": 0.1, "d": 0.4, "D": 2.0},
        {"projected_diffusivity_sum": 0.16 / 0.2 + 0.01 / 0.2},
        tag="the same twice",
    ),
]

NUCLEATION = [
    Case(
        "NucleationBarrierAndCriticalRadius",
        {"surface_energy": 0.3, "total_gibbs_free_energy_difference": "dg", "molar_volume": 0.5},
        {"dg": 0.6},
        {"critical_radius": 0.5, "nucleation_barrier": 16 * math.pi / 3 * 0.027 * 0.25 / 0.36},
    ),
    Case(
        "NucleationBarrierAndCriticalRadius",
        {"surface_energy": "gamma", "total_gibbs_free_energy_difference": "dg", "molar_volume": 7.1e-6},
        {"gamma": 0.08, "dg": -1500.0},
        {"critical_radius": -2 * 0.08 * 7.1e-6 / 1500},
        tag="undersaturated",
    ),
    Case(
        "NucleationBarrierAndCriticalRadius",
        {"surface_energy": 0.08, "total_gibbs_free_energy_difference": 2000.0, "molar_volume": 7.1e-6},
        tag="held",
    ),
    Case(
        "ZeldovichFactor",
        {"surface_energy": 0.18, "molar_volume": 0.5, "avogadro_number": 1.7, "boltzmann_constant": 0.02},
        {"critical_radius": 0.4, "temperature": 1.0},
        {"zeldovich_factor": 0.5 / (2 * math.pi * 1.7 * 0.16) * 3},
    ),
    Case(
        "ZeldovichFactor",
        METRES | {"surface_energy": "gamma", "boltzmann_constant": 1.380649e-23},
        {"critical_radius": 6e-10, "temperature": 700.0, "gamma": 0.08},
        tag="metres",
    ),
    Case(
        "KineticFactor",
        {"molar_volume": 0.25, "avogadro_number": 2.0},
        {"critical_radius": 0.4, "projected_diffusivity_sum": 0.5},
        {"kinetic_factor": 4 * math.pi * 16 * 0.16 / 0.5},
    ),
    Case(
        "KineticFactor",
        METRES,
        {"critical_radius": 6e-10, "projected_diffusivity_sum": 3e18},
        tag="metres",  # (N/V)^(4/3) is 4e38, too large for single precision
    ),
    Case(
        "NucleationFluxMagnitude",
        {"nucleation_site_density": 0.5, "boltzmann_constant": 0.02},
        {"zeldovich_factor": 0.1, "kinetic_factor": 4.0, "nucleation_barrier": 0.6, "temperature": 15.0},
        {"nucleation_flux_magnitude": 0.2 * math.exp(-2)},
    ),
]

GROWTH = [
    Case(
        "SFFKPrecipitationGrowthRate",
        {"radius": RADII, "gibbs_free_energy_difference": 3.0, "gas_constant": 8.0},
        {"projected_diffusivity_sum": 0.5, "temperature": 300.0},
        {"growth_rate": over(*(0.0025 / r for r in (0.2, 0.3, 0.5, 0.9)))},
    ),
    Case(
        "SFFKPrecipitationGrowthRate",
        {"radius": "R", "gibbs_free_energy_difference": "dg", "gas_constant": "Rg"},
        {"projected_diffusivity_sum": 0.5, "temperature": 300.0, "R": 0.4, "dg": -3.0, "Rg": 8.0},
        {"growth_rate": -0.00625},
        tag="one size",
    ),
    Case(
        "RateLimitedPrecipitateGrowthRate",
        {
            "radius": RADII,
            "equilibrium_concentration": 0.04,
            "concentration_difference": 0.3,
            "diffusivity": 2.5,
        },
        {"current_concentration": 0.1},
        {"growth_rate": over(*(0.5 / r for r in (0.2, 0.3, 0.5, 0.9)))},
    ),
    Case(
        "RateLimitedPrecipitateGrowthRate",
        {
            "radius": "R",
            "equilibrium_concentration": "xe",
            "concentration_difference": "d",
            "diffusivity": "D",
        },
        {"current_concentration": 0.1, "R": RADII, "xe": 0.04, "d": 0.3, "D": 2.5},
        tag="wired",
    ),
]

CASES = SOLUTE + DRIVING_FORCES + NUCLEATION + GROWTH
