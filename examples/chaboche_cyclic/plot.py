"""Draw the hysteresis loops of `cyclic.i` from its HDF5 file: plot.py cyclic.h5 cyclic.png."""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

AMPLITUDES = ("±0.4 %", "±0.7 %", "±1.0 %")
COLORS = ("#2a9d8f", "#e09f3e", "#9e2a2b")
TESTS = ("10⁻³ /s", "10⁻⁴ /s", "10⁻³ /s, 600 s hold")
DASHES = ("-", "--", ":")
# As in cyclic.i: the first loading, then the steps of a cycle and of its hold.
FIRST, CYCLE, HOLD = 10, 50, 10


def loops(ax, strain, stress):
    """One specimen per amplitude; the cycles go from light to dark."""
    cycles = (len(strain) - 1 - FIRST) // CYCLE
    for specimen, color in enumerate(COLORS):
        ax.plot(strain[: FIRST + 1, specimen], stress[: FIRST + 1, specimen], color=color, lw=0.8, alpha=0.6)
        for i in range(cycles):
            steps = slice(FIRST + i * CYCLE, FIRST + (i + 1) * CYCLE + 1)
            alpha = 0.25 + 0.75 * i / (cycles - 1)
            ax.plot(strain[steps, specimen], stress[steps, specimen], color=color, lw=1.1, alpha=alpha)
    ax.axhline(0, color="0.85", lw=0.8, zorder=0)
    ax.axvline(0, color="0.85", lw=0.8, zorder=0)
    ax.set_xlabel("strain (%)")


def peaks(ax, stress):
    """Stress at the tensile peak of every cycle."""
    peak = stress[FIRST::CYCLE]
    for specimen in range(peak.shape[1]):
        test, amplitude = divmod(specimen, 3)
        ax.plot(np.arange(1, len(peak) + 1), peak[:, specimen], DASHES[test], color=COLORS[amplitude], lw=1.4)
    for test, dashes in enumerate(DASHES):
        ax.plot([], [], dashes, color="0.4", label=TESTS[test])
    ax.legend(loc="center right", fontsize=8, frameon=False)
    ax.set_xlabel("tensile peak")
    ax.set_ylabel("peak stress (MPa)")


def relaxation(ax, time, stress):
    """Stress during the first and the last hold of the three specimens that have one."""
    last = FIRST + (len(time) - 1 - FIRST) // CYCLE * CYCLE - CYCLE
    for specimen, color in zip((6, 7, 8), COLORS, strict=True):
        for start, alpha in ((FIRST, 0.35), (last, 1.0)):
            hold = slice(start + 1, start + HOLD + 1)
            elapsed = time[hold, specimen] - time[start, specimen]
            ax.plot(elapsed, stress[hold, specimen], "o-", ms=2.5, color=color, lw=1.2, alpha=alpha)
    ax.set_xscale("log")
    ax.set_xlabel("time in hold (s)")
    ax.set_ylabel("stress (MPa)")
    ax.text(0.97, 0.93, "first hold: light, last: dark", transform=ax.transAxes, ha="right", fontsize=8)


def main(source, picture):
    """Read the results with plain xarray and draw five panels."""
    with xr.open_dataset(source) as results:
        print(results)
        time = results.time.values
        strain = 100 * results.strain.sel(component="xx").values
        stress = results.stress.sel(component="xx").values

    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure = plt.figure(figsize=(10, 6.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.35, 1))
    axes = above.subplots(1, 3, sharey=True)
    for test, ax in enumerate(axes):
        specimens = slice(3 * test, 3 * test + 3)
        loops(ax, strain[:, specimens], stress[:, specimens])
        ax.set_title(TESTS[test], fontsize=10)
    axes[0].set_ylabel("stress (MPa)")
    for amplitude, color in zip(AMPLITUDES, COLORS, strict=True):
        axes[0].plot([], [], color=color, label=amplitude)
    axes[0].legend(loc="upper left", fontsize=8, frameon=False)
    left, right = below.subplots(1, 2)
    peaks(left, stress)
    relaxation(right, time, stress)
    figure.suptitle("P91 steel at 600 °C: nine cyclic tests in one batch", fontsize=11)
    Path(picture).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=150)
    print(f"Figure written to {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:])
