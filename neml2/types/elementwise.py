"""Functions of each component: powers, exponentials, trigonometry, switches.

Torch's pow, sinh, cosh and sigmoid round differently in the vector body and in the scalar tail of a loop. The
versions here are built from operations that do not, so that a point's result is the same alone and in any
batch.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch

from .primitive import PrimitiveTensor, Scalar, is_number, over_base
from .wrapper import TensorWrapper, aligned, aligned_pair, wrap

P = TypeVar("P", bound=PrimitiveTensor)

_MULTIPLIED_OUT = (
    16  # largest integral exponent written as products: at most 6 multiplications, cheaper than exp
)


def _typed(x: Any, who: str) -> None:
    if not isinstance(x, PrimitiveTensor):
        raise TypeError(f"{who} got a {type(x).__name__}; give a typed value such as Scalar or SR2.")


def _scalar_data(x: Any, who: str) -> torch.Tensor:
    if x.__class__ is not Scalar:
        raise TypeError(
            f"{who} is defined for Scalar, got a {type(x).__name__}; wrap numbers as Scalar(...)."
        )
    return x.data


# --- switches -----------------------------------------------------------------------------------------------


def abs(a: P) -> P:  # noqa: A001
    """|a|, with derivative 0 at 0."""
    _typed(a, "abs")
    return wrap(type(a), torch.abs(a.data), a.sub_batch_ndim)


def sign(a: P) -> P:
    """-1, 0 or 1; its derivative is 0."""
    _typed(a, "sign")
    return wrap(type(a), torch.sign(a.data), a.sub_batch_ndim)


def heaviside(a: P) -> P:
    """(sign(a) + 1)/2: 0, 1/2 at zero, or 1; its derivative is 0."""
    _typed(a, "heaviside")
    return wrap(type(a), (torch.sign(a.data) + 1) / 2, a.sub_batch_ndim)


def macaulay(a: P) -> P:
    """A heaviside(a), the positive part; its derivative is heaviside(a)."""
    _typed(a, "macaulay")
    return wrap(type(a), a.data * ((torch.sign(a.data) + 1) / 2), a.sub_batch_ndim)


def clamp(a: P, lo: float | None = None, hi: float | None = None) -> P:
    """``a`` limited to ``lo <= a <= hi``; ``None`` leaves that side open."""
    _typed(a, "clamp")
    for bound in (lo, hi):
        if not (bound is None or is_number(bound)):
            raise TypeError(f"clamp got a {type(bound).__name__} as a bound; give a number, or use where.")
    if lo is None and hi is None:
        return a
    return wrap(type(a), torch.clamp(a.data, lo, hi), a.sub_batch_ndim)


def gt(a: P, b: Any) -> P:
    """A > b by components, boolean data in the type of ``a``."""
    x, y, n = _compared(a, b, "gt")
    return wrap(type(a), x > y, n)


def lt(a: P, b: Any) -> P:
    """A < b by components, boolean data in the type of ``a``."""
    x, y, n = _compared(a, b, "lt")
    return wrap(type(a), x < y, n)


def _compared(a: PrimitiveTensor, b: Any, who: str) -> tuple[torch.Tensor, Any, int]:
    _typed(a, who)
    if is_number(b):
        return a.data, b, a.sub_batch_ndim
    if type(b) is type(a):
        return aligned_pair(a, b)
    if type(b) is Scalar:
        x, y, n = aligned_pair(a, b)
        return x, over_base(y, a.BASE_NDIM), n
    raise TypeError(
        f"{who} cannot compare a {type(a).__name__} with a {type(b).__name__}; give the same type, a"
        " Scalar or"
        " a number."
    )


def where(cond: TensorWrapper, a: P, b: P) -> P:
    """``a`` where ``cond`` is true, else ``b``; ``cond`` is a Scalar or of their type."""
    _typed(a, "where")
    if type(b) is not type(a):
        raise TypeError(f"where got a {type(a).__name__} and a {type(b).__name__}; make both the same type.")
    if type(cond) is not Scalar and type(cond) is not type(a):
        more = "" if type(a) is Scalar else f" or a {type(a).__name__}"
        raise TypeError(
            f"where got a {type(cond).__name__} as condition; give a Scalar{more}, as made by gt."
        )
    n = max(cond.sub_batch_ndim, a.sub_batch_ndim, b.sub_batch_ndim)
    mask = aligned(cond, n)
    if type(cond) is not type(a):
        mask = over_base(mask, a.BASE_NDIM)
    if mask.dtype != torch.bool:
        mask = mask != 0
    return wrap(type(a), torch.where(mask, aligned(a, n), aligned(b, n)), n)


# --- powers -------------------------------------------------------------------------------------------------


def pow(a: P, n: Any) -> P:  # noqa: A001
    r"""a\ :sup:`n` by components; ``n`` is a number or a Scalar.

    A negative base needs an integral ``n`` and gives NaN otherwise. At a = 0 the value is 0, 1 or inf for n
    > 0, n = 0, n < 0; the derivative with respect to a is its limit for n >= 1 and 0 for 0 < n < 1, where
    the limit is not finite; the derivative with respect to n is 0.
    """
    _typed(a, "pow")
    if is_number(n):
        return wrap(type(a), _pow_number(a.data, float(n)), a.sub_batch_ndim)
    if type(n) is not Scalar:
        raise TypeError(f"pow got a {type(n).__name__} as exponent; give a number or a Scalar.")
    x, y, rank = aligned_pair(a, n)
    return wrap(type(a), _pow_tensor(x, over_base(y, a.BASE_NDIM)), rank)


def opaque_pow(a: P, n: Any) -> P:
    """`pow` under a second name, which input files may use."""
    return pow(a, n)


def _pow_number(x: torch.Tensor, n: float) -> torch.Tensor:
    if n == 0.5:
        return safe_sqrt(x)
    if n.is_integer():
        if -_MULTIPLIED_OUT <= n <= _MULTIPLIED_OUT:
            return _multiplied_out(x, int(n))
        zero = x == 0
        y = torch.exp(n * torch.log(torch.where(zero, 1.0, torch.abs(x))))
        y = torch.where(zero, 0.0 if n > 0 else math.inf, y)
        return y * torch.sign(x) if n % 2 else y
    outside = x <= 0
    y = torch.exp(n * torch.log(torch.where(outside, 1.0, x)))
    return torch.where(outside, torch.where(x == 0, 0.0 if n > 0 else math.inf, math.nan), y)


def _multiplied_out(x: torch.Tensor, n: int) -> torch.Tensor:
    if n < 0:
        return 1 / _multiplied_out(x, -n)
    if n == 0:
        return x * 0 + 1  # a NaN stays visible
    if n == 1:
        return x
    half = _multiplied_out(x, n // 2)
    return half * half * x if n % 2 else half * half


def _pow_tensor(x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    zero, negative = x == 0, x < 0
    size = torch.exp(n * torch.log(torch.abs(torch.where(zero, 1.0, x))))
    remainder = torch.remainder(n, 2)
    fraction = remainder * (remainder - 1)  # 0 for an integral n
    y = torch.where(negative & (remainder == 1), -size, size)
    y = torch.where(negative & (fraction != 0), math.nan, y)
    at_zero = torch.exp(-1e37 * n.detach())  # 0, 1 or inf for n > 0, n = 0, n < 0, of any floating type
    # x and x*x carry the derivatives at zero that do not vanish
    at_zero = torch.where(n == 1, x, torch.where(n == 2, x * x, at_zero))
    return torch.where(zero, at_zero, y)


def safe_sqrt(x: torch.Tensor) -> torch.Tensor:
    """The square root with derivative 0 at 0, so that it may stand in an unselected branch."""
    zero = x == 0
    return torch.where(zero, 0.0, torch.sqrt(torch.where(zero, 1.0, x)))


# --- functions of a Scalar ----------------------------------------------------------------------------------


def sqrt(a: Scalar) -> Scalar:
    """The square root; its derivative at 0 is set to 0, where the limit is not finite."""
    return wrap(Scalar, safe_sqrt(_scalar_data(a, "sqrt")), a.sub_batch_ndim)


def exp(a: Scalar) -> Scalar:
    """The exponential."""
    return wrap(Scalar, torch.exp(_scalar_data(a, "exp")), a.sub_batch_ndim)


def log(a: Scalar) -> Scalar:
    """The natural logarithm."""
    return wrap(Scalar, torch.log(_scalar_data(a, "log")), a.sub_batch_ndim)


def log10(a: Scalar) -> Scalar:
    """The logarithm to base 10."""
    return wrap(Scalar, torch.log10(_scalar_data(a, "log10")), a.sub_batch_ndim)


def sin(a: Scalar) -> Scalar:
    """The sine of an angle in radians."""
    return wrap(Scalar, torch.sin(_scalar_data(a, "sin")), a.sub_batch_ndim)


def cos(a: Scalar) -> Scalar:
    """The cosine of an angle in radians."""
    return wrap(Scalar, torch.cos(_scalar_data(a, "cos")), a.sub_batch_ndim)


def tan(a: Scalar) -> Scalar:
    """The tangent of an angle in radians."""
    return wrap(Scalar, torch.tan(_scalar_data(a, "tan")), a.sub_batch_ndim)


def asin(a: Scalar) -> Scalar:
    """The arcsine, in [-pi/2, pi/2]."""
    return wrap(Scalar, torch.asin(_scalar_data(a, "asin")), a.sub_batch_ndim)


def acos(a: Scalar) -> Scalar:
    """The arccosine, in [0, pi]."""
    return wrap(Scalar, torch.acos(_scalar_data(a, "acos")), a.sub_batch_ndim)


def atan(a: Scalar) -> Scalar:
    """The arctangent, in (-pi/2, pi/2)."""
    return wrap(Scalar, torch.atan(_scalar_data(a, "atan")), a.sub_batch_ndim)


def sinh(a: Scalar) -> Scalar:
    """(expm1(a) - expm1(-a))/2, which loses no digits near 0."""
    x = _scalar_data(a, "sinh")
    return wrap(Scalar, (torch.expm1(x) - torch.expm1(-x)) / 2, a.sub_batch_ndim)


def cosh(a: Scalar) -> Scalar:
    """(exp(a) + exp(-a))/2."""
    x = _scalar_data(a, "cosh")
    return wrap(Scalar, (torch.exp(x) + torch.exp(-x)) / 2, a.sub_batch_ndim)


def tanh(a: Scalar) -> Scalar:
    """The hyperbolic tangent."""
    return wrap(Scalar, torch.tanh(_scalar_data(a, "tanh")), a.sub_batch_ndim)


def reciprocal(a: Scalar) -> Scalar:
    """1/a."""
    return wrap(Scalar, 1 / _scalar_data(a, "reciprocal"), a.sub_batch_ndim)
