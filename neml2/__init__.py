"""Constitutive models on PyTorch: compose them, solve them, drive them, differentiate them, fit them.

>>> import neml2
>>> model = neml2.models.VoceIsotropicHardening(saturated_hardening=100.0, saturation_rate=10.0)
>>> model(neml2.Scalar(0.05)).data.item()  # doctest: +ELLIPSIS
39.346...

The parts: typed tensors (`neml2.types`), models (`Model`, `ComposedModel`, the catalogue `neml2.models`),
implicit updates (`NonlinearSystem`, `Newton`, `ImplicitUpdate`), load histories (`TransientDriver`,
`History`, `Trajectory`), input files (`load_input`, `load_model`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neml2.binding import Wired
from neml2.compat import allow_autograd, allow_einsum
from neml2.composed import ComposedModel, DependencyResolver
from neml2.errors import ConvergenceError, MissingVariable
from neml2.fields import BLOCK_NAME, REQUIRED, Buffer, Dependency, Input, Option, Output, Parameter, setting
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.registry import register, register_neml2_object
from neml2.solvers import DenseLU, Newton, NewtonWithLineSearch, Solution, Status
from neml2.step import StateUpdate
from neml2.system import NonlinearSystem
from neml2.types import (
    MRP,
    R2,
    SR2,
    SSR4,
    WR2,
    MillerIndex,
    PrimitiveTensor,
    Quaternion,
    Scalar,
    Tensor,
    TensorWrapper,
    Vec,
)

__version__ = "0.1.0"

_LAZY = {  # loaded on first use: they bring in libraries that a script may not need
    "neml2.compiler.update": ("NativeUpdate",),
    "neml2.data": ("CrystalGeometry", "CubicCrystal", "cubic_symmetry_operators"),
    "neml2.drivers": (
        "Event",
        "HOLD",
        "History",
        "Increments",
        "ModelUnitTest",
        "ModelUnitTestReport",
        "Replay",
        "Save",
        "Segment",
        "TransientDriver",
        "TransientRegression",
        "Trajectory",
        "Verification",
        "laboratory",
        "open_run",
        "open_runs",
    ),
    "neml2.es": (
        "AssembledMatrix",
        "AssembledVector",
        "AxisLayout",
        "ModelNonlinearSystem",
        "NonlinearResult",
        "RetCode",
        "SparseMatrix",
        "SparseVector",
    ),
    "neml2.hit.resuming": ("resume",),
    "neml2.hit": ("InputError", "load_input", "load_model", "load_nonlinear_system", "load_string"),
    "neml2.models": (  # the only leaves that scripts written for NEML2 find at the top
        "CrystalPlasticityDeformationGradientPredictor",
        "CrystalPlasticityStrainPredictor",
        "DislocationObstacleStrengthMap",
        "ElasticStrainRate",
        "FixOrientation",
        "LinearSingleSlipHardeningRule",
        "OrientationRate",
        "PerSlipForestDislocationEvolution",
        "PlasticDeformationRate",
        "PlasticSpatialVelocityGradient",
        "PlasticVorticity",
        "PowerLawSlipRule",
        "ResolvedShear",
        "SingleSlipStrengthMap",
        "SlipSystemElasticInteraction",
        "SumSlipRates",
        "VoceSingleSlipHardeningRule",
    ),
    "neml2.predictors": ("ConstantExtrapolationPredictor", "LinearExtrapolationPredictor"),
    "neml2.solvers.schur": ("SchurComplement",),
    "neml2.solvers.krylov": ("GMRES", "BiCGStab"),
}
_HOME = {name: module for module, names in _LAZY.items() for name in names}
_SUBMODULES = (
    "aoti",
    "cli",
    "data",
    "drivers",
    "es",
    "hit",
    "log",
    "models",
    "ops",
    "pyzag",
    "recurrent",
    "solvers",
    "texture",
    "types",
)

if TYPE_CHECKING:
    from neml2.compiler.update import NativeUpdate
    from neml2.data import CrystalGeometry, CubicCrystal, cubic_symmetry_operators
    from neml2.drivers import (
        HOLD,
        Event,
        History,
        Increments,
        ModelUnitTest,
        ModelUnitTestReport,
        Replay,
        Save,
        Segment,
        Trajectory,
        TransientDriver,
        TransientRegression,
        Verification,
        laboratory,
        open_run,
        open_runs,
    )
    from neml2.es import (
        AssembledMatrix,
        AssembledVector,
        AxisLayout,
        ModelNonlinearSystem,
        NonlinearResult,
        RetCode,
        SparseMatrix,
        SparseVector,
    )
    from neml2.hit import InputError, load_input, load_model, load_nonlinear_system, load_string
    from neml2.hit.resuming import resume
    from neml2.predictors import ConstantExtrapolationPredictor, LinearExtrapolationPredictor
    from neml2.solvers.krylov import GMRES, BiCGStab
    from neml2.solvers.schur import SchurComplement

__all__ = [
    "AssembledMatrix",
    "AssembledVector",
    "AxisLayout",
    "BLOCK_NAME",
    "BiCGStab",
    "Buffer",
    "ComposedModel",
    "ConstantExtrapolationPredictor",
    "ConvergenceError",
    "CrystalGeometry",
    "CubicCrystal",
    "DenseLU",
    "Dependency",
    "DependencyResolver",
    "Event",
    "GMRES",
    "HOLD",
    "History",
    "ImplicitUpdate",
    "Increments",
    "Input",
    "InputError",
    "LinearExtrapolationPredictor",
    "MRP",
    "MillerIndex",
    "MissingVariable",
    "Model",
    "ModelNonlinearSystem",
    "ModelUnitTest",
    "ModelUnitTestReport",
    "NativeUpdate",
    "Newton",
    "NewtonWithLineSearch",
    "NonlinearResult",
    "NonlinearSystem",
    "Option",
    "Output",
    "Parameter",
    "PrimitiveTensor",
    "Quaternion",
    "R2",
    "REQUIRED",
    "Replay",
    "RetCode",
    "SR2",
    "SSR4",
    "Save",
    "Scalar",
    "SchurComplement",
    "Segment",
    "Solution",
    "SparseMatrix",
    "SparseVector",
    "StateUpdate",
    "Status",
    "Tensor",
    "TensorWrapper",
    "Trajectory",
    "TransientDriver",
    "TransientRegression",
    "Vec",
    "Verification",
    "WR2",
    "Wired",
    "allow_autograd",
    "allow_einsum",
    "cubic_symmetry_operators",
    "laboratory",
    "load_input",
    "load_model",
    "load_nonlinear_system",
    "load_string",
    "open_run",
    "open_runs",
    "register",
    "register_neml2_object",
    "resume",
    "setting",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"neml2.{name}")
    from neml2.registry import did_you_mean

    raise AttributeError(f"neml2 has no '{name}'{did_you_mean(name, [*__all__, *_HOME, *_SUBMODULES])}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOME, *_SUBMODULES})
