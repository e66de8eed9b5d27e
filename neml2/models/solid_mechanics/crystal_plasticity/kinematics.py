"""Rates of deformation, spin and orientation that follow from slip, for small elastic strains.

The orientation Q takes components in the crystal frame to the frame of the sample. With the velocity gradient
l = D + W and its plastic part l^p = D^p + W^p, the elastic strain changes at D - D^p + W eps - eps W, and the
lattice turns with the spin W - W^p + D^p eps - eps D^p.
"""

from __future__ import annotations

from neml2.fields import Input, Option, Output
from neml2.model import Model
from neml2.models.solid_mechanics.crystal_plasticity.slip import OnSlipSystems
from neml2.types import (
    MRP,
    R2,
    SR2,
    WR2,
    Scalar,
    inner,
    lt,
    r2_from_sr2,
    r2_from_wr2,
    rotate,
    skew,
    sum,
    sym,
    where,
)


class PlasticDeformationRate(OnSlipSystems):
    r"""Plastic deformation rate from slip.

    .. math:: D^p = Q \left(\sum_s \dot\gamma_s\,\mathrm{sym}(d_s \otimes n_s)\right) Q^T
    """

    orientation_matrix: R2 = Input("Rotation from the crystal frame to the frame of the sample")
    slip_rates: Scalar = Input("Slip rate of every slip system", unit="1/time")
    plastic_deformation_rate: SR2 = Output("Plastic deformation rate", unit="1/time")

    def forward(self, Q, rates):
        return rotate(sum((self._per_system(rates) * self.crystal_geometry.M).sub_batch, -1), Q)


class PlasticVorticity(OnSlipSystems):
    r"""Plastic spin from slip.

    .. math:: W^p = Q \left(\sum_s \dot\gamma_s\,\mathrm{skew}(d_s \otimes n_s)\right) Q^T
    """

    orientation_matrix: R2 = Input("Rotation from the crystal frame to the frame of the sample")
    slip_rates: Scalar = Input("Slip rate of every slip system", unit="1/time")
    plastic_vorticity: WR2 = Output("Plastic spin", unit="1/time")

    def forward(self, Q, rates):
        return rotate(sum((self._per_system(rates) * self.crystal_geometry.W).sub_batch, -1), Q)


class PlasticSpatialVelocityGradient(OnSlipSystems):
    r"""Plastic velocity gradient from slip.

    .. math:: l^p = Q \left(\sum_s \dot\gamma_s\, d_s \otimes n_s\right) Q^T
    """

    orientation_matrix: R2 = Input("Rotation from the crystal frame to the frame of the sample")
    slip_rates: Scalar = Input("Slip rate of every slip system", unit="1/time")
    plastic_spatial_velocity_gradient: R2 = Output("Plastic velocity gradient", unit="1/time")

    def forward(self, Q, rates):
        return rotate(sum((self._per_system(rates) * self.crystal_geometry.A).sub_batch, -1), Q)


class ElasticStrainRate(Model):
    r"""Rate of the elastic strain in a spinning frame, for small elastic strains.

    .. math:: \dot\varepsilon = D - D^p + W \varepsilon - \varepsilon W
    """

    elastic_strain: SR2 = Input("Elastic strain", unit="strain")
    deformation_rate: SR2 = Input("Symmetric part of the velocity gradient", unit="1/time")
    vorticity: WR2 = Input("Skew part of the velocity gradient", unit="1/time")
    plastic_deformation_rate: SR2 = Input("Plastic deformation rate", unit="1/time")
    elastic_strain_rate: SR2 = Output("Rate of the elastic strain", unit="1/time")

    def forward(self, eps, D, W, Dp):
        return D - Dp + 2.0 * sym(r2_from_wr2(W) @ r2_from_sr2(eps))  # eps W is -(W eps)^T


class OrientationRate(Model):
    r"""Spin of the lattice, for small elastic strains.

    .. math:: \Omega = W - W^p + D^p \varepsilon - \varepsilon D^p, \qquad \dot Q = \Omega Q
    """

    elastic_strain: SR2 = Input("Elastic strain", unit="strain")
    vorticity: WR2 = Input("Skew part of the velocity gradient", unit="1/time")
    plastic_deformation_rate: SR2 = Input("Plastic deformation rate", unit="1/time")
    plastic_vorticity: WR2 = Input("Plastic spin", unit="1/time")
    orientation_rate: WR2 = Output("Spin of the lattice", unit="1/time")

    def forward(self, eps, W, Dp, Wp):
        return W - Wp + 2.0 * skew(r2_from_sr2(Dp) @ r2_from_sr2(eps))  # eps Dp is (Dp eps)^T


class FixOrientation(Model):
    r"""The shadow of an orientation that has left the principal set of parameters, else the orientation.

    Both stand for the same rotation. Where a sibling computes a variable of the same name as the output, this
    model runs after it, and its value counts.

    .. math:: r' = r \text{ if } r \cdot r < \text{threshold, else } -\frac{r}{r \cdot r}
    """

    r: MRP = Input("Orientation", option="input")
    fixed: MRP = Output("The same orientation in the principal set", option="output", priority="high")
    threshold: float = Option("Square of the norm from which on the shadow is taken", default=1.0)

    def forward(self, r):
        square = inner(r, r)
        inside = lt(square, self.threshold)
        return where(inside, r, -r / where(inside, Scalar.zeros_like(square) + 1.0, square))
