"""The adapter at the size of a calibration: elasticity, and a Kocks-Mecking law under mixed control."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("pyzag")

from pyzag import chunktime, nonlinear

import neml2
from neml2.drivers import History, TransientDriver
from neml2.pyzag import NEML2PyzagModel
from neml2.types import SR2, Scalar

F64 = torch.float64
ROWS, SPECIMENS = 101, 20
KOCKS_MECKING = Path(__file__).parents[1] / "scenarios" / "kocks_mecking_full" / "model.i"
ELASTIC = """
[Models]
  [rate]
    type = SR2VariableRate
    variable = 'strain'
  []
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '95000 0.29'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    rate_form = true
  []
  [integrate]
    type = SR2BackwardEulerTimeIntegration
    variable = 'stress'
  []
  [rates]
    type = ComposedModel
    models = 'rate elasticity integrate'
  []
  [model]
    type = ImplicitUpdate
    equation_system = 'eq_sys'
    solver = 'newton'
  []
[]
[EquationSystems]
  [eq_sys]
    type = NonlinearSystem
    model = 'rates'
    unknowns = 'stress'
    residuals = 'stress_residual'
  []
[]
[Solvers]
  [newton]
    type = Newton
    linear_solver = 'lu'
  []
  [lu]
    type = DenseLU
  []
[]
"""
MIX = """
  [mix]
    type = MixedControlSetup
    x_above = 'fixed_values'
    x_below = 'mixed_state'
    y = 'stress'
    z = 'E'
  []
  [mix_old]
    type = MixedControlSetup
    control = 'control~1'
    x_above = 'fixed_values~1'
    x_below = 'mixed_state~1'
    y = 'stress~1'
    z = 'E~1'
  []
  [implicit_rate]"""


def mixed_kocks_mecking():
    """The scenario with stress prescribed where the control is 1, strain elsewhere."""
    text = KOCKS_MECKING.read_text()
    text = "[Tensors]\n  [Tc]" + text.partition("  [Tc]")[2]
    before, _, after = text.partition("[Drivers]")
    text = before + after.partition("[Models]")[1] + after.partition("[Models]")[2]
    for old, new in (
        ("\n  [implicit_rate]", MIX),
        ("integrate_stress eff_rate'", "integrate_stress eff_rate mix mix_old'"),
        ("unknowns_SR2 = 'stress'", "unknowns_SR2 = 'mixed_state'"),
        ("unknowns = 'stress equivalent", "unknowns = 'mixed_state equivalent"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def elastic_loads():
    generator = torch.Generator().manual_seed(1)
    time = torch.linspace(0, 1, ROWS, dtype=F64)[:, None] * torch.linspace(1, 20, SPECIMENS, dtype=F64)
    towards = 1e-3 * torch.randn(SPECIMENS, 6, dtype=F64, generator=generator)
    strain = torch.sin(3 * torch.linspace(0, 1, ROWS, dtype=F64))[:, None, None] * towards
    return {"strain": SR2(strain), "t": Scalar(time)}, {"stress": SR2(torch.zeros(SPECIMENS, 6, dtype=F64))}


def mixed_loads():
    """Tension at three decades of rate, from 400 to 900 K."""
    duration = torch.logspace(0, 3, SPECIMENS, dtype=F64)
    ramp = torch.linspace(0, 1, ROWS, dtype=F64)[:, None]
    fixed = torch.zeros(ROWS, SPECIMENS, 6, dtype=F64)
    fixed[..., 0] = 0.03 * ramp
    control = torch.ones(ROWS, SPECIMENS, 6, dtype=F64)
    control[..., 0] = 0
    temperature = torch.linspace(400, 900, SPECIMENS, dtype=F64).expand(ROWS, SPECIMENS)
    forces = {
        "fixed_values": SR2(fixed),
        "control": SR2(control),
        "temperature": Scalar(temperature),
        "t": Scalar(ramp * duration),
    }
    zero = torch.zeros(SPECIMENS, dtype=F64)
    return forces, {
        "mixed_state": SR2(torch.zeros(SPECIMENS, 6, dtype=F64)),
        "equivalent_plastic_strain": Scalar(zero),
        "rate_ri": Scalar(zero),
    }


CASES = {"elastic": (lambda: ELASTIC, elastic_loads, 1e-5), "mixed": (mixed_kocks_mecking, mixed_loads, 1e-4)}


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    text, loads, off = CASES[request.param]
    path = tmp_path_factory.mktemp("input") / f"{request.param}.i"
    path.write_text(text())
    return path, *loads(), off


def solver(model):
    return nonlinear.RecursiveNonlinearEquationSolver(
        model,
        step_generator=nonlinear.StepGenerator(10),
        predictor=nonlinear.PreviousStepsPredictor(),
        nonlinear_solver=chunktime.ChunkNewtonRaphsonLineSearch(rtol=1e-12, atol=1e-10, miter=100),
    )


def test_the_trajectory_is_that_of_the_driver(case):
    path, forces, start, _ = case
    model = NEML2PyzagModel(neml2.load_nonlinear_system(path, "eq_sys"))
    given, initial = model.assemble_forces(forces), model.assemble_state(start)
    with torch.no_grad():
        found = model.unpack_state(nonlinear.solve(solver(model), initial, ROWS, given))
        time = forces["t"].data
        loads = {n: v for n, v in forces.items() if n != "t"}
        driver = TransientDriver(neml2.load_model(path, "model"), engine="native")
        run = driver.run(History(time, loads, initial=start))
    assert set(start) <= set(found)
    for n in set(start) - {"rate_ri"}:
        expected = run[n].data
        size = float(expected.abs().max())
        torch.testing.assert_close(found[n].data[1:], expected[1:], rtol=0, atol=1e-7 * size, msg=n)


def test_gradients_of_all_parameters_are_central_differences(case):
    path, forces, start, off = case
    model = NEML2PyzagModel(neml2.load_nonlinear_system(path, "eq_sys"))
    given, initial = model.assemble_forces(forces), model.assemble_state(start)
    with torch.no_grad():
        whole = nonlinear.solve(solver(model), initial, ROWS, given)
    weights = 1 / whole.abs().amax((0, 1)).clamp(min=1e-3 * float(whole.abs().max()))

    def loss():
        y = nonlinear.solve_adjoint(solver(model), initial, ROWS, given)
        return ((weights * y)[..., :6] ** 2).mean()

    loss().backward()
    checked = 0
    for name, p in model.named_parameters():
        if p.numel() > 1 or not p.item():
            continue  # tables, and offsets that are zero
        value, exact = p.item(), p.grad.item()
        h = 1e-5 * abs(value)
        found = []
        for to in (value + h, value - h):
            with torch.no_grad():
                p.fill_(to)
                found.append(float(loss()))
        with torch.no_grad():
            p.fill_(value)
        slope = (found[0] - found[1]) / (2 * h)
        assert exact == pytest.approx(slope, rel=off, abs=1e-9 / abs(value)), name
        checked += 1
    assert checked >= 2
