import copy
import pickle

import pytest
import torch

import neml2
from neml2.fields import Buffer, Input, Option, Output, Parameter
from neml2.model import Model, Wired
from neml2.types import SR2, Scalar, Vec, norm
from tests.small_models import F64, Coupled, Elastic, Sites, Spring, scalar

TUTORIAL = """
[Models]
  [elasticity]
    type = LinearIsotropicElasticity
    coefficients = '200e3 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'strain'
    stress = 'stress'
  []
[]
"""


def elastic(**options):
    return Elastic(youngs_modulus=200e3, poissons_ratio=0.3, name="elasticity", **options)


@pytest.fixture(params=["python", "file"])
def model(request, tmp_path):
    if request.param == "python":
        return elastic()
    (tmp_path / "input.i").write_text(TUTORIAL)
    return neml2.load_model(tmp_path / "input.i", "elasticity")


def stretch():
    return SR2.fill(0.01, 0, 0, 0, 0, 0)


class TestTutorial:
    """What the first pages of a tutorial say."""

    def test_parameters(self, model):
        assert [n for n, _ in model.named_parameters()] == ["E", "nu"]
        assert all(p.requires_grad for p in model.parameters())
        assert isinstance(model.E, Scalar) and isinstance(model.E.data, torch.nn.Parameter)
        assert repr(model.E).startswith("Scalar(") and "Parameter" in repr(model.E)
        assert model.E.data.item() == 200000.0

    def test_stress(self, model):
        expected = torch.tensor([2692.3076, 1153.8462, 1153.8462, 0, 0, 0], dtype=F64)
        torch.testing.assert_close(model(stretch()).data, expected, rtol=1e-7, atol=0)
        with torch.no_grad():
            model.E.data.fill_(100e3)
        torch.testing.assert_close(model(stretch()).data, expected / 2, rtol=1e-7, atol=0)

    def test_an_optimiser_keeps_its_parameter(self, model):
        held = dict(model.named_parameters())["E"]
        with torch.no_grad():
            model.E.data.fill_(150e3)
        assert model.E.data is held and held.item() == 150e3
        model.set_parameter("E", 120e3)
        assert model.E.data is held and held.item() == 120e3

    def test_rebinding(self, model):
        old, new = model.nu.data, torch.nn.Parameter(torch.tensor(0.25, dtype=F64))
        model.nu = new
        assert model.nu.data is new and model.nu.data is not old
        assert dict(model.named_parameters())["nu"] is new

    def test_freezing(self, model):
        model.nu.data.requires_grad_(False)
        model(stretch()).data.sum().backward()
        assert model.nu.data.grad is None and model.E.data.grad is not None

    @pytest.mark.parametrize(
        ("pick", "value", "of_E", "of_nu"),
        [
            (lambda s: s.data.sum(), None, 0.025, 24999.9994),
            (lambda s: norm(s).data, 3148.2126, 0.0157411, 12849.5),
            (lambda s: s.data[0], 2692.3076, 0.0134615, 7544.38),
        ],
    )
    def test_gradients(self, model, pick, value, of_E, of_nu):
        found = pick(model(stretch()))
        slopes = torch.autograd.grad(found, [model.E.data, model.nu.data])
        assert value is None or float(found.detach()) == pytest.approx(value, rel=1e-7)
        assert [float(s) for s in slopes] == pytest.approx([of_E, of_nu], rel=1e-5)


# -------------------------------------------------------------------------------- calls


def test_ways_to_call():
    f = scalar(1.0, 2.0)
    spring = Spring(k=2.0)
    positional = spring(scalar(0.5), f)
    assert isinstance(positional, Scalar)  # a leaf with one output returns it bare
    named = spring.call_by_name({"f": f, "x": 0.5, "unread": None})
    assert list(named) == ["x_residual"] and torch.equal(named["x_residual"].data, positional.data)
    raw = spring(torch.tensor(0.5, dtype=F64), f.data)
    assert torch.equal(raw.data, positional.data)
    assert isinstance(
        Coupled()(Vec(torch.zeros(3, dtype=F64)), scalar(0.0), Vec(torch.zeros(3, dtype=F64))), tuple
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m(scalar(1.0)), TypeError, r"'spring' takes 2 inputs \(x, f\), got 1; missing: f"),
        (lambda m: m.call_by_name({"X": 1.0, "f": 1.0}), KeyError, "needs the input 'x'.*did you mean 'X'"),
        (lambda m: m.call_by_name({"x": stretch(), "f": 1.0}), TypeError, "input 'x' is a SR2, but a Scalar"),
        (lambda m: m.call_by_name({"x": "one", "f": 1.0}), TypeError, "input 'x' is a str; give a Scalar"),
        (
            lambda m: m(scalar(1.0), Scalar(torch.tensor(1.0))),
            TypeError,
            r"'x' is torch.float64 but input 'f'",
        ),
        (lambda m: m.set_parameter("K", 1.0), KeyError, "no parameter 'K'; did you mean 'k'"),
        (lambda m: m.param_jacobian({"x": 1.0, "f": 1.0}, ["kk"]), KeyError, "no parameter 'kk'"),
        (lambda m: m.kk, AttributeError, "'spring' has no attribute 'kk'; did you mean 'k'"),
        (lambda m: m.set_parameter("k", stretch()), TypeError, "parameter 'k' is a SR2"),
    ],
)
def test_errors_of_calls(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call(Spring(k=2.0, name="spring"))
    assert str(caught.value)[0] not in "\"'"  # not the repr of a sentence


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Elastic(youngs_modulus=1.0), TypeError, "Elastic needs the option 'poissons_ratio'"),
        (
            lambda: Elastic(youngs_modulu=1.0),
            TypeError,
            "no option 'youngs_modulu'; did you mean 'youngs_modulus'",
        ),
        (
            lambda: Elastic(youngs_modulus=-1.0, poissons_ratio=0.3),
            ValueError,
            r"-1, outside its range \(0, inf\)",
        ),
        (lambda: Elastic(youngs_modulus=1.0, poissons_ratio=0.7), ValueError, r"0.7, outside its range"),
        (lambda: Spring(k=float("nan")), ValueError, "k is nan, which is not a finite number"),
        (lambda: Spring(k=2.0, x="1x"), ValueError, "x is '1x', which is not a variable name"),
        (lambda: Spring(k="1,2"), ValueError, "k is '1,2', neither a number nor a variable name"),
        (lambda: Coupled(w=[1.0, 2.0]), ValueError, "w needs the 3 components of a Vec, got 2"),
        (lambda: Coupled(w="s"), ValueError, "'s' is read as Scalar"),
        (lambda: Spring(k=elastic()), ValueError, "k needs a Scalar, but Elastic 'elasticity' computes"),
    ],
)
def test_errors_of_construction(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_attribute_names_are_keywords_too():
    assert float(Elastic(E=1.0, nu=0.0).E.data.detach()) == 1.0


# -------------------------------------------------------------------------------- parameters


def test_wired_parameters_are_inputs():
    model = Spring(k="stiffness", f="x")
    assert list(model.input_spec) == ["x", "stiffness"] and not list(model.parameters())
    out = model.call_by_name({"x": scalar(2.0), "stiffness": scalar(3.0, 4.0)})["x_residual"]
    assert out.data.tolist() == [24.0, 32.0]


def test_derivatives_by_wired_parameters_are_exact():
    """At r = w x - f with w = c x, both wired: the whole derivative is there."""
    model = Spring(k="k", name="spring")
    values = {"x": scalar(2.0, 3.0), "k": scalar(0.5), "f": scalar(1.0)}
    _, J = model.jacobian(values)
    torch.testing.assert_close(J["x_residual"]["k"].data, torch.tensor([8.0, 27.0], dtype=F64))


def test_wiring_by_model():
    class Source(Model):
        T: Scalar = Input("Temperature")
        stiffness: Scalar = Output("Stiffness")

        def forward(self, T):
            return T * 2.0

    source = Source(name="source")
    for wire in (source, Wired("stiffness", source)):
        model = Spring(k=wire)
        assert list(model.input_spec) == ["x", "f", "stiffness"] and model.providers == [source]
    with pytest.raises(ValueError, match="no output 'stifness'; did you mean 'stiffness'"):
        Spring(k=Wired("stifness", source))


def test_batched_parameters():
    model = Spring(k=torch.tensor([[1.0], [2.0]], dtype=F64))
    values = {"x": scalar(1.0, 2.0, 3.0), "f": scalar(0.0)}
    out, P = model.param_jacobian(values)
    assert out["x_residual"].shape == (2, 3)
    torch.testing.assert_close(P["x_residual"]["k"], torch.tensor([[1.0, 8.0, 27.0]] * 2, dtype=F64))
    gradient = model.param_vjp(values, {"x_residual": torch.ones(2, 3, dtype=F64)})
    assert gradient["k"].tolist() == [[36.0], [36.0]]


def test_set_parameter_replaces_when_the_shape_grows():
    model = Spring(k=2.0)
    model.k.data.requires_grad_(False)
    held = model.k.data
    model.set_parameter("k", torch.tensor([1.0, 2.0], dtype=F64))
    assert model.k.data is not held and model.k.data.shape == (2,) and not model.k.data.requires_grad
    model.set_parameter("k", 5.0)
    assert model.k.data.tolist() == [5.0, 5.0]
    assert model.parameter_base_shapes == {"k": []}


def test_shared_parameters_stay_shared():
    one, two = Spring(k=2.0, name="one"), Spring(k=3.0, x="z", x_residual="z_residual", name="two")
    two.k = one.k.data
    model = neml2.ComposedModel([one, two])
    assert [n for n, _ in model.named_parameters()] == ["one.k"]
    model.set_parameter("one.k", torch.tensor([1.0, 2.0], dtype=F64))
    assert two.k.data is one.k.data and [n for n, _ in model.named_parameters()] == ["one.k"]


def test_wrong_assignments():
    model = Coupled()
    with pytest.raises(ValueError, match="base shape"):
        model.w = torch.nn.Parameter(torch.zeros(4))
    with pytest.raises(TypeError, match="is a Scalar, but a Vec is expected"):
        model.w = scalar(1.0)


class WithBuffer(Model):
    """A constant, an option and a parameter."""

    x: Scalar = Input("x")
    y: Scalar = Output("y")
    c: Scalar = Buffer("constant", "A constant")
    power: int = Option("Power", default=2)
    p: Scalar = Parameter("p", "A parameter", default=1.0)

    def forward(self, x, c, p):
        return c * p * x**self.power


def test_buffers_are_not_parameters():
    model = WithBuffer(constant=3.0, power=3)
    assert [n for n, _ in model.named_parameters()] == ["p"] and [n for n, _ in model.named_buffers()] == [
        "c"
    ]
    assert float(model(scalar(2.0)).data.detach()) == 24.0
    with pytest.raises(TypeError, match="power is 'two', but an int is expected"):
        WithBuffer(constant=3.0, power="two")


def test_dtypes():
    model = elastic().to(torch.float32)
    assert model(stretch().to(torch.float32)).data.dtype == torch.float32
    with pytest.raises(TypeError, match=r"torch.float64 but parameter 'E' is torch.float32.*\.to\("):
        model(stretch())


def test_copies():
    model = elastic()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(stretch()).data, model(stretch()).data)
        twin.set_parameter("E", 1.0)
    assert float(model.E.data.detach()) == 200e3
    other = Elastic(youngs_modulus=1.0, poissons_ratio=0.0)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(stretch()).data, model(stretch()).data)


def test_looks():
    assert repr(elastic()) == (
        "Elastic 'elasticity'\n"
        "  inputs:     strain (SR2)\n"
        "  outputs:    stress (SR2)\n"
        "  parameters: E = 200000, nu = 0.3"
    )


# -------------------------------------------------------------------------------- derivatives


def test_jacobian_shapes_and_zeros():
    values = {
        "v": Vec(torch.randn(5, 3, dtype=F64)),
        "s": scalar(1.0),
        "g": Vec(torch.randn(2, 1, 3, dtype=F64)),
    }
    outputs, J = Coupled().jacobian(values)
    assert outputs["v_residual"].data.shape == (2, 5, 3) and not outputs["v_residual"].data.requires_grad
    assert J["v_residual"]["s"].data.shape == (2, 5, 3) and J["s_residual"]["v"].data.shape == (2, 5, 3)
    assert J["v_residual"]["g"].data.shape == (2, 5, 3, 3) and J["s_residual"]["g"].data.abs().max() == 0
    torch.testing.assert_close(J["v_residual"]["g"].data[1, 3], -torch.eye(3, dtype=F64))


def test_jacobian_of_an_unbatched_pair_of_scalars():
    _, J = Spring(k=2.0).jacobian({"x": 2.0, "f": 1.0})
    assert float(J["x_residual"]["x"].data) == 25.0 and J["x_residual"]["f"].data.shape == ()


def test_jacobian_with_sub_batches():
    values = {
        "x": Scalar(torch.randn(2, 4, dtype=F64), 1),
        "v": Vec(torch.randn(2, 4, 3, dtype=F64), 1),
        "y": Scalar(torch.randn(2, dtype=F64)),
        "f": Scalar(torch.randn(4, dtype=F64), 1),
    }
    _, J = Sites().jacobian(values)
    assert J["v_residual"]["v"].data.shape == (2, 4, 4, 3, 3)
    assert J["y_residual"]["x"].data.shape == (2, 4) and J["x_residual"]["y"].data.shape == (2, 4)
    torch.testing.assert_close(J["y_residual"]["x"].data, 2 * values["x"].data)
    off = J["x_residual"]["v"].data[0, 0, 1]
    assert off.abs().max() == 0


def test_jvp_is_the_jacobian_times_the_direction():
    values = {"v": Vec(torch.randn(5, 3, dtype=F64)), "s": scalar(1.0), "g": Vec(torch.zeros(3, dtype=F64))}
    direction = torch.randn(5, 3, dtype=F64)
    model = Coupled()
    outputs, tangents = model.jvp(values, {"v": Vec(direction), "s": 2.0})
    _, J = model.jacobian(values)
    expected = (J["v_residual"]["v"].data * direction[:, None]).sum(-1) + 2 * J["v_residual"]["s"].data
    torch.testing.assert_close(tangents["v_residual"].data, expected)
    _, nothing = model.jvp(values, {})
    assert nothing["s_residual"].data.abs().max() == 0 and outputs["s_residual"].data.shape == (5,)


def test_directions_are_checked_for_their_names_and_shapes():
    model = Coupled()
    values = {"v": Vec(torch.zeros(2, 3, dtype=F64)), "s": scalar(1.0), "g": Vec(torch.zeros(3, dtype=F64))}
    with pytest.raises(KeyError, match="tangent of 'ss', which is no variable here; did you mean 's'"):
        model.jvp(values, {"ss": 1.0})
    with pytest.raises(ValueError, match=r"tangent of 'v' has the shape \(4, 3\)"):
        model.jvp(values, {"v": torch.ones(4, 3, dtype=F64)})
    with pytest.raises(KeyError, match="cotangent of 'residual'"):
        model.param_vjp(values, {"residual": 1.0})
    with pytest.raises(ValueError, match=r"shape \(7, 2\), which does not broadcast to \(2,\)"):
        model.param_vjp(values, {"s_residual": torch.ones(7, 2, dtype=F64)})  # would count each point 7 times
    with pytest.raises(TypeError, match="cotangent of 's_residual' is a Vec, but a Scalar is expected"):
        model.param_vjp(values, {"s_residual": Vec.fill(1.0, 0.0, 0.0)})


def test_derivatives_by_frozen_parameters():
    model = Spring(k=2.0).requires_grad_(False)
    _, P = model.param_jacobian({"x": 2.0, "f": 1.0})
    assert float(P["x_residual"]["k"]) == 8.0
    with torch.no_grad():
        assert float(model.jacobian({"x": 2.0, "f": 1.0})[1]["x_residual"]["x"].data) == 25.0


def test_a_forward_that_does_not_keep_its_word():
    class Wrong(Model):
        x: Scalar = Input("x")
        y: Vec = Output("y")

        def forward(self, x):
            return x

    class Short(Model):
        x: Scalar = Input("x")
        y: Scalar = Output("y")
        z: Scalar = Output("z")

        def forward(self, x):
            return (x,)

    with pytest.raises(TypeError, match="returned a Scalar for 'y', which is declared as Vec"):
        Wrong()(scalar(1.0))
    with pytest.raises(TypeError, match="returned 1 values; it declares 2"):
        Short()(scalar(1.0))
