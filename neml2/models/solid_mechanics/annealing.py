"""Thermal annealing of hardening variables."""

from __future__ import annotations

from typing import Generic, TypeVar

from neml2.fields import Input, Output, Parameter
from neml2.model import Model, for_types
from neml2.types import SR2, Scalar, lt, where

T = TypeVar("T", Scalar, SR2)


class TwoStageThermalAnnealing(Model, Generic[T]):
    r"""Hardening stops above a first temperature and is undone above a second one.

    .. math::

        \dot h = \begin{cases} \dot h_0 & T < T_1 \\ 0 & \text{otherwise} \end{cases}
               - \begin{cases} 0 & T < T_2 \\ h/\tau & \text{otherwise} \end{cases}
    """

    base_rate: T = Input("Rate of hardening without annealing", unit="stress/time")
    base: T = Input("Hardening variable", unit="stress")
    temperature: Scalar = Input("Temperature", unit="temperature")
    modified_rate: T = Output("Rate of hardening with annealing", unit="stress/time")
    T1: Scalar = Parameter("T1", "Temperature at which hardening stops", promotable=False, unit="temperature")
    T2: Scalar = Parameter("T2", "Temperature at which recovery starts", promotable=False, unit="temperature")
    tau: Scalar = Parameter("tau", "Time of recovery", promotable=False, within="(0, inf)", unit="time")

    def forward(self, rate, h, temperature, T1, T2, tau):
        hardening = where(lt(temperature, T1), rate, 0 * rate)
        recovery = where(lt(temperature, T2), 0 * h, h / tau)
        return hardening - recovery


for_types(TwoStageThermalAnnealing, Scalar, SR2)
