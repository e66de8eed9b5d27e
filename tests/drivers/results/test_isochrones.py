from types import SimpleNamespace

import pytest
import torch

from neml2.drivers import laboratory as lab
from neml2.drivers.results.isochrones import isochronous_curves
from neml2.types import SR2

E, VISCOSITY = 2000.0, 1e5


class Maxwell(SimpleNamespace):
    """What a Maxwell element does in a creep test: sigma / E, and sigma / eta in every unit of time."""

    def __init__(self, history):
        stress = history.control.target.expand(-1, *history.control.batch, -1)
        flow = torch.cumulative_trapezoid(stress[..., 0], history.time, dim=0) / VISCOSITY
        strain = stress[..., 0] / E + torch.cat([0 * flow[:1], flow])
        values = {"S": SR2.from_physical(stress), "E": SR2.from_physical(strain[..., None] * torch.eye(6)[0])}
        super().__init__(time=history.time, values=values)

    def __getitem__(self, name):
        return self.values[name]


def test_curves_of_a_maxwell_element():
    stresses, times = [150.0, 50.0, 100.0], [10.0, 100.0, 31.7]
    tests = Maxwell(lab.isochronous(stresses, times, load_time=1.0))
    table = isochronous_curves(tests, times, strain="E", stress="S")
    assert list(table.columns) == ["time", "stress", "strain"]
    assert table["time"].tolist() == [t for t in sorted(times) for _ in range(3)]
    assert table["stress"].tolist() == pytest.approx(sorted(stresses) * 3)
    expected = (
        table["stress"] / E + table["stress"] * (table["time"] - 0.5) / VISCOSITY
    )  # half of the loading
    assert table["strain"].tolist() == pytest.approx(expected.tolist(), rel=1e-9)


def test_mistakes_are_told():
    tests = Maxwell(lab.isochronous([1.0], [10.0], load_time=1.0))
    with pytest.raises(
        ValueError, match="the test 0 goes from 0 to 10, without the time 20; run it for longer"
    ):
        isochronous_curves(tests, [20.0], strain="E", stress="S")
    with pytest.raises(ValueError, match="'S' has no component 'x'"):
        isochronous_curves(tests, [2.0], strain="E", stress="S", component="x")
