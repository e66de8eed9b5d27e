"""Slip systems from Miller indices: how many, in which planes, at any scale, in any lattice."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch

from neml2.data import CrystalGeometry
from neml2.types import MillerIndex, skew, sym
from neml2.types.symmetry import symmetry

HEXAGONAL = torch.tensor(
    [[1.0, 0.0, 0.0], [-0.5, math.sqrt(3) / 2, 0.0], [0.0, 0.0, math.sqrt(8 / 3)]], dtype=torch.float64
)


def index(*rows: list[int]) -> MillerIndex:
    return MillerIndex(torch.tensor(rows[0] if len(rows) == 1 else rows))


def crystal(direction, plane, lattice=HEXAGONAL, orbifold="622") -> CrystalGeometry:
    return CrystalGeometry(
        sym_ops=symmetry(orbifold), lattice_vectors=lattice, slip_directions=direction, slip_planes=plane
    )


@pytest.mark.parametrize(
    ("direction", "plane", "systems", "normal"),
    [
        ([1, 0, 0], [0, 0, 1], 3, 1.0),  # basal <a>
        ([1, 1, 0], [1, -1, 0], 3, 0.0),  # prismatic <a>
        ([1, 1, 0], [1, -1, 1], 6, None),  # pyramidal <a>
        ([1, 1, 1], [1, 1, -2], 6, None),  # second-order pyramidal <c + a>, [11-23] in four indices
    ],
)
def test_hexagonal_families(direction, plane, systems, normal):
    found = crystal(index(direction), index(plane))
    assert found.nslip == systems
    if normal is not None:
        z = found.cartesian_slip_planes[:, 2].abs()
        torch.testing.assert_close(z, torch.full_like(z, normal))


def test_lattice_vectors_are_dual():
    lattice = torch.tensor([[1.0, 0.1, 0.0], [-0.2, 2.0, 0.3], [0.1, 0.4, 3.0]], dtype=torch.float64)
    found = crystal(index([1, 0, 0]), index([0, 2, 0]), lattice, "1")
    torch.testing.assert_close(
        found.reciprocal_lattice_vectors @ found.lattice_vectors.mT, torch.eye(3, dtype=torch.float64)
    )
    torch.testing.assert_close(found.cartesian_slip_directions[0] * found.burgers[0], lattice[0])
    # the plane (010) holds the first and the third vector
    torch.testing.assert_close(
        lattice[[0, 2]] @ found.cartesian_slip_planes[0], torch.zeros(2, dtype=torch.float64)
    )


@pytest.mark.parametrize("scale", [3.6e-10, 1.0, 3.6e8])
def test_the_unit_of_length_does_not_matter(scale):
    cube = scale * torch.eye(3, dtype=torch.float64)
    found = crystal(index([1, 1, 0], [1, 1, 0]), index([1, 1, 1], [0, 0, 1]), cube, "432")
    assert found.slip_offsets == [0, 12, 18]
    torch.testing.assert_close(found.burgers, torch.full((18,), math.sqrt(2) * scale, dtype=torch.float64))


def test_tensors_of_the_systems():
    found = crystal(index([1, 1, 0]), index([1, 1, 1]), torch.eye(3).double(), "432")
    d, n = found.cartesian_slip_directions, found.cartesian_slip_planes
    for v in (d, n):
        torch.testing.assert_close(torch.linalg.vector_norm(v, dim=-1), torch.ones(12, dtype=torch.float64))
    torch.testing.assert_close((d * n).sum(-1), torch.zeros(12, dtype=torch.float64))
    assert found.A.sub_batch_ndim == found.M.sub_batch_ndim == found.W.sub_batch_ndim == 1
    torch.testing.assert_close(found.A.data, d[:, :, None] * n[:, None, :])
    assert torch.equal(found.M.data, sym(found.A).data) and torch.equal(found.W.data, skew(found.A).data)
    same = (found.A.data[:, None] - found.A.data).abs().amax((-1, -2)) < 1e-9
    opposite = (found.A.data[:, None] + found.A.data).abs().amax((-1, -2)) < 1e-9
    assert int(same.sum()) == 12 and not bool(opposite.any())


def test_groups():
    found = crystal(index([1, 1, 1], [1, 1, 1]), index([1, 1, 0], [1, 2, -3]), torch.eye(3).double(), "432")
    assert (found.nslip, found.nslip_groups) == (36, 2)
    assert [found.nslip_in_group(i) for i in range(2)] == [12, 24]
    with pytest.raises(IndexError, match="no family 2; the crystal has 2"):
        found.nslip_in_group(2)
    assert found.slip_directions.shape == (2, 3) and found.slip_planes.shape == (2, 3)


def test_it_is_a_module_without_state():
    found = crystal(index([1, 1, 0]), index([1, 1, 1]), torch.eye(3).double(), "432")
    assert not list(found.parameters()) and not found.state_dict()
    for twin in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert torch.equal(twin.M.data, found.M.data) and twin.nslip == 12
    single = found.to(torch.float32)
    assert single.M.dtype == single.burgers.dtype == torch.float32
    assert "nslip=12" in repr(found)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"slip_planes": torch.tensor([1, 1, 1])}, TypeError, "slip_planes is a Tensor; give a MillerIndex"),
        ({"sym_ops": torch.eye(3)[None]}, TypeError, "sym_ops is a Tensor; give a R2"),
        ({"slip_planes": index([1, 1, 1], [1, 1, 0])}, ValueError, r"\(3,\) and slip_planes \(2, 3\)"),
        ({"slip_planes": index([0, 0, 0])}, ValueError, "integers that are not all zero"),
        ({"slip_planes": MillerIndex([1.0, 0.5, 0.0])}, ValueError, "integers that are not all zero"),
        ({"lattice_vectors": torch.zeros(3, 3)}, ValueError, "three independent vectors"),
        ({"slip_planes": index([1, 0, 0]), "slip_directions": index([1, 0, 0]), "sym_ops": symmetry("1")},
         RuntimeError, r"the family \[1 0 0\]\(1 0 0\) has no slip system"),
    ],
)  # fmt: skip
def test_errors(change, error, message):
    given = {
        "sym_ops": symmetry("432"),
        "lattice_vectors": torch.eye(3).double(),
        "slip_directions": index([1, 1, 0]),
        "slip_planes": index([1, 1, 1]),
    }
    with pytest.raises(error, match=message):
        CrystalGeometry(**given | change)
