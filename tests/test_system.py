import pytest
import torch

from neml2.composed import ComposedModel
from neml2.fields import Input, Output
from neml2.model import Model
from neml2.system import NonlinearSystem, ResidualProblem, unknown_layout
from neml2.types import SR2, Scalar, Vec
from tests.small_models import F64, Coupled, Decay, Sites, Spring, scalar


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


class Settings:
    """Declared sub-batch shapes, as a file has them."""

    def __init__(self, **shapes):
        self.shapes = shapes

    def sub_batch_shape(self, name):
        return self.shapes.get(name)


def site_values(*sites):
    return {
        "x": Scalar(random(2, *sites), len(sites)),
        "v": Vec(random(2, *sites, 3), len(sites)),
        "y": Scalar(random(2)),
        "f": Scalar(random(*sites), len(sites)),
    }


def problem(unknowns, structure, values):
    system = NonlinearSystem(Sites(), unknowns, structure=structure)
    layout = unknown_layout(system, values, values)
    found = ResidualProblem(system, {"f": values["f"]}, layout, torch.Size((2,)))
    return found, layout.flatten(values, torch.Size((2,)))


# -------------------------------------------------------------------------------- declaration


def test_names():
    system = NonlinearSystem(Coupled(), "v; s")
    assert system.unknown_groups == (("v",), ("s",)) and system.unknown_names == ("v", "s")
    assert system.residual_names == ("v_residual", "s_residual") and system.given_names == ("g",)
    assert system.structures == ("dense", "dense")
    swapped = NonlinearSystem(Coupled(), "s v", residuals="s_residual v_residual", structure=["DENSE"])
    assert swapped.residual_groups == (("s_residual", "v_residual"),)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"unknowns": "v ss"}, KeyError, "the unknown 'ss' is no input of Coupled; did you mean 's'"),
        (
            {"unknowns": "v s", "residuals": "v_residual r"},
            KeyError,
            "the residual 'r' is no output of Coupled",
        ),
        ({"unknowns": "v g"}, KeyError, "the residual 'g_residual' is no output"),
        ({"unknowns": "v v"}, ValueError, "'v' is listed twice"),
        ({"unknowns": "v; "}, ValueError, "empty group"),
        ({"unknowns": ""}, ValueError, "empty group"),
        (
            {"unknowns": "v", "residuals": "v_residual s_residual"},
            ValueError,
            "1 unknowns .* but 2 residuals",
        ),
        ({"unknowns": "v", "residuals": "s_residual"}, ValueError, "3 components but the residuals 1"),
        (
            {"unknowns": "v; s", "residuals": "v_residual s_residual"},
            ValueError,
            "2 groups but the residuals in 1",
        ),
        ({"unknowns": "v s", "structure": ["dense", "block"]}, ValueError, "2 entries for 1 groups"),
        ({"unknowns": "v s", "structure": ["sparse"]}, ValueError, "'dense' or 'block', not 'sparse'"),
    ],
)
def test_refusals(options, error, message):
    with pytest.raises(error, match=message):
        NonlinearSystem(Coupled(), **options)


# -------------------------------------------------------------------------------- layout

ARRANGEMENTS = [
    ("x v y", ("dense",)),
    ("x v; y", ("dense", "dense")),
    ("x v; y", ("block", "dense")),
    ("y; v x", ("dense", "block")),
]


@pytest.mark.parametrize(("unknowns", "structure"), ARRANGEMENTS)
@pytest.mark.parametrize("sites", [(4,), (2, 3), (1,)])
def test_flatten_and_unflatten_are_inverse(unknowns, structure, sites):
    values = site_values(*sites)
    found, flat = problem(unknowns, structure, values)
    for group, v in zip(found.unknown_layout.groups, flat, strict=True):
        assert v.shape == (2, *group.sites, group.size)
    for n, v in found.unknown_layout.unflatten(flat, torch.Size((2,))).items():
        assert torch.equal(v.data, values[n].data) and v.sub_batch_ndim == values[n].sub_batch_ndim


def test_values_without_sub_batch_stand_for_all_sites():
    system = NonlinearSystem(Sites(), "x v y", settings=Settings(x=(4,), v=(4,)))
    guess = {"x": scalar(1.0, 2.0), "v": Vec(torch.ones(3, dtype=F64)), "y": scalar(0.0)}
    layout = unknown_layout(system, {}, guess)
    (flat,) = layout.flatten(guess, torch.Size((2,)))
    assert flat.shape == (2, 4 + 12 + 1)
    assert flat[:, :4].tolist() == [[1.0] * 4, [2.0] * 4]


def test_sub_batch_shapes_come_from_settings_history_and_guess():
    system = NonlinearSystem(Decay(c=1.0), "x")
    old, guess = {"x~1": Scalar(random(3, 4), 1)}, {"x": scalar(0.0)}
    assert unknown_layout(system, old, guess).sub_batch == {"x": (4,)}
    assert unknown_layout(system, {}, {"x": Scalar(random(5), 1)}).sub_batch == {"x": (5,)}
    with pytest.raises(ValueError, match=r"'x' is contradictory: \(4,\) from x~1, \(5,\) from its guess"):
        unknown_layout(system, old, {"x": Scalar(random(5), 1)})
    declared = NonlinearSystem(Decay(c=1.0), "x", settings=Settings(x=(6,)))
    with pytest.raises(ValueError, match=r"\(6,\) from \[Settings\], \(4,\) from x~1"):
        unknown_layout(declared, old, guess)


def test_block_groups_have_one_shape_of_sites():
    values = {**site_values(4), "v": Vec(random(2, 5, 3), 1)}
    with pytest.raises(ValueError, match="must share one sub-batch shape: x .4,., v .5,."):
        problem("x v; y", ("block", "dense"), values)[0].residual_layout.groups  # noqa: B018
    with pytest.raises(ValueError, match="coupled site by site and must share one sub-batch shape"):
        problem("x; v; y", ("block", "block", "dense"), values)


# -------------------------------------------------------------------------------- residual and Jacobian


@pytest.mark.parametrize(("unknowns", "structure"), ARRANGEMENTS)
@pytest.mark.parametrize("sites", [(4,), (2, 3), (1,)])
def test_jacobian_against_differences(unknowns, structure, sites):
    found, u = problem(unknowns, structure, site_values(*sites))
    jacobian = found.linearise(u).jacobian()
    step = 1e-6
    for k in range(len(u)):
        direction = random(*u[k].shape, seed=7)
        moved = [v + step * direction if i == k else v for i, v in enumerate(u)]
        back = [v - step * direction if i == k else v for i, v in enumerate(u)]
        slopes = [
            (a - b) / (2 * step) for a, b in zip(found.residual(moved), found.residual(back), strict=True)
        ]
        along = jacobian.times([direction if i == k else torch.zeros_like(v) for i, v in enumerate(u)])
        for slope, expected in zip(slopes, along, strict=True):
            torch.testing.assert_close(expected, slope, rtol=1e-6, atol=1e-7)


def test_two_block_groups():
    found, u = problem("x; v; y", ("block", "block", "dense"), site_values(4))
    split = found.linearise(u).jacobian()
    whole, _ = problem("x v y", ("dense",), site_values(4))
    assert [b.shape for b in split.blocks[0]] == [(2, 4, 1, 1), (2, 4, 1, 3), (2, 4, 1, 1)]
    together = whole.linearise([torch.cat([v.reshape(2, -1) for v in u], -1)]).jacobian()
    torch.testing.assert_close(split.dense(), together.dense())


def test_a_residual_that_does_not_depend_on_an_unknown():
    found, u = problem("v; x y", ("block", "dense"), site_values(4))
    jacobian = found.linearise(u).jacobian()
    assert jacobian.blocks[0][0].shape == (2, 4, 3, 3) and jacobian.blocks[0][1].shape == (2, 4, 3, 5)


def test_jacobian_of_a_point_is_bit_identical_alone():
    values = site_values(4)
    found, u = problem("x v; y", ("block", "dense"), values)
    together = found.linearise(u).jacobian()
    for i in range(2):
        one = {n: type(v)(v.data[i], v.sub_batch_ndim) if n != "f" else v for n, v in values.items()}
        system = NonlinearSystem(Sites(), "x v; y", structure=["block", "dense"])
        layout = unknown_layout(system, one, one)
        alone = ResidualProblem(system, {"f": one["f"]}, layout, torch.Size(()))
        single = alone.linearise(layout.flatten(one, torch.Size(()))).jacobian()
        for a, b in zip(single.blocks, together.blocks, strict=True):
            for x, y in zip(a, b, strict=True):
                assert torch.equal(x, y[i])


def test_residuals_of_other_types_than_the_unknowns():
    """Layout pairs them by position; only the number of components counts."""

    class Mixed(Model):
        a: SR2 = Input("a")
        v: Vec = Input("v")
        w: Vec = Input("w")
        s: Vec = Output("s")
        t: Vec = Output("t")
        u: SR2 = Output("u")

        def forward(self, a, v, w):
            half = Vec(a.data[..., :3])
            return v - half, w * 2.0, a * 3.0

    system = NonlinearSystem(Mixed(), "a v w", residuals="s t u")
    guess = {"a": SR2(random(2, 6)), "v": Vec(random(2, 3)), "w": Vec(random(2, 3))}
    layout = unknown_layout(system, {}, guess)
    found = ResidualProblem(system, {}, layout, torch.Size((2,)))
    jacobian = found.linearise(layout.flatten(guess, torch.Size((2,)))).jacobian()
    assert jacobian.dense().shape == (2, 12, 12) and not jacobian.dense().det().eq(0).any()


def test_the_worst_residual_is_named():
    found, u = problem("x v y", ("dense",), site_values(4))
    r = [torch.zeros_like(v) for v in u]
    r[0][0, 5] = -3.0  # in v
    r[0][1, 16] = torch.nan  # in y
    assert [found.residual_names[i] for i in found.worst(r)] == ["v_residual", "y_residual"]


def test_a_composition_as_residual():
    class Balance(Model):
        x: Scalar = Input("x")
        y: Scalar = Input("y")
        r: Scalar = Output("y_residual")

        def forward(self, x, y):
            return y - x * 2.0

    model = ComposedModel([Spring(k=1.0, name="spring"), Balance(r="y_residual", name="balance")])
    system = NonlinearSystem(model, "x y")
    assert system.given_names == ("f",)
    with pytest.raises(KeyError, match="no output of ComposedModel 'all'"):
        NonlinearSystem(ComposedModel([Spring(k=1.0)], name="all"), "f")
