"""Closed forms of slip, hardening and lattice rotation, and of interfaces and cracks."""

from __future__ import annotations

import math

import torch

from neml2 import CubicCrystal, MillerIndex, models
from neml2.composed import ComposedModel
from neml2.gradient import Normality
from neml2.types import MRP, R2, SR2, WR2, Scalar, euler_rodrigues, exp_map, rotate
from tests.models.closed_forms.form import EXACT, F64, ClosedForm, last, ode, relative, run, sum_of, update

FCC = CubicCrystal(1.0, MillerIndex(torch.tensor([1, 1, 0])), MillerIndex(torch.tensor([1, 1, 1])))
SPIN = torch.tensor([0.3, -0.2, 0.5], dtype=F64)


def slip_at_a_constant_stress(n):
    """By a power law, on a system whose strength grows with its slip."""
    law = models.PowerLawSlipRule(
        gamma0=0.1, n=4.0, resolved_shears="tau", slip_strengths="g", slip_rates="y_rate", name="law"
    )
    strength = models.ScalarLinearCombination(
        **{"from": "y", "to": "g", "weights": [30.0], "offset": 40.0}, name="strength"
    )
    found = run(ode(Scalar, strength, law), 2.0, n, {"y": 0.0}, tau=60.0)
    exact = ((40**5 + 5 * 30 * 0.1 * 60**4 * 2.0) ** 0.2 - 40) / 30
    return relative(last(found, "y"), exact)


def voce_on_one_system(n):
    total = models.SumSlipRates(slip_rates="rates", sum_slip_rates="total", name="total")
    law = models.VoceSingleSlipHardeningRule(
        initial_slope=420.0,
        saturated_hardening=65.0,
        slip_hardening="y",
        slip_hardening_rate="y_rate",
        sum_slip_rates="total",
        name="law",
    )
    rates = torch.tensor([0.3, -0.2, 0.0, 0.1], dtype=F64)
    found = run(
        ode(Scalar, total, law), 0.5, n, {"y": 5.0}, rates=lambda t: Scalar(rates.expand(*t.shape, 4), 1)
    )
    return relative(last(found, "y"), 65 - 60 * math.exp(-420 / 65 * 0.3))


def linear_on_one_system(n):
    law = models.LinearSingleSlipHardeningRule(
        hardening_slope=300.0, slip_hardening="y", slip_hardening_rate="y_rate", sum_slip_rates="total"
    )
    found = run(ode(Scalar, law), 0.5, n, {"y": 5.0}, total=0.4)
    return relative(last(found, "y"), 5 + 300 * 0.2)


def forest_of_dislocations(n):
    """The strength of the forest saturates exponentially with slip."""
    law = models.PerSlipForestDislocationEvolution(
        k1=8.0, k2=3.0, dislocation_density="y", dislocation_density_rate="y_rate", slip_rates="rate"
    )
    found = run(ode(Scalar, law), 1.0, n, {"y": 1.0}, rate=-0.5)
    strength = models.DislocationObstacleStrengthMap(
        constant_strength=12.0, alpha=0.3, mu=50.0, b=0.25, dislocation_density="y"
    )(Scalar(last(found, "y")))
    root = 8 / 3 + (1 - 8 / 3) * math.exp(-3 * 0.5 / 2)
    return relative(strength, 12 + 0.3 * 50 * 0.25 * root)


def an_elastic_strain_turns(n):
    """With the sample, if nothing else happens."""
    law = models.ElasticStrainRate(elastic_strain="y", elastic_strain_rate="y_rate", vorticity="w")
    strain = SR2(torch.tensor([1.2, -0.7, 0.4, 0.9, -1.1, 0.6], dtype=F64))
    none = torch.zeros(6, dtype=F64)
    found = run(
        ode(SR2, law),
        1.0,
        n,
        {"y": strain},
        w=lambda t: WR2(SPIN.expand(*t.shape, 3)),
        deformation_rate=none,
        plastic_deformation_rate=none,
    )
    return relative(last(found, "y"), rotate(strain, euler_rodrigues(exp_map(WR2(SPIN)))))


def an_elastic_crystal_turns(n):
    """The lattice goes along with the sample, by the exponential map."""
    spin = models.OrientationRate(vorticity="w", orientation_rate="q_rate", name="spin")
    model = ComposedModel([spin, models.WR2ExplicitExponentialTimeIntegration(variable="q")])
    none = torch.zeros(6, dtype=F64)
    start = MRP(torch.tensor([0.1, -0.2, 0.15], dtype=F64))
    found = run(
        model,
        1.0,
        n,
        {"q": start},
        w=lambda t: WR2(SPIN.expand(*t.shape, 3)),
        plastic_vorticity=lambda t: WR2(torch.zeros(*t.shape, 3, dtype=F64)),
        elastic_strain=none,
        plastic_deformation_rate=none,
    )
    exact = euler_rodrigues(exp_map(WR2(SPIN))).data @ euler_rodrigues(start).data
    return relative(euler_rodrigues(MRP(last(found, "q"))), exact)


def single_slip(n):
    """The plastic deformation gradient of one system is a simple shear, whatever the steps."""
    rate = models.PlasticSpatialVelocityGradient(
        crystal_geometry=FCC, orientation_matrix="Q", slip_rates="rates", name="slip"
    )
    model = ode(
        R2, rate, models.R2Multiplication(A="plastic_spatial_velocity_gradient", B="y", to="y_rate", name="F")
    )
    one = torch.eye(3, dtype=F64)
    rates = 0.6 * torch.eye(12, dtype=F64)[4]
    found = run(
        model,
        1.0,
        n,
        {"y": R2(one)},
        Q=lambda t: R2(one.expand(*t.shape, 3, 3)),
        rates=lambda t: Scalar(rates.expand(*t.shape, 12), 1),
    )
    d, m = FCC.cartesian_slip_directions.data[4], FCC.cartesian_slip_planes.data[4]
    return relative(last(found, "y"), one + 0.6 * d[:, None] * m)


# -------------------------------------------------------------------- interfaces and cracks


def work(model, size, n):
    """The work of opening an interface, by the trapezoidal rule over n steps."""
    opening = torch.linspace(0, size, n + 1, dtype=F64)
    zero = lambda t: 0 * t  # noqa: E731
    found = run(
        model,
        size,
        n,
        {"damage": 0.0},
        normal_separation=lambda t: t,
        tangential_separation_1=zero,
        tangential_separation_2=zero,
        **({"effective_separation": lambda t: t} if "effective_separation" in model.input_spec else {}),
    )
    return float(torch.trapezoid(found["traction"].data[..., 0], opening))


def triangle_of_traction(n):
    """With a node at either corner the trapezoids are exact."""
    model = models.BilinearTraction(penalty_stiffness=400.0, critical_separation=0.0125, full_separation=0.2)
    return relative(work(model, 0.25, 20 * n), 400 * 0.0125 * 0.2 / 2)


def exponential_traction(n):
    model = models.SalehaniIraniTraction(
        normal_characteristic_length=0.01,
        tangential_characteristic_length=0.02,
        normal_strength=30.0,
        shear_strength=20.0,
    )
    size = 0.3
    exact = math.e * 30 * 0.01 * (1 - (1 + size / 0.01) * math.exp(-size / 0.01))
    return relative(work(model, size, 3 * n), exact)


def crack_driven_by_energy(n):
    """Damage of a point without a gradient: g'(d) psi + w alpha'(d) = 0, for AT2."""
    weight, energy = 0.4, torch.linspace(0, 3, n + 1, dtype=F64)
    slope = sum_of("c", name="balance", psi_d=1.0, alpha_d=weight)
    alpha = models.CrackGeometricFunctionAT2(phase="d", crack="alpha", name="alpha")
    soft = ComposedModel(
        [
            models.PowerDegradationFunction(phase="d", degradation="g", power=2.0, name="g"),
            models.ScalarMultiplication(**{"from": "g H", "to": "psi"}, name="psi"),
        ],
        name="soft",
    )
    parts = [
        Normality(model=soft, function="psi", **{"from": ["d"], "to": ["psi_d"]}, name="driving"),
        Normality(model=alpha, function="alpha", **{"from": ["d"], "to": ["alpha_d"]}, name="resisting"),
        slope,
    ]
    found = run(update({}, *parts, also={"d": "c"}), 1.0, n, {"d": 0.0}, H=lambda t: 3 * t)
    return relative(found["d"].data, energy / (energy + weight))


FORMS = [
    ClosedForm(
        "slip at a constant stress",
        r"(g_0 + h\gamma)^{n+1} = g_0^{n+1} + (n + 1) h\dot\gamma_0\tau^n t",
        1,
        slip_at_a_constant_stress,
    ),
    ClosedForm(
        "Voce hardening of slip",
        r"h = h_\infty - (h_\infty - h_0) e^{-\theta\gamma/h_\infty}",
        1,
        voce_on_one_system,
    ),
    ClosedForm("linear hardening of slip", r"h = h_0 + \theta\gamma", EXACT, linear_on_one_system),
    ClosedForm(
        "a forest of dislocations",
        r"\sqrt\rho = k_1/k_2 + (\sqrt{\rho_0} - k_1/k_2) e^{-k_2\gamma/2}",
        1,
        forest_of_dislocations,
    ),
    ClosedForm(
        "an elastic strain that turns", r"\varepsilon = Q\varepsilon_0Q^T", 1, an_elastic_strain_turns
    ),
    ClosedForm("an elastic crystal that turns", "Q = e^{Wt} Q_0", EXACT, an_elastic_crystal_turns),
    ClosedForm("single slip", r"F^p = I + \gamma\, d \otimes n", EXACT, single_slip),
    ClosedForm(
        "the triangle of a bilinear interface", r"G = K\delta_c\delta_f/2", EXACT, triangle_of_traction
    ),
    ClosedForm(
        "the energy of an exponential interface",
        r"G = e T\Delta(1 - (1 + \delta/\Delta) e^{-\delta/\Delta})",
        2,
        exponential_traction,
    ),
    ClosedForm("a crack driven by energy", r"d = H/(H + w)", EXACT, crack_driven_by_energy),
]
