"""A liquid that fills the channels of a porous solid and reacts with their walls.

The product is a layer between the liquid, inside, and the solid, outside; the reactants meet by diffusion
through it.
"""

from __future__ import annotations

import torch

from neml2.fields import Input, Option, Output, Parameter
from neml2.model import Model
from neml2.models.common._held import limited
from neml2.types import Scalar, clamp, sqrt


class CylindricalChannelGeometry(Model):
    r"""Radii of the product layer around a cylindrical channel, relative to that of its cell.

    .. math:: r_i = \sqrt{1 - \varphi_s - \varphi_p}, \qquad r_o = \sqrt{1 - \varphi_s}

    What is under the first root is limited to the interval from the machine epsilon to one minus it. A full
    channel has no slope; an empty one, where infiltration starts, has that of the formula.
    """

    solid_fraction: Scalar = Input("Volume fraction of the solid")
    product_fraction: Scalar = Input("Volume fraction of the product")
    inner_radius: Scalar = Output("Radius at which the product meets the liquid")
    outer_radius: Scalar = Output("Radius at which the product meets the solid")

    def forward(self, solid, product):
        eps = torch.finfo(solid.dtype).eps
        empty = limited(1 - solid - product, hi=1 - eps)
        return sqrt(clamp(empty, eps)), sqrt(1 - solid)


class DiffusionLimitedReaction(Model):
    r"""Rate of a reaction whose reactants meet by diffusion through their product.

    .. math:: r = \frac{2 D R_l R_s}{\omega}\, \frac{r_o}{r_o - r_i + \delta}
    """

    product_inner_radius: Scalar = Input("Radius at which the product meets the liquid")
    solid_inner_radius: Scalar = Input("Radius at which the product meets the solid")
    liquid_reactivity: Scalar = Input("Reactivity of the liquid, from 0 to 1")
    solid_reactivity: Scalar = Input("Reactivity of the solid, from 0 to 1")
    reaction_rate: Scalar = Output("Rate of the reaction", unit="amount/volume/time")
    D: Scalar = Parameter(
        "diffusion_coefficient", "Diffusivity of the rate-limiting species in the product", within="[0, inf)"
    )
    delta: float = Option(
        "Thickness that keeps the rate finite where there is no product yet",
        option="product_dummy_thickness",
        default=0.01,
        within="[0, inf)",
    )
    omega: float = Option(
        "Molar volume of the rate-limiting species",
        option="molar_volume",
        within="(0, inf)",
        unit="volume/amount",
    )

    def forward(self, ri, ro, Rl, Rs, D):
        return 2 * D * Rl * Rs / self.omega * ro / (ro - ri + self.delta)
