"""Closed forms of viscoelastic elements, and of strains without stress."""

from __future__ import annotations

import math

import torch

from neml2 import models
from neml2.composed import ComposedModel
from neml2.types import SR2
from tests.models.closed_forms.form import EXACT, F64, ClosedForm, last, relative, run, update

E0, E1, ETA1, E2, ETA2 = 800.0, 4200.0, 900.0, 2600.0, 700.0
DIRECTION = torch.tensor([0.012, -0.007, 0.004, 0.009, -0.011, 0.006], dtype=F64)


def solid(kind, **options):
    """The element with its viscous strains solved for by backward Euler."""
    element = getattr(models, kind)(name="element", **options)
    states = {n: SR2 for n in element.input_spec if n != "strain"}
    return ComposedModel([update(states, element), element], additional_outputs=list(states))


ZENER = solid("ZenerElement", equilibrium_modulus=E0, maxwell_modulus=E1, maxwell_viscosity=ETA1)
WIECHERT = solid(
    "WiechertElement", equilibrium_modulus=E0, modulus_1=E1, viscosity_1=ETA1, modulus_2=E2, viscosity_2=ETA2
)
BURGERS = solid(
    "BurgersElement", maxwell_modulus=E1, maxwell_viscosity=ETA1, kelvin_modulus=E2, kelvin_viscosity=ETA2
)


def strained(model, size, n, duration):
    """The stress per direction after a strain of ``size(time)`` in the direction."""
    found = run(model, duration, n, strain=lambda t: SR2(size(t)[:, None] * DIRECTION))
    stress = last(found, "stress")
    factor = float(stress @ DIRECTION / (DIRECTION @ DIRECTION))
    assert relative(stress, factor * DIRECTION) < 1e-9
    return factor


def steady(E, eta, t):
    """The stress of a Maxwell branch under the strain t."""
    return eta * (1 - math.exp(-t * E / eta))


def zener_at_a_steady_rate(n):
    return relative(strained(ZENER, lambda t: t, n, 0.4), E0 * 0.4 + steady(E1, ETA1, 0.4))


def wiechert_at_a_steady_rate(n):
    exact = E0 * 0.4 + steady(E1, ETA1, 0.4) + steady(E2, ETA2, 0.4)
    return relative(strained(WIECHERT, lambda t: t, n, 0.4), exact)


def zener_in_a_cycle(n):
    """After the transient the stress is the complex modulus times the strain."""
    w, tau, t = 8.0, ETA1 / E1, 0.93
    transient = E1 * w * tau / (1 + (w * tau) ** 2) * math.exp(-t / tau)
    storage, loss = E0 + E1 * (w * tau) ** 2 / (1 + (w * tau) ** 2), E1 * w * tau / (1 + (w * tau) ** 2)
    exact = storage * math.sin(w * t) + loss * math.cos(w * t) - transient
    return relative(strained(ZENER, lambda t: torch.sin(w * t), 4 * n, t), exact)


def burgers_relaxes(n):
    """Both rates of relaxation are roots of the equation of four elements."""
    a, b = E1 / ETA1 + E1 / ETA2 + E2 / ETA2, E1 * E2 / ETA1 / ETA2
    slow, fast = ((a - s * math.sqrt(a * a - 4 * b)) / 2 for s in (1, -1))
    exact = (
        E1 / (fast - slow) * sum(s * (E2 / ETA2 - r) * math.exp(-0.2 * r) for s, r in ((1, slow), (-1, fast)))
    )
    return relative(strained(BURGERS, lambda t: (t > 0).double(), n, 0.2), exact)


def maxwell_made_of_parts(n):
    """A spring and a dashpot in series, as two blocks."""
    parts = [
        models.SR2LinearCombination(
            **{"from": "strain v", "to": "stress", "weights": [E1, -E1]}, name="spring"
        ),
        models.LinearDashpot(viscosity=ETA1, viscous_strain_rate="v_rate", name="dashpot"),
    ]
    model = ComposedModel([update({"v": SR2}, *parts), parts[0]], additional_outputs=["v"])
    return relative(strained(model, lambda t: t, n, 0.4), steady(E1, ETA1, 0.4))


def kelvin_voigt_swings(n):
    """The stress is E e + eta e', with the rate of each step."""
    rate = models.SR2VariableRate(variable="strain", name="rate")
    element = models.KelvinVoigtElement(modulus=E1, viscosity=ETA1, name="element")
    exact = E1 * math.sin(0.5) + ETA1 * math.cos(0.5)
    return relative(strained(ComposedModel([rate, element]), torch.sin, n, 0.5), exact)


def clamped_bar(n):
    """Heated between rigid walls: the pressure is 3 K alpha dT."""
    parts = [
        models.ThermalEigenstrain(reference_temperature=300.0, CTE=1.2e-5, name="heat"),
        models.SR2LinearCombination(**{"from": "eigenstrain", "to": "e", "weights": [-1.0]}, name="e"),
        models.LinearIsotropicElasticity(
            coefficients=[150.0, 80.0],
            coefficient_types=["BULK_MODULUS", "SHEAR_MODULUS"],
            strain="e",
            name="s",
        ),
    ]
    found = run(ComposedModel(parts), 1.0, n, temperature=lambda t: 300.0 + 500.0 * t)
    exact = torch.zeros(n + 1, 6, dtype=F64)
    exact[:, :3] = -3 * 150.0 * 1.2e-5 * 500.0 * found.time[:, None]
    return relative(found["stress"].data, exact)


def small_changes_of_volume(n):
    """A third of the change, up to the square of it."""
    model = models.VolumeChangeEigenstrain(reference_volume=2.0)
    change = 1.0 / n
    found = model.call_by_name({"volume": 2.0 * (1 + change)})["eigenstrain"].data[0]
    return abs(float(found) - change / 3) * 9


FORMS = [
    ClosedForm(
        "a Maxwell element made of parts",
        r"\sigma = \eta\dot\varepsilon(1 - e^{-t/\tau})",
        1,
        maxwell_made_of_parts,
    ),
    ClosedForm(
        "a Zener element at a steady rate",
        r"\sigma = E_0\varepsilon + \eta\dot\varepsilon(1 - e^{-t/\tau})",
        1,
        zener_at_a_steady_rate,
    ),
    ClosedForm(
        "a Wiechert element at a steady rate",
        r"\sigma = E_0\varepsilon + \sum_i \eta_i\dot\varepsilon(1 - e^{-t/\tau_i})",
        1,
        wiechert_at_a_steady_rate,
    ),
    ClosedForm(
        "a Zener element in a cycle", r"E^* = E_0 + E_1 i\omega\tau/(1 + i\omega\tau)", 1, zener_in_a_cycle
    ),
    ClosedForm(
        "relaxation of a Burgers element", r"\sigma = A e^{-r_1 t} + B e^{-r_2 t}", 1, burgers_relaxes
    ),
    ClosedForm(
        "a Kelvin-Voigt element in a cycle",
        r"\sigma = E\varepsilon + \eta\dot\varepsilon",
        1,
        kelvin_voigt_swings,
    ),
    ClosedForm("heat between rigid walls", r"p = 3K\alpha\Delta T", EXACT, clamped_bar),
    ClosedForm(
        "small changes of volume", r"\varepsilon^* = \Delta V/3V + O(\Delta V^2)", 2, small_changes_of_volume
    ),
]
