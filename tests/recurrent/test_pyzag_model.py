"""The adapter under pyzag's own solver: names, layouts, trajectories and gradients."""

import copy
import pickle

import pytest
import torch

pytest.importorskip("pyzag")

from pyzag import chunktime, nonlinear

import neml2
from neml2.fields import Input, Output
from neml2.pyzag import NEML2PyzagModel
from neml2.recurrent import PyzagModel
from tests.recurrent.problems import F64, PROBLEMS, WAYS, build, expect_gradients, load, loss_of
from tests.recurrent.sites import Diffusion, grain_values, grains

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


@pytest.mark.parametrize(("engine", "block_size", "method"), WAYS)
def test_losses_and_gradients_are_those_of_the_reference(name, engine, block_size, method):
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


# ---------------------------------------------------------------------- parameters


def test_parameters_are_chosen_by_name():
    every = PROBLEMS["voce_viscoplastic"]["all_parameter_names"]
    assert PyzagModel(load("voce_viscoplastic")).parameter_names == every
    model = PyzagModel(load("voce_viscoplastic"), include_parameters=["visc_n", "iso_R"])
    assert model.parameter_names == ["iso_R", "visc_n"]
    model = PyzagModel(load("voce_viscoplastic"), exclude_parameters=["iso_R", "nothing"])
    assert model.parameter_names == every[1:]
    with pytest.raises(
        ValueError, match=r"no parameter 'visc_etta'; did you mean 'visc_eta'\? \(parameters: iso_R"
    ):
        PyzagModel(load("voce_viscoplastic"), include_parameters=["visc_etta"])
    with pytest.raises(ValueError, match="not both"):
        PyzagModel(load("voce_viscoplastic"), include_parameters=[], exclude_parameters=[])


def test_values_are_copies_that_every_evaluation_uses(engine):
    system = load("voce_viscoplastic")
    forces, initial = build("voce_viscoplastic")[1:]
    model = PyzagModel(system, include_parameters=["elas_E"], engine=engine)
    with torch.no_grad():
        stress = nonlinear.solve(solver(model), initial, 2, forces[:2])[1, :, 0]
        model.elas_E.mul_(2.0)
        double = nonlinear.solve(solver(model), initial, 2, 0.01 * forces[:2])[1, :, 0]
        model.elas_E.mul_(0.5)
        single = nonlinear.solve(solver(model), initial, 2, 0.01 * forces[:2])[1, :, 0]
    torch.testing.assert_close(double, 2.0 * single)
    assert system.model.get_parameter("elas.E").item() == 95000.0
    assert bool(stress.isfinite().all())


def test_a_value_for_each_specimen(engine):
    model, forces, initial = build("voce_viscoplastic", engine=engine)
    n, values = len(forces), torch.tensor([85.0, 60.0, 110.0], dtype=F64)
    model.iso_R.data = values
    y = nonlinear.solve_adjoint(solver(model), initial, n, forces)
    (got,) = torch.autograd.grad(y[..., :6].pow(2).sum(), [model.iso_R])
    assert got.shape == (3,)
    y = y.detach()  # torch remembers the shape of a parameter as long as a graph does
    for i, value in enumerate(values):
        model.iso_R.data = value
        alone = nonlinear.solve_adjoint(solver(model), initial[i : i + 1], n, forces[:, i : i + 1])
        torch.testing.assert_close(y[:, i : i + 1], alone, rtol=1e-10, atol=1e-10)
        (one,) = torch.autograd.grad(alone[..., :6].pow(2).sum(), [model.iso_R])
        assert one.item() == pytest.approx(got[i].item(), rel=1e-9)


def test_reparametrization_acts_on_the_model():
    from pyzag.reparametrization import RangeRescale, Reparameterizer

    class Experiment(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.discrete_equations = model

    model, forces, initial = build("voce_viscoplastic")
    before = nonlinear.solve(solver(model), initial, len(forces), forces).detach()
    experiment = Experiment(model)
    scale = RangeRescale(torch.tensor(50.0, dtype=F64), torch.tensor(150.0, dtype=F64))
    Reparameterizer({"discrete_equations.iso_R": scale})(experiment)
    y = nonlinear.solve_adjoint(solver(model), initial, len(forces), forces)
    torch.testing.assert_close(y.detach(), before, rtol=1e-12, atol=1e-12)
    loss_of("voce_viscoplastic", y).backward()
    stored = experiment.get_parameter("discrete_equations.parametrizations.iso_R.original")
    natural = PROBLEMS["voce_viscoplastic"]["gradients"]["iso_R"]
    assert stored.grad.item() == pytest.approx(100.0 * natural, rel=1e-8)


def test_optimisers_find_the_parameters_that_made_the_data():
    model, forces, initial = build("arrhenius_conversion", include_parameters=["kT_p0"])
    with torch.no_grad():
        data = nonlinear.solve(solver(model), initial, len(forces), forces)
        model.kT_p0.mul_(1.5)
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=20, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        y = nonlinear.solve_adjoint(solver(model), initial, len(forces), forces)
        loss = ((y - data) ** 2).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    assert model.kT_p0.item() == pytest.approx(0.09, rel=1e-5)


# ---------------------------------------------------------------------- what a model is made from


def test_an_implicit_update_will_do(name):
    system = load(name)
    update = neml2.ImplicitUpdate(system.system)
    assert PyzagModel(update).parameter_names == PyzagModel(system.system).parameter_names
    assert PyzagModel(update).svars == tuple(PROBLEMS[name]["state_variables"])


def test_a_model_that_contains_one_implicit_update_will_do():
    update = neml2.ImplicitUpdate(load("voce_viscoplastic").system, name="update")
    after = neml2.models.SR2Invariant(tensor="stress", invariant="size", invariant_type="VONMISES")
    model = PyzagModel(neml2.ComposedModel([update, after]))
    assert (model.svars, model.fvars) == (("stress", "equivalent_plastic_strain"), ("strain", "t"))
    before = neml2.models.ScalarLinearCombination(**{"from": ["a"], "to": "t", "weights": [2.0]})
    with pytest.raises(TypeError, match="computes t outside of ImplicitUpdate 'update'; put that model into"):
        PyzagModel(neml2.ComposedModel([before, update]))


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match="not a dict; give what neml2.load_nonlinear_system"):
        PyzagModel({})
    with pytest.raises(TypeError, match=r"contains no implicit updates; give a NonlinearSystem"):
        PyzagModel(load("voce_viscoplastic").model)


class Orphan(neml2.Model):
    """Reads an old value that nothing provides."""

    x: neml2.Scalar = Input("State")
    z_n: neml2.Scalar = Input("Old value", default="z~1")
    r: neml2.Scalar = Output("Residual", default="x_residual")

    def forward(self, x, z_n):
        return x - z_n


def test_old_values_need_a_source():
    system = neml2.NonlinearSystem(Orphan(), "x")
    with pytest.raises(ValueError, match=r"reads 'z~1', but 'z' is neither an unknown \(x\) nor a force"):
        PyzagModel(system)
    with pytest.raises(ValueError, match=r"reads 'z~2'; pyzag solves with one old value"):
        PyzagModel(neml2.NonlinearSystem(Orphan(z_n="z~2"), "x"))


def test_options_are_checked():
    with pytest.raises(ValueError, match=r"engine is 'nativ'; did you mean 'native'\?"):
        PyzagModel(load("voce_viscoplastic"), engine="nativ")
    with pytest.raises(ValueError, match=r"on_failure is 'NaN'; did you mean 'nan'\?"):
        PyzagModel(load("voce_viscoplastic"), on_failure="NaN")
    model = PyzagModel(load("voce_viscoplastic"))
    model.lookback = 1
    with pytest.raises(ValueError, match="lookback is 2"):
        model.lookback = 2


def test_copies_are_independent():
    model, forces, initial = build("arrhenius_conversion")
    nonlinear.solve_adjoint(solver(model), initial, len(forces), forces)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.kT_p0.mul_(2.0)
    again = pickle.loads(pickle.dumps(PyzagModel(load("voce_viscoplastic"))))
    assert again.parameter_names == PROBLEMS["voce_viscoplastic"]["all_parameter_names"]
    y, z = (nonlinear.solve(solver(m), initial, len(forces), forces) for m in (model, other))
    assert float((y - z).abs().max()) > 1e-3


# ---------------------------------------------------------------------- engines


def test_residual_and_blocks_are_the_same_in_both_engines(name):
    found = []
    for engine in ("eager", "native"):
        model, forces, initial = build(name, engine=engine)
        x = torch.tensor(PROBLEMS[name]["trajectory"], dtype=F64)[:4]
        x = x + 0.01 * x.abs().amax((0, 1))
        r, jacobian = model.evaluate_raw(x, [forces[:4]])
        weight = torch.linspace(-1, 1, r.numel(), dtype=F64).reshape(r.shape)
        found.append(
            [r, jacobian.diag, jacobian.sub, *torch.autograd.grad(r, list(model.parameters()), weight)]
        )
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * float(a.abs().max()))


def test_why_it_is_eager_is_said_once(monkeypatch, capfd):
    from neml2.compiler.build import NoCompiler

    def none(*_):
        raise NoCompiler("no C++ compiler found; install one")

    monkeypatch.setattr("neml2.compiler.launch.Launcher.build", none)
    model, forces, initial = build("arrhenius_conversion")
    y = nonlinear.solve(solver(model), initial, len(forces), forces)
    said = capfd.readouterr().err
    assert said.count("is evaluated by the eager engine: no C++ compiler found; install one") == 1
    torch.testing.assert_close(y, torch.tensor(PROBLEMS["arrhenius_conversion"]["trajectory"], dtype=F64))
    with pytest.raises(NoCompiler, match="no C"):
        nonlinear.solve(solver(build("arrhenius_conversion", engine="native")[0]), initial, 3, forces[:3])


def test_an_option_that_changes_is_noticed():
    model, forces, initial = build("arrhenius_conversion", engine="native")
    x = torch.tensor(PROBLEMS["arrhenius_conversion"]["trajectory"], dtype=F64)
    before = model.evaluate_raw(x, [forces])[0]
    model.system.model.get_submodule("kT").R = 8.0
    after = model.evaluate_raw(x, [forces])[0]
    assert float((after - before).abs().max()) > 1e-6


# ---------------------------------------------------------------------- packing


def test_forces_may_be_several_tensors():
    model, forces, initial = build("voce_viscoplastic")
    one = nonlinear.solve_adjoint(solver(model), initial, len(forces), forces)
    several = nonlinear.solve_adjoint(solver(model), initial, len(forces), forces[..., :6], forces[..., 6:])
    assert torch.equal(one, several)


def test_a_block_group_is_packed_site_by_site():
    model = grains()
    state, forces = grain_values()
    assert (model.svars, model.fvars) == (("x", "v", "y"), ("t", "f"))
    assert (model.nstate, model.nforce) == (5, 2)
    packed = model.assemble_state(state)
    by_site = [torch.cat([state["x"][:, i, None], state["v"][:, i]], -1) for i in range(3)]
    assert torch.equal(packed, torch.cat([*by_site, state["y"][:, None]], -1))
    dense = grains("x v y", ("dense",)).assemble_state(state)
    parts = [state["x"], state["v"].reshape(2, 9), state["y"][:, None]]
    assert torch.equal(dense, torch.cat(parts, -1))
    back = model.unpack_state(packed)
    assert all(torch.equal(back[n].data, v) for n, v in state.items())
    assert [model.state.variable(i) for i in (0, 1, 4, 12)] == ["x", "v", "x", "y"]


def test_values_may_be_typed_or_have_a_trailing_axis():
    model = PyzagModel(load("voce_viscoplastic"))
    problem = PROBLEMS["voce_viscoplastic"]
    t, strain = (torch.tensor(problem["forces"][n], dtype=F64) for n in ("t", "strain"))
    plain = model.assemble_forces({"t": t, "strain": strain, "more": t})
    assert torch.equal(model.assemble_forces({"t": t[..., None], "strain": strain}), plain)
    assert torch.equal(model.assemble_forces({"t": neml2.Scalar(t), "strain": neml2.SR2(strain)}), plain)
    assert torch.equal(model.assemble_forces({"t": t[3], "strain": strain[3]}, dynamic_dim=1), plain[3])


def test_values_that_do_not_fit_are_refused():
    model = PyzagModel(load("voce_viscoplastic"))
    t, strain = torch.zeros(4, 3), torch.zeros(4, 3, 6)
    with pytest.raises(KeyError, match=r"no value for the force variable 'strain'; did you mean 'strian'"):
        model.assemble_forces({"t": t, "strian": strain})
    with pytest.raises(
        ValueError, match=r"'strain' \(SR2\) has the shape \(4, 3\); it must be \(time, batch, "
    ):
        model.assemble_forces({"t": t, "strain": t})
    with pytest.raises(ValueError, match=r"differ in their first axes: 'strain' \(4, 3\), 't' \(5, 3\)"):
        model.assemble_forces({"t": torch.zeros(5, 3), "strain": strain})
    with pytest.raises(TypeError, match="'t' is a Vec; give a Scalar"):
        model.assemble_forces({"t": neml2.Vec(torch.zeros(4, 3)), "strain": strain})
    with pytest.raises(ValueError, match="force vectors have 6 components, but strain, t have 7; pack them"):
        model.evaluate_raw(torch.zeros(4, 3, 7), [strain])


@pytest.mark.parametrize("structure", ["block", "dense"])
def test_unknowns_with_a_sub_batch(engine, structure):
    state, values = grain_values()
    groups = {"block": ("x v; y", ("block", "dense")), "dense": ("x v y", ("dense",))}
    model = grains(*groups[structure], engine=engine)
    forces, initial = model.assemble_forces(values), model.assemble_state(state).requires_grad_(True)
    x = torch.rand(3, *initial.shape, dtype=F64)
    r, jacobian = model.evaluate_raw(x, [forces[:3]])

    def residual(*parts):
        return model.evaluate_raw(torch.stack(parts), [forces[:3]])[0][-1, 1]

    for part, block in ((1, jacobian.sub), (2, jacobian.diag)):
        exact = torch.autograd.functional.jacobian(residual, tuple(x))[part][:, 1]
        torch.testing.assert_close(block[-1, 1], exact, rtol=1e-10, atol=1e-10)
    found = []
    for n in (nonlinear.solve_adjoint, nonlinear.solve):
        y = n(solver(model, 2), initial, len(forces), forces)
        weight = model.assemble_state(
            {"x": torch.ones(2, 3), "v": torch.full((2, 3, 3), 0.3), "y": torch.ones(2)}
        )
        found.append(
            torch.autograd.grad((y[1:] * weight).pow(2).sum(), [model.grains_c, model.grains_e, initial])
        )
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


def test_the_structure_of_groups_changes_the_packing_only():
    state, values = grain_values()
    found = []
    for groups in (("x v; y", ("block", "dense")), ("x v y", ("dense",)), ("y; x v", ("dense", "block"))):
        model = grains(*groups, engine="eager")
        forces, initial = model.assemble_forces(values), model.assemble_state(state)
        y = nonlinear.solve(solver(model, 3), initial, len(forces), forces)
        found.append(model.unpack_state(y.detach()))
    for other in found[1:]:
        for n, v in found[0].items():
            torch.testing.assert_close(other[n].data, v.data, rtol=1e-10, atol=1e-12)


def test_sites_that_couple_in_a_dense_group(engine):
    model = PyzagModel(neml2.NonlinearSystem(Diffusion(name="d"), "x"), engine=engine)
    t = torch.linspace(0, 2, 9, dtype=F64)[:, None].expand(9, 2)
    forces = model.assemble_forces({"t": t, "f": torch.rand(9, 2, 4, dtype=F64)})
    assert (forces.shape, model.nforce) == ((9, 2, 5), 2)
    initial = model.assemble_state({"x": torch.rand(2, 4, dtype=F64)}).requires_grad_(True)
    found = []
    for way in (nonlinear.solve, nonlinear.solve_adjoint):
        y = way(solver(model, 3), initial, 9, forces)
        found.append(torch.autograd.grad(y[-1, :, 0].sum(), [model.d_d, initial]))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)
    assert float(found[1][1][0, 3].abs()) > 1e-3  # the first site feels the last one
