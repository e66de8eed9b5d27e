"""Systems in time whose unknowns have a sub-batch."""

import torch

from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.recurrent import PyzagModel
from neml2.system import NonlinearSystem
from neml2.types import Scalar, Vec, inner
from neml2.types.regions import sum_sub_batch


class Grains(Model):
    """A stretch and a vector at every site, coupled through one unknown of the whole."""

    x: Scalar = Input("Stretch of a site")
    x_n: Scalar = Input("Old stretch", of="x", suffix="~1")
    v: Vec = Input("Vector of a site")
    v_n: Vec = Input("Old vector", of="v", suffix="~1")
    y: Scalar = Input("Unknown of the whole")
    t: Scalar = Input("Time", default="t")
    t_n: Scalar = Input("Old time", of="t", suffix="~1")
    f: Scalar = Input("Load")
    rx: Scalar = Output("Residual", of="x", suffix="_residual")
    rv: Vec = Output("Residual", of="v", suffix="_residual")
    ry: Scalar = Output("Residual", of="y", suffix="_residual")
    c: Scalar = Parameter("c", "Rate", default=0.7)
    e: Vec = Parameter("e", "Direction", default=[1.0, 2.0, -1.0])

    def forward(self, x, x_n, v, v_n, y, t, t_n, f, c, e):
        dt = t - t_n
        rx = x - x_n - dt * (f - c * x * x * x + y)
        rv = v - v_n - dt * (e * x - v * inner(v, v))
        return rx, rv, y * 4.0 + sum_sub_batch(x + inner(v, e)) - f


class Diffusion(Model):
    """Sites that tend to their sum: a dense group in which every site depends on every other."""

    x: Scalar = Input("Content of a site")
    x_n: Scalar = Input("Old content", of="x", suffix="~1")
    t: Scalar = Input("Time", default="t")
    t_n: Scalar = Input("Old time", of="t", suffix="~1")
    f: Scalar = Input("Supply of a site")
    r: Scalar = Output("Residual", of="x", suffix="_residual")
    d: Scalar = Parameter("d", "Diffusivity", default=0.3)

    def forward(self, x, x_n, t, t_n, f, d):
        return x - x_n - (t - t_n) * (f + d * (sum_sub_batch(x) - 4.0 * x) - 0.1 * x * x * x)


def grains(unknowns="x v; y", structure=("block", "dense"), **options):
    return PyzagModel(NonlinearSystem(Grains(name="grains"), unknowns, structure=list(structure)), **options)


def grain_values(times=6, specimens=2, sites=3):
    generator = torch.Generator().manual_seed(3)

    def rand(*shape):
        return torch.rand(*shape, dtype=torch.float64, generator=generator)

    state = {"x": rand(specimens, sites), "v": rand(specimens, sites, 3), "y": rand(specimens)}
    forces = {"t": torch.linspace(0, 1, times, dtype=torch.float64)[:, None].expand(times, specimens)}
    return state, {**forces, "f": rand(times, specimens)}
