"""Cohesive zones: what pulls the two faces of an interface together as they separate.

Tractions are (normal, first tangential, second tangential). The normal separation is the positive part of the
normal jump, the penetration its negative part (`MacaulaySplit`).
"""

from __future__ import annotations

import math

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import Scalar, Vec, exp, gt, lt, vec_from_scalars, where

_NORMAL = Input("Opening of the interface", unit="length")
_PENETRATION = Input(
    "Negative part of the normal jump; not resisted if not given", default=None, unit="length"
)
_TANGENTIAL_1 = Input("First tangential jump", unit="length")
_TANGENTIAL_2 = Input("Second tangential jump", unit="length")
_TRACTION = Output("Traction: normal, first and second tangential", unit="stress")
_DAMAGE = Output("Damage: 0 for the intact interface, 1 for the broken one")
_OLD_DAMAGE = Input("Damage one step before", of="damage", suffix="~1")
_PENALTY = Parameter(
    "penalty_stiffness",
    "Stiffness against penetration",
    default=0.0,
    promotable=False,
    within="[0, inf)",
    unit="stress/length",
)


class BilinearTraction(Model):
    r"""Traction that grows linearly, then falls linearly to zero (Camanho and Davila, 2002).

    Damage is that of the largest effective separation :math:`\delta_m` so far,

    .. math:: d = \max(d_n, d^*), \qquad
              d^* = \frac{\delta_f (\delta_m - \delta_c)}{\delta_m (\delta_f - \delta_c)}
              \text{ for } \delta_c \le \delta_m < \delta_f,

    0 below and 1 above, so that an interface with :math:`\delta_f \le \delta_c` breaks at once at
    :math:`\delta_c`. The stiffness K is that of the intact interface and that against penetration:

    .. math:: T = (1 - d) K \delta + K \delta^-_n e_n

    In a tie the derivatives are those of the old damage.
    """

    effective_separation: Scalar = Input("Effective separation", unit="length")
    normal_separation: Scalar = _NORMAL
    normal_penetration: Scalar = _PENETRATION
    tangential_separation_1: Scalar = _TANGENTIAL_1
    tangential_separation_2: Scalar = _TANGENTIAL_2
    traction: Vec = _TRACTION
    damage: Scalar = _DAMAGE
    old_damage: Scalar = _OLD_DAMAGE
    K: Scalar = Parameter(
        "penalty_stiffness",
        "Stiffness of the intact interface",
        promotable=False,
        within="(0, inf)",
        unit="stress/length",
    )
    delta_c: Scalar = Parameter(
        "critical_separation", "Separation at which damage starts", within="(0, inf)", unit="length"
    )
    delta_f: Scalar = Parameter(
        "full_separation", "Separation at which the interface is broken", within="(0, inf)", unit="length"
    )

    def forward(self, delta_m, normal, penetration, t1, t2, old, K, delta_c, delta_f):
        softens = where(lt(delta_m, delta_c), delta_c, delta_m)  # divides nothing by a separation of zero
        span = where(gt(delta_f, delta_c), delta_f - delta_c, 1 + 0 * delta_f)
        left = delta_c * (delta_f - softens) / (softens * span)  # 1 - d*, with exact ends
        beyond = where(lt(delta_m, delta_f), 1 - left, 1 + 0 * left)
        d = _irreversible(where(lt(delta_m, delta_c), 0 * left, beyond), old)
        s = K * (1 - d)
        return _traction(s * normal, s * t1, s * t2, K, penetration), d


class OrthotropicLinearTraction(Model):
    r"""Elastic interface.

    .. math:: T = (K_n \delta_n + K_p \delta^-_n,\; K_t \delta_{s1},\; K_t \delta_{s2})
    """

    normal_separation: Scalar = _NORMAL
    normal_penetration: Scalar = _PENETRATION
    tangential_separation_1: Scalar = _TANGENTIAL_1
    tangential_separation_2: Scalar = _TANGENTIAL_2
    traction: Vec = _TRACTION
    Kn: Scalar = Parameter(
        "normal_stiffness",
        "Stiffness against opening",
        promotable=False,
        within="[0, inf)",
        unit="stress/length",
    )
    Kt: Scalar = Parameter(
        "tangential_stiffness",
        "Stiffness against sliding",
        promotable=False,
        within="[0, inf)",
        unit="stress/length",
    )
    Kpen: Scalar = _PENALTY

    def forward(self, normal, penetration, t1, t2, Kn, Kt, Kpen):
        return _traction(Kn * normal, Kt * t1, Kt * t2, Kpen, penetration)


class SalehaniIraniTraction(Model):
    r"""Exponential law that couples opening and sliding (Salehani and Irani, 2018), with irreversible damage.

    .. math:: d = \max\left(d_n,\; 1 - e^{-(b_n + b_1^2 + b_2^2)}\right), \qquad
              b_n = \frac{\delta_n}{\Delta_n}, \qquad b_i = \frac{\delta_{si}}{\sqrt2 \Delta_t}

    .. math:: T_n = (1 - d)\, e\, T^{max}_n b_n + K_p \delta^-_n, \qquad
              T_i = (1 - d) \sqrt{2e}\, T^{max}_t b_i

    The tractions of pure opening and pure sliding peak at :math:`\Delta_n` and :math:`\Delta_t`. In a tie the
    derivatives are those of the old damage.
    """

    normal_separation: Scalar = _NORMAL
    normal_penetration: Scalar = _PENETRATION
    tangential_separation_1: Scalar = _TANGENTIAL_1
    tangential_separation_2: Scalar = _TANGENTIAL_2
    traction: Vec = _TRACTION
    damage: Scalar = _DAMAGE
    old_damage: Scalar = _OLD_DAMAGE
    delta_u0_n: Scalar = Parameter(
        "normal_characteristic_length",
        "Opening of the largest traction",
        promotable=False,
        within="(0, inf)",
        unit="length",
    )
    delta_u0_t: Scalar = Parameter(
        "tangential_characteristic_length",
        "Sliding of the largest traction",
        promotable=False,
        within="(0, inf)",
        unit="length",
    )
    Tmax_n: Scalar = Parameter(
        "normal_strength", "Largest normal traction", promotable=False, within="[0, inf)", unit="stress"
    )
    Tmax_t: Scalar = Parameter(
        "shear_strength", "Largest tangential traction", promotable=False, within="[0, inf)", unit="stress"
    )
    Kpen: Scalar = _PENALTY

    def forward(self, normal, penetration, t1, t2, old, Dn, Dt, Tn, Tt, Kpen):
        bn, b1, b2 = normal / Dn, t1 / (math.sqrt(2) * Dt), t2 / (math.sqrt(2) * Dt)
        d = _irreversible(1 - exp(-(bn + b1 * b1 + b2 * b2)), old)
        n, t = math.e * Tn * (1 - d), math.sqrt(2 * math.e) * Tt * (1 - d)
        return _traction(n * bn, t * b1, t * b2, Kpen, penetration), d


def _irreversible(damage: Scalar, old: Scalar) -> Scalar:
    """The larger damage, in a tie the old one; the zero lets a NaN of the new one be seen."""
    return where(gt(damage, old), damage, old + 0 * damage)


def _traction(n: Scalar, t1: Scalar, t2: Scalar, stiffness: Scalar, penetration: Scalar | None) -> Vec:
    """The traction of the interface, and that of its faces pressed together."""
    if penetration is not None:
        n = n + stiffness * penetration
    return vec_from_scalars(n, t1, t2)
