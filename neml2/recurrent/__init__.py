"""Histories as recurrences: fits of parameters to tests, and the solvers of pyzag.

:func:`calibrate` fits a model to tests, each an :class:`Experiment`, and returns a :class:`FitResult`.

:func:`sensitivities` are the derivatives of a driven history by all parameters at once, :func:`checkpointed`
is one whose gradient needs little memory.

:class:`PyzagModel` is the residual of a history, :class:`HistorySolver` solves it, :func:`solve_adjoint`
gives exact gradients of its parameters, initial state and forces. They need pyzag: ``pip install
'neml2[recurrent]'``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neml2.registry import did_you_mean

if TYPE_CHECKING:
    from neml2.recurrent.calibration import calibrate
    from neml2.recurrent.checks import GradientError
    from neml2.recurrent.course import Evaluation
    from neml2.recurrent.experiment import Experiment
    from neml2.recurrent.fit_result import FitResult
    from neml2.recurrent.forward_sensitivities import sensitivities
    from neml2.recurrent.free import Free, Prior
    from neml2.recurrent.history_adjoint import checkpointed
    from neml2.recurrent.pyzag_model import PyzagModel
    from neml2.recurrent.pyzag_solver import HistorySolver, solve, solve_adjoint

__all__ = [
    "Evaluation",
    "Experiment",
    "FitResult",
    "Free",
    "GradientError",
    "HistorySolver",
    "Prior",
    "PyzagModel",
    "calibrate",
    "checkpointed",
    "sensitivities",
    "solve",
    "solve_adjoint",
]

_HOME = {
    "Evaluation": "neml2.recurrent.course",
    "Experiment": "neml2.recurrent.experiment",
    "FitResult": "neml2.recurrent.fit_result",
    "Free": "neml2.recurrent.free",
    "GradientError": "neml2.recurrent.checks",
    "HistorySolver": "neml2.recurrent.pyzag_solver",
    "Prior": "neml2.recurrent.free",
    "PyzagModel": "neml2.recurrent.pyzag_model",
    "calibrate": "neml2.recurrent.calibration",
    "checkpointed": "neml2.recurrent.history_adjoint",
    "sensitivities": "neml2.recurrent.forward_sensitivities",
    "solve": "neml2.recurrent.pyzag_solver",
    "solve_adjoint": "neml2.recurrent.pyzag_solver",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        if "pyzag" in _HOME[name]:
            importlib.import_module("neml2.recurrent.pyzag_version")  # says what to install
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"neml2.recurrent has no '{name}'{did_you_mean(name, __all__)}")
