"""The functions of the kernels against numpy, value by value."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

import neml2.compiler.build as build

HERE = Path(build.__file__).parent
HEADER = "typedef double T;\n" + "".join((HERE / n).read_text() for n in ("vector.hpp", "dense.hpp"))
ONE = ("vexp", "vlog", "vsqrt", "vabs", "vsign", "vexpm1", "vlog1p", "vtanh", "vfloor")
TWO = ("vmax", "vmin", "vrem")
SIZES = (1, 2, 3, 7)

LOOP = """
extern "C" int width() {{ return W; }}
{functions}
"""
MAP = """extern "C" void {name}_all(const double *a, const double *b, double *r, int64_t n) {{
    for (int64_t i = 0; i < n; i += W) {{
        V x, y;
        for (int j = 0; j < W; ++j) x[j] = a[i + j], y[j] = b[i + j];
        const V z = {call};
        for (int j = 0; j < W; ++j) r[i + j] = z[j];
    }}
}}
"""
SOLVE = """extern "C" void solve_{m}(double *rows, int64_t n) {{
    for (int64_t p = 0; p < n; p += W) {{
        V a[{m}][{m} + 1];
        for (int i = 0; i < {m}; ++i) for (int j = 0; j <= {m}; ++j) for (int l = 0; l < W; ++l)
            a[i][j][l] = rows[((p + l) * {m} + i) * ({m} + 1) + j];
        solve<{m}, 1>(a);
        for (int i = 0; i < {m}; ++i) for (int j = 0; j <= {m}; ++j) for (int l = 0; l < W; ++l)
            rows[((p + l) * {m} + i) * ({m} + 1) + j] = a[i][j][l];
    }}
}}
"""


@pytest.fixture(scope="module", params=["", "#define W 4\n"], ids=["widest", "four"])
def library(request):
    calls = {n: f"{n}(x)" for n in ONE} | {n: f"{n}(x, y)" for n in TWO}
    functions = [MAP.format(name=n, call=c) for n, c in calls.items()]
    functions += [SOLVE.format(m=m) for m in SIZES]
    return build.library(request.param + HEADER + LOOP.format(functions="\n".join(functions)))[1]


def pointer(x):
    return x.ctypes.data_as(ctypes.c_void_p)


def apply(library, name, a, b=None):
    """The function of every value; the last block is filled up with ones."""
    b = np.ones_like(a) if b is None else b
    fill = -len(a) % library.width()
    a, b = (np.concatenate([np.asarray(x, dtype=float), np.ones(fill)]) for x in (a, b))
    r = np.empty_like(a)
    getattr(library, f"{name}_all")(pointer(a), pointer(b), pointer(r), ctypes.c_int64(len(a)))
    return r[: len(r) - fill]


TINY, HUGE = np.finfo(float).tiny, np.finfo(float).max
MARKED = [0.0, 5e-324, 1e-320, TINY, np.nextafter(TINY, 0), 1e-300, 1e-17, 1e-8, 0.1, 0.5, 1.0, 1.5, 2.0]
MARKED += [np.nextafter(1, 0), np.nextafter(1, 2), 2**0.5, 10.0, 100.0, 709.0, 709.78, 709.79, 745.0, 745.2]
MARKED += [708.4, 744.44, 1e10, 2.0**52, 2.0**53, 1e100, 1e300, HUGE, np.inf, np.nan]
MARKED = np.array([*MARKED, *(-x for x in MARKED)])


def many():
    random = np.random.default_rng(0)
    sizes = 10.0 ** random.uniform(-320, 308, 20000)
    near = random.uniform(-1, 1, 20000) * 10.0 ** random.uniform(-6, 3, 20000)
    around_one = 1 + random.uniform(-0.4, 0.6, 20000)
    return np.concatenate([MARKED, sizes, -sizes, near, around_one])


def close(found, expected, ulp):
    """Equal, or both NaN, or within some units in the last place."""
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(found - expected) / np.spacing(np.abs(np.where(np.isfinite(expected), expected, 1.0)))
    off[(found == expected) | np.isnan(expected)] = 0
    worst = int(off.argmax())
    assert off[worst] <= ulp, f"{off[worst]} ulp: {found[worst]!r} is not {expected[worst]!r}"


@pytest.mark.parametrize(
    ("name", "ulp"),
    [("vexp", 2), ("vlog", 2), ("vsqrt", 0), ("vabs", 0), ("vfloor", 0), ("vexpm1", 2), ("vlog1p", 2)]
    + [("vtanh", 2)],
)
def test_functions_of_one_value(library, name, ulp):
    x = many()
    with np.errstate(all="ignore"):
        expected = getattr(np, name[1:])(x)
    close(apply(library, name, x), expected, ulp)


def test_sign_keeps_nan(library):
    x = many()
    expected = np.sign(x)
    close(apply(library, "vsign", x), expected, 0)


@pytest.mark.parametrize(("name", "function"), [("vmax", np.maximum), ("vmin", np.minimum)])
def test_extremes_keep_nan(library, name, function):
    a, b = (x.ravel() for x in np.meshgrid(MARKED, MARKED))
    close(apply(library, name, a, b), function(a, b), 0)


def test_remainder_has_the_sign_of_the_divisor(library):
    random = np.random.default_rng(1)
    a = np.concatenate([[1.0, -1.0, 7.5, -7.5, 0.3, 6.0, -6.0, 5e15, 1e300], random.uniform(-50, 50, 5000)])
    b = np.concatenate([[0.1, 0.1, 2.0, 2.0, 0.1, -3.0, 3.0, 0.7, 3.0], random.uniform(-3, 3, 5000)])
    close(apply(library, "vrem", a, b), np.remainder(a, b), 2)


@pytest.mark.parametrize("name", ["vexp", "vlog", "vtanh", "vrem"])
def test_a_lane_depends_on_its_operand_only(library, name):
    x = many()[:4001]
    order = np.random.default_rng(2).permutation(len(x))
    straight, mixed = apply(library, name, x), apply(library, name, x[order])
    assert straight[order].tobytes() == mixed.tobytes()


def solved(library, m, a, b):
    rows = np.ascontiguousarray(np.concatenate([a, b[..., None]], axis=-1))
    fill = -len(rows) % library.width()
    unit = np.concatenate([np.eye(m), np.ones((m, 1))], axis=1)
    rows = np.concatenate([rows, np.broadcast_to(unit, (fill, m, m + 1))])
    getattr(library, f"solve_{m}")(pointer(rows), ctypes.c_int64(len(rows)))
    return rows[: len(rows) - fill, :, m]


@pytest.mark.parametrize("m", SIZES)
def test_linear_systems(library, m):
    """Backward stable: the residual is round-off of the size of the rows, whatever their scales."""
    random = np.random.default_rng(m)
    a, b = random.standard_normal((1003, m, m)), random.standard_normal((1003, m))
    a[: 200 * (m > 1), 0, 0] = 0.0  # a pivot has to be found
    scale = 10.0 ** random.uniform(-12, 12, (1003, m))
    x = solved(library, m, a * scale[..., None], b * scale)
    rest = np.abs(np.einsum("pij,pj->pi", a, x) - b)
    bound = np.einsum("pij,pj->pi", np.abs(a), np.abs(x)).max(-1, keepdims=True) + np.abs(b)
    assert float((rest / bound).max()) < 100 * np.finfo(float).eps


@pytest.mark.parametrize("m", SIZES[1:])
def test_singular_and_broken_systems_show(library, m):
    """In their own lane only."""
    a = np.broadcast_to(np.eye(m), (4, m, m)).copy()
    a[1, 1] = 0.0  # a row of zeros
    a[2, 0, 1] = np.nan
    x = solved(library, m, a, np.ones((4, m)))
    assert np.array_equal(x[[0, 3]], np.ones((2, m)))
    assert not np.isfinite(x[[1, 2]]).all(-1).any()
