"""Krylov methods: GMRES and BiCGStab for many points at once, each of which stops on its own.

Vectors are ``(n, points)`` and the matrix ``(n, n, points)``; everything is done element by element over the
points, so that a point's solution is the same alone and in a batch. Preconditioners act from the right: the
residual that is tested is the true one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from neml2 import log
from neml2.fields import Dependency, Option, setting
from neml2.registry import register
from neml2.solvers.blocks import Factor, Matrix, Vector, joined, parted, total
from neml2.solvers.preconditioners import Apply, NoPreconditioner, Preconditioner
from neml2.values import check_settings

_STRATEGIES = ("none", "chord", "max_its")


@dataclass(frozen=True)
class _Tolerances:
    """When a point has converged, and when it gives up."""

    max_its: int
    abs_tol: float
    rel_tol: float

    def met(self, rho: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Whether a residual norm is small enough; at ``b = 0`` the zero start is the solution."""
        return (rho < self.abs_tol) | (rho < self.rel_tol * b) | (b == 0)


@register
@dataclass(frozen=True)
class GMRES:
    r"""Generalised minimal residuals with restarts.

    Two-pass classical Gram-Schmidt, Givens rotations, preconditioned from the right. A point stops when
    :math:`|\rho| <` ``abs_tol`` or :math:`|\rho| <` ``rel_tol`` :math:`|b|`, after ``max_its`` iterations, or
    when a restart no longer reduces its residual. Saad and Schultz (1986), SIAM J. Sci. Stat. Comput. 7,
    856-869.
    """

    SECTION: ClassVar[str] = "Solvers"

    restart: int = setting(
        Option("Iterations after which the method starts again", default=40, within="[1, 100000]")
    )
    max_its: int = setting(Option("Largest number of iterations", default=1000, within="[1, 1000000]"))
    abs_tol: float = setting(Option("Norm of an accepted residual", default=0.0, within="[0, 1)"))
    rel_tol: float = setting(
        Option("Norm of an accepted residual, relative to the right-hand side", default=1e-4, within="[0, 1)")
    )
    preconditioner: Preconditioner = setting(
        Dependency(
            "Solvers", "Approximate inverse of the matrix", default=NoPreconditioner(), needs="prepare"
        )
    )
    cache_strategy: str = setting(
        Option(
            "When the preconditioner is made anew: for every matrix (none), once per nonlinear solve (chord),"
            " or after a linear solve that took more than cache_max_its iterations (max_its)",
            default="none",
            choices=_STRATEGIES,
        )
    )
    cache_max_its: int = setting(
        Option("Iterations after which a kept preconditioner is out of date", default=10, within="[0, inf)")
    )

    def __post_init__(self) -> None:
        check_settings(self)

    def factor(self, matrix: Matrix, previous: Factor | None = None) -> Factor:
        """Prepare the preconditioner, or keep the previous one."""
        return _Krylov.of(self, matrix, previous)

    def run(self, A: torch.Tensor, b: torch.Tensor, inverse: Apply) -> Found:
        """The solution for ``A`` ``(n, n, points)`` and ``b`` ``(n, points)``, from a zero start."""
        tol = _Tolerances(self.max_its, self.abs_tol, self.rel_tol)
        return _gmres(A, b, inverse, min(self.restart, len(b)), tol)


@register
@dataclass(frozen=True)
class BiCGStab:
    r"""Stabilised bi-conjugate gradients, preconditioned from the right.

    A point stops as in :class:`GMRES`. Inner products count as zero relative to the norms of their factors
    (so that small right-hand sides are solved as well as large ones), and a point whose shadow residual has
    become orthogonal to its residual takes a new one: the residual, or its sum with its image where these
    are orthogonal (as on the first step of plasticity: the residual is that of the yield condition alone, and
    its diagonal entry is zero). van der Vorst (1992), SIAM J. Sci. Stat. Comput. 13, 631-644.
    """

    SECTION: ClassVar[str] = "Solvers"

    max_its: int = setting(Option("Largest number of iterations", default=1000, within="[1, 1000000]"))
    abs_tol: float = setting(Option("Norm of an accepted residual", default=0.0, within="[0, 1)"))
    rel_tol: float = setting(
        Option("Norm of an accepted residual, relative to the right-hand side", default=1e-4, within="[0, 1)")
    )
    preconditioner: Preconditioner = setting(
        Dependency(
            "Solvers", "Approximate inverse of the matrix", default=NoPreconditioner(), needs="prepare"
        )
    )
    cache_strategy: str = setting(
        Option("When the preconditioner is made anew, as in GMRES", default="none", choices=_STRATEGIES)
    )
    cache_max_its: int = setting(
        Option("Iterations after which a kept preconditioner is out of date", default=10, within="[0, inf)")
    )

    def __post_init__(self) -> None:
        check_settings(self)

    def factor(self, matrix: Matrix, previous: Factor | None = None) -> Factor:
        """Prepare the preconditioner, or keep the previous one."""
        return _Krylov.of(self, matrix, previous)

    def run(self, A: torch.Tensor, b: torch.Tensor, inverse: Apply) -> Found:
        """The solution for ``A`` ``(n, n, points)`` and ``b`` ``(n, points)``, from a zero start."""
        return _bicgstab(A, b, inverse, _Tolerances(self.max_its, self.abs_tol, self.rel_tol))


@dataclass(frozen=True)
class Found:
    """What a Krylov method returns: solution ``(n, points)``, and per point iterations and success."""

    x: torch.Tensor
    iterations: torch.Tensor
    converged: torch.Tensor


@dataclass
class _Krylov:
    """A matrix with its preconditioner. ``iterations`` are those of its last solve, per point."""

    settings: GMRES | BiCGStab
    matrix: Matrix
    A: torch.Tensor  # (n, n, points)
    source: torch.Tensor  # the matrix that the preconditioner was made from
    inverse: Apply
    iterations: torch.Tensor | None = field(default=None, compare=False)

    @staticmethod
    def of(settings: GMRES | BiCGStab, matrix: Matrix, previous: Factor | None) -> _Krylov:
        A = _points_last(matrix.dense())
        source = A
        if isinstance(previous, _Krylov) and previous.A.shape == A.shape:
            stale = previous._stale()
            if not bool(stale.any()):
                return _Krylov(settings, matrix, A, previous.source, previous.inverse)
            source = torch.where(stale, A, previous.source)  # each point keeps or renews its own
        return _Krylov(settings, matrix, A, source, settings.preconditioner.prepare(source, matrix.columns))

    def _stale(self) -> torch.Tensor:
        """The points whose preconditioner is to be made anew after this factor's solve."""
        strategy, points = self.settings.cache_strategy, self.A.shape[-1]
        everywhere = torch.ones(points, dtype=torch.bool, device=self.A.device)
        if strategy == "none":
            return everywhere
        if strategy == "chord" or self.iterations is None:
            return ~everywhere
        return self.iterations > self.settings.cache_max_its

    @property
    def singular(self) -> torch.Tensor:
        """Nowhere: a Krylov method does not notice; it does not converge."""
        return torch.zeros(self.matrix.batch, dtype=torch.bool, device=self.A.device)

    def solve(self, b: Vector) -> Vector:
        m = self.matrix
        flat, found = self._run(self.A, self.inverse, joined(b, m.rows, m.batch))
        self.iterations = found.iterations
        return parted(flat, m.columns, m.batch)

    def solve_transposed(self, b: Vector) -> Vector:
        m = self.matrix
        A = self.A.transpose(0, 1).contiguous()
        inverse = self.settings.preconditioner.prepare(A, m.rows)
        flat, _ = self._run(A, inverse, joined(b, m.columns, m.batch))
        return parted(flat, m.rows, m.batch)

    def solve_columns(self, b: torch.Tensor) -> torch.Tensor:
        columns = [self._run(self.A, self.inverse, c)[0] for c in self._columns(b)]
        return torch.stack([c.reshape(b.shape[:-1]) for c in columns], -1)

    def _columns(self, b: torch.Tensor) -> Sequence[torch.Tensor]:
        return [c.reshape(*self.matrix.batch, -1) for c in b.unbind(-1)]

    def _run(self, A: torch.Tensor, inverse: Apply, b: torch.Tensor) -> tuple[torch.Tensor, Found]:
        columns = b.reshape(-1, b.shape[-1]).mT.contiguous()  # (n, points)
        found = self.settings.run(A, columns, inverse)
        _report(found)
        return found.x.mT.reshape(b.shape), found


def _points_last(matrix: torch.Tensor) -> torch.Tensor:
    n = matrix.shape[-1]
    return matrix.detach().reshape(-1, n, n).permute(1, 2, 0).contiguous()


def _report(found: Found) -> None:
    short = int((~found.converged).sum()) if log.enabled("linear", log.WARNING) else 0
    if short:
        iterations = int(found.iterations.max())
        log.emit(
            "linear",
            log.WARNING,
            f"linear solve NOT converged (iters={iterations}, {short} element(s) at max_its)",
        )
    elif log.enabled("linear", log.INFO):
        log.emit("linear", log.INFO, f"linear solve: iters={int(found.iterations.max())}, converged")


def _trace(iterations: torch.Tensor, rho: torch.Tensor, b: torch.Tensor) -> None:
    if log.enabled("linear", log.DEBUG):
        ratio = torch.where(b > 0, rho / b, 0.0)
        largest = f"max|r|={float(rho.max()):e} max|r|/|b|={float(ratio.max()):e}"
        log.emit("linear", log.DEBUG, f"  krylov iter={int(iterations.max())} {largest}")


def _times(A: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return total(A * x, 1)


def _dot(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return total(x * y, 0)


def _norm(x: torch.Tensor) -> torch.Tensor:
    return _dot(x, x).sqrt()


def _over(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``a / b``, zero where ``b`` is zero."""
    return torch.where(b == 0, 0.0, a / torch.where(b == 0, 1.0, b))


def _gmres(A: torch.Tensor, b: torch.Tensor, inverse: Apply, restart: int, tol: _Tolerances) -> Found:
    x, r = torch.zeros_like(b), b
    size = _norm(b)
    rho = size
    iterations = torch.zeros_like(size, dtype=torch.int64)
    active = size.isfinite() & ~tol.met(rho, size)
    while bool(active.any()):
        running = active
        basis = [_over(r, rho)]
        columns: list[torch.Tensor] = []  # of the triangular matrix, (j + 1, points)
        turns: list[tuple[torch.Tensor, torch.Tensor]] = []
        estimate, right = rho, []
        for j in range(restart):
            running = running & (iterations < tol.max_its)
            if not bool(running.any()):
                break
            w = _times(A, inverse(basis[j]))
            before = _norm(w)
            h = [torch.zeros_like(rho)] * (j + 1)
            for _ in range(2):
                overlap = [_dot(v, w) for v in basis]
                h = [a + o for a, o in zip(h, overlap, strict=True)]
                for o, v in zip(overlap, basis, strict=True):
                    w = w - o * v
            below = _norm(w)
            below = torch.where(below <= torch.finfo(b.dtype).eps * before, 0.0, below)
            basis.append(_over(w, below))
            for i, (c, s) in enumerate(turns):
                h[i], h[i + 1] = c * h[i] + s * h[i + 1], c * h[i + 1] - s * h[i]
            length = (h[j] * h[j] + below * below).sqrt()
            c, s = _over(h[j], length), _over(below, length)
            turns.append((c, s))
            h[j] = length
            columns.append(torch.stack(h))
            right.append(torch.where(running, c * estimate, 0.0))
            estimate = torch.where(running, -s * estimate, estimate)
            iterations = iterations + running
            _trace(iterations, estimate.abs(), size)
            running = running & ~tol.met(estimate.abs(), size) & estimate.isfinite() & (below > 0)
        weights = _back_substituted(columns, right)
        update = sum((y * v for y, v in zip(weights, basis, strict=False)), torch.zeros_like(b))
        x = torch.where(active, x + inverse(update), x)
        r = b - _times(A, x)
        last, rho = rho, torch.where(active, _norm(r), rho)
        active = active & ~tol.met(rho, size) & (iterations < tol.max_its) & (rho < last)
    return Found(x, iterations, tol.met(rho, size))


def _back_substituted(columns: list[torch.Tensor], right: list[torch.Tensor]) -> list[torch.Tensor]:
    y = list(right)
    for j in range(len(columns) - 1, -1, -1):
        y[j] = _over(y[j], columns[j][j])
        for i in range(j):
            y[i] = y[i] - columns[j][i] * y[j]
    return y


_WEAK = 1e-6  # cosine below which a residual is no use as its own shadow


def _bicgstab(A: torch.Tensor, b: torch.Tensor, inverse: Apply, tol: _Tolerances) -> Found:
    eps = torch.finfo(b.dtype).eps
    x, r, shadow = torch.zeros_like(b), b, b
    p = v = torch.zeros_like(b)
    size = _norm(b)
    rho = size  # norm of the residual
    last = alpha = omega = torch.ones_like(size)
    fresh = torch.ones_like(size, dtype=torch.bool)
    iterations = torch.zeros_like(size, dtype=torch.int64)
    active = size.isfinite() & ~tol.met(rho, size)
    while bool(active.any()):
        product = _dot(shadow, r)
        fresh = fresh | (product.abs() <= eps * _norm(shadow) * rho)
        shadow = torch.where(fresh, r, shadow)
        product = _dot(shadow, r)
        beta = _over(product, last) * _over(alpha, omega)
        p = torch.where(fresh, r, r + beta * (p - omega * v))
        towards = inverse(p)
        v = _times(A, towards)
        slope = _dot(shadow, v)
        weak = fresh & (slope.abs() <= _WEAK * _norm(shadow) * _norm(v))
        shadow = torch.where(weak, r + _over(rho, _norm(v)) * v, shadow)
        product, slope = _dot(shadow, r), _dot(shadow, v)
        alpha = torch.where(slope.abs() <= eps * _norm(shadow) * _norm(v), 0.0, _over(product, slope))
        s = r - alpha * v
        half = tol.met(_norm(s), size)
        further = inverse(s)
        t = _times(A, further)
        overlap, length = _dot(t, s), _norm(t)
        omega = _over(overlap, length * length)
        omega = torch.where(half | (overlap.abs() <= eps * length * _norm(s)), 0.0, omega)
        x = torch.where(active, x + alpha * towards + omega * further, x)
        r = torch.where(active, s - omega * t, r)
        rho = torch.where(active, _norm(r), rho)
        last, fresh = product, omega == 0
        iterations = iterations + active
        _trace(iterations, rho, size)
        lost = ((alpha == 0) & (omega == 0)) | ~(rho * eps < size)
        active = active & ~tol.met(rho, size) & ~lost & (iterations < tol.max_its)
    return Found(x, iterations, tol.met(rho, size))
