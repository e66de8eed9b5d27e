"""Kernels of steps whose sites are looped over, and the choice between them and those that unroll."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from neml2.compiler.condense import condense
from neml2.compiler.kernel import Kernel, check_newton
from neml2.compiler.launch import Launcher
from neml2.compiler.lower import Unsupported
from neml2.compiler.regions import Region
from neml2.compiler.site_march import site_march
from neml2.compiler.sites import lower_sites, site_count, site_samples

if TYPE_CHECKING:
    from neml2.step import StateUpdate
    from neml2.types import TensorWrapper


def compiled(
    update: StateUpdate,
    samples: Mapping[str, TensorWrapper],
    shapes: Mapping[str, torch.Size],
    tried: torch.Tensor | None = None,
) -> Kernel:
    """The kernel of an update, with the arguments of :class:`Kernel`. Raises :class:`Unsupported`."""
    looped = site_count(update.model, shapes) is not None
    return (SiteKernel if looped else Kernel)(update, samples, shapes, tried)


class SiteKernel(Kernel):
    """The compiled update of a model with many sites; it marches, and has no derivatives."""

    differentiable = False

    def _lower(self, samples: Mapping[str, TensorWrapper], tried: torch.Tensor | None) -> None:
        sites = site_count(self.update.model, self.shapes)
        assert sites is not None
        self.sites, self.looped = sites, lower_sites(self.update, self.shapes, sites)
        self.step = self.looped.step
        check_newton(self.looped.own)
        points = self._try(site_samples(self.update, self.shapes, samples), tried)
        self.eliminations = [condense(self.looped.own, points)]
        parts = {base: self.looped.inputs[n] for n, (base, _) in self.step.forces.items()}
        self.forces = {n: len(p.nodes) * (sites if p.sites else 1) for n, p in parts.items()}
        self.output_shapes = {
            n: torch.Size((sites, *t.shape[1:])) if self.looped.outputs[n].sites else t.shape
            for n, t in self.step.outputs.items()
        }
        self.sizes = {n: math.prod(shape) for n, shape in self.output_shapes.items()}

    @property
    def regions(self) -> list[Region]:
        """The equations of one site."""
        return [self.looped.own]

    def launcher(
        self, kind: str, like: torch.Tensor, by: tuple[str, ...] = (), strict: bool = False
    ) -> Launcher:
        """The kernel ``march``; see :meth:`Kernel.launcher`. Raises :class:`Unsupported` for others."""
        if kind != "march" or like.device.type != "cpu":
            lacks = "kernels for a GPU" if kind == "march" else "derivatives"
            raise Unsupported(f"it has no {lacks} where it loops over sites, here {self.sites}")
        where = kind, by, strict, like.dtype, str(like.device)
        if where not in self._launchers:
            self._launchers[where] = Launcher(site_march(self.looped, self.eliminations[0]), like.dtype)
        return self._launchers[where]
