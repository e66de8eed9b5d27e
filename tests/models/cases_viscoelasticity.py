"""Springs and dashpots."""

from __future__ import annotations

import torch

from neml2.types import SR2
from tests.models.cases import Case

STRAIN = [0.012, -0.007, 0.004, 0.009, -0.011, 0.006]
RATE = [0.55, -0.4, -0.15, 0.35, 0.2, -0.45]
STRESS = [120.0, -45.0, 30.0, 55.0, -20.0, 70.0]
VISCOUS = [0.004, -0.003, -0.002, 0.005, -0.006, 0.001]
SLOW = [-0.002, 0.003, -0.001, 0.002, 0.004, 0.007]
SITES = SR2(torch.tensor([STRAIN, VISCOUS], dtype=torch.float64), 1)
ZENER = {"equilibrium_modulus": 1300.0, "maxwell_modulus": 4700.0, "maxwell_viscosity": 260.0}
WIECHERT = {
    "equilibrium_modulus": 1300.0,
    "modulus_1": 4700.0,
    "viscosity_1": 260.0,
    "modulus_2": 900.0,
    "viscosity_2": 3100.0,
}
BURGERS = {
    "maxwell_modulus": 4700.0,
    "maxwell_viscosity": 2600.0,
    "kelvin_modulus": 1300.0,
    "kelvin_viscosity": 310.0,
}


def total(*terms: tuple[float, list[float]]) -> list[float]:
    """The weighted sum of tensors."""
    return [sum(w * x[i] for w, x in terms) for i in range(6)]


ELASTIC = total((4700.0, STRAIN), (-4700.0, VISCOUS))
SECOND = total((900.0, STRAIN), (-900.0, SLOW))
SERIAL = total((4700.0, STRAIN), (-4700.0, VISCOUS), (-4700.0, SLOW))

CASES = [
    Case(
        "LinearDashpot",
        {"viscosity": 250.0},
        {"stress": STRESS},
        {"viscous_strain_rate": [s / 250 for s in STRESS]},
    ),
    Case(
        "LinearDashpot",
        {"viscosity": "eta", "viscous_strain_rate": "ev_rate"},
        {"stress": STRESS, "eta": 250.0},
        {"ev_rate": [s / 250 for s in STRESS]},
        "wired",
    ),
    Case(
        "KelvinVoigtElement",
        {"modulus": 1300.0, "viscosity": 25.0},
        {"strain": STRAIN, "strain_rate": RATE},
        {"stress": total((1300.0, STRAIN), (25.0, RATE))},
    ),
    Case(
        "KelvinVoigtElement",
        {"modulus": 1300.0, "viscosity": 0.0, "strain": "e"},
        {"e": SITES, "e_rate": RATE},
        {"stress": SR2(1300 * SITES.data, 1)},
        "sites",
    ),
    Case(
        "ZenerElement",
        ZENER,
        {"strain": STRAIN, "viscous_strain": VISCOUS},
        {
            "stress": total((1300.0, STRAIN), (1.0, ELASTIC)),
            "viscous_strain_rate": [s / 260 for s in ELASTIC],
        },
    ),
    Case(
        "ZenerElement",
        ZENER | {"viscous_strain": "ev", "viscous_strain_rate": "flow"},
        {"strain": SITES, "ev": VISCOUS},
        tag="sites",
    ),
    Case(
        "WiechertElement",
        WIECHERT,
        {"strain": STRAIN, "viscous_strain_1": VISCOUS, "viscous_strain_2": SLOW},
        {
            "stress": total((1300.0, STRAIN), (1.0, ELASTIC), (1.0, SECOND)),
            "viscous_strain_1_rate": [s / 260 for s in ELASTIC],
            "viscous_strain_2_rate": [s / 3100 for s in SECOND],
        },
    ),
    Case(
        "WiechertElement",
        WIECHERT | {"viscous_strain_2": "slow", "viscous_strain_1_rate": "fast_rate"},
        {"strain": STRAIN, "viscous_strain_1": SITES, "slow": SLOW},
        tag="sites",
    ),
    Case(
        "BurgersElement",
        BURGERS,
        {"strain": STRAIN, "maxwell_viscous_strain": VISCOUS, "kelvin_voigt_strain": SLOW},
        {
            "stress": SERIAL,
            "maxwell_viscous_strain_rate": [s / 2600 for s in SERIAL],
            "kelvin_voigt_strain_rate": total((1 / 310, SERIAL), (-1300 / 310, SLOW)),
        },
    ),
    Case(
        "BurgersElement",
        BURGERS | {"kelvin_modulus": 0.0, "kelvin_voigt_strain": "eK"},
        {"strain": SITES, "maxwell_viscous_strain": VISCOUS, "eK": SLOW},
        tag="sites",
    ),
]
