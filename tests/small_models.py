"""Small models with known solutions, for the tests of what is done to models."""

from __future__ import annotations

import torch

from neml2.fields import Input, Output, Parameter
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.solvers import Newton
from neml2.system import NonlinearSystem
from neml2.types import SR2, Scalar, Vec, exp, inner
from neml2.types.regions import sum_sub_batch

F64 = torch.float64


class Spring(Model):
    """A cubic spring in balance with a force: ``k x^3 + x = f``."""

    x: Scalar = Input("Stretch")
    f: Scalar = Input("Force")
    r: Scalar = Output("Imbalance", option="x_residual")
    k: Scalar = Parameter("k", "Hardening of the spring")

    def forward(self, x, f, k):
        return k * x * x * x + x - f


class Decay(Model):
    """An implicit step of a decay that is quicker the larger the state: ``x' = f - c x^3``."""

    x: Scalar = Input("State")
    x_n: Scalar = Input("Old state", of="x", suffix="~1")
    t: Scalar = Input("Time", option="time", default="t")
    t_n: Scalar = Input("Old time", of="t", suffix="~1")
    f: Scalar = Input("Supply")
    r: Scalar = Output("Residual", of="x", suffix="_residual")
    c: Scalar = Parameter("c", "Coefficient of the decay")

    def forward(self, x, x_n, t, t_n, f, c):
        return x - x_n - (t - t_n) * (f - c * x * x * x)


class Coupled(Model):
    """A vector and a scalar that depend on one another."""

    v: Vec = Input("Vector")
    s: Scalar = Input("Scalar")
    g: Vec = Input("Load")
    rv: Vec = Output("Residual", option="v_residual")
    rs: Scalar = Output("Residual", option="s_residual")
    a: Scalar = Parameter("a", "Coefficient", default=0.3)
    w: Vec = Parameter("w", "Direction", default=[0.2, -0.1, 0.4])

    def forward(self, v, s, g, a, w):
        return v * 2.0 + v * inner(v, v) * a - g + w * s, s + exp(s * 0.1) + inner(v, w) - 1.5


class Sites(Model):
    """Unknowns at every site of a point, coupled to one another through an unknown of the point."""

    x: Scalar = Input("Stretch of a site")
    v: Vec = Input("Vector of a site")
    y: Scalar = Input("Unknown of the point")
    f: Scalar = Input("Load of a site")
    rx: Scalar = Output("Residual", option="x_residual")
    rv: Vec = Output("Residual", option="v_residual")
    ry: Scalar = Output("Residual", option="y_residual")
    k: Scalar = Parameter("k", "Stiffness", default=2.0)
    e: Vec = Parameter("e", "Direction", default=[1.0, 2.0, -1.0])

    def forward(self, x, v, y, f, k, e):
        rx = k * x + x * x * x - y - f + inner(v, v) * 0.1
        rv = v * 3.0 - e * x + e * (y * 0.2)
        return rx, rv, y * 4.0 + sum_sub_batch(x * x + inner(v, e)) - 2.0


class Elastic(Model):
    """Stress of a linear elastic solid."""

    strain: SR2 = Input("Strain")
    stress: SR2 = Output("Stress", unit="stress")
    E: Scalar = Parameter("youngs_modulus", "Young's modulus", within="(0, inf)")
    nu: Scalar = Parameter("poissons_ratio", "Poisson's ratio", within="(-1, 0.5)")

    def forward(self, strain, E, nu):
        from neml2.types import dev, vol

        return E / (1.0 - 2.0 * nu) * vol(strain) + E / (1.0 + nu) * dev(strain)


def spring(k=2.0, **options) -> ImplicitUpdate:
    return ImplicitUpdate(NonlinearSystem(Spring(k=k, name="spring"), "x"), name="update", **options)


def decay(c=1.0, solver=None, **options) -> ImplicitUpdate:
    system = NonlinearSystem(Decay(c=c, name="decay"), "x")
    return ImplicitUpdate(system, solver=solver or Newton(), name="update", **options)


def scalar(*values: float, grad: bool = False) -> Scalar:
    data = torch.tensor(values if len(values) > 1 else values[0], dtype=F64)
    return Scalar(data.requires_grad_(grad))
