"""Roll the sheet of `rolling.i`, and draw its texture before and after, and its strength on the way.

    python texture.py [PICTURE.png] [grains:=N]

`grains` replaces the number of the input file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import torch

import neml2
from neml2.texture import KDEODF, DeLaValleePoussinKernel, pretty_plot_pole_figure_odf
from neml2.types import MRP, SR2, dev, norm

HERE = Path(__file__).parent
RATE = 2 / 3**0.5 * 1e-3  # the equivalent strain rate of rolling at 1e-3 /s
WIDTH = 0.15  # of the kernel that smooths the orientations, in radians


def main(picture: str = "rolling.png", *settings: str) -> None:
    """Run, and draw."""
    driver = neml2.load_input(HERE / "rolling.i", post=settings).get_driver("driver")
    start = perf_counter()
    with torch.no_grad():
        run = driver.run(save={"variables": ["orientation", "cauchy_stress"], "every": 10})
    print(f"{run.batch.numel()} grains, {len(driver.history) - 1} steps: {perf_counter() - start:.1f} s")

    figure = plt.figure(figsize=(11, 6.4), layout="constrained")
    for row, k, when in ((0, 0, "before"), (1, -1, "after")):
        for column, pole in enumerate(((1.0, 1.0, 1.0), (1.0, 1.0, 0.0))):
            axes = figure.add_subplot(2, 3, 3 * row + column + 1, projection="polar")
            some = run["orientation"].data[k, :10_000]  # as good for the eye, and faster
            odf = KDEODF(MRP(some), DeLaValleePoussinKernel(WIDTH))
            pretty_plot_pole_figure_odf(
                odf,
                pole,
                crystal_symmetry="432",
                limits=(0.0, 5.0),
                nquad=None,
                axes=axes,
                directions=("RD", "TD"),
            )
            axes.set_title(f"{{{''.join(f'{i:.0f}' for i in pole)}}} {when} rolling", fontsize=10)
    stress = SR2(run["cauchy_stress"].data.mean(1))  # of the sheet
    axes = figure.add_subplot(2, 3, (3, 6))
    axes.plot(RATE * run.time.flatten(), 1.5**0.5 * norm(dev(stress)).data)
    axes.set_xlabel("equivalent strain")
    axes.set_ylabel("equivalent stress of the sheet (MPa)")
    axes.set_ylim(bottom=0)
    figure.savefig(picture, dpi=150)


if __name__ == "__main__":
    main(*sys.argv[1:])
