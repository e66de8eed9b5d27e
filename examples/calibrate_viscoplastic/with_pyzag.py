"""The fit of `calibrate.py` by Adam, on gradients of pyzag's adjoint.

    python examples/calibrate_viscoplastic/with_pyzag.py [picture.png [steps]]

It needs pyzag: ``pip install 'neml2[recurrent]'``.
"""

import sys

import torch
from calibrate import BOUNDS, HERE, experiments, table
from known import NOISE
from pyzag.reparametrization import RangeRescale, Reparameterizer

import neml2
from neml2 import SR2, History
from neml2.drivers import controlled
from neml2.recurrent import Free, HistorySolver, PyzagModel, calibrate, solve_adjoint

PARAMETERS = {  # pyzag's name, that of `calibrate.py`, and bounds: Adam moves on a linear scale between them
    "elasticity_E": ("elasticity.E", 100e3, 250e3),
    "yield_function_sy": ("yield_function.yield_stress", 20.0, 200.0),
    "isotropic_hardening_R": ("isotropic_hardening.saturated_hardening", 10.0, 200.0),
    "isotropic_hardening_d": ("isotropic_hardening.saturation_rate", 2.0, 40.0),
    "X_rate_C": ("X_rate.C", 10e3, 100e3),
    "X_rate_g": ("X_rate.g", 100.0, 1000.0),
    "flow_rate_eta": ("flow_rate.reference_stress", 50.0, 600.0),
    "flow_rate_n": ("flow_rate.exponent", 2.0, 10.0),
}
ROWS = 129  # pyzag takes histories of one length: tension is computed at every half of its rows


class Material(torch.nn.Module):
    """From forces ``(time, test, force)`` to axial stresses ``(time, test)``; parameters are rescaled."""

    def __init__(self, model):
        super().__init__()
        self.material = PyzagModel(controlled(model), include_parameters=list(PARAMETERS))
        scales = {
            f"material.{p}": RangeRescale(torch.tensor(low), torch.tensor(high))
            for p, (_, low, high) in PARAMETERS.items()
        }
        Reparameterizer(scales, error_not_provided=True)(self)

    def forward(self, forces):
        start = torch.zeros(*forces.shape[1:-1], self.material.nstate)
        history = solve_adjoint(HistorySolver(self.material), start, len(forces), forces)
        return self.material.unpack_state(history)["stress"].data[..., 0]

    def values(self):
        """The parameters in their own units, by the names of `calibrate.py`."""
        return {n: float(getattr(self.material, p).detach()) for p, (n, *_) in PARAMETERS.items()}


def forces_of(material, tests):
    """What the tests prescribe: the time and the control of stress and strain by component."""
    together = History.batch([test.history for test in tests])
    control = together.control
    return material.assemble_forces(
        {
            "t": together.time,
            "control_stress_weight": SR2.from_physical(control.stress_weight),
            "control_strain_weight": SR2.from_physical(control.strain_weight),
            "control_target": SR2.from_physical(control.target),
        }
    )


def measured(tests):
    """The stresses at all rows, ``(time, test)``, NaN where none was measured."""
    found = torch.full((ROWS, len(tests)), torch.nan)
    for i, test in enumerate(tests):
        response = test.responses["stress.xx"]
        rows = torch.from_numpy(response.left + response.fraction).round().long()
        found[rows, i] = torch.from_numpy(response.values)
    return found


def fit(tests, steps, rate=0.05):
    """The material after so many steps of Adam, at a rate that goes down to zero."""
    material = Material(neml2.load_model(HERE / "model.i", "model"))
    forces, data = forces_of(material.material, tests), measured(tests)
    known = data.isfinite()
    optimiser = torch.optim.Adam(material.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        optimiser.zero_grad()
        loss = ((material(forces) - data)[known] / NOISE).square().mean()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step}: mean square {float(loss.detach()):.4f}")
    return material


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    tests = experiments(resample=ROWS)
    values = fit(tests, int(sys.argv[2]) if len(sys.argv) > 2 else 200).values()
    there = {n: Free(*BOUNDS[n], start=x) for n, x in values.items()}
    model = neml2.load_model(HERE / "model.i", "model")
    result = calibrate(model, tests, there)  # goes on from where Adam has ended, and knows its errors
    print(f"{'':40s}{'Adam':>10s}")
    print("\n".join(f"{n:40s}{x:10.5g}" for n, x in values.items()), end="\n\n")
    print(f"a trust region from there, {len(result.history)} evaluations:")
    print(table(result))
    result.plot(sys.argv[1] if len(sys.argv) > 1 else "calibrate_pyzag.png")
