"""Closed forms of plasticity of von Mises, with and without rate."""

from __future__ import annotations

import math

import torch

from neml2 import models
from neml2.composed import ComposedModel
from neml2.drivers import History, TransientDriver
from neml2.gradient import Normality
from neml2.types import SR2, Scalar
from tests.models.closed_forms.form import (
    EXACT,
    F64,
    ClosedForm,
    last,
    relative,
    run,
    shear,
    update,
)

E, NU = 200.0, 0.25
G = E / 2 / (1 + NU)
SY, H = 0.3, 12.0  # yield stress and hardening modulus
ROOT = math.sqrt(2 / 3)  # the yield function is this times the von Mises stress beyond yield
PLASTIC = {"plastic_strain": SR2, "equivalent_plastic_strain": Scalar}
ELASTICITY = {"coefficients": [E, NU], "coefficient_types": ["YOUNGS_MODULUS", "POISSONS_RATIO"]}


def elastoplastic(*hardening, rate=None, back=None):
    """Plasticity of von Mises, with a consistency condition or with the rate that is given."""
    over = "O" if back else "stress"
    names = {"isotropic_hardening": "k"} if hardening else {}
    yields = [
        models.SR2Invariant(
            invariant_type="VONMISES", tensor=over, invariant="effective_stress", name="vonmises"
        ),
        models.YieldFunction(yield_stress=SY, **names, name="surface"),
    ]
    difference = models.SR2LinearCombination(
        **{"from": "stress X", "to": "O", "weights": [1.0, -1.0]}, name="over"
    )
    flow = ComposedModel([*([difference] if back else []), *yields], name="flow")
    consistent = models.MinMapComplementarity(
        a="yield_function", b="flow_rate", a_inequality="LE", complementarity="consistency", name="consistent"
    )
    parts = [
        models.SR2LinearCombination(
            **{"from": "E plastic_strain", "to": "e", "weights": [1.0, -1.0]}, name="e"
        ),
        models.LinearIsotropicElasticity(**ELASTICITY, strain="e", name="elasticity"),
        *hardening,
        *(back or []),
        flow,
        Normality(
            model=flow, function="yield_function", **{"from": ["stress"], "to": ["flow_direction"]}, name="N"
        ),
        models.AssociativePlasticFlow(name="plastic_strain_rate"),
        models.ScalarMultiplication(
            **{"from": "flow_rate", "to": "equivalent_plastic_strain_rate", "scaling": ROOT}, name="ep_rate"
        ),
        rate or consistent,
    ]
    also = None if rate else {"flow_rate": "consistency"}
    solved = update(PLASTIC, *parts, also=also)
    return ComposedModel([solved, *parts[:2]], additional_outputs=list(PLASTIC))


def sheared(model, gamma, steps, duration=1.0):
    """The shear stress under a steady shear strain (of tensor component gamma / 2)."""
    found = run(model, duration, steps, E=lambda t: SR2(shear(gamma / 2 * t / duration)))
    return found["stress"].physical()[:, 5], found


def perfect_plasticity(n):
    stress, found = sheared(elastoplastic(), 0.02, n)
    return relative(stress, (G * 0.02 * found.time).clamp(max=SY / math.sqrt(3)))


def linear_hardening(n):
    """The slope of the shear stress falls from G to G H / (3 G + H)."""
    k = models.LinearIsotropicHardening(hardening_modulus=H, isotropic_hardening="k", name="k")
    stress, found = sheared(elastoplastic(k), 0.02, n)
    gamma, first = 0.02 * found.time, SY / math.sqrt(3) / G
    exact = torch.where(gamma < first, G * gamma, SY / math.sqrt(3) + G * H / (3 * G + H) * (gamma - first))
    return relative(stress, exact)


def kinematic_hardening(n):
    """After a reversal the elastic range is twice the yield stress."""
    back = [
        models.LinearKinematicHardening(
            hardening_modulus=2 / 3 * H, kinematic_plastic_strain="plastic_strain", back_stress="X", name="X"
        )
    ]
    model = elastoplastic(back=back)
    gamma = lambda t: 0.02 * (0.5 - (t - 0.5).abs()) * 2  # noqa: E731
    found = run(model, 1.0, 2 * n, E=lambda t: SR2(shear(gamma(t) / 2)))
    ty, slope = SY / math.sqrt(3), G * H / (3 * G + H)
    top = ty + slope * (0.02 - ty / G)
    bottom = top - 2 * ty - slope * (0.02 - 2 * ty / G)
    stress = found["stress"].physical()[:, 5]
    return relative(stress[[n, 2 * n]], [top, bottom])


def saturating_hardening(n):
    """Stress and plastic strain satisfy Voce's law and Hooke's at every step."""
    k = models.VoceIsotropicHardening(
        saturated_hardening=0.1, saturation_rate=60.0, isotropic_hardening="k", name="k"
    )
    stress, found = sheared(elastoplastic(k), 0.03, n)
    p = found["equivalent_plastic_strain"].data
    elastic = math.sqrt(3) * G * (0.03 * found.time - math.sqrt(3) * p)
    law = SY + 0.1 * (1 - torch.exp(-60 * p))
    yielding = elastic.new_tensor([float(x) > 1e-9 for x in p]).bool()
    return max(relative(elastic[yielding], law[yielding]), relative(math.sqrt(3) * stress, elastic))


def turning_strain(n):
    """The deviator turns towards the strain rate.

    Krieg and Krieg (1977), Journal of Pressure Vessel Technology 99, 510-515.
    """
    size = ROOT * SY
    start, across = size / (2 * G), 2 * size / (2 * G)

    def path(t):
        first = shear((t / 1.0).clamp(max=1.0) * start / math.sqrt(2))
        second = torch.zeros(*t.shape, 6, dtype=F64)
        second[:, 0], second[:, 1] = 1 / math.sqrt(2), -1 / math.sqrt(2)
        return SR2(first + (t - 1).clamp(min=0)[:, None] * across * second)

    found = run(elastoplastic(), 2.0, 2 * n, E=path)
    s = last(found, "stress")
    psi = 2 * math.atan(math.exp(-2 * G * across / size))
    return relative([s[5], s[0]], [size * math.sin(psi), size * math.cos(psi) / math.sqrt(2)])


def radial_return(n):
    """The trial stress is returned to 3 G H / (3 G + H) of what is beyond yield."""
    trial = models.LinearIsotropicElasticJ2TrialStressUpdate(
        **ELASTICITY,
        elastic_trial_stress="trial",
        updated_trial_stress="s",
        equivalent_plastic_strain="p",
        name="s",
    )
    parts = [
        trial,
        models.LinearIsotropicHardening(
            hardening_modulus=H, equivalent_plastic_strain="p", isotropic_hardening="k", name="k"
        ),
        models.YieldFunction(
            yield_stress=SY, effective_stress="s", isotropic_hardening="k", yield_function="f", name="f"
        ),
        models.ScalarVariableRate(variable="p", name="rate"),
        models.MinMapComplementarity(a="f", b="p_rate", a_inequality="LE", complementarity="c", name="c"),
    ]
    model = ComposedModel([update({}, *parts, also={"p": "c"})])
    found = run(model, 1.0, 1, {"p": 0.0}, trial=0.9)
    del n
    return relative(last(found, "p"), (0.9 - SY) / (3 * G + H))


def perzyna(n_power, eta):
    return models.PerzynaPlasticFlowRate(reference_stress=eta, exponent=n_power, name="rate")


def linear_viscosity(n):
    """The overstress tends exponentially to its value in steady flow."""
    eta = G
    model = elastoplastic(rate=perzyna(1.0, eta))
    start = SY / math.sqrt(3) / G  # up to yield in the first unit of time, then at the same rate
    found = run(model, 2.0, 2 * n, E=lambda t: SR2(shear(start / 2 * t)))
    rate, time = start * G * math.sqrt(2), eta / (2 * G)  # |s| = sqrt(2) tau; |s|' = 2 G (e' - <|s| - r>/eta)
    exact = SY / math.sqrt(3) + rate * time / math.sqrt(2) * (1 - math.exp(-1 / time))
    return relative(found["stress"].physical()[-1, 5], exact)


def power_law_relaxation(n):
    """Held after a step: the overstress falls as (1 + t / t0)^(-1 / (n - 1))."""
    eta, power = 0.4, 3.0
    model = elastoplastic(rate=perzyna(power, eta))
    first = 2 * SY / math.sqrt(3) / G

    def path(t):
        return SR2(shear(first / 2 * (t / 1e-9).clamp(max=1.0)))

    time = torch.cat([torch.zeros(1, dtype=F64), 1e-9 + torch.linspace(0, 0.05, n + 1, dtype=F64)])
    with torch.no_grad():
        found = TransientDriver(model, engine="eager", progress=False).run(History(time, {"E": path(time)}))
    over = ROOT * SY
    exact = over * (1 + 2 * G * (power - 1) * over ** (power - 1) / eta**power * 0.05) ** (-1 / (power - 1))
    return relative(found["stress"].physical()[-1, 5] * math.sqrt(2) - over, exact)


FORMS = [
    ClosedForm(
        "perfect plasticity in shear", r"\tau = \min(G\gamma, \sigma_y/\sqrt3)", EXACT, perfect_plasticity
    ),
    ClosedForm("linear hardening in shear", r"d\tau/d\gamma = G H/(3G + H)", EXACT, linear_hardening),
    ClosedForm(
        "reversal with kinematic hardening", r"\Delta\tau_{el} = 2\sigma_y/\sqrt3", EXACT, kinematic_hardening
    ),
    ClosedForm(
        "saturating hardening in shear", r"\sigma = \sigma_y + R(1 - e^{-dp})", EXACT, saturating_hardening
    ),
    ClosedForm(
        "perfect plasticity when the strain turns",
        r"\tan(\psi/2) = \tan(\psi_0/2)\, e^{-2G\lVert\Delta e\rVert/\lVert s\rVert}",
        1,
        turning_strain,
    ),
    ClosedForm("radial return", r"p = \langle s - \sigma_y \rangle/(3G + H)", EXACT, radial_return),
    ClosedForm(
        "linear viscosity under a steady strain rate",
        r"s = s_\infty (1 - e^{-2Gt/\eta})",
        1,
        linear_viscosity,
    ),
    ClosedForm("relaxation by a power law", r"s = s_0 (1 + t/t_0)^{-1/(n - 1)}", 1, power_law_relaxation),
]
