"""Elasticity, plasticity, hardening, annealing and gradients of models."""

from __future__ import annotations

import math

import torch

from neml2.types import SR2, SSR4
from tests.models.cases import Case, Part

STRAIN = [0.012, -0.007, 0.004, 0.009, -0.011, 0.006]
STRESS = [120.0, -45.0, 30.0, 55.0, -20.0, 70.0]
DIRECTION = [0.55, -0.4, -0.15, 0.35, 0.2, -0.45]
BACK_STRESS = [14.0, -8.0, -6.0, 5.0, 9.0, -3.0]
ZERO = [0.0] * 6
KOCKS_MECKING = {"k": 1.38064e-20, "b": 2.474e-7}
WORDS = {
    "E": "YOUNGS_MODULUS",
    "nu": "POISSONS_RATIO",
    "K": "BULK_MODULUS",
    "G": "SHEAR_MODULUS",
    "lam": "LAME_LAMBDA",
    "M": "P_WAVE_MODULUS",
}
STEEL = {"E": 200.0, "nu": 0.28}  # in GPa, and the same solid by its other constants
STEEL |= {"K": 200 / (3 * (1 - 2 * 0.28)), "G": 200 / (2 * 1.28)}
STEEL |= {"lam": STEEL["K"] - 2 / 3 * STEEL["G"], "M": STEEL["K"] + 4 / 3 * STEEL["G"]}

torch.manual_seed(0)
_factor = torch.rand(6, 6, dtype=torch.float64)
STIFFNESS = SSR4(100 * torch.eye(6, dtype=torch.float64) + 20 * (_factor + _factor.T))


def constants(*names: str) -> dict:
    return {"coefficients": [STEEL[n] for n in names], "coefficient_types": [WORDS[n] for n in names]}


def hooke(strain: list[float]) -> list[float]:
    mean = sum(strain[:3]) / 3
    volumetric = [mean] * 3 + [0.0] * 3
    return [3 * STEEL["K"] * v + 2 * STEEL["G"] * (e - v) for e, v in zip(strain, volumetric, strict=True)]


def mises(stress: list[float]) -> float:
    mean = sum(stress[:3]) / 3
    return math.sqrt(1.5 * sum((s - mean) ** 2 for s in stress[:3]) + 1.5 * sum(s * s for s in stress[3:]))


ELASTICITY = [
    *(
        Case(
            "LinearIsotropicElasticity",
            constants(a, b),
            {"strain": STRAIN},
            {"stress": hooke(STRAIN)},
            f"{a}-{b}",
        )
        for i, a in enumerate(WORDS)
        for b in list(WORDS)[i + 1 :]
    ),
    Case(
        "LinearIsotropicElasticity",
        constants("nu", "E") | {"compliance": True, "rate_form": True, "strain": "e", "stress": "s"},
        {"s_rate": hooke(STRAIN)},
        {"e_rate": STRAIN},
        "compliance",
    ),
    Case(
        "LinearIsotropicElasticity",
        {"coefficients": ["nu", "E"], "coefficient_types": ["POISSONS_RATIO", "YOUNGS_MODULUS"]},
        {"strain": STRAIN, "E": STEEL["E"], "nu": STEEL["nu"]},
        {"stress": hooke(STRAIN)},
        "wired",
    ),
    Case(
        "LinearIsotropicElasticity",
        constants("E", "nu"),
        {"strain": SR2(torch.tensor([STRAIN, DIRECTION], dtype=torch.float64), 1)},
        tag="sites",
    ),
    Case(
        "IsotropicElasticityTensor",
        constants("K", "G"),
        {},
        {
            "model": [
                [
                    (STEEL["M"] if i == j else STEEL["lam"]) if i < 3 and j < 3 else 2 * STEEL["G"] * (i == j)
                    for j in range(6)
                ]
                for i in range(6)
            ]
        },
    ),
    Case(
        "IsotropicElasticityTensor",
        {
            "coefficients": ["E", "nu"],
            "coefficient_types": ["YOUNGS_MODULUS", "POISSONS_RATIO"],
            "C": "stiffness",
        },
        {"E": STEEL["E"], "nu": STEEL["nu"]},
        tag="wired",
    ),
    Case("CubicElasticityTensor", constants("E", "nu", "G")),
    Case(
        "CubicElasticityTensor",
        {"coefficients": ["l", "m", "g"], "coefficient_types": [WORDS["lam"], WORDS["M"], WORDS["G"]]},
        {"g": 70.0, "l": 60.0, "m": 210.0},
        {
            "model": [[210, 60, 60, 0, 0, 0], [60, 210, 60, 0, 0, 0], [60, 60, 210, 0, 0, 0]]
            + [[140.0 * (i == j) for j in range(6)] for i in range(3, 6)]
        },
        tag="wired",
    ),
    Case(
        "GeneralElasticity",
        {"elastic_stiffness_tensor": STIFFNESS},
        {"strain": STRAIN, "orientation": [0.21, -0.13, 0.34]},
    ),
    Case(
        "GeneralElasticity",
        {"elastic_stiffness_tensor": STIFFNESS},
        {"strain": STRAIN, "orientation": [0.0, 0.0, 0.0]},
        {"stress": (STIFFNESS @ SR2(torch.tensor(STRAIN, dtype=torch.float64))).data.tolist()},
        "unrotated",
    ),
    Case(
        "GreenLagrangeStrain",
        {},
        {"deformation_gradient": [[1.1, 0.04, -0.03], [0.02, 0.95, 0.06], [-0.05, 0.01, 1.03]]},
    ),
    Case(
        "GreenLagrangeStrain",
        {},  # a quarter turn after stretches by 1.2 and 0.9 and a shear by 0.3
        {"deformation_gradient": [[0.0, -0.9, 0.0], [1.2, 0.3, 0.0], [0.0, 0.0, 1.0]]},
        {"strain": [0.22, (0.81 + 0.09 - 1) / 2, 0.0, 0.0, 0.0, math.sqrt(0.5) * 1.2 * 0.3]},
        "turned",
    ),
    Case(
        "LinearIsotropicElasticJ2TrialStressUpdate",
        constants("E", "G"),
        {
            "elastic_trial_stress": 40.0,
            "equivalent_plastic_strain": 0.07,
            "equivalent_plastic_strain~1": 0.02,
        },
        {"updated_trial_stress": 40.0 - 3 * STEEL["G"] * 0.05},
    ),
]

ANNEALING = [
    *(
        Case(
            f"{kind}TwoStageThermalAnnealing",
            {"T1": 800.0, "T2": 1000.0, "tau": 2.5},
            {"base_rate": rate, "base": base, "temperature": temperature},
            {} if expected is None else {"modified_rate": expected},
            tag,
            constant=("temperature",),
            smooth=temperature not in (800.0, 1000.0),  # batches jump there, and so do T1 and T2
            spread=1e-3,
            wire=False,
        )
        for kind, rate, base in (("Scalar", 3.0, 20.0), ("SR2", STRESS, BACK_STRESS))
        for temperature, tag, expected in (
            (700.0, "hardening", rate),
            (800.0, "first-threshold", 0.0 if kind == "Scalar" else ZERO),
            (900.0, "frozen", 0.0 if kind == "Scalar" else ZERO),
            (1000.0, "second-threshold", -8.0 if kind == "Scalar" else [-x / 2.5 for x in BACK_STRESS]),
            (1100.0, "recovering", None),
        )
    ),
]

YIELD = [
    Case("IsotropicMandelStress", {}, {"cauchy_stress": STRESS}, {"mandel_stress": STRESS}),
    Case(
        "YieldFunction",
        {"yield_stress": 60.0},
        {"effective_stress": 150.0},
        {"yield_function": math.sqrt(2 / 3) * 90.0},
    ),
    Case(
        "YieldFunction",
        {"yield_stress": 0.0, "isotropic_hardening": "k"},
        {"effective_stress": 20.0, "k": 20.0},
        {"yield_function": 0.0},
        "at-yield",
    ),
    Case(
        "GTNYieldFunction",
        {
            "yield_stress": 80.0,
            "q1": 1.5,
            "q2": 0.9,
            "q3": 2.25,
            "flow_invariant": "seq",
            "void_fraction": "f",
        },
        {"seq": 65.0, "poro_invariant": 40.0, "f": 0.12},
        {"yield_function": (65 / 80) ** 2 + 3 * 0.12 * math.cosh(0.9 * 40 / 160) - (1 + 2.25 * 0.12**2)},
    ),
    Case(
        "GTNYieldFunction",
        {"yield_stress": 80.0, "q1": 1.5, "q2": 0.9, "q3": 2.25, "isotropic_hardening": "k"},
        {"flow_invariant": 0.0, "poro_invariant": 0.0, "void_fraction": 0.1, "k": 12.0},
        {"yield_function": 0.3 - (1 + 2.25 * 0.01)},
        "zero-stress",
    ),
    Case(
        "OlevskySinteringStress",
        {"surface_tension": 0.9, "particle_radius": 0.4},
        {"void_fraction": 0.13},
        {"sintering_stress": 3 * 0.9 * 0.13**2 / 0.4},
    ),
    Case(
        "GursonCavitation",
        {},
        {"plastic_strain_rate": STRAIN, "void_fraction": 0.15},
        {"void_fraction_rate": 0.85 * 0.009},
    ),
]

FLOW = [
    Case("AssociativeJ2FlowDirection", {}, {"mandel_stress": STRESS}),
    Case(
        "AssociativeJ2FlowDirection",
        {},
        {"mandel_stress": ZERO},
        {"flow_direction": ZERO},
        "zero",
        smooth=False,
    ),
    Case(
        "AssociativePlasticFlow",
        {},
        {"flow_rate": 0.3, "flow_direction": DIRECTION},
        {"plastic_strain_rate": [0.3 * n for n in DIRECTION]},
    ),
    Case(
        "AssociativeIsotropicPlasticHardening",
        {},
        {"flow_rate": 0.3, "isotropic_hardening_direction": -0.8},
        {"equivalent_plastic_strain_rate": 0.24},
    ),
    Case(
        "AssociativeKinematicPlasticHardening",
        {},
        {"flow_rate": 0.3, "kinematic_hardening_direction": DIRECTION},
        {"kinematic_plastic_strain_rate": [-0.3 * n for n in DIRECTION]},
    ),
    *(
        Case(
            "PerzynaPlasticFlowRate",
            {"reference_stress": 80.0, "exponent": n},
            {"yield_function": f},
            {"flow_rate": (max(f, 0.0) / 80.0) ** n},
            f"{tag}-{n:g}",
            smooth=f != 0,
        )
        for f, tag in ((25.0, "flowing"), (0.0, "at-yield"), (-30.0, "elastic"))
        for n in (1.0, 2.7, 3.0, 0.6)
    ),
]

HARDENING = [
    Case(
        "LinearIsotropicHardening",
        {"hardening_modulus": 900.0},
        {"equivalent_plastic_strain": 0.03},
        {"isotropic_hardening": 27.0},
    ),
    Case(
        "VoceIsotropicHardening",
        {"saturated_hardening": 70.0, "saturation_rate": 9.0},
        {"equivalent_plastic_strain": 0.08},
        {"isotropic_hardening": 70 * (1 - math.exp(-0.72))},
    ),
    *(
        Case(
            "SlopeSaturationVoceIsotropicHardening",
            {"saturated_hardening": R, "initial_hardening_rate": 900.0, "isotropic_hardening": "k"},
            {"flow_rate": 0.2, "k": 11.0},
            {"k_rate": math.copysign(900.0, R) * (1 - 11 / R) * 0.2},
            "hardening" if R > 0 else "softening",
        )
        for R in (70.0, -40.0)
    ),
    *(
        Case(
            "PowerLawIsotropicHardeningStaticRecovery",
            {"tau": 60.0, "n": n},
            {"isotropic_hardening": k},
            {"isotropic_hardening_rate": -math.copysign((abs(k) / 60) ** n, k)},
            f"{k:g}-{n:g}",
            smooth=k != 0,
        )
        for k in (17.0, -17.0, 0.0)
        for n in (1.0, 1.4, 3.0)
    ),
    Case(
        "LinearKinematicHardening",
        {"hardening_modulus": 400.0},
        {"kinematic_plastic_strain": STRAIN},
        {"back_stress": [400 * e for e in STRAIN]},
    ),
    Case(
        "FredrickArmstrongPlasticHardening",
        {"C": 7000.0, "g": 70.0, "back_stress": "X", "back_stress_rate": "Xdot"},
        {"flow_rate": 0.02, "flow_direction": DIRECTION, "X": BACK_STRESS},
        {"Xdot": [0.02 * (2 / 3 * 7000 * n - 70 * x) for n, x in zip(DIRECTION, BACK_STRESS, strict=True)]},
    ),
    Case(
        "ChabochePlasticHardening",
        {"C": 7000.0, "g": 70.0, "A": 1e-2, "a": 2.3},
        {"flow_rate": 0.02, "flow_direction": DIRECTION, "back_stress": BACK_STRESS},
    ),
    Case(
        "ChabochePlasticHardening",
        {"C": 7000.0, "g": 70.0, "A": 1e-2, "a": 1.3},
        {"flow_rate": 0.02, "flow_direction": DIRECTION, "back_stress": ZERO},
        {"back_stress_rate": [0.02 * 2 / 3 * 7000 * n for n in DIRECTION]},
        "zero",
        smooth=False,
    ),
    Case(
        "PowerLawKinematicHardeningStaticRecovery",
        {"tau": 60.0, "n": 3.2},
        {"back_stress": BACK_STRESS},
    ),
    Case(
        "PowerLawKinematicHardeningStaticRecovery",
        {"tau": 60.0, "n": 1.6},
        {"back_stress": ZERO},
        {"back_stress_rate": ZERO},
        "zero",
        smooth=False,
    ),
]

RATE = [
    Case(
        "KocksMeckingActivationEnergy",
        {"shear_modulus": 62e3, "eps0": 1e10, **KOCKS_MECKING},
        {"temperature": 580.0, "strain_rate": 2e-3},
        {"activation_energy": 1.38064e-20 * 580 / (62e3 * 2.474e-7**3) * math.log(1e10 / 2e-3)},
    ),
    Case(
        "KocksMeckingRateSensitivity",
        {"A": -8.5, "shear_modulus": 62e3, **KOCKS_MECKING},
        {"temperature": 580.0},
        {"rate_sensitivity": 62e3 * 2.474e-7**3 / (1.38064e-20 * 580 * 8.5)},
    ),
    Case(
        "KocksMeckingFlowViscosity",
        {"A": -8.5, "B": -0.8, "shear_modulus": 62e3, "eps0": 1e10, **KOCKS_MECKING},
        {"temperature": 580.0},
        {"model": 62e3 * math.exp(-0.8) * 1e10 ** (-8.5 * 1.38064e-20 * 580 / (62e3 * 2.474e-7**3))},
    ),
    Case(
        "KocksMeckingIntercept",
        {"A": -8.5, "B": -0.8, "C": -5.3},
        {},
        {"intercept": 4.5 / 8.5},
    ),
    Case(
        "KocksMeckingYieldStress",
        {"C": -5.3, "shear_modulus": 62e3},
        {},
        {"yield_stress": 62e3 * math.exp(-5.3)},
    ),
    Case(
        "KocksMeckingFlowSwitch",
        {"g0": 0.5, "sharpness": 6.0},
        {"activation_energy": 0.6, "rate_independent_flow_rate": 1.5, "rate_dependent_flow_rate": 0.4},
    ),
    Case(
        "KocksMeckingFlowSwitch",
        {"g0": 0.5},
        {"activation_energy": 0.5, "rate_independent_flow_rate": 1.5, "rate_dependent_flow_rate": 0.4},
        {"flow_rate": 0.95},
        "middle",
    ),
]

OVERSTRESS = Part(
    "SR2LinearCombination", {"from": ["mandel_stress", "X"], "to": "O", "weights": [1.0, -1.0]}, "overstress"
)
VON_MISES = Part(
    "SR2Invariant",
    {"invariant_type": "VONMISES", "tensor": "O", "invariant": "effective_stress"},
    "vonmises",
)
SURFACE = Part("YieldFunction", {"yield_stress": 30.0, "isotropic_hardening": "k"}, "surface")
FLOW_MODEL = Part("ComposedModel", {"models": [OVERSTRESS, VON_MISES, SURFACE]}, "flow")
GRADIENT = {
    "model": FLOW_MODEL,
    "function": "yield_function",
    "from": ["mandel_stress", "k", "X"],
    "to": ["N", "Nk", "NX"],
}
DEVIATOR = [s - 35.0 for s in STRESS[:3]] + STRESS[3:]
NORMAL = [math.sqrt(1.5) * s / mises(STRESS) for s in DEVIATOR]

NORMALITY = [
    Case(
        "Normality",
        GRADIENT,
        {"mandel_stress": STRESS, "X": ZERO, "k": 12.0},
        {"N": NORMAL, "Nk": -math.sqrt(2 / 3), "NX": [-n for n in NORMAL]},
        wire=False,
    ),
    Case(
        "Normality",
        GRADIENT,
        {"mandel_stress": ZERO, "X": ZERO, "k": 12.0},
        {"N": ZERO, "NX": ZERO},
        "zero",
        smooth=False,
        wire=False,
    ),
    Case(
        "Normality",
        GRADIENT,
        {
            "mandel_stress": SR2(torch.tensor([STRESS, BACK_STRESS], dtype=torch.float64), 1),
            "X": BACK_STRESS[::-1],
            "k": 12.0,
        },
        tag="sites",
        wire=False,
    ),
    Case(
        "Normality",
        {
            "model": Part(
                "GTNYieldFunction", {"yield_stress": 80.0, "q1": 1.5, "q2": 0.9, "q3": 2.25}, "gtn"
            ),
            "function": "yield_function",
            "from": ["void_fraction", "poro_invariant"],
            "to": ["df", "dp"],
        },
        {"flow_invariant": 65.0, "poro_invariant": 40.0, "void_fraction": 0.12},
        {
            "df": 3 * math.cosh(0.225) - 2 * 2.25 * 0.12,
            "dp": 3 * 0.12 * 0.9 / 160 * math.sinh(0.225),
        },
        "leaf",
        wire=False,
    ),
]

CASES = [*ELASTICITY, *ANNEALING, *YIELD, *FLOW, *HARDENING, *RATE, *NORMALITY]
