"""Yield, growth and sintering of voids in porous solids."""

from __future__ import annotations

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import SR2, Scalar, cosh, tr


class GTNYieldFunction(Model):
    r"""Yield function of a porous solid (Gurson, 1977; Tvergaard and Needleman, 1984).

    .. math:: f = \left(\frac{\bar\sigma}{\sigma_f}\right)^2
              + 2 q_1 \phi \cosh\left(\frac{q_2 \sigma_p}{2 \sigma_f}\right) - (1 + q_3 \phi^2), \qquad
              \sigma_f = \sigma_y + k
    """

    flow_invariant: Scalar = Input("Effective (von Mises) stress", unit="stress")
    poro_invariant: Scalar = Input("Stress that opens the voids, usually the trace", unit="stress")
    void_fraction: Scalar = Input("Volume fraction of the voids")
    isotropic_hardening: Scalar = Input("Isotropic hardening; none if not given", default=None, unit="stress")
    yield_function: Scalar = Output("Value of the yield function")
    sy: Scalar = Parameter("yield_stress", "Yield stress of the matrix", within="(0, inf)", unit="stress")
    q1: Scalar = Parameter("q1", "Weight of the hydrostatic term", within="[0, inf)")
    q2: Scalar = Parameter("q2", "Weight of the hydrostatic stress", within="[0, inf)")
    q3: Scalar = Parameter("q3", "Weight of the squared void fraction", within="[0, inf)")

    def forward(self, s, sp, phi, k, sy, q1, q2, q3):
        sf = sy if k is None else sy + k
        return (s / sf) ** 2 + 2 * q1 * phi * cosh(q2 * sp / (2 * sf)) - (1 + q3 * phi * phi)


class GursonCavitation(Model):
    r"""Growth of voids by plastic dilatation (Gurson, 1977).

    .. math:: \dot\phi = (1 - \phi)\,\mathrm{tr}\,\dot\varepsilon^p
    """

    plastic_strain_rate: SR2 = Input("Rate of plastic strain", unit="1/time")
    void_fraction: Scalar = Input("Volume fraction of the voids")
    void_fraction_rate: Scalar = Output("Rate of the void fraction", unit="1/time")

    def forward(self, Ep, phi):
        return (1 - phi) * tr(Ep)


class OlevskySinteringStress(Model):
    r"""Stress by which surface tension closes the voids (Olevsky, 1998).

    .. math:: \sigma_s = \frac{3 \gamma \phi^2}{r}
    """

    void_fraction: Scalar = Input("Volume fraction of the voids")
    sintering_stress: Scalar = Output("Sintering stress", unit="stress")
    gamma: Scalar = Parameter("surface_tension", "Surface tension", within="[0, inf)", unit="stress length")
    r: Scalar = Parameter("particle_radius", "Radius of the particles", within="(0, inf)", unit="length")

    def forward(self, phi, gamma, r):
        return 3 * gamma * phi * phi / r
