"""The scalar form of the radial return."""

from __future__ import annotations

from neml2.fields import Input, Output
from neml2.models.solid_mechanics.elastic_constants import WithElasticConstants, bulk_and_shear
from neml2.types import Scalar


class LinearIsotropicElasticJ2TrialStressUpdate(WithElasticConstants):
    r"""Von Mises stress after a plastic increment, from that of the elastic trial state.

    .. math:: \bar\sigma = \bar\sigma_\mathrm{trial} - 3G (\bar\varepsilon^p - \bar\varepsilon^p_n)
    """

    elastic_trial_stress: Scalar = Input("Von Mises stress of the elastic trial state", unit="stress")
    equivalent_plastic_strain: Scalar = Input("Accumulated plastic strain", unit="strain")
    equivalent_plastic_strain_old: Scalar = Input(
        "Accumulated plastic strain one step before",
        of="equivalent_plastic_strain",
        suffix="~1",
        unit="strain",
    )
    updated_trial_stress: Scalar = Output("Von Mises stress after the increment", unit="stress")

    def forward(self, trial, ep, old, *constants):
        _, G = bulk_and_shear(self.constants, constants)
        return trial - 3 * G * (ep - old)
