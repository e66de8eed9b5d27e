"""Fracture by a phase field."""

from __future__ import annotations

import math

import torch

from neml2.types import SR2, Scalar
from tests.models.cases import Case

SITES = Scalar(torch.tensor([0.2, 0.7], dtype=torch.float64), 1)
SHAPE = {"power": 2.0, "b1": 4.0, "b2": -0.5, "b3": 0.25}
MODULI = {"coefficients": [150.0, 60.0], "coefficient_types": ["BULK_MODULUS", "SHEAR_MODULUS"]}
STRAIN = [0.04, -0.03, 0.02, 0.03, -0.02, 0.01]
PRINCIPAL = {"stretched": (0.03, 0.01, 0.02), "mixed": (0.03, -0.02, 0.01), "squeezed": (-0.03, -0.01, -0.02)}
K, G = 150.0, 60.0
LAMBDA = K - 2 * G / 3


def turned(a: float, b: float, c: float) -> SR2:
    """A strain of these principal values, whose first two axes are turned by 30 degrees about the third."""
    mean, half = (a + b) / 2, (a - b) / 2
    shear = half * math.sin(math.pi / 3)
    data = [mean + half / 2, mean - half / 2, c, 0.0, 0.0, math.sqrt(2) * shear]
    return SR2(torch.tensor(data, dtype=torch.float64))


def spectral(principal: tuple[float, ...]) -> dict[str, float]:
    """Both energies of principal strains."""
    parts = []
    for sign in (1, -1):
        squares = sum(max(sign * e, 0.0) ** 2 for e in principal)
        parts.append(LAMBDA / 2 * max(sign * sum(principal), 0.0) ** 2 + G * squares)
    return dict(zip(("active_strain_energy_density", "inactive_strain_energy_density"), parts, strict=True))


def by_volume(strain: list[float], active: bool) -> tuple[float, float]:
    """The energy of the change of volume, and that of the change of shape."""
    theta = sum(strain[:3])
    shape = sum(e * e for e in strain) - theta**2 / 3
    return (K / 2 * theta**2 if active == (theta > 0) else 0.0), G * shape


ENERGIES = [
    Case(
        "LinearIsotropicStrainEnergyDensity",
        MODULI,
        {"strain": STRAIN},
        {
            "active_strain_energy_density": sum(by_volume(STRAIN, True)),
            "inactive_strain_energy_density": 0.0,
        },
    ),
    *(
        Case(
            "LinearIsotropicStrainEnergyDensity",
            MODULI | {"decomposition": "VOLDEV"},
            {"strain": strain},
            {
                "active_strain_energy_density": sum(by_volume(strain, True)),
                "inactive_strain_energy_density": by_volume(strain, False)[0],
            },
            tag,
        )
        for tag, strain in (("opens", STRAIN), ("closes", [-e for e in STRAIN]))
    ),
    Case(
        "LinearIsotropicStrainEnergyDensity",
        {"E": 200.0, "nu": 0.25, "decomposition": "VOLDEV"},
        {"strain": [0.01, -0.01, 0.0, 0.02, 0.0, 0.0]},
        {"active_strain_energy_density": 80 * 6e-4, "inactive_strain_energy_density": 0.0},
        tag="keeps-its-volume",
        smooth=False,
    ),
    *(
        Case(
            "LinearIsotropicStrainEnergyDensity",
            MODULI | {"decomposition": "SPECTRAL"},
            {"strain": turned(*principal)},
            spectral(principal),
            tag,
        )
        for tag, principal in (PRINCIPAL | {"twins": (0.03, -0.02, -0.02)}).items()
    ),
    *(
        Case(
            "LinearIsotropicStrainEnergyDensity",
            MODULI | {"decomposition": "SPECTRAL"},
            {"strain": turned(*principal)},
            spectral(principal),
            tag,
            smooth=False,
        )
        for tag, principal in (("uniaxial", (0.03, 0.0, 0.0)), ("unstrained", (0.0, 0.0, 0.0)))
    ),
    *(
        Case(
            "LinearIsotropicStrainEnergyDensity",
            {
                "K": "bulk",
                "G": 60.0,
                "decomposition": split,
                "strain": "E",
                "active_strain_energy_density": "a",
                "inactive_strain_energy_density": "i",
            },
            {"E": SR2(torch.tensor([STRAIN, [-e for e in STRAIN]], dtype=torch.float64), 1), "bulk": 150.0},
            tag=f"sites-{split}",
        )
        for split in ("NONE", "VOLDEV", "SPECTRAL")
    ),
    Case(
        "LinearIsotropicStrainEnergyDensity",
        {"coefficients": ["young", 0.25], "coefficient_types": ["YOUNGS_MODULUS", "POISSONS_RATIO"]},
        {"strain": [0.01, -0.01, 0.0, 0.02, 0.0, 0.0], "young": 200.0},
        {"active_strain_energy_density": 80 * 6e-4, "inactive_strain_energy_density": 0.0},
        tag="wired",
    ),
]

CASES = [
    *ENERGIES,
    Case("CrackGeometricFunctionAT1", {}, {"phase": 0.3}, {"crack": 0.3}),
    Case("CrackGeometricFunctionAT1", {"phase": "d", "crack": "alpha"}, {"d": SITES}, tag="sites"),
    Case("CrackGeometricFunctionAT2", {}, {"phase": 0.3}, {"crack": 0.09}),
    Case("CrackGeometricFunctionAT2", {"phase": "d", "crack": "alpha"}, {"d": SITES}, tag="sites"),
    Case(
        "PowerDegradationFunction",
        {"power": 2.0, "eta": 0.1},
        {"phase": 0.3},
        {"degradation": 0.9 * 0.49 + 0.1},
    ),
    Case(
        "PowerDegradationFunction",
        {"power": 2.5, "phase": "d", "degradation": "g"},
        {"d": SITES},
        {"g": [0.8**2.5, 0.3**2.5]},
        tag="sites",
    ),
    Case(
        "PowerDegradationFunction",
        {"power": 2.0, "eta": 0.1},
        {"phase": 1.0},
        {"degradation": 0.1},
        tag="broken",
        smooth=False,
    ),
    Case(
        "RationalDegradationFunction",
        SHAPE | {"eta": 0.1},
        {"phase": 0.2},
        {"degradation": 0.9 * 0.64 / (0.64 + 0.8 * (1 - 0.1 - 0.005)) + 0.1},
    ),
    Case(
        "RationalDegradationFunction",
        SHAPE | {"phase": "d", "degradation": "g"},
        {"d": SITES},
        tag="sites",
    ),
    Case(
        "RationalDegradationFunction",
        SHAPE,
        {"phase": 1.0},
        {"degradation": 0.0},
        tag="broken",
        smooth=False,
    ),
]
