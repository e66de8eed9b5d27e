"""Texture: orientation distributions, pole figures and inverse pole figures, in numbers and in pictures.

Orientations are active rotations Q from the frame of the crystal to that of the sample, as in crystal
plasticity. Poles and directions are Cartesian vectors; densities are multiples of the random one.
"""

from neml2.texture.inverse_pole_figures import IPFReduction, inverse_pole_figure_points
from neml2.texture.kernels import DeLaValleePoussinKernel, Kernel, beta
from neml2.texture.odf import KDEODF, ODF, split
from neml2.texture.plot import (
    cart2polar,
    pretty_plot_inverse_pole_figure,
    pretty_plot_pole_figure_odf,
    pretty_plot_pole_figure_points,
)
from neml2.texture.pole_figures import pole_figure_odf, pole_figure_points, symmetry_operators_as_R2
from neml2.texture.projections import LambertProjection, StereographicProjection, available_projections
from neml2.texture.quadrature import (
    arbitrary_hemispherical_quadrature,
    gauss_points,
    rotation_quadrature,
    spherical_quadrature,
)

__all__ = [
    "DeLaValleePoussinKernel",
    "IPFReduction",
    "KDEODF",
    "Kernel",
    "LambertProjection",
    "ODF",
    "StereographicProjection",
    "arbitrary_hemispherical_quadrature",
    "available_projections",
    "beta",
    "cart2polar",
    "gauss_points",
    "inverse_pole_figure_points",
    "pole_figure_odf",
    "pole_figure_points",
    "pretty_plot_inverse_pole_figure",
    "pretty_plot_pole_figure_odf",
    "pretty_plot_pole_figure_points",
    "rotation_quadrature",
    "spherical_quadrature",
    "split",
    "symmetry_operators_as_R2",
]
