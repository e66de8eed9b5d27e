"""Nonlinear systems: a residual model, which of its variables are unknown, and their flat views."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol

import torch

from neml2.context import DEFAULT, Context
from neml2.derivatives import expand_batch, jacobian_rows
from neml2.errors import MissingVariable
from neml2.fields import Dependency, FileField, Option, setting
from neml2.model import Model
from neml2.registry import did_you_mean, listing, register
from neml2.solvers.blocks import Group, Matrix, Vector, wide
from neml2.solvers.status import Solution
from neml2.types import TensorWrapper


class SubBatches(Protocol):
    """Knows the declared sub-batch shapes of variables: the ``[Settings]`` of an input file."""

    def sub_batch_shape(self, name: str) -> tuple[int, ...] | None:
        """The declared shape of ``name``, ``None`` where nothing is declared."""


@register
@dataclass(frozen=True, eq=False)
class NonlinearSystem:
    """Find the unknowns for which every residual of a model vanishes.

    The i-th residual belongs to the i-th unknown; groups are separated by ``;``. In a ``dense`` group
    sub-batch axes are part of the unknown vector. In a ``block`` group they are batch axes of the linear
    algebra, and the coupling between two block groups is taken to be site by site.
    """

    SECTION: ClassVar[str] = "EquationSystems"

    model: Model = setting(Dependency("Models", "The model that computes the residuals"))
    unknowns: str = setting(Option("Names of the unknowns; groups are separated by ';'"))
    residuals: str = setting(
        Option("Names of the residuals, '<unknown>_residual' each by default", default="")
    )
    structure: list[str] = setting(Option("'dense' or 'block' for every group", default=(), many=True))
    settings: SubBatches | None = setting(FileField("Settings of the file"))

    def __post_init__(self) -> None:
        model = self.model
        if not isinstance(model, Model):
            raise TypeError(
                f"NonlinearSystem: model is of type {type(model).__name__}; it takes a model, which computes"
                f" the residuals"
            )
        for kind, names, known in (
            ("unknown", self.unknown_names, model.input_spec),
            ("residual", self.residual_names, model.output_spec),
        ):
            for name in names:
                if name not in known:
                    has = "input" if kind == "unknown" else "output"
                    raise MissingVariable(
                        f"the {kind} '{name}' is no {has} of {model}{did_you_mean(name, known)}"
                        f" ({has}s: {listing(known)})"
                    )
                if names.count(name) > 1:
                    raise ValueError(f"the {kind} '{name}' is listed twice")
        sizes = [len(g) for g in self.unknown_groups], [len(g) for g in self.residual_groups]
        if sum(sizes[0]) != sum(sizes[1]):
            raise ValueError(
                f"{sum(sizes[0])} unknowns ({listing(self.unknown_names)}) but {sum(sizes[1])} residuals"
                f" ({listing(self.residual_names)}); give one residual for each unknown"
            )
        if len(sizes[0]) != len(sizes[1]):
            raise ValueError(
                f"the unknowns are in {len(sizes[0])} groups but the residuals in {len(sizes[1])};"
                f" separate both by the same number of ';'"
            )
        n = sum(math.prod(model.input_spec[u].BASE_SHAPE) for u in self.unknown_names)
        m = sum(math.prod(model.output_spec[r].BASE_SHAPE) for r in self.residual_names)
        if n != m:
            raise ValueError(f"the unknowns have {n} components but the residuals {m}; they must agree")
        self.structures  # noqa: B018 - raises for wrong words and counts

    @cached_property
    def unknown_groups(self) -> tuple[tuple[str, ...], ...]:
        """Names of the unknowns, group by group."""
        return _groups(self.unknowns)

    @cached_property
    def residual_groups(self) -> tuple[tuple[str, ...], ...]:
        """Names of the residuals, group by group."""
        if self.residuals:
            return _groups(self.residuals)
        return tuple(tuple(f"{u}_residual" for u in g) for g in self.unknown_groups)

    @cached_property
    def structures(self) -> tuple[str, ...]:
        """``dense`` or ``block`` for every group."""
        given = self.structure.split() if isinstance(self.structure, str) else self.structure
        words = tuple(w.lower() for w in given) or ("dense",) * len(self.unknown_groups)
        if len(words) != len(self.unknown_groups):
            raise ValueError(
                f"structure has {len(words)} entries for {len(self.unknown_groups)} groups of unknowns"
            )
        for word in words:
            if word not in ("dense", "block"):
                raise ValueError(f"structure is 'dense' or 'block', not '{word}'")
        return words

    @property
    def unknown_names(self) -> tuple[str, ...]:
        """Names of the unknowns in the order of the flat vector."""
        return tuple(n for g in self.unknown_groups for n in g)

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of the residuals in the order of the flat vector."""
        return tuple(n for g in self.residual_groups for n in g)

    @property
    def given_names(self) -> tuple[str, ...]:
        """Names of all other inputs of the model."""
        return tuple(n for n in self.model.input_spec if n not in self.unknown_names)


def _groups(text: str | Sequence[str]) -> tuple[tuple[str, ...], ...]:
    if not isinstance(text, str):
        text = " ".join(text)
    groups = tuple(tuple(part.split()) for part in text.split(";"))
    if not all(groups):
        raise ValueError(f"'{text}' has an empty group; separate groups of names by single ';'")
    return groups


@dataclass(frozen=True)
class Layout:
    """How named values of given sub-batch shapes are laid out in groups of flat vectors."""

    names: tuple[tuple[str, ...], ...]
    kinds: Mapping[str, type[TensorWrapper]]
    sub_batch: Mapping[str, tuple[int, ...]]
    structures: tuple[str, ...]

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The groups with their sizes. Raises :class:`ValueError` for a block group of unequal sites."""
        groups = tuple(self._group(i) for i in range(len(self.names)))
        sites = {g.sites for g in groups if g.sites}
        if len(sites) > 1:
            shapes = " and ".join(str(s) for s in sorted(sites))
            raise ValueError(
                f"block groups are coupled site by site and must share one sub-batch shape, not {shapes};"
                f" make all but one of them dense"
            )
        return groups

    def _group(self, i: int) -> Group:
        names = self.names[i]
        base = [math.prod(self.kinds[n].BASE_SHAPE) for n in names]
        if self.structures[i] == "dense":
            sizes = [b * math.prod(self.sub_batch[n]) for b, n in zip(base, names, strict=True)]
            return Group(sum(sizes), (), tuple(sizes))
        sites = {self.sub_batch[n] for n in names}
        if len(sites) > 1:
            shapes = ", ".join(f"{n} {self.sub_batch[n]}" for n in names)
            raise ValueError(f"the variables of a block group must share one sub-batch shape: {shapes}")
        return Group(sum(base), sites.pop(), tuple(base))

    def flatten(self, values: Mapping[str, TensorWrapper], batch: torch.Size) -> Vector:
        """Named values as one tensor per group, expanded to ``batch``."""
        return [self._flat(i, values, batch) for i in range(len(self.names))]

    def _flat(self, i: int, values: Mapping[str, TensorWrapper], batch: torch.Size) -> torch.Tensor:
        group = self.groups[i]
        parts = []
        for n, size in zip(self.names[i], group.sizes, strict=True):
            v = values[n]
            sub = self.sub_batch[n]
            missing = len(sub) - v.sub_batch_ndim
            if missing > 0:
                outer = v.dynamic_batch_shape
                data = v.data.reshape((*outer, *(1,) * missing, *v.data.shape[len(outer) :]))
                v = type(v)._new(data, len(sub))
            data = expand_batch(v, batch).expand((*batch, *sub, *self.kinds[n].BASE_SHAPE))
            parts.append(data.reshape(*batch, *group.sites, size))
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1)

    def unflatten(self, vector: Vector, batch: torch.Size) -> dict[str, TensorWrapper]:
        """The inverse of :meth:`flatten`."""
        values: dict[str, TensorWrapper] = {}
        for names, group, v in zip(self.names, self.groups, vector, strict=True):
            for n, part in zip(names, v.split(group.sizes, -1) if len(names) > 1 else [v], strict=True):
                kind, sub = self.kinds[n], self.sub_batch[n]
                data = part.reshape((*batch, *sub, *kind.BASE_SHAPE))
                values[n] = kind._new(data, len(sub))
        return values


@dataclass(frozen=True)
class Linearised:
    """Residual at some unknowns, with the graph that its Jacobian is computed from."""

    residual: Vector
    graph: Vector
    unknowns: Vector
    rows: tuple[Group, ...]
    columns: tuple[Group, ...]
    batch: torch.Size

    def jacobian(self, create_graph: bool = False) -> Matrix:
        """The Jacobian in groups, by batched backward passes."""
        with torch.enable_grad():
            by_group = [self._rows(i, create_graph) for i in range(len(self.rows))]
        return Matrix(by_group, self.rows, self.columns, self.batch)

    def _rows(self, i: int, create_graph: bool) -> list[torch.Tensor]:
        row, r = self.rows[i], self.graph[i]
        # one cotangent for all sites: block groups are coupled site by site
        found = jacobian_rows(r, self.unknowns, create_graph)
        blocks = []
        for j, (column, d) in enumerate(zip(self.columns, found, strict=True)):
            if d is None:
                sites = row.sites or column.sites
                blocks.append(r.new_zeros((*self.batch, *sites, row.size, column.size)))
            elif row.sites and not column.sites:
                blocks.append(self._by_columns(r, self.unknowns[j], create_graph))
            else:
                blocks.append(d.movedim(0, -2))  # (*batch, *sites, n, m)
        return blocks

    def _by_columns(self, r: torch.Tensor, u: torch.Tensor, create_graph: bool) -> torch.Tensor:
        """How every site of ``r`` depends on an unknown of the whole point, ``(*batch, *sites, n, m)``.

        By the derivatives of the cotangent map, which is linear: its cost is that of ``m`` backward passes
        and not of one for every residual of every site.
        """
        dual = torch.zeros_like(r, requires_grad=True)
        (mapped,) = torch.autograd.grad(r, u, dual, create_graph=True)
        (d,) = jacobian_rows(mapped, [dual], create_graph)  # (m, *batch, *sites, n)
        if d is None:
            return r.new_zeros((*r.shape, u.shape[-1]))
        return d.movedim(0, -1)


@dataclass(frozen=True)
class ResidualProblem:
    """A nonlinear system at given values: what the solvers see."""

    system: NonlinearSystem
    givens: Mapping[str, TensorWrapper]
    unknown_layout: Layout
    batch: torch.Size
    context: Context = DEFAULT

    @property
    def residual_names(self) -> tuple[str, ...]:
        """Names of the residual variables."""
        return self.system.residual_names

    @cached_property
    def residual_layout(self) -> Layout:
        """Residuals are laid out like the unknowns they belong to."""
        layout, system = self.unknown_layout, self.system
        partner = dict(zip(system.residual_names, system.unknown_names, strict=True))
        kinds = {r: system.model.output_spec[r] for r in partner}
        sub = {r: layout.sub_batch[u] for r, u in partner.items()}
        return Layout(system.residual_groups, kinds, sub, layout.structures)

    def evaluate(self, unknowns: Vector) -> Vector:
        """The residual at ``unknowns``, part of whatever graph they belong to."""
        values = dict(self.givens)
        values.update(self.unknown_layout.unflatten(unknowns, self.batch))
        solves: list[Solution] = []  # of implicit updates inside the residual
        outputs = self.system.model.evaluate(values, replace(self.context, solves=solves))
        layout = self.residual_layout
        for n, sub in layout.sub_batch.items():
            _expect_sites(n, outputs[n], sub, self.system)
        residual = layout.flatten(outputs, self.batch)
        for inner in solves:
            if not inner.succeeded:  # such a point has no residual
                residual = [torch.where(wide(inner.converged, r), r, torch.nan) for r in residual]
        return residual

    def residual(self, unknowns: Vector) -> Vector:
        """The residual alone."""
        with torch.no_grad():
            return self.evaluate(unknowns)

    def linearise(self, unknowns: Vector) -> Linearised:
        """Residual and, on demand, Jacobian, cut off from the graph of the given values."""
        with torch.enable_grad():
            leaves = [u.detach().requires_grad_(True) for u in unknowns]
            graph = self.evaluate(leaves)
        return self.linearised(leaves, graph)

    def linearised(self, unknowns: Vector, graph: Vector) -> Linearised:
        """The same for a residual that has been evaluated already."""
        rows, columns = self.residual_layout.groups, self.unknown_layout.groups
        return Linearised([r.detach() for r in graph], graph, unknowns, rows, columns, self.batch)

    def worst(self, residual: Vector) -> torch.Tensor:
        """Index of the residual variable with the largest (or a non-finite) entry, ``(*batch)``."""
        layout = self.residual_layout
        values = layout.unflatten(residual, self.batch)
        sizes = [
            torch.nan_to_num(values[n].data.abs(), nan=torch.inf).reshape(*self.batch, -1).amax(-1)
            for n in self.residual_names
        ]
        return torch.stack(sizes, -1).argmax(-1)


def _expect_sites(name: str, residual: TensorWrapper, sub: tuple[int, ...], system: NonlinearSystem) -> None:
    """Refuse a residual with more sites than its unknown has."""
    found = tuple(residual.sub_batch_shape)
    fits = len(found) <= len(sub) and all(f in (1, s) for f, s in zip(found[::-1], sub[::-1], strict=False))
    if not fits:
        unknown = dict(zip(system.residual_names, system.unknown_names, strict=True))[name]
        raise ValueError(
            f"the residual '{name}' has the sub-batch {found}, but its unknown '{unknown}' has {sub}; declare"
            f" that of '{unknown}' in [Settings] example_batch_shape, or give it an old value or a guess that"
            f" has one"
        )


def unknown_layout(
    system: NonlinearSystem, values: Mapping[str, TensorWrapper], guess: Mapping[str, Any]
) -> Layout:
    """The layout of the unknowns: sub-batch shapes from ``[Settings]``, their old values, and their guesses.

    Raises :class:`ValueError` when these disagree.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for name in system.unknown_names:
        sources: dict[str, tuple[int, ...]] = {}
        declared = system.settings.sub_batch_shape(name) if system.settings is not None else None
        if declared is not None:
            sources["[Settings]"] = tuple(declared)
        for source in (f"{name}~1", f"{name}~2"):
            if source in values and values[source].sub_batch_ndim:
                sources[source] = tuple(values[source].sub_batch_shape)
        if name in guess and guess[name].sub_batch_ndim:
            sources["its guess"] = tuple(guess[name].sub_batch_shape)
        if len(set(sources.values())) > 1:
            told = ", ".join(f"{s} from {where}" for where, s in sources.items())
            raise ValueError(f"the sub-batch shape of '{name}' is contradictory: {told}")
        shapes[name] = next(iter(sources.values()), ())
    kinds = {n: system.model.input_spec[n] for n in system.unknown_names}
    return Layout(system.unknown_groups, kinds, shapes, system.structures)
