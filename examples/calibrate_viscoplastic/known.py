"""The three tests of this example, computed with known parameters and overlaid with noise, as CSV files.

    python examples/calibrate_viscoplastic/known.py [folder]

writes ``cyclic_fast.csv``, ``cyclic_slow.csv`` and ``tension.csv``: what a machine would have recorded.
"""

import copy
import csv
import functools
import sys
from pathlib import Path

import numpy as np
import torch

import neml2
from neml2 import TransientDriver, laboratory

HERE = Path(__file__).parent
NOISE = 3.0  # MPa, the standard deviation of the load cell
TRUE = {  # MPa, s
    "elasticity.E": 160e3,
    "yield_function.yield_stress": 90.0,
    "isotropic_hardening.saturated_hardening": 80.0,
    "isotropic_hardening.saturation_rate": 12.0,
    "X_rate.C": 40e3,
    "X_rate.g": 400.0,
    "flow_rate.reference_stress": 250.0,
    "flow_rate.exponent": 4.5,
}
HISTORIES = {
    "cyclic_fast": laboratory.cyclic(0.01, 4, rate=1e-2, rows=32),
    "cyclic_slow": laboratory.cyclic(0.008, 4, rate=1e-5, rows=32),
    "tension": laboratory.monotonic(0.05, 1e-2, rows=64),
}


def material():
    """The model of ``model.i`` with the true parameters."""
    from neml2.recurrent.parameter_names import parameter_path

    model = copy.deepcopy(neml2.load_model(HERE / "model.i", "model"))
    for name, value in TRUE.items():
        model.set_parameter(parameter_path(model, name), value)
    return model


@functools.cache
def exact():
    """Time, axial strain and axial stress of every test, ``(rows,)`` each, without noise."""
    driver = TransientDriver(material(), engine="native")
    found = {}
    with torch.no_grad():
        for name, history in HISTORIES.items():
            trajectory = driver.run(history)
            found[name] = tuple(
                x.numpy()
                for x in (trajectory.time, trajectory["strain"].data[:, 0], trajectory["stress"].data[:, 0])
            )
    return found


def write(folder, seed=7):
    """The CSV files of one noise."""
    noise = np.random.default_rng(seed)
    for name, (time, strain, stress) in exact().items():
        measured = stress + NOISE * noise.standard_normal(len(stress))
        with open(folder / f"{name}.csv", "w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["time [s]", "strain [%]", "stress [MPa]"])
            rows.writerows(
                [f"{t:.6g}", f"{100 * e:.8g}", f"{s:.2f}"] for t, e, s in zip(time, strain, measured)
            )


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
