"""`Control`: what a history prescribes of strain and of stress, component by component."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from neml2.types import R2, SR2
from neml2.types.shapes import broadcast_shapes

LABELS: dict[int, tuple[str, ...]] = {6: SR2.COMPONENTS, 9: R2.COMPONENTS}


@dataclass(frozen=True, eq=False)
class Control:
    r"""One linear condition on stress and strain for every component and every row of a history.

    .. math:: a \sigma + b \varepsilon = c + w \, (a \sigma + b \varepsilon)_{\text{anchor}}

    Strain control of a component is :math:`(a, b) = (0, 1)`, stress control :math:`(1, 0)`, an elastic
    follow-up with the stiffness :math:`K` is :math:`(1/K, 1)`. With :math:`w = 0` the target is known
    beforehand; with :math:`w > 0` it starts from where the material is at the row ``anchor``: "unload to zero
    stress" and "hold the stress that is reached" are such conditions.

    stress_weight, strain_weight, target, carry
        :math:`a, b, c, w` of every row, ``(n, *batch, m)``, for physical tensor components: ``m = 6`` (xx,
        yy, zz, yz, xz, xy; shear strains are tensor components, half the engineering ones) for a symmetric
        strain, ``m = 9`` (xx, xy, xz, yx, ...) for a deformation gradient. A batch axis along which one of
        them does not vary may be 1.
    anchor
        The row at which the carried value is taken, integers ``(n,)``; smaller than the row itself.
    """

    stress_weight: torch.Tensor
    strain_weight: torch.Tensor
    target: torch.Tensor
    carry: torch.Tensor
    anchor: torch.Tensor

    def __len__(self) -> int:
        return self.target.shape[0]

    @property
    def components(self) -> int:
        """6 for a symmetric strain, 9 for a deformation gradient."""
        return self.target.shape[-1]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the components, in their order."""
        return LABELS[self.components]

    @property
    def strain_name(self) -> str:
        """``"strain"``, or ``"deformation_gradient"`` for nine components."""
        return "strain" if self.components == 6 else "deformation_gradient"

    @property
    def batch(self) -> torch.Size:
        """The batch that the conditions have together."""
        return broadcast_shapes(*(v.shape[1:-1] for v in self.arrays().values()))

    def arrays(self) -> dict[str, torch.Tensor]:
        """The four arrays of numbers by name, without the anchors."""
        return {n: getattr(self, n) for n in ("stress_weight", "strain_weight", "target", "carry")}

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Control:
        """The same anchors with every other array ``x`` replaced by ``change(x)``."""
        return Control(**{n: change(v) for n, v in self.arrays().items()}, anchor=self.anchor)

    def to(self, *args: Any, **kwargs: Any) -> Control:
        """As :meth:`torch.Tensor.to`, for all arrays; the anchors stay integers on the CPU."""
        return self.map(lambda x: x.to(*args, **kwargs))
