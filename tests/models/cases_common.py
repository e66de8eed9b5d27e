"""Cases of the models in ``neml2/models/common`` and of the predictors."""

from __future__ import annotations

import math

import torch

from neml2.types import SR2, Scalar, Vec
from tests.models.cases import Case, Part

A6 = [0.8, -0.3, 0.5, 0.2, -0.7, 0.4]
B6 = [-0.1, 0.6, 0.3, -0.5, 0.2, 0.9]
F9 = [[1.1, 0.2, -0.1], [0.3, 0.9, 0.15], [-0.05, 0.25, 1.2]]
G9 = [[0.8, -0.3, 0.2], [0.1, 1.3, -0.4], [0.25, 0.05, 0.9]]
SINGULAR = [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.5, -0.3, 0.7]]
STIFFNESS = [[round(math.sin(1.0 + 7 * i + 3 * j), 3) for j in range(6)] for i in range(6)]

POINTS = {
    "Scalar": 0.7,
    "Vec": [0.3, -0.8, 0.5],
    "MRP": [0.1, -0.2, 0.15],
    "WR2": [0.4, 0.1, -0.6],
    "R2": F9,
    "SR2": A6,
    "SSR4": STIFFNESS,
    "MillerIndex": [1.0, -1.0, 2.0],
}
VALUES = {
    **POINTS,
    "R2": [x for row in F9 for x in row],
    "SSR4": [x for row in STIFFNESS for x in row],
}


def _for_every_type() -> list[Case]:
    cases = []
    for T, x in POINTS.items():
        cases += [
            Case(f"Copy{T}", {"from": "a", "to": "b"}, {"a": x}, {"b": x}),
            Case(f"{T}InputParameter", {}, {"variable": x}, {"parameter": x}),
            Case(f"{T}ConstantParameter", {"value": VALUES[T]}, {}, {"model": x}),
            Case(
                f"{T}ConstantParameter",
                {"value": "someinput", "parameter": "p"},
                {"someinput": x},
                {"p": x},
                tag="wired",
            ),
            Case(f"{T}ParameterToVariable", {"from": VALUES[T]}, {}, {"to": x}),
        ]
    return cases


ALGEBRA = [
    Case(
        "ScalarLinearCombination",
        {"from": ["u", "v", "w"], "to": "q", "weights": [2.0, -0.5, 1.5], "offset": 0.25},
        {"u": 0.3, "v": -0.9, "w": 0.4},
        {"q": 0.6 + 0.45 + 0.6 + 0.25},
    ),
    Case(
        "ScalarLinearCombination",
        {"from": "u v", "to": "q", "weights": [2.0, "c"], "offset": "b"},
        {"u": 0.3, "v": -0.9, "c": 1.7, "b": 0.4},
        {"q": 0.6 - 0.9 * 1.7 + 0.4},
        tag="wired",
    ),
    Case(
        "ScalarLinearCombination",
        {"from": "u u v", "to": "q", "weights": 3.0},
        {"u": 0.3, "v": 1.0},
        {"q": 4.8},
        tag="repeated",
    ),
    Case(
        "ScalarLinearCombination",
        {"from": "u v", "to": "q", "weights": "u"},
        {"u": 0.3, "v": 1.0},
        {"q": 0.39},
        tag="weight is a term",
    ),
    Case(
        "SR2LinearCombination",
        {"from": ["u", "v"], "to": "q", "weights": [1.0, -2.0], "offset": 0.5},
        {"u": A6, "v": B6},
        {"q": [a - 2 * b + 0.5 for a, b in zip(A6, B6, strict=True)]},
    ),
    Case(
        "SR2LinearCombination",
        {"from": ["u"], "weights": [Scalar(torch.tensor([1.0, 2.0], dtype=torch.float64), 1)]},
        {"u": SR2(torch.tensor([A6, B6], dtype=torch.float64), 1)},
        tag="sub-batch",
    ),
    Case(
        "ScalarMultiplication",
        {"from": "u v w", "to": "q", "scaling": 1.3, "reciprocal": [False, True, False]},
        {"u": 0.5, "v": -0.8, "w": 1.2},
        {"q": 1.3 * 0.5 / -0.8 * 1.2},
    ),
    Case(
        "ScalarMultiplication",
        {"from": "u u", "to": "q", "scaling": 2.0},
        {"u": -1.5},
        {"q": 4.5},
        tag="square",
    ),
    Case(
        "ScalarMultiplication",
        {"from": "u v", "reciprocal": [True]},
        {"u": 0.5, "v": -0.8},
        {"to": -2.5},
        tag="reciprocal",
    ),
    Case(
        "ScalarPNorm",
        {"from": "u v w", "to": "q", "exponent": 3.5, "weights": [1.2, 0.7, 1.4]},
        {"u": 0.33, "v": -0.96, "w": 0.98},
        {"q": (1.2 * 0.33**3.5 + 0.7 * 0.96**3.5 + 1.4 * 0.98**3.5) ** (1 / 3.5)},
    ),
    Case(
        "ScalarPNorm",
        {"from": "u v", "to": "q", "exponent": 2.0},
        {"u": 0.0, "v": 0.0},
        {"q": 2**-26},  # the root of the machine epsilon
        tag="zero",
        smooth=False,
    ),
    Case(
        "ScalarPNorm",
        {"from": "u v", "to": "q", "exponent": 2.5, "weights": 32.0},
        {"u": 0.0, "v": 2.0},
        {"q": 8.0},
        tag="one zero",
        smooth=False,
    ),
    Case(
        "VecComponents",
        {"from": "v", "to": "a b c"},
        {"v": [0.3, -0.8, 0.5]},
        {"a": 0.3, "b": -0.8, "c": 0.5},
    ),
]

CONDITIONS = [
    Case("MacaulaySplit", {"from": "x"}, {"x": 0.7}, {"to_positive": 0.7, "to_negative": 0.0}),
    Case(
        "MacaulaySplit", {"from": "x"}, {"x": -0.7}, {"to_positive": 0.0, "to_negative": -0.7}, tag="negative"
    ),
    Case(
        "MacaulaySplit",
        {"from": "x"},
        {"x": 0.0},
        {"to_positive": 0.0, "to_negative": 0.0},
        tag="zero",
        smooth=False,
    ),
    Case("IrreversibleScalar", {"from": "x", "to": "y"}, {"x": 0.9, "y~1": 0.4}, {"y": 0.9}),
    Case("IrreversibleScalar", {"from": "x", "to": "y"}, {"x": 0.3, "y~1": 0.4}, {"y": 0.4}, tag="unloading"),
    Case(
        "IrreversibleScalar",
        {"from": "x", "to": "y"},
        {"x": 0.4, "y~1": 0.4},
        {"y": 0.4},
        tag="tie",
        smooth=False,
    ),
    Case(
        "MixedControlSetup",
        {"threshold": 0.5},
        {"control": [0.0, 1.0, 1.0, 0.0, 0.0, 1.0], "x_above": A6, "x_below": B6},
        {
            "y": [B6[0], A6[1], A6[2], B6[3], B6[4], A6[5]],
            "z": [A6[0], B6[1], B6[2], A6[3], A6[4], B6[5]],
        },
    ),
    Case(
        "FBComplementarity",
        {},
        {"a": -0.3, "b": 0.4},
        {"complementarity": 0.3 + 0.4 - math.hypot(0.3, 0.4)},
    ),
    Case(
        "FBComplementarity",
        {"a_inequality": "GE", "b_inequality": "LE"},
        {"a": -0.3, "b": 0.4},
        tag="other signs",
    ),
    Case(
        "FBComplementarity",
        {},
        {"a": 0.0, "b": 0.0},
        {"complementarity": -math.sqrt(2.220446049250313e-16)},
        tag="zero",
        smooth=False,
    ),
    Case("MinMapComplementarity", {}, {"a": -0.3, "b": 0.4}, {"complementarity": 0.3}),
    Case(
        "MinMapComplementarity",
        {"a_inequality": "GE"},
        {"a": 0.5, "b": 0.4},
        {"complementarity": 0.4},
        tag="b",
    ),
    Case(
        "MinMapComplementarity", {}, {"a": -0.4, "b": 0.4}, {"complementarity": 0.4}, tag="tie", smooth=False
    ),
]

MEAN = (A6[0] + A6[1] + A6[2]) / 3
DEV = [a - MEAN if i < 3 else a for i, a in enumerate(A6)]
NORM = math.sqrt(sum(a * a for a in DEV))

TENSORS = [
    Case(
        "SR2Invariant",
        {"tensor": "s", "invariant": "i", "invariant_type": "I1"},
        {"s": A6},
        {"i": 1.0},
        tag="I1",
    ),
    Case(
        "SR2Invariant",
        {"invariant_type": "VONMISES"},
        {"tensor": A6},
        {"invariant": math.sqrt(1.5) * NORM},
        tag="VONMISES",
    ),
    Case(
        "SR2Invariant",
        {"invariant_type": "EFFECTIVE_STRAIN"},
        {"tensor": A6},
        {"invariant": math.sqrt(2 / 3) * NORM},
        tag="EFFECTIVE_STRAIN",
    ),
    Case(
        "SR2Invariant",
        {"invariant_type": "VONMISES"},
        {"tensor": [0.0] * 6},
        {"invariant": math.sqrt(2.220446049250313e-16)},
        tag="VONMISES at zero",
        smooth=False,
    ),
    Case(
        "SR2Invariant",
        {"invariant_type": "EFFECTIVE_STRAIN"},
        {"tensor": SR2(torch.tensor([A6, B6], dtype=torch.float64), 1)},
        tag="sub-batch",
    ),
    Case("R2Determinant", {"input": "F"}, {"F": F9}),
    Case("R2Determinant", {"input": "F"}, {"F": SINGULAR}, {"determinant": 0.0}, tag="singular"),
    Case("R2Determinant", {"input": "F"}, {"F": [[0.0] * 3] * 3}, {"determinant": 0.0}, tag="zero"),
    Case("SR2Determinant", {"input": "S"}, {"S": A6}),
    Case(
        "SR2Determinant",
        {"input": "S"},
        {"S": [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]},
        {"determinant": 0.0},
        tag="singular",
    ),
    Case("R2Multiplication", {"to": "C"}, {"A": F9, "B": G9}),
    Case(
        "R2Multiplication",
        {"invert_A": True, "transpose_B": True},
        {"A": F9, "B": G9},
        tag="inv(A) B^T",
    ),
    Case(
        "R2Multiplication",
        {"transpose_A": True, "invert_B": True, "transpose_B": True},
        {"A": F9, "B": G9},
        tag="A^T inv(B)^T",
    ),
    Case(
        "R2Multiplication",
        {"invert_A": True},
        {"A": F9, "B": F9},
        {"to": [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]},
        tag="inv(F) F",
    ),
    Case(
        "R2ToSR2",
        {},
        {"input": F9},
        {"output": [1.1, 0.9, 1.2, 0.4 / math.sqrt(2), -0.15 / math.sqrt(2), 0.5 / math.sqrt(2)]},
    ),
    Case("R2ToWR2", {}, {"input": F9}, {"output": [0.05, -0.025, 0.05]}),
    Case(
        "SR2ToR2",
        {},
        {"input": [1.0, 2.0, 3.0, 4.0 * math.sqrt(2), 5.0 * math.sqrt(2), 6.0 * math.sqrt(2)]},
        {"output": [[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]]},
    ),
    Case("ScalarToDiagonalSR2", {}, {"input": 0.7}, {"output": [0.7, 0.7, 0.7, 0, 0, 0]}),
    Case(
        "ScalarToDiagonalSR2",
        {},
        {"input": Scalar(torch.tensor([0.7, 0.4], dtype=torch.float64), 1)},
        tag="sub-batch",
    ),
    Case("RotationMatrix", {"from": "r", "to": "R"}, {"r": [0.1, -0.2, 0.15]}),
    Case(
        "RotationMatrix",
        {"from": "r", "to": "R"},
        {"r": [0.0, 0.0, math.tan(math.pi / 8)]},
        {"R": [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]},
        tag="quarter turn",
    ),
]

ROWS = SR2(torch.tensor([A6, B6, [0.3, 0.1, -0.2, 0.4, 0.5, -0.6]], dtype=torch.float64), 1)
BATCH = SR2(ROWS.data)

REDUCTIONS = [
    Case(
        "SR2DynamicMean",
        {"from": "x", "to": "y", "dim": 0},
        {"x": BATCH},
        {"y": [sum(column) / 3 for column in zip(*ROWS.data.tolist(), strict=True)]},
        pointwise=False,
    ),
    Case(
        "SR2DynamicSum",
        {"from": "x", "to": "y", "dim": -1},
        {"x": BATCH},
        {"y": [sum(column) for column in zip(*ROWS.data.tolist(), strict=True)]},
        pointwise=False,
    ),
    Case(
        "SR2IntermediateMean",
        {"from": "x", "to": "y", "reduces": "grain"},
        {"x": ROWS},
        {"y": ROWS.data.mean(0)},
    ),
    Case(
        "SR2IntermediateSum",
        {"from": "x", "to": "y", "reduces": "grain"},
        {"x": ROWS},
        {"y": ROWS.data.sum(0)},
    ),
    Case(
        "SR2IntermediateDiff",
        {"from": "x", "to": "y", "dim": 0, "reduces": "cell"},
        {"x": ROWS},
        {"y": SR2(ROWS.data[1:] - ROWS.data[:-1], 1)},
    ),
    Case(
        "SR2IntermediateDiff",
        {"from": "x", "to": "y", "dim": -1, "n": 2, "reduces": "cell"},
        {"x": ROWS},
        {"y": SR2(ROWS.data[2:] - 2 * ROWS.data[1:-1] + ROWS.data[:-2], 1)},
        tag="second",
    ),
]

X = [1.0, 2.0, 3.5, 4.5, 5.0]
Y = [0.8, -0.6, -0.2, -0.3, 0.1]
TABLES = {"abscissa": X, "ordinate": Y}
X1, X2 = [0.0, 1.0, 2.5], [-1.0, 0.0, 2.0, 3.0]


def table(*shape: int) -> torch.Tensor:
    n = math.prod(shape)
    return (
        torch.sin(1.0 + 3.0 * torch.arange(n, dtype=torch.float64)).mul(1000).round().div(1000).reshape(shape)
    )


def _bilinear(p: float | list[float], q: float | list[float], *base: int) -> torch.Tensor:
    """A bilinear function of two arguments, or its table, with a multiple of it in every component."""
    p, q = (torch.tensor(x, dtype=torch.float64) for x in (p, q))
    values = (
        2 + 3 * p.unsqueeze(-1) - q + 0.5 * p.unsqueeze(-1) * q if p.ndim else 2 + 3 * p - q + 0.5 * p * q
    )
    parts = 1 + torch.arange(math.prod(base), dtype=torch.float64)
    return (values[..., None] * parts).reshape((*values.shape, *base))


INTERPOLATION = [
    Case(
        "ScalarLinearInterpolation",
        {"argument": "x", **TABLES},
        {"x": 3.0},
        {"model": -0.6 + 0.4 / 1.5},
        spread=0.5,
    ),
    Case(
        "ScalarLinearInterpolation",
        {"argument": "x", **TABLES},
        {"x": 0.5},
        {"model": 1.5},
        tag="before",
    ),
    Case(
        "ScalarLinearInterpolation",
        {"argument": "x", **TABLES},
        {"x": 6.0},
        {"model": 0.9},
        tag="beyond",
    ),
    Case(
        "ScalarLinearInterpolation",
        {"argument": "x", **TABLES},
        {"x": 3.5},
        {"model": -0.2},
        tag="node",
        smooth=False,
    ),
    Case(
        "ScalarLinearInterpolation",
        {"argument": "x", "abscissa": [0.0, 2.0], "ordinate": [1.0, 2.0]},
        {"x": 0.5},
        {"model": 1.25},
        tag="two nodes",
    ),
    Case(
        "ScalarLinearInterpolation",
        {"argument": "x", **TABLES},
        {"x": Scalar(torch.tensor([3.0, 0.5, 6.0], dtype=torch.float64), 1)},
        {"model": Scalar(torch.tensor([-0.6 + 0.4 / 1.5, 1.5, 0.9], dtype=torch.float64), 1)},
        tag="sub-batch",
    ),
    Case(
        "ScalarLinearInterpolation",
        {"argument": "x", "abscissa": X, "ordinate": Scalar(table(2, 5), 2)},
        {"x": Scalar(torch.tensor([3.0, 0.5], dtype=torch.float64), 1)},
        tag="sub-batched table",
    ),
    Case(
        "ScalarBilinearInterpolation",
        {
            "argument1": "p",
            "argument2": "q",
            "abscissa1": X1,
            "abscissa2": X2,
            "ordinate": Scalar(table(3, 4)),
        },
        {"p": 1.7, "q": 0.5},
    ),
    Case(
        "VecBilinearInterpolation",
        {
            "argument1": "p",
            "argument2": "q",
            "abscissa1": X1,
            "abscissa2": X2,
            "ordinate": Vec(table(3, 4, 3)),
        },
        {"p": 1.7, "q": 0.5},
    ),
    Case(
        "SR2BilinearInterpolation",
        {
            "argument1": "p",
            "argument2": "q",
            "abscissa1": X1,
            "abscissa2": X2,
            "ordinate": SR2(table(3, 4, 6)),
        },
        {"p": -0.7, "q": 3.5},
    ),
    *(
        Case(
            f"{T.__name__}BilinearInterpolation",
            {
                "argument1": "p",
                "argument2": "q",
                "abscissa1": X1,
                "abscissa2": X2,
                "ordinate": T(_bilinear(X1, X2, *T.BASE_SHAPE)),
            },
            {"p": p, "q": q},
            {"model": _bilinear(p, q, *T.BASE_SHAPE).tolist()},
            tag=f"bilinear, {p:g}, {q:g}",
        )
        for T in (Scalar, Vec, SR2)
        for p, q in ((1.7, 0.5), (-0.7, 9.5))
    ),
    Case(
        "VecBilinearInterpolation",
        {
            "argument1": "p",
            "argument2": "q",
            "abscissa1": X1,
            "abscissa2": X2,
            "ordinate": Vec(table(3, 4, 3)),
        },
        {"p": 1.7, "q": Scalar(torch.tensor([0.5, -0.3], dtype=torch.float64), 1)},
        tag="sub-batch",
    ),
]

STEPS = [
    Case(
        "HermiteSmoothStep",
        {"argument": "x", "lower_bound": 0.2, "upper_bound": 1.7},
        {"x": 0.5},
        {"value": 0.04 * (3 - 0.4)},
    ),
    Case(
        "HermiteSmoothStep",
        {"argument": "x", "lower_bound": 0.2, "upper_bound": 1.7, "complement": True},
        {"x": 0.5},
        {"value": 1 - 0.04 * (3 - 0.4)},
        tag="complement",
    ),
    Case(
        "HermiteSmoothStep",
        {"argument": "x", "lower_bound": 0.2, "upper_bound": 1.7},
        {"x": 3.0},
        {"value": 1.0},
        tag="beyond",
    ),
    Case(
        "SymmetricHermiteInterpolation",
        {"argument": "x", "lower_bound": 0.2, "upper_bound": 1.7},
        {"x": 0.5},
        {"model": 0.04 * (24 - 6.4) / 1.5},
    ),
    Case(
        "SymmetricHermiteInterpolation",
        {"argument": "x", "lower_bound": 0.2, "upper_bound": 1.7},
        {"x": 1.4},
        {"model": 0.04 * (24 - 6.4) / 1.5},
        tag="right half",
    ),
    Case(
        "ArrheniusParameter",
        {
            "temperature": "T",
            "reference_value": 200.0,
            "activation_energy": 5000.0,
            "ideal_gas_constant": 8.314,
        },
        {"T": 600.0},
        {"model": 200.0 * math.exp(-5000.0 / (8.314 * 600.0))},
    ),
]

TIMES = {"t": 1.5, "t~1": 1.2}
OLD = {"Scalar": 0.5, "Vec": [0.1, 0.4, -0.2], "SR2": B6, "R2": G9}
RATES = {"Scalar": -1.3, "Vec": [0.7, -0.6, 1.1], "SR2": [1.0, 2.0, -1.0, 0.5, -0.5, 0.3], "R2": F9}
SPIN = [0.9, -1.4, 0.6]
STEP = TIMES["t"] - TIMES["t~1"]


def _each(function, *values):
    """A function of every component."""
    return function(*(torch.tensor(v, dtype=torch.float64) for v in values)).tolist()


def _time_integration() -> list[Case]:
    cases = []
    for T in ("Scalar", "Vec", "SR2", "R2"):
        x, old, rate = POINTS[T], OLD[T], RATES[T]
        history = {"s": x, "s~1": old, **TIMES}
        cases += [
            Case(
                f"{T}BackwardEulerTimeIntegration",
                {"variable": "s"},
                {**history, "s_rate": rate},
                {"s_residual": _each(lambda s, s_n, v: s - s_n - STEP * v, x, old, rate)},
            ),
            Case(
                f"{T}VariableRate",
                {"variable": "s"},
                history,
                {"s_rate": _each(lambda s, s_n: (s - s_n) / STEP, x, old)},
            ),
        ]
        if T != "Vec":
            cases.append(
                Case(
                    f"{T}ForwardEulerTimeIntegration",
                    {"variable": "s"},
                    {"s~1": old, **TIMES, "s_rate": rate},
                    {"s": _each(lambda s_n, v: s_n + STEP * v, old, rate)},
                )
            )
    return cases


TIME = [
    *_time_integration(),
    Case(
        "ScalarBackwardEulerTimeIntegration",
        {"variable": "s", "time": "tau", "rate": "v", "variable_residual": "r"},
        {"s": 0.7, "s~1": 0.5, "tau": 1.5, "tau~1": 1.0, "v": -1.0},
        {"r": 0.7},
        tag="renamed",
    ),
    Case(
        "ScalarForwardEulerTimeIntegration",
        {"variable": "s", "old_variable": "s0", "rate": "v"},
        {"s0": 0.5, "t": 1.5, "t~1": 1.0, "v": -1.0},
        {"s": 0.0},
        tag="renamed",
    ),
    Case(
        "ScalarVariableRate",
        {"variable": "s", "variable_rate": "v"},
        {"s": 0.7, "s~1": 0.5, "t": 1.5, "t~1": 1.0},
        {"v": 0.4},
        tag="renamed",
    ),
    Case(
        "WR2ExplicitExponentialTimeIntegration",
        {"variable": "q"},
        {"q~1": [0.1, -0.2, 0.15], **TIMES, "q_rate": SPIN},
    ),
    Case(
        "WR2ExplicitExponentialTimeIntegration",
        {"variable": "q"},
        {"q~1": [0.0, 0.0, math.tan(0.1)], "t": 2.0, "t~1": 1.0, "q_rate": [0.0, 0.0, 0.8]},
        {"q": [0.0, 0.0, math.tan(0.3)]},
        tag="one axis",
    ),
    Case(
        "WR2ExplicitExponentialTimeIntegration",
        {"variable": "q"},
        {"q~1": [0.1, -0.2, 0.15], "t": 1.0, "t~1": 1.0, "q_rate": SPIN},
        {"q": [0.1, -0.2, 0.15]},
        tag="no time",
    ),
    Case(
        "WR2ImplicitExponentialTimeIntegration",
        {"variable": "q"},
        {
            "q": [0.0, 0.0, math.tan(0.3)],
            "q~1": [0.0, 0.0, math.tan(0.1)],
            "t": 2.0,
            "t~1": 1.0,
            "q_rate": [0.0, 0.0, 0.8],
        },
        {"q_residual": [0.0, 0.0, 0.0]},
        tag="one axis",
    ),
    Case(
        "WR2ImplicitExponentialTimeIntegration",
        {"variable": "q"},
        {"q": [0.12, -0.25, 0.17], "q~1": [0.1, -0.2, 0.15], **TIMES, "q_rate": SPIN},
    ),
]

CUBE = Part("ScalarMultiplication", {"from": "tau tau tau", "to": "g", "scaling": 1.02}, "law")
PATH = Part("ScalarMultiplication", {"from": "gdot dt x x", "to": "f", "scaling": -1.7}, "path")
UNKNOWNS = {"unknowns_SR2": ["a"], "unknowns_Scalar": ["b"], "unknowns_MRP": ["c"], "unknowns_R2": ["d"]}
ONE_BACK = {"a~1": A6, "b~1": 0.7, "c~1": [0.1, -0.2, 0.15], "d~1": F9}
TWO_BACK = {"a~2": B6, "b~2": 0.5, "c~2": [0.05, -0.1, 0.2], "d~2": G9}

PREDICTORS = [
    Case(
        "ConstantExtrapolationPredictor",
        UNKNOWNS,
        ONE_BACK,
        {k[0]: v for k, v in ONE_BACK.items()},
    ),
    Case(
        "ConstantExtrapolationPredictor",
        {"unknowns_Scalar": ["b"], "cold": ["b:guess"]},
        {"b~1": 0.7, "t": 3.0, "t~1": 2.0, "t~2": 1.5, "guess": 0.1},
        {"b": 0.7},
        tag="with history",
    ),
    Case(
        "ConstantExtrapolationPredictor",
        {"unknowns_Scalar": ["b"], "cold": ["b:guess"]},
        {"b~1": 0.7, "t": 1.0, "t~1": 0.0, "t~2": 0.0, "guess": 0.1},
        {"b": 0.1},
        tag="cold",
        constant=("t~1", "t~2"),
    ),
    Case(
        "LinearExtrapolationPredictor",
        UNKNOWNS,
        {**ONE_BACK, "t": 3.0, "t~1": 2.0, "t~2": 1.5, **TWO_BACK},
    ),
    Case(
        "LinearExtrapolationPredictor",
        {"unknowns_Scalar": ["b"], "cold": ["b:guess"]},
        {"b~1": 0.7, "t": 3.0, "t~1": 2.0, "t~2": 1.5, "b~2": 0.5, "guess": 0.1},
        {"b": 1.1},
        tag="with history",
    ),
    Case(
        "LinearExtrapolationPredictor",
        {"unknowns_Scalar": ["b"], "cold": ["b:guess"]},
        {"b~1": 0.7, "t": 1.0, "t~1": 0.0, "t~2": 0.0, "b~2": 0.5, "guess": 0.1},
        {"b": 0.1},
        tag="cold",
        constant=("t~1", "t~2"),
    ),
    Case(
        "RateCondensation",
        {"model": PATH, "rate": "gdot", "driving_force": "f", "coupling": "A"},
        {"dt": 0.77, "x": 0.72},
        {"A": 1.7 * 0.77 * 0.72**2, "trial_driving_force": 0.0},
    ),
    Case(
        "CoordinateDescentPredictor",
        {
            "rate_law": CUBE,
            "driving_force_input": "tau",
            "coupling": "A",
            "trial_driving_force": "b",
            "sweeps": 1,
        },
        {"A": 1.6, "b": 0.5 + 1.6 * 1.02 * 0.5**3},
        {"rate": 1.02 * 0.5**3},
        constant=("A", "b"),
        smooth=False,
    ),
    Case(
        "CoordinateDescentPredictor",
        {
            "rate_law": CUBE,
            "driving_force_input": "tau",
            "coupling": "A",
            "trial_driving_force": "b",
            "sweeps": 3,
            "bisections": 6,
            "polish": 1,
        },
        {
            "A": Scalar(torch.tensor([[2.0, 0.3], [0.3, 1.5]], dtype=torch.float64), 2),
            "b": Scalar(torch.tensor([0.4, -0.5], dtype=torch.float64), 1),
        },
        tag="two components",
        smooth=False,
    ),
]

CASES = [
    *_for_every_type(),
    *ALGEBRA,
    *CONDITIONS,
    *TENSORS,
    *REDUCTIONS,
    *INTERPOLATION,
    *STEPS,
    *TIME,
    *PREDICTORS,
]
