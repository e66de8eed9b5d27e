"""The volume of a composite."""

from __future__ import annotations

from typing import Any

from neml2.fields import REQUIRED, Field, Input, Output, Parameter
from neml2.model import Model
from neml2.types import Scalar


class EffectiveVolume(Model):
    r"""Volume of a composite of given mass, from what it consists of and the open volume left in it.

    .. math:: V = \frac{M}{1 - \varphi_o} \sum_i \frac{w_i}{\rho_i}
    """

    open_volume_fraction: Scalar = Input("Share of the volume that is open; none if not given", default=None)
    mass_fractions: Scalar = Input("Share of each constituent in the mass", many=True, default=REQUIRED)
    composite_volume: Scalar = Output("Volume of the composite", unit="volume")
    M: Scalar = Parameter("reference_mass", "Mass of the composite", within="(0, inf)", unit="mass")
    _rho_names: Scalar = Parameter(
        "densities",
        "Density of each constituent",
        many=True,
        promotable=False,
        within="(0, inf)",
        unit="mass/volume",
    )

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        shares, densities = _entries(given.get("mass_fractions")), _entries(given.get("densities"))
        if shares is not None and densities is not None and shares != densities:
            raise ValueError(
                f"{self._label()} has {shares} mass_fractions and {densities} densities; give one density for"
                f" each mass fraction"
            )
        return fields

    def forward(self, phi_o, w, M, rho):
        terms = [w_i / rho_i for w_i, rho_i in zip(w, rho, strict=True)]
        specific = terms[0]
        for term in terms[1:]:
            specific = specific + term
        return M * specific if phi_o is None else M / (1 - phi_o) * specific


def _entries(given: Any) -> int | None:
    """How many entries an option lists; unknown if it was left out, which is refused later."""
    if given is None:
        return None
    items = given.split() if isinstance(given, str) else given
    return len(items) if isinstance(items, list | tuple) else 1
