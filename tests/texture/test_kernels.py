"""The kernel has mean 1 over rotations, half its height at its half width, and the fibre mean it claims."""

from __future__ import annotations

import math

import pytest
import torch

from neml2 import texture
from neml2.types import Scalar


@pytest.mark.parametrize("h", [0.15, 0.5, 1.2])
def test_mean_over_rotations(h):
    kernel = texture.DeLaValleePoussinKernel(h)
    x, w = texture.gauss_points(200)
    omega = math.pi / 2 * (x + 1)  # of density (2/pi) sin^2(omega/2) among random rotations
    mean = (w * math.pi / 2 * 2 / math.pi * torch.sin(omega / 2) ** 2 * kernel(torch.cos(omega / 2))).sum()
    assert float(mean) == pytest.approx(1.0, rel=1e-10)


@pytest.mark.parametrize("h", [0.15, 0.5, 1.2])
def test_half_width(h):
    kernel = texture.DeLaValleePoussinKernel(h)
    top, half = kernel(Scalar([1.0, math.cos(h / 2)])).data
    assert float(half / top) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("h", [0.15, 0.8])
def test_mean_along_a_fibre(h):
    kernel = texture.DeLaValleePoussinKernel(h)
    psi = torch.arange(2000, dtype=torch.float64) * (2 * math.pi / 2000)
    x = torch.tensor([1.0, 0.95, 0.6], dtype=torch.float64)
    mean = kernel(x[:, None] * torch.cos(psi / 2).abs()).mean(-1)
    torch.testing.assert_close(kernel.fibre(x), mean, rtol=1e-10, atol=1e-14)


def test_kernel_is_differentiable_also_where_it_vanishes():
    kernel = texture.DeLaValleePoussinKernel(0.5)
    assert isinstance(kernel.h, torch.Tensor) and not list(kernel.parameters())
    h = kernel.train_width()
    assert kernel.train_width() is h and list(kernel.parameters()) == [h]
    x = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64, requires_grad=True)
    slopes = torch.autograd.grad(kernel(x).sum(), [x, h])
    assert all(bool(s.isfinite().all()) for s in slopes) and float(slopes[0][0]) == 0.0


def test_beta():
    assert float(texture.beta(2, 3)) == pytest.approx(1 / 12)
    torch.testing.assert_close(
        texture.beta(0.5, Scalar([0.5, 1.5])), torch.tensor([math.pi, math.pi / 2]).double()
    )


@pytest.mark.parametrize("h", [0.0, -0.1, 3.2, math.nan])
def test_unusable_widths(h):
    with pytest.raises(ValueError, match="give an angle between 0 and pi"):
        texture.DeLaValleePoussinKernel(h)
