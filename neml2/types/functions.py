"""All functions of typed values, with a few that input-file expressions do not name."""

from __future__ import annotations

from typing import TypeVar

import torch

from .algebra import (
    cross,
    det,
    dev,
    dot,
    inner,
    inv,
    norm,
    norm_sq,
    outer,
    r2_from_sr2,
    r2_from_wr2,
    skew,
    sym,
    tr,
    unit,
    vdot,
    vec_component,
    vec_from_scalars,
    vol,
)
from .elementwise import (
    abs,
    acos,
    asin,
    atan,
    clamp,
    cos,
    cosh,
    exp,
    gt,
    heaviside,
    log,
    log10,
    lt,
    macaulay,
    opaque_pow,
    pow,
    reciprocal,
    sign,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
    where,
)
from .exponential import dexp_map, exp_map, jvp_exp_map
from .interpolation import (
    bilinear_interpolation,
    bilinear_interpolation_slopes,
    jvp_linear_interpolation,
    linear_interpolation,
)
from .regions import cat, diff, linspace, logspace, mean, stack, sum, sum_sub_batch
from .rotations import (
    compose,
    dist,
    drotate,
    drotate_self,
    dV,
    euler_rodrigues,
    gdist,
    inverse,
    jvp_compose,
    jvp_euler_rodrigues,
    jvp_rotate,
    quaternion_dist,
    quaternion_rotation_matrix,
    rotate,
    shadow,
    to_quaternion,
)
from .wrapper import TensorWrapper, aligned_pair

W = TypeVar("W", bound=TensorWrapper)


def equal(a: TensorWrapper, b: TensorWrapper) -> bool:
    """Whether type, sub-batch rank, shape and every component agree."""
    return type(a) is type(b) and a.sub_batch_ndim == b.sub_batch_ndim and torch.equal(a.data, b.data)


def allclose(a: W, b: W, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether ``|a - b| <= atol + rtol |b|`` for every component, after broadcasting."""
    if type(a) is not type(b):
        raise TypeError(
            f"allclose got a {type(a).__name__} and a {type(b).__name__}; give two values of one type."
        )
    x, y, _ = aligned_pair(a, b)
    return torch.allclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)


def fullify(a: W) -> W:
    """``a.materialize()``."""
    return a.materialize()


__all__ = [
    "abs",
    "acos",
    "allclose",
    "asin",
    "atan",
    "bilinear_interpolation",
    "bilinear_interpolation_slopes",
    "cat",
    "clamp",
    "compose",
    "cos",
    "cosh",
    "cross",
    "dV",
    "det",
    "dev",
    "dexp_map",
    "diff",
    "dist",
    "dot",
    "drotate",
    "drotate_self",
    "equal",
    "euler_rodrigues",
    "exp",
    "exp_map",
    "fullify",
    "gdist",
    "gt",
    "heaviside",
    "inner",
    "inv",
    "inverse",
    "jvp_compose",
    "jvp_euler_rodrigues",
    "jvp_exp_map",
    "jvp_linear_interpolation",
    "jvp_rotate",
    "linear_interpolation",
    "linspace",
    "log",
    "log10",
    "logspace",
    "lt",
    "macaulay",
    "mean",
    "norm",
    "norm_sq",
    "opaque_pow",
    "outer",
    "pow",
    "quaternion_dist",
    "quaternion_rotation_matrix",
    "r2_from_sr2",
    "r2_from_wr2",
    "reciprocal",
    "rotate",
    "shadow",
    "sign",
    "sin",
    "sinh",
    "skew",
    "sqrt",
    "stack",
    "sum",
    "sum_sub_batch",
    "sym",
    "tan",
    "tanh",
    "to_quaternion",
    "tr",
    "unit",
    "vdot",
    "vec_component",
    "vec_from_scalars",
    "vol",
    "where",
]
