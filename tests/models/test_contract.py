"""What every model of the catalogue promises; the rows are in ``cases_*.py``."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import neml2.models
import neml2.predictors
from neml2 import registry
from neml2.context import Context
from neml2.fields import BufferField, ParameterField
from neml2.types import TensorWrapper
from tests.models.cases import Case, all_cases, typed
from tests.models.input_text import input_text
from tests.models.probe import Probe, dense, like, take

CASES = all_cases()
ELSEWHERE = {
    "ComposedModel",
    "ImplicitUpdate",
}  # what they join is up to their user; each has a test file of its own

GUESS = "the guess is a plain number, without derivatives"
GUESSES = {
    "CoordinateDescentPredictor": GUESS,
    "CrystalPlasticityDeformationGradientPredictor": GUESS,
    "CrystalPlasticityStrainPredictor": GUESS,
}
WHOLE_BATCHES = {
    "SR2DynamicMean": "takes an axis of the batch away",
    "SR2DynamicSum": "takes an axis of the batch away",
}

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_smooth_case = pytest.mark.parametrize("case", [c for c in CASES if c.smooth], ids=str)


def test_every_model_of_the_catalogue_has_a_case() -> None:
    ours = {
        e.name
        for e in registry.entries("Models")
        if e.cls.__module__.startswith("neml2.") and e.name not in ELSEWHERE
    }
    missing = sorted(ours - {c.type for c in CASES})
    assert not missing, f"give each of these a Case in tests/models/cases_<family>.py: {', '.join(missing)}"


def test_every_model_is_compared_with_a_known_answer() -> None:
    missing = sorted({c.type for c in CASES} - {c.type for c in CASES if c.outputs})
    assert not missing, f"give a case of each of these its known outputs: {', '.join(missing)}"


def test_every_model_has_a_case_whose_derivatives_are_compared() -> None:
    never = {c.type for c in CASES} - {c.type for c in CASES if c.smooth}
    assert never == set(GUESSES)


@pytest.mark.parametrize("case", [c for c in CASES if c.type in GUESSES], ids=str)
def test_guesses_are_plain_numbers(case: Case) -> None:
    probe = Probe(case)
    assert not _depends(probe, probe.variations())


def test_every_model_is_tried_in_batches() -> None:
    assert {c.type for c in CASES} - {c.type for c in CASES if c.pointwise} == set(WHOLE_BATCHES)


def test_case_names_are_unique() -> None:
    names = [str(c) for c in CASES]
    assert len(set(names)) == len(names), sorted({n for n in names if names.count(n) > 1})


@every_case
def test_value(case: Case) -> None:
    probe = Probe(case)
    outputs = probe.model.call_by_name(probe.point)
    assert list(outputs) == list(probe.model.output_spec)
    for name, out in outputs.items():
        assert type(out) is probe.model.output_spec[name]
        assert out.data.dtype == torch.float64
        assert out.data.isfinite().all(), f"{name} = {out.data}"
    for name, known in case.outputs.items():
        expected = typed(known, probe.model.output_spec[name])
        torch.testing.assert_close(outputs[name].data, expected.data, rtol=1e-12, atol=1e-14)
    assert not set(case.outputs) - set(outputs), "the case expects outputs that the model does not have"


@every_case
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_batches_and_dtypes(case: Case, dtype: torch.dtype) -> None:
    if not case.pointwise:
        pytest.skip("combines the points of a batch")
    probe = Probe(case)
    exact = {n: o.data.detach().clone() for n, o in probe.model.call_by_name(probe.point).items()}
    probe.scaled(*probe.variations())
    sizes = dict(zip(exact, probe.out_sizes or [], strict=True))
    model = probe.model.to(dtype)
    point = {n: v.to(dtype) for n, v in probe.point.items()}
    alone = model.call_by_name(point)
    close = {torch.float64: 1e-13, torch.float32: 1e-3}[dtype]
    for name, out in alone.items():
        assert out.data.dtype == dtype
        if case.smooth:
            atol = close * sizes[name]
            torch.testing.assert_close(out.data.double(), exact[name], rtol=close, atol=atol)
    three, two, five = (probe.batch(shape, dtype) for shape in [(3,), (2, 1), (5,)])
    mixed = {n: (two if i % 2 else five)[n] for i, n in enumerate(point)}
    full = torch.Size([2, 5] if len(mixed) > 1 else [5] if mixed else [])
    for values, batch in [(point, torch.Size([])), (three, torch.Size([3] if three else [])), (mixed, full)]:
        for name, out in model.call_by_name(values).items():
            assert type(out) is model.output_spec[name]
            assert out.data.dtype == dtype
            assert torch.broadcast_shapes(out.dynamic_batch_shape, batch) == batch
            assert out.data.shape[len(out.dynamic_batch_shape) :] == alone[name].data.shape
    expanded = {p: p.expand(3, *p.shape) for p in model.parameters()}  # a batch of parameters at one point
    for name, out in model.evaluate(point, Context(parameters=expanded)).items():
        assert out.dynamic_batch_shape in [(3,), ()]
        assert torch.equal(out.data, alone[name].data.expand(out.data.shape))


@every_smooth_case
def test_gradcheck_in_inputs_and_parameters(case: Case) -> None:
    probe = Probe(case)
    at = probe.variations()
    if not _depends(probe, at):
        return
    assert torch.autograd.gradcheck(probe.scaled, at, eps=1e-6, atol=1e-6, rtol=1e-5, nondet_tol=0.0)


@every_smooth_case
def test_second_derivatives(case: Case) -> None:
    probe = Probe(case)
    at = probe.variations()
    generator = torch.Generator().manual_seed(1)
    weights = [torch.rand(o.shape, dtype=o.dtype, generator=generator) for o in probe.scaled(*at)]

    def gradient(*at: torch.Tensor) -> tuple[torch.Tensor, ...]:
        total = sum((w * o).sum() for w, o in zip(weights, probe.scaled(*at), strict=True))
        return torch.autograd.grad(total, at, create_graph=True, materialize_grads=True)

    for x, slope in zip(at, gradient(*at), strict=True):
        assert slope.isfinite().all(), f"first derivative {slope} with respect to a {tuple(x.shape)}"
    if any(slope.requires_grad for slope in gradient(*at)):
        assert torch.autograd.gradcheck(gradient, at, eps=1e-6, atol=1e-5, rtol=1e-4, nondet_tol=0.0)


@every_smooth_case
def test_derivative_is_the_limit_of_centred_differences(case: Case) -> None:
    """The error falls with the square of the step, or there is none."""
    probe = Probe(case)
    at = probe.variations()
    if not at:
        return
    generator = torch.Generator().manual_seed(2)
    direction = [torch.rand(x.shape, dtype=x.dtype, generator=generator) * 2 - 1 for x in at]
    exact = probe.jacobian_along(direction)
    steps = [case.step / 2**k for k in range(3)]
    with torch.no_grad():
        errors = []
        for h in steps:
            up, down = (probe.scaled(*[s * h * d for d in direction]) for s in (1, -1))
            differences = [(u - v).reshape(-1) / (2 * h) for u, v in zip(up, down, strict=True)]
            errors.append(max(float((d - e).abs().max()) for d, e in zip(differences, exact, strict=True)))
    floors = [1e-12 / h for h in steps]  # round-off of the differences
    for k in range(2):
        if errors[k + 1] > 10 * floors[k + 1]:
            slope = math.log2(errors[k] / errors[k + 1])
            assert 1.7 < slope < 2.4, f"errors {errors} at steps {steps}"


@every_case
def test_jacobian_is_that_of_autograd(case: Case) -> None:
    if not case.pointwise:
        pytest.skip("has no Jacobian per point")
    probe = Probe(case)
    model = probe.model
    leaves = {n: like(v, v.data.clone().requires_grad_(True)) for n, v in probe.point.items()}
    outputs = model.evaluate(leaves)
    variables = [v.data for v in leaves.values()] + list(probe.parameters.values())
    blocks = {n: dense(o.data, variables) for n, o in outputs.items()}
    values, jacobian = model.jacobian(probe.point)
    raw, param_jacobian = model.param_jacobian(probe.point)
    generator = torch.Generator().manual_seed(3)
    tangents = {
        n: like(v, torch.rand(v.data.shape, dtype=v.dtype, generator=generator)) for n, v in leaves.items()
    }
    cotangents = {n: torch.rand(o.data.shape, dtype=o.dtype, generator=generator) for n, o in outputs.items()}
    _, directional = model.jvp(probe.point, tangents)
    pulled = model.param_vjp(probe.point, cotangents)
    inputs = len(leaves)
    for name, out in outputs.items():
        assert torch.equal(values[name].data, out.data)
        assert torch.equal(raw[name], out.data)
        along = torch.zeros(out.data.numel(), dtype=out.dtype)
        for (variable, leaf), expected in zip(leaves.items(), blocks[name], strict=False):
            assert expected.isfinite().all(), f"d({name})/d({variable}) = {expected}"
            found = jacobian[name][variable]
            o, v = out.sub_batch_ndim, leaf.sub_batch_ndim
            b = len(out.BASE_SHAPE)
            order = [
                *range(o),
                *range(o + v, o + v + b),
                *range(o, o + v),
                *range(o + v + b, found.data.ndim),
            ]
            _close(found.data.permute(order).reshape(expected.shape), expected)
            along = along + expected @ tangents[variable].data.reshape(-1)
        _close(directional[name].data.reshape(-1), along)
        for (parameter, p), expected in zip(probe.parameters.items(), blocks[name][inputs:], strict=True):
            assert expected.isfinite().all(), f"d({name})/d({parameter}) = {expected}"
            found = param_jacobian[name][parameter]
            assert found.shape == (*out.data.shape, *p.shape)
            _close(found.reshape(expected.shape), expected)
    for k, (parameter, p) in enumerate(probe.parameters.items()):
        assert pulled[parameter].shape == p.shape
        expected = sum(cotangents[n].reshape(-1) @ blocks[n][inputs + k] for n in outputs)
        _close(pulled[parameter].reshape(-1), expected)


@every_case
def test_the_formula_can_be_traced(case: Case) -> None:
    """As a graph of operations that does not depend on the numbers of the point at which it was traced."""
    probe = Probe(case)
    graph = make_fx(_function(probe))(*_arguments(probe, probe.point))
    for values in (probe.point, take(probe.batch((2,), seed=6), 1)):
        arguments = _arguments(probe, values)
        for traced, eager in zip(graph(*arguments), _function(probe)(*arguments), strict=True):
            assert torch.equal(traced, eager)


def _function(probe: Probe) -> Callable[..., list[torch.Tensor]]:
    def function(*arguments: torch.Tensor) -> list[torch.Tensor]:
        n = len(probe.point)
        values = {k: like(v, x) for (k, v), x in zip(probe.point.items(), arguments[:n], strict=True)}
        replaced = dict(zip(probe.parameters.values(), arguments[n:], strict=True))
        return [o.data for o in probe.model.evaluate(values, Context(parameters=replaced)).values()]

    return function


def _arguments(probe: Probe, values: dict[str, TensorWrapper]) -> list[torch.Tensor]:
    return [v.data for v in values.values()] + [p.detach() for p in probe.parameters.values()]


@every_case
def test_two_threads_get_the_same_answer(case: Case) -> None:
    probe = Probe(case)
    batches = [probe.batch((2,), seed=s) if case.pointwise else probe.point for s in range(2)]
    alone = [probe.model.call_by_name(b) for b in batches]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(probe.model.call_by_name, batches * 3))
    for k, outputs in enumerate(found):
        for name, out in outputs.items():
            assert torch.equal(out.data, alone[k % 2][name].data)


@every_case
def test_a_nan_is_seen(case: Case) -> None:
    """In every input that has an influence; one that only selects a branch has none."""
    probe = Probe(case)
    leaves = {n: like(v, v.data.clone().requires_grad_(True)) for n, v in probe.point.items()}
    outputs = probe.model.evaluate(leaves)
    variables = [v.data for v in leaves.values()]
    slopes = [
        sum(b.abs().sum() for b in blocks)
        for blocks in zip(*(dense(o.data, variables) for o in outputs.values()))
    ]
    for (name, value), slope in zip(probe.point.items(), slopes, strict=True):
        if slope > 0:
            found = probe.model.call_by_name(probe.point | {name: like(value, value.data * math.nan)})
            assert any(o.data.isnan().any() for o in found.values()), f"a NaN in {name} gives {found}"


@every_case
def test_a_point_is_the_same_alone_and_in_a_batch(case: Case) -> None:
    """Bit for bit: values and derivatives, in any order of the points and from any memory layout."""
    if not case.pointwise:
        pytest.skip("combines the points of a batch")
    probe = Probe(case)
    n = 11  # whole vector registers and a remainder
    batch = probe.batch((n,), seed=4)
    if not batch:
        return
    together = _everything(probe, batch)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(5))
    permuted = _everything(probe, take(batch, order))
    for name, x in together.items():
        assert torch.equal(x[order], permuted[name]), f"{name} depends on the order of the points"
    strided = {k: like(v, torch.stack([v.data, v.data + 1], -1)[..., 0]) for k, v in batch.items()}
    for name, x in _everything(probe, strided).items():
        assert torch.equal(x, together[name]), f"{name} depends on the memory layout"
    for i in (0, n // 2, n - 1):
        for name, x in _everything(probe, take(batch, i)).items():
            assert torch.equal(x, together[name][i]), f"{name} of point {i} differs: {x - together[name][i]}"


def _everything(probe: Probe, values: dict[str, TensorWrapper]) -> dict[str, torch.Tensor]:
    outputs, jacobian = probe.model.jacobian(values)
    batch = probe.model.batch_shape(values)
    found = {
        n: o.data.expand((*batch, *o.data.shape[len(o.dynamic_batch_shape) :])) for n, o in outputs.items()
    }
    plain = {n: o.data.detach() for n, o in probe.model.call_by_name(values).items()}
    for n, x in plain.items():
        assert torch.equal(x.expand(found[n].shape), found[n]), f"{n} differs between call and jacobian"
    return found | {f"d({o})/d({i})": b.data for o, row in jacobian.items() for i, b in row.items()}


def _wires() -> list[Any]:
    found = []
    for case in CASES:
        fields = registry.lookup(case.type).fields.values() if case.wire else ()
        for f in fields:
            if isinstance(f, ParameterField) and not isinstance(f, BufferField) and f.promotable:
                found.append(pytest.param(case, f, id=f"{case}-{f.option}"))
    return found


@pytest.mark.parametrize(("case", "field"), _wires())
def test_a_wired_parameter_gives_the_same_answer(case: Case, field: ParameterField) -> None:
    probe = Probe(case)
    held = probe.model._kinds
    attrs = [a for a in held if a == field.attr or (field.many and a.rpartition("_")[0] == field.attr)]
    if not attrs:
        pytest.skip(f"{field.option} is wired already, or not in use")
    names = {a: f"wired_{a}" for a in attrs}
    given = case.options.get(field.option, field.default)
    entries = list(given) if isinstance(given, list | tuple) else [given]
    renamed = [names.get(f"{field.attr}_{i}", entry) for i, entry in enumerate(entries)]
    wired = case.build(**{field.option: renamed if field.many else names[field.attr]})
    assert list(wired.input_spec)[-len(attrs) :] == list(names.values()) or len(probe.model.input_spec) < len(
        wired.input_spec
    )
    assert not any(a in wired._kinds for a in attrs)
    point = probe.point | {
        names[a]: like(v, v.data.detach().clone()) for a in attrs for v in [getattr(probe.model, a)]
    }
    expected = probe.model.call_by_name(probe.point)
    outputs = wired.call_by_name(point)
    for name, out in expected.items():
        assert torch.equal(outputs[name].data, out.data)
    _, exact = probe.model.param_jacobian(probe.point, attrs)
    leaves = {n: like(v, v.data.clone().requires_grad_(True)) for n, v in point.items()}
    for name, out in wired.evaluate(leaves).items():
        for a, block in zip(attrs, dense(out.data, [leaves[names[a]].data for a in attrs]), strict=True):
            _close(block, exact[name][a].reshape(block.shape))


@every_case
def test_copies(case: Case) -> None:
    probe = Probe(case)
    expected = probe.model.call_by_name(probe.point)
    fresh = case.build()
    for p in fresh.parameters():
        with torch.no_grad():
            p.fill_(0.5)
    fresh.load_state_dict(probe.model.state_dict())
    for twin in (pickle.loads(pickle.dumps(probe.model)), copy.deepcopy(probe.model), fresh):
        assert twin is not probe.model
        assert repr(twin) == repr(probe.model)
        for (a, p), (b, q) in zip(probe.model.named_parameters(), twin.named_parameters(), strict=True):
            assert a == b and p is not q and torch.equal(p, q)
        for name, out in twin.call_by_name(probe.point).items():
            assert torch.equal(out.data, expected[name].data)
    with torch.no_grad():
        for p in probe.model.parameters():
            p.mul_(1.001)
    unused = case.build()
    unused.load_state_dict(probe.model.state_dict())
    for name, out in unused.call_by_name(probe.point).items():
        changed = probe.model.call_by_name(probe.point)[name].data
        assert torch.equal(out.data, changed), f"{name} does not follow a change of the parameters"


@every_case
def test_input_text_gives_the_same_model(case: Case) -> None:
    probe = Probe(case)
    text = input_text(case)
    model = neml2.load_string(text).get_model("model")
    assert type(model) is type(probe.model), text
    assert list(model.input_spec.items()) == list(probe.model.input_spec.items()), text
    assert list(model.output_spec.items()) == list(probe.model.output_spec.items()), text
    found = dict(model.named_parameters())
    assert list(found) == list(probe.parameters), text
    for name, p in probe.parameters.items():
        assert torch.equal(found[name], p), text
    expected = probe.model.call_by_name(probe.point)
    for name, out in model.call_by_name(probe.point).items():
        assert torch.equal(out.data, expected[name].data), text


@every_case
def test_fields_are_documented(case: Case) -> None:
    entry = registry.lookup(case.type)
    assert entry.cls.__doc__ and entry.cls.__doc__.strip()
    for f in entry.fields.values():
        assert f.doc and f.doc[0].isupper() and not f.doc.endswith("."), f"{f.attr}: {f.doc!r}"


def _depends(probe: Probe, at: list[torch.Tensor]) -> bool:
    return any(o.requires_grad for o in probe.scaled(*at))


def _close(found: torch.Tensor, expected: torch.Tensor) -> None:
    atol = 1e-13 * float(expected.detach().abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=max(atol, 1e-300))
