"""Cohesive zones: energies, limits of mixed modes, irreversibility, units, and derivatives at corners."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import neml2
from neml2 import ComposedModel, History, Scalar, TransientDriver, models
from neml2.types import Vec

SCENARIO = Path(__file__).parents[1] / "scenarios/cohesive_bilinear_bk/model.i"
K, N, S, GI, GII, ETA = 1200.0, 14.0, 18.0, 0.9, 1.7, 1.8
ENERGIES = {
    "penalty_stiffness": K,
    "mode_I_fracture_toughness": GI,
    "mode_II_fracture_toughness": GII,
    "shear_strength": S,
    "eta": ETA,
}
CRITERIA = {
    "BenzeggaghKenane": lambda share: GI + (GII - GI) * share**ETA,
    "PowerLaw": lambda share: (((1 - share) / GI) ** ETA + (share / GII) ** ETA) ** (-1 / ETA),
}
EXPONENTIAL = {
    "normal_characteristic_length": 0.02,
    "tangential_characteristic_length": 0.03,
    "normal_strength": N,
    "shear_strength": S,
}
JUMPS = ("normal_separation", "tangential_separation_1", "tangential_separation_2")


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def interface(criterion="BenzeggaghKenane"):
    """The whole bilinear law, from the jump to the traction; the scenario's, with either criterion."""
    text = SCENARIO.read_text().replace("BenzeggaghKenane", criterion)
    return neml2.load_string(text).get_model("model")


def onset(beta):
    model = models.CamanhoDavilaCriticalSeparation(
        mode_mixity="beta", penalty_stiffness=K, normal_strength=N, shear_strength=S
    )
    return float(model(Scalar(1.0), Scalar(beta)).data.detach())


def failure(criterion, beta):
    kind = getattr(models, f"{criterion}FullSeparation")
    model = kind(mode_mixity="beta", critical_separation="delta_c", **ENERGIES)
    return float(model(Scalar(1.0), Scalar(beta), Scalar(onset(beta))).data.detach())


def opened(model, path, time=None):
    """Trajectory of a jump along ``path``, ``(n, 3)``."""
    time = torch.linspace(0, 1, len(path), dtype=torch.float64) if time is None else time
    with torch.no_grad():
        return TransientDriver(model, engine="eager").run(History(time, {"separation": Vec(path)}))


# -------------------------------------------------------------------- energies


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("angle", [0.0, 20.0, 45.0, 80.0, 90.0])
def test_the_triangle_under_the_traction_is_the_fracture_energy(criterion, angle):
    """Along a straight jump at ``angle`` to the normal; the law is linear between its corners."""
    cos, sin = (round(f(math.radians(angle)), 12) for f in (math.cos, math.sin))
    share = sin**2
    direction = numbers(cos, 0.6 * sin, -0.8 * sin)
    if angle < 90:
        corners = onset(sin / cos), failure(criterion, sin / cos)
    else:
        corners = S / K, 2 * GII / S
    lengths = numbers(0.0, *corners, 1.5 * corners[1])
    found = opened(interface(criterion), lengths[:, None] * direction)
    along = found["traction"].data[1:] @ direction
    torch.testing.assert_close(along[1:], numbers(0.0, 0.0), rtol=0, atol=1e-6)
    energy = torch.trapezoid(torch.cat([numbers(0.0), along]), lengths)
    assert float(energy) == pytest.approx(CRITERIA[criterion](share), rel=1e-6)
    # the peak lies on the ellipse of both strengths
    normal, tangential = along[0] * cos, along[0] * sin
    assert float((normal / N) ** 2 + (tangential / S) ** 2) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize(
    ("way", "energy"),
    [((1.0, 0.0, 0.0), math.e * N * 0.02), ((0.0, 0.6, 0.8), math.sqrt(math.e) * S * 0.03)],
    ids=["opening", "sliding"],
)
def test_the_exponential_law_has_its_energy_and_its_peak(way, energy):
    model = models.SalehaniIraniTraction(**EXPONENTIAL)
    x = torch.linspace(0, 1.0, 20001, dtype=torch.float64)
    jumps = [Scalar(x * w) for w in way]
    traction, damage = model(*jumps, Scalar(0.0))
    along = traction.data.detach() @ numbers(*way)
    assert float(torch.trapezoid(along, x)) == pytest.approx(energy, rel=1e-4)
    peak = int(along.argmax())
    where, height = (0.02, N) if way[0] else (0.03, S)
    assert float(x[peak]) == pytest.approx(where, abs=5e-5)
    assert float(along[peak]) == pytest.approx(height, rel=1e-5)
    damage = damage.data.detach()
    assert bool((damage.diff() >= 0).all()) and float(damage[-1]) == pytest.approx(1.0)


# -------------------------------------------------------------------- mixed modes


@pytest.mark.parametrize("criterion", CRITERIA)
def test_limits_of_mixed_modes(criterion):
    """Pure opening at one end; at the other the values of an interface that slides without opening."""
    assert onset(0.0) == pytest.approx(N / K, rel=1e-15)
    assert failure(criterion, 0.0) == pytest.approx(2 * GI / N, rel=1e-15)
    for beta in (1e8, 1e20, 1e100):
        assert onset(beta) == pytest.approx(S / K, rel=1e-14)
        assert failure(criterion, beta) == pytest.approx(2 * GII / S, rel=1e-14)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("normal", [0.0, -0.0, -0.01])
def test_a_closed_interface_slides_in_mode_two(criterion, normal):
    """Whatever the mixity, and with derivatives of zero."""
    _, slopes = models.ModeMixity().jacobian({"normal_separation": normal, "tangential_separation": 0.02})
    assert all(float(s.data) == 0 for s in slopes["mode_mixity"].values())
    kind = getattr(models, f"{criterion}FullSeparation")
    model = kind(mode_mixity="beta", critical_separation="dc", **ENERGIES)
    for beta in (0.0, 0.7, 1e8):
        values, slopes = model.jacobian({"normal_separation": normal, "beta": beta, "dc": 0.01})
        assert float(values["full_separation"].data.detach()) == pytest.approx(2 * GII / S)
        assert all(float(s.data) == 0 for s in slopes["full_separation"].values())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e-9])
def test_separations_are_proportional_to_the_unit_of_length(unit, dtype):
    """No absolute constant beside a squared length: metres, millimetres and single precision agree."""
    sizes = {"penalty_stiffness": K / unit, "shear_strength": S, "mode_mixity": 0.8}
    given = {"mode_I_fracture_toughness": GI * unit, "mode_II_fracture_toughness": GII * unit, "eta": ETA}
    normal = Scalar(torch.tensor(0.01 * unit, dtype=dtype))
    start = models.CamanhoDavilaCriticalSeparation(normal_strength=N, **sizes).to(dtype)(normal)
    assert float(start.data.detach()) == pytest.approx(unit * onset(0.8), rel=1e-6)
    for criterion in CRITERIA:
        kind = getattr(models, f"{criterion}FullSeparation")
        end = kind(critical_separation=unit * onset(0.8), **sizes, **given).to(dtype)(normal)
        assert float(end.data.detach()) == pytest.approx(unit * failure(criterion, 0.8), rel=2e-6)


# -------------------------------------------------------------------- damage


def test_unloading_is_linear_and_damage_never_heals():
    shares = torch.cat(
        [torch.linspace(a, b, 11)[1:] for a, b in ((0, 1), (1, 0), (0, 0.9), (0.9, 2))]
    ).double()
    path = torch.cat([numbers(0.0), shares])[:, None] * numbers(0.04, 0.02, -0.01)
    found = opened(interface(), path)
    damage, traction = found["damage"].data[1:], found["traction"].data[1:]
    assert bool((damage.diff() >= 0).all())
    assert 0.5 < float(damage[9]) < 1.0
    assert torch.equal(damage[9:29], damage[9].expand(20)), "nothing happens up to the largest jump so far"
    secant = K * (1 - damage[9])
    torch.testing.assert_close(traction[9:29], secant * path[10:30], rtol=1e-12, atol=1e-12)
    assert bool((damage[30:] > damage[9]).all()), "and it goes on beyond"


def test_a_closing_interface_is_pressed_with_its_whole_stiffness():
    path = numbers(0.0, 1.0, -0.5)[:, None] * numbers(0.08, 0.0, 0.0)
    found = opened(interface(), path)
    assert 0.5 < float(found["damage"].data[-1]) < 1
    assert float(found["traction"].data[-1, 0]) == pytest.approx(-0.04 * K)


def test_the_path_counts_and_not_its_speed():
    path = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None] * numbers(0.06, 0.03, 0.0)
    slow = opened(interface(), path, torch.linspace(0, 1e4, 9, dtype=torch.float64) ** 2)
    fast = opened(interface(), path)
    assert torch.equal(slow["traction"].data[1:], fast["traction"].data[1:])


@pytest.mark.parametrize(
    ("delta", "old", "slopes"),
    [(0.0, 0.0, (0, 1)), (0.005, 0.0, (0, 1)), (0.01, 0.0, (0, 1)), (0.2, 0.5, (0, 0)), (0.3, 1.0, (0, 1))],
    ids=["at rest", "below the onset", "onset", "failure", "broken"],
)
def test_one_sided_derivatives_of_damage(delta, old, slopes):
    model = models.BilinearTraction(penalty_stiffness=K, critical_separation=0.01, full_separation=0.2)
    point = dict.fromkeys(JUMPS, 0.01) | {"effective_separation": delta, "damage~1": old}
    _, jacobian = model.jacobian(point)
    row = jacobian["damage"]
    assert (float(row["effective_separation"].data), float(row["damage~1"].data)) == slopes
    _, by_parameter = model.param_jacobian(point)
    assert all(float(s) == 0 for s in by_parameter["damage"].values())


def test_softening_has_the_slopes_of_its_formula():
    model = models.BilinearTraction(penalty_stiffness=K, critical_separation="c", full_separation="f")
    m, c, f = 0.05, 0.012, 0.11
    point = dict.fromkeys(JUMPS, 0.01) | {"effective_separation": m, "damage~1": 0.0, "c": c, "f": f}
    row = model.jacobian(point)[1]["damage"]
    expected = {
        "effective_separation": f * c / (m**2 * (f - c)),
        "c": f * (m - f) / (m * (f - c) ** 2),
        "f": -c * (m - c) / (m * (f - c) ** 2),
    }
    for name, slope in expected.items():
        assert float(row[name].data) == pytest.approx(slope, rel=1e-12)


def test_gradients_of_a_history_by_all_parameters():
    """The adjoint of the damage history against central differences."""
    model = interface()
    path = torch.linspace(0, 1, 8, dtype=torch.float64)[:, None] * numbers(0.05, 0.03, -0.01)
    history = History(torch.linspace(0, 1, 8, dtype=torch.float64), {"separation": Vec(path)})

    def work():
        traction = TransientDriver(model, engine="eager").run(history)["traction"].data[1:]
        return (traction * path[1:]).sum()

    parameters = dict(model.named_parameters())
    slopes = torch.autograd.grad(work(), list(parameters.values()))
    for (name, p), slope in zip(parameters.items(), slopes, strict=True):
        h, value = 1e-5, p.detach().clone()
        ends = []
        with torch.no_grad():
            for factor in (1 + h, 1 - h):
                p.copy_(value * factor)
                ends.append(float(work()))
            p.copy_(value)
        difference = (ends[0] - ends[1]) / (2 * h)
        assert float(slope * value) == pytest.approx(difference, rel=1e-6, abs=1e-8), name


# -------------------------------------------------------------------- frames, NaN, refusals


@pytest.mark.parametrize(
    "model",
    [
        interface(),
        ComposedModel(
            [
                models.VecComponents(**{"from": "separation", "to": list(JUMPS)}),
                models.SalehaniIraniTraction(**EXPONENTIAL, name="traction"),
            ]
        ),
        ComposedModel(
            [
                models.VecComponents(**{"from": "separation", "to": list(JUMPS)}),
                models.OrthotropicLinearTraction(normal_stiffness=K, tangential_stiffness=S, name="traction"),
            ]
        ),
    ],
    ids=["bilinear", "exponential", "elastic"],
)
def test_frame_indifference_about_the_normal(model):
    cos, sin = math.cos(0.7), math.sin(0.7)
    Q = torch.tensor([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]], dtype=torch.float64)
    path = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None] * numbers(0.03, 0.02, -0.05)
    plain, turned = (opened(model, x)["traction"].data[1:] for x in (path, path @ Q.mT))
    torch.testing.assert_close(turned, plain @ Q.mT, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("jump", "old"), [(math.nan, 0.0), (math.nan, 0.4), (math.nan, 1.0), (0.005, math.nan), (0.05, math.nan)]
)
def test_a_nan_is_seen_whatever_the_damage(jump, old):
    bilinear = models.BilinearTraction(penalty_stiffness=K, critical_separation=0.01, full_separation=0.1)
    exponential = models.SalehaniIraniTraction(**EXPONENTIAL)
    slides = [Scalar(0.01)] * 2
    for found in (
        bilinear(Scalar(jump), Scalar(0.01), *slides, Scalar(old)),
        exponential(Scalar(jump), *slides, Scalar(old)),
    ):
        assert all(bool(x.data.isnan().all()) for x in found)


def test_the_mixity_of_a_nan_is_a_nan():
    assert bool(models.ModeMixity()(Scalar(math.nan), Scalar(0.1)).data.isnan())


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("shear_strength", 0.0, r"shear_strength is 0, outside its range \(0, inf\)"),
        ("penalty_stiffness", "K", "penalty_stiffness must be a number or a tensor, not 'K'"),
        ("mode_mixity", -0.1, r"mode_mixity is -0.1, outside its range \[0, inf\)"),
        ("critical_separation", 0.0, r"critical_separation is 0, outside its range \(0, inf\)"),
    ],
)
def test_unusable_parameters_are_refused(option, value, message):
    good = ENERGIES | {"mode_mixity": 0.5, "critical_separation": 0.01}
    with pytest.raises(ValueError, match=message):
        models.PowerLawFullSeparation(**(good | {option: value}))
