"""Reactions of solids."""

from __future__ import annotations

import math

import torch

from neml2.types import Scalar
from tests.models.cases import Case

EPS = torch.finfo(torch.float64).eps
REACTIVITIES = {"liquid_reactivity": 0.8, "solid_reactivity": 0.9}
SHARES = {"wa": 0.3, "wb": 0.5}

CASES = [
    Case(
        "AvramiErofeevNucleation",
        {"coef": 0.5, "order": 2.0},
        {"conversion_degree": 1 - math.exp(-0.3)},
        {"reaction_rate": 0.5 * math.exp(-0.3) * 0.09},
    ),
    Case(
        "AvramiErofeevNucleation",
        {"coef": 0.5, "order": 0.75, "conversion_degree": "a", "reaction_rate": "v"},
        {"a": Scalar(torch.tensor([0.2, 0.6], dtype=torch.float64), 1)},
        {"v": [0.5 * (1 - a) * (-math.log(1 - a)) ** 0.75 for a in (0.2, 0.6)]},
        tag="sites",
    ),
    Case(
        "AvramiErofeevNucleation",
        {"coef": 0.5, "order": 1.5},
        {"conversion_degree": 0.0},
        {"reaction_rate": 0.0},
        tag="unreacted",
        smooth=False,
    ),
    Case(
        "ContractingGeometry",
        {"coef": 0.3, "order": 0.5},
        {"conversion_degree": 0.36},
        {"reaction_rate": 0.3 * 0.8},
    ),
    *(
        Case(
            "ContractingGeometry",
            {"coef": 0.3, "order": 1.5},
            {"conversion_degree": a},
            {"reaction_rate": 0.3 * c**1.5},
            tag,
            smooth=False,
        )
        for tag, a, c in (
            ("before", -0.2, 1 - EPS),
            ("start", 0.0, 1 - EPS),
            ("end", 1.0, EPS),
            ("after", 1.2, EPS),
        )
    ),
    Case(
        "CylindricalChannelGeometry",
        {},
        {"solid_fraction": 0.36, "product_fraction": 0.15},
        {"inner_radius": 0.7, "outer_radius": 0.8},
    ),
    Case(
        "CylindricalChannelGeometry",
        {},
        {"solid_fraction": 0.36, "product_fraction": 0.7},
        {"inner_radius": math.sqrt(EPS), "outer_radius": 0.8},
        tag="full",
        smooth=False,  # another machine epsilon is another value
    ),
    Case(
        "CylindricalChannelGeometry",
        {},
        {"solid_fraction": 0.0, "product_fraction": 0.0},
        {"inner_radius": 1.0, "outer_radius": 1.0},
        tag="empty",
        smooth=False,
    ),
    Case(
        "DiffusionLimitedReaction",
        {"diffusion_coefficient": 2e-3, "molar_volume": 12.0},
        {"product_inner_radius": 0.51, "solid_inner_radius": 0.9, **REACTIVITIES},
        {"reaction_rate": 2 * 2e-3 * 0.72 / 12 * 0.9 / 0.4},
    ),
    Case(
        "DiffusionLimitedReaction",
        {"diffusion_coefficient": 2e-3, "molar_volume": 12.0, "product_dummy_thickness": 0.05},
        {"product_inner_radius": 0.9, "solid_inner_radius": 0.9, **REACTIVITIES},
        {"reaction_rate": 2 * 2e-3 * 0.72 / 12 * 0.9 / 0.05},
        tag="no-product",
    ),
    Case(
        "EffectiveVolume",
        {"reference_mass": 2.5, "mass_fractions": ["wa", "wb"], "densities": [600.0, 1000.0]},
        SHARES,
        {"composite_volume": 2.5e-3},
    ),
    Case(
        "EffectiveVolume",
        {
            "reference_mass": 2.5,
            "open_volume_fraction": "open",
            "mass_fractions": ["wa", "wb"],
            "densities": [600.0, 1000.0],
            "composite_volume": "V",
        },
        SHARES | {"open": 0.2},
        {"V": 2.5e-3 / 0.8},
        tag="open",
    ),
]
