"""The yield stress of specimens that scatter: its mean and its standard deviation, by Pyro through pyzag.

    python examples/calibrate_hierarchical/calibrate.py [picture.png [steps]]

Ten specimens have yield stresses of their own, drawn from a normal distribution. All are strained alike, and
their stresses are measured with noise. A hierarchical model finds the distribution and every value.
It needs pyzag: ``pip install 'neml2[recurrent]'``.
"""

import sys
from pathlib import Path

import pyro
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoNormal, init_to_value
from pyzag.reparametrization import RangeRescale, Reparameterizer
from pyzag.stochastic import HierarchicalStatisticalModel, MapNormal

import neml2
from neml2.recurrent import HistorySolver, PyzagModel, solve_adjoint

MODEL = Path(__file__).parents[1] / "calibrate_viscoplastic" / "model.i"
MEAN, SCATTER, NOISE = 90.0, 8.0, 3.0  # MPa
SPECIMENS, ROWS = 10, 41
RANGE = RangeRescale(torch.tensor(20.0), torch.tensor(200.0))  # MPa: the yield stress, on a scale from 0 to 1
NAME = "material.parametrizations.yield_function_sy.original"


class Specimens(torch.nn.Module):
    """From forces ``(time, specimen, force)`` to axial stresses ``(time, specimen, 1)``."""

    def __init__(self):
        super().__init__()
        model = neml2.load_model(MODEL, "model")
        self.material = PyzagModel(model, include_parameters=["yield_function_sy"])
        Reparameterizer({"material.yield_function_sy": RANGE})(self)

    def forward(self, forces):
        start = torch.zeros(*forces.shape[1:-1], self.material.nstate)
        history = solve_adjoint(HistorySolver(self.material), start, len(forces), forces)
        return self.material.unpack_state(history)["stress"].data[..., :1]


def strained(model):
    """Tension to 2 % at 1e-3 /s without a change of volume, as forces ``(time, specimen, force)``."""
    axial = torch.linspace(0, 0.02, ROWS)[:, None].expand(ROWS, SPECIMENS)
    strain = torch.zeros(ROWS, SPECIMENS, 6)
    strain[..., 0], strain[..., 1], strain[..., 2] = axial, -0.5 * axial, -0.5 * axial
    return model.assemble_forces({"t": axial / 1e-3, "strain": strain})


def measured():
    """The yield stresses ``(specimen,)`` that nobody knows, and the stresses that were measured."""
    specimens, random = Specimens(), torch.Generator().manual_seed(1)
    known = MEAN + SCATTER * torch.randn(SPECIMENS, generator=random)
    forces = strained(specimens.material)
    specimens.material.parametrizations.yield_function_sy.original.data = RANGE.reverse(known)
    with torch.no_grad():
        stress = specimens(forces)
    return known, forces, stress + NOISE * torch.randn(stress.shape, generator=random)


def fit(forces, data, steps):
    """The posterior after so many steps of SVI with a mean-field guide.

    Medians, and the ends of the middle 95 %, of the mean, the scatter, the values of the specimens, and the
    noise, in MPa.
    """
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    model = HierarchicalStatisticalModel(Specimens(), MapNormal(0.5), torch.tensor(NOISE))
    start = {NAME: torch.full((SPECIMENS,), 0.3), f"{NAME}_loc": torch.tensor(0.3)}
    start |= {f"{NAME}_scale": torch.tensor(0.1), "eps": torch.tensor(NOISE)}
    guide = AutoNormal(model, init_loc_fn=init_to_value(values=start), init_scale=0.02)
    optimiser = pyro.optim.ClippedAdam({"lr": 0.02, "lrd": 0.1 ** (1 / steps)})
    svi = SVI(model, guide, optimiser, loss=Trace_ELBO())
    for step in range(steps):
        loss = svi.step(forces, results=data)
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step}: -ELBO {loss:.1f}")
    ends = guide.quantiles([0.025, 0.5, 0.975], forces)
    stress = {"mean": RANGE(ends[f"{NAME}_loc"]), "specimens": RANGE(ends[NAME])}
    return stress | {"scatter": RANGE.forward_std_dev(ends[f"{NAME}_scale"]), "noise": ends["eps"]}


def table(known, found):
    """True values, medians and intervals."""
    rows = [("mean", MEAN, found["mean"]), ("scatter", SCATTER, found["scatter"])]
    rows += [("noise", NOISE, found["noise"])]
    rows += [(f"specimen {i}", float(x), found["specimens"][:, i]) for i, x in enumerate(known)]
    lines = [f"{'':14s}{'true':>8s}{'median':>8s}   middle 95 %"]
    for name, true, ends in rows:
        low, median, high = ends.flatten().tolist()
        lines.append(f"{name:14s}{true:8.2f}{median:8.2f}   {low:.2f} to {high:.2f}")
    return "\n".join(lines)


def draw(known, found, path):
    """Fitted over true yield stresses, with the fitted mean and scatter."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 3.6), dpi=200, layout="constrained")
    axes = figure.subplots()
    low, median, high = found["specimens"]
    axes.axline((MEAN, MEAN), slope=1, color="0.8", lw=0.8)
    mean, scatter = float(found["mean"].flatten()[1]), float(found["scatter"].flatten()[1])
    axes.axhspan(mean - scatter, mean + scatter, color="#0072B2", alpha=0.12, lw=0, label="mean and scatter")
    axes.axhline(mean, color="#0072B2", lw=0.8)
    style = {"fmt": "o", "ms": 3, "lw": 0.8, "color": "0.25"}
    axes.errorbar(known, median, yerr=torch.stack([median - low, high - median]), label="specimens", **style)
    axes.set_xlabel("true yield stress (MPa)", fontsize=9)
    axes.set_ylabel("fitted yield stress (MPa)", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8.5)
    figure.savefig(path)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    known, forces, data = measured()
    found = fit(forces, data, int(sys.argv[2]) if len(sys.argv) > 2 else 300)
    print(table(known, found))
    draw(known, found, sys.argv[1] if len(sys.argv) > 1 else "calibrate_hierarchical.png")
