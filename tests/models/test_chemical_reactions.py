"""Reactions against solutions in closed form, with both engines, and what the tables cannot say."""

from __future__ import annotations

import math

import pytest
import torch

from neml2 import models
from neml2.composed import ComposedModel
from neml2.drivers import History, TransientDriver
from neml2.implicit import ImplicitUpdate
from neml2.predictors import ConstantExtrapolationPredictor
from neml2.system import NonlinearSystem
from neml2.types import Scalar
from tests.models.refinement import check_first_order, every_engine, integrated

EPS = torch.finfo(torch.float64).eps


@every_engine
@pytest.mark.parametrize("order", [0.5, 2 / 3, 2.0], ids=["cylinder", "sphere", "second"])
def test_contracting_geometry(engine, order):
    """1 - a = (1 - (1 - n) k t)^(1 / (1 - n)), from the unreacted state."""
    law = models.ContractingGeometry(
        coef=0.8, order=order, conversion_degree="a", reaction_rate="a_rate", name="law"
    )
    exact = 1 - (1 - (1 - order) * 0.8) ** (1 / (1 - order))
    check_first_order(integrated("a", law), engine, "a", 0.0, 1.0, exact)


@every_engine
def test_avrami_erofeev(engine):
    """With L = -ln(1 - a), L^(1 - n) = L_0^(1 - n) + (1 - n) k t, which is Avrami's equation if L_0 = 0."""
    law = models.AvramiErofeevNucleation(
        coef=1.5, order=0.5, conversion_degree="a", reaction_rate="a_rate", name="law"
    )
    exact = 1 - math.exp(-((0.1 + 0.75) ** 2))
    start = 1 - math.exp(-(0.1**2))
    check_first_order(integrated("a", law), engine, "a", start, 1.0, exact)


@every_engine
def test_layer_that_grows_inwards(engine):
    """(r_o + d) (r_0^2 - r^2) - 2/3 (r_0^3 - r^3) = 2 D t r_o / omega, for a solid that is not used up."""
    geometry = models.CylindricalChannelGeometry(solid_fraction="s", product_fraction="p", name="geometry")
    law = models.DiffusionLimitedReaction(
        diffusion_coefficient=0.04,
        molar_volume=1.0,
        product_dummy_thickness=0.02,
        product_inner_radius="inner_radius",
        solid_inner_radius="outer_radius",
        reaction_rate="p_rate",
        name="law",
    )
    full = models.ScalarConstantParameter(value=1.0, parameter="liquid_reactivity", name="liquid")
    ready = models.ScalarConstantParameter(value=1.0, parameter="solid_reactivity", name="solid")
    wall = models.ScalarConstantParameter(value=0.19, parameter="s", name="wall")
    model = integrated("p", wall, full, ready, geometry, law)

    def time_until(r):
        return ((0.9 + 0.02) * (0.81 - r**2) - 2 / 3 * (0.729 - r**3)) / (2 * 0.04 * 0.9)

    check_first_order(model, engine, "p", 0.0, time_until(0.6), 0.81 - 0.36)


def test_a_composite_of_one_constituent_has_its_density():
    volume = models.EffectiveVolume(reference_mass=3.0, mass_fractions="w", densities=1200.0)
    assert float(volume(Scalar(1.0)).data.detach()) == pytest.approx(3 / 1200)


def test_contracting_geometry_keeps_its_slope_beyond_the_limits():
    law = models.ContractingGeometry(coef=0.3, order=1.5)
    a = torch.tensor([-0.2, 0.0, 1.0, 1.4], dtype=torch.float64)
    values, jacobian = law.jacobian({"conversion_degree": Scalar(a)})
    c = torch.tensor([1 - EPS, 1 - EPS, EPS, EPS], dtype=torch.float64)
    torch.testing.assert_close(values["reaction_rate"].data, 0.3 * c**1.5, rtol=1e-14, atol=0)
    slopes = jacobian["reaction_rate"]["conversion_degree"].data
    torch.testing.assert_close(slopes, -0.45 * c**0.5, rtol=1e-14, atol=0)


def test_a_full_channel_has_no_slope_and_an_empty_one_has():
    geometry = models.CylindricalChannelGeometry()
    point = {"solid_fraction": Scalar([0.4, 0.0, 0.4]), "product_fraction": Scalar([0.7, 0.0, 0.6])}
    values, jacobian = geometry.jacobian(point)
    radius = torch.tensor([EPS, 1 - EPS, EPS], dtype=torch.float64).sqrt()
    torch.testing.assert_close(values["inner_radius"].data, radius, rtol=1e-14, atol=0)
    for fraction in point:
        assert jacobian["inner_radius"][fraction].data.tolist() == pytest.approx([0.0, -0.5, 0.0])


@pytest.mark.parametrize("densities", [[600.0], [600.0, 800.0, 1000.0]])
def test_every_mass_fraction_needs_its_density(densities):
    with pytest.raises(
        ValueError, match=f"2 mass_fractions and {len(densities)} densities; give one density"
    ):
        models.EffectiveVolume(reference_mass=1.0, mass_fractions=["a", "b"], densities=densities)


def test_an_order_is_no_variable():
    with pytest.raises(ValueError, match="order must be a number or a tensor, not 'n'"):
        models.ContractingGeometry(coef=1.0, order="n")


# ---------------------------------------------------------------------- reactive infiltration


def amounts(name):
    """Of product (20 per amount) and solid (10 per amount), from their volume fractions."""
    return [
        models.ScalarLinearCombination(
            **{"from": f"phi{c}", "to": f"n{c}", "weights": weight}, name=f"{name}_{c}"
        )
        for c, weight in (("p", 0.05), ("s", 0.1))
    ]


def infiltration():
    """Product grows by diffusion through itself, where there is liquid, and takes the solid away."""
    residual = ComposedModel(
        [
            *amounts("inside"),
            models.ScalarVariableRate(variable="np", name="product_rate"),
            models.ScalarVariableRate(variable="ns", name="solid_rate"),
            models.CylindricalChannelGeometry(solid_fraction="phis", product_fraction="phip", name="radii"),
            models.HermiteSmoothStep(
                argument="phis", value="Rs", lower_bound=0.0, upper_bound=0.1, name="solid_reactivity"
            ),
            models.HermiteSmoothStep(
                argument="phil", value="Rl", lower_bound=0.0, upper_bound=0.2, name="liquid_reactivity"
            ),
            models.DiffusionLimitedReaction(
                diffusion_coefficient=0.03,
                molar_volume=10.0,
                product_inner_radius="inner_radius",
                solid_inner_radius="outer_radius",
                liquid_reactivity="Rl",
                solid_reactivity="Rs",
                reaction_rate="r",
                name="reaction",
            ),
            models.ScalarLinearCombination(
                **{"from": "np_rate r", "to": "phip_residual", "weights": [1.0, -1.0]}, name="growth"
            ),
            models.ScalarLinearCombination(
                **{"from": "np_rate ns_rate", "to": "phis_residual", "weights": [1.0, 0.7]}, name="loss"
            ),
        ]
    )
    guess = ConstantExtrapolationPredictor(unknowns_Scalar=["phip", "phis"])
    update = ImplicitUpdate(NonlinearSystem(residual, unknowns="phip phis"), predictor=guess)
    return ComposedModel([update, *amounts("after")], additional_outputs=["phip", "phis"])


@every_engine
def test_infiltration_keeps_the_amount_of_what_reacts(engine):
    """From a channel without product; where no liquid comes nothing happens."""
    liquid = torch.linspace(0, 0.3, 41, dtype=torch.float64)[:, None] * torch.tensor([1, 0])
    initial = {"phis": 0.3, "ns": 0.03}
    history = History(
        torch.linspace(0, 1, 41, dtype=torch.float64),
        {"phil": liquid},
        initial={n: torch.full((2,), x, dtype=torch.float64) for n, x in initial.items()},
    )
    with torch.no_grad():
        run = TransientDriver(infiltration(), engine=engine).run(history)
    assert run.succeeded
    product, solid = run["np"].data, run["ns"].data
    torch.testing.assert_close(
        (product + 0.7 * solid)[1:], torch.full((40, 2), 0.021, dtype=torch.float64), rtol=1e-8, atol=0
    )
    assert (product[1:, 0].diff() > 0).all() and product[-1, 0] > 2e-3
    torch.testing.assert_close(product[:, 1], torch.zeros(41, dtype=torch.float64), rtol=0, atol=1e-12)
