"""`Control`: what a history prescribes of strain and of stress, component by component."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
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
        strain, ``m = 9`` (xx, xy, xz, yx, ...) for a deformation gradient.
    anchor
        The row at which the carried value is taken, integers ``(n,)``; smaller than the row itself.
    """

    stress_weight: torch.Tensor
    strain_weight: torch.Tensor
    target: torch.Tensor
    carry: torch.Tensor
    anchor: torch.Tensor

    @property
    def components(self) -> int:
        """6 for a symmetric strain, 9 for a deformation gradient."""
        return self.target.shape[-1]
