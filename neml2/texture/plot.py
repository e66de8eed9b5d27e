"""Pictures of pole figures and inverse pole figures; matplotlib is loaded when the first one is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from neml2.texture.inverse_pole_figures import IPFReduction, inverse_pole_figure_points
from neml2.texture.odf import ODF
from neml2.texture.pole_figures import pole_figure_odf, pole_figure_points
from neml2.texture.projections import projection_of
from neml2.types import MRP

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RIM = "0.25"


def cart2polar(v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Angle and radius ``(*shape,)`` of points ``(*shape, 2)``."""
    return torch.atan2(v[..., 1], v[..., 0]), torch.linalg.vector_norm(v, dim=-1)


def pretty_plot_pole_figure_odf(
    odf: ODF,
    pole: Any,
    projection: str = "stereographic",
    crystal_symmetry: str = "1",
    limits: tuple[float, float] | None = None,
    ncontour: int = 12,
    *,
    sample_symmetry: str = "1",
    axes: Axes | None = None,
    directions: Sequence[str] = ("x", "y"),
    **mesh: Any,
) -> None:
    """Draw the pole density of an orientation distribution as filled contours.

    The density is in multiples of the random one; ``limits`` for it make several pictures comparable.
    ``mesh`` are the other keywords of `pole_figure_odf`. Without ``axes`` a polar subplot of pyplot's current
    figure is made; ``directions`` are the names of the sample's first two axes at its rim.
    """
    values, (angle, radius) = pole_figure_odf(
        odf, pole, projection, crystal_symmetry, sample_symmetry=sample_symmetry, **mesh
    )
    density = values.detach().cpu().numpy()
    levels = _levels(*(limits or (float(density.min()), float(density.max()))), ncontour)
    mesh_of = angle.cpu().numpy(), radius.cpu().numpy()
    axes = _polar(axes, projection, directions)
    filled = axes.contourf(
        *mesh_of, density, levels=levels, cmap="Greys", extend="both" if limits else "neither"
    )
    axes.contour(*mesh_of, density, levels=levels[1:-1], colors="k", linewidths=0.25)
    bar = axes.figure.colorbar(
        filled, ax=axes, shrink=0.7, pad=0.12, aspect=16, ticks=levels[:: max(1, len(levels) // 6)]
    )
    bar.set_label("MRD", fontsize=9)
    bar.ax.tick_params(labelsize=8, width=0.6)
    bar.outline.set_linewidth(0.6)


def pretty_plot_pole_figure_points(
    orientations: MRP,
    pole: Any,
    projection: str = "stereographic",
    crystal_symmetry: str = "1",
    sample_symmetry: str = "1",
    point_size: float | None = None,
    *,
    axes: Axes | None = None,
    directions: Sequence[str] = ("x", "y"),
) -> None:
    """Draw the poles of all orientations; by default the points become smaller as they become more."""
    points = pole_figure_points(orientations, pole, projection, crystal_symmetry, sample_symmetry)
    angle, radius = cart2polar(points.detach().cpu())
    axes = _polar(axes, projection, directions)
    axes.scatter(
        angle.numpy(),
        radius.numpy(),
        s=point_size or _size(len(points)),
        c="k",
        linewidths=0,
        clip_on=False,
        zorder=3,
    )


def pretty_plot_inverse_pole_figure(
    orientations: MRP,
    direction: Any,
    projection: str = "stereographic",
    crystal_symmetry: str = "432",
    sample_symmetry: str = "1",
    reduction: IPFReduction | None = None,
    point_size: float | None = None,
    nline: int = 100,
    axis_labels: Sequence[str] = ("100", "110", "111"),
    *,
    axes: Axes | None = None,
) -> None:
    """Draw, in a triangle, the directions of the crystals along a ``direction`` of the sample.

    ``axis_labels`` name its corners; each side is drawn with ``nline`` points.
    """
    project = projection_of(projection)
    reduction = reduction or IPFReduction()
    points = inverse_pole_figure_points(
        orientations, direction, projection, crystal_symmetry, sample_symmetry, reduction
    )
    x, y = points.detach().cpu().unbind(-1)
    if axes is None:
        import matplotlib.pyplot as plt

        axes = plt.gca()
    axes.scatter(x.numpy(), y.numpy(), s=point_size or _size(len(points)), c="k", linewidths=0, zorder=3)
    outline = project(
        torch.cat([_arc(a, b, nline) for a, b in zip(reduction.v, reduction.v.roll(-1, 0), strict=True)])
    )
    axes.plot(*outline.mT.numpy(), color=_RIM, linewidth=1.0, solid_joinstyle="round", zorder=2)
    corners = project(reduction.v)
    centre = corners.mean(0)
    span = float((outline.max(0).values - outline.min(0).values).max())
    for corner, label in zip(corners, axis_labels, strict=True):
        away = (corner - centre) / torch.linalg.vector_norm(corner - centre)
        place = corner + 0.05 * span * away
        axes.annotate(
            label,
            place.tolist(),
            ha=_side(float(away[0]), "right", "left"),
            va=_side(float(away[1]), "top", "bottom"),
            fontsize=10,
        )
    axes.set_aspect("equal")
    axes.margins(0.1)
    axes.set_axis_off()


def _polar(axes: Axes | None, projection: str, directions: Sequence[str]) -> Axes:
    """Polar axes that end at the rim of the hemisphere, with the names of two directions and nothing else."""
    if axes is None:
        import matplotlib.pyplot as plt

        axes = plt.subplot(projection="polar")
    made: Any = axes
    made.set_rlim(0.0, projection_of(projection).limit)
    made.grid(False)
    made.set_yticks([])
    made.set_xticks([0.0, math.pi / 2], list(directions), fontsize=10)
    made.tick_params(pad=2)
    made.spines["polar"].set(linewidth=1.0, color=_RIM)
    return made


def _levels(low: float, high: float, n: int) -> list[float]:
    """Round numbers, at most about ``n`` steps, from below ``low`` to above ``high``."""
    from matplotlib.ticker import MaxNLocator

    if high - low < 1e-3 * max(abs(high), 1.0):
        low, high = low - 0.05, high + 0.05  # a uniform density has no contours of its own
    return [float(x) for x in MaxNLocator(n).tick_values(low, high)]


def _arc(a: torch.Tensor, b: torch.Tensor, n: int) -> torch.Tensor:
    """Points ``(n, 3)`` on the great circle from a to b."""
    between = torch.lerp(a, b, torch.linspace(0, 1, n, dtype=a.dtype)[:, None])
    return between / torch.linalg.vector_norm(between, dim=-1, keepdim=True)


def _side(away: float, below: str, above: str) -> Any:
    return "center" if abs(away) < 0.4 else above if away > 0 else below


def _size(points: int) -> float:
    """The area of a point in square points: together they cover a part of the picture that stays readable."""
    return min(9.0, max(0.4, 3000.0 / max(points, 1)))
