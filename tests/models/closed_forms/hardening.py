"""Closed forms of elasticity, of hardening and its recovery, and of voids."""

from __future__ import annotations

import math

import torch

from neml2 import models
from neml2.composed import ComposedModel
from neml2.types import MRP, R2, SR2, SSR4, Scalar, euler_rodrigues, rotate
from tests.models.closed_forms.form import EXACT, F64, ClosedForm, last, ode, relative, run
from tests.models.closed_forms.plasticity import ELASTICITY, NU, E, G


def frederick_armstrong(n):
    law = models.FredrickArmstrongPlasticHardening(C=150.0, g=4.0, back_stress="y", back_stress_rate="y_rate")
    N = torch.tensor([1.0, -0.5, -0.5, 0.0, 0.0, 0.0], dtype=F64)
    found = run(ode(SR2, law), 1.0, n, {"y": SR2(0 * N)}, flow_rate=0.5, flow_direction=N)
    return relative(last(found, "y"), 2 / 3 * 150 / 4 * (1 - math.exp(-4 * 0.5)) * N)


def chaboche_recovery(n):
    """Without flow |X|^(1 - a) grows linearly."""
    law = models.ChabochePlasticHardening(
        C=150.0, g=4.0, A=0.02, a=2.5, back_stress="y", back_stress_rate="y_rate"
    )
    X = torch.tensor([6.0, -2.0, -4.0, 3.0, 0.0, 1.0], dtype=F64)
    found = run(ode(SR2, law), 3.0, n, {"y": SR2(X)}, flow_rate=0.0, flow_direction=0 * X)
    size = float(X.norm())
    return relative(last(found, "y"), X / size * (size**-1.5 + 1.5 * 0.02 * 3.0) ** (-1 / 1.5))


def isotropic_recovery(n):
    law = models.PowerLawIsotropicHardeningStaticRecovery(
        tau=4.0, n=3.0, isotropic_hardening="y", isotropic_hardening_rate="y_rate"
    )
    found = run(ode(Scalar, law), 2.0, n, {"y": 5.0})
    return relative(last(found, "y"), (5.0**-2 + 2 * 2.0 / 4.0**3) ** -0.5)


def kinematic_recovery(n):
    law = models.PowerLawKinematicHardeningStaticRecovery(
        tau=4.0, n=3.0, back_stress="y", back_stress_rate="y_rate"
    )
    X = torch.tensor([3.0, -1.0, -2.0, 1.5, 0.0, 0.5], dtype=F64)
    found = run(ode(SR2, law), 2.0, n, {"y": SR2(X)})
    size = float(X.norm())
    return relative(last(found, "y"), X / size * (size**-2 + 2 * 2.0 / 4.0**3) ** -0.5)


def hardening_in_rate_form(n):
    law = models.SlopeSaturationVoceIsotropicHardening(
        saturated_hardening=70.0,
        initial_hardening_rate=900.0,
        isotropic_hardening="y",
        isotropic_hardening_rate="y_rate",
    )
    found = run(ode(Scalar, law), 0.1, n, {"y": 0.0}, flow_rate=0.8)
    return relative(last(found, "y"), 70 * (1 - math.exp(-900 / 70 * 0.08)))


def annealing(n):
    """Above the second temperature hardening decays; between both it stands."""
    law = models.ScalarTwoStageThermalAnnealing(
        T1=800.0, T2=1000.0, tau=0.7, base_rate="r", base="y", temperature="T", modified_rate="y_rate"
    )
    found = run(
        ode(Scalar, law),
        1.0,
        2 * n,
        {"y": 5.0},
        r=3.0,
        T=lambda t: torch.where(t < 0.5 + 1e-9, 900.0, 1100.0).double(),
    )
    return relative(last(found, "y"), 5 * math.exp(-0.5 / 0.7))


def voids(n):
    """Solid is neither lost nor made: 1 - f falls as the volume grows."""
    law = models.GursonCavitation(void_fraction="y", void_fraction_rate="y_rate")
    rate = torch.tensor([0.5, 0.3, -0.1, 0.2, 0.0, 0.4], dtype=F64)
    found = run(ode(Scalar, law), 0.5, n, {"y": 0.02}, plastic_strain_rate=rate)
    return relative(last(found, "y"), 1 - 0.98 * math.exp(-0.35))


def sintering(n):
    """F' = -c f^2 (1 - f): t = [1/f - ln(f/(1 - f))]/c, for a solid of constant bulk viscosity."""
    stress = models.OlevskySinteringStress(
        surface_tension=0.6, particle_radius=0.9, void_fraction="y", name="stress"
    )
    rate = models.ScalarToDiagonalSR2(input="shrink", output="plastic_strain_rate", name="tensor")
    shrink = models.ScalarMultiplication(
        **{"from": "sintering_stress", "to": "shrink", "scaling": -0.5}, name="shrink"
    )
    law = models.GursonCavitation(void_fraction="y", void_fraction_rate="y_rate", name="law")
    c = 3 * 0.5 * 3 * 0.6 / 0.9
    clock = lambda f: (1 / f - math.log(f / (1 - f))) / c  # noqa: E731
    duration = clock(0.12) - clock(0.3)
    found = run(ode(Scalar, stress, shrink, rate, law), duration, n, {"y": 0.3})
    return relative(last(found, "y"), 0.12)


def gurson_surface(n):
    """In shear and under pressure alone the stress at yield is known."""
    gtn = models.GTNYieldFunction(yield_stress=0.3, q1=1.5, q2=0.9, q3=2.25)
    f = torch.linspace(0.001, 0.2, n, dtype=F64)
    shears = 0.3 * torch.sqrt(1 + 2.25 * f**2 - 3.0 * f)
    pressures = 2 * 0.3 / 0.9 * torch.acosh((1 + 2.25 * f**2) / (3.0 * f))
    zero = 0 * f
    values = [gtn(Scalar(shears), Scalar(zero), Scalar(f)), gtn(Scalar(zero), Scalar(pressures), Scalar(f))]
    return max(float(v.data.detach().abs().max()) for v in values)


def cubic_crystal(n):
    """Young's modulus along the cube's edge, face and body diagonal, and between them."""
    S11, S12, S44 = 9.8e-3, -3.7e-3, 8.6e-3
    S = torch.zeros(6, 6, dtype=F64)
    S[:3, :3] = S12
    for i in range(6):
        S[i, i] = S11 if i < 3 else S44 / 2
    stiffness = SSR4(torch.linalg.inv(S))
    generator = torch.Generator().manual_seed(n)
    r = MRP.rand(n, generator=generator)
    model = models.GeneralElasticity(elastic_stiffness_tensor=stiffness)
    Q = euler_rodrigues(r)
    turned = rotate(SSR4(S), Q).data
    strain = SR2(turned[..., 0])  # of a unit stress xx
    unit = torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=F64)
    along = Q.data[:, 0, :]  # the axis of tension in the crystal
    J = (along[:, 0] * along[:, 1]) ** 2 + (along[:, 1] * along[:, 2]) ** 2 + (along[:, 2] * along[:, 0]) ** 2
    exact = S11 - 2 * (S11 - S12 - S44 / 2) * J
    stress = model(strain, r).data
    return max(relative(stress, unit.expand(n, 6)), relative(strain.data[:, 0], exact))


def finite_simple_shear(n):
    """S = lambda tr(E) I + 2 G E, with the shear gamma / 2 and the stretch gamma^2 / 2 along y in E."""
    gamma = torch.linspace(0.1, 2.0, n, dtype=F64)
    F = torch.eye(3, dtype=F64).repeat(n, 1, 1)
    F[:, 0, 1] = gamma
    solid = ComposedModel(
        [
            models.GreenLagrangeStrain(strain="e", name="e"),
            models.LinearIsotropicElasticity(**ELASTICITY, strain="e", name="elasticity"),
        ]
    )
    S = solid.call_by_name({"deformation_gradient": R2(F)})["stress"].physical()
    lame = E * NU / (1 + NU) / (1 - 2 * NU)
    exact = torch.zeros(n, 6, dtype=F64)
    exact[:, :3] = lame * gamma[:, None] ** 2 / 2
    exact[:, 1] += G * gamma**2
    exact[:, 5] = G * gamma
    return relative(S, exact)


FORMS = [
    ClosedForm(
        "a back stress that saturates", r"X = \tfrac{2C}{3g}(1 - e^{-g\gamma}) N", 1, frederick_armstrong
    ),
    ClosedForm(
        "recovery of a Chaboche back stress",
        r"\lVert X\rVert^{1-a} = \lVert X_0\rVert^{1-a} + (a - 1) A t",
        1,
        chaboche_recovery,
    ),
    ClosedForm(
        "recovery of isotropic hardening", r"k^{1-n} = k_0^{1-n} + (n - 1) t/\tau^n", 1, isotropic_recovery
    ),
    ClosedForm(
        "recovery of kinematic hardening",
        r"\lVert X\rVert^{1-n} = \lVert X_0\rVert^{1-n} + (n - 1) t/\tau^n",
        1,
        kinematic_recovery,
    ),
    ClosedForm("hardening in rate form", r"k = R (1 - e^{-\theta\gamma/R})", 1, hardening_in_rate_form),
    ClosedForm("annealing", r"h = h_0 e^{-t/\tau}", 1, annealing),
    ClosedForm("growth of voids", r"1 - f = (1 - f_0) e^{-\mathrm{tr}\,\varepsilon}", 1, voids),
    ClosedForm("sintering", r"1/f - \ln(f/(1 - f)) = ct + \text{const}", 1, sintering),
    ClosedForm(
        "Gurson's surface in shear and under pressure",
        r"q = \sigma_y\sqrt{1 + q_3f^2 - 2q_1f}",
        EXACT,
        gurson_surface,
    ),
    ClosedForm(
        "Young's modulus of a cubic crystal",
        "1/E = S_{11} - 2(S_{11} - S_{12} - S_{44}/2) J",
        EXACT,
        cubic_crystal,
    ),
    ClosedForm("finite simple shear", r"S_{xy} = G\gamma", EXACT, finite_simple_shear),
]
