"""Flow through porous solids."""

from __future__ import annotations

import math

import torch

from neml2.types import Scalar
from tests.models.cases import Case

SITES = Scalar(torch.tensor([0.15, 0.4], dtype=torch.float64), 1)
REFERENCE = {"reference_permeability": 2.0, "reference_porosity": 0.2}
BROOKS_COREY = {"threshold_pressure": 8.0, "exponent": 2.0}
VAN_GENUCHTEN = {"a": 12.0, "m": 0.5}
EXTENDED = {"log_extension": True, "transition_saturation": 0.25}
F = [[1.1, 0.2, -0.1], [0.05, 0.9, 0.3], [-0.2, 0.15, 1.05]]
P = [[30.0, -12.0, 5.0], [8.0, 21.0, -7.0], [3.0, 16.0, -25.0]]
WORK = sum(f * p for row in zip(F, P, strict=True) for f, p in zip(*row, strict=True))


def van_genuchten(s: float) -> float:
    return 12.0 * math.sqrt(s**-2 - 1)


PERMEABILITY = [
    Case(
        "PowerLawPermeability",
        REFERENCE | {"exponent": 3.0},
        {"porosity": 0.3},
        {"permeability": 2 * 1.5**3},
    ),
    Case(
        "ExponentialLawPermeability",
        REFERENCE | {"scale": 5.0},
        {"porosity": 0.3},
        {"permeability": 2 * math.exp(-0.5)},
    ),
    Case(
        "KozenyCarmanPermeability",
        REFERENCE | {"n": 3.0, "m": 2.0},
        {"porosity": 0.6},
        {"permeability": 2 * 1.5**3 / 0.25**2},
    ),
    *(
        Case(
            f"{law}Permeability",
            REFERENCE | exponents | {"porosity": "phi", "permeability": "K"},
            {"phi": SITES},
            tag="sites",
        )
        for law, exponents in (
            ("PowerLaw", {"exponent": 2.6}),
            ("ExponentialLaw", {"scale": -5.0}),
            ("KozenyCarman", {"n": 3.2, "m": 1.9}),
        )
    ),
]

CASES = [
    *PERMEABILITY,
    Case(
        "EffectiveSaturation",
        {"residual_saturation": 0.1, "max_fraction": 0.4},
        {"fluid_fraction": 0.22},
        {"effective_saturation": 0.5},
    ),
    Case(
        "EffectiveSaturation",
        {"residual_saturation": 0.1, "max_fraction": "porosity", "effective_saturation": "S"},
        {"fluid_fraction": SITES, "porosity": 0.5},
        {"S": [0.2 / 0.9, 0.7 / 0.9]},
        tag="sites",
    ),
    Case(
        "BrooksCoreyCapillaryPressure",
        BROOKS_COREY,
        {"effective_saturation": 0.64},
        {"capillary_pressure": 10.0},
    ),
    *(
        Case(
            "BrooksCoreyCapillaryPressure",
            BROOKS_COREY | EXTENDED,
            {"effective_saturation": s},
            {"capillary_pressure": pc},
            tag,
            smooth=s != 0.25,  # the second derivative jumps at the transition
        )
        for tag, s, pc in (
            ("moist", 0.64, 10.0),
            ("transition", 0.25, 16.0),
            ("dry", 0.2, 16 * math.exp(0.1)),
            ("empty", 0.0, 16 * math.exp(0.5)),
            ("below", -0.05, 16 * math.exp(0.6)),
        )
    ),
    Case(
        "VanGenuchtenCapillaryPressure",
        VAN_GENUCHTEN,
        {"effective_saturation": 0.6},
        {"capillary_pressure": 16.0},
    ),
    Case(
        "VanGenuchtenCapillaryPressure",
        VAN_GENUCHTEN,
        {"effective_saturation": 1.0},
        tag="full",
        smooth=False,
    ),
    *(
        Case(
            "VanGenuchtenCapillaryPressure",
            VAN_GENUCHTEN | EXTENDED,
            {"effective_saturation": s},
            {"capillary_pressure": pc},
            tag,
            smooth=s != 0.25,  # the second derivative jumps at the transition
        )
        for tag, s, pc in (
            ("moist", 0.6, 16.0),
            ("transition", 0.25, van_genuchten(0.25)),
            ("dry", 0.2, van_genuchten(0.25) * math.exp(0.05 / (0.25 * (1 - 0.0625)))),
            ("empty", 0.0, van_genuchten(0.25) * math.exp(1 / (1 - 0.0625))),
        )
    ),
    *(
        Case(
            f"{law}CapillaryPressure",
            options | EXTENDED | {"effective_saturation": "S", "capillary_pressure": "Pc"},
            {"S": SITES},
            tag="sites",
        )
        for law, options in (("BrooksCorey", BROOKS_COREY), ("VanGenuchten", VAN_GENUCHTEN))
    ),
    Case(
        "AdvectiveStress",
        {"coefficient": 0.6},
        {"deformation_gradient": F, "pk1_stress": P},
        {"advective_stress": -0.2 * WORK},
    ),
    Case(
        "AdvectiveStress",
        {"coefficient": 0.6, "js": "Js", "jt": "Jt", "advective_stress": "ps"},
        {"Js": 1.331, "Jt": 0.729, "deformation_gradient": F, "pk1_stress": P},
        {"ps": -0.2 * 1.1**-5 * 0.9**-2 * WORK},
        tag="swelling and hot",
    ),
    *(
        Case(
            "AdvectiveStress",
            {"coefficient": 0.6, ratio: "J"},
            {"J": 1.331, "deformation_gradient": F, "pk1_stress": P},
            {"advective_stress": -0.2 * 1.1**power * WORK},
            tag=ratio,
        )
        for ratio, power in (("js", -5), ("jt", -2))
    ),
]
