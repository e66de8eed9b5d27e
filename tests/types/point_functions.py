"""One table of every function of points: what it takes and where its arguments may lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import neml2.types.functions as F
from neml2.types import MRP, R2, SR2, SSR4, WR2, MillerIndex, Quaternion, Scalar, Vec


@dataclass(frozen=True)
class Arg:
    cls: type
    low: float = -1.0
    high: float = 1.0

    def sample(self, *batch: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        g = torch.Generator().manual_seed(seed)
        u = torch.rand((*batch, *self.cls.BASE_SHAPE), generator=g, dtype=torch.float64)
        data = self.low + (self.high - self.low) * u
        if self.cls is Quaternion:
            data = data / data.square().sum(-1, keepdim=True).sqrt()
        if self.cls is R2:
            data = data + 2 * torch.eye(3, dtype=torch.float64)
        return data.to(dtype)


@dataclass(frozen=True)
class Case:
    name: str
    fn: Callable[..., Any]
    args: tuple[Arg, ...]
    twice: bool = True  # second derivatives exist

    def __str__(self) -> str:
        return self.name


def case(name: str, fn: Callable[..., Any], *args: Any, twice: bool = True) -> Case:
    return Case(name, fn, tuple(a if isinstance(a, Arg) else Arg(a) for a in args), twice)


POSITIVE = Arg(Scalar, 0.1, 3.0)
UNIT = Arg(Scalar, -0.9, 0.9)
TABLE_X, TABLE_Y = Scalar([-0.8, -0.2, 0.3, 0.9]), Scalar([1.0, -0.5, 0.25, 2.0])
TABLE_Z = SR2(torch.sin(torch.arange(72, dtype=torch.float64)).reshape(4, 3, 6), 2)
TABLE_X2 = Scalar([-0.5, 0.0, 0.7], 1)

CASES = [
    # element by element
    *(
        case(f, getattr(F, f), Arg(Scalar, -2, 2))
        for f in ("exp", "sin", "cos", "atan", "sinh", "cosh", "tanh")
    ),
    *(case(f, getattr(F, f), POSITIVE) for f in ("sqrt", "log", "log10", "reciprocal")),
    *(case(f, getattr(F, f), UNIT) for f in ("asin", "acos", "tan")),
    *(case(f, getattr(F, f), SR2) for f in ("abs", "macaulay")),
    case("sign", lambda a: a * F.sign(a), SR2),
    case("heaviside", lambda a: a * F.heaviside(a), SR2),
    case("clamp", lambda a: F.clamp(a, -0.5, 0.4), SR2),
    case("where_gt", lambda a, b: F.where(F.gt(a, b), a, b * 2.0), SR2, SR2),
    case("where_lt", lambda a, b: F.where(F.lt(a, b), a, b * 2.0), Scalar, Scalar),
    *(
        case(f"pow({n})", lambda a, n=n: F.pow(a, n), Arg(SR2, 0.1, 2.0))
        for n in (-3, -1, -0.5, 0.5, 1, 1.7, 2, 3, 5, 11.3, 20)
    ),
    case("pow(negative, 3)", lambda a: F.pow(a, 3), Arg(SR2, -2.0, -0.1)),
    case("pow(negative, 21)", lambda a: F.pow(a, 21), Arg(SR2, -1.2, -0.6)),
    case("pow(a, Scalar)", F.pow, Arg(SR2, 0.1, 2.0), Arg(Scalar, -1.5, 4.0)),
    case("opaque_pow", F.opaque_pow, POSITIVE, Arg(Scalar, -1.5, 4.0)),
    # operators
    case("add", lambda a, b: a + b, SR2, SR2),
    case("sub", lambda a, b: a - b, Vec, Scalar),
    case("mul", lambda a, b: a * b, Scalar, R2),
    case("div", lambda a, b: -a / b, SR2, POSITIVE),
    case("numbers", lambda a: 2.0 - 3 * a / 7.0 + 1 / a, POSITIVE),
    case("R2 @ R2", lambda a, b: a @ b, R2, R2),
    case("SSR4 @ SR2", lambda a, b: a @ b, SSR4, SR2),
    case("SSR4 @ SSR4", lambda a, b: a @ b, SSR4, SSR4),
    # algebra
    *(case(f, getattr(F, f), SR2) for f in ("tr", "vol", "dev", "norm", "norm_sq", "unit", "r2_from_sr2")),
    case("norm(eps)", lambda a: F.norm(a, 0.01), Vec),
    case("unit(eps)", lambda a: F.unit(a, 0.01), Vec),
    case("inner", F.inner, SR2, SR2),
    case("inner(R2)", F.inner, R2, R2),
    case("inner(SSR4)", F.inner, SSR4, SSR4),
    case("inner(Quaternion)", F.inner, Quaternion, Quaternion),
    case("inner(Scalar)", F.inner, Scalar, Scalar),
    case("inner(MillerIndex)", F.inner, MillerIndex, MillerIndex),
    case("dot", F.dot, Vec, Vec),
    case("vdot", F.vdot, Vec, Vec),
    case("cross", F.cross, Vec, Vec),
    case("outer", F.outer, SR2, SR2),
    case("det", F.det, R2),
    case("det(SR2)", F.det, SR2),
    case("inv", F.inv, R2),
    case("inv(SR2)", lambda a: F.inv(a + SR2.fill(3.0, dtype=a.dtype)), SR2),
    case("sym", F.sym, R2),
    case("skew", F.skew, R2),
    case("r2_from_wr2", F.r2_from_wr2, WR2),
    case("vec_component", lambda v: F.vec_component(v, 1), Vec),
    case("vec_from_scalars", F.vec_from_scalars, Scalar, Scalar, Scalar),
    # rotations
    *(case(f"rotate({c.__name__})", F.rotate, c, R2) for c in (SR2, WR2, R2, Vec, SSR4)),
    *(case(f"jvp_rotate({c.__name__})", F.jvp_rotate, c, R2, R2) for c in (SR2, WR2, R2, Vec, SSR4)),
    case("euler_rodrigues", F.euler_rodrigues, MRP),
    case("jvp_euler_rodrigues", F.jvp_euler_rodrigues, MRP, MRP),
    case("compose", F.compose, Arg(MRP, -0.4, 0.4), Arg(MRP, -0.4, 0.4)),
    case(
        "jvp_compose",
        lambda a, b, da, db: F.jvp_compose(a, b, dr1=da, dr2=db),
        *(Arg(MRP, -0.4, 0.4),) * 4,
    ),
    case("drotate", F.drotate, Arg(MRP, -0.4, 0.4), Arg(MRP, -0.4, 0.4)),
    case("drotate_self", F.drotate_self, Arg(MRP, -0.4, 0.4), Arg(MRP, -0.4, 0.4)),
    case("inverse", F.inverse, MRP),
    case("shadow", F.shadow, Arg(MRP, 0.2, 1.0)),
    case("gdist", F.gdist, MRP, MRP),
    case("dist", F.dist, MRP, MRP),
    case("dV", F.dV, MRP),
    case("to_quaternion", F.to_quaternion, MRP),
    case("quaternion_rotation_matrix", F.quaternion_rotation_matrix, Quaternion),
    case("quaternion_dist", F.quaternion_dist, Quaternion, Quaternion),
    case("exp_map", F.exp_map, Arg(WR2, -2, 2)),
    case("exp_map, small", F.exp_map, Arg(WR2, -0.1, 0.1)),
    case("dexp_map", F.dexp_map, Arg(WR2, -2, 2)),
    case("dexp_map, small", F.dexp_map, Arg(WR2, -0.1, 0.1)),
    case("jvp_exp_map", F.jvp_exp_map, WR2, WR2),
    case("from_axis_angle", MRP.from_axis_angle, Vec, Arg(Scalar, -3, 3)),
    case("from_axis_angle_standard", MRP.from_axis_angle_standard, Vec, Arg(Scalar, -3, 3)),
    case("from_matrix", lambda r: MRP.from_matrix(F.euler_rodrigues(r)), Arg(MRP, -2, 2)),
    case("rotation_from_to", lambda a, b: MRP.rotation_from_to(F.unit(a), F.unit(b)), Vec, Vec),
    # interpolation
    case("linear_interpolation", lambda x: F.linear_interpolation(x, TABLE_X, TABLE_Y), Scalar),
    case(
        "jvp_linear_interpolation",
        lambda x, d: F.jvp_linear_interpolation(x, TABLE_X, TABLE_Y, d),
        Scalar,
        Scalar,
    ),
    case(
        "bilinear_interpolation",
        lambda x, y: F.bilinear_interpolation(x, y, TABLE_X, TABLE_X2, TABLE_Z),
        Scalar,
        Scalar,
    ),
    case(
        "bilinear_interpolation_slopes",
        lambda x, y: F.bilinear_interpolation_slopes(x, y, TABLE_X, TABLE_X2, TABLE_Z)[0],
        Scalar,
        Scalar,
    ),
]
