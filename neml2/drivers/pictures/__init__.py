"""How histories, models and trajectories look: curves, figures, text and notebooks."""

from neml2.drivers.pictures.plot import creep_curve, hysteresis, relaxation, stress_range_per_cycle

__all__ = ["creep_curve", "hysteresis", "relaxation", "stress_range_per_cycle"]
