"""Hierarchical models of pyzag and Pyro on top of the adapter."""

import warnings

import pytest
import torch

pytest.importorskip("pyzag")

import pyro
from pyro.infer.autoguide import AutoDelta
from pyzag import chunktime, nonlinear, stochastic

from neml2.pyzag import HistorySolver, solve_adjoint
from tests.recurrent.problems import F64, build

NAME = "arrhenius_conversion"


class Experiment(torch.nn.Module):
    """The module of a script: forces in, observed states out."""

    def __init__(self, model, initial, ours):
        super().__init__()
        self.discrete_equations, self.initial, self.ours = model, initial, ours

    def forward(self, forces):
        options = {
            "step_generator": nonlinear.StepGenerator(10),
            "predictor": nonlinear.PreviousStepsPredictor(),
            "nonlinear_solver": chunktime.ChunkNewtonRaphson(rtol=1e-12, atol=1e-13),
        }
        if self.ours:
            solver, solve = HistorySolver(self.discrete_equations, **options), solve_adjoint
        else:
            solver = nonlinear.RecursiveNonlinearEquationSolver(self.discrete_equations, **options)
            solve = nonlinear.solve_adjoint
        return solve(solver, self.initial, len(forces), forces)


@pytest.fixture(params=[True, False], ids=["ours", "pyzag"])
def hierarchy(request):
    def made(**options):
        pyro.clear_param_store()
        pyro.set_rng_seed(1)
        model, forces, initial = build(NAME, **options)
        experiment = Experiment(model, initial, request.param)
        with torch.no_grad():
            data = experiment(forces)
        update_mask = options.get("on_failure") == "nan"
        statistical = stochastic.HierarchicalStatisticalModel(
            experiment, stochastic.MapNormal(0.1), torch.tensor(1e-2, dtype=F64), update_mask=update_mask
        )
        return statistical, forces, data

    default = torch.get_default_dtype()
    torch.set_default_dtype(F64)  # that of pyro's samples
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield made
    torch.set_default_dtype(default)


def test_every_specimen_has_its_own_value(hierarchy):
    statistical, forces, _ = hierarchy()
    assert {n.split(".")[-1] for n in statistical.top} == {
        f"kT_{n}_{s}" for n in ("p0", "Q") for s in ("loc", "scale")
    } | {"law_n_loc", "law_n_scale"}
    trace = pyro.poutine.trace(statistical).get_trace(forces)
    assert trace.nodes["discrete_equations.kT_p0"]["value"].shape == (4,)
    assert trace.nodes["obs"]["value"].shape == (20, 4, 1)


def test_the_gradient_of_the_log_density_is_a_central_difference(hierarchy):
    statistical, forces, data = hierarchy()
    value = torch.tensor([0.085, 0.09, 0.095, 0.1], dtype=F64, requires_grad=True)
    name = "discrete_equations.kT_p0"
    fixed = pyro.poutine.trace(statistical).get_trace(forces, results=data)
    sites = {
        n: node["value"].detach().requires_grad_(True)  # pyzag insists on it for all parameters
        for n, node in fixed.nodes.items()
        if node["type"] == "sample" and not node["is_observed"] and node["value"].is_floating_point()
    }

    def density(value):
        conditioned = pyro.poutine.condition(statistical, {**sites, name: value})
        return pyro.poutine.trace(conditioned).get_trace(forces, results=data).log_prob_sum()

    (exact,) = torch.autograd.grad(density(value), value)
    for i in range(4):
        h = torch.zeros(4, dtype=F64)
        h[i] = 1e-6
        slope = (density(value.detach() + h) - density(value.detach() - h)) / 2e-6
        assert exact[i].item() == pytest.approx(slope.item(), rel=1e-5)


def test_a_maximum_a_posteriori_fit_improves(hierarchy):
    statistical, forces, data = hierarchy()
    guide = AutoDelta(statistical)
    svi = pyro.infer.SVI(
        statistical, guide, pyro.optim.ClippedAdam({"lr": 2e-2}), loss=pyro.infer.Trace_ELBO()
    )
    losses = [svi.step(forces, results=data) for _ in range(15)]
    assert losses[-1] < losses[0] - 1.0


def test_failing_specimens_are_masked(hierarchy):
    statistical, forces, data = hierarchy(on_failure="nan")
    forces = forces.clone()
    forces[8, 2, 0] = torch.nan
    guide = AutoDelta(statistical)
    svi = pyro.infer.SVI(
        statistical, guide, pyro.optim.ClippedAdam({"lr": 2e-2}), loss=pyro.infer.Trace_ELBO()
    )
    losses = [svi.step(forces, results=data) for _ in range(15)]
    assert statistical.mask.tolist() == [True, True, False, True]
    assert losses[-1] < losses[1] - 1.0
