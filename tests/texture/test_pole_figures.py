"""Pole figures of orientations whose poles are known."""

from __future__ import annotations

import math

import pytest
import torch

from neml2 import texture
from neml2.texture import KDEODF, DeLaValleePoussinKernel, available_projections
from neml2.types import MRP, Scalar, Vec, euler_rodrigues
from neml2.types.symmetry import symmetry
from tests.texture.test_odf import Uniform, rotations

X, Y, Z = (Vec(row) for row in torch.eye(3, dtype=torch.float64))
both = pytest.mark.parametrize("projection", list(available_projections))


def turned(axis: Vec, angle: float) -> MRP:
    return MRP(MRP.from_axis_angle(axis, Scalar(angle)).data[None])


@both
def test_points_of_a_crystal_turned_about_z(projection):
    points = texture.pole_figure_points(turned(Z, 0.4), [1, 0, 1], projection)
    angle, radius = texture.cart2polar(points)
    assert float(angle) == pytest.approx(0.4)
    project = available_projections[projection]
    assert float(radius) == pytest.approx(
        float(project(torch.tensor([math.sqrt(0.5), 0.0, math.sqrt(0.5)]).double())[0])
    )


def test_cube_orientation_has_its_100_poles_on_the_axes():
    # turned a little about x + y, so that no pole lies on the rim
    points = texture.pole_figure_points(turned(Vec(X.data + Y.data), 1e-3), [1, 0, 0], crystal_symmetry="432")
    assert points.shape == (12, 2)  # 3 of the 6 poles are above, each is met by 4 rotations
    distinct = torch.unique(points.round(decimals=2), dim=0)
    radii = torch.linalg.vector_norm(distinct, dim=-1)
    assert sorted(radii.round(decimals=2).tolist()) == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("sample", ["2", "222", "4", "432"])
def test_every_rotation_of_the_sample_is_applied_to_every_pole(sample):
    orientations, order = rotations(5), symmetry(sample).data.shape[0]
    found = texture.pole_figure_points(orientations, [1, 2, 3], "lambert", "23", sample)
    Q, C, S = euler_rodrigues(orientations).data, symmetry("23").data, symmetry(sample).data
    pole = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64) / math.sqrt(14)
    everything = [s @ q @ c @ pole for q in Q for c in C for s in S]
    assert len(everything) == 5 * 12 * order
    above = torch.stack([v for v in everything if v[2] >= 0])
    torch.testing.assert_close(found, available_projections["lambert"](above))


def test_operators_with_inversion():
    operators = texture.symmetry_operators_as_R2("622", include_inversion=True)
    assert operators.shape == (24, 3, 3) and operators.sub_batch_ndim == 1
    assert torch.equal(operators.data[12:], -operators.data[:12])


@both
def test_a_uniform_density_is_one_everywhere(projection):
    values, (angle, radius) = texture.pole_figure_odf(
        Uniform(rotations(1)), [1, 1, 1], projection, "432", 5, 8, 4
    )
    assert values.shape == angle.shape == radius.shape == (5, 9)
    torch.testing.assert_close(values, torch.ones_like(values))
    assert float(radius.min()) == 0.0 and float(radius.max()) == available_projections[projection].limit
    assert torch.equal(angle[0], torch.linspace(0, 2 * math.pi, 9, dtype=torch.float64))


@both
def test_density_is_highest_where_the_poles_are(projection):
    """On the same hemisphere, and the same way round, as the points."""
    orientations = MRP(torch.tensor([[0.12, -0.2, 0.31]], dtype=torch.float64))
    (point,) = texture.pole_figure_points(orientations, [0.2, 0.1, 1.0], projection)
    odf = KDEODF(orientations, DeLaValleePoussinKernel(0.3))
    values, (angle, radius) = texture.pole_figure_odf(
        odf, [0.2, 0.1, 1.0], projection, nradial=30, ntheta=60, nquad=None
    )
    at = int(values[:, :-1].argmax())
    theta, r = angle[:, :-1].flatten()[at], radius[:, :-1].flatten()[at]
    found = torch.stack([r * torch.cos(theta), r * torch.sin(theta)])
    torch.testing.assert_close(found, point, rtol=0, atol=0.05)


def test_density_of_one_orientation_is_that_of_its_kernel():
    orientations, kernel = rotations(1), DeLaValleePoussinKernel(0.5)
    directions = torch.randn(20, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    directions = directions / torch.linalg.vector_norm(directions, dim=-1, keepdim=True)
    density = KDEODF(orientations, kernel).pole_density(Z.data, directions)
    angle = torch.acos(directions @ euler_rodrigues(orientations).data[0, :, 2])
    kappa = float(kernel.kappa)  # the kernel on the sphere: (kappa + 1) cos^2k(angle/2), of mean 1
    torch.testing.assert_close(
        density, (kappa + 1) * torch.cos(angle / 2) ** (2 * kappa), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("crystal", ["1", "32", "432"])
def test_quadrature_converges_to_the_exact_density(crystal):
    odf = KDEODF(
        rotations(6), DeLaValleePoussinKernel(0.5)
    )  # kappa = 22: the trapezoidal rule needs 23 points
    mesh = {"nradial": 4, "ntheta": 6, "crystal_symmetry": crystal}
    exact, _ = texture.pole_figure_odf(odf, [1, 1, 2], nquad=None, **mesh)
    fine, _ = texture.pole_figure_odf(odf, [1, 1, 2], nquad=32, nchunk=17, **mesh)
    torch.testing.assert_close(fine, exact, rtol=1e-10, atol=1e-10)


def test_symmetry_of_the_sample_is_that_of_the_figure():
    odf = KDEODF(rotations(2), DeLaValleePoussinKernel(0.4))
    mesh = {"nradial": 5, "ntheta": 12, "nquad": None, "crystal_symmetry": "432"}
    plain, _ = texture.pole_figure_odf(odf, [1, 1, 0], **mesh)
    symmetric, _ = texture.pole_figure_odf(odf, [1, 1, 0], sample_symmetry="222", **mesh)
    half = symmetric[:, :-1].roll(6, -1)
    torch.testing.assert_close(half, symmetric[:, :-1])  # about z
    # about x with the inversion, which the poles of a cubic crystal have: y -> -y
    torch.testing.assert_close(symmetric.flip(-1), symmetric)
    assert float((plain - plain.flip(-1)).abs().max()) > 0.1


def test_errors():
    odf = Uniform(rotations(2))
    with pytest.raises(TypeError, match="the pole density of a Uniform has no closed form; give nquad"):
        texture.pole_figure_odf(odf, [1, 0, 0], nquad=None)
    with pytest.raises(ValueError, match="offset_fraction is 0; give a number between 0 and 1"):
        texture.pole_figure_odf(odf, [1, 0, 0], offset_fraction=0.0)
    with pytest.raises(ValueError, match="no crystal class '433'"):
        texture.pole_figure_points(rotations(2), [1, 0, 0], crystal_symmetry="433")
