"""The tests of this example, computed with known parameters and overlaid with noise, as one CSV file.

    python examples/calibrate_temperature/known.py [file.csv]

writes nine tension tests at five temperatures and three rates.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import torch

import neml2
from neml2 import TransientDriver, laboratory
from neml2.recurrent.parameter_names import parameter_path

HERE = Path(__file__).parent
NOISE = 2.0  # MPa
TRUE = {  # MPa, s
    "yield_stress.ordinate": [260.0, 215.0, 180.0, 90.0],
    "youngs_modulus.ordinate": [205e3, 150e3],
    "iso.R": 120.0,
    "iso.d": 35.0,
    "flow.eta": 160.0,
    "flow.n": 6.0,
}
TESTS = [  # C, 1/s
    *[(20, 1e-1), (20, 1e-3), (20, 1e-6)],
    *[(150, 1e-3), (300, 1e-3), (450, 1e-3)],
    *[(600, 1e-1), (600, 1e-3), (600, 1e-6)],
]


def material():
    """The model of ``model.i`` with the true parameters."""
    model = neml2.load_model(HERE / "model.i", "model")
    for name, value in TRUE.items():
        path = parameter_path(model, name)
        model.set_parameter(path, torch.tensor(value, dtype=torch.float64))
    return model


def write(path, seed=0):
    """All tests, one below the other."""
    noise, driver = np.random.default_rng(seed), TransientDriver(material(), engine="native")
    with open(path, "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["test", "T [degC]", "time [s]", "strain [%]", "stress [MPa]"])
        for temperature, rate in TESTS:
            history = laboratory.monotonic(0.03, rate, rows=60, constant={"T": float(temperature)})
            with torch.no_grad():
                trajectory = driver.run(history)
            stress = trajectory["stress"].data[:, 0].numpy() + NOISE * noise.standard_normal(len(history))
            strain = 100 * trajectory["strain"].data[:, 0]
            for t, e, s in zip(trajectory.time.tolist(), strain.tolist(), stress.tolist()):
                rows.writerow(
                    [f"{temperature} C, {rate:g} /s", temperature, f"{t:.6g}", f"{e:.6g}", f"{s:.2f}"]
                )


if __name__ == "__main__":
    write(sys.argv[1] if len(sys.argv) > 1 else HERE / "tests.csv")
