"""From values in N cells to fluxes over the N - 1 edges between them, and from fluxes to rates.

The sites are the first sub-batch axis. See LeVeque (2002), Finite Volume Methods for Hyperbolic Problems,
Cambridge University Press, chapter 4.
"""

from __future__ import annotations

from typing import Any

from neml2.fields import Field, Input, Output, Parameter
from neml2.model import Model
from neml2.models.common._sites import check_sites, per_site, refuse_list, sites
from neml2.types import Scalar, diff, heaviside


class LinearlyInterpolateToCellEdges(Model):
    r"""Values of N cells, interpolated linearly to the N - 1 edges between them.

    With the centres :math:`x_i` and the edge :math:`x_e` between the cells i and i + 1,

    .. math:: q_e = q_i + \frac{x_e - x_i}{x_{i+1} - x_i} (q_{i+1} - q_i)
    """

    edge_values: Scalar = Output("Values at the edges between cells")
    cell_values: Scalar = Parameter("cell_values", "Values at the centres of the cells")
    cell_centers: Scalar = Parameter(
        "cell_centers", "Positions of the centres", promotable=False, unit="length"
    )
    cell_edges: Scalar = Parameter(
        "cell_edges", "Positions of all edges, both ends included", promotable=False, unit="length"
    )

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        refuse_list(self._label(), "cell_values", given.get("cell_values"))
        for option in ("cell_centers", "cell_edges"):
            if option in given:
                given[option] = per_site(given[option])
        return fields

    def setup(self) -> None:
        cells = sites(self, "cell_centers", self.cell_centers)
        edges = sites(self, "cell_edges", self.cell_edges)
        if edges != cells + 1:
            raise ValueError(
                f"{self._label()}: {cells} cell_centers have {cells + 1} cell_edges, both ends included;"
                f" got {edges}"
            )

    def forward(self, q, x, edges):
        n = sites(self, "cell_values", q)
        if n != x.sub_batch_shape[0]:
            raise ValueError(
                f"{self._label()}: cell_values has {n} values for {x.sub_batch_shape[0]} cells; give one"
                f" for each"
            )
        left = x.sub_batch[:-1]
        share = (edges.sub_batch[1:-1] - left) / (x.sub_batch[1:] - left)
        return q.sub_batch[:-1] + share * diff(q.sub_batch)


class FiniteVolumeGradient(Model):
    r"""Negative weighted difference of neighbours: Fick's flux of cells, or minus the divergence of fluxes.

    From M values follow M - 1. Of the values in N cells, with the distances of the centres for
    :math:`\Delta x` and the diffusivity for p, they are the fluxes between the cells; of the fluxes over all
    N + 1 edges, with the widths of the cells, they are the rates of the values in the cells.

    .. math:: g_e = -\frac{p_e}{\Delta x_e} (u_{e+1} - u_e)
    """

    u: Scalar = Input("Values whose neighbours are compared")
    grad_u: Scalar = Output("Their negative weighted differences")
    dx: Scalar = Parameter(
        "dx", "Distances of the neighbours", promotable=False, within="(0, inf)", unit="length"
    )
    prefactor: Scalar = Parameter("prefactor", "Weight of every difference", default=1.0)

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        for option in ("dx", "prefactor"):
            refuse_list(self._label(), option, given.get(option))
        return fields

    def forward(self, u, dx, p):
        n = sites(self, "u", u) - 1
        check_sites(self, "dx", dx, n)
        check_sites(self, "prefactor", p, n)
        return -(p / dx) * diff(u.sub_batch)


class FiniteVolumeUpwindedAdvectiveFlux(Model):
    r"""Flux over the N - 1 edges between N cells that takes the value upstream (Courant and others, 1952).

    With the Heaviside function H, one half at zero, which counts as constant in derivatives,

    .. math:: J_e = v_e \left[H(v_e)\, u_e + (1 - H(v_e))\, u_{e+1}\right]

    Courant, Isaacson and Rees (1952), Commun. Pure Appl. Math. 5, 243-255.
    """

    u: Scalar = Input("Values in the cells")
    v_edge: Scalar = Input("Velocity at the edges between cells", unit="length/time")
    flux: Scalar = Output("Flux over the edges between cells")

    def forward(self, u, v):
        check_sites(self, "v_edge", v, sites(self, "u", u) - 1)
        forwards = heaviside(v)
        return v * (forwards * u.sub_batch[:-1] + (1 - forwards) * u.sub_batch[1:])
