"""Any two independent elastic constants, and the bulk and shear modulus that follow from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch

from neml2.fields import Field, Option, Parameter
from neml2.model import Model
from neml2.types import Scalar, sqrt

WORDS = {  # the parameter behind each word of `coefficient_types`, in the order of declaration
    "YOUNGS_MODULUS": "E",
    "POISSONS_RATIO": "nu",
    "BULK_MODULUS": "K",
    "SHEAR_MODULUS": "G",
    "LAME_LAMBDA": "lam",
    "P_WAVE_MODULUS": "M",
}

CONSTANTS = {
    "E": Parameter("E", "Young's modulus", within="(0, inf)", unit="stress"),
    "nu": Parameter("nu", "Poisson's ratio", within="(-1, 0.5)"),
    "K": Parameter("K", "Bulk modulus", within="(0, inf)", unit="stress"),
    "G": Parameter("G", "Shear modulus", within="(0, inf)", unit="stress"),
    "lam": Parameter("lam", "First Lamé constant", unit="stress"),
    "M": Parameter("M", "P-wave modulus", within="(0, inf)", unit="stress"),
}


class WithElasticConstants(Model, abstract=True):
    """A model whose parameters are elastic constants, listed by value and kind or given as keywords.

    ``coefficients=[200e3, 0.3], coefficient_types=["YOUNGS_MODULUS", "POISSONS_RATIO"]`` and
    ``E=200e3, nu=0.3`` are the same. Subclasses find the names of the given constants in ``self.constants``,
    in the order in which ``forward`` receives their values.
    """

    coefficients: Scalar = Parameter("coefficients", "Elastic constants", many=True)
    coefficient_types: list[str] = Option(
        "What each of the coefficients is, in the same order",
        default=[],
        many=True,
        choices=tuple(WORDS),
        goes_with="coefficients",
    )

    ORDER: ClassVar[tuple[str, ...]] = tuple(CONSTANTS)  # of declaration
    NUMBER: ClassVar[int] = 2  # of constants
    ALWAYS: ClassVar[tuple[str, ...]] = ()  # constants that must be among them

    @classmethod
    def extra_options(cls) -> Sequence[str]:
        return cls.ORDER

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        values = self._listed(given.pop("coefficients", []))
        for name in self.ORDER:
            if name in given:
                if name in values:
                    raise ValueError(f"{self._label()} has {name} among its coefficients and as a keyword")
                values[name] = given.pop(name)
        if len(values) != self.NUMBER or any(n not in values for n in self.ALWAYS):
            needed = " with " + " and ".join(self.ALWAYS) if self.ALWAYS else ""
            found = ", ".join(values) or "none"
            raise ValueError(
                f"{self._label()} needs {self.NUMBER} elastic constants{needed}, got {found};"
                f" give coefficients and coefficient_types ({', '.join(WORDS)})"
            )
        self.constants = tuple(n for n in self.ORDER if n in values)
        del fields["coefficients"]
        for name in self.constants:
            fields[name] = CONSTANTS[name].named(name, Scalar, {})
            given[name] = values[name]
        return fields

    def _listed(self, values: Any) -> dict[str, Any]:
        items = values.split() if isinstance(values, str) else values
        items = list(items) if isinstance(items, list | tuple) else [items]
        if len(items) != len(self.coefficient_types):
            raise ValueError(
                f"{self._label()} has {len(items)} coefficients and {len(self.coefficient_types)}"
                f" coefficient_types; give one type for each coefficient"
            )
        names = [WORDS[w] for w in self.coefficient_types]
        for n in names:
            if names.count(n) > 1:
                raise ValueError(
                    f"{self._label()} coefficient_types gives {n} twice; give different elastic constants"
                )
        return dict(zip(names, items, strict=True))

    def setup(self) -> None:
        pair = [n for n in self.constants if n not in self.ALWAYS]
        if any(n not in self._parameters for n in pair):
            return  # wired: the values are not known yet
        with torch.no_grad():
            moduli = bulk_and_shear(pair, [getattr(self, n) for n in pair])
        for name, modulus in zip(("bulk", "shear"), moduli, strict=True):
            for value in modulus.data.flatten().tolist():
                if not (0 < value < math.inf):
                    raise ValueError(
                        f"{self._label()}: {' and '.join(pair)} give the {name} modulus {value:g};"
                        f" it must be positive and finite"
                    )


def bulk_and_shear(names: Sequence[str], values: Sequence[Scalar]) -> tuple[Scalar, Scalar]:
    """Bulk and shear modulus from two constants among E, nu, K, G, lam and M, in this order.

    E and M leave two choices; it is the one with a Poisson's ratio of at least zero.
    """
    a, b = names
    return _MODULI[a, b](*values)


def _from_young_and_lame(E: Scalar, lam: Scalar) -> tuple[Scalar, Scalar]:
    root = sqrt(E * E + 9 * lam * lam + 2 * E * lam)
    return (E + 3 * lam + root) / 6, (E - 3 * lam + root) / 4


def _from_young_and_p_wave(E: Scalar, M: Scalar) -> tuple[Scalar, Scalar]:
    root = sqrt((M - E) * (9 * M - E))
    return (3 * M - E + root) / 6, (3 * M + E - root) / 8


_MODULI: dict[tuple[str, str], Callable[[Scalar, Scalar], tuple[Scalar, Scalar]]] = {
    ("E", "nu"): lambda E, nu: (E / (3 * (1 - 2 * nu)), E / (2 * (1 + nu))),
    ("E", "K"): lambda E, K: (K, 3 * K * E / (9 * K - E)),
    ("E", "G"): lambda E, G: (E * G / (3 * (3 * G - E)), G),
    ("E", "lam"): _from_young_and_lame,
    ("E", "M"): _from_young_and_p_wave,
    ("nu", "K"): lambda nu, K: (K, 3 * K * (1 - 2 * nu) / (2 * (1 + nu))),
    ("nu", "G"): lambda nu, G: (2 * G * (1 + nu) / (3 * (1 - 2 * nu)), G),
    ("nu", "lam"): lambda nu, lam: (lam * (1 + nu) / (3 * nu), lam * (1 - 2 * nu) / (2 * nu)),
    ("nu", "M"): lambda nu, M: (M * (1 + nu) / (3 * (1 - nu)), M * (1 - 2 * nu) / (2 * (1 - nu))),
    ("K", "G"): lambda K, G: (K, G),
    ("K", "lam"): lambda K, lam: (K, 3 * (K - lam) / 2),
    ("K", "M"): lambda K, M: (K, 3 * (M - K) / 4),
    ("G", "lam"): lambda G, lam: (lam + 2 * G / 3, G),
    ("G", "M"): lambda G, M: (M - 4 * G / 3, G),
    ("lam", "M"): lambda lam, M: ((M + 2 * lam) / 3, (M - lam) / 2),
}
