"""What a kernel consists of, in numbers and in words: the facts behind ``neml2-inspect --compiled``."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from neml2.compiler.build import NoCompiler, cached
from neml2.compiler.condense import operations
from neml2.compiler.eliminate import Elimination
from neml2.compiler.emit import parameter_only, recorded
from neml2.compiler.graph import Node, ancestors, depending, listing, name_of
from neml2.compiler.kernel import Kernel
from neml2.compiler.regions import Region
from neml2.compiler.site_kernel import compiled
from neml2.model import Model
from neml2.step import StateUpdate
from neml2.types import R2, Scalar, TensorWrapper

Values = Mapping[str, TensorWrapper]
WIDTH = 96  # of the second column
TEMPERATURE, SMALL = 300.0, 0.01  # of values that nobody gives: in K, and a usual strain


@dataclass(frozen=True)
class Solve:
    """One Newton's method of a step, with the linear system of an iteration.

    ``unknowns`` has the components of every variable. The system has these and ``between`` further columns,
    scalars between the models; ``eliminated`` of all are eliminated one by one, of which ``pivots`` divide.
    The others are the dense core: components of unknowns, ``torn``, and ``torn_between`` of the scalars.
    """

    name: str
    solver: str
    abs_tol: float
    rel_tol: float
    max_its: int
    unknowns: dict[str, int]
    between: int
    eliminated: int
    pivots: int
    core: int
    torn: list[str]
    torn_between: int
    residual_operations: int
    iteration_operations: int


@dataclass(frozen=True)
class Source:
    """The C++ of a kernel, where it is kept, and the library made of it: ``None`` if not built yet."""

    kind: str
    lines: int
    path: str | None
    library: str | None
    library_bytes: int | None


@dataclass(frozen=True)
class KernelReport:
    """What a kernel consists of.

    Operations are scalar ones per point, and ``kernel`` is what is described. ``samples`` says at which
    prescribed values the pivots were chosen, ``missing`` why there are no libraries, if there can be none.
    """

    model: str
    samples: str
    parameters: dict[str, int]
    prescribed: dict[str, int]
    states: dict[str, int]
    outputs: dict[str, int]
    once_per_point_operations: int
    once_per_step_operations: int
    solves: list[Solve]
    sources: list[Source]
    missing: str
    kernel: Kernel

    def facts(self) -> dict[str, Any]:
        """Names and numbers only, as JSON takes them."""
        named = {k: v for k, v in vars(self).items() if k not in ("kernel", "solves", "sources")}
        return named | {
            "solves": [asdict(s) for s in self.solves],
            "sources": [asdict(s) for s in self.sources],
        }

    def __str__(self) -> str:
        rows = [
            ("model", self.model),
            ("pivots", f"chosen with {self.samples}"),
            ("parameters", _sizes(self.parameters)),
            ("prescribed", _sizes(self.prescribed)),
            ("old state", _sizes(self.states)),
            ("outputs", _sizes(self.outputs)),
            ("operations", f"{self.once_per_point_operations} once per point"),
            ("", f"{self.once_per_step_operations} once per step, outside of Newton's loops"),
        ]
        for s in self.solves:
            rows += [("", ""), ("solve", f"{s.name}: {s.solver}, {_tolerances(s)}")]
            rows += [("  unknowns", f"{sum(s.unknowns.values())}: {_sizes(s.unknowns)}")]
            rows += [("  system", f"with {s.between} scalars between the models, {s.eliminated} eliminated")]
            rows += [("  pivots", f"{s.pivots} that are divided by")]
            rows += [("  dense core", _core(s))]
            rows += [("  operations", f"{s.residual_operations} of a residual")]
            rows += [("", f"{s.iteration_operations} of an iteration, with the residual")]
        rows += [("", "")]
        for k in self.sources:
            rows += [("kernel", f"{k.kind}: {k.lines} lines of C++"), ("  source", k.path or self.missing)]
            if k.path is not None:
                size = "not built yet" if k.library is None else f"{k.library}, {k.library_bytes} bytes"
                rows += [("  library", size)]
        return "\n".join(line for row in rows for line in _lines(*row))

    def graph(self) -> str:
        """The step as text: inputs, then every operation by the names and models that it has."""
        step = self.kernel.step
        parts = []
        for region in self.kernel.regions:
            body = listing([*region.guess, *region.residual], step.names, step.origin)
            words = [repr(n) for n in region.unknowns]
            guess = _pairs(zip(words, region.guess, strict=True), step.names)
            names = [f"residual of {v}" for v in region.variables]
            residual = _pairs(zip(names, region.residual, strict=True), step.names)
            parts += [f"# {region.name}: the residual", body, "# guess", *guess, "# equal to zero", *residual]
        kept = recorded(step)
        body = listing([n for nodes in kept.values() for n in nodes], step.names, step.origin)
        named = [
            (f"{v}[{c}]" if len(nodes) > 1 else v, n)
            for v, nodes in kept.items()
            for c, n in enumerate(nodes)
        ]
        return "\n".join([*parts, "# outputs", body, *_pairs(named, step.names)])

    def source(self, kind: str = "march") -> str:
        """The C++ of a kernel, without the functions that all of them share."""
        return self.kernel.launcher(kind, torch.zeros((), dtype=torch.float64)).program.source()


def kernel_report(
    model: Model | StateUpdate,
    samples: Values | None = None,
    shapes: Mapping[str, torch.Size] | None = None,
    about: str = "",
) -> KernelReport:
    """What the kernel of ``model`` consists of; it is made for this, its libraries are not built.

    ``samples`` are prescribed values ``(steps, ...)`` as in :class:`~neml2.compiler.kernel.Kernel`, made up
    by :func:`example_values` if left out, and ``about`` says what they are. Raises
    :class:`~neml2.compiler.lower.Unsupported`.
    """
    update = model if isinstance(model, StateUpdate) else StateUpdate(model)
    shapes = dict(shapes or {})
    if samples is None:
        about = "values made up, for want of a history"
    kernel = compiled(update, {**example_values(update, shapes), **(samples or {})}, shapes)
    return report_of(kernel, about or "the values given")


def example_values(update: StateUpdate, shapes: Mapping[str, torch.Size]) -> dict[str, TensorWrapper]:
    """Two rows of every prescribed value.

    Time goes from 0 to 1, temperatures are 300, other scalars 0 and 1, second order tensors that are not
    symmetric the identity, and all others 0.01 in every component.
    """
    found: dict[str, TensorWrapper] = {}
    for n, kind in update.forces.items():
        sub = tuple(shapes.get(n, ()))
        rows = torch.full((2, *sub, *kind.BASE_SHAPE), SMALL, dtype=torch.float64)
        if kind is R2:
            rows[:] = torch.eye(3, dtype=torch.float64)
        elif kind is Scalar:
            rows[0], rows[1] = 0.0, 1.0
            if n == "T" or "temperature" in n:
                rows[:] = TEMPERATURE
        found[n] = kind._new(rows, len(sub))
    return found


def report_of(kernel: Kernel, about: str) -> KernelReport:
    """The facts of a kernel."""
    step = kernel.step
    once, rest = _outside(kernel)
    sources, missing = [], ""
    for kind in ("march", "adjoint") if kernel.differentiable else ("march",):
        text = kernel.launcher(kind, torch.zeros((), dtype=torch.float64)).text
        path: Path | None = None
        library: Path | None = None
        try:
            path, library = cached(text)
        except NoCompiler as error:
            missing = str(error)
        sources.append(
            Source(
                kind,
                len(text.splitlines()),
                None if path is None else str(path),
                None if library is None else str(library),
                None if library is None else library.stat().st_size,
            )
        )
    return KernelReport(
        f"{kernel.update.model}",
        about,
        {n: t.nodes.size for n, t in step.parameters.items()},
        dict(kernel.forces),
        {
            (n if lag == 1 else f"{n}~{lag}"): kernel.sizes[n]
            for n, d in kernel.states
            for lag in range(1, d + 1)
        },
        {n: math.prod(shape) for n, shape in kernel.output_shapes.items()},
        once,
        rest,
        [_solve(r, e) for r, e in zip(kernel.regions, kernel.eliminations, strict=True)],
        sources,
        missing,
        kernel,
    )


def _solve(region: Region, e: Elimination) -> Solve:
    unknowns: dict[str, int] = {}
    for u in region.unknowns:
        name = u.value.split(":", 1)[1].split("[")[0]
        unknowns[name] = unknowns.get(name, 0) + 1
    core = {s.index for s in e.core_solution}
    torn = [
        u.value.split(":", 1)[1] for u, s in zip(region.unknowns, e.solution, strict=True) if s.index in core
    ]
    in_residual = ancestors(region.residual)
    depends = depending(in_residual, region.unknowns)
    return Solve(
        region.name,
        type(region.solver).__name__,
        region.solver.abs_tol,
        region.solver.rel_tol,
        region.solver.max_its,
        unknowns,
        e.eliminated + len(e.core) - len(region.unknowns),
        e.eliminated,
        len(e.pivots),
        len(e.core),
        torn,
        len(core) - len(torn),
        sum(bool(n.args) for n in in_residual if n.index in depends),
        operations(e, region),
    )


def _outside(kernel: Kernel) -> tuple[int, int]:
    """Operations once per point, and once per step outside of Newton's loops."""
    step = kernel.step
    roots = [n for nodes in recorded(step).values() for n in nodes]
    used, outside = list(roots), {n.index for n in ancestors(roots) if n.args}
    for region, e in zip(kernel.regions, kernel.eliminations, strict=True):
        core_rhs, change = e.solve([-r for r in region.residual])
        loop = [*region.residual, *core_rhs, *change, *(n for row in e.core for n in row)]
        order = ancestors(loop)
        depends = depending(order, [*region.unknowns, *e.core_solution])
        used += [*region.guess, *loop]
        outside |= {n.index for n in order if n.args and n.index not in depends}
        outside |= {n.index for n in ancestors(region.guess) if n.args}
    once = {n.index for n in parameter_only(step, used)}
    return len(once), len(outside - once)


# ---------------------------------------------------------------------- words


def _lines(head: str, text: str) -> list[str]:
    """A row of the table; what is long goes on below."""
    lines = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{head if k == 0 else '':<14}{line}".rstrip() for k, line in enumerate(lines)]


def _sizes(sizes: Mapping[str, int]) -> str:
    return ", ".join(n if size == 1 else f"{n} ({size})" for n, size in sizes.items()) or "none"


def _tolerances(s: Solve) -> str:
    return f"abs_tol = {s.abs_tol:g}, rel_tol = {s.rel_tol:g}, max_its = {s.max_its}"


def _core(s: Solve) -> str:
    if not s.core:
        return "none: all is eliminated"
    parts = [*s.torn, *([f"{s.torn_between} scalars between the models"] if s.torn_between else [])]
    return f"{s.core} x {s.core}: {', '.join(parts)}"


def _pairs(pairs: Iterable[tuple[str, Node]], names: Mapping[int, str]) -> Sequence[str]:
    return [f"{word} = {name_of(n, names)}" for word, n in pairs]
