"""Uniaxial tests of anisotropic materials: one component is pulled, and all others are free of stress."""

import math

import pytest
import torch

from neml2.composed import ComposedModel
from neml2.data import CrystalGeometry
from neml2.drivers import TransientDriver, laboratory
from neml2.fields import Input, Output
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.models import (
    CubicElasticityTensor,
    GeneralElasticity,
    PlasticDeformationRate,
    PowerLawSlipRule,
    ResolvedShear,
    RotationMatrix,
    SingleSlipStrengthMap,
)
from neml2.models.common.time_integration import BackwardEulerTimeIntegration
from neml2.system import NonlinearSystem
from neml2.types import MRP, SR2, SSR4, MillerIndex, Vec, euler_rodrigues
from neml2.types.symmetry import symmetry

F64 = torch.float64
X = Vec(torch.tensor([1.0, 0, 0], dtype=F64))
ENGINES = ["eager", "native"]
# the axis of the test in the frame of the crystal: of high symmetry, and of none
AXES = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0.9, 0.4, 0.1], [0.2, -0.5, 0.7]], dtype=F64)
AXES = AXES / AXES.norm(dim=-1, keepdim=True)


def lying(axes):
    """Orientations of crystals whose ``axes`` lie along x."""
    return MRP.rotation_from_to(Vec(axes), X)


def in_sample(tensors, orientations):
    """Components of the crystal frame, ``(*batch, 3, 3)``, in the frame of the sample."""
    Q = euler_rodrigues(orientations).data
    return Q @ tensors @ Q.mT


def matrix(value):
    """A symmetric tensor's last row as ``(*batch, 3, 3)``."""
    xx, yy, zz, yz, xz, xy = value.physical()[-1].unbind(-1)
    return torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], -1).unflatten(-1, (3, 3))


def is_uniaxial(stress, along_x):
    free = stress.physical()[-1, ..., 1:].abs().max()
    return float(free) < 1e-8 * float(along_x.abs().max())


# ---------------------------------------------------------------- elasticity


@torch.no_grad()
@pytest.mark.parametrize("engine", ENGINES)
def test_a_cubic_crystal_off_its_axes(engine):
    """Strains of a unit stress along n: S12 + S0 n_i^2 on the diagonal, and S44/2 n_i n_j (Nye, 1957)."""
    E, nu, G = 66.7e3, 0.419, 75.4e3  # copper
    stiffness = CubicElasticityTensor(E=E, nu=nu, G=G, name="C")
    crystal = GeneralElasticity(orientation="q", elastic_stiffness_tensor="C", name="elasticity")
    model = ComposedModel([stiffness, crystal], name="copper")
    orientations = lying(AXES)
    history = laboratory.monotonic(1e-3, 1e-3, rows=3).replace(constant={"q": orientations})
    found = TransientDriver(model, engine=engine).run(history)
    stress = found["stress"].physical()[-1, :, 0]
    assert is_uniaxial(found["stress"], stress)

    S11, S12, S44 = 1 / E, -nu / E, 1 / G
    n = AXES
    compliance = torch.diag_embed(S12 + (S11 - S12 - S44 / 2) * n**2) + S44 / 2 * n[:, :, None] * n[:, None]
    compliance = in_sample(compliance, orientations)
    l, m, k = n.unbind(-1)
    along = S11 - 2 * (S11 - S12 - S44 / 2) * ((l * m) ** 2 + (m * k) ** 2 + (k * l) ** 2)  # S'_1111
    torch.testing.assert_close(1e-3 / stress, along, rtol=1e-9, atol=0)
    torch.testing.assert_close(
        matrix(found["strain"]) / stress[:, None, None], compliance, rtol=1e-9, atol=1e-14
    )
    coupling = compliance[:, 0, 1:].abs().amax(-1) / along
    assert (coupling[:3] < 1e-12).all() and (coupling[3:] > 0.05).all()


@torch.no_grad()
@pytest.mark.parametrize("engine", ENGINES)
def test_a_lamina_off_its_fibres(engine):
    """Transverse isotropy: modulus and shear coupling of an off-axis coupon (Jones, 1975)."""
    E1, E2, nu12, nu23, G12 = 140e3, 9e3, 0.3, 0.4, 5e3
    S = torch.zeros(6, 6, dtype=F64)  # Mandel components, fibres along 1
    S[0, 0], S[1, 1], S[2, 2] = 1 / E1, 1 / E2, 1 / E2
    S[0, 1] = S[1, 0] = S[0, 2] = S[2, 0] = -nu12 / E1
    S[1, 2] = S[2, 1] = -nu23 / E2
    S[3, 3], S[4, 4], S[5, 5] = (1 + nu23) / E2, 1 / (2 * G12), 1 / (2 * G12)
    angle = torch.tensor([0.0, 10.0, 30.0, 45.0, 90.0], dtype=F64) * math.pi / 180
    c, s = angle.cos(), angle.sin()
    turns = MRP(torch.stack([0 * angle, 0 * angle, torch.tan(angle / 4)], -1))  # fibres at the angle to x
    stiffness = SSR4(torch.linalg.inv(S))
    model = GeneralElasticity(orientation="q", elastic_stiffness_tensor=stiffness, name="lamina")
    history = laboratory.monotonic(1e-3, 1e-3, rows=3).replace(constant={"q": turns})
    found = TransientDriver(model, engine=engine).run(history)
    stress = found["stress"].physical()[-1, :, 0]
    assert is_uniaxial(found["stress"], stress)
    both = 1 / G12 - 2 * nu12 / E1
    torch.testing.assert_close(1e-3 / stress, c**4 / E1 + s**4 / E2 + both * (s * c) ** 2, rtol=1e-9, atol=0)
    shear = 2 * found["strain"].physical()[-1, :, 5] / stress
    S16 = (2 / E1 + 2 * nu12 / E1 - 1 / G12) * s * c**3 - (2 / E2 + 2 * nu12 / E1 - 1 / G12) * s**3 * c
    torch.testing.assert_close(shear, S16, rtol=1e-8, atol=1e-16)
    assert (shear[1:4] < 0).all()


# ---------------------------------------------------------------- slip


class Elastic(Model):
    """Strain less that of slip."""

    strain: SR2 = Input("Strain")
    slip: SR2 = Input("Strain of slip")
    elastic: SR2 = Output("Elastic strain")

    def forward(self, strain, slip):
        return strain - slip


def basal(symmetry_class):
    """Slip along a on the basal plane of a tetragonal lattice: two systems, or one without symmetry."""
    return CrystalGeometry(
        sym_ops=symmetry(symmetry_class),
        lattice_vectors=torch.diag(torch.tensor([1.0, 1.0, 1.6], dtype=F64)),
        slip_directions=MillerIndex(torch.tensor([1, 0, 0])),
        slip_planes=MillerIndex(torch.tensor([0, 0, 1])),
    )


STRENGTH, GAMMA0, EXPONENT, RATE = 20.0, 1e-3, 5.0, 2e-3


def single_crystal(geometry):
    """Cubic elasticity and viscous slip of a crystal whose lattice does not turn."""
    parts = [
        Elastic(name="elastic"),
        CubicElasticityTensor(E=66.7e3, nu=0.419, G=75.4e3, name="C"),
        GeneralElasticity(strain="elastic", orientation="q", elastic_stiffness_tensor="C", name="elasticity"),
    ]
    slip = [
        RotationMatrix(**{"from": "q", "to": "orientation_matrix"}, name="Q"),
        ResolvedShear(crystal_geometry=geometry, name="shear"),
        SingleSlipStrengthMap(constant_strength=STRENGTH, crystal_geometry=geometry, name="strength"),
        PowerLawSlipRule(gamma0=GAMMA0, n=EXPONENT, name="rule"),
        PlasticDeformationRate(plastic_deformation_rate="slip_rate", crystal_geometry=geometry, name="flow"),
        BackwardEulerTimeIntegration[SR2](variable="slip", name="step"),
    ]
    system = NonlinearSystem(ComposedModel([*parts, *slip], name="residual"), unknowns="slip")
    update = ImplicitUpdate(system, name="update")
    return ComposedModel([update, *parts], additional_outputs=["slip"], name="crystal")


@torch.no_grad()
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("systems", [1, 2])
def test_a_crystal_of_few_slip_systems_flows_by_schmids_law_and_shears(systems, engine):
    """Steady flow under a stress s along x: slip rates gamma0 (s m / g)^n, with the Schmid factors m."""
    geometry = basal("1" if systems == 1 else "4")
    assert geometry.nslip == systems
    axes = torch.tensor([[0.7, 0.1, 0.7], [0.5, 0.3, 0.8], [0.9, -0.2, 0.4]], dtype=F64)
    axes = axes / axes.norm(dim=-1, keepdim=True)
    orientations = lying(axes)
    history = laboratory.monotonic(0.01, RATE, rows=60)
    history = history.replace(constant={"q": orientations, "slip_hardening": 0.0})
    found = TransientDriver(single_crystal(geometry), engine=engine).run(history)
    stress = found["stress"].physical()[-1, :, 0]
    assert is_uniaxial(found["stress"], stress)

    d, plane = geometry.cartesian_slip_directions, geometry.cartesian_slip_planes
    schmid = (axes @ d.T) * (axes @ plane.T)  # (point, system)
    flow = STRENGTH * (RATE / (GAMMA0 * schmid.abs().pow(EXPONENT + 1).sum(-1))).pow(1 / EXPONENT)
    torch.testing.assert_close(stress, flow, rtol=1e-6, atol=0)
    rates = GAMMA0 * (flow[:, None] * schmid.abs() / STRENGTH).pow(EXPONENT) * schmid.sign()
    dyads = 0.5 * (d[:, :, None] * plane[:, None] + plane[:, :, None] * d[:, None])
    expected = in_sample(torch.einsum("ps,sij->pij", rates, dyads), orientations)
    strain = found["strain"]
    before = type(strain)(strain.data[:-1])
    made = (matrix(strain) - matrix(before)) / (found.time[-1] - found.time[-2])
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-5 * RATE)
    assert expected[:, 0, 1:].abs().amax(-1).gt(0.05 * RATE).all()  # it shears as it is pulled
