"""Reference problems for histories: input files, forces, losses, gradients and trajectories."""

import json
from pathlib import Path

import pytest
import torch

import neml2
from neml2 import registry
from neml2.fields import Input, Output, Parameter
from neml2.pyzag import NEML2PyzagModel
from neml2.types import clamp

FOLDER = Path(__file__).parent / "reference"
PROBLEMS = {p["id"]: p for p in json.loads((FOLDER / "recurrent.json").read_text())["problems"]}
F64 = torch.float64

# engine, block size, factorization: all of them natively, some eagerly
WAYS = [("native", b, m) for b in (1, 10, 100) for m in ("thomas", "pcr", "hybrid")]
WAYS += [("native", 4, "pcr"), ("eager", 4, "thomas"), ("eager", 10, "hybrid"), ("eager", 100, "pcr")]

if not any(e.name == "ContractingGeometry" for e in registry.entries("Models")):

    class ContractingGeometry(neml2.Model):
        """Shrinking-body rate law, ``f = k (1 - a)^n``."""

        conversion_degree: neml2.Scalar = Input("Degree of conversion")
        reaction_rate: neml2.Scalar = Output("Its rate")
        k: neml2.Scalar = Parameter("coef", "Coefficient")
        n: neml2.Scalar = Parameter("order", "Order")

        def forward(self, a, k, n):
            eps = torch.finfo(a.dtype).eps
            return k * clamp(1.0 - a, eps, 1.0 - eps) ** n


def tensors(values):
    return {n: torch.tensor(v, dtype=F64) for n, v in values.items()}


def load(name):
    problem = PROBLEMS[name]
    return neml2.load_nonlinear_system(FOLDER / Path(problem["file"]).name, problem["equation_system"])


def build(name, **options):
    """The model of a problem, its packed forces and its packed initial state."""
    problem = PROBLEMS[name]
    options.setdefault("include_parameters", problem["include_parameters"])
    model = NEML2PyzagModel(load(name), **options)
    forces = model.assemble_forces(tensors(problem["forces"]))
    return model, forces, model.assemble_state(tensors(problem["initial_state"]))


def loss_of(name, trajectory):
    """Mean square of the observed columns minus the data."""
    data = torch.tensor(PROBLEMS[name]["loss"]["data"], dtype=F64)
    return ((trajectory[..., : data.shape[-1]] - data) ** 2).mean()


def expect_gradients(name, model, initial, relative=1e-6):
    """The gradients that were left in ``model`` and ``initial`` are those of the reference."""
    problem = PROBLEMS[name]
    for n, value in problem["gradients"].items():
        assert getattr(model, n).grad.item() == pytest.approx(value, rel=relative), n
    exact = torch.tensor(problem["initial_state_gradient"], dtype=F64)
    scale = float(exact.abs().max())
    torch.testing.assert_close(initial.grad, exact, rtol=relative, atol=relative * scale)
