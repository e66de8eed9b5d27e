"""Stress and strain controlled by component, against closed forms, references and the strain-driven model."""

import copy
import json
import math
import pickle
from pathlib import Path

import pytest
import torch

import neml2
from neml2.composed import ComposedModel
from neml2.drivers import TransientDriver
from neml2.drivers.control.controlled import CONTROLS, controlled
from neml2.drivers.control.samples import with_every_control
from neml2.fields import Input, Output, Parameter
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.models.solid_mechanics.elasticity import GeneralElasticity, LinearIsotropicElasticity
from neml2.solvers import DenseLU, SchurComplement
from neml2.solvers.status import Status
from neml2.system import NonlinearSystem
from neml2.types import R2, SR2, SSR4, Scalar, det, log, sym
from neml2.types.regions import sum_sub_batch
from tests.small_models import spring

SCENARIOS = Path(__file__).parents[2] / "scenarios"
E, NU = 200e3, 0.3
STRAIN_XX = [0, 1, 1, 1, 1, 1]  # the stress is prescribed where there is a one
ALL_STRAIN, ALL_STRESS = [0] * 6, [1] * 6


def control(stress_weight, target, strain_weight=None):
    """The three prescribed values from physical components, ``(n, *batch, 6)``."""
    target = torch.as_tensor(target, dtype=torch.float64)
    a = torch.as_tensor(stress_weight, dtype=torch.float64).expand(target.shape)
    b = (
        1 - a
        if strain_weight is None
        else torch.as_tensor(strain_weight, dtype=torch.float64).expand(a.shape)
    )
    return dict(zip(CONTROLS, (SR2.from_physical(x) for x in (a, b, target)), strict=True))


def ramp(end, steps=6):
    """From zero to ``end``, ``(*batch, 6)``, in equal steps."""
    end = torch.as_tensor(end, dtype=torch.float64)
    return torch.linspace(0, 1, steps, dtype=torch.float64).reshape(-1, *[1] * end.ndim) * end


def run(model, values, duration=1.0, engine="eager", **given):
    count = len(next(iter(values.values())).data)
    time = torch.linspace(0, duration, count, dtype=torch.float64)
    return TransientDriver(model, engine=engine, **given).run({"t": time, **values})


def text_of(scenario):
    return (SCENARIOS / scenario / "model.i").read_text()


def material(scenario):
    return neml2.load_string(text_of(scenario)).get_model("model")


def isotropic():
    return LinearIsotropicElasticity(E=E, nu=NU, name="elasticity")


def close(found, expected, tol):
    found, expected = torch.broadcast_tensors(
        torch.as_tensor(found).detach(), torch.as_tensor(expected, dtype=torch.float64).detach()
    )
    scale = float(expected.abs().max()) or 1.0
    off = float((found - expected).abs().max()) / scale
    assert off <= tol, f"off by {off:.1e} of {scale:g}"


# ---------------------------------------------------------------- closed forms


def test_uniaxial_strain_control_gives_the_poisson_contraction():
    end = run(controlled(isotropic()), control(STRAIN_XX, ramp([0.01, 0, 0, 0, 0, 0])))
    close(end["strain"].physical()[-1], [0.01, -NU * 0.01, -NU * 0.01, 0, 0, 0], 1e-12)
    close(end["stress"].physical()[-1], [E * 0.01, 0, 0, 0, 0, 0], 1e-12)


@pytest.mark.parametrize("unit", [1.0, 1e6], ids=["MPa", "Pa"])
def test_uniaxial_stress_control_is_hookes_law_in_any_unit(unit):
    model = LinearIsotropicElasticity(E=E * unit, nu=NU, name="elasticity")
    end = run(controlled(model), control(ALL_STRESS, ramp([300.0 * unit, 0, 0, 0, 0, 0])))
    close(end["strain"].physical()[-1], [300 / E, -NU * 300 / E, -NU * 300 / E, 0, 0, 0], 1e-12)
    assert int(end.iterations.max()) == 1


def test_uniaxial_test_of_a_crystal_off_its_axes():
    generator = torch.Generator().manual_seed(1)
    root = torch.randn(6, 6, dtype=torch.float64, generator=generator)
    stiffness = 1e5 * (root @ root.T + 3 * torch.eye(6, dtype=torch.float64))
    model = GeneralElasticity(
        strain="E", stress="S", orientation="q", elastic_stiffness_tensor=SSR4(stiffness), name="crystal"
    )
    r = torch.tensor([0.1, -0.2, 0.15], dtype=torch.float64)
    load = control(STRAIN_XX, ramp([0.01, 0, 0, 0, 0, 0]))
    end = run(controlled(model), {**load, "q": r.expand(6, 3)})
    close(end["S"].data[-1, 1:] / end["S"].data[-1, 0], 0.0, 1e-9)
    columns = [
        model.call_by_name({"E": SR2(e), "orientation": None, "q": r})["S"].data
        for e in torch.eye(6, dtype=torch.float64)
    ]
    compliance = torch.linalg.inv(torch.stack(columns, -1))  # of the turned crystal
    close(end["E"].data[-1], 0.01 * compliance[:, 0] / compliance[0, 0], 1e-12)


@pytest.mark.parametrize("kind", ["strain", "stress"])
def test_pure_shear(kind):
    modulus = E / (2 + 2 * NU)
    value = 0.002 if kind == "strain" else 0.002 * 2 * modulus
    weight = [1, 1, 1, 1, 1, 0] if kind == "strain" else ALL_STRESS
    end = run(controlled(isotropic()), control(weight, ramp([0, 0, 0, 0, 0, value])))
    close(end["strain"].physical()[-1], [0, 0, 0, 0, 0, 0.002], 1e-12)
    close(end["stress"].physical()[-1], [0, 0, 0, 0, 0, 0.002 * 2 * modulus], 1e-12)


def test_elastic_follow_up_stays_on_its_line():
    spring_stiffness = 30e3
    weight = [1 / spring_stiffness, 1, 1, 1, 1, 1]
    load = control(weight, ramp([0.01, 0, 0, 0, 0, 0]), [1, 0, 0, 0, 0, 0])
    end = run(controlled(isotropic()), load)
    close(end["stress"].physical()[-1, 0], 0.01 / (1 / E + 1 / spring_stiffness), 1e-12)
    model = material("vp_chaboche_cyclic")
    end = run(controlled(model), load, duration=10.0)
    line = end["stress"].physical()[:, 0] / spring_stiffness + end["E"].physical()[:, 0]
    close(line, torch.linspace(0, 0.01, 6, dtype=torch.float64), 1e-10)


# ---------------------------------------------------------------- references, and the strain-driven model


def test_mixed_control_reproduces_the_reference_scenario():
    text = text_of("mixed_control_chaboche")
    models = text[text.index("[Models]") :]
    for old, new in (
        ("'mixed_state X1", "'stress X1"),
        ("'mixed_state equ", "'stress equ"),
        (" mixed'", "'"),
    ):
        assert old in models
        models = models.replace(old, new)
    model = controlled(neml2.load_string(models).get_model("update"))
    rows = torch.linspace(0, 1, 40, dtype=torch.float64)
    ends = torch.tensor([[0.03, 0, 0, -60, 0, 0], [0.02, 40, 0, 0, 0, 0]], dtype=torch.float64)
    stressed = torch.tensor([[0, 1, 1, 1, 0, 0], [0, 1, 1, 0, 0, 0]], dtype=torch.float64)
    load = control(stressed, SR2(rows.reshape(-1, 1, 1) * ends).physical())  # the file has stored components
    time = rows.unsqueeze(-1) * torch.tensor([10.0, 1000.0], dtype=torch.float64)
    for engine in ("eager", "native"):
        found = TransientDriver(model, engine=engine).run({"t": time, **load})
        same_as_stored(found, "mixed_control_chaboche", {})


def test_stress_control_reproduces_the_reference_scenario():
    text = text_of("stress_control")
    models = text[text.index("[Models]") :]
    for old, new in (
        ("    compliance = true\n", ""),
        (
            "'elastic_strain plastic_strain'\n    to = 'total_strain'",
            "'E plastic_strain'\n    to = 'elastic_strain'",
        ),
        ("weights = '1 1'", "weights = '1 -1'"),
        ("models = 'isoharden", "models = 'total compliance mandel vonmises isoharden"),
        ("'stress_update compliance total'", "'return_map total compliance'"),
    ):
        assert old in models
        models = models.replace(old, new)
    model = controlled(neml2.load_string(models).get_model("model"))
    rows = torch.linspace(0, 1, 30, dtype=torch.float64)
    ends = torch.tensor([[130.0, 0, 0, 0, 20, 0], [90, -30, 0, 40, 0, 0]], dtype=torch.float64)
    load = control(ALL_STRESS, SR2(rows.reshape(-1, 1, 1) * ends).physical())
    time = rows.unsqueeze(-1) * torch.tensor([10.0, 500.0], dtype=torch.float64)
    found = TransientDriver(model, engine="eager").run({"t": time, **load})
    same_as_stored(found, "stress_control", {"total_strain": "E"})


def same_as_stored(found, scenario, names):
    stored = json.loads((SCENARIOS / scenario / "gold.json").read_text())["outputs"]
    compared = 0
    for name, series in stored.items():
        if names.get(name, name) in found.outputs:
            at = [k for k, v in enumerate(series) if k > 0 and v is not None]
            expected = torch.tensor([series[k] for k in at], dtype=torch.float64)
            close(found[names.get(name, name)].data[at], expected, 1e-5)
            compared += 1
    assert compared >= 3


@pytest.mark.parametrize(
    "scenario", ["vp_chaboche_cyclic", "ri_fb_isokin", "ri_minmap_perfect", "radial_return_ri"]
)
@pytest.mark.parametrize("engine", ["eager", "native"])
def test_control_of_all_strains_is_the_strain_driven_run(scenario, engine):
    model = material(scenario)
    history = neml2.load_string(text_of(scenario)).get_driver("driver").history
    driver = TransientDriver(model, engine=engine)
    strains = driver.bind(history).forces["E"]
    plain = driver.run(history)
    load = control(ALL_STRAIN, strains.physical())
    found = TransientDriver(controlled(model), engine=engine).run({"t": plain.time, **load})
    for name in model.output_spec:
        close(found[name].data[1:], plain[name].data[1:], 1e-10)
    close(found["E"].data[1:], strains.data[1:], 1e-14)


@pytest.mark.parametrize("scenario", ["vp_chaboche_cyclic", "ri_fb_isokin"])
def test_native_equals_eager(scenario):
    model = controlled(material(scenario))
    ends = [[0.01, 0, 0, 0, 0, 20.0], [-0.02, 0, 0, 0, 0, -15.0]]
    found = [run(model, control(STRAIN_XX, ramp(ends, 12)), 10.0, engine) for engine in ("eager", "native")]
    for name in model.output_spec:
        close(found[1][name].data[1:], found[0][name].data[1:], 1e-8)


def test_perfect_plasticity_holds_a_stress_below_yield_and_none_above():
    model = controlled(material("ri_minmap_perfect"))
    end = run(model, control(ALL_STRESS, ramp([110.0, 0, 0, 0, 0, 0])))
    close(end["stress"].physical()[-1], [110, 0, 0, 0, 0, 0], 1e-10)
    assert not end["plastic_strain"].data[1:].any()
    failed = run(model, control(ALL_STRESS, ramp([130.0, 0, 0, 0, 0, 0])), on_failure="freeze")
    assert int(failed.status[-1]) != Status.CONVERGED


@pytest.mark.parametrize("exponent", [5.0, 10.0, 20.0])
def test_a_first_step_far_beyond_yield_converges_under_stress_control(exponent):
    model = material("vp_chaboche_cyclic")
    model.set_parameter(next(n for n, _ in model.named_parameters() if n.endswith("flow_rate.n")), exponent)
    stress = torch.tensor([36.0, 0, 0, 0, 0, 10.0], dtype=torch.float64)
    end = run(controlled(model), control(ALL_STRESS, ramp(stress, 2)), duration=100.0)
    close(end["stress"].physical()[-1], stress, 1e-9)


# ---------------------------------------------------------------- control that differs


def test_load_in_strain_then_unload_to_zero_stress():
    model = controlled(material("ri_fb_isokin"))
    target = torch.zeros(7, 6, dtype=torch.float64)
    target[1:5, 0] = torch.linspace(0.0025, 0.01, 4)
    weight = torch.tensor([STRAIN_XX] * 5 + [ALL_STRESS] * 2, dtype=torch.float64)
    target[5, 0] = 20.0
    for engine in ("eager", "native"):
        end = run(model, control(weight, target), engine=engine)
        close(end["stress"].physical()[5], [20, 0, 0, 0, 0, 0], 1e-8)
        assert float(end["stress"].data[6].detach().abs().max()) < 1e-8
        assert float(end["plastic_strain"].data[4, 0].detach()) > 1e-3
        close(end["E"].data[6], end["plastic_strain"].data[6], 1e-8)
        close(end["plastic_strain"].data[6], end["plastic_strain"].data[4], 1e-8)  # elastic unloading


def test_every_point_has_its_own_control():
    model = controlled(material("vp_chaboche_cyclic"))
    weights = torch.tensor([STRAIN_XX, ALL_STRESS, ALL_STRAIN], dtype=torch.float64)
    ends = torch.tensor(
        [[0.01, 0, 0, 0, 0, 0], [40, 0, 0, 0, 0, 10], [0.01, -0.004, -0.005, 0, 0, 0.002]],
        dtype=torch.float64,
    )
    together = run(model, control(weights, ramp(ends)), 10.0)
    for i in range(3):
        alone = run(model, control(weights[i], ramp(ends[i])), 10.0)
        for name in model.output_spec:
            assert torch.equal(together[name].data[1:, i], alone[name].data[1:])


def test_a_kernel_for_every_control():
    """Pivots chosen with the rows of one kind of control hold for the others."""
    from neml2.compiler.kernel import Kernel
    from neml2.compiler.march import run_march

    model = controlled(material("vp_chaboche_cyclic"))
    loads = {
        "strain": control(ALL_STRAIN, ramp([0.01, -0.005, -0.004, 0, 0.001, 0], 8)),
        "uniaxial": control(STRAIN_XX, ramp([0.01, 0, 0, 0, 0, 0], 8)),
        "stress": control(ALL_STRESS, ramp([30.0, 0, 0, 0, 5, 0], 8)),
    }
    driver = TransientDriver(model)
    like = torch.zeros((), dtype=torch.float64)
    time = torch.linspace(0, 10.0, 8, dtype=torch.float64)
    bound = {n: driver.bind({"t": time, **load}) for n, load in loads.items()}
    kernel = Kernel(driver.update, with_every_control(model, bound["strain"].forces), {})
    for loading in bound.values():
        state = driver.update.initial_state({**loading.zeros, **loading.initial}, loading.time)
        given = kernel.arguments(loading.forces, state, loading.batch, like)
        outputs = {n: like.new_zeros(8, 1, size) for n, size in kernel.sizes.items()}
        marks = torch.zeros(8, 1, dtype=torch.int8), torch.zeros(8, 1, dtype=torch.int32)
        done = run_march(kernel, given, 1, 8, 1, outputs, torch.arange(1, 8), marks)
        assert not (done.stopped > 0).any()


def test_samples_leave_other_histories_alone():
    forces = {"E": SR2(torch.zeros(3, 6, dtype=torch.float64))}
    assert with_every_control(material("vp_chaboche_cyclic"), forces) == forces


# ---------------------------------------------------------------- gradients and parameters


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_gradient_of_a_final_strain(engine):
    model = material("vp_chaboche_cyclic")
    driven = controlled(model)
    parameters = dict(model.named_parameters())
    load = control(ALL_STRESS, ramp([45.0, 0, 0, 0, 0, 5.0], 4))

    def strain():
        return run(driven, load, 10.0, engine)["E"].data[-1, 0]

    names = [n for n in parameters if n.endswith((".sy", "elasticity.E"))]
    assert len(names) == 2
    slopes = torch.autograd.grad(strain(), [parameters[n] for n in names])
    for name, slope in zip(names, slopes, strict=True):
        p, ends = parameters[name], []
        middle, h = p.detach().clone(), 1e-4 * float(p.detach())
        with torch.no_grad():
            for sign in (1, -1):
                p.copy_(middle + sign * h)
                ends.append(float(strain()))
            p.copy_(middle)
        assert float(slope) == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5)


@pytest.mark.parametrize("scenario", ["vp_chaboche_cyclic", "ri_fb_isokin", "radial_return_ri"])
def test_parameters_are_the_originals_by_their_names(scenario):
    model = material(scenario)
    driven = controlled(model)
    own, other = dict(model.named_parameters()), dict(driven.named_parameters())
    assert list(own) == list(other) and all(own[n] is other[n] for n in own)
    name = next(n for n in own if n.endswith("sy"))
    driven.set_parameter(name, torch.tensor([50.0, 60.0], dtype=torch.float64))
    assert model.get_parameter(name) is driven.get_parameter(name) and own[name].shape == ()
    assert model.get_parameter(name).shape == (2,)


def test_a_leaf_shares_its_parameters_too():
    model = isotropic()
    driven = controlled(model)
    assert list(dict(driven.named_parameters())) == ["E", "nu"]
    model.E = 2 * E
    end = run(driven, control(ALL_STRESS, ramp([300.0, 0, 0, 0, 0, 0])))
    close(end["strain"].data[-1, 0], 300 / (2 * E), 1e-12)
    driven.E = E
    assert float(model.E.data) == E


def test_copies_and_pickles_run():
    load = control(STRAIN_XX, ramp([0.01, 0, 0, 0, 0, 0]))
    for model in (isotropic(), material("vp_chaboche_cyclic")):
        driven = controlled(model)
        expected = run(driven, load, 10.0)["stress"].data
        for other in (copy.deepcopy(driven), pickle.loads(pickle.dumps(driven))):
            assert torch.equal(run(other, load, 10.0)["stress"].data, expected)


# ---------------------------------------------------------------- deformation gradients


class NeoHookean(Model):
    """Cauchy stress of a compressible neo-Hookean solid: ``mu/J (B - I) + lam/J log(J) I``."""

    F: R2 = Input("Deformation gradient")
    stress: SR2 = Output("Cauchy stress", unit="stress")
    mu: Scalar = Parameter("mu", "Shear modulus", unit="stress")
    lam: Scalar = Parameter("lam", "First Lame constant", unit="stress")

    def forward(self, F, mu, lam):
        identity = SR2.identity(dtype=F.dtype, device=F.device)
        J = det(F)
        return mu / J * (sym(F @ F.base.transpose()) - identity) + lam / J * log(J) * identity


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_uniaxial_tension_of_a_deformation_gradient(engine):
    mu, lam, stretch = 80.0, 120.0, 1.5
    model = controlled(NeoHookean(mu=mu, lam=lam, name="solid"))
    stressed = torch.tensor([[0, 1, 1], [0, 1, 1], [0, 0, 1]], dtype=torch.float64)  # no rotation
    rows = torch.linspace(0, 1, 11, dtype=torch.float64)
    target = torch.zeros(11, 3, 3, dtype=torch.float64)
    target[:, 0, 0] = 1 + rows * (stretch - 1)
    values = dict(
        zip(CONTROLS, (stressed.expand(11, 3, 3), (1 - stressed).expand(11, 3, 3), target), strict=True)
    )
    initial = {"F": R2(torch.eye(3, dtype=torch.float64))}
    history = neml2.drivers.History(rows, {n: R2(v.clone()) for n, v in values.items()}, initial=initial)
    with torch.no_grad():
        end = TransientDriver(model, engine=engine).run(history)
    F, S = end["F"].data[-1], end["stress"].physical()[-1]
    assert float(F[0, 0]) == stretch and not F.tril(-1).any()
    low, high = 0.5, 1.0  # the lateral stretch, at which mu (l^2 - 1) + lam log(J) = 0, by bisection
    for _ in range(80):
        lateral = (low + high) / 2
        excess = mu * (lateral**2 - 1) + lam * math.log(stretch * lateral**2)
        low, high = (lateral, high) if excess < 0 else (low, lateral)
    close(F.diagonal(), [stretch, lateral, lateral], 1e-10)
    J = stretch * lateral**2
    close(S, [(mu * (stretch**2 - 1) + lam * math.log(J)) / J, 0, 0, 0, 0, 0], 1e-10)


# ---------------------------------------------------------------- compositions


class Hook(Model):
    """A stress from the strain and something that another update finds."""

    strain: SR2 = Input("Strain")
    factor: Scalar = Input("Its factor")
    stress: SR2 = Output("Stress", unit="stress")

    def forward(self, strain, factor):
        return 1000.0 * (1.0 + factor) * strain


class Softening(Model):
    """Residual of the factor: ``y (1 + e:e) = x``."""

    y: Scalar = Input("Factor")
    strain: SR2 = Input("Strain")
    x: Scalar = Input("What another update finds")
    r: Scalar = Output("Residual", option="y_residual")

    def forward(self, y, strain, x):
        e = strain.data
        return y * (1.0 + Scalar((e * e).sum(-1))) - x


class Afterwards(Model):
    """Residual of an unknown that the stress does not need: ``w = 2 stress_xx``."""

    w: Scalar = Input("Unknown")
    stress: SR2 = Input("Stress")
    r: Scalar = Output("Residual", option="w_residual")

    def forward(self, w, stress):
        return w - 2.0 * Scalar(stress.data[..., 0])


def test_updates_before_inside_and_after():
    """Only the update between strain and stress is opened; hidden names of a composition stay hidden."""
    softening = ImplicitUpdate(NonlinearSystem(Softening(name="law"), "y"), name="inside")
    inner = ComposedModel([softening, Hook(factor="y", name="hook")], name="inner")
    after = ImplicitUpdate(NonlinearSystem(Afterwards(name="late"), "w"), name="after")
    model = ComposedModel([spring(), inner, after], additional_outputs=["x", "stress"], name="whole")
    driven = controlled(model)
    parts = [m.name for m in driven.models_in_order]
    assert parts[0] == "update" and parts[1] == "controlled" and "after" in parts
    assert set(driven.output_spec) == {"x", "stress", "w", "strain"}
    assert set(driven.input_spec) >= {"f", *CONTROLS}
    f = torch.linspace(1, 2, 6, dtype=torch.float64)
    end = run(driven, {**control(ALL_STRESS, ramp([300.0, 0, 0, 0, 0, 0])), "f": f})
    x = end["x"].data[-1]
    close(2 * x**3 + x, 2.0, 1e-10)
    strain = end["strain"].data[-1, 0]
    close(1000 * (1 + x / (1 + strain**2)) * strain, 300.0, 1e-9)
    close(end["w"].data[-1], 600.0, 1e-9)


class Grains(Model):
    """Residual of a grain, at every site: ``s + 0.1 (s:s) s = k strain``."""

    s: SR2 = Input("Stress of a grain")
    strain: SR2 = Input("Strain")
    k: Scalar = Input("Stiffness of a grain")
    r: SR2 = Output("Residual", option="s_residual")

    def forward(self, s, strain, k):
        return s + 0.1 * Scalar((s.data * s.data).sum(-1), s.sub_batch_ndim) * s - k * strain


class Mean(Model):
    """Sum of the stresses of all grains."""

    s: SR2 = Input("Stress of a grain")
    stress: SR2 = Output("Stress", unit="stress")

    def forward(self, s):
        return sum_sub_batch(s)


@pytest.mark.parametrize("structure", ["block", "dense"])
def test_sites_of_a_point(structure):
    """A block group keeps its sites and is eliminated first; the strain belongs to the point."""
    system = NonlinearSystem(Grains(name="grains"), "s", structure=[structure])
    update = ImplicitUpdate(system, name="update")
    model = controlled(ComposedModel([update, Mean(name="mean")], additional_outputs=["s"]))
    opened = next(m for m in model.models_in_order if m.name == "controlled")
    block = structure == "block"
    assert opened.equation_system.structures == (("block", "dense") if block else ("dense",))
    assert isinstance(opened.solver.linear_solver, SchurComplement if block else DenseLU)
    k = Scalar(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64).expand(6, 3), 1)
    start = {"s": SR2(torch.zeros(3, 6, dtype=torch.float64), 1)}
    load = control(STRAIN_XX, ramp([0.2, 0, 0, 0, 0, 0.1]))
    rows = torch.linspace(0, 1, 6, dtype=torch.float64)
    history = neml2.drivers.History(rows, {**load, "k": k}, initial=start)
    end = TransientDriver(model, engine="eager").run(history)
    s, strain = end["s"].data[-1], end["strain"]
    close(end["stress"].physical()[-1, 1:], [0, 0, 0, 0, 0.1], 1e-9)
    close(strain.physical()[-1, 0], 0.2, 1e-14)
    balance = s + 0.1 * (s * s).sum(-1, keepdim=True) * s  # by hand, grain by grain
    close(balance, k.data[-1].unsqueeze(-1) * strain.data[-1], 1e-9)


# ---------------------------------------------------------------- names and refusals


def test_names_that_cannot_be_told():
    twice = ComposedModel(
        [isotropic(), LinearIsotropicElasticity(E=E, nu=NU, strain="e", stress="s", name="b")]
    )
    assert set(controlled(twice, strain="e", stress="s").output_spec) == {"stress", "s", "e"}
    with pytest.raises(ValueError, match="no force 'strian'; did you mean 'strain'"):
        controlled(twice, strain="strian")
    with pytest.raises(ValueError, match="no output 'sterss'; did you mean 'stress'"):
        controlled(twice, stress="sterss")
    with pytest.raises(ValueError, match=r"'s' does not depend on 'strain'.*name the two"):
        controlled(twice, strain="strain", stress="s")
    with pytest.raises(TypeError, match="the strain 'f' is a Scalar"):
        controlled(ComposedModel([spring(), isotropic()]), strain="f")
