"""Fluxes between cells, conditions at the ends, sources in cells, and stretched axes."""

from __future__ import annotations

import math

import torch

from neml2.types import Scalar
from tests.models.cases import Case


def over(*values: float) -> Scalar:
    """Values per site."""
    return Scalar(torch.tensor(values, dtype=torch.float64), 1)


EDGES = over(0.0, 0.1, 0.25, 0.45, 0.8)
CENTERS = over(0.05, 0.175, 0.35, 0.625)
CELLS = over(0.7, 1.3, -0.4, 0.9)
MESH = {"cell_centers": CENTERS, "cell_edges": EDGES}
COLUMNS = Scalar(torch.stack([CELLS.data, CELLS.data.flip(0), 2 * CELLS.data], -1), 2)  # (cells, three)

FLUXES = [
    Case(
        "LinearlyInterpolateToCellEdges",
        MESH | {"cell_values": "q"},
        {"q": CELLS},
        {"edge_values": over(0.7 + 0.4 * 0.6, 1.3 - 1.7 * 3 / 7, -0.4 + 1.3 * 4 / 11)},
    ),
    Case("LinearlyInterpolateToCellEdges", MESH | {"cell_values": CELLS}, tag="held"),
    Case(
        "LinearlyInterpolateToCellEdges",
        {
            "cell_centers": [0.05, 0.175, 0.35, 0.625],
            "cell_edges": [0.0, 0.1, 0.25, 0.45, 0.8],
            "cell_values": "q",
        },
        {"q": CENTERS},
        {"edge_values": over(0.1, 0.25, 0.45)},
        tag="lists",
    ),
    Case(
        "FiniteVolumeGradient",
        {"dx": over(0.125, 0.175, 0.275), "prefactor": over(0.5, 2.0, 1.5)},
        {"u": CELLS},
        {"grad_u": over(-0.5 * 0.6 / 0.125, 2 * 1.7 / 0.175, -1.5 * 1.3 / 0.275)},
    ),
    Case(
        "FiniteVolumeGradient", {"dx": 0.2}, {"u": CELLS}, {"grad_u": over(-3.0, 8.5, -6.5)}, tag="even mesh"
    ),
    Case("FiniteVolumeGradient", {"dx": 0.2, "prefactor": 1.7}, {"u": COLUMNS}, tag="columns"),
    Case(
        "FiniteVolumeGradient",
        {"dx": over(0.125, 0.175, 0.275), "prefactor": "D"},
        {"u": CELLS, "D": 0.6},
        tag="one diffusivity",
    ),
    Case(
        "FiniteVolumeUpwindedAdvectiveFlux",
        {},
        {"u": CELLS, "v_edge": over(0.5, -0.8, 0.3)},
        {"flux": over(0.5 * 0.7, 0.8 * 0.4, -0.3 * 0.4)},
    ),
    Case(
        "FiniteVolumeUpwindedAdvectiveFlux",
        {},
        {"u": CELLS, "v_edge": over(0.5, 0.0, 0.3)},
        {"flux": over(0.35, 0.0, -0.12)},
        tag="at rest",
        smooth=False,
    ),
    Case("FiniteVolumeUpwindedAdvectiveFlux", {}, {"u": COLUMNS, "v_edge": -0.4}, tag="columns"),
]

BOUNDARIES = [
    Case(
        "FiniteVolumeAppendBoundaryCondition",
        {"bc_value": 0.15},
        {"input": CELLS},
        {"input_with_bc_left": over(0.15, 0.7, 1.3, -0.4, 0.9)},
    ),
    Case(
        "FiniteVolumeAppendBoundaryCondition",
        {"input": "J", "bc_value": -2.0, "side": "right"},
        {"J": CELLS},
        {"J_with_bc_right": over(0.7, 1.3, -0.4, 0.9, -2.0)},
        tag="right",
    ),
    Case(
        "FiniteVolumeAppendBoundaryCondition",
        {"input": "J", "bc_value": "inflow", "output": "longer"},
        {"J": CELLS, "inflow": 0.3},
        {"longer": over(0.3, 0.7, 1.3, -0.4, 0.9)},
        tag="varying",
    ),
    Case("FiniteVolumeAppendBoundaryCondition", {"bc_value": 1.0}, {"input": COLUMNS}, tag="columns"),
]

SOURCES = [
    Case(
        "SmearedDeltaSource",
        {"width": 0.2, "cell_centers": CENTERS},
        {"magnitude": 1.4, "location": 0.175},
        {
            "state/smeared_source": over(
                *(
                    1.4 / (0.2 * math.sqrt(2 * math.pi)) * math.exp(-0.5 * ((x - 0.175) / 0.2) ** 2)
                    for x in CENTERS.data.tolist()
                )
            )
        },
    ),
    Case(
        "SmearedDeltaSource",
        {"width": "w", "cell_centers": "x", "smeared_source": "s"},
        {"magnitude": 1.4, "location": 0.3, "w": 0.2, "x": CENTERS},
        tag="wired",
    ),
    Case(
        "DumpInSmallestBin",
        {"cell_centers": CENTERS},
        {"magnitude": 1.4},
        {"state/dumped_source": over(1.4, 0.0, 0.0, 0.0)},
    ),
    Case(
        "DumpInSmallestBin",
        {"cell_centers": [0.3, 0.7], "dumped_source": "s"},
        {"magnitude": -0.4},
        {"s": over(-0.4, 0.0)},
        tag="list",
    ),
    Case("SemiInfiniteCoordinateTransform", {"shift": 1.5}, {"coordinate": 4.5}, {"state/x_hat": 0.75}),
    Case(
        "SemiInfiniteCoordinateTransform",
        {"shift": "s", "transformed_coordinate": "xi"},
        {"coordinate": CENTERS, "s": 0.35},
        tag="cells",
    ),
]

CASES = FLUXES + BOUNDARIES + SOURCES
