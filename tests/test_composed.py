import copy
import pickle

import pytest
import torch

from neml2.composed import ComposedModel, DependencyResolver, with_providers
from neml2.fields import Input, Option, Output, Parameter
from neml2.model import Model, Wired
from neml2.types import Scalar, Vec
from tests.small_models import F64, scalar


class Add(Model):
    """``out = sum of in + c``, with names to choose."""

    ins: Scalar = Input("Terms", option="reads", many=True)
    out: Scalar = Output("Sum", option="writes")
    c: Scalar = Parameter("c", "Constant", default=0.0)

    def forward(self, ins, c):
        total = c
        for term in ins:
            total = total + term
        return total


class First(Model):
    x: Scalar = Input("x")
    y: Scalar = Output("y", priority="low")

    def forward(self, x):
        return x * 10.0


class Last(Model):
    y: Scalar = Input("y")
    y_out: Scalar = Output("y", option="y_out", priority="high")

    def forward(self, y):
        return y + 1.0


class Direction(Model):
    a: Scalar = Input("a")
    b: Vec = Output("b")

    def forward(self, a):
        return Vec(torch.stack([a.data] * 3, -1))


def add(reads, writes, name=None, **options):
    return Add(reads=reads, writes=writes, name=name or f"make_{writes}", **options)


def names(order):
    return [m.name for m in order]


def value(model, **inputs):
    return {n: v.data.detach().tolist() for n, v in model.call_by_name(inputs).items()}


def test_order_follows_the_data_and_ties_keep_the_given_order():
    models = [add("b c", "d"), add("a", "c"), add("a", "b"), add("a", "e")]
    assert names(DependencyResolver(models).resolve()) == ["make_c", "make_b", "make_e", "make_d"]
    model = ComposedModel(models, name="all")
    assert list(model.input_spec) == ["a"] and list(model.output_spec) == ["e", "d"]
    assert value(model, a=2.0) == {"e": 2.0, "d": 4.0}
    assert names(model.models_in_order) == ["make_c", "make_b", "make_e", "make_d"]


def test_composed_models_always_return_a_tuple():
    assert isinstance(ComposedModel([add("a", "b")])(scalar(1.0)), tuple)


def test_additional_outputs():
    models = [add("a", "b"), add("b", "c")]
    assert list(ComposedModel(models).output_spec) == ["c"]
    assert list(ComposedModel(models, additional_outputs=["b"]).output_spec) == ["c", "b"]
    with pytest.raises(
        ValueError, match=r"'all': additional_outputs: no model computes 'bb'; did you mean 'b'\?"
    ):
        ComposedModel(models, additional_outputs=["bb"], name="all")


def test_two_providers_need_different_priorities():
    with pytest.raises(ValueError, match="'b' is computed by both Add 'one' and Add 'two'; rename one"):
        ComposedModel([add("a", "b", "one"), add("c", "b", "two")])
    model = ComposedModel([Last(y="y", y_out="y", name="last"), First(name="first")])
    assert names(model.models_in_order) == ["first", "last"]
    assert list(model.input_spec) == ["x"] and value(model, x=2.0) == {"y": 21.0}


def test_a_model_may_read_what_it_writes():
    model = ComposedModel([add("a b", "b"), add("b", "c")])
    assert list(model.input_spec) == ["a", "b"]
    assert value(model, a=1.0, b=2.0) == {"c": 3.0}


def test_cycles_are_reported_with_their_path():
    with pytest.raises(ValueError, match="in a circle: ") as caught:
        ComposedModel([add("c x", "a"), add("a", "b"), add("b", "c"), add("c", "d")], name="all")
    message = str(caught.value)
    assert message.startswith("ComposedModel 'all': ")
    path = message.split("circle: ")[1]
    assert path.count("->") == 3 and all(f"-({v})->" in path for v in "abc") and "make_d" not in path


def test_types_must_agree():
    with pytest.raises(
        ValueError, match="'b' is computed by Direction 'dir' as Vec, but Add 'sum' reads it as Scalar"
    ):
        ComposedModel([Direction(name="dir"), add("b", "c", "sum")])

    class ReadsVec(Model):
        a: Vec = Input("a")
        z: Vec = Output("z")

        def forward(self, a):
            return a

    with pytest.raises(ValueError, match="'a' is read as Scalar and, by ReadsVec 'vec', as Vec"):
        ComposedModel([Direction(name="dir"), ReadsVec(name="vec")])


def test_providers_of_wired_parameters_are_added_recursively():
    deep = add("T", "p")
    middle = add("T", "q", c=deep)
    top = add("x", "y", c=Wired("q", middle))
    assert names(with_providers([top])) == ["make_y", "make_q", "make_p"]
    model = ComposedModel([top])
    assert names(model.models_in_order) == ["make_p", "make_q", "make_y"]
    assert list(model.input_spec) == ["T", "x"] and value(model, T=2.0, x=1.0) == {"y": 5.0}
    assert names(ComposedModel([top, middle, deep]).models_in_order) == ["make_p", "make_q", "make_y"]


def test_derivatives_flow_through_wired_parameters():
    model = ComposedModel([add("x", "y", c=add("x", "p", c=1.0))])
    _, J = model.jacobian({"x": scalar(1.0, 2.0)})
    assert J["y"]["x"].data.tolist() == [2.0, 2.0]


def test_nesting():
    inner = ComposedModel([add("a", "b", c=1.0), add("b", "c")], name="inner")
    outer = ComposedModel([inner, add("c", "d", c=10.0)], name="outer")
    assert value(outer, a=1.0) == {"d": 12.0}
    assert [n for n, _ in outer.named_parameters()] == ["inner.make_b.c", "inner.make_c.c", "make_d.c"]
    outer.set_parameter("inner.make_b.c", 2.0)
    assert value(outer, a=1.0) == {"d": 13.0}


def test_children_are_called_after_their_blocks():
    model = ComposedModel(
        [
            add("a", "b", "good"),
            add("b", "c", "not good"),
            add("c", "d", "forward"),
            Add(reads="d", writes="e"),
        ]
    )
    assert [n for n, _ in model.named_children()] == ["good", "_child_1", "_child_2", "_child_3"]


def test_a_model_in_two_places_is_listed_once():
    shared = add("a", "b", "shared", c=1.0)
    one = ComposedModel([shared, add("b", "c")], name="one")
    both = ComposedModel([one, ComposedModel([shared, add("b", "z")], name="two")], name="both")
    assert [n for n, _ in both.named_parameters()] == ["one.shared.c", "one.make_c.c", "two.make_z.c"]


def test_an_empty_composition():
    model = ComposedModel([])
    assert model.input_spec == {} and model() == ()


def test_batches_broadcast_through_the_pool():
    model = ComposedModel([add("a", "b"), add("b z", "c", c=torch.zeros(4, 1, dtype=F64))])
    out = model.call_by_name({"a": scalar(1.0, 2.0, 3.0), "z": scalar(0.0)})["c"]
    assert out.data.shape == (4, 3)
    assert model.batch_shape({"a": scalar(1.0, 2.0, 3.0)}) == (4, 3)


def test_copies():
    model = ComposedModel([add("x", "y", c=add("x", "p", c=1.0))], name="all")
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        twin.set_parameter("make_p.c", 5.0)
        assert value(twin, x=1.0) == {"y": 7.0} and value(model, x=1.0) == {"y": 3.0}


def test_the_resolver_on_its_own():
    resolver = DependencyResolver()
    one, two = add("a", "b"), add("b", "c")
    for m in (two, one, two):
        resolver.add_node(m)
    order = resolver.resolve()
    assert order == [one, two]
    assert list(resolver.inbound_items(order)) == ["a"] and list(resolver.outbound_items(order)) == ["c"]
    assert list(resolver.outbound_items(order, ["b"])) == ["c", "b"]


def test_looks():
    model = ComposedModel([add("a", "b", "one"), add("b", "c", "two")], name="all")
    assert repr(model).splitlines()[:4] == [
        "ComposedModel 'all'",
        "  inputs:     a (Scalar)",
        "  outputs:    c (Scalar)",
        "  models:     Add 'one', Add 'two'",
    ]


class Unused(Model):
    flag: bool = Option("A flag", default=False)
    x: Scalar = Input("x")
    y: Scalar = Output("y")

    def forward(self, x):
        return x if self.flag else x * 2.0


def test_options_of_a_child_stay_its_own():
    model = ComposedModel([Unused(flag=True, name="u")])
    assert value(model, x=3.0) == {"y": 3.0} and model.u.flag
