"""Cases of the conditions on stress and strain in ``neml2/models/common/control.py``."""

from __future__ import annotations

from neml2.types import SR2
from tests.models.cases import Case

STRESS = [120.0, -40.0, 25.0, 60.0, -35.0, 15.0]
STRAIN = [0.8e-3, -0.3e-3, 0.5e-3, 0.2e-3, -0.7e-3, 0.4e-3]
FULL_STRESS = [[120.0, 15.0, -35.0], [15.0, -40.0, 60.0], [-35.0, 60.0, 25.0]]
GRADIENT = [[1.01, 0.02, -0.01], [0.03, 0.99, 0.015], [-0.005, 0.025, 1.02]]

CASES = [
    Case(
        "SR2ComponentControl",
        {"stress": "stress", "strain": "strain", "stiffness": 100.0},
        {
            "stress": STRESS,
            "strain": STRAIN,
            "control_stress_weight": SR2.fill(1.0, 0.7, -0.8, 1.0, 0.6, 2.0),
            "control_strain_weight": SR2.fill(0.5, 1.0, 1.0, 0.7, 1.0, -2.0),
            "control_target": [1.1, -0.1, 0.08, 5.0, -0.9, 4.0],
        },
    ),
    Case(
        "SR2ComponentControl",
        {"stress": "stress", "strain": "strain", "stiffness": 1000.0},
        {
            "stress": STRESS,
            "strain": STRAIN,
            "control_stress_weight": SR2.fill(1.0, 0.0, 0.004, 1.0, 0.0, 2.0),
            "control_strain_weight": SR2.fill(0.0, 1.0, 1.0, 0.0, 1.0, 0.0),
            "control_target": [110.0, -0.1e-3, 0.08, 50.0, -0.9e-3, 40.0],
        },
        {
            "control_residual": [
                (120.0 - 110.0) / 1000,
                -0.3e-3 + 0.1e-3,
                (0.004 * 25.0 + 0.5e-3 - 0.08) / (0.004 * 1000 + 1),
                (60.0 - 50.0) / 1000,
                -0.7e-3 + 0.9e-3,
                (2 * 15.0 - 40.0) / 2000,
            ]
        },
        tag="either or",
        smooth=False,
    ),
    Case(
        "R2ComponentControl",
        {
            "stress": "stress",
            "strain": "F",
            "stress_weight": "a",
            "strain_weight": "b",
            "target": "c",
            "residual": "r",
            "stiffness": 50.0,
        },
        {
            "stress": FULL_STRESS,
            "F": GRADIENT,
            "a": [[0.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.02]],
            "b": [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]],
            "c": [[1.05, 0.0, -5.0], [0.0, 10.0, 3.0], [0.0, 0.01, 1.5]],
        },
        {
            "r": [
                [1.01 - 1.05, 15.0 / 50, (-35.0 + 5.0) / 50],
                [0.03, (-40.0 - 10.0) / 50, (60.0 - 3.0) / 50],
                [-0.005, 0.025 - 0.01, (0.02 * 25.0 + 1.02 - 1.5) / 2],
            ]
        },
        tag="either or",
        smooth=False,
    ),
    Case(
        "R2ComponentControl",
        {
            "stress": "stress",
            "strain": "F",
            "stress_weight": "a",
            "strain_weight": "b",
            "target": "c",
            "residual": "r",
            "stiffness": 50.0,
        },
        {
            "stress": FULL_STRESS,
            "F": GRADIENT,
            "a": [[0.3, 1.0, 0.7], [0.2, 1.0, 1.0], [0.5, 0.4, 0.02]],
            "b": [[1.0, 0.3, 0.2], [1.0, 0.6, 0.1], [1.0, 1.0, 1.0]],
            "c": [[1.05, 0.1, -5.0], [0.2, 10.0, 3.0], [0.3, 0.01, 1.5]],
        },
    ),
    Case(
        "SR2ControlPredictor",
        {"strain": "strain"},
        {
            "strain~1": STRAIN,
            "control_stress_weight": SR2.fill(1.0, 0.0, 0.004, 1.0, 0.0, 2.0),
            "control_strain_weight": SR2.fill(0.0, 1.0, 1.0, 0.0, 2.0, 0.0),
            "control_target": [110.0, -0.1e-3, 0.08, 50.0, -0.9e-3, 40.0],
        },
        {"strain": [0.8e-3, -0.1e-3, 0.5e-3, 0.2e-3, -0.45e-3, 0.4e-3]},
        smooth=False,
    ),
    Case(
        "SR2ControlPredictor",
        {"strain": "strain"},
        {
            "strain~1": STRAIN,
            "control_stress_weight": [0.0] * 6,
            "control_strain_weight": SR2.fill(0.5, 1.0, 1.0, 0.7, 1.0, -2.0),
            "control_target": [1.1, -0.1, 0.08, 5.0, -0.9, 4.0],
        },
        tag="all known",
        constant=("control_stress_weight",),
    ),
    Case(
        "R2ControlPredictor",
        {"strain": "F", "stress_weight": "a", "strain_weight": "b", "target": "c"},
        {
            "F~1": GRADIENT,
            "a": [[0.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.02]],
            "b": [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 2.0, 1.0]],
            "c": [[1.05, 0.0, -5.0], [0.0, 10.0, 3.0], [0.0, 0.01, 1.5]],
        },
        {"F": [[1.05, 0.02, -0.01], [0.0, 0.99, 0.015], [0.0, 0.005, 1.02]]},
        smooth=False,
    ),
    Case(
        "R2ControlPredictor",
        {"strain": "F", "stress_weight": "a", "strain_weight": "b", "target": "c"},
        {
            "F~1": GRADIENT,
            "a": [[0.0] * 3] * 3,
            "b": [[1.0, 0.5, 2.0], [1.0, 0.8, 1.0], [-1.0, 2.0, 1.0]],
            "c": [[1.05, 0.01, -0.02], [0.03, 0.8, 0.01], [0.02, 0.01, 1.5]],
        },
        {"F": [[1.05, 0.02, -0.01], [0.03, 1.0, 0.01], [-0.02, 0.005, 1.5]]},
        tag="all known",
        constant=("a",),
    ),
]
