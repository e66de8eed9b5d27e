"""Creep with damage: a law of one's own, which `creep.i` uses."""

from neml2 import SR2, Input, Model, Output, Parameter, Scalar
from neml2.types import dev, norm


class KachanovCreep(Model):
    r"""Norton's creep, faster with damage, and the damage that it does (Kachanov, 1958; Rabotnov, 1969).

    .. math:: \dot\varepsilon^p = \frac32 \frac{s}{q} \left(\frac{q}{A (1-\omega)}\right)^n, \quad
        \dot\omega = \left(\frac{q}{B}\right)^r (1-\omega)^{-f}, \quad q = \sqrt{\tfrac32} |s|
    """

    stress: SR2 = Input("Stress", unit="stress")
    damage: Scalar = Input("Damage")
    plastic_strain_rate: SR2 = Output("Rate of the creep strain", unit="1/time")
    damage_rate: Scalar = Output("Rate of the damage", unit="1/time")
    A: Scalar = Parameter("creep_strength", "Stress at a rate of 1", within="(0, inf)", unit="stress")
    n: Scalar = Parameter("creep_exponent", "Exponent of the creep rate", within="[1, inf)")
    B: Scalar = Parameter("rupture_strength", "Stress at a rate of 1", within="(0, inf)", unit="stress")
    r: Scalar = Parameter("rupture_exponent", "Exponent of the damage rate", within="[1, inf)")
    f: Scalar = Parameter("acceleration", "How much damage speeds itself up", within="[0, inf)")

    def forward(self, stress, damage, A, n, B, r, f):
        s = dev(stress)
        q = norm(s) * 1.5**0.5
        whole = 1.0 - damage
        flow = 1.5 * s * (q / (A * whole)) ** (n - 1.0) / (A * whole)
        return flow, (q / B) ** r * whole ** (-f)
