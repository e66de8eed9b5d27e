"""Strains and volume ratios that need no stress: heat, swelling, and changes of volume and phase.

An eigenstrain counts from the reference state and is subtracted from the total strain, at small strains; a
volume ratio is divided out of the deformation gradient, at large ones.
"""

from __future__ import annotations

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import R2, SR2, Scalar, pow

_TEMPERATURE = Input("Temperature", unit="temperature")
_REFERENCE_TEMPERATURE = Parameter(
    "reference_temperature", "Temperature without expansion", promotable=False, unit="temperature"
)
_EIGENSTRAIN = Output("Strain without stress", unit="strain")
_JACOBIAN = Output("Ratio of the volume to the reference volume", option="jacobian")


class ThermalEigenstrain(Model):
    r"""Thermal expansion, with the linear coefficient.

    .. math:: \varepsilon^* = \alpha (T - T_0)\, I
    """

    temperature: Scalar = _TEMPERATURE
    eigenstrain: SR2 = _EIGENSTRAIN
    T0: Scalar = _REFERENCE_TEMPERATURE
    alpha: Scalar = Parameter("CTE", "Linear coefficient of thermal expansion", unit="1/temperature")

    def forward(self, T, T0, alpha):
        return _isotropic(alpha * (T - T0))


class VolumeChangeEigenstrain(Model):
    r"""Strain of a body that takes another volume and keeps its shape.

    .. math:: \varepsilon^* = \left((V/V_0)^{1/3} - 1\right) I
    """

    volume: Scalar = Input("Volume", unit="volume")
    eigenstrain: SR2 = _EIGENSTRAIN
    V0: Scalar = Parameter(
        "reference_volume",
        "Volume without strain",
        promotable=False,
        within="(0, inf)",
        unit="volume",
    )

    def forward(self, V, V0):
        return _isotropic(pow(V / V0, 1 / 3) - 1)


class PhaseTransformationEigenstrain(Model):
    r"""Strain in proportion to the amount of a new phase; three times it is the change of the volume.

    .. math:: \varepsilon^* = f\, \Delta V\, I
    """

    phase_fraction: Scalar = Input("Fraction of the new phase")
    volume_fraction_change: Scalar = Input("Strain in every direction when all has transformed")
    eigenstrain: SR2 = _EIGENSTRAIN

    def forward(self, f, dV):
        return _isotropic(f * dV)


class ThermalDeformationJacobian(Model):
    r"""Volume ratio of thermal expansion, with the volumetric coefficient.

    .. math:: J = 1 + \alpha (T - T_0)
    """

    temperature: Scalar = _TEMPERATURE
    J: Scalar = _JACOBIAN
    T0: Scalar = _REFERENCE_TEMPERATURE
    alpha: Scalar = Parameter("CTE", "Volumetric coefficient of thermal expansion", unit="1/temperature")

    def forward(self, T, T0, alpha):
        return 1 + alpha * (T - T0)


class SwellingAndPhaseChangeDeformationJacobian(Model):
    r"""Volume ratio of a solid whose pores hold a fluid that swells it and that freezes or melts.

    .. math:: J = 1 + \alpha c \phi + (1 - c) \phi\, \Delta\Omega
    """

    fluid_fraction: Scalar = Input("Volume fraction of the fluid")
    J: Scalar = _JACOBIAN
    c: Scalar = Parameter("phase_fraction", "Liquid share of the fluid; the rest is frozen", within="[0, 1]")
    alpha: Scalar = Parameter("swelling_coefficient", "Swelling per volume of liquid", promotable=False)
    dOmega: Scalar = Parameter(
        "reference_volume_difference", "Relative change of volume on freezing", promotable=False
    )

    def forward(self, phi, c, alpha, dOmega):
        return 1 + alpha * c * phi + (1 - c) * phi * dOmega


class VolumeAdjustDeformationGradient(Model):
    r"""Divides a volume ratio out of a deformation gradient, alike in all directions.

    .. math:: F' = J^{-1/3} F
    """

    F: R2 = Input("Deformation gradient", option="input")
    J: Scalar = Input("Volume ratio", option="jacobian")
    adjusted: R2 = Output("Deformation gradient without that change of volume", option="output")

    def forward(self, F, J):
        return pow(J, -1 / 3) * F


def _isotropic(strain: Scalar) -> SR2:
    """That strain in every direction."""
    return strain * SR2.identity(dtype=strain.dtype, device=strain.device)
