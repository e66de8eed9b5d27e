"""Cohesive zones."""

from __future__ import annotations

import math

import torch

from neml2.types import Scalar
from tests.models.cases import Case

JUMPS = {"tangential_separation_1": 0.006, "tangential_separation_2": -0.004}
STRENGTHS = {"penalty_stiffness": 1200.0, "normal_strength": 14.0, "shear_strength": 18.0}
ENERGIES = {
    "penalty_stiffness": 1200.0,
    "mode_I_fracture_toughness": 0.9,
    "mode_II_fracture_toughness": 1.7,
    "shear_strength": 18.0,
}
BILINEAR = {"penalty_stiffness": 1200.0, "critical_separation": 0.012, "full_separation": 0.11}
EXPONENTIAL = {
    "normal_characteristic_length": 0.02,
    "tangential_characteristic_length": 0.03,
    "normal_strength": 14.0,
    "shear_strength": 18.0,
}
SITES = Scalar(torch.tensor([0.02, 0.05], dtype=torch.float64), 1)


def bilinear(delta: float, old: float) -> dict:
    trial = 0.11 * (delta - 0.012) / (delta * (0.11 - 0.012)) if delta > 0.012 else 0.0
    d = max(old, min(trial, 1.0))
    return {"traction": [1200 * (1 - d) * x for x in (0.008, 0.006, -0.004)], "damage": d}


def exponential(normal: float, penetration: float, old: float) -> dict:
    b = (normal / 0.02, 0.006 / (math.sqrt(2) * 0.03), -0.004 / (math.sqrt(2) * 0.03))
    d = max(old, 1 - math.exp(-b[0] - b[1] ** 2 - b[2] ** 2))
    slide = math.sqrt(2 * math.e) * 18 * (1 - d)
    return {
        "traction": [math.e * 14 * b[0] * (1 - d) + 500 * penetration, slide * b[1], slide * b[2]],
        "damage": d,
    }


MIXED_MODE = [
    Case(
        "ModeMixity",
        {},
        {"normal_separation": 0.008, "tangential_separation": 0.02},
        {"mode_mixity": 2.5},
    ),
    Case(
        "ModeMixity",
        {},
        {"normal_separation": SITES, "tangential_separation": 0.01},
        {"mode_mixity": Scalar(torch.tensor([0.5, 0.2], dtype=torch.float64), 1)},
        "sites",
    ),
    *(
        Case(
            "ModeMixity",
            {},
            {"normal_separation": normal, "tangential_separation": 0.02},
            {"mode_mixity": 0.0},
            f"closed-{normal}",
            smooth=normal < 0,
        )
        for normal in (-0.01, 0.0)
    ),
    *(
        Case(
            "CamanhoDavilaCriticalSeparation",
            STRENGTHS | {"mode_mixity": beta},
            {"normal_separation": normal},
            {"critical_separation": expected},
            tag,
        )
        for beta, normal, expected, tag in (
            (0.0, 0.008, 14 / 1200, "mode I"),
            (1.3, -0.008, 18 / 1200, "closed"),
            (  # tractions K delta (1, beta) / sqrt(1 + beta^2) on the ellipse
                0.75,
                0.008,
                1 / math.hypot(1200 * 0.8 / 14, 1200 * 0.6 / 18),
                "mixed",
            ),
        )
    ),
    Case(
        "CamanhoDavilaCriticalSeparation",
        STRENGTHS | {"mode_mixity": "beta"},
        {"normal_separation": SITES, "beta": 0.75},
        tag="sites",
    ),
    *(
        Case(
            f"{kind}FullSeparation",
            ENERGIES | {"mode_mixity": beta, "critical_separation": 0.012, "eta": eta},
            {"normal_separation": normal},
            {"full_separation": expected},
            tag,
        )
        for kind, mixed in (
            ("BenzeggaghKenane", lambda eta: 0.9 + 0.8 * 0.36**eta),
            ("PowerLaw", lambda eta: ((0.64 / 0.9) ** eta + (0.36 / 1.7) ** eta) ** (-1 / eta)),
        )
        for beta, normal, eta, expected, tag in (
            (0.0, 0.008, 1.8, 2 * 0.9 / (1200 * 0.012), "mode I"),
            (1.3, -0.008, 1.8, 2 * 1.7 / 18, "closed"),
            (0.75, 0.008, 1.8, 2 * mixed(1.8) / (1200 * 0.012), "mixed"),
            (0.75, 0.008, 1.0, 2 * mixed(1.0) / (1200 * 0.012), "linear"),
        )
    ),
    *(
        Case(
            f"{kind}FullSeparation",
            ENERGIES | {"mode_mixity": "beta", "critical_separation": "dc", "eta": 1.8},
            {"normal_separation": SITES, "beta": 0.75, "dc": 0.012},
            tag="sites",
        )
        for kind in ("BenzeggaghKenane", "PowerLaw")
    ),
]

TRACTIONS = [
    *(
        Case(
            "BilinearTraction",
            BILINEAR,
            {"effective_separation": delta, "normal_separation": 0.008, "damage~1": old} | JUMPS,
            bilinear(delta, old),
            tag,
            smooth=tag not in ("at rest", "undamaged", "onset", "failure"),
        )
        for delta, old, tag in (
            (0.0, 0.0, "at rest"),
            (0.009, 0.0, "undamaged"),
            (0.009, 0.1, "elastic"),
            (0.012, 0.0, "onset"),
            (0.05, 0.4, "softening"),
            (0.05, 0.95, "unloading"),
            (0.11, 0.4, "failure"),
            (0.13, 0.4, "broken"),
        )
    ),
    Case(
        "BilinearTraction",
        {
            "penalty_stiffness": 1200.0,
            "critical_separation": "dc",
            "full_separation": "df",
            "normal_penetration": "pen",
            "damage": "D",
        },
        {
            "effective_separation": 0.05,
            "normal_separation": 0.0,
            "pen": -0.003,
            "D~1": 0.4,
            "dc": 0.012,
            "df": 0.11,
        }
        | JUMPS,
        {
            "traction": [-3.6, *bilinear(0.05, 0.4)["traction"][1:]],
            "D": bilinear(0.05, 0.4)["damage"],
        },
        "pressed",
    ),
    *(
        Case(
            "BilinearTraction",
            BILINEAR | {"full_separation": full},
            {"effective_separation": delta, "normal_separation": 0.008, "damage~1": 0.2} | JUMPS,
            {"damage": d},
            f"brittle-{full}-{delta}",
            smooth=delta != 0.012,
            spread=1e-3,  # no point of the batch at the jump
            step=1e-3,
        )
        for full in (0.01, 0.012)
        for delta, d in ((0.0, 0.2), (0.011, 0.2), (0.012, 1.0), (0.014, 1.0))
    ),
    Case(
        "BilinearTraction",
        BILINEAR,
        {"effective_separation": SITES, "normal_separation": 0.008, "damage~1": 0.4} | JUMPS,
        tag="sites",
    ),
    Case(
        "OrthotropicLinearTraction",
        {"normal_stiffness": 1200.0, "tangential_stiffness": 700.0},
        {"normal_separation": 0.008} | JUMPS,
        {"traction": [9.6, 4.2, -2.8]},
    ),
    *(
        Case(
            "OrthotropicLinearTraction",
            {"normal_stiffness": 1200.0, "tangential_stiffness": 700.0, "normal_penetration": "pen"} | extra,
            {"normal_separation": SITES if extra else 0.008, "pen": -0.003} | JUMPS,
            {} if extra else {"traction": [9.6, 4.2, -2.8]},
            tag,
        )
        for extra, tag in (({"penalty_stiffness": 5000.0}, "pressed"), ({}, "pressed without resistance"))
    ),
    *(
        Case(
            "SalehaniIraniTraction",
            EXPONENTIAL,
            {"normal_separation": normal, "damage~1": old} | JUMPS,
            exponential(normal, 0.0, old),
            tag,
            step=1e-2 * (normal or 0.01),  # the size of a separation of zero is 1
        )
        for normal, old, tag in ((0.015, 0.2, "loading"), (0.015, 0.7, "unloading"), (0.0, 0.0, "sliding"))
    ),
    Case(
        "SalehaniIraniTraction",
        EXPONENTIAL,
        {
            "normal_separation": 0.0,
            "tangential_separation_1": 0.0,
            "tangential_separation_2": 0.0,
            "damage~1": 0.0,
        },
        {"traction": [0.0, 0.0, 0.0], "damage": 0.0},
        "at rest",
        smooth=False,
    ),
    Case(
        "SalehaniIraniTraction",
        EXPONENTIAL | {"normal_penetration": "pen", "penalty_stiffness": 500.0, "damage": "D"},
        {"normal_separation": 0.0, "pen": -0.003, "D~1": 0.0} | JUMPS,
        {
            "traction": exponential(0.0, -0.003, 0.0)["traction"],
            "D": exponential(0.0, 0.0, 0.0)["damage"],
        },
        "pressed",
        step=1e-4,
    ),
    Case(
        "SalehaniIraniTraction",
        EXPONENTIAL,
        {"normal_separation": SITES, "damage~1": 0.2} | JUMPS,
        tag="sites",
    ),
]

CASES = MIXED_MODE + TRACTIONS
