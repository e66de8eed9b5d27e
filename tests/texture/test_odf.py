"""Densities of one orientation, of many, and with one left out."""

from __future__ import annotations

import math

import pytest
import torch

from neml2 import texture
from neml2.texture import KDEODF, ODF, DeLaValleePoussinKernel
from neml2.types import MRP, R2, WR2, Scalar, Vec, compose, euler_rodrigues, exp_map, shadow
from neml2.types.symmetry import symmetry


def rotations(n: int, seed: int = 0) -> MRP:
    return MRP.rand(n, generator=torch.Generator().manual_seed(seed))


class Uniform(ODF):
    def forward(self, Y: MRP) -> Scalar:
        return Scalar(torch.ones(Y.batch_shape, dtype=Y.dtype))


def test_one_orientation_is_its_kernel():
    kernel = DeLaValleePoussinKernel(0.4)
    centre = rotations(1)
    angles = torch.linspace(0, 3.1, 9, dtype=torch.float64)
    axis = Vec(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    around = compose(MRP.from_axis_angle(axis, Scalar(angles)), MRP(centre.data[0]))
    density = KDEODF(centre, kernel)(around)
    torch.testing.assert_close(density.data, kernel(torch.cos(angles / 2)), rtol=1e-9, atol=1e-12)
    assert int(density.data.argmax()) == 0


def test_the_identity_and_shadows_are_orientations_like_others():
    X = MRP(torch.cat([torch.zeros(1, 3, dtype=torch.float64), rotations(4).data]))
    odf = KDEODF(X, DeLaValleePoussinKernel(0.6))
    Y = rotations(5, seed=1)
    assert bool(odf(X).data.isfinite().all())
    torch.testing.assert_close(odf(shadow(Y)).data, odf(Y).data)


def test_shapes():
    odf = KDEODF(rotations(6), DeLaValleePoussinKernel(0.5))
    assert odf.n == 6
    Y = rotations(12, seed=1)
    grid = MRP(Y.data.reshape(3, 4, 3), 1)
    density = odf(grid)
    assert isinstance(density, Scalar) and density.shape == (3, 4) and density.sub_batch_ndim == 1
    assert torch.equal(density.data.flatten(), odf(Y).data)
    assert odf(MRP(Y.data[0])).shape == ()


def test_many_pairs_are_worked_on_in_parts(monkeypatch):
    odf = KDEODF(rotations(40), DeLaValleePoussinKernel(0.5))
    Y, z = rotations(30, seed=1), torch.eye(3, dtype=torch.float64)
    whole, poles, left = odf(Y).data, odf.pole_density(z[0], z), sum(odf._left_out())
    monkeypatch.setattr("neml2.texture.odf._PAIRS", 100)
    torch.testing.assert_close(odf(Y).data, whole)
    torch.testing.assert_close(odf.pole_density(z[0], z), poles)
    torch.testing.assert_close(sum(odf._left_out()), left)


def test_mean_is_one():
    points, weights = texture.rotation_quadrature(12)
    odf = KDEODF(rotations(5), DeLaValleePoussinKernel(1.2))
    assert float((weights.data * odf(points).data).sum()) / math.pi == pytest.approx(1.0, rel=1e-3)


def test_texture_index():
    assert float(Uniform(rotations(3)).texture_index(10).data) == pytest.approx(1 / math.pi, rel=1e-6)
    sharp, broad = (
        KDEODF(rotations(3), DeLaValleePoussinKernel(h)).texture_index(12).data for h in (0.8, 1.4)
    )
    assert sharp > broad > 1 / math.pi


@pytest.mark.parametrize(
    ("crystal_symmetry", "index"),
    [("1", 3.5), ("2", 1.9), ("222", 1.1), ("432", 1.0), ("622", 1.05)],
)
def test_texture_index_of_a_crystal_in_closed_form(crystal_symmetry, index):
    """For 8 cos^4(w / 2) = 1 + 3/2 chi_1 + 1/2 chi_2, in the characters chi_l of degree l.

    The mean square is 1 + (9/4) n_1 / 3 + (1/4) n_2 / 5, with the mean n_l of chi_l over the symmetry.
    """
    kernel = DeLaValleePoussinKernel(2 * math.acos(2**-0.25))
    odf = KDEODF(rotations(1), kernel)
    found = odf.texture_index(20, crystal_symmetry=crystal_symmetry)
    assert float(found.data) * math.pi == pytest.approx(index, rel=1e-3)


def test_equivalent_orientations_have_the_texture_index_of_one():
    one, kernel = euler_rodrigues(rotations(1)).data, DeLaValleePoussinKernel(0.8)
    equivalent = MRP.from_matrix(R2(one @ symmetry("32").data))
    indices = [
        KDEODF(X, kernel).texture_index(8, crystal_symmetry="32").data for X in (rotations(1), equivalent)
    ]
    torch.testing.assert_close(*indices)
    with pytest.raises(ValueError, match="there is no crystal class 'cubic'"):
        KDEODF(equivalent, kernel).texture_index(crystal_symmetry="cubic")


def test_leave_out():
    X = rotations(7)
    odf = KDEODF(X, DeLaValleePoussinKernel(0.5))
    each = torch.stack([odf.leave_out(i).data for i in range(7)])
    others, one = texture.split(X, 3)
    assert others.shape == (6, 3) and torch.equal(one.data, X.data[3])
    assert torch.equal(each[3], KDEODF(others, odf.kernel)(one).data / math.pi)
    torch.testing.assert_close(sum(odf._left_out()), each.sum())
    with pytest.raises(IndexError, match="no orientation 7; there are 7"):
        texture.split(X, 7)


def test_optimized_width_fits_the_scatter(capsys):
    spread = WR2(0.35 * torch.randn(60, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    odf = KDEODF(exp_map(spread), DeLaValleePoussinKernel(1.5))

    def loss() -> float:
        return float((odf.texture_index(9).data - 2 * sum(odf._left_out()) / odf.n).detach())

    before = loss()
    odf.optimize_kernel(miter=30, lr=0.05, deg=9, verbose=True)
    assert loss() < before
    assert 0.2 < float(odf.kernel.h.detach()) < 1.2
    assert capsys.readouterr().out.count("loss = ") == 30


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (torch.zeros(3, 3), TypeError, "the orientations are a Tensor; give an MRP"),
        (MRP(torch.zeros(3)), ValueError, r"have the batch \(\); give a single batch axis"),
        (MRP(torch.zeros(2, 2, 3)), ValueError, r"have the batch \(2, 2\)"),
    ],
)
def test_unusable_orientations(X, error, message):
    with pytest.raises(error, match=message):
        KDEODF(X, DeLaValleePoussinKernel(0.5))
