"""Transport by finite volumes: exact solutions, conservation, convergence, and what is refused."""

from __future__ import annotations

import math
import re

import pytest
import torch

from neml2 import ComposedModel, History, ImplicitUpdate, NonlinearSystem, TransientDriver, models
from neml2.solvers import Newton
from neml2.types import Scalar


def over(data: torch.Tensor) -> Scalar:
    """Values per site: the last axis of ``data``."""
    return Scalar(data, 1)


def line(n: int, length: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Edges and centres of equal cells."""
    edges = torch.linspace(0, length, n + 1, dtype=torch.float64)
    return edges, (edges[1:] + edges[:-1]) / 2


def transport(edges: torch.Tensor, D: float = 0.0, v: float = 0.0, inflow: float | str = 0.0) -> list:
    """The rate of ``u``: diffusion and advection between ends, of which the right one is closed."""
    centres = (edges[1:] + edges[:-1]) / 2
    fick = models.FiniteVolumeGradient(u="u", dx=over(centres.diff()), prefactor=D, grad_u="Jd")
    upwind = models.FiniteVolumeUpwindedAdvectiveFlux(u="u", v_edge="v", flux="Ja")
    velocity = models.ScalarConstantParameter(parameter="v", value=over(torch.full_like(centres[1:], v)))
    total = models.ScalarLinearCombination(**{"from": ["Jd", "Ja"], "to": "J"})
    left = models.FiniteVolumeAppendBoundaryCondition(input="J", bc_value=inflow)
    right = models.FiniteVolumeAppendBoundaryCondition(input="J_with_bc_left", bc_value=0.0, side="right")
    rate = models.FiniteVolumeGradient(
        u="J_with_bc_left_with_bc_right", dx=over(edges.diff()), grad_u="u_rate"
    )
    return [fick, velocity, upwind, total, left, right, rate]


def implicit(parts: list) -> ImplicitUpdate:
    """Backward Euler for ``u``."""
    step = models.ScalarBackwardEulerTimeIntegration(variable="u")
    system = NonlinearSystem(ComposedModel([*parts, step]), unknowns="u")
    return ImplicitUpdate(equation_system=system, solver=Newton(abs_tol=1e-13, rel_tol=1e-12))


def run(model, time: torch.Tensor, start: torch.Tensor, engine: str = "eager", **prescribed) -> torch.Tensor:
    """The field ``u`` over all rows and cells."""
    history = History(time, prescribed, initial={"u": over(start)})
    with torch.no_grad():
        return TransientDriver(model, engine=engine).run(history)["u"].data


def test_a_wave_decays_as_its_eigenvalue_says():
    """Cosines are eigenvectors of closed cells: each step divides by 1 + dt 4 D/h^2 sin^2(k pi h/2)."""
    n, D, dt, steps = 12, 0.3, 0.02, 10
    edges, x = line(n)
    time = dt * torch.arange(steps + 1, dtype=torch.float64)
    starts = torch.stack([torch.cos(k * math.pi * x) for k in (1, 3)])
    found = run(implicit(transport(edges, D)), time, starts)
    for k, wave, decayed in zip((1, 3), starts, found.unbind(1), strict=True):
        eigenvalue = 4 * D * n**2 * math.sin(k * math.pi / (2 * n)) ** 2
        expected = wave * (1 + dt * eigenvalue) ** -torch.arange(steps + 1.0).double()[:, None]
        torch.testing.assert_close(decayed, expected, rtol=0, atol=1e-12)


def test_diffusion_converges_with_the_square_of_the_cells():
    """The discrete eigenvalue tends to D pi^2: the rate of a cosine, divided by it."""
    errors = []
    for n in (8, 16, 32):
        edges, x = line(n)
        wave = over(torch.cos(math.pi * x))
        rate = ComposedModel(transport(edges, 1.0)).call_by_name({"u": wave})["u_rate"].data.detach()
        errors.append(float((rate + math.pi**2 * wave.data).abs().max()))
    orders = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert all(1.9 < order < 2.1 for order in orders), errors


def test_a_step_of_one_cell_moves_the_field_exactly():
    """Explicit upwinding with v dt = h."""
    edges, _ = line(10)
    step = models.ScalarForwardEulerTimeIntegration(variable="u", rate="u_rate", old_variable="u~1")
    parts = transport(edges, v=2.0)
    parts[0] = models.FiniteVolumeGradient(u="u~1", dx=0.1, prefactor=0.0, grad_u="Jd")
    parts[2] = models.FiniteVolumeUpwindedAdvectiveFlux(u="u~1", v_edge="v", flux="Ja")
    start = torch.tensor([1.0, 3.0, -2.0, 0.5, 0, 0, 0, 0, 0, 0], dtype=torch.float64)
    found = run(ComposedModel([*parts, step]), torch.linspace(0, 0.25, 6, dtype=torch.float64), start)
    for k, field in enumerate(found):
        torch.testing.assert_close(field, start.roll(k), rtol=0, atol=1e-14)


@pytest.mark.parametrize("v", [0.7, -0.7])
def test_what_flows_in_stays(v):
    """On a stretched mesh with closed ends the content grows by the inflow, and by nothing else."""
    edges = torch.logspace(-1, 0.3, 15, dtype=torch.float64)
    time = torch.linspace(0, 2, 11, dtype=torch.float64)
    inflow = 0.2 + torch.sin(time)
    parts = transport(edges, D=0.05, v=v, inflow="inflow")
    found = run(implicit(parts), time, torch.rand(14, dtype=torch.float64), inflow=Scalar(inflow))
    content = (found * edges.diff()).sum(-1)
    torch.testing.assert_close(content.diff(), 0.2 * inflow[1:], rtol=1e-11, atol=0)


def test_diffusion_into_half_a_space():
    """Under a constant flux q the surface is at 2 q sqrt(t/(pi D)), here on a mesh without end.

    Carslaw and Jaeger (1959), Conduction of Heat in Solids, section 2.9.
    """
    s, D, q, t, n = 0.5, 0.3, 0.4, 1.0, 120
    xi = torch.linspace(0, 0.95, n + 1, dtype=torch.float64)
    edges = s * xi / (1 - xi)
    back = models.SemiInfiniteCoordinateTransform(shift=s, transformed_coordinate="xi")(over(edges))
    torch.testing.assert_close(back.data, xi)
    time = t * torch.linspace(0, 1, 101, dtype=torch.float64) ** 2
    found = run(implicit(transport(edges, D, inflow=q)), time, torch.zeros(n, dtype=torch.float64))[-1]
    centres = (edges[1:] + edges[:-1]) / 2
    length = 2 * math.sqrt(D * t)
    exact = q / D * (length / math.sqrt(math.pi) * torch.exp(-((centres / length) ** 2)))
    exact -= q / D * centres * torch.erfc(centres / length)
    torch.testing.assert_close(found, exact, rtol=0, atol=0.01 * float(exact[0]))
    assert float((found * edges.diff()).sum()) == pytest.approx(q * t, rel=1e-10)


def test_steady_advection_against_diffusion():
    """Closed on both sides, the field tends to the discrete exponential u_(i+1)/u_i = 1 + v h/D."""
    n, D, v = 10, 0.5, 2.0
    edges, _ = line(n)
    time = torch.tensor([0.0, 1.0, 10.0, 100.0, 1000.0], dtype=torch.float64)
    found = run(implicit(transport(edges, D, v)), time, torch.ones(n, dtype=torch.float64))[-1]
    torch.testing.assert_close(
        found[1:] / found[:-1], torch.full((n - 1,), 1 + v / n / D).double(), rtol=1e-6, atol=0
    )


def test_linear_fields_are_interpolated_exactly():
    edges = torch.logspace(-1, 1, 9, dtype=torch.float64)
    x = (edges[1:] + edges[:-1]) / 2
    model = models.LinearlyInterpolateToCellEdges(
        cell_values="q", cell_centers=over(x), cell_edges=over(edges)
    )
    fields = torch.stack([3 * x - 2, torch.full_like(x, 0.1)])  # a batch
    at_edges = torch.stack([3 * edges[1:-1] - 2, torch.full_like(edges[1:-1], 0.1)])
    torch.testing.assert_close(model(over(fields)).data, at_edges, rtol=1e-14, atol=1e-14)
    assert torch.equal(model(over(fields)).data[1], at_edges[1]), "a constant field to the bit"


def test_velocities_of_either_sign_and_none():
    """At rest the flux is 0 and its slope the mean of both sides."""
    u, v = over(torch.tensor([2.0, 5.0], dtype=torch.float64)), torch.tensor([0.0], dtype=torch.float64)
    model = models.FiniteVolumeUpwindedAdvectiveFlux()
    values, jacobian = model.jacobian({"u": u, "v_edge": over(v)})
    assert float(values["flux"].data) == 0.0
    assert float(jacobian["flux"]["v_edge"].data) == 3.5
    assert float(model(u, over(v + 1)).data) == 2.0 and float(model(u, over(v - 1)).data) == -5.0


def test_a_smeared_source_has_its_magnitude():
    """Its integral over fine cells, its mean, and its variance."""
    edges, x = line(400, 4.0)
    model = models.SmearedDeltaSource(width=0.2, cell_centers=over(x), smeared_source="s")
    source = model(Scalar(1.7), Scalar(1.9)).data.detach() * edges.diff()
    assert float(source.sum()) == pytest.approx(1.7, rel=1e-12)
    assert float((source * x).sum() / 1.7) == pytest.approx(1.9, rel=1e-12)
    assert float((source * (x - 1.9) ** 2).sum() / 1.7) == pytest.approx(0.04, rel=1e-10)


def test_eager_is_native():
    edges, x = line(6)
    start = torch.stack([torch.exp(-x), torch.cos(x)])
    time = torch.linspace(0, 1, 6, dtype=torch.float64)
    model = implicit(transport(edges, 0.2, 0.5, 0.3))
    native, eager = (run(model, time, start, engine) for engine in ("native", "eager"))
    torch.testing.assert_close(native, eager, rtol=1e-13, atol=1e-13)


THREE = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
MESH = {"cell_centers": [0.5, 1.5], "cell_edges": [0.0, 1.0, 2.0]}


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("FiniteVolumeGradient", {"dx": [0.1, 0.2]}, "dx is a list of 2 numbers; give a Scalar tensor"),
        ("FiniteVolumeGradient", {"dx": 1.0, "prefactor": [1.0, 2.0]}, "prefactor is a list of 2 numbers"),
        ("FiniteVolumeGradient", {"dx": 0.0}, "dx is 0, outside its range (0, inf)"),
        ("SmearedDeltaSource", {"width": 1.0, "cell_centers": [0.1, 0.2]}, "cell_centers is a list of 2"),
        (
            "LinearlyInterpolateToCellEdges",
            {"cell_values": "q", "cell_centers": [0.5, 1.5], "cell_edges": [0.0, 2.0]},
            "2 cell_centers have 3 cell_edges, both ends included; got 2",
        ),
        ("LinearlyInterpolateToCellEdges", MESH | {"cell_values": [1.0, 2.0]}, "cell_values is a list of 2"),
        (
            "LinearlyInterpolateToCellEdges",
            MESH | {"cell_values": "q", "cell_centers": 0.5},
            "cell_centers has no sub-batch axis",
        ),
        (
            "FiniteVolumeAppendBoundaryCondition",
            {"bc_value": 0.0, "side": "top"},
            "side is 'top', not one of left, right",
        ),
    ],
)
def test_refused_at_construction(kind, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(models, kind)(**options)


@pytest.mark.parametrize(
    ("kind", "options", "inputs", "message"),
    [
        ("FiniteVolumeGradient", {"dx": 1.0}, [Scalar(THREE)], "u has no sub-batch axis"),
        ("FiniteVolumeGradient", {"dx": over(THREE)}, [over(THREE)], "dx has 3 values for 2 sites"),
        ("FiniteVolumeUpwindedAdvectiveFlux", {}, [over(THREE)] * 2, "v_edge has 3 values for 2 sites"),
        ("FiniteVolumeAppendBoundaryCondition", {"bc_value": 0.0}, [Scalar(1.0)], "input has no sub-batch"),
        (
            "LinearlyInterpolateToCellEdges",
            MESH | {"cell_values": "q"},
            [over(THREE)],
            "cell_values has 3 values for 2 cells",
        ),
        (
            "SmearedDeltaSource",
            {"width": 1.0, "cell_centers": Scalar(THREE)},
            [Scalar(1.0), Scalar(1.0)],
            "cell_centers has no sub-batch axis",
        ),
    ],
)
def test_refused_at_evaluation(kind, options, inputs, message):
    with pytest.raises(ValueError, match=f"{kind}: {message}"):
        getattr(models, kind)(**options)(*[x.to(torch.float64) for x in inputs])
