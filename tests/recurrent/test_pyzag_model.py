"""The adapter under pyzag's own solver: names, layouts, trajectories and gradients."""

import pytest
import torch

from tests.recurrent.problems import F64, PROBLEMS, build, expect_gradients, load, loss_of

pytest.importorskip("pyzag")

from pyzag import chunktime, nonlinear

from neml2.pyzag import NEML2PyzagModel
from neml2.recurrent import PyzagModel

FACTORIZATIONS = {
    "thomas": chunktime.BidiagonalThomasFactorization,
    "pcr": chunktime.BidiagonalPCRFactorization,
    "hybrid": chunktime.BidiagonalHybridFactorization(2),
}


def solver(model, block_size=5, method="thomas", predictor=None):
    return nonlinear.RecursiveNonlinearEquationSolver(
        model,
        step_generator=nonlinear.StepGenerator(block_size),
        predictor=predictor or nonlinear.PreviousStepsPredictor(),
        direct_solve_operator=FACTORIZATIONS[method],
        nonlinear_solver=chunktime.ChunkNewtonRaphsonLineSearch(rtol=1e-14, atol=1e-11),
    )


@pytest.fixture(params=PROBLEMS)
def name(request):
    return request.param


@pytest.fixture(params=["eager", "native"])
def engine(request):
    return request.param


def test_names_sizes_and_layouts_are_those_of_the_reference(name):
    problem = PROBLEMS[name]
    assert PyzagModel(load(name)).parameter_names == problem["all_parameter_names"]
    model, forces, initial = build(name)
    assert model.parameter_names == problem["parameter_names"]
    assert [n for n, _ in model.named_parameters()] == problem["parameter_names"]
    assert (list(model.svars), list(model.fvars)) == (problem["state_variables"], problem["force_variables"])
    assert (model.nstate, model.nforce) == (problem["nstate"], problem["nforce"])
    assert forces[[0, -1]].tolist() == problem["forces_flat_first_and_last"]
    assert initial.shape == (forces.shape[1], problem["nstate"])
    assert {n: p.item() for n, p in model.named_parameters()} == problem["parameters"]


@pytest.mark.parametrize("method", FACTORIZATIONS)
@pytest.mark.parametrize("block_size", [1, 4, 10, 100])
def test_losses_and_gradients_are_those_of_the_reference(name, engine, method, block_size):
    problem = PROBLEMS[name]
    model, forces, initial = build(name, engine=engine)
    initial.requires_grad_(True)
    found = nonlinear.solve_adjoint(solver(model, block_size, method), initial, len(forces), forces)
    reference = torch.tensor(problem["trajectory"], dtype=F64)
    torch.testing.assert_close(found, reference, rtol=1e-8, atol=1e-8 * float(reference.abs().max()))
    loss = loss_of(name, found)
    assert loss.item() == pytest.approx(problem["loss"]["value"], rel=1e-8)
    loss.backward()
    expect_gradients(name, model, initial)


def test_the_neml2_name_is_the_same_class():
    assert NEML2PyzagModel is PyzagModel
