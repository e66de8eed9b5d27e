"""What one evaluation of a model carries along besides its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from neml2.solvers.status import Solution


@dataclass(frozen=True)
class Context:
    """Passed down through the models of a composition; holds no state of any model.

    parameters
        Tensors that stand in for parameters during this evaluation. They are found by the identity of the
        ``torch.nn.Parameter``, so a parameter that two models share is replaced in both.
    solves
        Where implicit updates put their :class:`~neml2.solvers.Solution`. When it is ``None`` a failed
        solve raises :class:`~neml2.errors.ConvergenceError`.
    initial
        Implicit updates do not solve but return the old values of their unknowns: this is how the explicit
        outputs of the initial state are found.
    """

    parameters: Mapping[torch.nn.Parameter, torch.Tensor] = field(default_factory=dict)
    solves: list[Solution] | None = None
    initial: bool = False

    def value_of(self, parameter: torch.nn.Parameter) -> torch.Tensor:
        """The tensor that ``parameter`` stands for in this evaluation."""
        return self.parameters.get(parameter, parameter) if self.parameters else parameter


DEFAULT = Context()
