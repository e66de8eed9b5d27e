"""Every test of the laboratory against what can be worked out on paper, with the materials of the docs."""

import copy
import math
from pathlib import Path

import pytest
import torch

import neml2
from neml2.drivers import History, Segment, TransientDriver, isochronous_curves
from neml2.drivers import laboratory as lab
from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import R2, SR2, Scalar, det, sym

EXAMPLES = Path(__file__).parents[2] / "examples"
E, NU, LIMIT = 139395.2, 0.3, 85.0
Z, N = 1750.0, 2.7  # viscosity and exponent of P91: the viscous stress is Z rate^(1/n) in uniaxial tests
C, A = (2055.0, 463.0), (52.0, 63.1)  # its back stresses saturate at A, with C A for slope
AXIAL, LATERAL, SHEAR = 0, 1, 5


def tensor(value):
    return torch.as_tensor(value, dtype=torch.float64)


def eta(Z, n):
    """The reference stress of Perzyna's flow for unit normals that means Z in uniaxial tests."""
    return tensor(Z) * (2 / 3) ** ((tensor(n) + 1) / (2 * tensor(n)))


@pytest.fixture(scope="module")
def steel():
    """P91 at 600 C by some of its constants, other values at will; without the slow softening."""
    model = neml2.load_model(EXAMPLES / "p91" / "p91.i", "p91")

    def of(**values):
        own = copy.deepcopy(model)
        for name, value in {"isotropic_hardening.R": 0.0, **values}.items():
            own.set_parameter(f"update.residual.{name}", tensor(value))
        return TransientDriver(own)

    return of


@pytest.fixture(scope="module")
def perfect(steel):
    """Perzyna's law without hardening; without a limit it is Norton's: rate = (stress / Z)^n."""

    def of(limit=0.0, Z=Z, n=N):
        none = {f"X{i}_rate.{x}": 0.0 for i in (1, 2) for x in "Cg"}
        flow = {"flow_rate.eta": eta(Z, n), "flow_rate.n": n}
        return steel(**none, **flow, **{"normality.flow.yield_function.sy": limit})

    return of


@pytest.fixture(autouse=True)
def no_graph():
    with torch.no_grad():
        yield


def component(result, name, i=AXIAL):
    return result[name].physical()[..., i]


def near(found, expected, rtol, atol=0.0):
    found, expected = torch.broadcast_tensors(tensor(found), tensor(expected))
    torch.testing.assert_close(found, expected, rtol=rtol, atol=atol)


# ---------------------------------------------------------------- tension, shear, rates


@pytest.mark.parametrize("sign", [1, -1])
def test_flow_at_a_constant_rate_is_perzynas_stress(perfect, sign):
    rates = tensor([1e-4, 1e-3])
    end = perfect(LIMIT).run(lab.monotonic(sign * 0.03, rates))
    near(component(end, "stress")[-1], sign * (LIMIT + Z * rates ** (1 / N)), 1e-6)
    elastic = component(end, "stress")[-1] / E
    plastic = component(end, "strain")[-1] - elastic
    near(component(end, "strain", LATERAL)[-1], -NU * elastic - plastic / 2, 1e-9)  # flow keeps the volume


def test_shear_flows_at_von_mises_stress(perfect):
    rate = 1e-4
    end = perfect(LIMIT).run(lab.monotonic(0.03, rate, component="xy"))
    tension = LIMIT + Z * (2 * rate / math.sqrt(3)) ** (1 / N)  # at the same equivalent rate
    near(component(end, "stress", SHEAR)[-1], tension / math.sqrt(3), 1e-6)


def test_stress_control_gives_the_poisson_contraction(perfect):
    end = perfect(LIMIT).run(lab.monotonic(80.0, 10.0, control="stress"))
    stress = component(end, "stress")
    near(stress, torch.linspace(0, 80, 101, dtype=torch.float64), 1e-9, 1e-9)
    near(component(end, "strain"), stress / E, 1e-10, 1e-15)
    near(component(end, "strain", LATERAL), -NU * stress / E, 1e-10, 1e-15)


def test_rate_jumps_are_jumps_of_perzynas_stress(perfect):
    rates = [1e-4, 1e-2, 1e-3]
    end = perfect(LIMIT).run(lab.rate_jumps([(0.03 * i, r) for i, r in enumerate(rates, 1)]))
    near(component(end, "stress")[40::40], LIMIT + Z * tensor(rates) ** (1 / N), 1e-6)


# ---------------------------------------------------------------- cycles


def test_stabilised_amplitude_of_chaboches_law(steel):
    end = steel().run(lab.cyclic([0.003, 0.006], 12, rate=1e-3, rows=800))
    last = slice(-800, None)
    plastic = component(end, "plastic_strain")
    for i, (c, a) in enumerate(zip(C, A, strict=True), 1):
        branch = a * torch.tanh(c * plastic[last].amax(0))  # of plastic cycles between equal ends
        near(1.5 * component(end, f"X{i}")[last].amax(0), branch, 0.01)
    peak = -600  # the row at a quarter of the last cycle
    near(component(end, "strain")[peak - 1], [0.003, 0.006], 1e-12)
    flow = (plastic[peak - 1] - plastic[peak - 2]) / (end.time[peak - 1] - end.time[peak - 2])
    back = sum(component(end, f"X{i}")[peak - 1] for i in (1, 2))
    near(component(end, "stress")[peak - 1], LIMIT + 1.5 * back + Z * flow ** (1 / N), 1e-6)
    high, low = component(end, "stress")[last].amax(0), component(end, "stress")[last].amin(0)
    near(high, -low, 2e-3)  # stabilised: tension is compression


@pytest.mark.parametrize("R", [-1.0, 0.0, 0.5])
def test_ratios_of_stress_control(steel, R):
    end = steel().run(lab.cyclic(100.0, 3, rate=20.0, R=R, control="stress"))
    peak, valley = component(end, "stress")[-40:].amax(0), component(end, "stress")[-40:].amin(0)
    near(valley, R * peak, 1e-9)
    near(peak - valley, 200.0, 1e-9)


def test_ratcheting_goes_the_way_of_the_mean_stress(steel):
    end = steel().run(lab.cyclic(200.0, 6, rate=50.0, mean=[-30.0, 30.0], control="stress"))
    crossings = component(end, "strain")[10::40]  # at the mean stress, once a cycle
    assert (crossings[:, 1].diff() > 1e-5).all()
    assert (crossings[:, 0].diff() < -1e-5).all()


def test_pulsating_returns_to_zero_force(steel):
    end = steel().run(lab.pulsating([0.004, 0.008], 3, period=20.0))
    near(component(end, "strain")[20::40], torch.tensor([0.004, 0.008]), 1e-6)
    near(component(end, "stress")[40::40], 0.0, 0.0, 1e-7)
    assert (component(end, "stress")[20::40] > LIMIT).all()


# ---------------------------------------------------------------- creep, relaxation, follow-up


def test_creep_under_nortons_law(perfect):
    stress, n, Z = tensor([50.0, 100.0, 100.0]), [5.0, 5.0, 1.0], [1500.0, 1500.0, 1e7]
    end = perfect(0.0, Z, n).run(lab.creep(stress, 1e4, load_time=1.0))
    rate = (stress / tensor(Z)) ** tensor(n)
    strain, time = component(end, "strain"), end.time[:, None]
    near((strain[21:] - strain[20]) / (time[21:] - time[20]), rate, 1e-6)
    near(component(end, "stress")[20:], stress, 1e-9)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_relaxation_and_elastic_follow_up_under_nortons_law(perfect, factor):
    """s^(1-n) grows by (n-1) E t / (Z^n factor); with n = 1, a Maxwell element, log(s) falls likewise."""
    n, Z = tensor([1.0, 3.0, 5.0]), tensor([1e8, 1e4, 2e3])
    test = {"load_time": 1e-3, "rows": 1000, "decades": 5.0}
    if factor == 1:
        history = lab.relaxation(1e-3, 1e4, **test)
    else:
        history = lab.follow_up(1e-3, 1e4, factor=factor, modulus=E, **test)
    end = perfect(0.0, Z, n).run(history)
    stress, strain, time = (x[20:] for x in (component(end, "stress"), component(end, "strain"), end.time))
    start, speed = stress[0], E * (time - time[0])[:, None] / (Z**n * factor)
    power = start ** (1 - n) + (n - 1) * speed
    maxwell = start * torch.exp(-speed)
    expected = torch.where(n == 1, maxwell, power ** (1 / (1 - n).where(n != 1, tensor(1.0))))
    assert (expected[-1] < 0.5 * start).all()
    near(stress, expected, 0.0, 0.002 * float(start.max()))
    if factor == 1:
        near(strain, 1e-3, 1e-12)
    else:
        slope = (stress[1:] - stress[0]) / (strain[1:] - strain[0])
        near(slope[100:], -E / (factor - 1), 1e-6)


def test_isochronous_curves_of_nortons_law(perfect):
    n, Z, stresses, times = 4.0, 2e3, tensor([50.0, 100.0, 150.0]), [10.0, 100.0, 1000.0]
    tests = perfect(0.0, Z, n).run(lab.isochronous(stresses, times, load_time=1.0, load_rows=200))
    table = isochronous_curves(tests, times)
    for time in times:
        own = table[table["time"] == time]
        assert own["stress"].tolist() == pytest.approx(stresses.tolist())
        creep = (stresses / Z) ** n * (time - 1 + 1 / (n + 1))  # and what flows during the loading
        assert own["strain"].tolist() == pytest.approx((stresses / E + creep).tolist(), rel=1e-3)


# ---------------------------------------------------------------- temperature


@pytest.mark.parametrize("phase", [0.0, 180.0, 90.0])
def test_phases_of_strain_and_temperature(phase):
    """Below the elastic limit the stress is the strain times the modulus at the temperature of the moment."""
    model = neml2.load_model(EXAMPLES / "p91" / "thermal.i", "steel")
    history = lab.thermomechanical(5e-4, (400.0, 600.0), 1, period=100.0, phase=phase, rows=8)
    end = TransientDriver(model).run(history)
    wave = tensor([0, 1, 2, 1, 0, -1, -2, -1, 0]) / 2
    T, strain = end["T"].data, component(end, "strain")
    near(strain, 5e-4 * wave, 0.0, 1e-15)
    near(T[:8], 500 + 100 * wave[:8].roll(round(phase / 45)), 1e-12)
    modulus = 185000 + (E - 185000) * (T - 400) / 200
    near(component(end, "stress"), modulus * strain, 1e-9, 1e-9)


# ---------------------------------------------------------------- events, increments, deformation gradients


def test_a_creep_test_until_a_strain(perfect):
    """The flow is constant, so backward Euler is exact, and so is the time."""
    stress, n, Z = tensor([80.0, 100.0]), 5.0, 1500.0
    load = Segment(1.0, 1, stress={"xx": stress})
    hold = Segment(1e5, 10, stress={"xx": stress}, until="strain.xx >= 0.01", name="creep")
    back = Segment(1.0, 1, stress={"xx": 0.0})
    end = perfect(0.0, Z, n).run(History.from_segments([load, hold, back]))
    rate = (stress / Z) ** n
    times = {e.point[0]: e.time for e in end.events}
    near([times[0], times[1]], 1.0 + (0.01 - stress / E - rate) / rate, 1e-8)  # the loading is one step
    assert {e.name for e in end.events} == {"creep"}
    near(end.time[-1], tensor([times[0], times[1]]) + 1.0, 1e-12)  # the next segment begins there
    near(component(end, "strain")[-1], 0.01 - stress / E, 1e-2)


class Rubber(Model):
    """Cauchy stress of a compressible neo-Hookean solid with no first Lame constant: ``mu/J (B - I)``."""

    F: R2 = Input("Deformation gradient")
    stress: SR2 = Output("Cauchy stress", unit="stress")
    mu: Scalar = Parameter("mu", "Shear modulus", unit="stress")

    def forward(self, F, mu):
        identity = SR2.identity(dtype=F.dtype, device=F.device)
        return mu / det(F) * (sym(F @ F.base.transpose()) - identity)


def test_deformation_gradients():
    """Uniaxial: the sides stay as they are, so that s = mu (l - 1/l). Simple shear: s_xy = mu gamma."""
    driver = TransientDriver(Rubber(mu=2.0, name="rubber"))
    pull = Segment(1.0, 10, deformation_gradient={"xx": 1.5})
    end = driver.run(History.from_segments([pull]))
    near(component(end, "stress")[-1], 2 * (1.5 - 1 / 1.5), 1e-10)
    near(end["F"].data[-1].diagonal(), [1.5, 1.0, 1.0], 1e-10)
    unit = {c: float(c[0] == c[1]) for c in ("xx", "yy", "zz", "yz", "xz", "yx", "zx", "zy")}
    shear = Segment(1.0, 10, deformation_gradient={**unit, "xy": 0.8})
    end = driver.run(History.from_segments([shear]))
    near(end["stress"].physical()[-1], [2 * 0.8**2, 0, 0, 0, 0, 2 * 0.8], 1e-12, 1e-14)
