"""Models that every family uses: algebra on variables, tables, time integration, conversions of tensors."""

from neml2.models.common import (
    algebra,
    conditions,
    control,
    copies,
    interpolation,
    reductions,
    smooth_steps,
    tensors,
    time_integration,
)

__all__ = [
    "algebra",
    "conditions",
    "control",
    "copies",
    "interpolation",
    "reductions",
    "smooth_steps",
    "tensors",
    "time_integration",
]
