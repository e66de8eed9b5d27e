"""What a model is lowered to: a time step of scalar arithmetic, with regions that are solved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from neml2.compiler.graph import Graph, Node
from neml2.compiler.names import Names
from neml2.compiler.symbolic import SymbolicTensor
from neml2.implicit import ImplicitUpdate


@dataclass
class Region:
    """Unknowns that are found by Newton's method.

    ``cuts`` are scalars between the models of the residual: further unknowns of the linear system, each with
    an equation of its own.
    """

    name: str
    unknowns: list[Node]
    guess: list[Node]
    residual: list[Node]
    cuts: list[Node]
    solver: Any
    update: ImplicitUpdate
    variables: list[str]  # of every residual


@dataclass
class Step:
    """One time step. ``inputs``, ``parameters`` and ``outputs`` are arrays of nodes by variable name.

    Their shape is ``(*sub_batch, *base)``. ``names`` and ``origin`` say what models call a node, see
    :class:`Names`.
    """

    graph: Graph
    inputs: dict[str, SymbolicTensor]
    outputs: dict[str, SymbolicTensor] = field(default_factory=dict)
    regions: list[Region] = field(default_factory=list)
    parameters: dict[str, SymbolicTensor] = field(default_factory=dict)
    forces: dict[str, tuple[str, int]] = field(default_factory=dict)
    states: dict[str, tuple[str, int]] = field(default_factory=dict)
    named: Names = field(default_factory=Names)

    @property
    def names(self) -> dict[int, str]:
        return self.named.names

    @property
    def origin(self) -> dict[int, str]:
        return self.named.origin


@dataclass(frozen=True)
class Reduction:
    """The mean or the sum over the sites of a sub-batch: symbols for it, and the terms of the first site."""

    symbols: list[Node]
    terms: list[Node]
    mean: bool


@dataclass(frozen=True)
class Residual:
    """The residual of a nonlinear system at one point.

    ``unknowns`` and ``residual`` are flat, variable after variable in the order of the system, each
    row-major ``(*sub_batch, *base)``; ``inputs`` has all inputs of the model, unknowns and givens.
    """

    graph: Graph
    inputs: dict[str, SymbolicTensor]
    parameters: dict[str, SymbolicTensor]
    unknowns: list[Node]
    residual: list[Node]
    names: dict[int, str]
