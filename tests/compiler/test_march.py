"""Histories in parts: some outputs, some steps, blocks of steps, and what a point that fails leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from neml2 import load_input
from neml2.compiler.kernel import Kernel
from neml2.compiler.march import run_march

HERE = Path(__file__).parents[1] / "scenarios"
STEPS = 30


class Marching:
    """A kernel with the arguments of a scenario's history."""

    def __init__(self, name: str, dtype: torch.dtype = torch.float64) -> None:
        driver = load_input(HERE / name / "model.i").get_driver("driver")
        bound = driver.driver.bind(driver.history)
        update = driver.driver.update
        self.kernel = Kernel(update, bound.forces, {})
        self.like = torch.zeros((), dtype=dtype)
        state = update.initial_state({**bound.zeros, **bound.initial}, bound.time)
        with torch.no_grad():
            self.given = self.kernel.arguments(bound.forces, state, bound.batch, self.like)
        self.points = bound.batch.numel()

    def run(self, first, last, rows=None, names=None, given=None):
        rows = torch.arange(last - first) if rows is None else rows
        kept = int(rows.max()) + 1
        outputs = {
            n: torch.full((kept, self.points, size), -7.0, dtype=self.like.dtype)
            for n, size in self.kernel.sizes.items()
            if names is None or n in names
        }
        marks = (
            torch.full((kept, self.points), 9, dtype=torch.int8),
            torch.full((kept, self.points), 99, dtype=torch.int32),
        )
        given = self.given if given is None else given
        done = run_march(self.kernel, given, first, last, self.points, outputs, rows, marks)
        return outputs, marks, done


@pytest.fixture(scope="module")
def marching():
    return Marching("vp_chaboche_cyclic")


@pytest.fixture(scope="module")
def whole(marching):
    outputs, marks, done = marching.run(1, STEPS)
    assert not done.stopped.any()
    return outputs, marks, done


def test_some_steps(marching, whole):
    rows = torch.full((STEPS - 1,), -1)
    wanted = [0, 3, 4, 20, 28]
    rows[wanted] = torch.arange(len(wanted))
    outputs, marks, done = marching.run(1, STEPS, rows)
    for n, t in outputs.items():
        assert torch.equal(t, whole[0][n][wanted]), n
    for part, everything in zip(marks, whole[1], strict=True):
        assert torch.equal(part, everything[wanted])
    for n, t in done.end.items():
        assert torch.equal(t, whole[2].end[n])


def test_some_outputs(marching, whole):
    outputs, _, _ = marching.run(1, STEPS, names={"stress"})
    assert list(outputs) == ["stress"]
    assert torch.equal(outputs["stress"], whole[0]["stress"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("cut", [2, 17, STEPS - 1])
def test_blocks_of_steps_have_the_bits_of_the_whole(marching, dtype, cut):
    """Also in single precision: the state between blocks keeps all its digits."""
    one = marching if dtype == torch.float64 else Marching("vp_chaboche_cyclic", dtype)
    everything, _, end = one.run(1, STEPS)
    first, _, middle = one.run(1, cut)
    second, _, last = one.run(cut, STEPS, given=one.given | middle.end)
    for n, t in everything.items():
        assert torch.equal(torch.cat([first[n], second[n]]), t), n
    for n, t in last.end.items():
        assert t.dtype == torch.float64 and torch.equal(t, end.end[n])


def test_a_point_that_fails_stops_and_keeps_its_state(marching, whole):
    force = next(n for n, t in marching.given.items() if n.startswith("force_") and t.shape[-1] == 6)
    broken = marching.given[force].expand(-1, marching.points, -1).clone()
    broken[11:, 1] = float("nan")
    outputs, marks, done = marching.run(1, STEPS, given=marching.given | {force: broken})
    assert done.stopped.tolist() == [11 if p == 1 else 0 for p in range(marching.points)]
    others = [p for p in range(marching.points) if p != 1]
    for n, t in outputs.items():
        assert torch.equal(t[:, others], whole[0][n][:, others]), n
        assert torch.equal(t[:10], whole[0][n][:10]), n
    assert marks[0][10, 1] == 2  # not finite
    for name, depth in marching.kernel.states:
        assert depth == 1
        assert torch.equal(done.end[f"init1_{name}"][1], whole[0][name][9, 1])
