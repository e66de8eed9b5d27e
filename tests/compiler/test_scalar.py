"""The functions of one point, those of a GPU, against those of vector lanes: value by value."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neml2.compiler.launch import Launcher, view
from neml2.compiler.program import Program
from tests.compiler.emulator import emulate
from tests.compiler.test_vector import MARKED, close, many

ONE = ("abs", "sign", "sqrt", "floor", "exp", "log", "expm1", "log1p", "log10", "sin", "cos", "tan", "asin")
CALLS = {f"v{n}": f"v{n}(x)" for n in (*ONE, "acos", "atan", "tanh")}
CALLS |= {f"v{n}": f"v{n}(x, y)" for n in ("max", "min", "rem")}
CALLS |= {
    "finite": "sel(finite(x), 1.0, 0.0)",
    "lt": "sel(lt(x, y), 1.0, 0.0)",
    "le": "sel(le(x, y), 1.0, 0.0)",
    "eq": "sel(eq(x, y), 1.0, 0.0)",
    "a number": "sel(lt(x, 0.5), x, 0.0)",
    "a number first": "sel(le(0.5, x), 2.0, x)",
    "masks": "sel(~(lt(x, y) | eq(x, y)) & le(bc(0.0), y), bc(x), y)",
    "masks compared": "sel(eq(lt(x, y), lt(y, x)), y, 2.0)",
    "codes": "sel(eq(sel(le(x, y), 0.0, sel(lt(y, x), 2.0, 1.0)), 0.0), x, y)",
}
ROUGH = {"vexp": 2, "vlog": 2}  # ulp: those of the lanes are ours


def every_function():
    """One output for each call; ``above`` counts the points where ``x`` is above ``y``."""
    program = Program("every function")
    program.argument("int64_t", "points")
    program.text = "".join(f"const V {n} = load({program.argument('View', n)}, 0, p0, n, 0);\n" for n in "xy")
    for name, call in CALLS.items():
        program.text += f"store({program.argument('Out', f'out {name}')}, 0, p0, n, 0, bc({call}));\n"
    program.text += "M above = M{};\nif (any(lt(y, x))) above |= lt(y, x);\n"
    program.text += f"put({program.argument('int32_t *', 'above')}, p0, n, sel(above, 1.0, 0.0));\n"
    program.text += "for (int i = 0; i < n; ++i) if (lane(~eq(x, x), i)) a.nan[p0 + i] = 7;\n"
    program.argument("int64_t *", "nan")
    return program


@pytest.fixture(scope="module")
def results():
    """Operands, and what both texts make of them."""
    pairs = [np.concatenate([g.ravel(), many()]) for g in np.meshgrid(MARKED, MARKED)]
    pairs[1][MARKED.size**2 :] = np.random.default_rng(3).permutation(pairs[1][MARKED.size**2 :])
    x, y = (torch.from_numpy(p)[:, None] for p in pairs)
    program, found = every_function(), []
    with pytest.MonkeyPatch.context() as patch:
        emulate(patch)
        for device in ("cuda:0", "cpu"):
            made = {f"out {n}": torch.empty_like(x) for n in CALLS}
            marks = {
                "above": torch.zeros(len(x), dtype=torch.int32),
                "nan": torch.zeros(len(x), dtype=torch.int64),
            }
            arguments = {n: view(t) for n, t in {"x": x, "y": y, **made}.items()}
            Launcher(program, device=device).run({**arguments, **marks, "points": len(x)})
            found.append({n: t.numpy().ravel() for n, t in {**made, **marks}.items()})
    return x, y, *found


@pytest.mark.parametrize("name", CALLS)
def test_one_point_and_lanes_agree(results, name):
    _, _, scalar, lanes = results
    close(scalar[f"out {name}"], lanes[f"out {name}"], ROUGH.get(name, 0))


def test_marks(results):
    x, y, scalar, lanes = results
    for found in (scalar, lanes):
        assert np.array_equal(found["above"], (x > y).numpy().ravel())
        assert np.array_equal(found["nan"], 7 * x.isnan().numpy().ravel())


@pytest.mark.parametrize("m", [1, 2, 3, 7])
def test_linear_systems(monkeypatch, m):
    """The same operations in the same order: only the contraction of products and sums is the compiler's."""
    program = Program("solve")
    program.argument("int64_t", "points")
    rows, out = program.argument("View", "rows"), program.argument("Out", "out")
    entries = f"load({rows}, 0, p0, n, i * {m + 1} + j)"
    program.text = f"V s[{m}][{m + 1}];\n"
    program.text += f"for (int i = 0; i < {m}; ++i) for (int j = 0; j <= {m}; ++j) s[i][j] = {entries};\n"
    program.text += f"solve<{m}, 1>(s);\n"
    program.text += f"for (int i = 0; i < {m}; ++i) store({out}, 0, p0, n, i, s[i][{m}]);"
    generator = torch.Generator().manual_seed(m)
    given = torch.randn(1003, m * (m + 1), dtype=torch.float64, generator=generator)
    given[5, : m + 1] = 0.0  # singular
    found = []
    emulate(monkeypatch)
    for device in ("cuda:0", "cpu"):
        x = torch.empty(1003, m, dtype=torch.float64)
        Launcher(program, device=device).run({"rows": view(given), "out": view(x), "points": 1003})
        found.append(x)
    assert not found[0][5].isfinite().all()
    torch.testing.assert_close(*found, rtol=1e-8, atol=0, equal_nan=True)
