"""Eigenstrains and volume ratios."""

from __future__ import annotations

import torch

from neml2.types import R2, SR2, Scalar
from tests.models.cases import Case

F = [[1.1, 0.04, -0.03], [0.02, 0.95, 0.06], [-0.05, 0.01, 1.03]]
SITES = Scalar(torch.tensor([480.0, 310.0], dtype=torch.float64), 1)
EXPANSION = torch.tensor([2e-5 * 180, 2e-5 * 10], dtype=torch.float64)
GRADIENTS = R2(torch.tensor([F, [[1.0, 0.2, 0.0], [0.0, 1.0, 0.0], [0.1, 0.0, 0.9]]], dtype=torch.float64), 1)
FLUID = {"swelling_coefficient": 0.04, "reference_volume_difference": -0.02}


def isotropic(strain: float) -> list[float]:
    return [strain] * 3 + [0.0] * 3


CASES = [
    Case(
        "ThermalEigenstrain",
        {"reference_temperature": 300.0, "CTE": 2e-5},
        {"temperature": 480.0},
        {"eigenstrain": isotropic(2e-5 * 180)},
    ),
    Case(
        "ThermalEigenstrain",
        {"reference_temperature": 300.0, "CTE": 2e-5, "eigenstrain": "expansion"},
        {"temperature": SITES},
        {"expansion": SR2(EXPANSION[:, None] * torch.tensor(isotropic(1.0), dtype=torch.float64), 1)},
        "sites",
    ),
    Case(
        "VolumeChangeEigenstrain",
        {"reference_volume": 0.8},
        {"volume": 0.8 * 1.03**3},
        {"eigenstrain": isotropic(0.03)},
    ),
    Case(
        "PhaseTransformationEigenstrain",
        {},
        {"phase_fraction": 0.6, "volume_fraction_change": 0.02},
        {"eigenstrain": isotropic(0.012)},
    ),
    Case(
        "ThermalDeformationJacobian",
        {"reference_temperature": 300.0, "CTE": 6e-5},
        {"temperature": 480.0},
        {"jacobian": 1 + 6e-5 * 180},
    ),
    Case(
        "ThermalDeformationJacobian",
        {"reference_temperature": 300.0, "CTE": "a", "jacobian": "J"},
        {"temperature": SITES, "a": 2e-5},
        {"J": Scalar(1 + EXPANSION, 1)},
        "sites",
    ),
    *(
        Case(
            "SwellingAndPhaseChangeDeformationJacobian",
            FLUID | {"phase_fraction": c},
            {"fluid_fraction": 0.3},
            {"jacobian": 1 + 0.3 * (0.04 * c - 0.02 * (1 - c))},
            tag,
        )
        for c, tag in ((0.35, ""), (1.0, "molten"), (0.0, "frozen"))
    ),
    Case(
        "SwellingAndPhaseChangeDeformationJacobian",
        FLUID | {"phase_fraction": "c"},
        {"fluid_fraction": 0.3, "c": Scalar(torch.tensor([0.35, 0.8], dtype=torch.float64), 1)},
        tag="sites",
    ),
    Case(
        "VolumeAdjustDeformationGradient",
        {},
        {"input": F, "jacobian": 1.331},
        {"output": [[x / 1.1 for x in row] for row in F]},
    ),
    Case(
        "VolumeAdjustDeformationGradient",
        {"input": "F", "output": "Fm", "jacobian": "J"},
        {"F": GRADIENTS, "J": 0.729},
        {"Fm": R2(GRADIENTS.data / 0.9, 1)},
        "sites",
    ),
]
