import math

import numpy as np
import pytest
import torch

from neml2.drivers.results.declared import Declared
from neml2.drivers.results.derived import QUANTITIES, hydrostatic, parse, principal, trace, von_mises
from neml2.types import R2, SR2, Vec


def value(text, *values):
    return parse(text).quantity.function(*values).data


def test_closed_forms():
    uniaxial = SR2.fill(-200.0, 0.0, 0.0)
    shear = SR2.fill(0.0, 0.0, 0.0, 0.0, 0.0, 70.0)
    assert float(von_mises(uniaxial).data) == pytest.approx(200.0, rel=1e-14)
    assert float(von_mises(shear).data) == pytest.approx(70.0 * math.sqrt(3.0), rel=1e-14)
    assert float(von_mises(SR2.fill(5.0)).data) == pytest.approx(0.0, abs=1e-14)
    incompressible = SR2.fill(0.02, -0.01, -0.01)
    assert float(value("equivalent_strain(e)", incompressible)) == pytest.approx(0.02, rel=1e-14)
    assert float(hydrostatic(uniaxial).data) == pytest.approx(-200.0 / 3.0, rel=1e-14)
    assert float(value("norm(s)", shear)) == pytest.approx(70.0 * math.sqrt(2.0), rel=1e-14)
    assert float(value("norm(v)", Vec(torch.tensor([3.0, 0.0, 4.0])))) == 5.0
    F = R2(torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 4.0]]))
    assert float(trace(F).data) == 9.0
    assert float(value("norm(F)", F)) == pytest.approx(math.sqrt(30.0))


def test_principal_values_of_all_kinds_of_tensors():
    generator = torch.Generator().manual_seed(3)
    general = torch.randn(2000, 6, dtype=torch.float64, generator=generator)
    q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    close = q @ np.diag([1.0, 1.0 + 1e-9, -2.0]) @ q.T
    special = np.array(
        [[1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0], [3, 3, -1, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 1, 1, 1],
         [1e200, 0, 0, 0, 0, 1e-200], close[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]]
    )  # fmt: skip
    physical = np.concatenate([general.numpy(), special])
    found = principal(SR2.from_physical(torch.from_numpy(physical)))
    assert found.sub_batch_shape == (3,)
    matrix = physical[:, [[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
    expected = np.linalg.eigvalsh(matrix)[:, ::-1]
    scale = np.abs(matrix).max((1, 2), keepdims=True)[:, 0]
    assert (np.abs(found.data.numpy() - expected) <= 2e-15 * np.maximum(scale, 1e-300) * 3).all()


def test_values_do_not_depend_on_their_neighbours():
    values = torch.randn(37, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for name in ("von_mises", "principal", "norm", "equivalent_strain", "hydrostatic"):
        many = value(f"{name}(x)", SR2(values))
        alone = torch.stack([value(f"{name}(x)", SR2(v)) for v in values])
        assert torch.equal(many, alone), name


def test_units():
    known = {"s": Declared("Stress", "stress"), "e": Declared("Strain", "strain")}
    assert parse("principal(s)").declared(known) == Declared("Principal values of s, largest first", "stress")
    assert parse("energy(s, e)").declared(known).unit == "stress"
    assert parse("energy(s, s)").declared(known).unit == "stress*stress"
    assert parse("energy(s, q)").declared({}).unit == ""


@pytest.mark.parametrize("name", QUANTITIES)
def test_every_quantity_has_a_standard_spelling(name):
    names = ", ".join("ab"[: QUANTITIES[name].arguments])
    derived = parse(f" {name} ( {names.replace(', ', ' ,')} ) ")
    assert derived.text == f"{name}({names})"
    assert parse(derived.text) == derived
