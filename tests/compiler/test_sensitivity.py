"""The kernel of forward sensitivities: closed forms, the adjoint, and parts of a history."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from neml2 import Scalar, load_input
from neml2.compiler.kernel import Kernel
from neml2.compiler.launch import Launcher
from neml2.compiler.lower import Unsupported
from neml2.compiler.march import run_adjoint, run_march, run_sensitivity
from neml2.compiler.sensitivity import COLUMNS
from neml2.step import StateUpdate
from tests.compiler.emulator import emulate
from tests.drivers.materials import decay, times

HERE = Path(__file__).parents[1] / "scenarios"
NAMES = sorted(p.parent.name for p in HERE.glob("*/model.i"))
QUICK = "ri_minmap_perfect"
F64 = torch.float64


class Marched:
    """A kernel, its arguments, and the tape of a march."""

    def __init__(self, update, forces, initial, zeros, time, batch, dtype=F64):
        state = update.initial_state({**zeros, **initial}, time)
        shapes = {n: v.sub_batch_shape for n, v in {**forces, **state}.items()}
        self.kernel = Kernel(update, forces, shapes)
        self.points, self.steps = batch.numel(), len(time)
        with torch.no_grad():
            self.given = self.kernel.arguments(forces, state, batch, torch.zeros((), dtype=dtype))
        self.given = {n: t.detach() for n, t in self.given.items()}
        self.tape, self.stopped = self.march(self.given)
        self.names = list(self.kernel.step.parameters)

    def march(self, given):
        like = self.kernel.like(given)
        tape = {n: like.new_zeros(self.steps, self.points, s) for n, s in self.kernel.sizes.items()}
        for n, _ in self.kernel.states:
            tape[n][0] = given[f"init1_{n}"]
        rows = torch.arange(1, self.steps)
        marks = (torch.zeros(self.steps, self.points, dtype=d) for d in (torch.int8, torch.int32))
        done = run_march(self.kernel, given, 1, self.steps, self.points, tape, rows, tuple(marks))
        return tape, done.stopped

    def sensitivity(self, names=None, **options):
        names = self.names if names is None else names
        return run_sensitivity(self.kernel, self.given, self.tape, 1, self.points, names, **options)


@cache
def scenario(name):
    given = load_input(HERE / name / "model.i").get_driver("driver")
    bound = given.driver.bind(given.history)
    forces = {n: type(v)._new(v.data[:20], v.sub_batch_ndim) for n, v in bound.forces.items()}
    update = given.driver.update
    return Marched(update, forces, bound.initial, bound.zeros, bound.time[:20], bound.batch)


def decays(dtype):
    """Three decays from 1.5 to a load that is zero, in twelve rows."""
    k = torch.tensor([0.5, 2.0, 3.0], dtype=dtype)
    clock, load = times(12).to(dtype), torch.zeros(12, dtype=dtype)
    start = {"x": Scalar(torch.tensor(1.5, dtype=dtype))}
    update = StateUpdate(decay(k=Scalar(k)))
    return Marched(update, {"t": Scalar(clock), "load": Scalar(load)}, start, {}, clock, k.shape, dtype)


@pytest.fixture(scope="module")
def decaying():
    return decays(F64)


def test_a_decay(decaying):
    """Backward Euler gives x_n = x_0 (1 + k dt)^-n."""
    (k,) = decaying.names
    dt, n = 1.0 / 11, torch.arange(12, dtype=F64)[:, None]
    value = decaying.given[f"par_{k}"][:, 0]
    exact = -n * dt * 1.5 * (1 + value * dt) ** (-n - 1)
    found, end = decaying.sensitivity()
    torch.testing.assert_close(found["x"][..., 0, 0], exact, rtol=1e-13, atol=0)
    rate = -(1.5 * (1 + value * dt) ** -n) - value * exact  # of x' = -k x
    torch.testing.assert_close(found["x_rate"][1:, :, 0, 0], rate[1:], rtol=1e-13, atol=0)
    assert torch.equal(end["begin1_x"][..., 0, 0], found["x"][-1, :, 0, 0])
    assert not found["x"][0].any()


@pytest.mark.parametrize(
    "name", [n if n == QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)
def test_as_the_adjoint(name):
    """The sum of weighted outputs has the same gradient, for every parameter of every point."""
    try:
        one = scenario(name)
    except Unsupported as reason:
        pytest.skip(str(reason))
    if one.stopped.any():
        pytest.skip("points of this history need the eager engine")
    found, _ = one.sensitivity()
    generator = torch.Generator().manual_seed(1)
    sizes = {n: float(one.tape[n][1:].abs().max().clamp(min=1e-12)) for n in found}
    bars = {n: torch.randn(one.tape[n].shape, generator=generator, dtype=F64) / sizes[n] for n in found}
    wanted = [f"par_{n}" for n in one.names]
    adjoint = run_adjoint(one.kernel, one.given, one.tape, bars, 1, one.points, wanted)
    exact = torch.cat([adjoint[n] for n in wanted], dim=-1)
    got = sum(torch.einsum("kps,kpsc->pc", bars[n][1:], found[n][1:]) for n in found)
    values = torch.cat([one.given[n].expand(one.points, -1) for n in wanted], dim=-1).abs()
    round_off = 1e-12 / values.clamp(min=1e-3)  # of a derivative that is zero
    assert ((got - exact).abs() <= 1e-8 * exact.abs().amax(0) + round_off).all()


def test_as_central_differences():
    perfect = scenario(QUICK)
    found, _ = perfect.sensitivity()
    for column, n in enumerate(perfect.names):
        value = perfect.given[f"par_{n}"]
        assert value.shape[-1] == 1
        h = 1e-4 * value.abs().clamp(min=1e-3)
        ends = [perfect.march(perfect.given | {f"par_{n}": value + j * h})[0] for j in (-2, -1, 1, 2)]
        for output, d in found.items():
            a, b, c, e = (end[output] for end in ends)
            slope = (a - 8 * b + 8 * c - e) / (12 * h)
            off = 1e-6 * slope.abs().max() + 1e-13 * c.abs().max() / h.max()
            assert (d[..., column] - slope)[1:].abs().max() <= off, (n, output)


def test_row_pivoting_gives_the_same(decaying):
    condensed, _ = decaying.sensitivity()
    pivoted, _ = decaying.sensitivity(strict=True)
    assert decaying.kernel.eliminations[0].pivots  # the condensed system has something to go wrong
    for n, d in condensed.items():
        torch.testing.assert_close(d, pivoted[n], rtol=1e-9, atol=1e-9 * float(d.abs().max()))


def test_points_whose_pivots_are_bad_are_done_again(decaying, monkeypatch):
    """A pivot that is not a number: all points are those of row pivoting."""
    expected, last = decaying.sensitivity(strict=True)
    (elimination,) = decaying.kernel.eliminations
    bad = replace(elimination, pivots=[elimination.pivots[0].graph.const(math.inf)])
    for name, value in (("_programs", {}), ("_launchers", {}), ("eliminations", [bad])):
        monkeypatch.setattr(decaying.kernel, name, value)
    found, end = decaying.sensitivity()
    for n, d in expected.items():
        assert torch.equal(found[n], d), n
    for n, d in last.items():
        assert torch.equal(end[n], d), n


def test_a_history_in_two_parts_has_the_same_bits(decaying):
    whole, end = decaying.sensitivity()
    cut = 5
    first = {n: t[:cut] for n, t in decaying.tape.items()}
    kernel, given, names = decaying.kernel, decaying.given, decaying.names
    a, begin = run_sensitivity(kernel, given, first, 1, decaying.points, names)
    b, last = run_sensitivity(kernel, given, decaying.tape, cut, decaying.points, names, begin=begin)
    for n, d in whole.items():
        assert torch.equal(torch.cat([a[n], b[n][cut:]]), d), n
    for n, d in end.items():
        assert torch.equal(last[n], d), n


def test_many_columns_are_taken_in_groups(decaying):
    names = decaying.names * (2 * COLUMNS + 3)
    one, end = decaying.sensitivity()
    many, ends = decaying.sensitivity(names)
    assert many["x"].shape == (12, 3, 1, 2 * COLUMNS + 3)
    assert torch.equal(many["x"], one["x"].expand_as(many["x"]))
    assert torch.equal(ends["begin1_x"], end["begin1_x"].expand_as(ends["begin1_x"]))


def test_no_columns(decaying):
    found, end = decaying.sensitivity([])
    assert found["x"].shape == (12, 3, 1, 0) and end["begin1_x"].shape == (3, 0, 1)


def test_some_outputs(decaying):
    whole, _ = decaying.sensitivity()
    some, _ = decaying.sensitivity(outputs=["x"])
    assert list(some) == ["x"] and torch.equal(some["x"], whole["x"])


def test_a_point_alone_has_the_bits_of_the_batch(decaying):
    whole, _ = decaying.sensitivity()
    for p in range(3):
        given = {n: t if t.shape[-2] == 1 else t[..., p : p + 1, :] for n, t in decaying.given.items()}
        tape = {n: t[:, p : p + 1].contiguous() for n, t in decaying.tape.items()}
        alone, _ = run_sensitivity(decaying.kernel, given, tape, 1, 1, decaying.names)
        for n, d in whole.items():
            assert torch.equal(alone[n], d[:, p : p + 1]), n


def test_prescribed_values_that_change_with_a_parameter(decaying):
    """A load that is c at all rows, by c: x_n = c + (x_0 - c) (1 + k dt)^-n at c = 0."""
    (k,) = decaying.names
    value = decaying.given[f"par_{k}"][:, 0]
    without, _ = decaying.sensitivity()
    along = {"load": torch.ones(12, 3, 1, 1, dtype=F64)}
    found, _ = decaying.sensitivity(along=along)
    n = torch.arange(12, dtype=F64)[:, None]
    exact = 1 - (1 + value / 11) ** -n
    torch.testing.assert_close((found["x"] - without["x"])[..., 0, 0], exact, rtol=1e-12, atol=1e-15)


def test_single_precision(decaying):
    exact, _ = decaying.sensitivity()
    found, end = decays(torch.float32).sensitivity()
    assert all(d.dtype == F64 for d in end.values())
    for n, d in found.items():
        assert d.dtype == torch.float32
        torch.testing.assert_close(d.double(), exact[n], rtol=1e-5, atol=1e-6)


def test_the_text_for_a_gpu(decaying, monkeypatch):
    """Run by an emulator: one point after another."""
    exact, end = decaying.sensitivity()
    emulate(monkeypatch)
    program = decaying.kernel.launcher("sensitivity", decaying.tape["x"]).program
    launcher = Launcher(program, F64, "cuda:0")
    monkeypatch.setattr(decaying.kernel, "launcher", lambda *_: launcher)
    found, last = decaying.sensitivity()
    for made, expected in ((found, exact), (last, end)):
        for n, d in expected.items():
            torch.testing.assert_close(made[n], d, rtol=1e-13, atol=1e-15)
