"""A turned problem has the turned answer: every model of the catalogue that has tensors, in random frames.

Scalars and Miller indices stay as they are, vectors and tensors turn, and orientations are followed by the
turn: so crystals turn together with what loads them. What is given in the frame of the crystal stays as well.
"""

from __future__ import annotations

import math

import pytest
import torch

from neml2.context import Context
from neml2.types import MRP, R2, SSR4, MillerIndex, Scalar, TensorWrapper, euler_rodrigues, rotate
from neml2.types.symmetry import symmetry
from tests.models.cases import Case, all_cases
from tests.models.probe import Probe, like

FIXED = (Scalar, MillerIndex)
MATRICES = {"orientation_matrix", "R"}  # second-order tensors from the crystal to the sample
ORIENTED = {"GeneralElasticity", "SlipSystemElasticInteraction"}  # their stiffness is that of the crystal
NORMAL = {
    "BilinearTraction",
    "OrthotropicLinearTraction",
    "SalehaniIraniTraction",
}  # turn about the first axis
VECTORS = {  # these add parameters of orientations, so they follow turns of crystal and sample together
    "LinearExtrapolationPredictor",
    "WR2ImplicitExponentialTimeIntegration",
}
BY_COMPONENT = {
    "CubicElasticityTensor": "its axes are those of the crystal; GeneralElasticity turns it",
    "MixedControlSetup": "says for each component whether it is a stress or a strain",
    "R2ComponentControl": "an equation for each component",
    "R2ControlPredictor": "a guess for each component",
    "SR2ComponentControl": "an equation for each component",
    "SR2ControlPredictor": "a guess for each component",
    "VecComponents": "the components are what it is for",
    "SR2LinearCombination": "an offset is added to every component",
}


def tensors(case: Case) -> bool:
    """Whether anything of the model can be turned."""
    model = case.build()
    return not all(kind in FIXED for kind in [*model.input_spec.values(), *model.output_spec.values()])


CASES = [c for c in all_cases() if tensors(c)]


def exception(case: Case) -> bool:
    return case.type in BY_COMPONENT and not (case.type == "SR2LinearCombination" and case.tag)


def test_exceptions_are_models_of_the_catalogue():
    assert not (set(BY_COMPONENT) | NORMAL | VECTORS | ORIENTED) - {c.type for c in CASES}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", [c for c in CASES if not exception(c)], ids=str)
def test_a_turned_problem_has_the_turned_answer(case, seed):
    assert difference(case, turn_of(case, seed)) < 1e-12


@pytest.mark.parametrize("kind", BY_COMPONENT)
def test_models_by_component_do_depend_on_the_frame(kind):
    cases = [c for c in CASES if c.type == kind and exception(c)]
    assert max(difference(c, turn_of(c, 0)) for c in cases) > 1e-7


@pytest.mark.parametrize("g", range(24))
def test_a_cubic_stiffness_has_the_symmetry_of_its_crystal(g):
    for case in CASES:
        if case.type == "CubicElasticityTensor":
            (C,) = case.build().call_by_name(case.point(case.build())).values()
            turned = rotate(C, R2(symmetry("432").data[g]))
            torch.testing.assert_close(
                turned.data, C.data, rtol=0, atol=1e-12 * float(C.data.detach().abs().max())
            )


def turn_of(case: Case, seed: int) -> R2:
    """A random rotation, about the normal for interfaces."""
    generator = torch.Generator().manual_seed(seed)
    r = MRP.rand(1, generator=generator).data[0]
    if case.type in NORMAL:
        r = torch.tensor([math.tan(0.3 + seed), 0.0, 0.0], dtype=torch.float64)
    return euler_rodrigues(MRP(r))


def difference(case: Case, Q: R2) -> float:
    """The largest difference between the turned answer and the answer of the turned problem, per size."""
    probe = Probe(case)
    with torch.enable_grad():
        probe.scaled(*probe.variations())
    with torch.no_grad():
        here = probe.model.call_by_name(probe.point)
        point = {n: turned(case, n, v, Q) for n, v in probe.point.items()} | slid(probe, Q)
        replaced = {
            p: turned(case, a, getattr(probe.model, a), Q).data
            for a, p in probe.parameters.items()
            if probe.model._kinds.get(a, Scalar) not in FIXED
        }
        there = probe.model.evaluate(point, Context(parameters=replaced))
    sizes = dict(zip(here, probe.out_sizes, strict=True))
    found = [0.0]
    for name, out in there.items():
        expected = turned(case, name, here[name], Q)
        if (
            type(out) is MRP and case.type not in VECTORS
        ):  # parameters and their shadows are the same rotation
            out, expected = euler_rodrigues(out), euler_rodrigues(expected)
        assert out.data.isfinite().all() and expected.data.isfinite().all(), name
        found.append(float((out.data - expected.data).detach().abs().max()) / sizes[name])
    return max(found)


def slid(probe: Probe, Q: R2) -> dict[str, Scalar]:
    """The two sliding components of an interface, which turn about its normal."""
    first, second = (probe.point.get(f"tangential_separation_{i}") for i in (1, 2))
    if first is None or second is None:
        return {}
    return {
        f"tangential_separation_{i}": like(first, Q.data[i, 1] * first.data + Q.data[i, 2] * second.data)
        for i in (1, 2)
    }


def turned(case: Case, name: str, value: TensorWrapper, Q: R2) -> TensorWrapper:
    """One value in the turned frame."""
    if isinstance(value, FIXED) or (isinstance(value, SSR4) and case.type in ORIENTED):
        return value
    if name in MATRICES and case.type != "R2Multiplication":
        return like(value, Q.data @ value.data)
    if isinstance(value, MRP) and case.type not in VECTORS:
        return like(value, MRP.from_matrix(R2(Q.data @ euler_rodrigues(value).data)).data)
    if isinstance(value, MRP):
        return like(value, (Q.data @ value.data[..., None])[..., 0])
    return like(value, rotate(type(value)(value.data), Q).data)
