"""Slip systems: the shear stress that acts on them, the rate at which they slip, and their total activity."""

from __future__ import annotations

import torch

from neml2.data import CrystalGeometry
from neml2.fields import Dependency, Input, Output, Parameter
from neml2.model import Model
from neml2.types import R2, SR2, Scalar, abs, exp, inner, log, rotate, sum


class OnSlipSystems(Model, abstract=True):
    """A model that knows the slip systems of its crystal; they are the last axis of the sub-batch."""

    crystal_geometry: CrystalGeometry = Dependency(
        "Data", "The crystal, with its slip systems", default="crystal_geometry", needs="nslip"
    )

    def _per_system(self, rates: Scalar) -> Scalar:
        n = self.crystal_geometry.nslip
        if rates.sub_batch_shape[-1:] != (n,):
            raise ValueError(
                f"{self._label()}: slip_rates has the sub-batch {tuple(rates.sub_batch_shape)}; its last axis"
                f" must be the {n} slip systems"
            )
        return rates


class ResolvedShear(OnSlipSystems):
    r"""Shear stress on every slip system, in the direction of slip (Schmid).

    With the slip direction d and the normal n of the slip plane, both in the crystal frame,

    .. math:: \tau_s = \sigma : Q\,\mathrm{sym}(d_s \otimes n_s)\,Q^T
    """

    stress: SR2 = Input("Stress in the frame of the sample", unit="stress")
    orientation_matrix: R2 = Input("Rotation from the crystal frame to the frame of the sample")
    resolved_shears: Scalar = Output("Resolved shear stress of every slip system", unit="stress")

    def forward(self, sigma, Q):
        in_crystal = rotate(sigma, Q.base.transpose())  # one rotation, instead of one for every system
        return inner(in_crystal.sub_batch.unsqueeze(-1), self.crystal_geometry.M)  # (*sub_batch, nslip)


class PowerLawSlipRule(Model):
    r"""Slip rate that grows with a power of the resolved shear stress (Hutchinson, 1976).

    .. math:: \dot\gamma_s = \dot\gamma_0
              \left|\frac{\tau_s}{\bar\tau_s}\right|^{n-1} \frac{\tau_s}{\bar\tau_s}
    """

    resolved_shears: Scalar = Input("Resolved shear stress of every slip system", unit="stress")
    slip_strengths: Scalar = Input("Strength of every slip system", unit="stress")
    slip_rates: Scalar = Output("Slip rate of every slip system", unit="1/time")
    gamma0: Scalar = Parameter("gamma0", "Slip rate at the strength", within="[0, inf)", unit="1/time")
    n: Scalar = Parameter("n", "Exponent of the stress", within="(0, inf)")

    def forward(self, tau, strength, gamma0, n):
        x = tau / strength
        size = abs(x) + torch.finfo(x.dtype).tiny  # has a logarithm also at rest
        return gamma0 * exp((n - 1) * log(size)) * x


class SumSlipRates(Model):
    r"""Total slip activity.

    .. math:: \dot\gamma = \sum_s |\dot\gamma_s|
    """

    slip_rates: Scalar = Input("Slip rate of every slip system", unit="1/time")
    sum_slip_rates: Scalar = Output("Sum of the absolute slip rates", unit="1/time")

    def forward(self, rates):
        if not rates.sub_batch_ndim:
            raise ValueError(
                f"{self._label()}: slip_rates has no sub-batch axis to sum over; give it one, of the systems"
            )
        return sum(abs(rates).sub_batch, -1)
