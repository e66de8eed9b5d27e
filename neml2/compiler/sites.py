"""A step whose unknowns belong to the sites of a sub-batch, and to all sites together.

The crystals of a Taylor polycrystal are such sites: each has its own strain and orientation, and what couples
them is a rate that all share and the mean of their stresses. Unrolled, the arithmetic would grow with the
sites. Here it is that of one site: the step is traced with two of them (three where there are two), what the
first computes stands for all, and a mean or sum over the sites is a symbol.
:mod:`neml2.compiler.site_march` makes loops of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from neml2.compiler.graph import Node, ancestors
from neml2.compiler.lower import UNKNOWNS, Shapes, Unsupported, lower
from neml2.compiler.regions import Reduction, Region, Step
from neml2.compiler.sample import sample_points
from neml2.compiler.symbolic import SymbolicTensor
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.solvers.direct import DenseLU
from neml2.solvers.schur import SchurComplement
from neml2.step import StateUpdate
from neml2.types import TensorWrapper


@dataclass(frozen=True)
class Part:
    """An input or output: its nodes, those of one site if it has ``sites``."""

    nodes: list[Node]
    sites: bool


@dataclass(frozen=True)
class SiteStep:
    """One time step of a point with sites.

    ``own`` are the unknowns and equations of one site, ``shared`` those of all together; ``reductions`` are
    the means and sums over the sites. ``step`` is the step that was traced.
    """

    step: Step
    inputs: dict[str, Part]
    outputs: dict[str, Part]
    own: Region
    shared: Region
    reductions: list[Reduction]


def site_count(model: Model, shapes: Shapes) -> int | None:
    """The number of sites if there are so many, or so coupled, that they are to be looped over."""
    updates = [m for m in model.modules() if isinstance(m, ImplicitUpdate)]
    found = {tuple(s) for s in shapes.values() if len(s)}
    if len(updates) != 1 or len(found) != 1 or len(next(iter(found))) != 1:
        return None
    (sites,) = next(iter(found))
    system, solver = updates[0].equation_system, updates[0].solver.linear_solver
    if type(solver) is SchurComplement:
        return sites if type(solver.primary_solver) is type(solver.schur_solver) is DenseLU else None
    size = sum(math.prod(system.model.input_spec[u].BASE_SHAPE) for u in system.unknown_names)
    many = type(solver) is DenseLU and sites * size > UNKNOWNS
    return sites if many and system.structures == ("block",) else None


def lower_sites(update: StateUpdate, shapes: Shapes, sites: int) -> SiteStep:
    """Trace the model of ``update`` at one of the ``sites`` of a point. Raises :class:`Unsupported`."""
    few = 2 if sites != 2 else 3  # so that nothing that has all sites goes unseen
    reductions: list[Reduction] = []
    step = lower(update, {n: (few,) if len(s) else s for n, s in shapes.items()}, False, reductions)
    spec = update.model.input_spec | update.model.output_spec
    inputs = {n: _part(t, spec[n]) for n, t in step.inputs.items()}
    outputs = {n: _part(t, spec[n]) for n, t in step.outputs.items()}
    (region,) = step.regions
    own, shared = _parted(region, few)
    others = {n.index for name, t in step.inputs.items() if inputs[name].sites for n in t.nodes[1:].flat} | {
        u.index for u in region.unknowns
    } - {u.index for u in (*own.unknowns, *shared.unknowns)}
    of_site = {n.index for p in inputs.values() if p.sites for n in p.nodes}
    of_site |= {u.index for u in own.unknowns}
    reduced = {s.index for r in reductions for s in r.symbols}
    made = SiteStep(step, inputs, outputs, own, shared, reductions)
    site_roots = [*own.guess, *own.residual, *(t for r in reductions for t in r.terms)]
    site_roots += [n for p in outputs.values() if p.sites for n in p.nodes]
    _refuse(site_roots, others | reduced, "the sites are coupled by more than means and sums over them")
    _refuse(shared.guess, others | of_site | reduced, "a guess of what all sites share depends on the sites")
    shared_roots = [*shared.residual, *(n for p in outputs.values() if not p.sites for n in p.nodes)]
    _refuse(shared_roots, others | of_site, "what all sites share depends on single ones")
    return made


def _part(t: SymbolicTensor, kind: type[TensorWrapper]) -> Part:
    has = t.nodes.ndim > kind.BASE_NDIM
    return Part(list(np.ravel(t.nodes[0] if has else t.nodes)), has)


def _parted(region: Region, few: int) -> tuple[Region, Region]:
    """The equations of the first site, and those of all sites together."""
    system = region.update.equation_system
    first: list[int] = []
    common: list[int] = []
    position = 0
    for u, count in _counts(region).items():
        size = math.prod(system.model.input_spec[u].BASE_SHAPE)
        if count not in (size, few * size):
            raise Unsupported(f"the unknown '{u}' has {count // size} sites of {few}")
        (common if count == size else first).extend(range(position, position + size))
        position += count
    return _chosen(region, f"{region.name}, one site", first), _chosen(region, region.name, common)


def _counts(region: Region) -> dict[str, int]:
    """How many scalars each unknown has, in the order of the system."""
    counts: dict[str, int] = {}
    for u in region.unknowns:
        name = u.value.split(":", 1)[1].split("[")[0]
        counts[name] = counts.get(name, 0) + 1
    return counts


def _chosen(region: Region, name: str, places: list[int]) -> Region:
    residual = [region.residual[k] for k in places]
    within = {n.index for n in ancestors(residual)}
    return replace(
        region,
        name=name,
        unknowns=[region.unknowns[k] for k in places],
        guess=[region.guess[k] for k in places],
        residual=residual,
        cuts=[c for c in region.cuts if c.index in within],
        variables=[region.variables[k] for k in places],
    )


def _refuse(roots: Iterable[Node], unwanted: set[int], reason: str) -> None:
    if any(n.index in unwanted for n in ancestors(roots)):
        raise Unsupported(f"{reason}; use engine='eager'")


def site_samples(
    update: StateUpdate, shapes: Shapes, forces: Mapping[str, TensorWrapper]
) -> list[dict[str, float]]:
    """Points at which pivots are tried: those of a step that is unrolled for few sites."""
    few = {n: (2,) if len(s) else s for n, s in shapes.items()}
    step = lower(update, few, declared=False)
    return sample_points(update.model, step, {n: _first_two(v) for n, v in forces.items()})


def _first_two(value: TensorWrapper) -> TensorWrapper:
    """The values of two sites, of one twice if there is only one."""
    if not value.sub_batch_ndim:
        return value
    axis = len(value.dynamic_batch_shape)
    index = torch.tensor([0, 1], device=value.device) % value.data.shape[axis]
    return type(value)._new(value.data.index_select(axis, index), 1)
