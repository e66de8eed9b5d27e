"""Yield stress and stiffness as functions of the temperature, from tension tests at several temperatures.

    python examples/calibrate_temperature/calibrate.py [picture.png]

prints a table of fitted values beside the true ones, and draws the tests.
"""

import sys
from pathlib import Path

import pandas
from known import NOISE, TRUE

import neml2
from neml2.recurrent import Experiment, calibrate

HERE = Path(__file__).parent
BOUNDS = {  # the entries of a table are fitted one by one
    "yield_stress.ordinate": (20.0, 600.0),
    "youngs_modulus.ordinate": (50e3, 400e3),
    "iso.R": (5.0, 500.0),
    "iso.d": (1.0, 200.0),
    "flow.eta": (10.0, 1000.0),
    "flow.n": (1.0, 20.0),
}


def experiments():
    """One experiment for every test of the table; the temperature is prescribed like the strain."""
    return [
        Experiment.from_pandas(
            table,
            name=name,
            time="time [s]",
            control={"strain.xx": "strain [%]", "T": "T [degC]"},
            responses={"stress.xx": "stress [MPa]"},
            into={"time": "s", "stress": "MPa", "T": "degC"},
            sigma=NOISE,
        )
        for name, table in pandas.read_csv(HERE / "tests.csv").groupby("test", sort=False)
    ]


def fit(tests):
    """The fit from the values of ``model.i``."""
    return calibrate(neml2.load_model(HERE / "model.i", "model"), tests, BOUNDS)


def true(name):
    """The true value of an entry such as ``yield_stress.ordinate[2]``."""
    base, _, entry = name.rstrip("]").partition("[")
    return TRUE[base][int(entry)] if entry else TRUE[base]


def table(result):
    """True and fitted values with their intervals."""
    lines = [f"{'':28s}{'true':>8s}{'fitted':>12s}   95 % interval"]
    for name, (low, high) in result.intervals().items():
        inside = "" if low <= true(name) <= high else "*"
        lines.append(
            f"{name:28s}{true(name):8g}{result[name]:12.5g}   {low:.5g} to {high:.5g} {inside}".rstrip()
        )
    return "\n".join(lines)


if __name__ == "__main__":
    result = fit(experiments())
    print(result, end="\n\n")
    print(table(result))
    result.plot(sys.argv[1] if len(sys.argv) > 1 else "calibrate_temperature.png")
