"""Directions of crystals along the sample's, and the triangles to which they are reduced."""

from __future__ import annotations

import math

import pytest
import torch

from neml2 import texture
from neml2.texture import IPFReduction, StereographicProjection
from neml2.types import MRP, Scalar, Vec, compose
from neml2.types.symmetry import symmetry
from tests.texture.test_odf import rotations


def solid_angle(v: torch.Tensor) -> float:
    """A. van Oosterom and J. Strackee, IEEE Trans. Biomed. Eng. 30 (1983)."""
    a, b, c = v
    return 2 * math.atan2(abs(float(torch.linalg.det(v))), 1 + float(a @ b + b @ c + c @ a))


@pytest.mark.parametrize("orbifold", ["432", "622", "42", "222"])
def test_triangle_is_what_symmetry_and_inversion_leave(orbifold):
    triangle = IPFReduction.of(orbifold)
    operators = symmetry(orbifold).data
    assert solid_angle(triangle.v) == pytest.approx(4 * math.pi / (2 * len(operators)))
    v = torch.randn(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for x in v / torch.linalg.vector_norm(v, dim=-1, keepdim=True):
        images = torch.cat([operators, -operators]) @ x
        assert len(triangle(images)) == 1, "exactly one of all images lies inside"


def test_normals_point_inwards_and_borders_are_outside():
    triangle = IPFReduction([0, 0, 1], [1, 0, 1], [1, 1, 1])
    inner = triangle.v.sum(0)
    assert bool((triangle.n @ inner > 0).all())
    torch.testing.assert_close(
        (triangle.n @ triangle.v.mT).abs().min(0).values, torch.zeros(3, dtype=torch.float64)
    )
    assert len(triangle(triangle.v)) == 0 and len(triangle(inner[None])) == 1
    other = IPFReduction([1, 1, 1], [1, 0, 1], [0, 0, 1])  # the other way round
    assert len(other(inner[None])) == 1


def test_direction_of_a_known_crystal():
    # the shortest turn that takes the crystal's [3 1 4] to z
    target = torch.tensor([3.0, 1.0, 4.0], dtype=torch.float64) / math.sqrt(26)
    z = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    orientation = MRP(MRP.rotation_from_to(Vec(target), Vec(z)).data[None])
    points = texture.inverse_pole_figure_points(orientation, [0, 0, 1], crystal_symmetry="432")
    torch.testing.assert_close(points, StereographicProjection()(target)[None])
    nothing = texture.inverse_pole_figure_points(
        orientation, [0, 0, 1], reduction=IPFReduction([0, 0, 1], [0, 1, 0], [-1, 0, 0])
    )
    assert nothing.shape == (0, 2)


def test_every_orientation_has_one_point_for_each_image_of_the_sample():
    found = texture.inverse_pole_figure_points(rotations(9), [1, 2, 3], "lambert", "432", "222")
    assert found.shape == (9 * 4, 2)
    alone = texture.inverse_pole_figure_points(rotations(9), [1, 2, 3], "lambert", "432")
    assert alone.shape == (9, 2)


def test_rotation_about_the_direction_changes_nothing():
    z = Vec(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    plain = texture.inverse_pole_figure_points(rotations(9), [0, 0, 1], crystal_symmetry="432")
    turned = compose(MRP.from_axis_angle(z, Scalar(0.7)), rotations(9))
    again = texture.inverse_pole_figure_points(turned, [0, 0, 1], crystal_symmetry="432")
    torch.testing.assert_close(again, plain)


def test_errors():
    with pytest.raises(ValueError, match="corner v0 is .*; give three components"):
        IPFReduction(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="lie on a great circle; they are no triangle"):
        IPFReduction([1, 0, 0], [0, 1, 0], [1, 1, 0])
    with pytest.raises(ValueError, match="no triangle is known for the class '23'"):
        IPFReduction.of("23")
