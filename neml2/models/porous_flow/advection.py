"""The stress by which a deforming solid moves the fluid in its pores."""

from __future__ import annotations

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import R2, Scalar, inner, pow


class AdvectiveStress(Model):
    r"""Average stress on the fluid of a solid at finite strain, which also swells and expands.

    .. math:: p_s = -\frac{c}{3}\, J_s^{-5/3} J_t^{-2/3}\, P : F
    """

    js: Scalar = Input("Ratio of volumes by swelling; 1 if not given", default=None)
    jt: Scalar = Input("Ratio of volumes by thermal expansion; 1 if not given", default=None)
    deformation_gradient: R2 = Input("Deformation gradient")
    pk1_stress: R2 = Input("First Piola-Kirchhoff stress", unit="stress")
    advective_stress: Scalar = Output("Advective stress", unit="stress")
    coeff: Scalar = Parameter("coefficient", "Coefficient of the advective stress")

    def forward(self, Js, Jt, F, P, c):
        ps = -c / 3 * inner(P, F)
        if Js is not None:
            ps = ps * pow(Js, -5 / 3)
        return ps if Jt is None else ps * pow(Jt, -2 / 3)
