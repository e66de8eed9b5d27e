"""Slip, hardening, kinematics of the lattice, and predictors of crystal plasticity."""

from __future__ import annotations

import math

import torch

from neml2.types import MRP, R2, SR2, SSR4, MillerIndex, Scalar, euler_rodrigues
from tests.models.cases import Case, Part

NUMBERS = {"dtype": torch.float64}


def cubic(directions: list, planes: list, name: str = "crystal_geometry") -> Part:
    indices = {
        "slip_directions": MillerIndex(torch.tensor(directions, **NUMBERS)),
        "slip_planes": MillerIndex(torch.tensor(planes, **NUMBERS)),
    }
    return Part("CubicCrystal", {"lattice_parameter": 0.36, **indices}, name)


FCC = {"crystal_geometry": cubic([1, 1, 0], [1, 1, 1])}
BCC = {"crystal_geometry": cubic([[1, 1, 1], [1, 1, 1]], [[1, 1, 0], [1, 1, 2]], "bcc")}
# one plane and three directions in it
THREE = {"crystal_geometry": cubic([1, 0, 0], [0, 1, 0], "three")}

STRAIN = [0.0012, -0.0007, 0.0004, 0.0009, -0.0011, 0.0006]
STRESS = [120.0, -45.0, 30.0, 55.0, -20.0, 70.0]
RATE = [0.55, -0.4, -0.15, 0.35, 0.2, -0.45]
SPIN = [0.3, -0.2, 0.5]
R = [0.21, -0.13, 0.34]
Q = euler_rodrigues(MRP(torch.tensor(R, **NUMBERS)))
ONE = torch.eye(3, **NUMBERS)
GRAINS = R2(torch.stack([Q.data, Q.data.mT]), 1)  # two grains
SLIP = Scalar(
    torch.tensor([0.4, -0.3, 0.2, 0.7, -0.6, 0.1, 0.25, -0.15, 0.05, 0.35, -0.45, 0.55], **NUMBERS), 1
)
TWO = Scalar(torch.stack([SLIP.data, SLIP.data.flip(0)]), 2)  # in two grains
STIFFNESS = SSR4(
    torch.diag(torch.tensor([100.0] * 3 + [150.0] * 3, **NUMBERS)) + 60 * torch.ones(6, 6, **NUMBERS)
)


def mandel(a: list[list[float]]) -> list[float]:
    return [a[0][0], a[1][1], a[2][2]] + [
        math.sqrt(0.5) * (a[i][j] + a[j][i]) for i, j in ((1, 2), (0, 2), (0, 1))
    ]


SYSTEMS = [
    Case("ResolvedShear", FCC, {"stress": STRESS, "orientation_matrix": Q}),
    Case("ResolvedShear", BCC, {"stress": STRESS, "orientation_matrix": Q}, tag="24 systems"),
    Case(
        "ResolvedShear",
        THREE,  # the directions are the axes, and so are the planes: the shear stresses, each twice
        {"stress": STRESS, "orientation_matrix": ONE.tolist()},
        {
            "resolved_shears": Scalar(
                torch.tensor([STRESS[i] for i in (5, 4, 3, 5, 3, 4)], **NUMBERS) / math.sqrt(2), 1
            )
        },
        "shears",
    ),
    Case("ResolvedShear", FCC, {"stress": STRESS, "orientation_matrix": GRAINS}, tag="grains"),
    *(
        Case(
            "PowerLawSlipRule",
            {"gamma0": 0.08, "n": n},
            {"resolved_shears": tau, "slip_strengths": 40.0},
            {"slip_rates": math.copysign(0.08 * abs(tau / 40) ** n, tau)},
            f"{n}-{tau}",
            step=1e-3,
        )
        for n, tau in ((9.0, 33.0), (4.3, -47.0), (1.0, 20.0), (0.5, 20.0))
    ),
    Case(
        "PowerLawSlipRule",
        {"gamma0": "g", "n": "n"},
        {"resolved_shears": SLIP, "slip_strengths": 0.6, "g": 0.1, "n": 5.0},
        tag="systems",
        step=1e-3,
    ),
    *(
        Case(
            "PowerLawSlipRule",
            {"gamma0": 0.08, "n": n},
            {"resolved_shears": 0.0, "slip_strengths": 40.0},
            {"slip_rates": 0.0},
            f"{n}-at rest",
            smooth=False,  # the second derivative jumps, or the slope of n does
        )
        for n in (1.0, 1.5, 2.0, 9.0)
    ),
    Case("SumSlipRates", {}, {"slip_rates": SLIP}, {"sum_slip_rates": float(SLIP.data.abs().sum())}),
    Case("SumSlipRates", {}, {"slip_rates": TWO}, tag="grains"),
    Case(
        "SumSlipRates",
        {},
        {"slip_rates": Scalar(torch.tensor([0.3, 0.0, -0.2], **NUMBERS), 1)},
        {"sum_slip_rates": 0.5},
        "one at rest",
        smooth=False,
    ),
]

HARDENING = [
    Case(
        "SingleSlipStrengthMap",
        FCC | {"constant_strength": 38.0},
        {"slip_hardening": 7.0},
        {"slip_strengths": Scalar(torch.full((12,), 45.0, **NUMBERS), 1)},
    ),
    Case(
        "SingleSlipStrengthMap",
        THREE | {"constant_strength": 38.0},
        {"slip_hardening": Scalar(torch.tensor([7.0, 9.0], **NUMBERS), 1)},
        {"slip_strengths": Scalar(torch.tensor([[45.0] * 6, [47.0] * 6], **NUMBERS), 2)},
        "grains",
    ),
    Case(
        "DislocationObstacleStrengthMap",
        {"constant_strength": 12.0, "alpha": 0.3, "mu": 50.0, "b": 0.25},
        {"dislocation_density": 16.0},
        {"slip_strengths": 12 + 0.3 * 50 * 0.25 * 4},
    ),
    Case(
        "DislocationObstacleStrengthMap",
        {"constant_strength": 12.0, "alpha": "a", "mu": 50.0, "b": "burgers"},
        {"dislocation_density": Scalar(1 + SLIP.data, 1), "a": 0.3, "burgers": 0.25},
        tag="systems",
    ),
    Case(
        "VoceSingleSlipHardeningRule",
        {"initial_slope": 420.0, "saturated_hardening": 65.0},
        {"slip_hardening": 13.0, "sum_slip_rates": 0.4},
        {"slip_hardening_rate": 420 * 0.8 * 0.4},
    ),
    Case(
        "LinearSingleSlipHardeningRule",
        {"hardening_slope": 300.0},
        {"slip_hardening": 13.0, "sum_slip_rates": 0.4},
        {"slip_hardening_rate": 120.0},
    ),
    Case(
        "PerSlipForestDislocationEvolution",
        {"k1": 8.0, "k2": 3.0},
        {"dislocation_density": 4.0, "slip_rates": -0.5},
        {"dislocation_density_rate": (8 * 2 - 3 * 4) * 0.5},
    ),
    Case(
        "PerSlipForestDislocationEvolution",
        {"k1": 8.0, "k2": "k", "dislocation_density": "rho"},
        {"rho": Scalar(1 + SLIP.data, 1), "slip_rates": SLIP, "k": 3.0},
        tag="systems",
    ),
]

KINEMATICS = [
    *(
        Case(kind, crystal, {"orientation_matrix": Q, "slip_rates": rates}, tag=tag)
        for kind in ("PlasticDeformationRate", "PlasticVorticity", "PlasticSpatialVelocityGradient")
        for crystal, rates, tag in (
            (FCC, SLIP, ""),
            (BCC, Scalar(torch.cat([SLIP.data, -0.5 * SLIP.data]), 1), "24 systems"),
            (FCC, TWO, "grains"),
        )
    ),
    Case(
        "PlasticSpatialVelocityGradient",
        THREE,  # x on planes normal to y, and so on: each component off the diagonal is a slip rate
        {"orientation_matrix": ONE.tolist(), "slip_rates": Scalar(torch.arange(1.0, 7.0, **NUMBERS), 1)},
        {"plastic_spatial_velocity_gradient": [[0.0, 1.0, 2.0], [4.0, 0.0, 3.0], [6.0, 5.0, 0.0]]},
        "shears",
    ),
    Case(
        "PlasticDeformationRate",
        THREE,
        {"orientation_matrix": ONE.tolist(), "slip_rates": Scalar(torch.arange(1.0, 7.0, **NUMBERS), 1)},
        {"plastic_deformation_rate": [0.0, 0.0, 0.0, *(math.sqrt(0.5) * d for d in (3 + 5, 2 + 6, 1 + 4))]},
        "shears",
    ),
    Case(
        "PlasticVorticity",
        THREE,
        {"orientation_matrix": ONE.tolist(), "slip_rates": Scalar(torch.arange(1.0, 7.0, **NUMBERS), 1)},
        {"plastic_vorticity": [(5 - 3) / 2, (2 - 6) / 2, (4 - 1) / 2]},
        "shears",
    ),
    Case(
        "ElasticStrainRate",
        {},
        {
            "elastic_strain": STRAIN,
            "deformation_rate": RATE,
            "vorticity": SPIN,
            "plastic_deformation_rate": STRESS,
        },
    ),
    Case(
        "ElasticStrainRate",
        {},  # a strain e_x e_x in a frame that spins about z turns towards xy
        {
            "elastic_strain": [0.01, 0.0, 0.0, 0.0, 0.0, 0.0],
            "deformation_rate": [0.0] * 6,
            "vorticity": [0.0, 0.0, 0.5],
            "plastic_deformation_rate": [0.0] * 6,
        },
        {"elastic_strain_rate": [0.0, 0.0, 0.0, 0.0, 0.0, math.sqrt(2) * 0.01 * 0.5]},
        "spin",
    ),
    Case(
        "OrientationRate",
        {},
        {
            "elastic_strain": STRAIN,
            "vorticity": SPIN,
            "plastic_deformation_rate": RATE,
            "plastic_vorticity": R,
        },
    ),
    Case(
        "OrientationRate",
        {},  # shear across a strain e_x e_x turns the lattice about z
        {
            "elastic_strain": [0.01, 0.0, 0.0, 0.0, 0.0, 0.0],
            "vorticity": SPIN,
            "plastic_deformation_rate": [0.0, 0.0, 0.0, 0.0, 0.0, math.sqrt(2) * 0.4],
            "plastic_vorticity": R,
        },
        {"orientation_rate": [SPIN[0] - R[0], SPIN[1] - R[1], SPIN[2] - R[2] + 0.01 * 0.4]},
        "shear",
    ),
    Case(
        "OrientationRate",
        {},  # coaxial: the spins alone
        {
            "elastic_strain": SR2(torch.tensor([STRAIN, RATE], **NUMBERS), 1),
            "vorticity": SPIN,
            "plastic_deformation_rate": SR2(torch.tensor([STRAIN, RATE], **NUMBERS), 1),
            "plastic_vorticity": R,
        },
        tag="grains",
    ),
    Case("FixOrientation", {}, {"input": R}, {"output": R}, "inside"),
    Case("FixOrientation", {}, {"input": [0.0, 0.0, 0.0]}, {"output": [0.0, 0.0, 0.0]}, "identity"),
    Case("FixOrientation", {}, {"input": [1.6, 0.0, -1.2]}, {"output": [-0.4, 0.0, 0.3]}, "outside"),
    Case(
        "FixOrientation",
        {"threshold": 0.1},
        {
            "input": R,
        },
        tag="threshold",
    ),
]

PREDICTORS = [  # not smooth: nothing is differentiated through the guesses
    *(
        Case(
            "CrystalPlasticityStrainPredictor",
            {"scale": 0.1, "threshold": threshold},
            {"deformation_rate": RATE, "t": 2.5, "t~1": 2.0, "elastic_strain~1": STRAIN},
            {"elastic_strain": guess},
            tag,
            smooth=False,
        )
        for threshold, guess, tag in (
            (1e-2, [e + 0.05 * d for e, d in zip(STRAIN, RATE, strict=True)], "elastic"),
            (1e-3, STRAIN, "yielded"),
        )
    ),
    Case(
        "CrystalPlasticityDeformationGradientPredictor",
        {},
        {
            "deformation_gradient": [[1.1, 0.04, -0.03], [0.02, 0.95, 0.06], [-0.05, 0.01, 1.03]],
            "plastic_deformation_gradient~1": [[1.02, 0.01, 0.0], [0.0, 0.99, 0.02], [-0.01, 0.0, 1.0]],
        },
        tag="large",
        smooth=False,
    ),
    Case(
        "CrystalPlasticityDeformationGradientPredictor",
        {"scale": 0.5},
        {
            "deformation_gradient": [[1.2, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.9]],
            "plastic_deformation_gradient~1": ONE.tolist(),
        },
        {"plastic_deformation_gradient": [[1.2 / 1.1, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.9 / 0.95]]},
        "stretch",
        smooth=False,
    ),
    Case(
        "CrystalPlasticityDeformationGradientPredictor",
        {"threshold": 0.5},
        {
            "deformation_gradient": (1.1 * ONE).tolist(),
            "plastic_deformation_gradient~1": (1.02 * ONE).tolist(),
        },
        {"plastic_deformation_gradient": (1.02 * ONE).tolist()},
        "small",
        smooth=False,
    ),
    Case(
        "SlipSystemElasticInteraction",
        FCC | {"elastic_stiffness_tensor": STIFFNESS},
        {"orientation": R, "t": 2.5, "t~1": 2.0},
    ),
    Case(
        "SlipSystemElasticInteraction",
        THREE | {"elastic_stiffness_tensor": "C"},
        {"orientation": R, "t": 2.5, "t~1": 2.0, "C": SSR4(300 * torch.eye(6, **NUMBERS))},
        {
            "coupling": Scalar(  # 150 t on the diagonal, and between a slip system and the one across it
                torch.tensor(
                    [[75.0 * (a == b) for b in (0, 1, 2, 0, 2, 1)] for a in (0, 1, 2, 0, 2, 1)], **NUMBERS
                ),
                2,
            )
        },
        "isotropic",
    ),
]

CASES = [*SYSTEMS, *HARDENING, *KINEMATICS, *PREDICTORS]
