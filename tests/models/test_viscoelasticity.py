"""Viscoelastic elements: relaxation and creep in closed form, order of convergence, limits and frames."""

from __future__ import annotations

import math

import pytest
import torch

from neml2 import ComposedModel, ImplicitUpdate, NonlinearSystem, TransientDriver, models
from neml2.drivers.control.controlled import CONTROLS, controlled
from neml2.predictors import ConstantExtrapolationPredictor
from neml2.types import MRP, R2, SR2, Scalar, euler_rodrigues, inner, rotate

CLOSE = {"rtol": 1e-9, "atol": 1e-12}
STRAIN = SR2(torch.tensor([0.012, -0.007, 0.004, 0.009, -0.011, 0.006], dtype=torch.float64))
STRESS = SR2(torch.tensor([120.0, -45.0, 30.0, 55.0, -20.0, 70.0], dtype=torch.float64))
STEPS = 40
E0, E1, ETA1, E2, ETA2 = 800.0, 4200.0, 90.0, 2600.0, 700.0


def zener(equilibrium=E0):
    return models.ZenerElement(
        name="element", equilibrium_modulus=equilibrium, maxwell_modulus=E1, maxwell_viscosity=ETA1
    )


def wiechert(second=E2):
    return models.WiechertElement(
        name="element",
        equilibrium_modulus=E0,
        modulus_1=E1,
        viscosity_1=ETA1,
        modulus_2=second,
        viscosity_2=ETA2,
    )


def burgers(kelvin=E2):
    return models.BurgersElement(
        name="element",
        maxwell_modulus=E1,
        maxwell_viscosity=ETA1,
        kelvin_modulus=kelvin,
        kelvin_viscosity=ETA2,
    )


def kelvin_voigt():
    rate = models.SR2VariableRate(variable="strain", name="rate")
    return ComposedModel([rate, models.KelvinVoigtElement(modulus=E1, viscosity=ETA1, name="element")])


def solid(element):
    """The element with its viscous strains solved for by backward Euler."""
    states = [n for n in element.input_spec if n != "strain"]
    steps = [models.SR2BackwardEulerTimeIntegration(variable=n, name=f"integrate_{n}") for n in states]
    system = NonlinearSystem(ComposedModel([element, *steps]), unknowns=states)
    guess = ConstantExtrapolationPredictor(unknowns_SR2=states)
    update = ImplicitUpdate(system, predictor=guess, name="update")
    return ComposedModel([update, element], additional_outputs=states)


def run(model, duration, steps=STEPS, engine="eager", **values):
    time = torch.linspace(0, duration, steps + 1, dtype=torch.float64)
    with torch.no_grad():
        return TransientDriver(model, engine=engine).run({"t": time, **values})


def held(tensor, steps=STEPS):
    """Zero at first, then the same value at every step."""
    return SR2(torch.cat([torch.zeros(1, 6, dtype=torch.float64), tensor.data.expand(steps, 6)]))


def relaxation(element, duration, steps=STEPS, engine="eager"):
    """The stress under a strain that is applied at the first step, per strain, ``(steps,)``."""
    stress = run(solid(element), duration, steps, engine, strain=held(STRAIN, steps))["stress"]
    return proportional(stress.data[1:], STRAIN.data)


def creep(model, duration, steps=STEPS, engine="eager"):
    """The strain under a stress that is applied at the first step, per stress, ``(steps,)``."""
    one = SR2.from_physical(torch.ones(steps + 1, 6, dtype=torch.float64))
    prescribed = dict(zip(CONTROLS, (one, 0 * one, held(STRESS, steps)), strict=True))
    strain = run(controlled(model), duration, steps, engine, **prescribed)["strain"]
    return proportional(strain.data[1:], STRESS.data)


def proportional(tensors, of):
    """The factors by which ``tensors`` are multiples of ``of``: the elements have scalar moduli."""
    factors = (tensors @ of) / (of @ of)
    torch.testing.assert_close(tensors, factors[:, None] * of, rtol=0, atol=1e-9 * float(tensors.abs().max()))
    return factors


def decay(duration, time, steps=STEPS):
    """What backward Euler makes of exp(-t / time)."""
    return (1 + duration / steps / time) ** -torch.arange(1.0, steps + 1, dtype=torch.float64)


# -------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_a_maxwell_element_relaxes_exponentially(engine):
    found = relaxation(zener(equilibrium=0.0), 0.1, engine=engine)
    torch.testing.assert_close(found, E1 * decay(0.1, ETA1 / E1), **CLOSE)


def test_a_zener_element_relaxes_to_its_equilibrium():
    torch.testing.assert_close(relaxation(zener(), 0.1), E0 + E1 * decay(0.1, ETA1 / E1), **CLOSE)
    assert float(relaxation(zener(), 100.0)[-1]) == pytest.approx(E0, rel=1e-9)


def test_a_wiechert_element_relaxes_as_a_prony_series():
    expected = E0 + E1 * decay(0.5, ETA1 / E1) + E2 * decay(0.5, ETA2 / E2)
    torch.testing.assert_close(relaxation(wiechert(), 0.5), expected, **CLOSE)


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_a_zener_element_creeps_to_its_equilibrium(engine):
    found = creep(solid(zener()), 0.5, engine=engine)
    time = ETA1 * (E0 + E1) / (E0 * E1)
    expected = 1 / E0 - (1 / E0 - 1 / (E0 + E1)) * decay(0.5, time)
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_a_burgers_element_creeps_without_end(engine):
    found = creep(solid(burgers()), 2.0, engine=engine)
    t = torch.linspace(0, 2.0, STEPS + 1, dtype=torch.float64)[1:]
    expected = 1 / E1 + t / ETA1 + (1 - decay(2.0, ETA2 / E2)) / E2
    torch.testing.assert_close(found, expected, **CLOSE)


def test_a_kelvin_voigt_element_creeps_to_its_spring():
    found = creep(kelvin_voigt(), 0.1)
    torch.testing.assert_close(found, (1 - decay(0.1, ETA1 / E1)) / E1, **CLOSE)


def test_a_kelvin_voigt_element_under_a_steady_rate_is_its_spring_and_a_constant():
    shares = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    stress = run(kelvin_voigt(), 2.0, strain=SR2(shares[:, None] * STRAIN.data))["stress"].data[1:]
    expected = (E1 * shares[1:] + ETA1 / 2.0)[:, None] * STRAIN.data
    torch.testing.assert_close(stress, expected, **CLOSE)


# -------------------------------------------------------------------- order, limits, frames


@pytest.mark.parametrize(
    ("end", "exact"),
    [
        (lambda n: relaxation(zener(), 0.05, n), E0 + E1 * math.exp(-0.05 * E1 / ETA1)),
        (
            lambda n: creep(solid(burgers()), 0.5, n),
            1 / E1 + 0.5 / ETA1 + (1 - math.exp(-0.5 * E2 / ETA2)) / E2,
        ),
        (lambda n: creep(kelvin_voigt(), 0.05, n), (1 - math.exp(-0.05 * E1 / ETA1)) / E1),
    ],
    ids=["Zener", "Burgers", "Kelvin-Voigt"],
)
def test_first_order_of_convergence_in_the_step(end, exact):
    one, two, four = (abs(float(end(n)[-1]) - exact) for n in (50, 100, 200))
    assert math.log2(one / two) == pytest.approx(1.0, abs=0.05)
    assert math.log2(two / four) == pytest.approx(1.0, abs=0.03)


def test_elements_contain_one_another():
    """Wiechert's without a second branch, Burgers' at once and with a Kelvin-Voigt element without spring."""
    torch.testing.assert_close(relaxation(wiechert(second=0.0), 0.5), relaxation(zener(), 0.5), **CLOSE)
    soon = creep(solid(burgers()), 1e-9)
    torch.testing.assert_close(soon, torch.full_like(soon, 1 / E1), rtol=1e-6, atol=0)
    t = torch.linspace(0, 2.0, STEPS + 1, dtype=torch.float64)[1:]
    two_dashpots = creep(solid(burgers(kelvin=0.0)), 2.0)
    torch.testing.assert_close(two_dashpots, 1 / E1 + t / ETA1 + t / ETA2, **CLOSE)


def test_a_maxwell_branch_is_made_of_parts():
    """A one-term combination is a spring, so branches in any number can be joined."""
    strain = models.SR2LinearCombination(**{"from": ["strain", "ev"], "to": "e", "weights": [1.0, -1.0]})
    spring = models.SR2LinearCombination(**{"from": ["e"], "to": "stress", "weights": [E1]})
    dashpot = models.LinearDashpot(viscous_strain_rate="ev_rate", viscosity=ETA1)
    parts = [strain, spring, dashpot]
    step = models.SR2BackwardEulerTimeIntegration(variable="ev")
    system = NonlinearSystem(ComposedModel([*parts, step]), unknowns="ev")
    update = ImplicitUpdate(system, predictor=ConstantExtrapolationPredictor(unknowns_SR2=["ev"]))
    joined = ComposedModel([update, *parts], additional_outputs=["ev", "stress"])
    found = run(joined, 0.1, strain=held(STRAIN))["stress"].data
    whole = run(solid(zener(equilibrium=0.0)), 0.1, strain=held(STRAIN))["stress"].data
    torch.testing.assert_close(found[1:], whole[1:], **CLOSE)


@pytest.mark.parametrize("element", [zener(), wiechert(), burgers(), kelvin_voigt().models_in_order[1]])
def test_frame_indifference(element):
    """Strains that are turned give stresses and rates that are turned."""
    generator = torch.Generator().manual_seed(0)
    Q = euler_rodrigues(MRP(MRP.rand(1, generator=generator).data[0]))
    assert isinstance(Q, R2)
    count = len(element.input_spec)
    given = [SR2(x) for x in torch.randn(count, 6, generator=generator, dtype=torch.float64)]
    for plain, turned in zip(_all(element, given), _all(element, [rotate(x, Q) for x in given]), strict=True):
        torch.testing.assert_close(turned.data, rotate(plain, Q).data, rtol=1e-12, atol=1e-10)


def _all(element, given):
    found = element(*given)
    return found if isinstance(found, tuple) else (found,)


def test_dashpots_dissipate():
    """The work that is not stored in the springs is positive at any state."""
    generator = torch.Generator().manual_seed(1)
    strain, ev, eK = (SR2(x) for x in torch.randn(3, 50, 6, generator=generator, dtype=torch.float64))
    stress, ev_rate = zener()(strain, ev)
    assert bool((inner(stress - Scalar(E0) * strain, ev_rate).data > 0).all())
    stress, ev_rate, eK_rate = burgers()(strain, ev, eK)
    dissipation = inner(stress, ev_rate) + inner(stress - Scalar(E2) * eK, eK_rate)
    assert bool((dissipation.data > 0).all())


def test_a_strain_and_a_rate_may_have_any_name():
    model = models.ZenerElement(
        strain="e",
        viscous_strain="v",
        equilibrium_modulus=E0,
        maxwell_modulus="stiffness",
        maxwell_viscosity=ETA1,
    )
    assert list(model.input_spec) == ["e", "v", "stiffness"]
    assert list(model.output_spec) == ["stress", "v_rate"]


@pytest.mark.parametrize("option", ["maxwell_viscosity", "kelvin_viscosity"])
def test_viscosities_are_positive(option):
    good = {"maxwell_modulus": E1, "maxwell_viscosity": ETA1, "kelvin_modulus": E2, "kelvin_viscosity": ETA2}
    with pytest.raises(ValueError, match=rf"{option} is 0, outside its range \(0, inf\)"):
        models.BurgersElement(**(good | {option: 0.0}))
