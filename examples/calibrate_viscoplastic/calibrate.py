"""Voce, Chaboche and Perzyna parameters from three tests at two rates.

    python examples/calibrate_viscoplastic/calibrate.py [picture.png]

prints a table of fitted values beside the true ones, and draws the tests.
"""

import sys
from pathlib import Path

from known import NOISE, TRUE

import neml2
from neml2.recurrent import Experiment, calibrate

HERE = Path(__file__).parent
BOUNDS = {  # what an engineer would say beforehand
    "elasticity.E": (50e3, 400e3),
    "yield_function.yield_stress": (10.0, 500.0),
    "isotropic_hardening.saturated_hardening": (1.0, 1000.0),
    "isotropic_hardening.saturation_rate": (0.5, 200.0),
    "X_rate.C": (1e3, 1e6),
    "X_rate.g": (10.0, 5000.0),
    "flow_rate.reference_stress": (10.0, 5000.0),
    "flow_rate.exponent": (1.0, 20.0),
}


def experiments(folder=HERE, **options):
    """The tests as they were recorded."""
    return [
        Experiment.from_csv(
            folder / f"{name}.csv",
            time="time [s]",
            control={"strain.xx": "strain [%]"},  # all other stresses are zero
            responses={"stress.xx": "stress [MPa]"},
            into={"time": "s", "stress": "MPa"},
            sigma=NOISE,
            **options,
        )
        for name in ("cyclic_fast", "cyclic_slow", "tension")
    ]


def fit(tests, **options):
    """The fit from the values of ``model.i``."""
    return calibrate(neml2.load_model(HERE / "model.i", "model"), tests, BOUNDS, **options)


def table(result):
    """True and fitted values with their intervals."""
    lines = [f"{'':40s}{'true':>10s}{'fitted':>12s}   95 % interval"]
    for name, (low, high) in result.intervals().items():
        inside = " " if low <= TRUE[name] <= high else "*"
        lines.append(f"{name:40s}{TRUE[name]:10g}{result[name]:12.5g}   {low:.5g} to {high:.5g} {inside}")
    return "\n".join(lines)


if __name__ == "__main__":
    tests = experiments()
    for test in tests:
        print(test, end="\n\n")
    result = fit(tests)
    print(result, end="\n\n")
    print(table(result))
    result.plot(sys.argv[1] if len(sys.argv) > 1 else "calibrate_viscoplastic.png")
