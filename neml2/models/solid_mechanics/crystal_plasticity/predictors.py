"""Initial guesses for implicit updates of crystals."""

from __future__ import annotations

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.models.solid_mechanics.crystal_plasticity.slip import OnSlipSystems
from neml2.types import MRP, R2, SR2, SSR4, Scalar, gt, inner, inv, lt, norm, sym, where


class CrystalPlasticityStrainPredictor(Model):
    r"""Guesses the elastic strain: elastic at first, as it was once the crystal has yielded.

    The guess is a plain number: nothing is differentiated through it.

    .. math:: \varepsilon = \varepsilon_n + c\,D\,(t - t_n) \text{ if } \|\varepsilon_n\| < \varepsilon_0
              \text{, else } \varepsilon_n
    """

    deformation_rate: SR2 = Input("Symmetric part of the velocity gradient", unit="1/time")
    t: Scalar = Input("Time at the end of the step", option="time", default="t", unit="time")
    t_n: Scalar = Input("Time before the step", of="t", suffix="~1", unit="time")
    strain: SR2 = Output("Guessed elastic strain", option="elastic_strain", unit="strain")
    strain_n: SR2 = Input("Elastic strain before the step", of="strain", suffix="~1", unit="strain")
    scale: Scalar = Parameter(
        "scale", "Fraction of the strain increment that is elastic", default=1.0, promotable=False
    )
    threshold: Scalar = Parameter(
        "threshold", "Norm of the old strain from which on it is kept", default=1e-3, promotable=False
    )

    def forward(self, D, t, t_n, old, c, threshold):
        D, t, t_n, old, c = (x.detach() for x in (D, t, t_n, old, c))
        return where(lt(norm(old), threshold), old + c * (t - t_n) * D, old)


class CrystalPlasticityDeformationGradientPredictor(Model):
    r"""Guesses the plastic deformation gradient: as it was, unless the elastic one would become too large.

    The guess is a plain number: nothing is differentiated through it.

    .. math:: F_e = F F_{p,n}^{-1}, \qquad F_p = (I + c\,(F_e - I))^{-1} F
              \text{ if } \|\mathrm{sym}\,F_e - I\| > \epsilon_0 \text{, else } F_{p,n}
    """

    deformation_gradient: R2 = Input("Deformation gradient")
    Fp: R2 = Output("Guessed plastic deformation gradient", option="plastic_deformation_gradient")
    Fp_n: R2 = Input("Plastic deformation gradient before the step", of="Fp", suffix="~1")
    scale: Scalar = Parameter(
        "scale", "Fraction of the trial elastic distortion that is kept", default=0.1, promotable=False
    )
    threshold: Scalar = Parameter(
        "threshold", "Elastic distortion from which on it is reduced", default=1e-3, promotable=False
    )

    def forward(self, F, Fp_n, c, threshold):
        F, Fp_n, c = F.detach(), Fp_n.detach(), c.detach()
        one = R2.identity(dtype=F.dtype, device=F.device)
        Fe = F @ inv(Fp_n)
        reduced = inv(one + c * (Fe - one)) @ F
        return where(gt(norm(sym(Fe - one)), threshold), reduced, Fp_n)


class SlipSystemElasticInteraction(OnSlipSystems):
    r"""Loss of resolved shear stress on one slip system per rate of slip on another, over the step.

    Stiffness and slip systems turn together, so the orientation has no influence.

    .. math:: A_{ij} = (t - t_n)\, M_i : C : M_j, \qquad M_s = \mathrm{sym}(d_s \otimes n_s)
    """

    orientation: MRP = Input("Active rotation from the crystal frame to the frame of the sample")
    t: Scalar = Input("Time at the end of the step", option="time", default="t", unit="time")
    t_n: Scalar = Input("Time before the step", of="t", suffix="~1", unit="time")
    coupling: Scalar = Output("Coupling, sub-batch (nslip, nslip)", unit="stress time")
    elastic_stiffness_tensor: SSR4 = Parameter(
        "elastic_stiffness_tensor", "Stiffness in the crystal frame", unit="stress"
    )

    def forward(self, r, t, t_n, C):
        M = self.crystal_geometry.M
        stresses = C.sub_batch.unsqueeze(-1) @ M  # (*sub_batch, nslip)
        A = inner(M.sub_batch.unsqueeze(-1), stresses.sub_batch.unsqueeze(-2))
        step = t - t_n + 0.0 * inner(r, r)  # the batch of the orientation as well
        return step.sub_batch.unsqueeze(-1, 2) * A
