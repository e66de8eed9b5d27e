"""Closed forms of fields over cells, flow in pores, reactions and precipitates."""

from __future__ import annotations

import math

import torch

from neml2 import models
from neml2.types import R2, Scalar
from tests.models.closed_forms.form import EXACT, F64, ClosedForm, last, ode, relative, run, sum_of


def over(data):
    return Scalar(data, 1)


def mesh(n, stretched=False):
    """Edges and centres of n cells over the unit length."""
    edges = torch.linspace(0, 1, n + 1, dtype=F64)
    edges = (torch.exp(edges) - 1) / (math.e - 1) if stretched else edges
    return edges, (edges[1:] + edges[:-1]) / 2


def values(model, **inputs):
    with torch.no_grad():
        return next(iter(model.call_by_name(inputs).values())).data


def gradient_on_a_mesh(n):
    """Fick's flux of a smooth field at the edges, which are in the middle between centres of even cells."""
    edges, x = mesh(n)
    model = models.FiniteVolumeGradient(u="u", dx=over(x.diff()), prefactor=0.3)
    return relative(values(model, u=over(torch.sin(3 * x))), -0.3 * 3 * torch.cos(3 * edges[1:-1]))


def values_at_edges(n):
    edges, x = mesh(n, stretched=True)
    model = models.LinearlyInterpolateToCellEdges(
        cell_values=over(torch.sin(3 * x)), cell_centers=over(x), cell_edges=over(edges)
    )
    return relative(values(model), torch.sin(3 * edges[1:-1]))


def upwind(n):
    """Against the flux of the field at the edges."""
    edges, x = mesh(n)
    model = models.FiniteVolumeUpwindedAdvectiveFlux(u="u", v_edge="v", flux="J")
    v = 0.7 * torch.ones(n - 1, dtype=F64)
    return relative(values(model, u=over(torch.sin(3 * x)), v=over(v)), 0.7 * torch.sin(3 * edges[1:-1]))


def steady_diffusion(n):
    """Between two prescribed values, with a source."""
    edges, x = mesh(n)
    low = models.FiniteVolumeAppendBoundaryCondition(
        input="y", bc_value=0.2, side="left", output="a", name="low"
    )
    high = models.FiniteVolumeAppendBoundaryCondition(
        input="a", bc_value=0.5, side="right", output="b", name="high"
    )
    distances = torch.cat([x[:1], x.diff(), 1 - x[-1:]])
    flux = models.FiniteVolumeGradient(u="b", dx=over(distances), grad_u="J", name="flux")
    balance = models.FiniteVolumeGradient(u="J", dx=over(edges.diff()), grad_u="in", name="balance")
    source = sum_of("y_rate", **{"in": 1.0, "source": 1.0})
    found = run(ode(Scalar, low, high, flux, balance, source), 1e6, 3, {"y": over(0 * x)}, source=2.0)
    return relative(last(found, "y"), 0.2 + 0.3 * x + x * (1 - x))


def smeared_source(n):
    edges, x = mesh(4 * n)
    model = models.SmearedDeltaSource(cell_centers=over(x), width=0.06, magnitude="m", location="x0")
    return relative((values(model, m=0.8, x0=0.5) * edges.diff()).sum(), 0.8)


def stretched_axis(n):
    """The transform of the semi-infinite axis maps its edges to those of even cells."""
    xi = torch.linspace(0, 0.95, n + 1, dtype=F64)
    model = models.SemiInfiniteCoordinateTransform(shift=0.4, coordinate="x", transformed_coordinate="xi")
    return relative(values(model, x=over(0.4 * xi / (1 - xi))), xi)


# -------------------------------------------------------------------- pores


def drains(law, n, phi, duration):
    """A porosity that falls at the rate of the permeability."""
    falls = sum_of("y_rate", K=-1.0)
    return float(last(run(ode(Scalar, law, falls), duration, n, {"y": phi}), "y"))


def exponential_permeability(n):
    law = models.ExponentialLawPermeability(
        reference_permeability=0.3,
        reference_porosity=0.4,
        scale=-5.0,
        porosity="y",
        permeability="K",
        name="K",
    )
    exact = 0.4 - math.log(math.exp(-5 * 0.1) + 5 * 0.3 * 0.8) / 5
    return relative(drains(law, n, 0.5, 0.8), exact)


def kozeny_carman(n):
    """ln(phi) - phi falls linearly if n = 1."""
    law = models.KozenyCarmanPermeability(
        reference_permeability=0.3,
        reference_porosity=0.4,
        n=1.0,
        m=1.0,
        porosity="y",
        permeability="K",
        name="K",
    )
    scale = 0.3 / (0.4 / 0.6)
    clock = lambda phi: (math.log(phi) - phi) / scale  # noqa: E731
    return relative(drains(law, n, 0.5, clock(0.5) - clock(0.2)), 0.2)


def capillary_energy(n):
    """The work of draining half of the pores, by the trapezoidal rule."""
    S = torch.linspace(0.5, 1.0, n + 1, dtype=F64)
    law = models.BrooksCoreyCapillaryPressure(threshold_pressure=8.0, exponent=2.6)
    p = 1 / 2.6
    exact = 8 / (1 - p) * (1 - 0.5 ** (1 - p))
    return relative(torch.trapezoid(values(law, effective_saturation=Scalar(S)), S), exact)


def van_genuchten(n):
    """The retention curve S = (1 + (P/a)^(1/(1 - m)))^-m is the inverse."""
    P = torch.linspace(0.5, 60.0, n, dtype=F64)
    law = models.VanGenuchtenCapillaryPressure(a=12.0, m=0.4)
    return relative(values(law, effective_saturation=Scalar((1 + (P / 12) ** (1 / 0.6)) ** -0.4)), P)


def pressure_moves_fluid(n):
    """Under a hydrostatic Cauchy stress p the advective stress is -c p J."""
    generator = torch.Generator().manual_seed(n)
    F = torch.eye(3, dtype=F64) + 0.3 * torch.rand(n, 3, 3, generator=generator, dtype=F64)
    J = torch.linalg.det(F)
    P = 40.0 * J[:, None, None] * torch.linalg.inv(F).mT
    model = models.AdvectiveStress(coefficient=0.6)
    return relative(values(model, deformation_gradient=R2(F), pk1_stress=R2(P)), -0.6 * 40 * J)


# -------------------------------------------------------------------- reactions and precipitates


def avrami(n):
    law = models.AvramiErofeevNucleation(coef=1.5, order=0.5, conversion_degree="y", reaction_rate="y_rate")
    found = run(ode(Scalar, law), 1.0, n, {"y": 1 - math.exp(-0.01)})
    return relative(last(found, "y"), 1 - math.exp(-((0.1 + 0.75) ** 2)))


def contracting_sphere(n):
    law = models.ContractingGeometry(coef=0.8, order=2 / 3, conversion_degree="y", reaction_rate="y_rate")
    found = run(ode(Scalar, law), 1.0, n, {"y": 0.0})
    return relative(last(found, "y"), 1 - (1 - 0.8 / 3) ** 3)


def growing_sphere(n):
    law = models.RateLimitedPrecipitateGrowthRate(
        radius="y",
        equilibrium_concentration=0.04,
        concentration_difference=0.3,
        diffusivity=2.5,
        growth_rate="y_rate",
        current_concentration="x",
    )
    found = run(ode(Scalar, law), 0.5, n, {"y": 0.2}, x=0.1)
    return relative(last(found, "y"), math.sqrt(0.04 + 2 * 2.5 * 0.06 / 0.3 * 0.5))


def driven_sphere(n):
    """At a constant driving force the square of the radius grows linearly."""
    law = models.SFFKPrecipitationGrowthRate(
        radius="y",
        gibbs_free_energy_difference=900.0,
        gas_constant=8.314,
        projected_diffusivity_sum="s",
        temperature="T",
        growth_rate="y_rate",
    )
    found = run(ode(Scalar, law), 0.5, n, {"y": 0.2}, s=2.0, T=700.0)
    return relative(last(found, "y"), math.sqrt(0.04 + 2 * 900 / 8.314 / 700 / 2 * 0.5))


def nucleus(n):
    """The barrier is the largest free energy of a sphere, which lies in the middle between two nodes."""
    model = models.NucleationBarrierAndCriticalRadius(
        surface_energy=0.15, total_gibbs_free_energy_difference=3.0, molar_volume=0.02
    )
    found = [float(v.data.detach()) for v in model.call_by_name({}).values()]
    R = torch.linspace(0.0, 0.004, 20 * n + 2, dtype=F64)
    energy = 4 * math.pi * R**2 * 0.15 - 4 / 3 * math.pi * R**3 * 3.0 / 0.02
    names = list(model.output_spec)
    return relative(energy.max(), found[names.index("nucleation_barrier")])


def volume_of_many_spheres(n):
    """Radii with the density 6 R (1 - R): the mean volume is 4/3 pi 6 (1/5 - 1/6)."""
    edges, R = mesh(n)
    model = models.PrecipitateVolumeFraction(radius=over(R), number_density="n", volume_fraction="f")
    numbers = 6 * R * (1 - R) * edges.diff()
    return relative(values(model, n=over(numbers)), 4 / 3 * math.pi * 6 / 30)


FORMS = [
    ClosedForm("flux over edges", r"J = -D u'(x)", 2, gradient_on_a_mesh),
    ClosedForm("values at edges of a stretched mesh", "u(x_e)", 2, values_at_edges),
    ClosedForm("upwinded flux", "J = v u(x_e)", 1, upwind),
    ClosedForm(
        "steady diffusion with a source",
        r"u = u_0 + (u_1 - u_0) x + \tfrac{q}{2D} x (1 - x)",
        2,
        steady_diffusion,
    ),
    ClosedForm("a source spread over cells", r"\sum_i S_i h_i = m", EXACT, smeared_source),
    ClosedForm("a semi-infinite axis", r"\hat x = x/(x + s)", EXACT, stretched_axis),
    ClosedForm(
        "drainage with an exponential permeability",
        r"e^{a\varphi} = e^{a\varphi_0} - c t",
        1,
        exponential_permeability,
    ),
    ClosedForm("drainage after Kozeny and Carman", r"\ln\varphi - \varphi = c - kt", 1, kozeny_carman),
    ClosedForm(
        "work of draining pores", r"\int P_c\, dS = P_t (1 - S^{1 - 1/p})/(1 - 1/p)", 2, capillary_energy
    ),
    ClosedForm("van Genuchten's retention curve", r"S = (1 + (P/a)^{1/(1 - m)})^{-m}", EXACT, van_genuchten),
    ClosedForm("advective stress of a pressure", "p_s = -c p J", EXACT, pressure_moves_fluid),
    ClosedForm("nucleation after Avrami and Erofeev", "a = 1 - e^{-(kt)^2}", 1, avrami),
    ClosedForm("a sphere that reacts from outside", "a = 1 - (1 - kt)^3", 1, contracting_sphere),
    ClosedForm("a precipitate that grows by diffusion", r"R^2 = R_0^2 + 2D\Omega t", 1, growing_sphere),
    ClosedForm(
        "a precipitate at a constant driving force", r"R^2 = R_0^2 + 2\Delta g\, t/(RTs)", 1, driven_sphere
    ),
    ClosedForm(
        "the barrier of nucleation",
        r"\Delta g^* = \max_R(4\pi R^2\gamma - \tfrac43\pi R^3\Delta g/V)",
        2,
        nucleus,
    ),
    ClosedForm("the volume of many spheres", r"f = \int \tfrac43\pi R^3 n\, dR", 2, volume_of_many_spheres),
]
