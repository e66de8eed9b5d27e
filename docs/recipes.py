"""Draw the pictures of the recipes: `python docs/recipes.py docs/images`.

Words after the folder choose recipes: `python docs/recipes.py docs/images diffusion pyrolysis`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

import neml2
from neml2.texture import (
    KDEODF,
    DeLaValleePoussinKernel,
    IPFReduction,
    inverse_pole_figure_points,
    pretty_plot_inverse_pole_figure,
    pretty_plot_pole_figure_odf,
)
from neml2.types import MRP

RECIPES = Path(__file__).parents[1] / "examples" / "recipes"
COLORS = ("#264653", "#2a9d8f", "#e09f3e", "#9e2a2b", "#7b5ea7")
LOOK = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}


def main(target: str, *names: str) -> None:
    """Run every recipe and write `recipe-<name>.png` into the folder."""
    Path(target).mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        if names and name not in names:
            continue
        with plt.rc_context({**LOOK, "axes.prop_cycle": plt.cycler(color=COLORS)}):
            picture = Path(target) / f"recipe-{name.replace('_', '-')}.png"
            draw(run(name)).savefig(picture, dpi=110)
            plt.close("all")
            print(picture)


def run(name: str) -> neml2.Trajectory:
    """The history of the recipe's only driver."""
    file = neml2.load_input(RECIPES / name / "model.i")
    (driver,) = file.names("Drivers")
    with torch.no_grad():
        trajectory: neml2.Trajectory = file.get_driver(driver).run()
    return trajectory


def panels(count: int, width: float = 3.6, height: float = 2.9, **options):
    """A figure with panels side by side."""
    figure, axes = plt.subplots(
        1, count, figsize=(width * count, height), layout="constrained", squeeze=False, **options
    )
    return figure, axes[0]


def physical(trajectory, name, component):
    """One component over the rows, ``(row, *batch)``."""
    return trajectory[name].physical()[..., component].numpy()


def values(trajectory, name):
    """The numbers of a variable."""
    return trajectory[name].data.numpy()


def label(ax, x, y, legend=None):
    """Names of the axes, and of the lines."""
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if legend:
        ax.legend(ax.get_lines()[: len(legend)], legend, fontsize=8)


def linear_elasticity(t):
    """Tension with its lateral contraction, and shear."""
    figure, (left, right) = panels(2)
    for c in (0, 1):
        left.plot(100 * physical(t, "strain", c)[:, 0], physical(t, "stress", 0)[:, 0])
    label(left, "strain (%)", "stress xx (MPa)", ("strain xx", "strain yy"))
    right.plot(100 * physical(t, "strain", 5)[:, 1], physical(t, "stress", 5)[:, 1], color=COLORS[2])
    label(right, "strain xy (%)", "stress xy (MPa)")
    return figure


def loop(t, legend=None):
    """Stress over strain along xx."""
    figure, (ax,) = panels(1, 4.6, 3.2)
    strain, stress = (physical(t, n, 0).reshape(len(t["t"].data), -1) for n in ("strain", "stress"))
    ax.plot(100 * strain, stress, lw=1.3)
    label(ax, "strain xx (%)", "stress xx (MPa)", legend)
    return figure


def temperature_dependent(t):
    """Stress over the total strain; the strain over time."""
    figure, (left, right) = panels(2)
    kelvin = [f"{value:.0f} K" for value in values(t, "T")[-1]]
    left.plot(100 * physical(t, "strain", 0), physical(t, "stress", 0), lw=1.3)
    label(left, "strain xx (%)", "stress xx (MPa)", kelvin)
    right.plot(values(t, "t") / 60, 100 * physical(t, "strain", 0), lw=1.3)
    label(right, "time (min)", "strain xx (%)")
    return figure


def porous_plasticity(t):
    """Stress, and the growth of voids."""
    figure, (left, right) = panels(2)
    sides = ("free sides", "one side held", "both sides prescribed")
    strain = 100 * physical(t, "strain", 0)
    left.plot(strain, physical(t, "stress", 0), lw=1.3)
    label(left, "strain xx (%)", "stress xx (MPa)", sides)
    right.plot(strain, 100 * values(t, "void_fraction"), lw=1.3)
    label(right, "strain xx (%)", "voids (%)")
    return figure


def single_crystal(t):
    """Stress, and the way of the axis through the triangle of the crystal's directions."""
    figure, (left, right) = panels(2)
    strain = values(t, "t") * 1e-3
    left.plot(100 * strain, physical(t, "cauchy_stress", 0), lw=1.3)
    label(left, "strain xx (%)", "stress xx (MPa)")
    pretty_plot_inverse_pole_figure(
        MRP(t["orientation"].data[-1]), [1.0, 0, 0], crystal_symmetry="432", axes=right
    )
    for crystal in range(3):
        way = inverse_pole_figure_points(
            MRP(t["orientation"].data[:, crystal]), [1.0, 0, 0], "stereographic", "432", "1", IPFReduction()
        )
        right.plot(*way.numpy().T, lw=1.3)
    right.set_title("the axis of tension, in the crystal", fontsize=9)
    return figure


def polycrystal_texture(t):
    """Pole figures of the first and of the last row."""
    figure = plt.figure(figsize=(8.4, 3.6), layout="constrained")
    for i, (row, title) in enumerate(((0, "before"), (-1, "after rolling"))):
        axes = figure.add_subplot(1, 2, i + 1, projection="polar")
        odf = KDEODF(MRP(t["orientation"].data[row]), DeLaValleePoussinKernel(torch.tensor(0.15)))
        pretty_plot_pole_figure_odf(
            odf,
            [1, 1, 1],
            crystal_symmetry="432",
            sample_symmetry="222",
            limits=(0.4, 2.8),
            axes=axes,
            directions=("RD", "TD"),
        )
        axes.set_title(f"{{111}}, {title}", fontsize=10, pad=14)
    return figure


def viscoelastic_relaxation(t):
    """Stress over the logarithm of time, with the times of relaxation."""
    figure, (ax,) = panels(1, 4.6, 3.0)
    time = values(t, "t")[1:]
    ax.semilogx(time, physical(t, "stress", 0)[1:])
    for tau in (1, 50, 2000):
        ax.axvline(tau, color="0.8", lw=0.8, zorder=0)
    label(ax, "time (s)", "stress xx (MPa)")
    return figure


def cohesive_zone(t):
    """Traction over separation, by their lengths."""
    figure, (ax,) = panels(1, 4.6, 3.2)
    opened = 1e3 * torch.linalg.vector_norm(t["separation"].data, dim=-1).numpy()
    ax.plot(opened, torch.linalg.vector_norm(t["traction"].data, dim=-1).numpy(), lw=1.3)
    angles = ("opening", "22.5°", "45°", "67.5°", "sliding")
    label(ax, "separation (µm)", "traction (MPa)", angles)
    return figure


def phase_field_fracture(t):
    """Stress, and the phase field."""
    figure, (left, right) = panels(2)
    strain = 100 * physical(t, "E", 0)
    left.plot(strain, physical(t, "S", 0), lw=1.3)
    left.set_ylim(-30, 15)
    label(left, "strain xx (%)", "stress xx (MPa)", ("pulled", "pushed"))
    right.plot(strain, values(t, "d"), lw=1.3)
    label(right, "strain xx (%)", "phase field")
    return figure


def pyrolysis(t):
    """What is left of a kilogram, and its volume."""
    figure, (left, right) = panels(2)
    rates = [f"{rate} K/min" for rate in (5, 20, 80)]
    left.plot(values(t, "T"), values(t, "mass"), lw=1.3)
    label(left, "temperature (K)", "mass (kg)", rates)
    right.plot(values(t, "T"), 1e3 * values(t, "volume"), lw=1.3)
    label(right, "temperature (K)", "volume (l)")
    return figure


def precipitation(t):
    """The volume of the precipitates, and their sizes at the end."""
    figure, (left, right) = panels(2)
    left.semilogx(values(t, "t")[1:], 100 * values(t, "f")[1:], lw=1.3)
    label(left, "time (s)", "volume fraction (%)", [f"{value:.0f} K" for value in values(t, "T")[-1]])
    radii = torch.linspace(0.55, 4.45, 40)
    right.plot(radii, 1e27 / 0.1 * values(t, "n")[-1].T, lw=1.3)
    label(right, "radius (nm)", "number density (1/m³ nm)")
    return figure


def diffusion(t):
    """Concentrations in the cells, and those of a half-space in closed form."""
    figure, (ax,) = panels(1, 4.6, 3.0)
    depth = torch.linspace(0.025, 1.975, 40)
    for color, row in zip(COLORS, (5, 20, 80)):
        hours = float(t["t"].data[row])
        exact = 0.9 - 0.7 * torch.erf(depth / (2 * (0.06 * hours) ** 0.5))
        ax.plot(depth, values(t, "c")[row], "o", ms=3, color=color, label=f"{hours:g} h")
        ax.plot(depth, exact, lw=0.9, color=color)
    label(ax, "depth (mm)", "carbon (mass %)")
    ax.legend(fontsize=8)
    return figure


def porous_flow(t):
    """How full the pores are over depth: one rain at five times, and three rains at the end."""
    figure, (left, right) = panels(2, height=3.4, sharey=True)
    depth, full = torch.linspace(0.01, 0.99, 50), values(t, "S")
    for hour in range(5, 0, -1):
        wet = full[20 * hour, 0]
        left.fill_betweenx(depth, 0.2, wet, color=plt.cm.Blues(1.0 - 0.1 * hour), lw=0)
        left.text(0.22, depth[int((wet > 0.3).sum())] - 0.05, f"{hour} h", color="white", fontsize=9)
    label(left, "effective saturation", "depth (m)")
    left.set_title("40 mm/h of rain", fontsize=9)
    left.invert_yaxis()
    conductivity = 9.81 * 3.6e9 * 1.8e-12 * ((0.38 / 0.62) / (0.40 / 0.60)) ** 3  # of full pores, m/h
    for column, rain in enumerate((0.04, 0.01, 0.0025)):
        (line,) = right.plot(full[-1, column], depth, lw=1.3, label=f"{1000 * rain:g} mm/h")
        behind = (rain / conductivity) ** 0.25
        front = 5 * (rain - conductivity * 0.2**4) / (0.38 * 0.9 * (behind - 0.2))
        right.plot([behind, behind, 0.2, 0.2], [0, front, front, 1], "--", lw=0.8, color=line.get_color())
    label(right, "effective saturation", "")
    right.set_title("after 5 h; dashed: a sharp front", fontsize=9)
    right.legend(fontsize=8)
    return figure


PICTURES: dict[str, Callable] = {
    "linear_elasticity": linear_elasticity,
    "isotropic_plasticity": loop,
    "viscoplasticity": lambda t: loop(t, ("10⁻² /s", "10⁻³ /s", "10⁻⁴ /s")),
    "temperature_dependent": temperature_dependent,
    "porous_plasticity": porous_plasticity,
    "single_crystal": single_crystal,
    "polycrystal_texture": polycrystal_texture,
    "viscoelastic_relaxation": viscoelastic_relaxation,
    "cohesive_zone": cohesive_zone,
    "phase_field_fracture": phase_field_fracture,
    "pyrolysis": pyrolysis,
    "precipitation": precipitation,
    "diffusion": diffusion,
    "porous_flow": porous_flow,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
