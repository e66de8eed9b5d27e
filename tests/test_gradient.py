"""`Normality`: gradients of models as models."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from neml2 import ComposedModel, MissingVariable, models
from neml2.context import Context
from neml2.gradient import Normality
from neml2.types import SR2, Scalar

STRESS = SR2.fill(120.0, -45.0, 30.0, 55.0, -20.0, 70.0)
BACK_STRESS = SR2.fill(14.0, -8.0, -6.0, 5.0, 9.0, -3.0)


def flow(**surface):
    overstress = models.SR2LinearCombination(
        **{"from": "M X"}, to="O", weights=[1.0, -1.0], name="overstress"
    )
    mises = models.SR2Invariant(
        invariant_type="VONMISES", tensor="O", invariant="effective_stress", name="mises"
    )
    given = {"yield_stress": 30.0, "isotropic_hardening": "k"} | surface
    return ComposedModel([overstress, mises, models.YieldFunction(**given, name="surface")], name="flow")


def normality(model=None, **changes):
    given = {
        "model": model or flow(),
        "function": "yield_function",
        "from": "M k X",
        "to": "N Nk NX",
    } | changes
    return Normality(**given, name="normality")


def point(**changes):
    return {"M": STRESS, "X": BACK_STRESS, "k": Scalar(12.0)} | changes


def test_reads_all_inputs_of_the_model_and_computes_only_the_gradient():
    model = normality(**{"from": "X", "to": "NX"})
    assert list(model.input_spec.items()) == list(flow().input_spec.items())
    assert model.output_spec == {"NX": SR2}
    assert isinstance(model(*[point()[n] for n in model.input_spec]), tuple)
    assert [n for n, _ in model.named_parameters()][-1] == "flow.surface.sy"


def test_the_same_with_gradients_off_and_without_a_graph():
    model = normality()
    with torch.enable_grad():
        expected = model.call_by_name(point())
    with torch.no_grad():
        found = model.call_by_name(point())
    for name, value in expected.items():
        assert torch.equal(found[name].data, value.data)
        assert not found[name].data.requires_grad


def test_follows_the_graph_to_values_that_require_gradients():
    model = normality()
    x = STRESS.data.clone().requires_grad_(True)
    scaled = SR2(2 * x)  # no leaf
    N = model.call_by_name(point(M=scaled))["N"].data
    (pulled,) = torch.autograd.grad(N[0], x)
    _, jacobian = model.jacobian(point(M=SR2(2 * STRESS.data)))
    torch.testing.assert_close(pulled, 2 * jacobian["N"]["M"].data[0])


def test_two_inputs_that_are_one_tensor_are_kept_apart():
    x = STRESS.data.clone().requires_grad_(True)
    found = normality().call_by_name(point(M=SR2(x), X=SR2(0.3 * x)))
    torch.testing.assert_close(found["N"].data, -found["NX"].data)


def test_inside_a_batched_reverse_pass():
    model = normality()
    x = STRESS.data.clone().requires_grad_(True)
    N = model.call_by_name(point(M=SR2(x)))["N"].data
    (rows,) = torch.autograd.grad(N, x, torch.eye(6, dtype=x.dtype), is_grads_batched=True)
    _, jacobian = model.jacobian(point())
    torch.testing.assert_close(rows, jacobian["N"]["M"].data)


def test_broadcasts_over_inputs_and_parameters_point_by_point():
    stresses = SR2(torch.stack([STRESS.data, BACK_STRESS.data, STRESS.data / 3]))  # (3,)
    model = normality(**{"from": "X k", "to": "NX Nk"})
    together = model.call_by_name(point(M=stresses))  # X and k have no batch
    for i in range(3):
        alone = model.call_by_name(point(M=SR2(stresses.data[i])))
        for name in ("NX", "Nk"):
            assert torch.equal(together[name].data[i], alone[name].data)

    gurson = models.GTNYieldFunction(yield_stress=[60.0, 80.0], q1=1.5, q2=1.0, q3=2.25, name="gtn")
    slope = normality(gurson, **{"from": "void_fraction", "to": "df"})
    values = {"flow_invariant": 50.0, "poro_invariant": 90.0, "void_fraction": 0.1}
    both = slope.call_by_name(values)["df"].data
    assert both.shape == (2,)
    for i, sy in enumerate((60.0, 80.0)):
        gurson.set_parameter("sy", sy)
        expected = 3 * torch.cosh(torch.tensor(90.0 / (2 * sy), dtype=torch.float64)) - 0.45
        torch.testing.assert_close(both[i], expected)


def test_parameters_of_the_context_are_used():
    model = normality(
        models.OlevskySinteringStress(surface_tension=2.0, particle_radius=1.0, name="os"),
        **{"function": "sintering_stress", "from": "void_fraction", "to": "slope"},
    )
    tension = model.get_parameter("os.gamma")
    batched = torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
    slope = model.evaluate({"void_fraction": Scalar(0.1)}, Context({tension: batched}))["slope"].data
    torch.testing.assert_close(slope, 0.6 * batched)
    (found,) = torch.autograd.grad(slope.sum(), batched)
    torch.testing.assert_close(found, torch.full_like(found, 0.6))
    torch.testing.assert_close(
        model.param_jacobian({"void_fraction": 0.1})[1]["slope"]["os.gamma"].item(), 0.6
    )


def test_sites_keep_their_rank():
    stresses = SR2(torch.stack([STRESS.data, BACK_STRESS.data, STRESS.data / 3]), 1)  # 3 sites
    found = normality().call_by_name(point(M=stresses, k=Scalar([11.0, 12.0])))  # a batch of 2
    for name, value in found.items():
        assert value.sub_batch_ndim == 1, name
        assert value.data.shape[:2] == (2, 3), name
    for i in range(3):
        alone = normality().call_by_name(point(M=SR2(stresses.data[i])))
        assert torch.equal(found["NX"].data[1, i], alone["NX"].data)


def test_a_sum_over_sites_is_differentiated_by_every_site():
    total = models.SR2IntermediateSum(**{"from": "x"}, to="y", reduces="grains", name="total")
    mises = models.SR2Invariant(invariant_type="VONMISES", tensor="y", invariant="f", name="mises")
    model = normality(ComposedModel([total, mises], name="sum"), **{"function": "f", "from": "x", "to": "g"})
    sites = torch.stack([STRESS.data, BACK_STRESS.data])
    found = model.call_by_name({"x": SR2(sites, 1)})["g"]
    expected = models.AssociativeJ2FlowDirection()(SR2(sites.sum(0)))
    assert found.sub_batch_ndim == 1
    torch.testing.assert_close(found.data, expected.data.expand(2, 6))


def test_zero_where_the_function_does_not_depend_on_the_variable():
    first = models.ScalarLinearCombination(**{"from": "a"}, to="f", name="first")
    second = models.SR2LinearCombination(**{"from": "b"}, to="g", name="second")
    model = normality(
        ComposedModel([first, second], name="both"), **{"function": "f", "from": "b a", "to": "x y"}
    )
    found = model.call_by_name({"a": Scalar([1.0, 2.0]), "b": STRESS})
    assert torch.equal(found["x"].data, torch.zeros(2, 6, dtype=torch.float64))
    assert found["y"].data.tolist() == [1.0, 1.0]


def test_a_variable_may_be_asked_for_twice():
    found = normality(**{"from": "M M", "to": "first second"}).call_by_name(point())
    assert torch.equal(found["first"].data, found["second"].data)


def test_the_provider_of_a_wired_parameter_comes_along():
    provider = models.KocksMeckingYieldStress(C=-5.0, shear_modulus=60e3, name="ys")
    surface = models.YieldFunction(yield_stress=provider, name="surface")
    model = normality(surface, **{"from": "yield_stress", "to": "slope"})
    whole = ComposedModel([model])
    assert list(whole.input_spec) == ["effective_stress"]
    assert whole.call_by_name({"effective_stress": 500.0})["slope"].data.item() == pytest.approx(
        -((2 / 3) ** 0.5)
    )


def test_copies_have_a_model_of_their_own():
    model = normality()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.differentiated is twin.flow is not model.flow
        assert torch.equal(twin.call_by_name(point())["N"].data, model.call_by_name(point())["N"].data)
    assert model.to(torch.float32).get_parameter("flow.surface.sy").dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"to": "N Nk"}, ValueError, "from has 3 names and to has 2; give one name in to for each in from"),
        ({"to": "N N NX"}, ValueError, "two outputs called 'N'; rename one of them"),
        ({"function": "yield"}, MissingVariable, "has no output 'yield'; .*its outputs are yield_function"),
        ({"from": "M k Y"}, MissingVariable, "has no input 'Y'; .*its inputs are M, X, k"),
        ({"model": "flow"}, TypeError, "model is 'flow'; it takes a model"),
        (
            {"model": models.SR2LinearCombination(**{"from": "a"}, to="yield_function")},
            ValueError,
            "choose a Scalar",
        ),
    ],
)
def test_errors_say_what_there_is(changes, error, message):
    with pytest.raises(error, match=message):
        normality(**changes)
