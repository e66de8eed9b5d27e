"""Random materials of the catalogue, as input text, and random load histories for them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from hypothesis import strategies as st

import neml2
from neml2 import MRP, SR2, Model, Scalar, TensorWrapper

RADIAL = Path(__file__).parents[1] / "scenarios/radial_return_ri/model.i"
CONSTANTS = {
    "YOUNGS_MODULUS POISSONS_RATIO": lambda E, nu: (E, nu),
    "BULK_MODULUS POISSONS_RATIO": lambda E, nu: (E / (3 - 6 * nu), nu),
    "LAME_LAMBDA YOUNGS_MODULUS": lambda E, nu: (E * nu / ((1 + nu) * (1 - 2 * nu)), E),
}
BACK = ("Armstrong-Frederick", "Chaboche", "recovery", "annealing", "linear")
ISOTROPIC = ("none", "linear", "Voce", "rate", "recovery", "annealing")


@dataclass(frozen=True)
class Recipe:
    """What a material is made of and how it is loaded; ``seed`` gives all numbers.

    ``control`` is ``"strain"``, ``"rate"`` (strains, with the stress as unknown), ``"mixed"``, ``"stress"``
    or ``"radial"`` (strains, with a radial return).
    """

    control: str
    flow: str  # Perzyna, MinMap or FB
    isotropic: str
    back: tuple[str, ...]
    constants: str
    cubic: bool
    normality: bool  # else the direction of J2 flow as a model of its own
    thermal: str  # "", "strain" or "tables"
    search: bool
    predictor: str
    unit: float  # of stresses, in 1 / MPa
    batch: str
    seed: int

    def text(self) -> str:
        """The input text of the material, ``[Models/model]``."""
        return _Text(self).whole()

    def model(self) -> Model:
        return neml2.load_string(self.text()).get_model("model")

    def history(self, steps: int = 8) -> dict[str, TensorWrapper]:
        """Zig-zag paths, in strains up to 2 % or stresses up to 200 MPa, for a model of this recipe."""
        generator = torch.Generator().manual_seed(self.seed)
        first = {"(1,)": (1,), "(5,)": (5,), "(2, 1) and (3,)": (2, 1)}.get(self.batch, ())
        second = (3,) if self.batch == "(2, 1) and (3,)" else ()

        def path(*shape: int) -> torch.Tensor:
            corners = 2 * torch.rand(2, *shape, dtype=torch.float64, generator=generator) - 1
            turns = torch.cat([torch.zeros_like(corners[:1]), corners])
            s = torch.linspace(0, 2, steps, dtype=torch.float64)
            i = s.floor().clamp(max=1).long()
            return torch.lerp(turns[i], turns[i + 1], (s - i).reshape(-1, *(1,) * len(shape)))

        duration = 10.0 ** (4 * torch.rand(second, dtype=torch.float64, generator=generator) - 1)
        time = torch.linspace(0, 1, steps, dtype=torch.float64).reshape(-1, *(1,) * len(second))
        strain, stress = 0.02 * path(*first, 6), 200 * self.unit * path(*first, 6)
        found: dict[str, TensorWrapper] = {"t": Scalar(time * duration)}
        if self.control == "stress":
            found["stress"] = SR2(stress)
        elif self.control == "mixed":
            flags = torch.rand(6, generator=generator, dtype=torch.float64).expand(strain.shape).contiguous()
            flags[..., 0] = 0.0  # a strain
            found |= {"fixed": SR2(torch.where(flags > 0.5, stress, strain)), "control": SR2(flags)}
        else:
            found["E"] = SR2(strain)
        text = self.text()
        if "temperature" in text or "Annealing" in text:
            found["temperature"] = Scalar(550 + 250 * path(*second))
        if self.cubic and self.control == "strain":
            found["orientation"] = MRP(0.3 * path(*first, 3))
        return found


def recipes() -> st.SearchStrategy[Recipe]:
    return st.builds(
        Recipe,
        control=st.sampled_from(["strain", "rate", "mixed", "stress", "radial"]),
        flow=st.sampled_from(["Perzyna", "MinMap", "FB"]),
        isotropic=st.sampled_from(ISOTROPIC),
        back=st.lists(st.sampled_from(BACK), max_size=3).map(tuple),
        constants=st.sampled_from(sorted(CONSTANTS)),
        cubic=st.booleans(),
        normality=st.booleans(),
        thermal=st.sampled_from(["", "strain", "tables"]),
        search=st.booleans(),
        predictor=st.sampled_from(["", "Constant", "Linear"]),
        unit=st.sampled_from([1.0, 1e6]),
        batch=st.sampled_from(["()", "(1,)", "(5,)", "(2, 1) and (3,)", "a parameter"]),
        seed=st.integers(0, 2**31),
    )


class _Text:
    """The blocks of one material; ``names`` are those of the residual, unknowns are listed by type."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.random = recipe, random.Random(recipe.seed)
        self.blocks: list[str] = []
        self.names: list[str] = []
        self.unknowns: dict[str, list[str]] = {"SR2": [], "Scalar": []}
        self.residuals: dict[str, str] = {}
        self.tensors: list[str] = []
        self.heated = recipe.thermal == "tables"

    # ------------------------------------------------------------------ pieces

    def block(self, name: str, kind: str, inside: bool = True, **options: object) -> str:
        """Add a block; ``inside`` the residual. Returns its name."""
        lines = "".join(f"    {k} = {v!r}\n" for k, v in options.items())
        self.blocks.append(f"  [{name}]\n    type = {kind}\n{lines}  []\n")
        if inside:
            self.names.append(name)
        return name

    def number(self, low: float, high: float) -> str:
        return f"{low * (high / low) ** self.random.random():.6g}"

    def stress(self, low: float, high: float) -> str:
        """A parameter of the dimension of a stress, perhaps a table over the temperature."""
        value = float(self.number(low, high)) * self.recipe.unit
        if not self.heated or self.random.random() < 0.5:
            return f"{value:.6g}"
        n = len(self.tensors)
        values = [f"{value * (1 + 0.1 * k * (self.random.random() - 0.7)):.6g}" for k in range(4)]
        for word, entries in (("x", ["300.0", "450.0", "600.0", "800.0"]), ("y", values)):
            data = f"torch.tensor([{', '.join(entries)}], dtype=torch.float64)"
            self.tensors.append(
                f"  [{word}{n}]\n    type = Python\n    expr = 'Scalar({data}).sub_batch.retag(1)'\n  []\n"
            )
        return self.block(
            f"table{n}", "ScalarLinearInterpolation", False, argument="temperature", abscissa=f"x{n}",
            ordinate=f"y{n}",
        )  # fmt: skip

    def unknown(self, name: str, kind: str = "SR2") -> None:
        self.unknowns[kind].append(name)
        self.residuals[name] = f"{name}_residual"
        self.block(f"integrate_{name}", f"{kind}BackwardEulerTimeIntegration", variable=name)

    def sum(self, kind: str, to: str, terms: list[str], weights: str = "") -> None:
        self.block(f"sum_{to}", f"{kind}LinearCombination", **{"from": " ".join(terms)}, to=to,
                   weights=weights or " ".join("1" for _ in terms))  # fmt: skip

    # ------------------------------------------------------------------ hardening

    def isotropic(self) -> None:
        kind = self.recipe.isotropic
        if kind == "linear":
            self.block("isotropic", "LinearIsotropicHardening", hardening_modulus=self.stress(300, 5e3),
                       isotropic_hardening="k")  # fmt: skip
        if kind == "Voce":
            self.block("isotropic", "VoceIsotropicHardening", saturated_hardening=self.stress(10, 200),
                       saturation_rate=self.number(1, 50), isotropic_hardening="k")  # fmt: skip
        if kind in ("linear", "Voce"):
            self.block("eprate", "AssociativeIsotropicPlasticHardening", isotropic_hardening_direction="Nk")
            self.unknown("equivalent_plastic_strain", "Scalar")
        elif kind != "none":
            rate = "k_rate" if kind == "rate" else "k_rate_0"
            self.block("isotropic", "SlopeSaturationVoceIsotropicHardening", isotropic_hardening="k",
                       saturated_hardening=self.stress(20, 200), isotropic_hardening_rate=rate,
                       initial_hardening_rate=self.stress(300, 5e3))  # fmt: skip
            self.recover(kind, "k", "Scalar", "Isotropic", "isotropic_hardening")
            self.unknown("k", "Scalar")

    def recover(self, kind: str, name: str, type_: str, family: str, option: str) -> None:
        """``<name>_rate`` from ``<name>_rate_0``, by static recovery or annealing."""
        if kind == "recovery":
            self.block(f"recovery_{name}", f"PowerLaw{family}HardeningStaticRecovery",
                       tau=self.stress(200, 2e3), n=self.number(1.5, 5),
                       **{option: name, f"{option}_rate": f"{name}_rate_1"})  # fmt: skip
            self.sum(type_, f"{name}_rate", [f"{name}_rate_0", f"{name}_rate_1"])
        if kind == "annealing":
            self.block(f"annealing_{name}", f"{type_}TwoStageThermalAnnealing", base=name, T1=500.0, T2=650.0,
                       base_rate=f"{name}_rate_0", modified_rate=f"{name}_rate",
                       tau=self.number(1, 1e3))  # fmt: skip

    def back_stresses(self) -> list[str]:
        found = []
        for j, kind in enumerate(dict.fromkeys(self.recipe.back) if "linear" in self.recipe.back
                                 else self.recipe.back):  # fmt: skip
            name = f"X{j}"
            found.append(name)
            if kind == "linear":
                self.block("kinematic", "LinearKinematicHardening", hardening_modulus=self.stress(300, 5e3),
                           back_stress=name)  # fmt: skip
                self.block("Kprate", "AssociativeKinematicPlasticHardening",
                           kinematic_hardening_direction="NX")  # fmt: skip
                self.unknown("kinematic_plastic_strain")
                continue
            rate = f"{name}_rate" if kind in ("Armstrong-Frederick", "Chaboche") else f"{name}_rate_0"
            options = {"back_stress": name, "back_stress_rate": rate}
            options |= {"C": self.stress(500, 2e4), "g": self.number(5, 300)}
            if kind == "Chaboche":
                a = float(self.number(1.2, 3))
                A = float(self.number(1e-8, 1e-5)) * self.recipe.unit ** (1 - a)
                self.block(f"{name}rate", "ChabochePlasticHardening", **options, A=f"{A:.6g}", a=a)
            else:
                self.block(f"{name}rate", "FredrickArmstrongPlasticHardening", **options)
                self.recover(kind, name, "SR2", "Kinematic", "back_stress")
            self.unknown(name)
        return found

    # ------------------------------------------------------------------ flow

    def flow(self) -> None:
        recipe = self.recipe
        back = self.back_stresses()
        self.isotropic()
        self.block("mandel", "IsotropicMandelStress", cauchy_stress="stress", mandel_stress="M")
        surface = ["vonmises", "yield_surface"]
        if back:
            self.sum("SR2", "X", back)
            self.sum("SR2", "O", ["M", "X"], "1 -1")
            surface = ["sum_O", *surface]
        over = "O" if back else "M"
        self.block("vonmises", "SR2Invariant", invariant_type="VONMISES", tensor=over,
                   invariant="effective_stress")  # fmt: skip
        hardening = {} if recipe.isotropic == "none" else {"isotropic_hardening": "k"}
        self.block("yield_surface", "YieldFunction", yield_stress=self.stress(20, 200), **hardening)
        wanted = {"M": "flow_direction"}
        if recipe.isotropic in ("linear", "Voce"):
            wanted["k"] = "Nk"
        if "linear" in recipe.back:
            wanted["X"] = "NX"
        if recipe.normality or len(wanted) > 1:
            self.block("surface", "ComposedModel", False, models=" ".join(surface))
            self.block("normality", "Normality", model="surface", function="yield_function",
                       **{"from": " ".join(wanted)}, to=" ".join(wanted.values()))  # fmt: skip
        else:
            self.block("direction", "AssociativeJ2FlowDirection", mandel_stress=over)
        if recipe.flow == "Perzyna":
            self.block("flow_rate", "PerzynaPlasticFlowRate", reference_stress=self.stress(50, 500),
                       exponent=self.number(1.5, 8))  # fmt: skip
        else:
            self.block("consistency", f"{recipe.flow}Complementarity", a="yield_function", a_inequality="LE",
                       b="flow_rate")  # fmt: skip
            self.unknowns["Scalar"].append("flow_rate")
            self.residuals["flow_rate"] = "complementarity"
        self.block("Eprate", "AssociativePlasticFlow")

    def elasticity(self, **options: object) -> None:
        recipe = self.recipe
        E, nu = float(self.number(4e4, 3e5)) * recipe.unit, 0.1 + 0.3 * self.random.random()
        values = " ".join(f"{v:.8g}" for v in CONSTANTS[recipe.constants](E, nu))
        if recipe.cubic and not options:
            G = f"{E / 2.5 * float(self.number(0.7, 1.4)):.8g}"
            self.block("stiffness", "CubicElasticityTensor", False, coefficients=f"{G} {values}",
                       coefficient_types=f"SHEAR_MODULUS {recipe.constants}")  # fmt: skip
            self.block("elasticity", "GeneralElasticity", elastic_stiffness_tensor="stiffness",
                       strain="elastic_strain", orientation="orientation")  # fmt: skip
        else:
            self.block("elasticity", "LinearIsotropicElasticity", coefficients=values, stress="stress",
                       coefficient_types=recipe.constants, strain="elastic_strain", **options)  # fmt: skip

    # ------------------------------------------------------------------ the whole

    def whole(self) -> str:
        control = self.recipe.control
        if control == "radial":
            return self.radial()
        after = {"strain": self.by_strain, "stress": self.by_stress}.get(control, self.by_rate)()
        unknowns = [u for names in self.unknowns.values() for u in names]
        self.block("residual", "ComposedModel", models=" ".join(self.names))
        predictor = {}
        if self.recipe.predictor:
            lists = {f"unknowns_{k}": " ".join(v) for k, v in self.unknowns.items() if v}
            self.block("predictor", f"{self.recipe.predictor}ExtrapolationPredictor", **lists)
            predictor = {"predictor": "predictor"}
        self.block("update", "ImplicitUpdate", equation_system="system", solver="newton", **predictor)
        shown = {"additional_outputs": " ".join(unknowns)} if after else {}
        self.block("model", "ComposedModel", models=" ".join(["update", *after]), **shown)
        return self.assemble(
            f"model = 'residual'\n    unknowns = '{' '.join(unknowns)}'\n"
            f"    residuals = '{' '.join(self.residuals[u] for u in unknowns)}'"
        )

    def assemble(self, system: str) -> str:
        newton = "NewtonWithLineSearch" if self.recipe.search else "Newton"
        tensors = f"[Tensors]\n{''.join(self.tensors)}[]\n" if self.tensors else ""
        return (
            f"{tensors}[Models]\n{''.join(self.blocks)}[]\n"
            f"[EquationSystems]\n  [system]\n    type = NonlinearSystem\n    {system}\n  []\n[]\n"
            f"[Solvers]\n  [newton]\n    type = {newton}\n    linear_solver = 'lu'\n    max_its = 100\n  []\n"
            f"  [lu]\n    type = DenseLU\n  []\n[]\n"
        )

    def thermal_strain(self) -> list[str]:
        if self.recipe.thermal != "strain":
            return []
        slope = float(self.number(5e-6, 2e-5))
        self.block("expansion", "ScalarLinearCombination", **{"from": "temperature"}, to="expansion",
                   weights=f"{slope:.6g}", offset=f"{-300 * slope:.6g}")  # fmt: skip
        self.block("thermal", "ScalarToDiagonalSR2", input="expansion", output="thermal_strain")
        return ["thermal_strain"]

    def by_strain(self) -> list[str]:
        less = ["plastic_strain", *self.thermal_strain()]
        self.sum("SR2", "elastic_strain", ["E", *less], " ".join(["1", *["-1"] * len(less)]))
        self.elasticity()
        after = [*self.names]
        self.flow()
        self.unknown("plastic_strain")
        return after

    def by_rate(self) -> list[str]:
        mixed = self.recipe.control == "mixed"
        self.block("Erate", "SR2VariableRate", variable="E")
        self.sum("SR2", "elastic_strain_rate", ["E_rate", "plastic_strain_rate"], "1 -1")
        self.elasticity(rate_form="true")
        self.flow()
        self.unknown("stress")
        if not mixed:
            return []
        self.unknowns["SR2"][-1] = "mixed_state"
        self.residuals["mixed_state"] = self.residuals.pop("stress")
        self.block("mixed", "MixedControlSetup", x_above="fixed", x_below="mixed_state", y="stress", z="E")
        return ["mixed"]

    def by_stress(self) -> list[str]:
        self.flow()
        self.unknown("plastic_strain")
        inner, self.names = self.names, []
        self.elasticity(compliance="true")
        terms = ["elastic_strain", "plastic_strain", *self.thermal_strain()]
        self.sum("SR2", "E", terms)
        after, self.names = self.names, inner
        return after

    def radial(self) -> str:
        """The scenario with a radial return, with other numbers, complementarity and solver."""
        words, seen = {"hardening_modulus": (300, 5e3), "yield_stress": (50, 300)}, {}
        flow = "FB" if self.recipe.flow == "FB" else "MinMap"
        _, text = RADIAL.read_text().split("[Models]")
        text = text.replace("MinMapComplementarity", f"{flow}Complementarity")
        lines = []
        for line in text.splitlines():
            word, _, value = (part.strip() for part in line.partition("="))
            if word in words:
                value = seen.setdefault(value, f"{float(self.number(*words[word])) * self.recipe.unit:.6g}")
                line = f"    {word} = {value}"
            elif word == "coefficients":
                line = f"    {word} = '{float(self.number(4e4, 3e5)) * self.recipe.unit:.6g} 0.3'"
            elif self.recipe.search and line.strip() == "type = Newton":
                line = "    type = NewtonWithLineSearch"
            lines.append(line)
        return "[Models]" + "\n".join(lines)
